"""Mask streams: from an agreed secret to the AES-CTR key and IV that a kernel expands.

Key and a 96-bit IV come from the KDF together with everything that says which mask this is; the
counter block is IV || be32 block index, so a stream is byte-identical to any AES-CTR library and
ends after 2**32 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from secagg.crypto import kdf
from secagg.kernels import MaskStream
from secagg.types import PartyId, Ring, Secret

IV_BYTES: Final = 12


def mask_stream(
    secret: Secret,
    *,
    context: bytes,
    purpose: kdf.Purpose,
    parties: Sequence[PartyId],
    protocol: str,
    ring: Ring,
    length: int,
    key_bits: int,
    sign: int,
    details: Sequence[bytes] = (),
    vector: str = "update",
) -> MaskStream:
    """The stream of one mask.

    Args:
        secret: the seed of a self mask, or the secret that two clients agreed on.
        context: the session's transcript.
        purpose: SELF_MASK or PAIR_MASK.
        parties: whose mask; sorted, so that both ends of a pair derive the same.
        protocol: the protocol's name.
        ring: the ring of the vector.
        length: elements of the vector.
        key_bits: 128 or 256.
        sign: +1 to add the mask, -1 to subtract it.
        details: more to bind, such as both public keys.
        vector: the name of the vector.
    """
    key_bytes = key_bits // 8
    expanded = kdf.derive(
        secret,
        context=context,
        purpose=purpose,
        parties=parties,
        details=(*_of_vector(protocol, vector, ring, length), *details),
        length=key_bytes + IV_BYTES,
    ).reveal()
    return MaskStream(expanded[:key_bytes], expanded[key_bytes:], sign)


@lru_cache(maxsize=64)
def _of_vector(protocol: str, vector: str, ring: Ring, length: int) -> tuple[bytes, ...]:
    """What all masks of a vector have in common; public."""
    return (
        protocol.encode(),
        vector.encode(),
        ring.lane_bits.to_bytes(1, "big"),
        ring.bits.to_bytes(1, "big"),
        length.to_bytes(8, "big"),
    )
