"""A worker that decrypts holds the secret key from Begin to End: its whole memory is searched.

Not for the seed: SEAL frees its copy of that without clearing it (docs/he.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from e2e.test_enclave_memory import memory_of

from secagg.crypto.rng import SystemRng
from secagg.he import seal, vectors, workers
from secagg.he.channel import Begin
from secagg.he.contexts import SecretContext
from secagg.he.lattice import Lattice
from secagg.he.parameters import Layout, derive_bfv, derive_ckks
from secagg.he.pool import Account, Pool

WINDOW = 32


def pieces_of(lattice: Lattice, seed: bytes) -> list[bytes]:
    """Windows of the secret key as SEAL keeps it."""
    secret_key = seal._secret_key(lattice, seed)
    polynomial = secret_key.data()  # lives as long as the key
    words = [polynomial[position] for position in range(polynomial.coeff_count())]
    key = np.array(words, dtype=np.uint64).tobytes()
    return [key[start : start + WINDOW] for start in range(0, len(key), 1 << 12)]


def found_in(pid: int, needles: list[bytes]) -> int:
    missing = set(needles)
    for region in memory_of(pid):
        missing -= {needle for needle in missing if needle in region}
    return len(set(needles)) - len(missing)


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
def test_the_key_is_there_during_the_job_and_gone_after_it(
    derive: Callable[[int, int, int], Layout],
) -> None:
    layout = derive(3, 1000, 9000)
    key = SecretContext.generate(layout.lattice, SystemRng())
    slots = vectors.slots_of(np.arange(9000, dtype=np.int64) % 2001 - 1000, layout)
    packed = workers.encrypt(slots, layout, key.public)
    row = vectors.unpack(memoryview(packed), layout)[: layout.lattice.residues].tobytes()
    seed = key.seed.reveal()
    pieces = pieces_of(layout.lattice, seed)
    during = []
    pool = Pool(1)

    def batches() -> Iterator[bytes]:
        yield row
        yield row
        # The first was answered, or this one would not be asked for: the worker has the key.
        during.append(found_in(pool.pids[0], pieces))
        yield row

    pool.run(Begin("decrypt", layout.lattice), bytearray(seed), batches(), Account())
    after = found_in(pool.pids[0], pieces)
    pool.close()
    assert during == [len(pieces)]
    assert len(pieces) > 2
    assert after == 0
