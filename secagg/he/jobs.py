"""What is done to a batch of rows under one key, in whichever process."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from secagg.errors import DecodeError
from secagg.he import seal
from secagg.he.channel import Begin, Buffer
from secagg.he.lattice import Lattice
from secagg.he.seal import Slots
from secagg.he.vectors import pack

Job: TypeAlias = Callable[[Buffer], bytes]


def begin(task: Begin, key: Buffer) -> Job:
    """The function of a batch; it keeps SEAL's form of the key and not the key.

    Raises:
        DecodeError: not a key of these parameters; from the job, not rows that SEAL takes.
        ParameterError: the table, or SEAL, refuses the parameters.
    """
    task.lattice.check()
    work = _encryption if task.task == "encrypt" else _decryption
    return work(task, key)


def slots_in(encoded: Buffer, lattice: Lattice) -> Slots:
    """Slots as they travel, one row per ciphertext."""
    if lattice.scheme == "bfv":
        return np.frombuffer(encoded, dtype=np.uint64).reshape(-1, lattice.slots)
    return np.frombuffer(encoded, dtype=np.complex128).reshape(-1, lattice.slots)


def _encryption(task: Begin, key: Buffer) -> Job:
    lattice, public = task.lattice, _public_key(task.lattice, bytes(key))

    def encrypt(batch: Buffer) -> bytes:
        rows = slots_in(_whole_rows(batch, task), lattice)
        return b"".join(pack(seal.encrypt(lattice, public, row), lattice) for row in rows)

    return encrypt


def _decryption(task: Begin, seed: Buffer) -> Job:
    lattice, decryptor = task.lattice, seal.decryptor(task.lattice, seed)

    def decrypt(batch: Buffer) -> bytes:
        words = np.frombuffer(_whole_rows(batch, task), dtype=np.uint64)
        rows = words.reshape(-1, lattice.residues)
        return b"".join(seal.decrypt(lattice, decryptor, row).tobytes() for row in rows)

    return decrypt


def _whole_rows(batch: Buffer, task: Begin) -> Buffer:
    if not len(batch) or len(batch) % task.row_bytes:
        raise DecodeError(f"expected rows of {task.row_bytes} bytes, got {len(batch)} bytes")
    return batch


@lru_cache(maxsize=1)
def _public_key(lattice: Lattice, key: bytes) -> Any:
    words = 2 * len(lattice.key_primes) * lattice.degree
    if len(key) != 8 * words:
        raise DecodeError(f"expected a public key of {words} words, got {len(key)} bytes")
    return seal.load_public_key(lattice, np.frombuffer(key, dtype=np.uint64))
