"""Shamir shares over 2**61 - 1: enough recover, fewer say nothing, wrong ones fail."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg import kernels
from secagg.errors import DecodeError, InputError, ParameterError, VerificationError
from secagg.kernels import PRIME

Words = npt.NDArray[np.uint64]
SIZES = (7, 7, 7, 7, 4)


def words(*values: int) -> Words:
    return np.array(values, dtype=np.uint64)


def drawn(seed: int, count: int, threshold: int) -> Words:
    generator = np.random.default_rng(seed)
    return generator.integers(0, PRIME, (count, 5, threshold - 1), dtype=np.uint64)


def limbs(secret: bytes) -> list[int]:
    ends = [sum(SIZES[: i + 1]) for i in range(5)]
    return [
        int.from_bytes(secret[end - size : end], "little")
        for end, size in zip(ends, SIZES, strict=True)
    ]


@pytest.mark.parametrize(("threshold", "holders"), [(1, 1), (1, 4), (2, 2), (2, 5), (4, 7), (6, 6)])
def test_any_threshold_of_holders_recovers(threshold: int, holders: int) -> None:
    secrets = bytes(range(96, 192))
    points = words(*range(1, holders + 1))
    shares = kernels.shamir_split(secrets, 3, drawn(1, 3, threshold), points)
    assert shares.shape == (3, holders, 5)
    for chosen in combinations(range(holders), threshold):
        index = list(chosen)
        lagrange = kernels.shamir_lagrange(points[index])
        subset = np.ascontiguousarray(shares[:, index])
        assert kernels.shamir_combine(subset, lagrange) == secrets


@given(
    secret=st.one_of(
        st.binary(min_size=32, max_size=32), st.sampled_from([bytes(32), b"\xff" * 32])
    ),
    points=st.sets(
        st.one_of(st.integers(1, PRIME - 1), st.sampled_from([1, 2, PRIME - 1])),
        min_size=1,
        max_size=6,
    ),
    coefficient=st.one_of(st.integers(0, PRIME - 1), st.sampled_from([0, 1, PRIME - 1])),
    data=st.data(),
)
@settings(deadline=None, max_examples=150)
def test_equals_the_polynomial(
    secret: bytes, points: set[int], coefficient: int, data: st.DataObject
) -> None:
    threshold = data.draw(st.integers(1, len(points)))
    coefficients = np.full((1, 5, threshold - 1), coefficient, dtype=np.uint64)
    xs = sorted(points)
    shares = kernels.shamir_split(secret, 1, coefficients, words(*xs))
    for h, x in enumerate(xs):
        for limb, value in enumerate(limbs(secret)):
            polynomial = [value] + [coefficient] * (threshold - 1)
            expected = sum(a * x**k for k, a in enumerate(polynomial)) % PRIME
            assert shares[0, h, limb] == expected
    chosen = words(*xs[:threshold])
    subset = np.ascontiguousarray(shares[:, :threshold])
    assert kernels.shamir_combine(subset, kernels.shamir_lagrange(chosen)) == secret


def test_levels_agree_on_a_large_case() -> None:
    secrets = np.random.default_rng(2).bytes(64)
    coefficients = drawn(3, 2, 40)
    points = words(*range(1, 61))
    shares = kernels.shamir_split(secrets, 2, coefficients, points)
    lagrange = kernels.shamir_lagrange(points[10:50])
    with kernels.using_level("reference"):
        np.testing.assert_array_equal(
            shares, kernels.shamir_split(secrets, 2, coefficients, points)
        )
        np.testing.assert_array_equal(lagrange, kernels.shamir_lagrange(points[10:50]))
    subset = np.ascontiguousarray(shares[:, 10:50])
    assert kernels.shamir_combine(subset, lagrange) == secrets


def coefficients_through(points: list[tuple[int, int]]) -> list[int]:
    """The coefficients of the one polynomial of least degree through the points."""
    result = [0] * len(points)
    for i, (x, y) in enumerate(points):
        basis, divisor = [1], 1
        for j, (other, _) in enumerate(points):
            if j != i:
                shifted = [0, *basis]
                basis = [a - other * b for a, b in zip(shifted, [*basis, 0], strict=True)]
                divisor = divisor * (x - other) % PRIME
        weight = y * pow(divisor, -1, PRIME) % PRIME
        result = [(a + weight * b) % PRIME for a, b in zip(result, basis, strict=True)]
    return result


@pytest.mark.parametrize("threshold", [2, 3, 5])
def test_fewer_shares_fit_every_secret(threshold: int) -> None:
    """For every other secret there is exactly one choice of coefficients with the same shares."""
    holders = words(*range(1, threshold))
    points = words(*range(1, threshold + 1))
    secret = bytes(range(32))
    seen = kernels.shamir_split(secret, 1, drawn(4, 1, threshold), points)[:, : threshold - 1]
    for candidate in (bytes(32), b"\xff" * 32, np.random.default_rng(5).bytes(32), secret):
        coefficients = np.empty((1, 5, threshold - 1), dtype=np.uint64)
        for limb, value in enumerate(limbs(candidate)):
            known = [(int(x), int(seen[0, h, limb])) for h, x in enumerate(holders)]
            polynomial = coefficients_through([(0, value), *known])
            assert polynomial[0] == value
            coefficients[0, limb] = polynomial[1:]
        shares = kernels.shamir_split(candidate, 1, coefficients, points)
        np.testing.assert_array_equal(shares[:, : threshold - 1], seen)


def test_too_few_shares_are_no_secret() -> None:
    points = words(1, 2, 3)
    shares = kernels.shamir_split(bytes(32), 1, drawn(6, 1, 3), points)
    with pytest.raises(VerificationError, match="shares of one secret"):
        kernels.shamir_combine(
            np.ascontiguousarray(shares[:, :2]), kernels.shamir_lagrange(points[:2])
        )


@pytest.mark.parametrize("limb", range(5))
def test_a_combined_limb_must_fit_its_bytes(limb: int) -> None:
    """With threshold 1 the share is the limb: exactly one value too many, and one that fits."""
    lagrange = kernels.shamir_lagrange(words(1))
    assert lagrange.tolist() == [1]
    shares = np.zeros((2, 1, 5), dtype=np.uint64)
    bound = 1 << (8 * SIZES[limb])
    shares[1, 0, limb] = bound - 1
    combined = kernels.shamir_combine(shares, lagrange)
    assert limbs(bytes(combined[32:]))[limb] == bound - 1
    for value in (bound, PRIME - 1):
        shares[1, 0, limb] = value
        with pytest.raises(VerificationError, match="shares of one secret"):
            kernels.shamir_combine(shares, lagrange)


@pytest.mark.parametrize("value", [PRIME, PRIME + 1, 2**61, 2**63, 2**64 - 1])
@pytest.mark.parametrize("position", [(0, 0, 0), (1, 1, 4)])
def test_values_outside_the_field_are_refused(position: tuple[int, int, int], value: int) -> None:
    points = words(1, 2)
    coefficients = drawn(7, 2, 2)
    shares = kernels.shamir_split(bytes(64), 2, coefficients, points)
    shares[position] = value
    with pytest.raises(DecodeError, match="shares: expected field elements"):
        kernels.shamir_combine(shares, kernels.shamir_lagrange(points))
    coefficients[position[0], position[2], 0] = value
    with pytest.raises(ParameterError, match="coefficients: expected field elements"):
        kernels.shamir_split(bytes(64), 2, coefficients, points)
    with pytest.raises(ParameterError, match="lagrange: expected field elements"):
        kernels.shamir_combine(np.zeros((1, 2, 5), dtype=np.uint64), words(1, value))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "at least one"),
        ([0, 1], "got 0..1"),
        ([1, PRIME], "expected 1..2"),
        ([1, 2**64 - 1], "expected 1..2"),
        ([3, 1, 3], "distinct"),
    ],
)
def test_bad_points(points: list[int], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        kernels.shamir_lagrange(words(*points))
    with pytest.raises(ParameterError, match=message):
        kernels.shamir_split(bytes(32), 1, drawn(8, 1, 1), words(*points))


def test_bad_arguments() -> None:
    points = words(1, 2, 3)
    coefficients = drawn(9, 1, 2)
    with pytest.raises(ParameterError, match="count: expected at least 1, got 0"):
        kernels.shamir_split(b"", 0, coefficients, points)
    with pytest.raises(InputError, match="expected 32 bytes for 1 secrets, got 31"):
        kernels.shamir_split(bytes(31), 1, coefficients, points)
    with pytest.raises(InputError, match=r"coefficients: expected shape \(2, 5, any\)"):
        kernels.shamir_split(bytes(64), 2, coefficients, points)
    with pytest.raises(InputError, match="points: expected elements of uint64, got int64"):
        kernels.shamir_split(bytes(32), 1, coefficients, points.astype(np.int64))
    with pytest.raises(ParameterError, match=r"threshold: expected at most 3, .* got 4"):
        kernels.shamir_split(bytes(32), 1, drawn(9, 1, 4), points)
    with pytest.raises(InputError, match=r"shares: expected shape \(any, 3, 5\)"):
        kernels.shamir_combine(np.zeros((1, 2, 5), dtype=np.uint64), points)
    with pytest.raises(ParameterError, match="shares: expected at least one"):
        kernels.shamir_combine(np.zeros((0, 3, 5), dtype=np.uint64), points)
    with pytest.raises(InputError, match="contiguous"):
        kernels.shamir_combine(np.zeros((1, 6, 5), dtype=np.uint64)[:, ::2], points)
