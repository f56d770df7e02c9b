"""Sets of a plan's clients as bitmaps, one bit for each client of the task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from secagg.errors import DecodeError
from secagg.types import PartyId


def bitmap_size(clients: Sequence[PartyId]) -> int:
    """Bytes of a bitmap over these clients."""
    return (len(clients) + 7) // 8


def encode_bitmap(clients: Sequence[PartyId], members: Iterable[int]) -> bytes:
    """The set of roster indices `members` as a bitmap: bit i (little-endian) is clients[i]."""
    chosen = set(members)
    bits = np.fromiter((party.number in chosen for party in clients), dtype=bool)
    return np.packbits(bits, bitorder="little").tobytes()


def decode_bitmap(clients: Sequence[PartyId], bitmap: bytes) -> frozenset[int]:
    """The inverse of `encode_bitmap`.

    Raises:
        DecodeError: another length, or bits beyond the last client.
    """
    if len(bitmap) != bitmap_size(clients):
        raise DecodeError(f"expected a bitmap of {bitmap_size(clients)} bytes, got {len(bitmap)}")
    bits = np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), bitorder="little")
    if bits[len(clients) :].any():
        raise DecodeError("a bitmap has no bits beyond the last client")
    return frozenset(clients[position].number for position in np.flatnonzero(bits).tolist())


def is_subset(bitmap: bytes, other: bytes) -> bool:
    """Whether the other set, over the same clients, has every member of this one."""
    return not int.from_bytes(bitmap, "big") & ~int.from_bytes(other, "big")
