"""One way to hash and to frame several values, so that no two lists of values collide."""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from secagg.types import PartyId

DIGEST_BYTES: Final = 32
_LABEL: Final = b"secagg v1"

# Framing is frequent, and almost all parts are short.
_SIZES: Final = tuple(size.to_bytes(8, "big") for size in range(256))
_encode: Final = struct.Struct(">BI").pack


def join_framed(*parts: bytes) -> bytes:
    """The parts, each preceded by its length as a big-endian u64: injective on lists of parts."""
    framed: list[bytes] = []
    for part in parts:
        size = len(part)
        framed += (_SIZES[size] if size < len(_SIZES) else size.to_bytes(8, "big"), part)
    return b"".join(framed)


def digest(purpose: str, *parts: bytes) -> bytes:
    """SHA-256 over the library's label, a purpose and the framed parts."""
    return hashlib.sha256(join_framed(_LABEL, purpose.encode(), *parts)).digest()


def encode_party(party: PartyId) -> bytes:
    """A party as five bytes: role, number big-endian."""
    return _encode(party.role, party.number)
