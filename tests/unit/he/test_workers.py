"""Worker processes change the time, not what is encrypted."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from unit.he.cases import key_of

from secagg.errors import ParameterError, UnavailableError
from secagg.he import vectors, workers
from secagg.he.parameters import derive_bfv, derive_ckks


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
def test_what_workers_encrypt_and_decrypt_is_the_vector(derive) -> None:  # type: ignore[no-untyped-def]
    layout = derive(3, 30_000, 40_000)
    assert layout.chunks > 2
    key, _ = key_of(layout.lattice)
    values = np.arange(40_000, dtype=np.int64) % 60_001 - 30_000
    slots = vectors.slots_of(values, layout)
    alone = workers.encrypt(slots, layout, key.public)
    with workers.processes(2):
        together = workers.encrypt(slots, layout, key.public)
        opened = [
            workers.decrypt(vectors.unpack(memoryview(packed), layout), layout, key.seed)
            for packed in (alone, together)
        ]
    assert len(together) == len(alone) == layout.upload_bytes
    for found in opened:
        error = vectors.values_of(found, layout, 1) - values
        assert int(np.max(np.abs(error))) <= layout.error_bound


def test_the_randomness_of_chunks_differs() -> None:
    layout = derive_bfv(3, 30_000, 40_000)
    key, _ = key_of(layout.lattice)
    slots = vectors.slots_of(np.zeros(40_000, dtype=np.int64), layout)
    packed = workers.encrypt(slots, layout, key.public)
    size = layout.lattice.ciphertext_bytes
    with workers.processes(2):
        packed += workers.encrypt(slots, layout, key.public)
    chunks = {packed[at : at + 64] for at in range(0, len(packed), size)}
    assert len(chunks) == 2 * layout.chunks


def test_at_least_one_worker() -> None:
    with pytest.raises(ParameterError, match="at least one"), workers.processes(0):
        pass


def test_a_worker_that_dies_is_a_typed_error() -> None:
    layout = derive_bfv(3, 30_000, 40_000)
    key, _ = key_of(layout.lattice)
    slots = vectors.slots_of(np.zeros(40_000, dtype=np.int64), layout)
    with workers.processes(1):
        pool = workers._POOL.get()
        assert pool is not None
        for pid in list(pool.executor._processes):  # type: ignore[attr-defined]
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(UnavailableError, match="died"):
            workers.encrypt(slots, layout, key.public)
