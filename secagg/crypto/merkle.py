"""Merkle trees as in RFC 6962, section 2.1: SHA-256, with prefix 0 for leaves and 1 for nodes.

An incomplete level carries its last node up unchanged, which equals the RFC's split at the largest
power of two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from secagg.crypto.digest import DIGEST_BYTES
from secagg.errors import VerificationError


class MerkleTree:
    """All nodes over some leaves, for those who must show that a leaf is among them."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [[_leaf(leaf) for leaf in leaves]]
        while len(below := self._levels[-1]) > 1:
            paired = [_node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
            self._levels.append(paired + below[len(paired) * 2 :])

    @property
    def root(self) -> bytes:
        """32 bytes over all leaves and their order; of no leaves the digest of nothing."""
        top = self._levels[-1]
        return top[0] if top else hashlib.sha256(b"").digest()

    def path(self, index: int) -> bytes:
        """The audit path of a leaf, from its sibling up: 32 bytes for each node."""
        found = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                found.append(level[index ^ 1])
            index >>= 1
        return b"".join(found)


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaves."""
    return MerkleTree(leaves).root


def padded(leaves: Sequence[bytes]) -> list[bytes]:
    """The leaves, and empty ones up to a power of two: so all paths have one size.

    For trees of leaves that are never empty themselves.
    """
    return [*leaves, *[b""] * (padded_count(len(leaves)) - len(leaves))]


def padded_count(count: int) -> int:
    """How many leaves `padded` makes of `count`, which is at least 1."""
    return 1 << (count - 1).bit_length()


def path_size(index: int, count: int) -> int:
    """Bytes of the audit path of leaf `index` of `count`."""
    nodes = 0
    while count > 1:
        nodes += index ^ 1 < count
        index, count = index >> 1, (count + 1) >> 1
    return DIGEST_BYTES * nodes


def root_of_path(leaf: bytes, index: int, count: int, path: bytes) -> bytes:
    """The root of the one tree of `count` leaves in which this leaf has this place and path.

    Raises:
        VerificationError: no path of a leaf in this place has this length.
    """
    if not 0 <= index < count or len(path) != path_size(index, count):
        raise VerificationError(
            f"leaf {index} of {count} has no audit path of {len(path)} bytes in a Merkle tree"
        )
    found, start = _leaf(leaf), 0
    while count > 1:
        if index ^ 1 < count:
            sibling = path[start : start + DIGEST_BYTES]
            found = _node(sibling, found) if index & 1 else _node(found, sibling)
            start += DIGEST_BYTES
        index, count = index >> 1, (count + 1) >> 1
    return found


def _leaf(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
