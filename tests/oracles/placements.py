"""Where corrupt clients help a lying server most: as many as tolerated in every window, or more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from oracles.isolation import Marks, Ring

from secagg.crypto.rng import StreamRng
from secagg.protocols._masking.graph import HararyGraph

Pattern: TypeAlias = Callable[[int, int], Marks]
"""Marks so many of so many consecutive places."""


def together(places: int, marked: int) -> Marks:
    """The first ones."""
    return np.arange(places) < marked


def at_both_ends(places: int, marked: int) -> Marks:
    """Half of them first, half of them last."""
    return np.roll(together(places, marked), -(marked // 2))


def spread(places: int, marked: int) -> Marks:
    """As evenly as possible."""
    steps = np.arange(places + 1) * marked // places
    return np.diff(steps) > 0


def at_random(places: int, marked: int) -> Marks:
    """The same random choice every time."""
    words = np.frombuffer(StreamRng(bytes(32)).bytes(4 * places), dtype="<u4")
    chosen = np.zeros(places, dtype=np.bool_)
    chosen[np.argsort(words)[:marked]] = True
    return chosen


PATTERNS: tuple[Pattern, ...] = (together, at_both_ends, spread, at_random)


def tolerated(ring: Ring) -> int:
    """Corrupt clients in a window that the threshold makes up for."""
    return ring.threshold - ring.reach - 2


def in_windows(ring: Ring) -> list[int]:
    """The corrupt clients of the window that starts at each place."""
    twice = np.concatenate((ring.corrupt, ring.corrupt[: ring.reach]))
    sums = np.concatenate(([0], np.cumsum(twice)))
    counts: list[int] = (sums[ring.reach :] - sums[: -ring.reach])[: ring.size].tolist()
    return counts


def most_in_a_window(ring: Ring) -> int:
    """The corrupt clients of the fullest window."""
    return max(in_windows(ring))


def crowded(ring: Ring, windows: int) -> list[int]:
    """Where the fullest windows start."""
    counts = in_windows(ring)
    return sorted(range(ring.size), key=lambda start: -counts[start])[:windows]


def two_crowds(graph: HararyGraph, threshold: int, pattern: Pattern, excess: int) -> set[int]:
    """Positions: two opposite windows with `excess` more than tolerated; nobody else is corrupt."""
    reach = graph.degree // 2
    block = pattern(reach, threshold - reach - 2 + excess)
    places = np.flatnonzero(block)
    both = np.concatenate((places, places + graph.size // 2))
    return set(graph.ring[both].tolist())
