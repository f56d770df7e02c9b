"""The flow planner on the ring: where a lying server can isolate a group, and where it cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.isolation import (
    Lies,
    Ring,
    any_isolation,
    declare_dead,
    gaps,
    isolates,
    smallest_group,
)
from oracles.placements import PATTERNS, crowded, most_in_a_window, tolerated, two_crowds

from secagg.errors import ParameterError
from secagg.protocols._masking.graph import CompleteGraph, HararyGraph
from secagg.protocols._masking.parameters import GraphParameters, secagg_plus_parameters

Pair = tuple[int, int]


def graph_of(number: int, size: int, degree: int) -> HararyGraph:
    return HararyGraph(size, degree, number.to_bytes(32, "big"))


def honest_ring(size: int, degree: int, threshold: int) -> Ring:
    return Ring(degree, threshold, np.zeros(size, dtype=np.bool_))


def assert_read(
    graph: HararyGraph, threshold: int, corrupt: Collection[int], lies: Lies, acknowledged: bool
) -> None:
    """The lies do what they claim, by the graph of the protocol itself."""
    position = graph.ring.tolist()
    group, declared = ({position[place] for place in p} for p in (lies.group, lies.declared))
    told = {
        position[holder]: {position[place] for place in dead} for holder, dead in lies.told.items()
    }
    for holder, dead in told.items():
        assert holder not in corrupt
        assert dead <= declared & set(graph.neighbours(holder))
        assert graph.degree + 1 - len(dead) >= threshold
        assert not (acknowledged and holder in declared)
    for victim in declared:
        shares = sum(victim in dead for dead in told.values())
        assert shares + len(set(corrupt) & set(graph.neighbours(victim))) >= threshold
    assert group
    assert not group & {*corrupt, *declared}
    around = {other for place in group for other in graph.neighbours(place)}
    assert around <= {*group, *declared, *corrupt}
    assert graph.size > len(group) + len(declared) + len(corrupt)


# --- without acknowledgements ---------------------------------------------------------------------

# Size, degree, threshold, and the smallest group that can be isolated although nobody is corrupt.
UNCORRECTED = [
    (100, 18, 13, 8),
    (1_000, 52, 37, 32),
    (10_000, 62, 44, 38),
    (1_000_000, 78, 55, 46),
    (1_000, 398, 223, 1),
    (100, 99, 67, 51),  # the complete graph with a threshold of two thirds
]


@pytest.mark.parametrize(("size", "degree", "threshold", "expected"), UNCORRECTED)
def test_without_acknowledgements_honest_clients_do_not_help(
    size: int, degree: int, threshold: int, expected: int
) -> None:
    ring = honest_ring(size, degree, threshold)
    lies = smallest_group(ring, acknowledged=False, largest=expected, starts=[0])
    assert lies is not None
    assert len(lies.group) == expected
    assert max(map(len, lies.told.values())) <= degree + 1 - threshold


@pytest.mark.parametrize(("size", "degree", "threshold", "expected"), UNCORRECTED[:2])
def test_the_lies_work_on_the_graph_of_the_protocol(
    size: int, degree: int, threshold: int, expected: int
) -> None:
    graph = graph_of(0, size, degree)
    lies = isolates(Ring.drawn(graph, threshold, ()), 17, expected, acknowledged=False)
    assert lies is not None
    assert_read(graph, threshold, (), lies, acknowledged=False)


# Size, degree, threshold, and the smallest group of each of the first graphs, with 5 % corrupt.
CORRUPT = [
    (100, 18, 13, [1, 2, 2, 1, 1, 1]),
    (1_000, 52, 37, [10, 5, 14, 14, 10, 12]),
    (10_000, 62, 44, [9, 12, 11, 9, 3, 11]),
]


@pytest.mark.parametrize(("size", "degree", "threshold", "expected"), CORRUPT)
def test_without_acknowledgements_a_few_corrupt_clients_suffice(
    size: int, degree: int, threshold: int, expected: list[int]
) -> None:
    corrupt = range(size // 20)
    found = []
    for number in range(len(expected)):
        graph = graph_of(number, size, degree)
        ring = Ring.drawn(graph, threshold, corrupt)
        lies = smallest_group(ring, acknowledged=False, largest=40)
        assert lies is not None
        assert_read(graph, threshold, corrupt, lies, acknowledged=False)
        found.append(len(lies.group))
    assert found == expected


# --- with acknowledgements ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "degree", "threshold"),
    [*(row[:3] for row in UNCORRECTED[:3]), (10_000, 72, 51), (1_000, 398, 223)],
)
def test_with_acknowledgements_a_server_alone_isolates_nobody(
    size: int, degree: int, threshold: int
) -> None:
    ring = honest_ring(size, degree, threshold)
    assert gaps(ring, acknowledged=True, shortcuts=False, starts=[0]) == []
    assert gaps(ring, acknowledged=False, shortcuts=False, starts=[0]) == [0]


EMITTED: list[tuple[int, str, Pair]] = [
    (100, "0.05", (24, 19)),
    (1_000, "0.05", (76, 58)),
    (10_000, "0.05", (90, 68)),
    (100, "0.1", (44, 34)),
    (1_000, "0.1", (138, 102)),
    (10_000, "0.1", (172, 126)),
]


def emitted(size: int, rate: str) -> list[GraphParameters]:
    """For a full first round, and as a plan asks: for the smallest first round that it accepts."""
    smallest = size - int(Fraction(rate) * size)
    return [
        secagg_plus_parameters(size, rate, rate, server="malicious"),
        secagg_plus_parameters(size, rate, rate, server="malicious", smallest=smallest),
    ]


@pytest.mark.parametrize(("size", "rate", "expected"), EMITTED)
def test_the_finder_emits_the_corrected_parameters(size: int, rate: str, expected: Pair) -> None:
    found, _ = emitted(size, rate)
    assert (*found[:2], found.complete) == (*expected, False)


@pytest.mark.parametrize(("size", "rate"), [row[:2] for row in EMITTED])
def test_no_isolation_on_random_graphs(size: int, rate: str) -> None:
    full, planned = emitted(size, rate)
    rounds = ((full, size), (planned, size), (planned, size - planned.dropped))
    for number, (found, present) in enumerate(rounds):
        ring = Ring.drawn(
            graph_of(number, present, found.degree), found.threshold, range(found.corrupt)
        )
        assert most_in_a_window(ring) <= tolerated(ring)
        assert gaps(ring, acknowledged=True, shortcuts=False, starts=crowded(ring, 50)) == []
        assert gaps(ring, acknowledged=True) == []


def rings_at_the_bound(found: GraphParameters) -> Iterator[Ring]:
    """Every window holds as many corrupt clients as the threshold tolerates, on 12 windows."""
    reach = found.degree // 2
    for pattern in PATTERNS:
        block = pattern(reach, found.threshold - reach - 2)
        yield Ring(found.degree, found.threshold, np.tile(block, 12))


@pytest.mark.parametrize(("size", "rate"), [row[:2] for row in EMITTED])
def test_no_isolation_with_every_window_at_its_bound(size: int, rate: str) -> None:
    for found in emitted(size, rate):
        for ring in rings_at_the_bound(found):
            assert most_in_a_window(ring) == tolerated(ring)
            # The ring repeats itself after one window.
            starts = range(ring.reach)
            assert gaps(ring, acknowledged=True, shortcuts=False, starts=starts) == []


@pytest.mark.parametrize(("size", "rate"), [row[:2] for row in EMITTED])
def test_the_bound_on_windows_is_tight(size: int, rate: str) -> None:
    """Two windows with one corrupt client more than tolerated, and the ring can be cut there."""
    for found, pattern in product(emitted(size, rate), PATTERNS):
        graph = graph_of(3, 4 * found.degree, found.degree)
        within, beyond = (two_crowds(graph, found.threshold, pattern, excess) for excess in (0, 1))
        ring = Ring.drawn(graph, found.threshold, within)
        assert any_isolation(ring, acknowledged=True) is None
        lies = any_isolation(Ring.drawn(graph, found.threshold, beyond), acknowledged=True)
        assert lies is not None
        assert_read(graph, found.threshold, beyond, lies, acknowledged=True)


@pytest.mark.parametrize(("size", "degree", "threshold"), [row[:3] for row in UNCORRECTED[:3]])
def test_acknowledgements_alone_do_not_correct_the_parameters(
    size: int, degree: int, threshold: int
) -> None:
    """6 of 100, 20 of 1000 or 24 of 10 000 corrupt clients, where they help most, defeat it."""
    graph = graph_of(0, size, degree)
    for pattern in PATTERNS:
        corrupt = two_crowds(graph, threshold, pattern, 1)
        assert len(corrupt) == {100: 6, 1_000: 20, 10_000: 24}[size]
        lies = any_isolation(Ring.drawn(graph, threshold, corrupt), acknowledged=True)
        assert lies is not None
        assert_read(graph, threshold, corrupt, lies, acknowledged=True)


@settings(max_examples=25)
@given(
    size=st.integers(50, 400),
    corrupt=st.integers(0, 20),
    dropped=st.integers(0, 10),
    number=st.integers(0, 2**64),
)
def test_no_isolation_for_whatever_the_finder_emits(
    size: int, corrupt: int, dropped: int, number: int
) -> None:
    rates = Fraction(corrupt, 100), Fraction(dropped, 100)
    try:
        found = secagg_plus_parameters(size, *rates, server="malicious")
    except ParameterError:
        return
    assume(not found.complete)
    graph = graph_of(number, size, found.degree)
    ring = Ring.drawn(graph, found.threshold, range(found.corrupt))
    assert any_isolation(ring, acknowledged=True) is None
    for ring in rings_at_the_bound(found):
        starts = range(ring.reach)
        assert gaps(ring, acknowledged=True, starts=starts) == []


# --- the oracle itself ----------------------------------------------------------------------------


@given(st.integers(1, 6), st.data())
def test_near_means_neighbours(reach: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(2 * reach + 1, 40))
    graph = graph_of(data.draw(st.integers(0, 1000)), size, 2 * reach)
    ring = Ring.drawn(graph, 2, [0])
    places = np.arange(size)
    near = ring.near(places, places)
    position = graph.ring.tolist()
    for place in range(size):
        neighbours = sorted(position[other] for other in np.flatnonzero(near[place]).tolist())
        assert tuple(neighbours) == graph.neighbours(position[place])
        around = ring.around(np.array([place]))
        assert around.tolist() == np.flatnonzero(near[place]).tolist()
    assert np.flatnonzero(ring.corrupt).tolist() == [position.index(0)]


def test_an_odd_degree_is_the_complete_graph() -> None:
    ring, places = honest_ring(10, 9, 7), np.arange(10)
    near = ring.near(places, places)
    for place in range(10):
        assert tuple(np.flatnonzero(near[place]).tolist()) == CompleteGraph(10).neighbours(place)


def by_hand(ring: Ring, rims: set[int], acknowledged: bool) -> bool:
    """Try every way to lie to every holder."""
    position = range(ring.size)

    def neighbours(place: int) -> set[int]:
        steps = range(1, ring.reach + 1)
        return {(place + sign * step) % ring.size for step in steps for sign in (1, -1)}

    declared = sorted(place for place in rims if not ring.corrupt[place])
    held = [sum(bool(ring.corrupt[w]) for w in neighbours(v)) for v in declared]
    sums = {tuple(held)}
    for holder in position:
        if ring.corrupt[holder]:
            continue
        if acknowledged and holder in declared:
            c = held[declared.index(holder)]
            # Those that may sign a digest with it: all but the honest that call it dead.
            if ring.degree + 1 - (ring.threshold - c) < ring.threshold:
                continue
        mine = [i for i, v in enumerate(declared) if v in neighbours(holder)]
        most = ring.degree + 1 - ring.threshold
        lies = [
            lie for count in range(min(most, len(mine)) + 1) for lie in combinations(mine, count)
        ]
        sums = {
            tuple(min(got + (i in lie), ring.threshold) for i, got in enumerate(before))
            for before in sums
            for lie in lies
        }
    return any(all(got >= ring.threshold for got in final) for final in sums)


@settings(max_examples=150)
@given(st.data())
def test_the_flow_is_the_best_way_to_lie(data: st.DataObject) -> None:
    reach = data.draw(st.integers(1, 3))
    size = data.draw(st.integers(2 * reach + 1, 11))
    threshold = data.draw(st.integers(reach, 2 * reach + 1))
    corrupt = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    rims = data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=4))
    acknowledged = data.draw(st.booleans())
    ring = Ring(2 * reach, threshold, corrupt)
    expected = by_hand(ring, rims, acknowledged)
    for shortcuts in (True, False):
        told = declare_dead(
            ring, np.array(sorted(rims)), acknowledged=acknowledged, shortcuts=shortcuts
        )
        assert (told is not None) == expected
