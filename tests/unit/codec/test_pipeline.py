from __future__ import annotations

from fractions import Fraction
from operator import mul
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg.codec import Codec
from secagg.codec.quantize import Rounding
from secagg.crypto import rng
from secagg.errors import DecodeError, InputError, ParameterError
from secagg.types import Ring, RingVector

ROUNDINGS: tuple[Rounding, ...] = ("nearest", "stochastic")


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Codec, list[npt.NDArray[np.float32]], list[int]]:
    """A codec, the updates of a few clients, and their weights."""
    length = draw(st.integers(1, 6))
    codec = Codec(
        length=length,
        clip=draw(st.floats(0.01, 100)),
        max_weight=draw(st.sampled_from([1, 7, 1000, 2**31])),
        fraction_bits=draw(st.integers(0, 40)),
        norm=draw(st.none() | st.floats(0.01, 100)),
        rounding=draw(st.sampled_from(ROUNDINGS)),
    )
    clients = draw(st.integers(1, 8))
    value = st.floats(-200, 200, width=32)
    update = st.lists(value, min_size=length, max_size=length)
    updates = [np.array(draw(update), dtype=np.float32) for _ in range(clients)]
    return codec, updates, [draw(st.integers(1, codec.max_weight)) for _ in range(clients)]


def add(vectors: list[RingVector], ring: Ring) -> RingVector:
    total = np.zeros(len(vectors[0]), dtype=np.uint64)
    for vector in vectors:
        total += vector
    reduced: RingVector = (total & np.uint64(ring.mask)).astype(ring.dtype)
    return reduced


@settings(deadline=None)
@given(rounds())
def test_the_mean_is_the_weighted_mean_within_the_stated_bound(
    case: tuple[Codec, list[npt.NDArray[np.float32]], list[int]],
) -> None:
    codec, updates, weights = case
    ring = Ring.for_sum(len(updates), codec.bound)
    source = rng.seeded(1)
    encoded = [codec.encode(u, w, ring, source) for u, w in zip(updates, weights, strict=True)]
    decoded = codec.decode(add([each.vector for each in encoded], ring), ring)

    assert decoded.weight == sum(weights)
    assert decoded.mean.dtype == np.float64
    clipped = [codec.clipped(update) for update in updates]
    bound = Fraction(codec.error_bound(weights))
    for coordinate in range(codec.length):
        parts = (Fraction(float(values[coordinate])) for values in clipped)
        exact = sum(map(mul, parts, weights), Fraction(0)) / sum(weights)
        assert abs(Fraction(float(decoded.mean[coordinate])) - exact) <= bound


def test_the_stated_bound_is_tight() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=1, fraction_bits=4)
    ring = Ring.for_sum(3, codec.bound)
    half_a_unit = np.array([2.0**-5], dtype=np.float32)
    vectors = [codec.encode(half_a_unit, 1, ring).vector for _ in range(3)]
    error = abs(float(codec.decode(add(vectors, ring), ring).mean[0]) - 2.0**-5)
    assert error == 2.0**-5
    assert error <= codec.error_bound([1, 1, 1]) < error * 1.0001


@pytest.mark.parametrize("clients", [1, 3, 100])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_derived_ring_holds_the_largest_possible_sum(clients: int, sign: int) -> None:
    codec = Codec(length=2, clip=0.7, max_weight=5)
    ring = Ring.for_sum(clients, codec.bound)
    update = np.full(2, sign * 9, dtype=np.float32)
    vectors = [codec.encode(update, 5, ring).vector for _ in range(clients)]
    decoded = codec.decode(add(vectors, ring), ring)
    np.testing.assert_allclose(decoded.mean, sign * 0.7, atol=codec.error_bound([5] * clients))
    assert decoded.weight == 5 * clients


def test_heavy_weights_decide_the_bound_and_do_not_wrap() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=10**9, fraction_bits=4)
    assert codec.bound == 10**9
    ring = Ring.for_sum(7, codec.bound)
    vectors = [codec.encode(np.zeros(1, np.float32), 10**9, ring).vector for _ in range(7)]
    assert codec.decode(add(vectors, ring), ring).weight == 7 * 10**9


def test_22_fraction_bits_and_127_clients_stay_in_a_32_bit_lane() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=10_000)
    assert Ring.for_sum(127, codec.bound).bits <= 31


def test_a_small_weight_counts_as_much_as_it_should() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=999)
    ring = Ring.for_sum(2, codec.bound)
    one, other = np.ones(1, np.float32), np.zeros(1, np.float32)
    total = add([codec.encode(one, 1, ring).vector, codec.encode(other, 999, ring).vector], ring)
    np.testing.assert_allclose(codec.decode(total, ring).mean, 1 / 1000, atol=1e-6)


def test_saturated_coordinates_are_counted() -> None:
    codec = Codec(length=5, clip=0.5, max_weight=1)
    update = np.array([0.5, -0.5, 0.50001, -7, 0], dtype=np.float32)
    assert codec.encode(update, 1, Ring(32)).saturated == 2


def test_the_norm_clip_comes_first() -> None:
    codec = Codec(length=2, clip=10.0, max_weight=1, norm=1.0)
    encoded = codec.encode(np.array([30, 40], dtype=np.float32), 1, Ring(32))
    assert encoded.saturated == 0
    decoded = codec.decode(encoded.vector, Ring(32))
    np.testing.assert_allclose(decoded.mean, [0.6, 0.8], atol=1e-6)


@pytest.mark.parametrize("weight", [0, -1, 11, 2**64])
def test_a_weight_out_of_range_is_refused(weight: int) -> None:
    codec = Codec(length=1, clip=1.0, max_weight=10)
    with pytest.raises(InputError, match=r"1\.\.10"):
        codec.encode(np.zeros(1, np.float32), weight, Ring(32))
    with pytest.raises(InputError, match=r"1\.\.10"):
        codec.error_bound([weight])


@pytest.mark.parametrize("weight", [1.0, "1", None, np.float64(1)])
def test_a_weight_that_is_no_integer_is_refused(weight: Any) -> None:
    codec = Codec(length=1, clip=1.0, max_weight=10)
    with pytest.raises(InputError, match="integer"):
        codec.encode(np.zeros(1, np.float32), weight, Ring(32))


def test_an_integer_of_numpy_is_a_weight() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=10)
    weight: Any = np.int64(7)
    encoded = codec.encode(np.zeros(1, np.float32), weight, Ring(32)).vector
    assert encoded[-1] == 7 * codec.weight_scale


def test_the_weights_of_an_approximate_sum_are_exact() -> None:
    """They are scaled up to the bound of the other coordinates, so a small error rounds away."""
    codec, ring = Codec(length=1, clip=1.0, max_weight=10), Ring(40)
    scale = codec.weight_scale
    assert scale == 1 << 18
    assert 10 * scale <= codec.bound < 20 * scale
    one = codec.encode(np.ones(1, np.float32), 7, ring).vector
    for error in (-(scale // 2), -1, 0, 1, scale // 2 - 1):
        off = one.copy()
        off[-1] = (int(one[-1]) + error) & ring.mask
        assert codec.decode(off, ring).weight == 7
    assert Codec(length=1, clip=1.0, max_weight=10, fraction_bits=0).weight_scale == 1


@pytest.mark.parametrize("norm", [None, 1.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_coordinate(bad: float, norm: float | None) -> None:
    codec = Codec(length=4, clip=1.0, max_weight=1, norm=norm)
    update = np.array([0, 0, bad, bad], dtype=np.float32)
    with pytest.raises(InputError, match=r"\b2\b"):
        codec.encode(update, 1, Ring(32))
    with pytest.raises(InputError, match=r"\b2\b"):
        codec.clipped(update)


@pytest.mark.parametrize(
    "update",
    [np.zeros(3), np.zeros(2, np.float32), np.zeros(0, np.float32), np.zeros((3, 1), np.float32)],
)
def test_an_update_of_another_shape_or_type_is_refused(update: npt.NDArray[Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        Codec(length=3, clip=1.0, max_weight=1).encode(update, 1, Ring(32))


def test_a_ring_too_small_for_one_client_is_refused() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=2**23)
    with pytest.raises(ParameterError, match="24 bits"):
        codec.encode(np.zeros(1, np.float32), 1, Ring(24))
    codec.encode(np.zeros(1, np.float32), 1, Ring(25))


def test_a_sum_too_large_for_any_ring_is_refused() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=1, fraction_bits=52)
    with pytest.raises(ParameterError, match="at most 64"):
        Ring.for_sum(5000, codec.bound)


def test_stochastic_rounding_needs_randomness() -> None:
    codec = Codec(length=1, clip=1.0, max_weight=1, rounding="stochastic")
    with pytest.raises(ParameterError, match="randomness"):
        codec.encode(np.zeros(1, np.float32), 1, Ring(32))


@pytest.mark.parametrize("weight", [0, 2**32 - 1])
def test_a_sum_without_a_positive_weight_is_refused(weight: int) -> None:
    codec = Codec(length=1, clip=1.0, max_weight=1)
    with pytest.raises(DecodeError, match="positive"):
        codec.decode(np.array([5, weight], dtype=np.uint32), Ring(32))


@pytest.mark.parametrize(
    "total",
    [np.ones(2, np.uint32), np.ones(4, np.uint32), np.ones(3, np.uint64), np.ones((3, 1), "u4")],
)
def test_a_sum_of_another_shape_or_type_is_refused(total: RingVector) -> None:
    with pytest.raises(InputError, match="expected 3 elements of uint32"):
        Codec(length=2, clip=1.0, max_weight=1).decode(total, Ring(32))


@pytest.mark.parametrize(
    "change",
    [
        {"length": 0},
        {"max_weight": 0},
        {"max_weight": 2**53},
        {"clip": 0.0},
        {"fraction_bits": 60},
        {"norm": 0.0},
        {"rounding": "up"},
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Codec(**{"length": 1, "clip": 1.0, "max_weight": 1, **change})


def test_no_weights_have_no_bound() -> None:
    with pytest.raises(InputError, match="at least one"):
        Codec(length=1, clip=1.0, max_weight=1).error_bound([])


def test_a_codec_travels_as_msgpack() -> None:
    codec = Codec(length=3, clip=1.0, max_weight=9, norm=2.0, rounding="stochastic")
    raw = msgspec.msgpack.encode(codec)
    assert msgspec.msgpack.decode(raw, type=Codec) == codec
