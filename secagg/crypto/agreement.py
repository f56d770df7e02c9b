"""X25519 key agreement (RFC 7748) that refuses malformed and low-order public keys."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from secagg.errors import VerificationError
from secagg.types import Secret

PUBLIC_KEY_BYTES: Final = 32
SEED_BYTES: Final = 32

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
            VerificationError: not 32 bytes, or a point of low order.
        """
        try:
            return Secret(self._key.exchange(X25519PublicKey.from_public_bytes(public)))
        except ValueError:
            raise VerificationError(_refusal(public)) from None

    def __repr__(self) -> str:
        return "PrivateKey(...)"


def check_public_key(public: bytes) -> None:
    """Refuse a key with which no agreement can be made.

    Raises:
        VerificationError: not 32 bytes, or a point of low order.
    """
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise VerificationError(_refusal(public)) from None


def _refusal(public: bytes) -> str:
    if len(public) != PUBLIC_KEY_BYTES:
        return f"an X25519 public key has {PUBLIC_KEY_BYTES} bytes, got {len(public)}"
    return "expected an X25519 public key of full order, got one of low order"
