from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from secagg import kernels
from secagg.codec import FixedPoint
from secagg.codec.quantize import Rounding, as_float32_vector
from secagg.crypto import rng
from secagg.errors import InputError, ParameterError
from secagg.types import Ring

ROUNDINGS: tuple[Rounding, ...] = ("nearest", "stochastic")
vectors = hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-8, 8, width=32))


class Constant:
    """An Rng that repeats one byte: the extremes of stochastic rounding."""

    def __init__(self, byte: int) -> None:
        self.byte = byte

    def bytes(self, count: int) -> bytes:
        return bytes([self.byte]) * count


def signed(stage: FixedPoint, values: npt.NDArray[np.float32], ring: Ring, seed: int) -> list[int]:
    vector, _ = stage.encode(values, share=1.0, ring=ring, rng=rng.seeded(seed))
    assert vector.dtype == ring.dtype
    return [int(value) for value in kernels.decode_signed(vector, ring)]


@given(vectors, st.sampled_from(ROUNDINGS), st.integers(0, 40), st.integers(0, 9))
def test_every_coordinate_is_within_its_rounding_error_and_bound(
    values: npt.NDArray[np.float32], rounding: Rounding, bits: int, seed: int
) -> None:
    stage = FixedPoint(1.5, bits, rounding)
    ring = Ring.for_sum(1, stage.bound)
    for value, integer in zip(values, signed(stage, values, ring, seed), strict=True):
        exact = Fraction(float(np.clip(value, -1.5, 1.5))) * 2**bits
        assert abs(integer - exact) <= Fraction(stage.rounding_error)
        assert abs(integer) <= stage.bound


@pytest.mark.parametrize("bits", [0, 10, 22, 23, 30, 40, 52])
@pytest.mark.parametrize("clip", [1.0, 0.3])
@pytest.mark.parametrize("word", [0x0000, 0xFFFF])
def test_the_largest_randomness_does_not_push_a_saturated_value_over_the_bound(
    bits: int, clip: float, word: int
) -> None:
    stage = FixedPoint(clip, bits, "stochastic")
    ring = Ring.for_sum(1, stage.bound)
    values = np.array([5, -5, clip, -clip], dtype=np.float32)
    words = np.full(4, word, dtype=np.uint16)
    vector, _ = kernels.encode_fixed(
        values, clip=clip, scale=float(1 << bits), ring=ring, randomness=words
    )
    assert np.abs(kernels.decode_signed(vector, ring)).max() <= stage.bound


def test_stochastic_rounding_is_unbiased() -> None:
    stage = FixedPoint(1.0, 0, "stochastic")
    values = np.full(40_000, 0.3, dtype=np.float32)
    integers = signed(stage, values, Ring(8), 1)
    assert set(integers) == {0, 1}
    # Five standard deviations of a mean of 40 000 coins: sqrt(0.21 / 40 000) = 0.0023.
    assert abs(np.mean(integers) - 0.3) < 0.0115


def test_stochastic_rounding_replays_from_its_seed_and_leaves_integers_alone() -> None:
    stage = FixedPoint(4.0, 3, "stochastic")
    values = np.array([0.1, 0.125, -2.0, 3.9], dtype=np.float32)
    assert signed(stage, values, Ring(16), 5) == signed(stage, values, Ring(16), 5)
    for seed in range(20):
        integers = signed(stage, values, Ring(16), seed)
        assert integers[1:3] == [1, -16]


def test_nearest_rounding_takes_halves_to_even() -> None:
    stage = FixedPoint(10.0, 0, "nearest")
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5], dtype=np.float32)
    assert signed(stage, values, Ring(16), 0) == [0, 2, 2, 0, -2]


def test_the_share_scales_after_the_clip() -> None:
    stage = FixedPoint(1.0, 10, "nearest")
    vector, saturated = stage.encode(
        np.array([4.0, 0.5], dtype=np.float32), share=0.25, ring=Ring(16), rng=None
    )
    assert kernels.decode_signed(vector, Ring(16)).tolist() == [256, 128]
    assert saturated == 1


def test_the_bound_is_exact_whatever_the_clip() -> None:
    assert FixedPoint(1.0, 22, "nearest").bound == 2**22
    assert FixedPoint(0.1, 22, "nearest").bound == 419_431
    assert FixedPoint(1.0000000000000002, 22, "nearest").bound == 2**22 + 1


@pytest.mark.parametrize("clip", [0.0, -1.0, float("nan"), float("inf")])
def test_a_clip_that_is_no_bound_is_refused(clip: float) -> None:
    with pytest.raises(ParameterError, match="clip"):
        FixedPoint(clip, 22, "nearest")


def test_other_parameters_out_of_range_are_refused() -> None:
    for bits in (-1, 53):
        with pytest.raises(ParameterError, match="fraction bits"):
            FixedPoint(1.0, bits, "nearest")
    with pytest.raises(ParameterError, match="beyond the exact range"):
        FixedPoint(2.0, 52, "nearest")
    with pytest.raises(ParameterError, match="rounding"):
        FixedPoint(1.0, 22, "down")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="source of randomness"):
        FixedPoint(1.0, 22, "stochastic").encode(
            np.zeros(1, np.float32), share=1.0, ring=Ring(32), rng=None
        )
    with pytest.raises(ParameterError, match="do not fit a ring of 23 bits"):
        FixedPoint(1.0, 22, "nearest").encode(
            np.zeros(1, np.float32), share=1.0, ring=Ring(23), rng=None
        )


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 0.0],
        np.zeros(2),
        np.zeros(2, np.float16),
        np.zeros(3, np.float32),
        np.zeros((2, 1), np.float32),
        np.zeros((), np.float32),
    ],
)
def test_only_a_float32_vector_of_the_right_length_passes(values: npt.ArrayLike) -> None:
    with pytest.raises(InputError, match="expected"):
        as_float32_vector(values, 2)


def test_a_strided_vector_is_made_contiguous() -> None:
    values = np.arange(6, dtype=np.float32)[::2]
    vector = as_float32_vector(values, 3)
    assert vector.flags.c_contiguous
    np.testing.assert_array_equal(vector, values)
