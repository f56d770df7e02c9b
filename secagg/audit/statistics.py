"""Tests with a known rate of false alarms, on numpy and math alone.

A threshold follows from the rate, never the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from secagg.audit.verdicts import Measure

FALSE_ALARM: Final = 1e-6
"""Of one check, over all its seeds, on a sound target."""

LEAST_EXPECTED: Final = 20
"""In a cell of a chi-square test: with fewer the tail is not that of the distribution."""

_STEPS: Final = 10_000
_PRECISION: Final = 1e-15


def gamma_tail(shape: float, value: float) -> float:
    """The regularised upper incomplete gamma function Q(shape, value).

    By its series below shape + 1 and by its continued fraction above (Lentz's algorithm;
    Abramowitz and Stegun 6.5.29 and 6.5.31).
    """
    if value <= 0:
        return 1.0
    front = math.exp(-value + shape * math.log(value) - math.lgamma(shape))
    if value < shape + 1:
        term = total = 1 / shape
        for step in range(1, _STEPS):
            term *= value / (shape + step)
            total += term
            if term < total * _PRECISION:
                break
        return 1 - front * total
    tiny = 1e-300
    b = value + 1 - shape
    c, d = 1 / tiny, 1 / b
    fraction = d
    for step in range(1, _STEPS):
        a = -step * (step - shape)
        b += 2
        d = 1 / (_away(a * d + b, tiny))
        c = _away(b + a / c, tiny)
        fraction *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return front * fraction


def _away(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def chi_square_tail(statistic: float, freedom: int) -> float:
    """The probability that a chi-square variable is at least this large."""
    return gamma_tail(freedom / 2, statistic / 2)


def chi_square_threshold(freedom: int, false_alarm: float) -> float:
    """The value that a chi-square variable exceeds with this probability, by bisection."""
    low, high = 0.0, freedom + 20 * math.sqrt(2 * freedom) - 20 * math.log(false_alarm)
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if chi_square_tail(middle, freedom) > false_alarm:
            low = middle
        else:
            high = middle
    return high


def uniformity(values: npt.NDArray[Any], cells: int, false_alarm: float) -> Measure:
    """Pearson's chi-square of integers against the uniform distribution over 0..cells-1.

    Values outside 0..cells-1 have a cell of their own, in which none is expected.

    Raises:
        ValueError: too few values for so many cells.
    """
    flat = np.asarray(values).reshape(-1)
    expected = flat.size / cells
    if expected < LEAST_EXPECTED:
        raise ValueError(f"expected at least {LEAST_EXPECTED * cells} values, got {flat.size}")
    inside = (flat >= 0) & (flat < cells)
    counts = np.bincount(flat[inside].astype(np.int64), minlength=cells)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    if not inside.all():
        # More than any distribution of the values inside could give.
        statistic = float(cells) * flat.size
    return Measure(
        statistic=f"chi-square over {cells} values",
        value=statistic,
        threshold=chi_square_threshold(cells - 1, false_alarm),
        false_alarm=false_alarm,
        samples=int(flat.size),
    )


def homogeneity(
    first: npt.NDArray[Any], second: npt.NDArray[Any], cells: int, false_alarm: float
) -> Measure:
    """Pearson's chi-square of two samples of integers in 0..cells-1 against one distribution.

    Cells that are empty in both count for nothing.
    """
    counts = np.stack(
        [np.bincount(one.reshape(-1).astype(np.int64), minlength=cells) for one in (first, second)]
    ).astype(np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    freedom = max(1, counts.shape[1] - 1)
    return Measure(
        statistic=f"chi-square of 2 x {counts.shape[1]}",
        value=float(((counts - expected) ** 2 / expected).sum()),
        threshold=chi_square_threshold(freedom, false_alarm),
        false_alarm=false_alarm,
        samples=int(counts.sum()),
    )


def correlation(first: npt.NDArray[Any], second: npt.NDArray[Any], false_alarm: float) -> Measure:
    """|Pearson's r| sqrt(samples) of two samples, for large ones that are independent.

    The threshold is that of Hoeffding's inequality where one side is bounded and uniform-like;
    it is wider than the normal one, so the rate of false alarms is kept, not met.
    """
    x = np.asarray(first, dtype=np.float64).reshape(-1)
    y = np.asarray(second, dtype=np.float64).reshape(-1)
    x, y = _centred(x), _centred(y)
    scale = math.sqrt(float((x * x).sum()) * float((y * y).sum()))
    r = float((x * y).sum()) / scale if scale else 0.0
    return Measure(
        statistic="|r| sqrt(samples)",
        value=abs(r) * math.sqrt(x.size),
        # For y uniform on an interval its largest value is sqrt(3) standard deviations, so a
        # weighted sum of it is sub-Gaussian with sqrt(3) times its own standard deviation.
        threshold=math.sqrt(3) * math.sqrt(2 * math.log(2 / false_alarm)),
        false_alarm=false_alarm,
        samples=int(x.size),
    )


def _centred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Without their mean, and of at most 2 in magnitude: no square overflows."""
    largest = float(np.abs(values).max(initial=0))
    scaled = values / largest if largest else values
    centred: npt.NDArray[np.float64] = scaled - scaled.mean()
    return centred


def linear_complexity(bits: npt.NDArray[Any]) -> int:
    """The length of the shortest linear recurrence over GF(2) that makes this sequence.

    Berlekamp and Massey, IEEE Transactions on Information Theory 15, 1969, on whole words: the
    sequence so far and both polynomials are integers, so a step is a shift, an AND and a XOR.
    """
    current = previous = 1
    length, since, window = 0, 1, 0
    for place, bit in enumerate(np.asarray(bits).tolist()):
        window = (window << 1) | bit
        if (window & current).bit_count() & 1:
            if 2 * length <= place:
                current, previous = current ^ (previous << since), current
                length, since = place + 1 - length, 1
                continue
            current ^= previous << since
        since += 1
    return length


def complexity(bits: npt.NDArray[Any], false_alarm: float) -> Measure:
    """The linear complexity of a sequence, against that of uniform bits.

    Of 2^n sequences of n bits 2^min(2n - 2l, 2l - 1) have complexity l >= 1, and one has 0
    (Rueppel, Analysis and Design of Stream Ciphers, 1986, section 4.1), so at most 2^(2l - n)
    of all have complexity l <= n / 2 or less.
    """
    count = int(np.asarray(bits).size)
    return Measure(
        statistic="linear complexity over GF(2)",
        below=True,
        value=float(linear_complexity(bits)),
        threshold=float(math.floor((count + math.log2(false_alarm)) / 2)),
        false_alarm=false_alarm,
        samples=count,
    )


def absent(values: npt.NDArray[Any], cells: int, false_alarm: float) -> Measure | None:
    """How many of the values 0..cells-1 never occur; None if too few were drawn to tell.

    By the union bound one is absent from uniform draws with probability cells (1 - 1/cells)^n.
    """
    flat = np.asarray(values).reshape(-1)
    rate = cells * math.exp(flat.size * math.log1p(-1 / cells))
    if rate > false_alarm:
        return None
    inside = flat[(flat >= 0) & (flat < cells)].astype(np.int64)
    return Measure(
        statistic="values that never occur",
        value=float(cells - np.unique(inside).size),
        threshold=0.0,
        false_alarm=false_alarm,
        samples=int(flat.size),
    )


def overall(measure: Measure, false_alarm: float) -> Measure:
    """The same measure, as that of a check which may have looked at several."""
    return msgspec.structs.replace(measure, false_alarm=false_alarm)


def spanned(samples: Sequence[bytes]) -> int:
    """Bits in which these can differ, at most: the dimension of their differences over GF(2).

    Bits that never change, and bits that others determine by exclusive or, do not count. With few
    samples it is their number less one.
    """
    basis: dict[int, int] = {}
    numbers = [int(sample.hex() or "0", 16) for sample in samples]
    for number in numbers:
        rest = number ^ numbers[0]
        while rest and (top := rest.bit_length()) in basis:
            rest ^= basis[top]
        if rest:
            basis[rest.bit_length()] = rest
    return len(basis)
