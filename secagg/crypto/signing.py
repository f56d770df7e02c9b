"""Ed25519 signatures (RFC 8032) with a context string for every kind of signed statement."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from secagg.crypto.digest import join_framed
from secagg.errors import VerificationError
from secagg.types import Secret

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_LABEL: Final = b"secagg signature v1"


class SigningKey:
    """A long-term signing key made from 32 secret bytes. It has no repr and is not serialised."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: Secret) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def sign(self, context: str, statement: bytes) -> bytes:
        """64 bytes that only verify for this context and statement."""
        return self._key.sign(join_framed(_LABEL, context.encode(), statement))

    def sign_envelope(self, payload_type: str, payload: bytes) -> bytes:
        """64 bytes over a payload and its type, as DSSE v1 has it.

        Nothing that `sign` signs begins as this does: there a length comes first, in eight bytes.
        """
        return self._key.sign(envelope_statement(payload_type, payload))

    def __repr__(self) -> str:
        return "SigningKey(...)"


def envelope_statement(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding (secure-systems-lab/dsse, protocol.md, version 1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify(public: bytes, signature: bytes, context: str, statement: bytes) -> None:
    """Check a signature.

    Raises:
        VerificationError: malformed key or signature, or not a signature of this statement in
            this context by this key.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, join_framed(_LABEL, context.encode(), statement))
    except (InvalidSignature, ValueError):
        raise VerificationError(f"not a valid signature for {context!r} by the named key") from None
