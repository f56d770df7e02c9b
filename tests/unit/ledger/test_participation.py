"""Who took part in which sum: what is refused, what is reported, what several single out."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.errors import DecodeError, NearIdenticalCohort, ParameterError
from secagg.ledger import Participation, Taken
from secagg.ledger.participation import LEAST

MODEL, OTHER = bytes(32), bytes([1]) * 32


def taken(number: int, included: tuple[int, ...], model: bytes = MODEL) -> Taken:
    return Taken(bytes([number]) * 32, number, model, included)


def record(*cohorts: tuple[int, ...], least: int = LEAST) -> Participation:
    found = Participation(least)
    for number, included in enumerate(cohorts):
        found.add(taken(number, included))
    return found


@pytest.mark.parametrize(
    ("included", "differing"),
    [
        ((0, 1, 2, 3), (4,)),
        ((0, 1, 2, 3, 4, 5), (5,)),
        ((0, 1, 2, 3, 5), (4, 5)),
        ((1, 2, 3), (0, 4)),
    ],
)
def test_a_cohort_that_is_nearly_the_same_is_refused(
    included: tuple[int, ...], differing: tuple[int, ...]
) -> None:
    one = record((0, 1, 2, 3, 4))
    with pytest.raises(NearIdenticalCohort, match="on the same model") as refused:
        one.check(taken(9, included))
    assert refused.value.clients == differing
    (overlap,) = one.overlaps(taken(9, included))
    assert (overlap.differing, overlap.same_model) == (differing, True)
    assert overlap.earlier.included == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("included", [(0, 1, 2, 3, 4), (0, 1), (5, 6, 7), (2, 3, 4, 5, 6)])
def test_the_same_cohort_and_a_quite_different_one_are_not(included: tuple[int, ...]) -> None:
    one = record((0, 1, 2, 3, 4))
    one.check(taken(9, included))
    assert not one.overlaps(taken(9, included))


@pytest.mark.parametrize(("least", "refused"), [(2, False), (3, True), (4, True)])
def test_how_much_cohorts_have_to_differ_is_exact(least: int, refused: bool) -> None:
    one = record((0, 1, 2, 3, 4), least=least)
    if refused:
        with pytest.raises(NearIdenticalCohort):
            one.check(taken(9, (0, 1, 2)))
    else:
        one.check(taken(9, (0, 1, 2)))


def test_on_another_model_it_is_only_reported() -> None:
    one = record((0, 1, 2, 3, 4))
    later = taken(9, (0, 1, 2, 3), OTHER)
    one.check(later)
    (overlap,) = one.overlaps(later)
    assert not overlap.same_model
    assert one.singled_out(OTHER, later) == ()


def test_sums_that_single_a_client_out_only_together_are_refused() -> None:
    """No two of them differ by fewer than six; the first two less the third leave client 0."""
    one = record((0, 1, 2, 3, 4, 5), (0, 6, 7, 8, 9, 10), least=2)
    third = taken(9, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
    assert not one.overlaps(third)
    assert one.singled_out(MODEL) == ()
    with pytest.raises(NearIdenticalCohort, match="singles out 1 clients") as refused:
        one.check(third)
    assert refused.value.clients == (0,)
    one.add(third)
    assert one.singled_out(MODEL) == (0,)
    # What is known is known: a further sum that adds nothing to it is not refused for it.
    one.check(taken(10, (20, 21, 22)))


def test_a_sum_of_one_singles_out() -> None:
    assert record((4,)).singled_out(MODEL) == (4,)


def over_fractions(cohorts: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The same by the definition, over the rational numbers: whether a rank stays the same."""

    def rank(rows: list[list[Fraction]]) -> int:
        rows, found = [list(row) for row in rows], 0
        for column in range(8):
            pivots = [row for row in rows[found:] if row[column]]
            if not pivots:
                continue
            pivot = pivots[0]
            rows.remove(pivot)
            rows.insert(found, pivot)
            for row in rows[found + 1 :]:
                factor = row[column] / pivot[column]
                row[:] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
            found += 1
        return found

    def row(members: tuple[int, ...]) -> list[Fraction]:
        return [Fraction(int(n in members)) for n in range(8)]

    rows = [row(members) for members in cohorts]
    return tuple(n for n in range(8) if rows and rank([*rows, row((n,))]) == rank(rows))


COHORTS = st.lists(
    st.sets(st.integers(0, 7), min_size=1).map(lambda members: tuple(sorted(members))), max_size=8
)


@given(COHORTS)
def test_who_is_singled_out_is_whose_unit_vector_is_in_the_span(
    cohorts: list[tuple[int, ...]],
) -> None:
    assert record(*cohorts).singled_out(MODEL) == over_fractions(cohorts)


def test_a_sum_is_on_record_once() -> None:
    one = record((0, 1, 2))
    one.add(taken(0, (0, 1, 2)))
    assert one.sums == (taken(0, (0, 1, 2)),)
    with pytest.raises(ParameterError, match="another cohort"):
        one.add(taken(0, (0, 1, 3)))


@pytest.mark.parametrize("included", [(), (1, 1), (2, 1), (-1, 2)])
def test_indices_ascend(included: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="ascending"):
        taken(1, included)


@pytest.mark.parametrize("least", [1, 0, -3])
def test_a_least_difference_that_refuses_nothing_is_an_error(least: int) -> None:
    with pytest.raises(ParameterError, match="2 or more"):
        Participation(least)


@given(COHORTS)
def test_it_is_stored_and_read_back(cohorts: list[tuple[int, ...]]) -> None:
    one = record(*cohorts, least=5)
    again = Participation.decode(one.encode())
    assert (again.least, again.sums) == (5, one.sums)


def test_what_is_no_record_is_refused() -> None:
    data = record((0, 1, 2), (3, 4)).encode()
    flipped = [data[:n] + bytes([data[n] ^ 0x40]) + data[n + 1 :] for n in (0, 2, 3)]
    twice = msgspec.msgpack.encode((3, [taken(0, (0, 1)), taken(0, (0, 2))]))
    again = msgspec.msgpack.encode((3, [taken(0, (0, 1)), taken(0, (0, 1))]))
    for bad in (b"", data[:-1], data + b"\0", *flipped, twice, again):
        with pytest.raises(DecodeError):
            Participation.decode(bad)
