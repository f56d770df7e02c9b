"""Floats to ring elements: exact against fractions, bounded, unbiased when stochastic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg import kernels
from secagg.errors import InputError, ParameterError
from secagg.types import Ring

Floats = npt.NDArray[np.float32]


def expected(values: Floats, clip: float, scale: float, randomness: Any) -> list[int]:
    """The definition, in exact rationals from q on."""
    results = []
    for i, x in enumerate(values.tolist()):
        q = Fraction(min(max(x, -clip), clip) * scale)
        if randomness is None:
            results.append(round(q))
        else:
            whole = math.floor(abs(q))
            up = int(randomness[i]) < round((abs(q) - whole) * 2**16)
            results.append((whole + up) * (-1 if q < 0 else 1))
    return results


def encoded(values: Floats, clip: float, scale: float, ring: Ring, randomness: Any) -> list[int]:
    vector, _ = kernels.encode_fixed(
        values, clip=clip, scale=scale, ring=ring, randomness=randomness
    )
    assert vector.dtype == ring.dtype
    assert not np.any(vector >> np.uint8(ring.bits)) or ring.bits == 8 * vector.itemsize
    signed = kernels.decode_signed(vector, ring)
    assert np.abs(signed).max(initial=0) <= math.ceil(clip * scale)
    integers: list[int] = signed.tolist()
    return integers


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
near = st.floats(-4, 4, width=32)


@given(
    values=st.lists(st.one_of(finite, near), max_size=40),
    clip=st.floats(1e-3, 4),
    scale=st.floats(1e-3, 2**60),
    stochastic=st.booleans(),
    data=st.data(),
)
@settings(deadline=None, max_examples=300)
def test_equals_the_definition(
    values: list[float], clip: float, scale: float, stochastic: bool, data: st.DataObject
) -> None:
    x = np.array(values, dtype=np.float32)
    words = st.one_of(st.integers(0, 2**16 - 1), st.sampled_from([0, 1, 2**15, 2**16 - 1]))
    draws = data.draw(st.lists(words, min_size=len(x), max_size=len(x)))
    randomness = np.array(draws, dtype=np.uint16) if stochastic else None
    ring = Ring(math.ceil(clip * scale).bit_length() + 1)
    assert encoded(x, clip, scale, ring, randomness) == expected(x, clip, scale, randomness)


def test_half_goes_to_even() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.25, -0.75, -0.0], dtype=np.float32)
    assert encoded(values, 8.0, 1.0, Ring(8), None) == [0, 2, 2, 0, -2, -2, 0, -1, 0]


def test_randomness_decides_between_the_neighbours() -> None:
    values = np.array([1.25, 1.25, 1.25, -1.25, -1.25, -1.25, 2.0, -2.0], dtype=np.float32)
    quarter = 2**14
    randomness = np.array(
        [0, quarter - 1, quarter, 0, quarter - 1, quarter, 0, 0],
        dtype=np.uint16,
    )
    assert encoded(values, 8.0, 1.0, Ring(8), randomness) == [2, 2, 1, -2, -2, -1, 2, -2]


def test_tiny_values_do_not_grow() -> None:
    tiny = np.array([1e-45, -1e-45, 2**-18, -(2**-18), 2**-17 * 1.5, -1.0], dtype=np.float32)
    low, high = np.zeros(6, dtype=np.uint16), np.full(6, 2**16 - 1, dtype=np.uint16)
    assert encoded(tiny, 1.0, 1.0, Ring(8), low) == [0, 0, 0, 0, 1, -1]
    assert encoded(tiny, 1.0, 1.0, Ring(8), high) == [0, 0, 0, 0, 0, -1]
    assert encoded(tiny, 1.0, 1.0, Ring(8), None) == [0, 0, 0, 0, 0, -1]


def test_nearly_whole_values_may_go_up_for_any_randomness() -> None:
    nearly = np.array([1 - 2**-24, -(1 - 2**-24)], dtype=np.float32)
    high = np.full(2, 2**16 - 1, dtype=np.uint16)
    assert encoded(nearly, 1.0, 1.0, Ring(8), high) == [1, -1]


@pytest.mark.parametrize("bits", [2, 8, 15, 16, 17, 31, 32, 33, 53, 54, 63, 64])
@pytest.mark.parametrize("stochastic", [False, True])
def test_the_widest_scale_of_each_ring(bits: int, stochastic: bool) -> None:
    scale = float((1 << (bits - 1)) - 1)
    while math.ceil(scale) >= 1 << (bits - 1):
        scale = math.nextafter(scale, 0)
    values = np.array([1, -1, 5, -5, 0.75, -0.75, 0.1], dtype=np.float32)
    randomness = np.full(7, 2**16 - 1, dtype=np.uint16) if stochastic else None
    assert encoded(values, 1.0, scale, Ring(bits), randomness) == expected(
        values, 1.0, scale, randomness
    )
    with pytest.raises(ParameterError, match=rf"less than 2\*\*{bits - 1}"):
        encoded(values, 1.0, float(1 << (bits - 1)), Ring(bits), randomness)


def test_a_ring_of_one_bit_holds_nothing_signed() -> None:
    with pytest.raises(ParameterError, match="ring of 1 bits"):
        encoded(np.zeros(1, dtype=np.float32), 1.0, 0.001, Ring(1), None)


@pytest.mark.parametrize("value", [0.3, -0.3, 0.001, -0.999, 17.71])
def test_stochastic_rounding_is_unbiased(value: float) -> None:
    count = 200_000
    values = np.full(count, value, dtype=np.float32)
    randomness = np.random.default_rng(3).integers(0, 2**16, count, dtype=np.uint16)
    vector, _ = kernels.encode_fixed(
        values, clip=20.0, scale=1.0, ring=Ring(16), randomness=randomness
    )
    q = float(values[0])
    fraction = q - math.floor(q)
    deviation = math.sqrt(fraction * (1 - fraction) / count)
    mean = float(kernels.decode_signed(vector, Ring(16)).mean())
    assert abs(mean - q) < 5 * deviation


def test_saturation_is_counted_not_hidden() -> None:
    values = np.array([1.0, -1.0, 1.0000001, -1.5, 3e38, 0.0], dtype=np.float32)
    vector, saturated = kernels.encode_fixed(
        values, clip=1.0, scale=100.0, ring=Ring(9), randomness=None
    )
    assert saturated == 3
    assert kernels.decode_signed(vector, Ring(9)).tolist() == [100, -100, 100, -100, 100, 0]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 8, 17, 1000])
@pytest.mark.parametrize("bits", [16, 20, 32, 40, 64])
def test_levels_agree_at_boundary_lengths(length: int, bits: int) -> None:
    generator = np.random.default_rng(length)
    values = generator.normal(size=length).astype(np.float32)
    randomness = generator.integers(0, 2**16, length, dtype=np.uint16)
    for chosen in (None, randomness):
        here = kernels.encode_fixed(
            values, clip=1.5, scale=2.0**13 / 3, ring=Ring(bits), randomness=chosen
        )
        with kernels.using_level("reference"):
            there = kernels.encode_fixed(
                values, clip=1.5, scale=2.0**13 / 3, ring=Ring(bits), randomness=chosen
            )
        np.testing.assert_array_equal(here[0], there[0])
        assert here[1] == there[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("position", [0, 3, 6])
def test_not_finite_is_refused_by_index(position: int, bad: float) -> None:
    values = np.ones(7, dtype=np.float32)
    values[position:] = bad
    for randomness in (None, np.zeros(7, dtype=np.uint16)):
        with pytest.raises(InputError, match=rf"^values\[{position}\]: expected a finite number"):
            encoded(values, 1.0, 1.0, Ring(8), randomness)


@pytest.mark.parametrize("bits", range(1, 65))
def test_decode_is_centred(bits: int) -> None:
    ring = Ring(bits)
    half = 1 << (bits - 1)
    candidates = sorted({-half, -half + 1, -1, 0, 1, half - 1})
    signed = [value for value in candidates if -half <= value < half]
    garbage = (1 << 8 * ring.dtype.itemsize) - (1 << bits)
    vector = np.array([value % (1 << bits) | garbage for value in signed], dtype=ring.dtype)
    assert kernels.decode_signed(vector, ring).tolist() == signed
    decoded = kernels.decode_fixed(vector, ring, 3.0)
    assert decoded.dtype == np.float64
    assert decoded.tolist() == [float(value) / 3.0 for value in signed]


def test_sums_of_encodings_decode_to_sums() -> None:
    generator = np.random.default_rng(5)
    ring = Ring.for_sum(10, 2000)
    total = np.zeros(100, dtype=ring.dtype)
    exact = np.zeros(100)
    for _ in range(10):
        values = generator.normal(size=100).astype(np.float32)
        vector, _ = kernels.encode_fixed(values, clip=2.0, scale=1000.0, ring=ring, randomness=None)
        exact += kernels.decode_fixed(vector, ring, 1000.0)
        kernels.ring_add(total, vector)
    np.testing.assert_allclose(kernels.decode_fixed(total, ring, 1000.0), exact, atol=1e-12)


@pytest.mark.parametrize("number", [0.0, -1.0, math.inf, math.nan])
def test_bad_parameters(number: float) -> None:
    values = np.zeros(2, dtype=np.float32)
    with pytest.raises(ParameterError, match="clip: expected a finite positive number"):
        encoded(values, number, 1.0, Ring(8), None)
    with pytest.raises(ParameterError, match="scale: expected a finite positive number"):
        encoded(values, 1.0, number, Ring(8), None)
    with pytest.raises(ParameterError, match="divisor: expected a finite positive number"):
        kernels.decode_fixed(np.zeros(2, dtype=np.uint16), Ring(8), number)


def test_bad_products() -> None:
    values = np.zeros(2, dtype=np.float32)
    for number in (1e-300, 1e300):
        with pytest.raises(ParameterError, match=r"clip \* scale: expected a finite positive"):
            encoded(values, number, number, Ring(8), None)


def test_bad_arrays() -> None:
    values = np.zeros(4, dtype=np.float32)
    with pytest.raises(InputError, match="expected elements of float32, got float64"):
        encoded(values.astype(np.float64), 1.0, 1.0, Ring(8), None)
    with pytest.raises(InputError, match="contiguous"):
        encoded(values[::2], 1.0, 1.0, Ring(8), None)
    with pytest.raises(InputError, match="expected shape"):
        encoded(values.reshape(2, 2), 1.0, 1.0, Ring(8), None)
    with pytest.raises(InputError, match=r"randomness: expected shape \(4\), got \(3,\)"):
        encoded(values, 1.0, 1.0, Ring(8), np.zeros(3, dtype=np.uint16))
    with pytest.raises(InputError, match="randomness: expected elements of uint16, got uint64"):
        encoded(values, 1.0, 1.0, Ring(8), np.zeros(4, dtype=np.uint64))
    with pytest.raises(InputError, match="expected elements of uint16, got uint32"):
        kernels.decode_signed(np.zeros(4, dtype=np.uint32), Ring(8))


STREAM = kernels.MaskStream(bytes(range(16)), b"twelve bytes", +1)
OTHER = kernels.MaskStream(bytes(range(32)), b"bytes twelve", +1)


def words_of(stream: kernels.MaskStream, length: int) -> npt.NDArray[np.uint16]:
    total = np.zeros(length, dtype=np.uint16)
    with kernels.using_level("reference"):
        kernels.apply_masks(total, [stream])
    return total


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 2048, 5000])
@pytest.mark.parametrize("bits", [12, 16, 24, 32, 40])
@pytest.mark.parametrize("scale", [512.0, 500.3])
def test_a_keystream_is_the_randomness_and_the_mask(length: int, bits: int, scale: float) -> None:
    ring = Ring(bits)
    values = (np.arange(length) % 1000 / 300 - 1.7).astype(np.float32)
    for source, words in ((None, None), (STREAM, words_of(STREAM, length))):
        expected_vector, saturated = kernels.encode_fixed(
            values, clip=1.5, scale=scale, ring=ring, randomness=words
        )
        plain, count = kernels.encode_fixed(
            values, clip=1.5, scale=scale, ring=ring, randomness=source
        )
        np.testing.assert_array_equal(plain, expected_vector)
        kernels.apply_masks(expected_vector, [OTHER])
        masked, counted = kernels.encode_fixed(
            values, clip=1.5, scale=scale, ring=ring, randomness=source, mask=OTHER
        )
        np.testing.assert_array_equal(masked, expected_vector)
        assert count == counted == saturated


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("bits", [16, 32, 40])
def test_any_number_of_threads_gives_the_same(bits: int, threads: int) -> None:
    length, ring = 700_003, Ring(bits)
    values = np.sin(np.arange(length)).astype(np.float32)
    out = kernels.aligned(length, ring.dtype)
    here = kernels.encode_fixed(
        values,
        clip=0.9,
        scale=4096.0,
        ring=ring,
        randomness=STREAM,
        mask=OTHER,
        out=out,
        threads=threads,
    )
    there = kernels.encode_fixed(
        values, clip=0.9, scale=4096.0, ring=ring, randomness=STREAM, mask=OTHER, threads=1
    )
    assert here[0] is out
    np.testing.assert_array_equal(here[0], there[0])
    assert here[1] == there[1] == np.count_nonzero(np.abs(values) > 0.9)
    decoded = kernels.decode_fixed(here[0], ring, 3.0, threads=threads)
    np.testing.assert_array_equal(decoded, kernels.decode_fixed(there[0], ring, 3.0, threads=1))


@pytest.mark.parametrize("position", [0, 8191, 300_000, 699_999])
def test_the_first_culprit_is_named_whatever_the_threads(position: int) -> None:
    values = np.zeros(700_000, dtype=np.float32)
    values[position] = values[-1] = math.nan
    out = kernels.aligned(len(values), np.uint32)
    with pytest.raises(InputError, match=rf"^values\[{position}\]:"):
        kernels.encode_fixed(
            values, clip=1.0, scale=9.0, ring=Ring(20), randomness=None, out=out, threads=3
        )
    assert not out.any()


def test_bad_streams_outputs_and_threads() -> None:
    values, ring = np.zeros(4, dtype=np.float32), Ring(20)

    def encode(**options: Any) -> None:
        chosen: dict[str, Any] = {"randomness": None, **options}
        kernels.encode_fixed(values, clip=1.0, scale=1.0, ring=ring, **chosen)

    with pytest.raises(ParameterError, match="randomness: expected a key of 16 or 32 bytes"):
        encode(randomness=STREAM._replace(key=b"short"))
    with pytest.raises(ParameterError, match=r"mask: expected sign \+1, got -1"):
        encode(mask=STREAM._replace(sign=-1))
    with pytest.raises(ParameterError, match="mask: expected an IV of 12 bytes"):
        encode(mask=STREAM._replace(iv=b""))
    with pytest.raises(ParameterError, match="threads: expected at least 1, got 0"):
        encode(threads=0)
    with pytest.raises(InputError, match="out: expected elements of uint32, got uint16"):
        encode(out=np.zeros(4, dtype=np.uint16))
    with pytest.raises(InputError, match=r"out: expected shape \(4\), got \(5,\)"):
        encode(out=np.zeros(5, dtype=np.uint32))
    with pytest.raises(InputError, match="overlapping memory"):
        encode(out=values.view(np.uint32))


@pytest.mark.parametrize("bits", [16, 32, 40])
@pytest.mark.parametrize("skip", [0, 1])
def test_outputs_larger_than_the_caches(bits: int, skip: int) -> None:
    ring = Ring(bits)
    length = (1 << 24) // ring.dtype.itemsize + 1000
    values = (np.arange(length, dtype=np.float32) % 997 / 300 - 1.5).astype(np.float32)
    out = kernels.aligned(length + skip, ring.dtype)[skip:]
    kernels.encode_fixed(
        values, clip=1.25, scale=2048.0, ring=ring, randomness=STREAM, out=out, threads=1
    )
    for begin in (0, length // 2, length - 5000):
        part = slice(begin, begin + 5000)
        words = words_of(STREAM, begin + 5000)[begin:]
        expected_part, _ = kernels.encode_fixed(
            values[part], clip=1.25, scale=2048.0, ring=ring, randomness=words
        )
        np.testing.assert_array_equal(out[part], expected_part)
