"""Who shares secrets and masks with whom.

A graph lives on positions 0 to size - 1: the places in the sorted list of the participants. It is
drawn after the keys are fixed, from a seed that nobody could choose: parameters that hold for a
random order are worth nothing on an order that an adversary picked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from secagg.crypto.rng import StreamRng
from secagg.errors import ParameterError
from secagg.types import Rng

Positions: TypeAlias = npt.NDArray[np.int64]

LARGEST_SIZE: Final = 1 << 31
_WORD: Final = np.dtype("<u4")


class NeighbourGraph(ABC):
    """An undirected graph without loops in which all positions have `degree` neighbours."""

    def __init__(self, size: int, degree: int) -> None:
        self._size = size
        self._degree = degree

    @property
    def size(self) -> int:
        """The number of positions."""
        return self._size

    @property
    def degree(self) -> int:
        """The neighbours of each position, itself not counted."""
        return self._degree

    @abstractmethod
    def neighbours(self, position: int) -> tuple[int, ...]:
        """The neighbours, ascending; never the position itself.

        Raises:
            ParameterError: there is no such position.

        """

    @abstractmethod
    def adjacent(self, first: int, second: int) -> bool:
        """Whether the two are neighbours, in constant time. Nobody is his own neighbour.

        Raises:
            ParameterError: there is no such position.

        """

    def _check(self, position: int) -> None:
        if not 0 <= position < self._size:
            raise ParameterError(f"a position lies in 0..{self._size - 1}, got {position}")


class CompleteGraph(NeighbourGraph):
    """Everybody is everybody's neighbour. Nothing is drawn, so nothing can be chosen."""

    def __init__(self, size: int) -> None:
        if not 1 <= size <= LARGEST_SIZE:
            raise ParameterError(f"a graph has 1 to {LARGEST_SIZE} positions, got {size}")
        super().__init__(size, size - 1)

    def neighbours(self, position: int) -> tuple[int, ...]:
        """All the others."""
        self._check(position)
        return (*range(position), *range(position + 1, self._size))

    def adjacent(self, first: int, second: int) -> bool:
        """Whether the two differ."""
        self._check(first)
        self._check(second)
        return first != second


class HararyGraph(NeighbourGraph):
    """The positions on a ring in random order, each next to the degree / 2 before and after it.

    Bell et al., CCS 2020, section 3: the graph of this degree that is hardest to cut. It stays
    connected unless degree / 2 consecutive places are lost in two separate stretches.
    """

    def __init__(self, size: int, degree: int, seed: bytes) -> None:
        """The one graph of this seed.

        Raises:
            ParameterError: the degree is odd or not in 2..size - 1, or the seed has not 32 bytes.

        """
        if not 3 <= size <= LARGEST_SIZE:
            raise ParameterError(f"a ring has 3 to {LARGEST_SIZE} positions, got {size}")
        if degree % 2 or not 2 <= degree < size:
            raise ParameterError(
                f"a ring of {size} needs an even degree from 2 to {size - 1}, got {degree}"
            )
        super().__init__(size, degree)
        self._reach = degree // 2
        self._ring = _shuffled(StreamRng(seed), size)
        self._place = np.empty_like(self._ring)
        self._place[self._ring] = np.arange(size, dtype=np.int64)
        self._steps = np.concatenate(
            (np.arange(-self._reach, 0), np.arange(1, self._reach + 1))
        ).astype(np.int64)
        self._ring.flags.writeable = False

    @property
    def ring(self) -> Positions:
        """The position at each place of the ring, read-only."""
        return self._ring

    def neighbours(self, position: int) -> tuple[int, ...]:
        """The positions at most degree / 2 places away, ascending."""
        self._check(position)
        places = (self._place[position] + self._steps) % self._size
        found: list[int] = np.sort(self._ring[places]).tolist()
        return tuple(found)

    def adjacent(self, first: int, second: int) -> bool:
        """Whether the two are at most degree / 2 places apart, and differ."""
        self._check(first)
        self._check(second)
        ahead = int(self._place[first] - self._place[second]) % self._size
        return 1 <= min(ahead, self._size - ahead) <= self._reach


def draw_graph(size: int, degree: int, seed: bytes) -> NeighbourGraph:
    """The graph for the participants that came: complete when they are too few for the degree.

    Raises:
        ParameterError: the size, the degree or the seed is out of range.

    """
    if degree < 2:
        raise ParameterError(f"a graph has a degree of at least 2, got {degree}")
    if size - 1 <= degree:
        return CompleteGraph(size)
    return HararyGraph(size, degree, seed)


def _shuffled(rng: Rng, size: int) -> Positions:
    """0 to size - 1 in uniformly random order (Fisher and Yates, from the last place down)."""
    partners = _draws_up_to(rng, size).tolist()
    order = list(range(size))
    for place in range(size - 1, 0, -1):
        partner = partners[place]
        order[place], order[partner] = order[partner], order[place]
    return np.array(order, dtype=np.int64)


def _draws_up_to(rng: Rng, size: int) -> Positions:
    """For each i below `size` a uniform draw from 0..i, all independent.

    In bulk: one little-endian 32-bit word, cut to the bits of i, for every i from 1 up, and again
    for those whose draw was too large. At least half are accepted each time.
    """
    limits = np.arange(size, dtype=np.int64)
    masks = _all_ones_covering(limits)
    drawn = np.zeros(size, dtype=np.int64)
    open_ = limits[1:]
    while open_.size:
        words = np.frombuffer(rng.bytes(open_.size * _WORD.itemsize), dtype=_WORD)
        drawn[open_] = words.astype(np.int64) & masks[open_]
        open_ = open_[drawn[open_] > open_]
    return drawn


def _all_ones_covering(limits: Positions) -> Positions:
    masks = limits.copy()
    for shift in (1, 2, 4, 8, 16):
        masks |= masks >> shift
    return masks
