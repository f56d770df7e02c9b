"""Worker processes change the time, not the bytes."""

from __future__ import annotations

import numpy as np
import pytest
from unit.he.cases import key_of

from secagg.crypto.rng import seeded
from secagg.errors import ParameterError
from secagg.he import vectors, workers
from secagg.he.parameters import derive_bfv, derive_ckks


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
def test_the_same_bytes_with_and_without_workers(derive) -> None:  # type: ignore[no-untyped-def]
    layout = derive(3, 30_000, 40_000)
    assert layout.chunks > 2
    key, _ = key_of(layout.lattice)
    values = np.arange(40_000, dtype=np.int64) % 60_001 - 30_000
    slots = vectors.slots_of(values, layout)
    alone = workers.encrypt(slots, layout, key.public, seeded(3))
    with workers.processes(2):
        together = workers.encrypt(slots, layout, key.public, seeded(3))
        residues = vectors.unpack(memoryview(together), layout)
        opened = workers.decrypt(residues, layout, key.seed)
    assert together == alone
    found = vectors.values_of(opened, layout, 1)
    assert int(np.max(np.abs(found - values))) <= layout.error_bound


def test_the_randomness_of_chunks_differs() -> None:
    layout = derive_bfv(3, 30_000, 40_000)
    key, rng = key_of(layout.lattice)
    slots = vectors.slots_of(np.zeros(40_000, dtype=np.int64), layout)
    packed = workers.encrypt(slots, layout, key.public, rng)
    size = layout.lattice.ciphertext_bytes
    chunks = {packed[at : at + 64] for at in range(0, len(packed), size)}
    assert len(chunks) == layout.chunks


def test_at_least_one_worker() -> None:
    with pytest.raises(ParameterError, match="at least one"), workers.processes(0):
        pass
