"""Encoding an update and decoding a sum, next to the same in numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from secagg.codec import Codec
from secagg.codec.quantize import Rounding
from secagg.crypto.rng import seeded
from secagg.types import Ring

LENGTH = 1_000_000
CLIENTS = 100
CLIP = 8.0
FRACTION_BITS = 18
WEIGHT, MAX_WEIGHT = 750, 1000
SEED = 1


@pytest.fixture(scope="module")
def update() -> npt.NDArray[np.float32]:
    return np.random.default_rng(SEED).standard_normal(LENGTH, dtype=np.float32)


def codec(rounding: Rounding) -> Codec:
    return Codec(
        length=LENGTH,
        clip=CLIP,
        max_weight=MAX_WEIGHT,
        fraction_bits=FRACTION_BITS,
        rounding=rounding,
    )


def ring(chosen: Codec) -> Ring:
    return Ring.for_sum(CLIENTS, chosen.bound)


def in_numpy(
    update: npt.NDArray[np.float32], generator: np.random.Generator | None
) -> npt.NDArray[np.uint32]:
    """Clip, scale and round, as whole arrays; at random where there is a generator."""
    scale = WEIGHT / MAX_WEIGHT * (1 << FRACTION_BITS)
    scaled = np.clip(update, -CLIP, CLIP).astype(np.float64) * scale
    if generator is None:
        rounded = np.rint(scaled)
    else:
        rounded = np.floor(scaled + generator.random(LENGTH, dtype=np.float32))
    return rounded.astype(np.int64).astype(np.uint32) & np.uint32(ring(codec("nearest")).mask)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_encode(
    benchmark: BenchmarkFixture, update: npt.NDArray[np.float32], rounding: Rounding
) -> None:
    benchmark.group = f"encode {LENGTH} float32, {rounding}"
    chosen, rng = codec(rounding), seeded(SEED)
    encoded = benchmark(chosen.encode, update, WEIGHT, ring(chosen), rng)
    assert encoded.saturated == 0


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_encode_in_numpy(
    benchmark: BenchmarkFixture, update: npt.NDArray[np.float32], rounding: Rounding
) -> None:
    benchmark.group = f"encode {LENGTH} float32, {rounding}"
    generator = np.random.default_rng(SEED) if rounding == "stochastic" else None
    vector = benchmark(in_numpy, update, generator)
    chosen = codec("nearest")
    ours = chosen.encode(update, WEIGHT, ring(chosen)).vector[:-1]
    # The same integers, or the next ones where rounding is at random.
    apart = (vector - ours + np.uint32(1)) & np.uint32(ring(chosen).mask)
    assert np.all(apart <= 2) if rounding == "stochastic" else np.all(apart == 1)


def test_decode(benchmark: BenchmarkFixture, update: npt.NDArray[np.float32]) -> None:
    benchmark.group = f"decode {LENGTH} elements"
    chosen = codec("nearest")
    total = chosen.encode(update, WEIGHT, ring(chosen)).vector
    decoded = benchmark(chosen.decode, total, ring(chosen))
    assert np.max(np.abs(decoded.mean - update)) <= chosen.error_bound([WEIGHT])


def test_decode_in_numpy(benchmark: BenchmarkFixture, update: npt.NDArray[np.float32]) -> None:
    benchmark.group = f"decode {LENGTH} elements"
    chosen = codec("nearest")
    bits = ring(chosen).bits
    total = chosen.encode(update, WEIGHT, ring(chosen)).vector[:-1]

    def decode() -> npt.NDArray[np.float64]:
        signed = (total << np.uint32(32 - bits)).view(np.int32) >> np.int32(32 - bits)
        return signed.astype(np.float64) / (WEIGHT / MAX_WEIGHT * (1 << FRACTION_BITS))

    mean = benchmark(decode)
    assert np.max(np.abs(mean - update)) <= chosen.error_bound([WEIGHT])
