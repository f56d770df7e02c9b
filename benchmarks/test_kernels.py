"""Mask expansion next to `cryptography`'s AES-CTR with numpy's add, and packing next to a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pytest_benchmark.fixture import BenchmarkFixture

from secagg import kernels
from secagg.crypto.rng import seeded
from secagg.types import Ring

ELEMENTS = 1_000_000
STREAMS = 10
SEED = 1


@pytest.fixture(params=kernels.levels()[1:])
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every native level of this machine."""
    with kernels.using_level(request.param):
        yield request.param


def streams(key_bytes: int) -> list[kernels.MaskStream]:
    rng = seeded(SEED)
    return [kernels.MaskStream(rng.bytes(key_bytes), rng.bytes(12), +1) for _ in range(STREAMS)]


@pytest.mark.parametrize("key_bytes", [16, 32])
def test_masks(benchmark: BenchmarkFixture, level: str, key_bytes: int) -> None:
    benchmark.group = f"add {STREAMS} AES-{8 * key_bytes} masks to {ELEMENTS} u32"
    total = np.zeros(ELEMENTS, dtype=np.uint32)
    benchmark(kernels.apply_masks, total, streams(key_bytes))


@pytest.mark.parametrize("key_bytes", [16, 32])
def test_masks_by_cryptography_and_numpy(benchmark: BenchmarkFixture, key_bytes: int) -> None:
    benchmark.group = f"add {STREAMS} AES-{8 * key_bytes} masks to {ELEMENTS} u32"
    total = np.zeros(ELEMENTS, dtype=np.uint32)
    chosen = streams(key_bytes)
    zeros = bytes(total.nbytes)
    keystream = bytearray(total.nbytes)

    def expand_and_add() -> None:
        for stream in chosen:
            cipher = Cipher(algorithms.AES(stream.key), modes.CTR(stream.iv + bytes(4)))
            cipher.encryptor().update_into(zeros, keystream)
            np.add(total, np.frombuffer(keystream, dtype="<u4"), out=total)

    benchmark(expand_and_add)


@pytest.mark.parametrize("bits", [20, 31, 32])
def test_pack(benchmark: BenchmarkFixture, bits: int) -> None:
    benchmark.group = f"pack {ELEMENTS} u32"
    vector = np.arange(ELEMENTS, dtype=np.uint32) & np.uint32((1 << bits) - 1)
    benchmark(kernels.pack, vector, Ring(bits))


def test_copy(benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"pack {ELEMENTS} u32"
    vector: np.ndarray[Any, Any] = np.arange(ELEMENTS, dtype=np.uint32)
    benchmark(vector.copy)
