"""The neighbour graphs: regular, symmetric, hard to cut, uniform, and fixed by the seed."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from secagg.errors import ParameterError
from secagg.protocols._masking.graph import (
    CompleteGraph,
    HararyGraph,
    NeighbourGraph,
    draw_graph,
)

SEED = bytes(range(32))


def numbered_seed(number: int) -> bytes:
    return number.to_bytes(32, "big")


def connected_without(graph: NeighbourGraph, gone: set[int]) -> bool:
    left = set(range(graph.size)) - gone
    queue = [min(left)]
    seen = set(queue)
    while queue:
        fresh = (set(graph.neighbours(queue.pop())) & left) - seen
        seen |= fresh
        queue += fresh
    return seen == left


@st.composite
def ring_graphs(draw: st.DrawFn) -> HararyGraph:
    size = draw(st.integers(3, 60))
    degree = 2 * draw(st.integers(1, (size - 1) // 2))
    return HararyGraph(size, degree, draw(st.binary(min_size=32, max_size=32)))


@given(ring_graphs() | st.builds(CompleteGraph, st.integers(1, 30)))
def test_regular_symmetric_without_loops(graph: NeighbourGraph) -> None:
    for position in range(graph.size):
        neighbours = graph.neighbours(position)
        assert len(neighbours) == graph.degree
        assert list(neighbours) == sorted(set(neighbours))
        assert all(type(other) is int for other in neighbours)
        adjacent = [other for other in range(graph.size) if graph.adjacent(position, other)]
        assert adjacent == list(neighbours)
        assert position not in neighbours
        assert all(position in graph.neighbours(other) for other in neighbours)


@given(ring_graphs(), st.data())
def test_fewer_than_degree_losses_do_not_cut(graph: HararyGraph, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(0, graph.size - 1), max_size=graph.degree - 1))
    assert connected_without(graph, gone)


@given(ring_graphs(), st.data())
def test_one_long_gap_does_not_cut(graph: HararyGraph, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, graph.size - 1))
    assert connected_without(graph, set(graph.ring[:length].tolist()))


def test_two_gaps_of_half_the_degree_cut() -> None:
    graph = HararyGraph(40, 8, SEED)
    first, second = graph.ring[:4].tolist(), graph.ring[20:24].tolist()
    assert not connected_without(graph, {*first, *second})
    assert connected_without(graph, {*first, *second[1:]})


def test_the_ring_is_the_permutation_the_neighbours_follow() -> None:
    graph = HararyGraph(31, 6, SEED)
    assert sorted(graph.ring.tolist()) == list(range(31))
    around = [*graph.ring.tolist(), *graph.ring.tolist()]
    for place in range(3, 34):
        expected = sorted(around[place - 3 : place] + around[place + 1 : place + 4])
        assert list(graph.neighbours(around[place])) == expected
    with pytest.raises(ValueError, match="read-only"):
        graph.ring[0] = 1


def slow_ring(size: int, seed: bytes) -> list[int]:
    """The definition, word by word, from the keystream of the seed under a zero counter."""
    stream = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()
    partners: dict[int, int] = {}
    pending = list(range(1, size))
    while pending:
        rejected = []
        for limit in pending:
            word = int.from_bytes(stream.update(bytes(4)), "little")
            candidate = word % (1 << limit.bit_length())
            if candidate <= limit:
                partners[limit] = candidate
            else:
                rejected.append(limit)
        pending = rejected
    order = list(range(size))
    for place in reversed(range(1, size)):
        other = partners[place]
        order[place], order[other] = order[other], order[place]
    return order


def test_known_answer() -> None:
    # Computed by slow_ring, which shares no code with the implementation. A change here breaks
    # every client that draws the graph for itself.
    expected = [9, 10, 4, 1, 7, 15, 13, 6, 11, 3, 5, 12, 14, 2, 8, 0]
    assert HararyGraph(16, 4, SEED).ring.tolist() == expected
    assert slow_ring(16, SEED) == expected


@given(st.integers(3, 300), st.binary(min_size=32, max_size=32))
def test_the_draw_in_bulk_is_the_draw_word_by_word(size: int, seed: bytes) -> None:
    assert HararyGraph(size, 2, seed).ring.tolist() == slow_ring(size, seed)


def test_the_seed_decides_and_nothing_else() -> None:
    first = HararyGraph(100, 10, SEED)
    assert np.array_equal(first.ring, HararyGraph(100, 20, SEED).ring)
    assert not np.array_equal(first.ring, HararyGraph(100, 10, numbered_seed(1)).ring)


def test_every_order_is_as_likely() -> None:
    # Fixed seeds, so this cannot fail by chance: 24 orders, 200 expected each, and a chi-square
    # with 23 degrees of freedom is above 49.7 once in a thousand times.
    draws = 4800
    seen = Counter(
        tuple(HararyGraph(4, 2, numbered_seed(number)).ring.tolist()) for number in range(draws)
    )
    expected = draws / 24
    assert len(seen) == 24
    assert sum((count - expected) ** 2 / expected for count in seen.values()) < 49.7


def test_every_pair_is_as_likely() -> None:
    # Each of the 55 pairs of 11 is adjacent with probability 4 / 10; 5 standard deviations.
    draws = 2000
    pairs = Counter(
        (first, second)
        for number in range(draws)
        for graph in [HararyGraph(11, 4, numbered_seed(number))]
        for first in range(11)
        for second in graph.neighbours(first)
        if first < second
    )
    assert len(pairs) == 55
    assert all(abs(count - 800) < 5 * (draws * 0.4 * 0.6) ** 0.5 for count in pairs.values())


def test_a_large_graph_is_drawn_quickly() -> None:
    started = time.process_time()
    graph = HararyGraph(100_000, 100, SEED)
    assert time.process_time() - started < 2
    counts = Counter(np.sort(graph.ring).tolist())
    assert len(counts) == 100_000
    ring = graph.ring[:200].tolist()
    assert all(graph.adjacent(first, second) for first, second in pairwise(ring))
    assert graph.adjacent(ring[0], ring[50])
    assert not graph.adjacent(ring[0], ring[51])


@pytest.mark.parametrize(
    ("size", "degree", "kind"),
    [
        (1, 4, CompleteGraph),
        (4, 4, CompleteGraph),
        (5, 4, CompleteGraph),
        (6, 5, CompleteGraph),
        (6, 4, HararyGraph),
        (100, 44, HararyGraph),
    ],
)
def test_too_few_participants_get_the_complete_graph(
    size: int, degree: int, kind: type[NeighbourGraph]
) -> None:
    graph = draw_graph(size, degree, SEED)
    assert type(graph) is kind
    assert (graph.size, graph.degree) == (size, min(degree, size - 1))


def test_a_full_ring_is_complete() -> None:
    ring, complete = HararyGraph(9, 8, SEED), CompleteGraph(9)
    assert all(ring.neighbours(place) == complete.neighbours(place) for place in range(9))


@pytest.mark.parametrize(("size", "degree"), [(2, 2), (10, 3), (10, 0), (10, -2), (10, 10)])
def test_an_impossible_ring_is_refused(size: int, degree: int) -> None:
    with pytest.raises(ParameterError, match="got"):
        HararyGraph(size, degree, SEED)


@pytest.mark.parametrize(("size", "degree"), [(0, 2), (-1, 2), (10, 1), (10, 0), (10, 7)])
def test_an_impossible_draw_is_refused(size: int, degree: int) -> None:
    with pytest.raises(ParameterError, match="got"):
        draw_graph(size, degree, SEED)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_of_another_length_is_refused(seed: bytes) -> None:
    with pytest.raises(ParameterError, match="32 bytes"):
        draw_graph(100, 10, seed)


@pytest.mark.parametrize("graph", [CompleteGraph(10), HararyGraph(10, 4, SEED)])
@pytest.mark.parametrize("position", [-1, 10])
def test_a_position_outside_is_refused(graph: NeighbourGraph, position: int) -> None:
    with pytest.raises(ParameterError, match=r"0\.\.9"):
        graph.neighbours(position)
    with pytest.raises(ParameterError, match=r"0\.\.9"):
        graph.adjacent(position, 0)
    with pytest.raises(ParameterError, match=r"0\.\.9"):
        graph.adjacent(0, position)
