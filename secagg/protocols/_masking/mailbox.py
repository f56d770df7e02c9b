"""Sealed shares between the client that dealt them and the client that holds them.

The server can do nothing with them but pass them on. They arrive by dealer and leave by holder;
one array keeps them by holder, so that both are one copy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from secagg.protocols._masking.messages import SEALED_SHARES_BYTES


class ShareMailbox:
    """What clients dealt to their neighbours.

    Args:
        neighbours: of every client by its number, ascending; neighbourhood is mutual.
    """

    def __init__(self, neighbours: Mapping[int, Sequence[int]]) -> None:
        numbers = sorted(neighbours)
        degrees = [len(neighbours[number]) for number in numbers]
        ends = np.cumsum(degrees)
        self._neighbours = neighbours
        self._rows = {
            number: slice(int(end) - degree, int(end))
            for number, end, degree in zip(numbers, ends, degrees, strict=True)
        }
        # Every pair once, by dealer and then holder. Sorted by holder and then dealer, pair i is
        # in the place _places[i]; within a client both orders are that of its neighbours.
        dealers = np.repeat(np.asarray(numbers), degrees)
        holders = np.concatenate([np.asarray(neighbours[number]) for number in numbers])
        self._places = np.empty(len(dealers), dtype=np.intp)
        self._places[np.lexsort((dealers, holders))] = np.arange(len(dealers))
        self._sealed = np.empty((len(dealers), SEALED_SHARES_BYTES), dtype=np.uint8)

    def deal(self, dealer: int, sealed: bytes) -> None:
        """Keep what a client dealt, in the order of its neighbours."""
        rows = np.frombuffer(sealed, dtype=np.uint8).reshape(-1, SEALED_SHARES_BYTES)
        self._sealed[self._places[self._rows[dealer]]] = rows

    def bundle(self, holder: int, dealers: Collection[int]) -> tuple[list[int], bytes]:
        """Who among `dealers` dealt to a client, ascending, and what, in that order."""
        near = self._neighbours[holder]
        dealt = [number for number in near if number in dealers]
        column = self._sealed[self._rows[holder]]
        if len(dealt) < len(near):
            column = column[np.isin(near, dealt)]
        return dealt, column.tobytes()
