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

# Any private key serves to test a public key: clamping makes every scalar a multiple of the
# cofactor, so a point of low order gives the all-zero secret with each of them.
_PROBE: Final = X25519PrivateKey.from_private_bytes(bytes(range(32)))


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
    """Refuse a key with which no agreement can be made.

    Raises:
        VerificationError: not 32 bytes, not canonical, or a point of low order.
    """
    _check_encoding(public)
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise VerificationError(_LOW_ORDER) from None


def _check_encoding(public: bytes) -> None:
    if len(public) != PUBLIC_KEY_BYTES:
        raise VerificationError(
            f"an X25519 public key has {PUBLIC_KEY_BYTES} bytes, got {len(public)}"
        )
    if int.from_bytes(public, "little") >= _FIELD_PRIME:
        raise VerificationError("expected the canonical encoding of an X25519 key, got an alias")
