"""X25519 key agreement (RFC 7748) that refuses malformed, aliased and low-order public keys.

RFC 7748 section 5 has receivers ignore the top bit and reduce larger coordinates, so one point has
several encodings, and comparing keys would not tell that two are the same. Here a public key is
the one canonical encoding, below 2**255 - 19, or it is refused.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from secagg.errors import VerificationError
from secagg.types import Secret

PUBLIC_KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
_FIELD_PRIME: Final = 2**255 - 19
_LOW_ORDER: Final = "expected an X25519 public key of full order, got one of low order"

# The coordinates of order 1, 2, 4 and 8 on the curve and on its twist: with these and no others the
# agreed secret is all zero, for every private key, because keys are clamped to multiples of 8
# (Bernstein, Curve25519, 2006). 0 is of order 2, 1 and -1 of order 4, the others of order 8.
_LOW_ORDER_KEYS: Final = frozenset(
    coordinate.to_bytes(PUBLIC_KEY_BYTES, "little")
    for coordinate in (
        0,
        1,
        _FIELD_PRIME - 1,
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
    )
)


class PrivateKey:
    """An X25519 private key made from 32 secret bytes. It has no repr and is not serialised."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: Secret) -> None:
        self._key = X25519PrivateKey.from_private_bytes(seed.reveal())
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def agree(self, public: bytes) -> Secret:
        """The shared secret with the holder of `public`; goes into the KDF, never used as a key.

        Raises:
            VerificationError: not 32 bytes, not canonical, or a point of low order.
        """
        _check_encoding(public)
        try:
            return Secret(self._key.exchange(X25519PublicKey.from_public_bytes(public)))
        except ValueError:
            raise VerificationError(_LOW_ORDER) from None

    def __repr__(self) -> str:
        return "PrivateKey(...)"


def check_public_key(public: bytes) -> None:
    """Refuse a key with which no agreement can be made, without making one: the key is public.

    Raises:
        VerificationError: not 32 bytes, not canonical, or a point of low order.
    """
    _check_encoding(public)
    if public in _LOW_ORDER_KEYS:
        raise VerificationError(_LOW_ORDER)


def _check_encoding(public: bytes) -> None:
    if len(public) != PUBLIC_KEY_BYTES:
        raise VerificationError(
            f"an X25519 public key has {PUBLIC_KEY_BYTES} bytes, got {len(public)}"
        )
    if int.from_bytes(public, "little") >= _FIELD_PRIME:
        raise VerificationError("expected the canonical encoding of an X25519 key, got an alias")
