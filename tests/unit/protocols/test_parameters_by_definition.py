"""The parameter finder against its definition, computed slowly, and the events themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg.errors import ParameterError
from secagg.protocols._masking.parameters import (
    GraphParameters,
    Server,
    TailBound,
    Variant,
    complete_graph_parameters,
    secagg_plus_parameters,
)

SERVERS: tuple[Server, ...] = ("curious", "split_view_server", "malicious")
VARIANTS: tuple[Variant, ...] = ("secagg", "fcp")


def more_than(population: int, marked: int, draws: int, count: int) -> Fraction:
    """The probability of more than `count` marked ones among `draws`."""
    ways = sum(
        comb(marked, hits) * comb(population - marked, draws - hits)
        for hits in range(count + 1, min(marked, draws) + 1)
    )
    return Fraction(ways, comb(population, draws))


def disconnection(n: int, removed: int, degree: int) -> Fraction:
    return Fraction(n * (n - degree - 1), 2) * Fraction(comb(removed, degree), comb(n, degree))


def slow_bound(population: int, marked: int, draws: int, limit: Fraction) -> int:
    return next(x for x in range(draws + 1) if more_than(population, marked, draws, x) <= limit)


def slow_search(
    n: int,
    corrupt: int,
    dropped: int,
    sigma: int,
    eta: int,
    server: Server,
    variant: Variant,
    fewest: int,
) -> tuple[int, int] | None:
    """The pseudo-code of the literature, term by term, from the survivors' side for loss."""
    half_budget, loss = Fraction(1, 2 ** (sigma + 1)), Fraction(1, 2**eta)
    for degree in range(2, n - 1, 2):
        if variant == "secagg" and 2 * degree >= fewest:
            return None
        if disconnection(fewest, corrupt + dropped, degree) >= half_budget:
            continue
        least = slow_bound(fewest, corrupt, degree, half_budget / fewest)
        if server != "curious":
            least = (degree + (variant == "secagg") + least) // 2
        if server == "malicious":
            window = slow_bound(fewest, corrupt, degree // 2, half_budget / fewest)
            least = max(least, degree // 2 + 2 + window - 1)
        fewest_alive = max(
            alive
            for alive in range(degree + 1)
            if 1 - more_than(n, n - dropped, degree, alive - 1) <= loss / n
        )
        threshold = max(least + 1, 2)
        if least < fewest_alive and (variant == "fcp" or threshold <= fewest_alive):
            return degree, threshold
    return None


@given(st.data())
def test_a_tail_bound_is_the_quantile_at_every_number_of_draws(data: st.DataObject) -> None:
    population = data.draw(st.integers(1, 60))
    marked = data.draw(st.integers(0, population))
    bits = data.draw(st.integers(1, 50))
    limit = Fraction(1, population * 2**bits)
    tail = TailBound(population, marked, bits)
    for draws in range(1, population + 1):
        tail.draw()
        assert tail.bound == slow_bound(population, marked, draws, limit)


def test_a_tail_bound_may_be_met_exactly() -> None:
    # Of 17 clients that draw 2 each, 17 / comb(17, 2) = 1 / 8 are expected to draw both marked.
    tail, stricter = TailBound(17, 2, bits=3), TailBound(17, 2, bits=4)
    for bound in (tail, stricter, tail, stricter):
        bound.draw()
    assert (tail.bound, stricter.bound) == (1, 2)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_the_search_agrees_with_the_definition(data: st.DataObject) -> None:
    variant = data.draw(st.sampled_from(VARIANTS))
    server = data.draw(st.sampled_from(SERVERS[: 2 if variant == "fcp" else 3]))
    n = data.draw(st.integers(50 if variant == "secagg" else 1, 110))
    corrupt = data.draw(st.integers(0, n // 3))
    dropped = data.draw(st.integers(0, (9 * n // 10 - corrupt) // (1 + (server != "curious"))))
    sigma, eta = data.draw(st.integers(1, 45)), data.draw(st.integers(1, 30))
    fewest = data.draw(st.integers(max(50, corrupt + 1), n)) if variant == "secagg" else n
    rates = Fraction(corrupt, n), Fraction(dropped, n)
    found: GraphParameters | None = None
    with suppress(ParameterError):
        found = secagg_plus_parameters(n, *rates, sigma, eta, server, variant, smallest=fewest)
    expected = slow_search(n, corrupt, dropped, sigma, eta, server, variant, fewest)
    if expected is None and found is not None:
        assert found == complete_graph_parameters(n, *rates, server)
    else:
        assert (found and found[:2]) == expected


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_holds_for_the_smallest_cohort_holds_for_every_larger_one(
    data: st.DataObject,
) -> None:
    n = data.draw(st.integers(50, 120))
    smallest = data.draw(st.integers(50, n))
    corrupt, dropped = data.draw(st.integers(0, n // 5)), data.draw(st.integers(0, n // 5))
    sigma, eta = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    server = data.draw(st.sampled_from(SERVERS))
    rates = Fraction(corrupt, n), Fraction(dropped, n)
    degree, threshold, complete, *_, corrupt_neighbours = secagg_plus_parameters(
        n, *rates, sigma, eta, server, smallest=smallest
    )
    if complete:
        return
    budget = Fraction(1, 2 ** (sigma + 1))
    if server == "curious":
        assert threshold > corrupt_neighbours
    else:
        assert 2 * threshold > degree + 1 + corrupt_neighbours
    for size in range(smallest, n + 1):
        assert disconnection(size, corrupt + dropped, degree) < budget
        assert size * more_than(size, corrupt, degree, corrupt_neighbours) <= budget
        if server == "malicious":
            window = threshold - degree // 2 - 2
            assert size * more_than(size, corrupt, degree // 2, window) <= budget
        absent = max(dropped - (n - size), 0)
        excess = degree - threshold
        assert size * more_than(size, absent, degree, excess) <= Fraction(1, 2**eta)


def test_a_smaller_first_round_costs_neighbours() -> None:
    assert secagg_plus_parameters(1_000, "0.1", "0.1")[:2] == (48, 27)
    assert secagg_plus_parameters(1_000, "0.1", "0.1", smallest=800)[:2] == (50, 30)
    assert secagg_plus_parameters(1_000, "0.1", "0.1", smallest=500)[:2] == (64, 40)
    # Nobody corrupt, so that disconnection alone decides.
    assert secagg_plus_parameters(10_000, "0", "0.33")[:2] == (42, 2)
    assert secagg_plus_parameters(10_000, "0", "0.33", smallest=8_000)[:2] == (52, 2)
    # The windows too are those of the smallest round: among 200 they alone would allow (58, 48).
    found = secagg_plus_parameters(200, "0.1", "0.05", server="malicious", smallest=150)
    assert found[:2] == (60, 50)


@pytest.mark.parametrize(
    ("n", "gamma", "smallest"),
    [
        (60, "1/12", 49),  # a cohort below 50 has the complete graph; (10, 6) would do here
        (1_000, "0.1", 10),
        (1_000, "0.1", 100),  # all of it could be corrupt
        (1_000, "0.3", 60),
        (1_000, "0.3", 350),
    ],
)
def test_too_small_a_first_round_needs_the_complete_graph(
    n: int, gamma: str, smallest: int
) -> None:
    found = secagg_plus_parameters(n, gamma, "0.05", smallest=smallest)
    assert found == complete_graph_parameters(n, gamma, "0.05")


# --- the events themselves, over every way to place the corrupt or the removed on a small ring ----


def rings(n: int, chosen: int) -> Iterator[frozenset[int]]:
    return (frozenset(places) for places in combinations(range(n), chosen))


def around(place: int, n: int, degree: int) -> set[int]:
    reach = degree // 2
    return {(place + step) % n for step in range(-reach, reach + 1) if step}


def cut(n: int, degree: int, gone: frozenset[int]) -> bool:
    left = set(range(n)) - gone
    queue = [min(left)] if left else []
    seen = set(queue)
    while queue:
        fresh = (around(queue.pop(), n, degree) & left) - seen
        seen |= fresh
        queue += fresh
    return seen != left


def share_of(n: int, chosen: int, happens: Callable[[frozenset[int]], bool]) -> Fraction:
    return Fraction(sum(happens(places) for places in rings(n, chosen)), comb(n, chosen))


@pytest.mark.parametrize(("n", "removed", "degree"), [(11, 4, 2), (12, 6, 4), (13, 7, 4)])
def test_disconnection_is_bounded(n: int, removed: int, degree: int) -> None:
    happens = share_of(n, removed, lambda gone: cut(n, degree, gone))
    assert 0 < happens <= disconnection(n, removed, degree)


@pytest.mark.parametrize(
    ("n", "corrupt", "degree", "bits"), [(14, 3, 4, 1), (14, 3, 4, 4), (15, 5, 6, 3)]
)
def test_exposure_and_windows_are_bounded(n: int, corrupt: int, degree: int, bits: int) -> None:
    tail = TailBound(n, corrupt, bits)
    for _ in range(degree):
        tail.draw()

    def exposed(places: frozenset[int]) -> bool:
        return any(
            len(around(place, n, degree) & places) > tail.bound for place in set(range(n)) - places
        )

    assert share_of(n, corrupt, exposed) <= Fraction(1, 2**bits)

    window = TailBound(n, corrupt, bits)
    for _ in range(degree // 2):
        window.draw()

    def crowded(places: frozenset[int]) -> bool:
        return any(
            sum((start + step) % n in places for step in range(degree // 2)) > window.bound
            for start in range(n)
        )

    assert share_of(n, corrupt, crowded) <= Fraction(1, 2**bits)
