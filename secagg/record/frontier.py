"""A Merkle tree (RFC 6962) over leaves that come one by one, in the memory of a path."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class _Subtree:
    """A complete subtree: its root, and those of its leaves whose audit path is wanted."""

    root: bytes
    wanted: list[int] = field(default_factory=list)


class Frontier:
    """The complete subtrees from the left (RFC 9162, section 2.1.2), and some audit paths.

    Attributes:
        size: leaves so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[_Subtree] = []
        self._paths: dict[int, list[bytes]] = {}

    def add(self, leaf_hash: bytes, *, wanted: bool = False) -> None:
        """The next leaf, hashed already.

        Args:
            leaf_hash: 32 bytes.
            wanted: whether `close` is to have its audit path.
        """
        place, size = self.size, self.size
        subtree = _Subtree(leaf_hash, [place] if wanted else [])
        if wanted:
            self._paths[place] = []
        while size & 1:
            subtree = self._join(self._subtrees.pop(), subtree)
            size >>= 1
        self._subtrees.append(subtree)
        self.size += 1

    def close(self) -> tuple[bytes, Mapping[int, bytes]]:
        """The root over all leaves, and the audit paths of those wanted. No leaf comes after it.

        The root of no leaves is the digest of nothing.
        """
        if not self._subtrees:
            return hashlib.sha256(b"").digest(), {}
        found = self._subtrees.pop()
        while self._subtrees:
            found = self._join(self._subtrees.pop(), found)
        return found.root, {place: b"".join(path) for place, path in self._paths.items()}

    def _join(self, left: _Subtree, right: _Subtree) -> _Subtree:
        for place in left.wanted:
            self._paths[place].append(right.root)
        for place in right.wanted:
            self._paths[place].append(left.root)
        root = hashlib.sha256(b"\x01" + left.root + right.root).digest()
        return _Subtree(root, left.wanted + right.wanted)
