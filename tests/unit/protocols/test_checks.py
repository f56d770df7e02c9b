"""The checks of both levels one by one, with plans on which each is the first to refuse."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from conformance.scenario import Scenario

from secagg import protocols
from secagg.errors import CohortTooSmall, InvalidKey, RemoteProtocolError
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking import checks
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import encode_numbers
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import SERVER, client

ME = client(2)


def plan(**fields: Any) -> MaskingPlan:
    """Of twelve clients on the complete graph, or with other fields than follow from its task."""
    derived = Scenario(protocols.get("secagg"), 12).plan
    assert isinstance(derived, MaskingPlan)
    return msgspec.structs.replace(derived, **fields)


SPARSE = plan(complete=False, degree=4, threshold=3, minimum=6, smallest_cohort=6)


def bits(*numbers: int) -> bytes:
    return encode_bitmap(SPARSE.task.clients, numbers)


def test_bitmaps() -> None:
    assert checks.read_bitmap(SPARSE, bits(0, 11), SERVER) == {0, 11}
    for data, words in ((bytes(1), "of 2 bytes, got 1"), (b"\0\x10", "beyond the last client")):
        with pytest.raises(RemoteProtocolError, match=words) as refused:
            checks.read_bitmap(SPARSE, data, SERVER)
        assert refused.value.culprit == SERVER


def test_numbers() -> None:
    assert checks.read_numbers(encode_numbers((1, 5)), SERVER) == (1, 5)
    for data, words in (
        (bytes(5), "got 5 bytes"),
        (encode_numbers((5, 1)), "ascend"),
        (encode_numbers((1, 1)), "ascend"),
    ):
        with pytest.raises(RemoteProtocolError, match=words) as refused:
            checks.read_numbers(data, SERVER)
        assert refused.value.culprit == SERVER


def test_rows() -> None:
    assert checks.read_rows(b"abcd", 2, 2, "pairs", SERVER) == [b"ab", b"cd"]
    assert checks.read_rows(b"", 2, 0, "pairs", SERVER) == []
    for data in (b"abc", b"abcde", b"", b"abcdef"):
        with pytest.raises(
            RemoteProtocolError, match=f"2 bytes of pairs for each of 2, got {len(data)}"
        ):
            checks.read_rows(data, 2, 2, "pairs", SERVER)


@pytest.mark.parametrize(
    ("cohort", "neighbours", "error", "words"),
    [
        (range(5), (0, 1, 3, 4), CohortTooSmall, "at least 6 clients in phase advertise, got 5"),
        ((0, 1, 3, 4, 5, 6), (0, 1, 3, 4), RemoteProtocolError, "with me and all my neighbours"),
        (range(6), (0, 1, 3, 6), RemoteProtocolError, "with me and all my neighbours"),
        (range(6), (0, 1, 2, 3), RemoteProtocolError, "with me and all my neighbours"),
        (range(6), (0, 1, 3), RemoteProtocolError, "expected 4 neighbours, got 3"),
        (range(6), (0, 1, 3, 4, 5), RemoteProtocolError, "expected 4 neighbours, got 5"),
    ],
)
def test_cohorts(
    cohort: Any, neighbours: Any, error: type[RemoteProtocolError], words: str
) -> None:
    good = checks.check_cohort(SPARSE, ME, bits(*range(6)), encode_numbers((0, 1, 3, 5)), SERVER)
    assert good == (0, 1, 3, 5)
    with pytest.raises(error, match=words) as refused:
        checks.check_cohort(SPARSE, ME, bits(*cohort), encode_numbers(neighbours), SERVER)
    assert type(refused.value) is error


def test_in_a_small_cohort_all_are_neighbours() -> None:
    """Fewer than the degree: all others then, and no fewer."""
    small = msgspec.structs.replace(SPARSE, smallest_cohort=3)
    column = encode_numbers((0, 1, 3))
    assert checks.check_cohort(small, ME, bits(0, 1, 2, 3), column, SERVER) == (0, 1, 3)
    with pytest.raises(RemoteProtocolError, match="expected 3 neighbours, got 2"):
        checks.check_cohort(small, ME, bits(0, 1, 2, 3), column[:8], SERVER)


@pytest.mark.parametrize(("complete", "size"), [(True, 0), (False, 32)])
def test_graph_seeds(complete: bool, size: int) -> None:
    shape = msgspec.structs.replace(SPARSE, complete=complete)
    checks.check_graph_seed(shape, bytes(size), SERVER)
    for other in {0, 31, 32, 33} - {size}:
        with pytest.raises(RemoteProtocolError, match=f"seed of {other} bytes does not fit"):
            checks.check_graph_seed(shape, bytes(other), SERVER)


KEYS = [bytes((9, number)) + bytes(30) for number in range(6)]


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        (KEYS[2:5], RemoteProtocolError, "64 bytes of keys for each of 2, got 96"),
        ([*KEYS[2:5], bytes(32)], InvalidKey, "low order"),
        ([bytes(32), *KEYS[2:5]], InvalidKey, "low order"),
        ([*KEYS[2:5], b"\xff" * 32], InvalidKey, "alias"),
        ([*KEYS[2:5], KEYS[2]], InvalidKey, "distinct"),
        ([*KEYS[2:5], KEYS[0]], InvalidKey, "distinct"),
        ([KEYS[1], *KEYS[2:5]], InvalidKey, "distinct"),
    ],
)
def test_keys(keys: list[bytes], error: type[RemoteProtocolError], words: str) -> None:
    mine = PublicKeys(KEYS[0], KEYS[1])
    assert checks.check_keys(mine, (3, 7), b"".join(KEYS[2:]), SERVER) == {
        3: PublicKeys(KEYS[2], KEYS[3]),
        7: PublicKeys(KEYS[4], KEYS[5]),
    }
    with pytest.raises(error, match=words) as refused:
        checks.check_keys(mine, (3, 7), b"".join(keys), SERVER)
    assert type(refused.value) is error


def test_dealers() -> None:
    neighbours = (0, 1, 3, 5)
    for good in ((0, 5), neighbours):
        assert checks.check_dealers(SPARSE, neighbours, encode_numbers(good), SERVER) == good
    with pytest.raises(RemoteProtocolError, match="dealers among my neighbours"):
        checks.check_dealers(SPARSE, neighbours, encode_numbers((0, 1, 4)), SERVER)
    with pytest.raises(CohortTooSmall, match="at least 3 clients in my neighbourhood, got 2"):
        checks.check_dealers(SPARSE, neighbours, encode_numbers((5,)), SERVER)


@pytest.mark.parametrize(
    ("included", "error", "words"),
    [
        ((0, 1, 3, 4, 5, 6), RemoteProtocolError, "survivors of the cohort, me among them"),
        ((0, 1, 2, 3, 4, 8), RemoteProtocolError, "survivors of the cohort, me among them"),
        ((0, 1, 2, 4, 6), CohortTooSmall, "a sum over at least 6 clients, got 5"),
        ((0, 1, 2, 3, 4, 6), RemoteProtocolError, "a survivor is named that dealt me no shares"),
        ((0, 2, 4, 6, 7, 9), CohortTooSmall, "at least 3 survivors in my neighbourhood, got 2"),
    ],
)
def test_survivors(included: tuple[int, ...], error: type[RemoteProtocolError], words: str) -> None:
    """My neighbours are 0, 1, 3 and 5, of whom 3 dealt no shares; 8 is not of the cohort."""
    cohort = bits(*(number for number in range(10) if number != 8))

    def check(numbers: tuple[int, ...]) -> frozenset[int]:
        named = bits(*numbers)
        return checks.check_survivors(SPARSE, ME, named, cohort, (0, 1, 3, 5), (0, 1, 5), SERVER)

    assert check((0, 2, 4, 5, 6, 7)) == {0, 2, 4, 5, 6, 7}
    with pytest.raises(error, match=words) as refused:
        check(included)
    assert type(refused.value) is error
    assert refused.value.culprit == SERVER
