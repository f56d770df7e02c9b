"""AES-256-GCM with a random nonce, and associated data that binds a message to its place.

The associated data names the protocol, the session (its transcript), the round, the sender and
the receiver, so a ciphertext is good in exactly one place. Keys are for one direction only.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secagg.crypto.digest import encode_party, join_framed
from secagg.errors import VerificationError
from secagg.types import PartyId, Rng, Secret

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = NONCE_BYTES + TAG_BYTES


def associated_data(
    protocol: str, transcript: bytes, step: str, sender: PartyId, receiver: PartyId
) -> bytes:
    """What a ciphertext is bound to, framed so that no two places collide."""
    return join_framed(
        protocol.encode(), transcript, step.encode(), encode_party(sender), encode_party(receiver)
    )


def seal(key: Secret, plaintext: bytes, bound_to: bytes, rng: Rng) -> bytes:
    """Nonce, ciphertext and tag: `len(plaintext) + 28` bytes."""
    nonce = rng.bytes(NONCE_BYTES)
    return nonce + AESGCM(key.reveal()).encrypt(nonce, plaintext, bound_to)


def open_sealed(key: Secret, sealed: bytes, bound_to: bytes) -> Secret:
    """The plaintext.

    Raises:
        VerificationError: too short, changed, or sealed for another place.
    """
    if len(sealed) < OVERHEAD_BYTES:
        raise VerificationError(
            f"a sealed message has at least {OVERHEAD_BYTES} bytes, got {len(sealed)}"
        )
    try:
        plaintext = AESGCM(key.reveal()).decrypt(
            sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to
        )
    except InvalidTag:
        raise VerificationError(
            "a sealed message does not open: changed, or sealed for another sender, receiver,"
            " step or session"
        ) from None
    return Secret(plaintext)
