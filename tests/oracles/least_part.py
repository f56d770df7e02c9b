"""What part of the honest clients of a ring a sum must hold, if every client in it asks for enough.

A lying server can leave out honest clients here and there, as long as every client whose input it
wants finds `threshold` clients of its closed neighbourhood in the sum, or corrupt. How few can that
be? Of all rings at once the answer is a least mean over cycles: a walk along the ring, place by
place, which remembers the last `degree` places; whether the mean of every cycle is large enough is
decided by Bellman's and Ford's algorithm, in integers. That takes 3**degree states, so it is for
small degrees.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

LEFT_OUT, IN_THE_SUM, CORRUPT = 0, 1, 2

Marks = npt.NDArray[np.bool_]


def at_least(
    degree: int, threshold: int, corrupt_neighbours: int, in_window: int, part: Fraction
) -> bool:
    """Whether on every ring the sum has at least this part of the honest clients.

    Args:
        degree: of the ring, even.
        threshold: of each closed neighbourhood, for every client in the sum.
        corrupt_neighbours: the most that an honest client has.
        in_window: the most corrupt clients among degree / 2 places in a row; as many places of
            which none is in the sum would be a gap, and are no ring.
        part: of the honest clients.
    """
    states = 3**degree
    # Digit i is what the place i before the newest is.
    digits = np.arange(states)[:, np.newaxis] // 3 ** np.arange(degree) % 3
    weights = {
        LEFT_OUT: -part.numerator,
        IN_THE_SUM: part.denominator - part.numerator,
        CORRUPT: 0,
    }
    steps = []
    for newest, weight in weights.items():
        places = np.concatenate((np.full((states, 1), newest), digits), axis=1)
        allowed = _allowed(places, threshold, corrupt_neighbours, in_window)
        steps.append((np.where(allowed, weight, np.iinfo(np.int64).max // 2), newest))
    least = np.zeros(states, dtype=np.int64)
    for _ in range(states):
        shorter = least.copy()
        for costs, newest in steps:
            # Of the three states that differ in the oldest place only, the newest place makes one.
            best = (least + costs).reshape(3, states // 3).min(axis=0)
            after = np.arange(states // 3) * 3 + newest
            shorter[after] = np.minimum(shorter[after], best)
        if (shorter == least).all():
            return True
        least = shorter
    return False  # a path that still becomes shorter has a cycle


def _allowed(
    places: npt.NDArray[np.int64], threshold: int, corrupt_neighbours: int, in_window: int
) -> Marks:
    """Which rows of degree + 1 places may be part of a ring."""
    reach = places.shape[1] // 2
    inside, corrupt = places == IN_THE_SUM, places == CORRUPT
    centre = places[:, reach]
    allowed: Marks = (centre != IN_THE_SUM) | ((inside | corrupt).sum(axis=1) >= threshold)
    allowed &= (centre == CORRUPT) | (corrupt.sum(axis=1) <= corrupt_neighbours)
    for start in range(places.shape[1] - reach + 1):
        window = slice(start, start + reach)
        allowed &= corrupt[:, window].sum(axis=1) <= in_window
        allowed &= inside[:, window].any(axis=1)
    return allowed
