"""Many windows at once are decided as each is for itself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import isolation
from oracles.isolation import (
    Marks,
    Places,
    Ring,
    declare_dead,
    gaps,
    isolates,
    left_open,
    smallest_group,
)

from secagg.crypto.rng import StreamRng


def marks(number: int, places: int, per_cent: int) -> Marks:
    """So many places, each marked with this probability."""
    drawn = np.frombuffer(StreamRng(number.to_bytes(32, "big")).bytes(4 * places), dtype="<u4")
    return drawn.astype(np.uint64) * 100 < np.uint64(per_cent << 32)


def every_place(ring: Ring) -> Places:
    return np.arange(ring.size, dtype=np.int64)


@st.composite
def rings(draw: st.DrawFn) -> Ring:
    """Even degrees on rings that barely hold them and on wider ones, and complete graphs."""
    reach = draw(st.integers(1, 7))
    degree = 2 * reach - draw(st.integers(0, 1))
    size = degree + 1 if degree % 2 else draw(st.integers(degree + 1, 6 * reach + 4))
    threshold = draw(st.integers(1, degree + 1))
    per_cent = draw(st.integers(0, 100))
    return Ring(degree, threshold, marks(draw(st.integers(0, 2**32)), size, per_cent))


@settings(max_examples=300)
@given(ring=rings(), acknowledged=st.booleans())
def test_every_window_is_decided_as_by_the_flow(ring: Ring, acknowledged: bool) -> None:
    by_flow = [
        start
        for start in range(ring.size)
        if declare_dead(ring, ring.window(start), acknowledged=acknowledged, shortcuts=False)
        is not None
    ]
    assert gaps(ring, acknowledged=acknowledged) == by_flow
    assert gaps(ring, acknowledged=acknowledged, shortcuts=False) == by_flow


@settings(max_examples=300)
@given(ring=rings(), acknowledged=st.booleans(), data=st.data())
def test_the_cuts_of_all_windows_are_those_of_each(
    ring: Ring, acknowledged: bool, data: st.DataObject
) -> None:
    """For windows and for the rims of arcs of any length."""
    length = data.draw(st.integers(0, ring.size - 1))
    whole = ring.window(0) if length == 0 else ring.rims(0, length)
    open_ones = left_open(ring, whole, every_place(ring), acknowledged=acknowledged)
    with pytest.MonkeyPatch.context() as patch:
        # What comes to the flow has got through the cuts.
        patch.setattr(isolation, "_flow", lambda *_: {})
        for start in range(ring.size):
            rims = ring.window(start) if length == 0 else ring.rims(start, length)
            one = declare_dead(ring, rims, acknowledged=acknowledged)
            assert bool(open_ones[start]) == (one is not None)


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("per_cent", [0, 5, 15, 30, 50, 70, 90])
def test_sparse_and_dense_rings(per_cent: int, acknowledged: bool) -> None:
    """Rings of 60 with 6 neighbours on each side, for all thresholds above half the degree."""
    seen: Counter[bool] = Counter()
    for threshold in range(7, 14):
        ring = Ring(12, threshold, marks(threshold, 60, per_cent))
        found = gaps(ring, acknowledged=acknowledged)
        assert found == gaps(ring, acknowledged=acknowledged, shortcuts=False)
        seen[True] += len(found)
        seen[False] += ring.size - len(found)
    # Both kinds were there to be told apart.
    assert min(seen[True], seen[False]) >= 10


def test_the_corrupt_neighbours_of_each_place() -> None:
    for degree, size in ((2, 3), (6, 7), (6, 20), (9, 10), (1, 2)):
        ring = Ring(degree, 1, np.arange(size) % 3 == 0)
        near = ring.near(every_place(ring), every_place(ring))
        assert ring.given.tolist() == (near & ring.corrupt).sum(axis=1).tolist()


@settings(max_examples=100)
@given(ring=rings(), acknowledged=st.booleans(), data=st.data())
def test_the_smallest_group_is_the_same(
    ring: Ring, acknowledged: bool, data: st.DataObject
) -> None:
    largest = data.draw(st.integers(1, ring.size))
    chosen = st.lists(st.integers(0, ring.size - 1), min_size=1, unique=True)
    starts = data.draw(st.none() | chosen)
    first, second = (
        smallest_group(
            ring, acknowledged=acknowledged, largest=largest, starts=starts, shortcuts=shortcuts
        )
        for shortcuts in (True, False)
    )
    assert first == second


@pytest.mark.parametrize("number", range(6))
def test_the_smallest_group_of_a_ring_with_a_few_corrupt(number: int) -> None:
    """And no arc with fewer members can be isolated, each looked at for itself."""
    ring = Ring(18, 13, marks(number, 100, 5))
    lies = smallest_group(ring, acknowledged=False, largest=50)
    assert lies == smallest_group(ring, acknowledged=False, largest=50, shortcuts=False)
    assert lies is not None
    for start in range(ring.size):
        for length in range(1, len(lies.group)):
            found = isolates(ring, start, length, acknowledged=False, shortcuts=False)
            assert found is None or not found.group


def test_windows_come_in_the_order_asked_for() -> None:
    ring = Ring(12, 9, marks(1, 60, 50))
    found = gaps(ring, acknowledged=True)
    assert len(found) > 2
    backwards = list(reversed(range(ring.size)))
    assert gaps(ring, acknowledged=True, starts=backwards) == found[::-1]
    assert gaps(ring, acknowledged=True, starts=[]) == []
