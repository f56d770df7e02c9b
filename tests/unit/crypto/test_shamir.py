from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.crypto import shamir
from secagg.crypto.rng import seeded
from secagg.errors import DecodeError, ParameterError, VerificationError
from secagg.types import Secret


def secrets(count: int, seed: int = 1) -> list[Secret]:
    rng = seeded(seed)
    return [Secret(rng.bytes(32)) for _ in range(count)]


def test_any_threshold_of_the_holders_rebuilds() -> None:
    numbers = (0, 1, 5, 9, 1000)
    chosen = secrets(3)
    shares = shamir.split(chosen, 3, numbers, seeded(2))
    assert shares.shape == (3, 5, 5)
    for rows in itertools.permutations(range(5), 3):
        rebuilt = shamir.combine(shares[:, list(rows)], [numbers[row] for row in rows])
        assert rebuilt == chosen


def test_fewer_shares_rebuild_something_else() -> None:
    chosen = secrets(1)
    shares = shamir.split(chosen, 3, range(5), seeded(2))
    for rows in itertools.combinations(range(5), 2):
        try:
            rebuilt = shamir.combine(shares[:, list(rows)], rows)
        except VerificationError:
            continue
        assert rebuilt != chosen


def test_fewer_shares_fit_every_secret() -> None:
    """For t - 1 shares and any other secret there is a polynomial through both: nothing leaks."""
    p = shamir.PRIME
    shares = shamir.split(secrets(1), 2, (0, 1), seeded(3))
    value = int(shares[0, 0, 0])
    for candidate in (0, 1, 12345, (1 << 56) - 1):
        slope = (value - candidate) % p  # the point of holder 0 is 1
        assert (candidate + slope) % p == value


def test_coefficients_are_fresh_for_every_secret_and_limb() -> None:
    zero = [Secret(bytes(32))] * 4
    shares = shamir.split(zero, 2, (0, 1), seeded(4))
    # A share of zero at point 1 is the polynomial's one coefficient.
    coefficients = shares[:, 0, :].ravel().tolist()
    assert len(set(coefficients)) == len(coefficients)
    assert min(coefficients) > 1 << 40


@given(
    count=st.integers(1, 4),
    holders=st.sets(st.integers(0, 1 << 20), min_size=1, max_size=12),
    data=st.data(),
)
def test_round_trips(count: int, holders: set[int], data: st.DataObject) -> None:
    numbers = sorted(holders)
    threshold = data.draw(st.integers(1, len(numbers)))
    rows = data.draw(st.permutations(range(len(numbers))))[:threshold]
    chosen = secrets(count, seed=count)
    shares = shamir.split(chosen, threshold, numbers, seeded(5))
    decoded = shamir.decode_shares(shamir.encode_shares(shares)).reshape(shares.shape)
    np.testing.assert_array_equal(decoded, shares)
    assert shamir.combine(shares[:, list(rows)], [numbers[row] for row in rows]) == chosen


def test_thresholds_that_cannot_hold_are_refused() -> None:
    for threshold in (0, -1, 4):
        with pytest.raises(ParameterError, match=r"1\.\.3"):
            shamir.split(secrets(1), threshold, range(3), seeded(1))
    with pytest.raises(ParameterError, match="32 bytes"):
        shamir.split([Secret(bytes(31))], 2, range(3), seeded(1))


def test_a_wrong_share_never_gives_the_secret() -> None:
    shares = shamir.split(secrets(1), 3, range(3), seeded(6))
    for holder, limb, flip in itertools.product(range(3), range(5), (1, 1 << 60)):
        wrong = shares.copy()
        wrong[0, holder, limb] ^= np.uint64(flip)
        try:
            assert shamir.combine(wrong, range(3)) != secrets(1)
        except VerificationError:
            continue


def test_an_arbitrary_share_is_noticed() -> None:
    """The limbs' ranges leave 49 bits to notice with, so a random share passes once in 2**49."""
    shares = shamir.split(secrets(1), 3, range(3), seeded(6))
    rng = seeded(7)
    for holder in range(3):
        wrong = shares.copy()
        wrong[0, holder] = np.frombuffer(rng.bytes(40), dtype="<u8") & np.uint64(shamir.PRIME - 1)
        with pytest.raises(VerificationError):
            shamir.combine(wrong, range(3))


def test_shares_that_are_not_canonical_are_refused() -> None:
    good = shamir.encode_shares(shamir.split(secrets(1), 2, range(2), seeded(7)))
    with pytest.raises(DecodeError, match="40 bytes each, got 79"):
        shamir.decode_shares(good[:-1])
    for value in (shamir.PRIME, shamir.PRIME + 1, (1 << 64) - 1):
        with pytest.raises(DecodeError, match=r"below 2\*\*61"):
            shamir.decode_shares(value.to_bytes(8, "little") + good[8:])


@pytest.mark.parametrize("place", range(shamir.LIMBS))
def test_one_share_is_checked_as_when_it_is_decoded(place: int) -> None:
    good = shamir.encode_shares(shamir.split(secrets(1), 2, range(1, 3), seeded(7))[0, 0])
    shamir.check_share(good)
    for size in (0, 8, 39, 41, 80):
        with pytest.raises(DecodeError, match=f"40 bytes, got {size}"):
            shamir.check_share((good + good)[:size])
    for value in (0, shamir.PRIME - 1, shamir.PRIME, shamir.PRIME + 1, (1 << 64) - 1):
        data = good[: 8 * place] + value.to_bytes(8, "little") + good[8 * place + 8 :]
        if value < shamir.PRIME:
            shamir.decode_shares(data)
            shamir.check_share(data)
            continue
        for refuse in (shamir.decode_shares, shamir.check_share):
            with pytest.raises(DecodeError, match=r"below 2\*\*61"):
                refuse(data)


def test_rejected_coefficients_are_drawn_again() -> None:
    class Stuck:
        """61 ones first, which is the prime itself, then an ordinary stream."""

        def __init__(self) -> None:
            self.calls = 0

        def bytes(self, count: int) -> bytes:
            self.calls += 1
            return b"\xff" * count if self.calls == 1 else seeded(8).bytes(count)

    rng = Stuck()
    shares = shamir.split(secrets(1), 2, range(2), rng)
    assert rng.calls == 2
    assert int(shares.max()) < shamir.PRIME
    assert shamir.combine(shares, range(2)) == secrets(1)
