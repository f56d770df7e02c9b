"""No isolation at what `secagg_plus` plans against a lying server, in cohorts that it accepts.

The plan is asked, as a session asks it, and not only the finder behind it: what counts is the
smallest cohort that begins, with the corrupt clients all in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from itertools import chain, product
from math import comb
from typing import cast

import numpy as np
import pytest
from oracles.isolation import Ring, any_isolation, gaps
from oracles.placements import PATTERNS, most_in_a_window, tolerated, two_crowds

from secagg import protocols
from secagg.crypto.rng import StreamRng
from secagg.protocol import Level, Task
from secagg.protocols._masking.graph import CompleteGraph, HararyGraph, draw_graph
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import client

SIZES = (50, 60, 61, 80, 100, 150, 200, 300, 500, 1000, 2000)
RATES = ("0.05", "0.1")
TASKS = list(product(SIZES, RATES, RATES))


@cache
def planned(count: int, corrupt: str, dropout: str) -> MaskingPlan:
    task = Task(
        clients=tuple(client(number) for number in range(count)),
        length=1,
        bound=1,
        level=Level.MALICIOUS,
        corrupt=Decimal(corrupt),
        dropout=Decimal(dropout),
    )
    return cast(MaskingPlan, protocols.get("secagg_plus").plan(task))


SPARSE = [task for task in TASKS if not planned(*task).complete]


def cohorts(plan: MaskingPlan) -> tuple[int, ...]:
    """Of all that may begin the smallest, the largest, and one in between."""
    smallest, largest = plan.smallest_cohort, len(plan.task.clients)
    return smallest, (smallest + largest) // 2, largest


def drawn(plan: MaskingPlan, size: int, number: int) -> HararyGraph:
    graph = draw_graph(size, plan.degree, number.to_bytes(32, "big"))
    assert isinstance(graph, HararyGraph)
    return graph


def test_the_tasks_reach_both_graphs() -> None:
    assert len(SPARSE) > 30
    assert {task[0] for task in SPARSE} == set(SIZES) - {50}


@pytest.mark.parametrize("task", [task for task in TASKS if task not in SPARSE])
def test_on_the_complete_graph_two_quorums_share_an_honest_client(
    task: tuple[int, str, str],
) -> None:
    plan = planned(*task)
    count = len(plan.task.clients)
    assert isinstance(draw_graph(count, plan.degree, bytes(32)), CompleteGraph)
    assert 2 * plan.threshold > count + plan.corrupt
    assert plan.smallest_cohort >= plan.minimum >= plan.threshold


def expected_beyond(size: int, corrupt: int, drawn_from: int, limit: int) -> tuple[int, int]:
    """The expected number of windows with more than `limit` corrupt, as numerator and denominator.

    Of all clients that each draw a window, or of all places that begin one: there are `size`.
    """
    ways = sum(
        comb(corrupt, more) * comb(size - corrupt, drawn_from - more)
        for more in range(limit + 1, min(corrupt, drawn_from) + 1)
    )
    return size * ways, comb(size, drawn_from)


@pytest.mark.parametrize("task", SPARSE)
def test_the_premises_of_the_lemma_fail_rarely_in_every_cohort(task: tuple[int, str, str]) -> None:
    """Too many corrupt neighbours, or too many in a window: each less likely than 2**-41."""
    plan = planned(*task)
    near, reach = plan.corrupt_neighbours, plan.degree // 2
    window = plan.threshold - reach - 2
    assert 2 * plan.threshold > plan.degree + 1 + near
    assert plan.corrupt == plan.task.corrupt_count > 0
    for size in cohorts(plan):
        assert size >= plan.degree + 2
        for places, limit in ((plan.degree, near), (reach, window)):
            above, whole = expected_beyond(size, plan.corrupt, places, limit)
            assert above << (plan.task.sigma + 1) <= whole, (size, places)


@pytest.mark.parametrize("task", SPARSE)
def test_no_isolation_on_random_graphs(task: tuple[int, str, str]) -> None:
    plan = planned(*task)
    for number, size in enumerate(cohorts(plan)):
        graph = drawn(plan, size, number)
        # Which of them are corrupt does not matter: the order on the ring is random.
        ring = Ring.drawn(graph, plan.threshold, range(plan.corrupt))
        assert most_in_a_window(ring) <= tolerated(ring)
        assert max(ring.given[~ring.corrupt]) <= plan.corrupt_neighbours
        assert gaps(ring, acknowledged=True) == []
        assert any_isolation(ring, acknowledged=True) is None


def filled(plan: MaskingPlan, size: int, order: Iterable[int]) -> Ring:
    """All the corrupt clients, each at the first place where the premises still hold."""
    reach, window = plan.degree // 2, plan.threshold - plan.degree // 2 - 2
    marks = np.zeros(size, dtype=np.int64)
    in_windows, near = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    steps = np.arange(-plan.degree // 2, plan.degree // 2 + 1)
    for place in order:
        windows = (place - np.arange(reach)) % size
        around = (place + steps) % size
        if (
            not marks[place]
            and in_windows[windows].max() < window
            and near[around].max() < plan.corrupt_neighbours
        ):
            marks[place] = 1
            in_windows[windows] += 1
            near[around] += 1
        if marks.sum() == plan.corrupt:
            break
    return Ring(plan.degree, plan.threshold, marks.astype(np.bool_))


def orders(plan: MaskingPlan, size: int) -> dict[str, Iterable[int]]:
    """Where corrupt clients may help most: side by side, around two gaps, or anywhere."""
    half, reach = size // 2, plan.degree // 2
    words = np.frombuffer(StreamRng(bytes(32)).bytes(8 * size), dtype="<u8")
    return {
        "from one place on": range(size),
        "from two places on": chain.from_iterable((step, half + step) for step in range(half)),
        "around two places": chain.from_iterable(
            (step % size, (half + step) % size) for far in range(half) for step in (far, -far)
        ),
        "two gaps as close as can be": chain(
            chain.from_iterable((step, reach + 1 + step) for step in range(reach)), range(size)
        ),
        "anywhere": np.argsort(words).tolist(),
    }


@pytest.mark.parametrize("task", SPARSE)
def test_no_isolation_wherever_the_corrupt_are(task: tuple[int, str, str]) -> None:
    """As many as the plan withstands, where they help most within the lemma's premises."""
    plan = planned(*task)
    for size in {plan.smallest_cohort, len(plan.task.clients)}:
        for name, order in orders(plan, size).items():
            ring = filled(plan, size, order)
            assert most_in_a_window(ring) <= tolerated(ring), name
            assert max(ring.given[~ring.corrupt]) <= plan.corrupt_neighbours, name
            if name == "from one place on":
                assert most_in_a_window(ring) == min(tolerated(ring), plan.corrupt)
            assert gaps(ring, acknowledged=True) == [], (name, size)


@pytest.mark.parametrize("task", [task for task in SPARSE if task[0] >= 80])
def test_beyond_the_premises_the_planner_finds_a_way(task: tuple[int, str, str]) -> None:
    """So that it is not blind at these parameters: one corrupt client more in two windows."""
    plan = planned(*task)
    for pattern in PATTERNS:
        graph = drawn(plan, plan.smallest_cohort, 7)
        corrupt = two_crowds(graph, plan.threshold, pattern, 1)
        assert any_isolation(Ring.drawn(graph, plan.threshold, corrupt), acknowledged=True)
