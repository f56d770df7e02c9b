"""The one key derivation function: HKDF-SHA256 (RFC 5869) with every use named in one enum.

What a key is for, between whom and in which context is part of its derivation, so a key derived
for one thing is useless for any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secagg.crypto.digest import encode_party, join_framed
from secagg.types import PartyId, Secret

_LABEL: Final = b"secagg kdf v1"
_COMMITMENT_BYTES: Final = 32


class Purpose(Enum):
    """Everything that a key is ever derived for.

    Attributes:
        head: how the derivation for it begins.
    """

    head: bytes

    def __init__(self, label: bytes) -> None:
        self.head = join_framed(_LABEL, label)

    PARTY_RANDOMNESS = b"party randomness"
    CHANNEL_KEYPAIR = b"channel keypair"
    MASK_KEYPAIR = b"mask keypair"
    CHANNEL = b"channel"
    PAIR_MASK = b"pair mask"
    SELF_MASK = b"self mask"
    COMMITMENT = b"commitment"
    SHARE_COMMITMENT = b"share commitment"
    LEDGER_DEVICE = b"ledger device"
    LEDGER_CHAIN = b"ledger chain"
    LEDGER_RECORD = b"ledger record"
    LEDGER_ANSWER = b"ledger answer"
    ADAPTER_UPDATE = b"adapter update"


_SHA256: Final = hashes.SHA256()


def derive(
    secret: Secret,
    *,
    context: bytes,
    purpose: Purpose,
    parties: Sequence[PartyId] = (),
    details: Sequence[bytes] = (),
    length: int = 32,
) -> Secret:
    """`length` bytes for one purpose.

    Args:
        secret: the input keying material.
        context: the session id before the keys are fixed, the transcript digest after.
        purpose: what the result is for.
        parties: for whom; sorted by the caller where the order must not matter.
        details: everything else that the result must be bound to.
        length: bytes wanted, at most 255 * 32.
    """
    info = _info(purpose, parties, details, length)
    return Secret(_hkdf(secret.reveal(), context, info, length))


def commit(
    opening: bytes,
    *,
    context: bytes,
    purpose: Purpose,
    parties: Sequence[PartyId],
    details: Sequence[bytes],
) -> bytes:
    """32 public bytes that bind an opening, and hide it as long as nobody can guess it.

    They are what `derive` gives; this takes and makes bytes that nobody wipes, and is for openings
    that are sent in the clear in the end.

    Args:
        opening: what is committed to.
        context: as in `derive`.
        purpose: what the commitment is for.
        parties: as in `derive`.
        details: as in `derive`.
    """
    return _hkdf(
        opening, context, _info(purpose, parties, details, _COMMITMENT_BYTES), _COMMITMENT_BYTES
    )


def _info(
    purpose: Purpose, parties: Sequence[PartyId], details: Sequence[bytes], length: int
) -> bytes:
    return purpose.head + join_framed(
        b"".join([encode_party(party) for party in parties]),
        join_framed(*details),
        length.to_bytes(4, "big"),
    )


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=_SHA256, length=length, salt=salt, info=info).derive(secret)
