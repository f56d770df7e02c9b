"""The statistics against scipy and against brute force; and that they see what they are for."""

from __future__ import annotations

import hashlib
import math
from itertools import product

import numpy as np
import pytest
from scipy import special, stats

from secagg.audit import statistics
from secagg.audit.statistics import absent, complexity, correlation, homogeneity, uniformity
from secagg.audit.verdicts import Measure


def draws(count: int, cells: int, seed: bytes = b"") -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    raw = hashlib.shake_256(b"draws" + seed).digest(8 * count)
    return (np.frombuffer(raw, dtype="<u8") % np.uint64(cells)).astype(np.int64)


@pytest.mark.parametrize("shape", [0.5, 1, 7.5, 127.5, 2000, 32767.5])
def test_gamma_tail_is_that_of_scipy(shape: float) -> None:
    for factor in (0.01, 0.5, 0.9, 0.999, 1, 1.0005, 1.1, 1.5, 3):
        value = factor * shape
        expected = special.gammaincc(shape, value)
        assert statistics.gamma_tail(shape, value) == pytest.approx(expected, rel=1e-8, abs=1e-300)
    assert statistics.gamma_tail(shape, 0) == 1


@pytest.mark.parametrize("freedom", [1, 2, 15, 255, 4095, 65535])
@pytest.mark.parametrize("rate", [0.5, 0.05, 1e-3, 1e-6, 1e-10])
def test_thresholds_are_those_of_scipy(freedom: int, rate: float) -> None:
    assert statistics.chi_square_threshold(freedom, rate) == pytest.approx(
        stats.chi2.isf(rate, freedom), rel=1e-6
    )


def test_uniformity_is_pearsons_test() -> None:
    values = draws(10_000, 100)
    expected = stats.chisquare(np.bincount(values, minlength=100)).statistic
    found = uniformity(values, 100, 1e-6)
    assert found.value == pytest.approx(expected)
    assert not found.alarm
    assert uniformity(values, 101, 1e-6).alarm
    assert uniformity(values // 2 * 2, 100, 1e-6).alarm
    with pytest.raises(ValueError, match="at least 2000"):
        uniformity(values[:1999], 100, 1e-6)


def test_a_value_outside_is_an_alarm() -> None:
    values = draws(10_000, 100)
    values[5] = -1
    assert uniformity(values, 100, 1e-6).alarm
    values[5] = 100
    assert uniformity(values, 100, 1e-6).alarm


def test_homogeneity_is_the_test_of_a_contingency_table() -> None:
    first, second = draws(5000, 50, b"a"), draws(7000, 50, b"b")
    table = [np.bincount(one, minlength=50) for one in (first, second)]
    expected = stats.chi2_contingency(np.stack(table), correction=False)
    found = homogeneity(first, second, 64, 1e-6)
    assert found.value == pytest.approx(expected.statistic)
    assert found.threshold == pytest.approx(stats.chi2.isf(1e-6, expected.dof), rel=1e-6)
    assert not found.alarm
    assert homogeneity(first, np.minimum(second, 40), 64, 1e-6).alarm


def test_correlation_is_pearsons() -> None:
    first, second = draws(4000, 256, b"c"), draws(4000, 256, b"d")
    found = correlation(first, second, 1e-6)
    assert found.value == pytest.approx(abs(stats.pearsonr(first, second).statistic) * 4000**0.5)
    assert not found.alarm
    assert correlation(first, second + first, 1e-6).alarm
    assert correlation(first, np.zeros(4000), 1e-6).value == 0
    assert correlation(first, first * 1e305, 1e-6).value == pytest.approx(4000**0.5)


def test_what_is_no_number_is_an_alarm() -> None:
    for below in (False, True):
        measure = Measure(
            statistic="", value=math.nan, threshold=1, false_alarm=0.5, samples=1, below=below
        )
        assert measure.alarm


def test_linear_complexity_is_that_of_the_shortest_recurrence() -> None:
    def shortest(bits: tuple[int, ...]) -> int:
        for length in range(len(bits) + 1):
            for taps in product((0, 1), repeat=length):
                if all(
                    bits[place] == sum(t & bits[place - 1 - k] for k, t in enumerate(taps)) % 2
                    for place in range(length, len(bits))
                ):
                    return length
        raise AssertionError

    counts: dict[int, int] = {}
    for bits in product((0, 1), repeat=9):
        found = statistics.linear_complexity(np.array(bits))
        assert found == shortest(bits)
        counts[found] = counts.get(found, 0) + 1
    # The distribution on which the threshold rests.
    expected = {0: 1} | {n: 2 ** min(2 * 9 - 2 * n, 2 * n - 1) for n in range(1, 10)}
    assert counts == expected


def test_the_mersenne_twister_is_linear_and_a_hash_is_not() -> None:
    twister = np.random.RandomState(1).randint(0, 2**32, 45_000, dtype=np.int64) & 1
    found = complexity(twister, 1e-6)
    assert found.value == 19_937
    assert found.alarm
    assert not complexity(draws(45_000, 2), 1e-6).alarm


@pytest.mark.parametrize("count", [20, 21])
def test_the_rate_of_complexity_is_kept(count: int) -> None:
    for rate in (0.3, 0.01, 1e-4):
        threshold = complexity(np.zeros(count, dtype=int), rate).threshold
        below = 1 + sum(2 ** min(2 * count - 2 * n, 2 * n - 1) for n in range(1, int(threshold)))
        assert below / 2**count <= rate


def test_absent_values() -> None:
    values = draws(20_000, 256)
    found = absent(values, 256, 1e-6)
    assert found is not None
    assert not found.alarm
    assert math.isclose(found.false_alarm, 1e-6)
    gap = absent(np.where(values == 255, 0, values), 256, 1e-6)
    assert gap is not None
    assert gap.value == 1
    assert gap.alarm
    assert absent(values[:2000], 256, 1e-6) is None


def test_spanned_bits_are_those_that_differ_and_follow_from_no_others() -> None:
    draws = [hashlib.sha256(bytes([number])).digest() for number in range(200)]
    assert statistics.spanned([one[:16] for one in draws]) == 128
    assert statistics.spanned([one[:2] + b"constant" for one in draws]) == 16
    assert statistics.spanned([one[:2] + one[:2] for one in draws]) == 16
    text = [bytes(byte & 0x7F for byte in one[:4]) for one in draws]
    assert statistics.spanned(text) == 28
    assert statistics.spanned(draws) == 199
    assert statistics.spanned([b"same"] * 3) == statistics.spanned([]) == 0
