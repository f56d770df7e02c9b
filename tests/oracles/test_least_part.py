"""`honest_lower_bound` on the ring: by what it is bounded, and that no more can be said."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from oracles.least_part import at_least

from secagg import protocols
from secagg.protocol import Level, Task
from secagg.types import client

# Degree, threshold, most corrupt neighbours: all that the premises of the lemma allow.
PREMISES = [
    (degree, threshold, corrupt)
    for degree in (4, 6, 8)
    for threshold in range(degree // 2 + 2, degree + 2)
    for corrupt in range(min(degree, threshold - 1))
    if 2 * threshold > degree + 1 + corrupt
]


def of_the_others(degree: int, threshold: int, corrupt: int) -> Fraction:
    return Fraction(threshold - 1 - corrupt, degree - corrupt)


def of_all_around(degree: int, threshold: int, corrupt: int) -> Fraction:
    return Fraction(threshold - corrupt, degree + 1 - corrupt)


@pytest.mark.parametrize(("degree", "threshold", "corrupt"), PREMISES)
def test_no_ring_has_a_smaller_part_in_the_sum(degree: int, threshold: int, corrupt: int) -> None:
    part = of_the_others(degree, threshold, corrupt)
    assert part <= of_all_around(degree, threshold, corrupt)
    in_window = threshold - degree // 2 - 2
    assert at_least(degree, threshold, corrupt, in_window, part)


@pytest.mark.parametrize(("degree", "threshold"), [(6, 5), (8, 7)])
def test_some_rings_have_less_than_closed_neighbourhoods_say(degree: int, threshold: int) -> None:
    in_window = threshold - degree // 2 - 2
    part = of_the_others(degree, threshold, 0)
    assert not at_least(degree, threshold, 0, in_window, of_all_around(degree, threshold, 0))
    assert not at_least(degree, threshold, 0, in_window, part + Fraction(1, 10**4))


@pytest.mark.parametrize(("degree", "threshold"), [(6, 5), (24, 19), (76, 59), (138, 103)])
def test_such_a_ring(degree: int, threshold: int) -> None:
    """It repeats itself after degree / 2 places: each client sees twice the block, and itself."""
    reach, kept = degree // 2, (threshold - 1) // 2
    block = np.arange(reach) < kept
    ring = np.tile(block, 8)
    around = np.sum([np.roll(ring, step) for step in range(-reach, reach + 1)], axis=0)
    assert around[ring].min() == threshold
    assert Fraction(int(ring.sum()), ring.size) == of_the_others(degree, threshold, 0)
    assert Fraction(int(ring.sum()), ring.size) < of_all_around(degree, threshold, 0)


@pytest.mark.parametrize(
    ("count", "rate", "level", "expected"),
    [
        # (95 - 5) (18 - 5) / (24 - 5)
        (100, "0.05", Level.MALICIOUS, 61),
        # (90 - 10) (33 - 10) / (44 - 10)
        (100, "0.1", Level.MALICIOUS, 54),
        # (950 - 50) (57 - 24) / (76 - 24)
        (1000, "0.05", Level.MALICIOUS, 571),
        # (900 - 100) (106 - 48) / (144 - 48)
        (1000, "0.1", Level.MALICIOUS, 483),
        # The complete graph of a small cohort: 27 - 3.
        (50, "0.05", Level.MALICIOUS, 24),
        # A server that does not lie has one list of survivors.
        (100, "0.05", Level.CURIOUS, 90),
    ],
)
def test_the_number_that_is_shown(count: int, rate: str, level: Level, expected: int) -> None:
    clients = tuple(client(number) for number in range(count))
    lost = corrupt = Decimal(rate)
    task = Task(clients=clients, length=1, bound=1, level=level, corrupt=corrupt, dropout=lost)
    plan = protocols.get("secagg_plus").plan(task)
    assert plan.honest_lower_bound == expected
    # Shown where the server may lie: there it is not what the smallest sum says.
    shown = dict(plan.describe()).get("honest in a sum")
    assert shown == (f"{expected} clients or more" if level is Level.MALICIOUS else None)
