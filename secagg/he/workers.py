"""Encryption and decryption of whole vectors, chunk by chunk, in this process or in several.

`with processes(2):` sends the chunks of every call inside it to worker processes. Only bytes go
to them and come back; the standard library's executor frames them (it pickles its own call
record, over a private pipe to children that it started itself: nothing from a peer is unpickled).
A worker that decrypts holds the secret key's seed in its memory until the pool ends.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import repeat
from typing import Any, Final

import msgspec
import numpy as np

from secagg.errors import ParameterError
from secagg.he import seal
from secagg.he.contexts import PublicContext
from secagg.he.lattice import Lattice
from secagg.he.parameters import Layout
from secagg.he.seal import SEED_BYTES, Slots, Words
from secagg.he.vectors import pack
from secagg.types import Rng, Secret

_EXECUTOR: Final[ContextVar[Executor | None]] = ContextVar("secagg_he_executor", default=None)
_BATCH: Final = 16
"""Ciphertexts per decryption job: the secret key is expanded once per job."""


@contextmanager
def processes(count: int) -> Iterator[None]:
    """Use `count` worker processes for what is encrypted and decrypted inside the block.

    Raises:
        ParameterError: fewer than one.
    """
    if count < 1:
        raise ParameterError(f"expected at least one worker, got {count}")
    method = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=method) as executor:
        list(executor.map(_warm_up, range(count)))
        token = _EXECUTOR.set(executor)
        try:
            yield
        finally:
            _EXECUTOR.reset(token)


def encrypt(slots: Slots, layout: Layout, context: PublicContext, rng: Rng) -> bytes:
    """The packed ciphertexts of a vector.

    Args:
        slots: one row per chunk.
        layout: how they are packed.
        context: the public key.
        rng: 64 bytes are drawn per chunk, in order, whatever the number of workers.
    """
    lattice = msgspec.msgpack.encode(layout.lattice)
    key = context.residues.tobytes()
    seeds = [rng.bytes(SEED_BYTES) for _ in range(layout.chunks)]
    rows = (row.tobytes() for row in slots)
    chunks = _map(_encrypt_chunk, repeat(lattice), repeat(key), seeds, rows)
    return b"".join(pack(np.frombuffer(chunk, dtype=np.uint64), layout) for chunk in chunks)


def decrypt(residues: Words, layout: Layout, seed: Secret) -> Slots:
    """The slots of ciphertexts, one row per chunk."""
    lattice = msgspec.msgpack.encode(layout.lattice)
    rows = residues.reshape(layout.chunks, -1)
    batches = (rows[at : at + _BATCH].tobytes() for at in range(0, layout.chunks, _BATCH))
    opened = _map(_decrypt_chunks, repeat(lattice), repeat(seed.reveal()), batches)
    return _slots(b"".join(opened), layout.lattice).reshape(layout.chunks, -1)


def _map(job: Callable[..., bytes], *columns: Iterable[bytes]) -> Iterator[bytes]:
    executor = _EXECUTOR.get()
    return map(job, *columns) if executor is None else executor.map(job, *columns)


def _warm_up(number: int) -> int:
    seal.require()
    return number


def _slots(encoded: bytes, lattice: Lattice) -> Slots:
    if lattice.scheme == "bfv":
        return np.frombuffer(encoded, dtype=np.uint64)
    return np.frombuffer(encoded, dtype=np.complex128)


def _encrypt_chunk(parameters: bytes, key: bytes, seed: bytes, slots: bytes) -> bytes:
    lattice = _lattice(parameters)
    row = _slots(slots, lattice)
    return seal.encrypt(lattice, _key(parameters, key), seed, row).tobytes()


def _decrypt_chunks(parameters: bytes, seed: bytes, residues: bytes) -> bytes:
    lattice = _lattice(parameters)
    rows = np.frombuffer(residues, dtype=np.uint64).reshape(-1, lattice.residues)
    return b"".join(slots.tobytes() for slots in seal.decrypt(lattice, seed, rows))


@lru_cache(maxsize=8)
def _lattice(parameters: bytes) -> Lattice:
    return msgspec.msgpack.decode(parameters, type=Lattice)


@lru_cache(maxsize=1)
def _key(parameters: bytes, key: bytes) -> Any:
    return seal.load_public_key(_lattice(parameters), np.frombuffer(key, dtype=np.uint64))
