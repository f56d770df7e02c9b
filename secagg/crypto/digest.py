"""One way to hash and to frame several values, so that no two lists of values collide."""

from __future__ import annotations

import hashlib
from typing import Final

from secagg.types import PartyId

DIGEST_BYTES: Final = 32
_LABEL: Final = b"secagg v1"


def join_framed(*parts: bytes) -> bytes:
    """The parts, each preceded by its length as a big-endian u64: injective on lists of parts."""
    return b"".join([len(part).to_bytes(8, "big") + part for part in parts])


def digest(purpose: str, *parts: bytes) -> bytes:
    """SHA-256 over the library's label, a purpose and the framed parts."""
    return hashlib.sha256(join_framed(_LABEL, purpose.encode(), *parts)).digest()


def encode_party(party: PartyId) -> bytes:
    """A party as five bytes: role, number big-endian."""
    return bytes((party.role,)) + party.number.to_bytes(4, "big")
