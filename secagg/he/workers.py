"""Encryption and decryption of whole vectors, chunk by chunk, in this process or in several.

`with processes(2):` sends the chunks of every call inside it to worker processes. Only bytes go
to them and come back; the standard library's executor frames them (it pickles its own call
record, over a private pipe to children that it started itself: nothing from a peer is unpickled).
A worker that decrypts holds the secret key's seed in its memory until the pool ends.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from secagg.errors import ParameterError, UnavailableError
from secagg.he import seal
from secagg.he.contexts import PublicContext
from secagg.he.lattice import Lattice
from secagg.he.parameters import Layout
from secagg.he.seal import Slots, Words
from secagg.he.vectors import pack
from secagg.types import Secret


class _Pool(NamedTuple):
    executor: Executor
    workers: int


_POOL: Final[ContextVar[_Pool | None]] = ContextVar("secagg_he_pool", default=None)
_AHEAD: Final = 2
"""Jobs per worker that are under way at most: a vector is never in the queue as a whole."""

_BATCH: Final = 8
"""Ciphertexts per job: keys travel and are expanded once per job."""


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
        token = _POOL.set(_Pool(executor, count))
        try:
            yield
        finally:
            _POOL.reset(token)


def encrypt(slots: Slots, layout: Layout, context: PublicContext) -> bytes:
    """The packed ciphertexts of a vector.

    Args:
        slots: one row per chunk.
        layout: how they are packed.
        context: the public key.

    Two calls give different bytes: the randomness is SEAL's own.
    """
    lattice = msgspec.msgpack.encode(layout.lattice)
    key = context.residues.tobytes()
    batches = (slots[at : at + _BATCH].tobytes() for at in range(0, layout.chunks, _BATCH))
    return b"".join(_map(_encrypt_chunks, repeat(lattice), repeat(key), batches))


def decrypt(residues: Words, layout: Layout, seed: Secret) -> Slots:
    """The slots of ciphertexts, one row per chunk."""
    lattice = msgspec.msgpack.encode(layout.lattice)
    rows = residues.reshape(layout.chunks, -1)
    batches = (rows[at : at + _BATCH].tobytes() for at in range(0, layout.chunks, _BATCH))
    opened = _map(_decrypt_chunks, repeat(lattice), repeat(seed.reveal()), batches)
    return _slots(b"".join(opened), layout.lattice).reshape(layout.chunks, -1)


def _map(job: Callable[..., bytes], *columns: Iterable[bytes]) -> Iterator[bytes]:
    """The results of the job over the columns, in order.

    Raises:
        UnavailableError: a worker process died.
    """
    pool = _POOL.get()
    if pool is None:
        yield from map(job, *columns)
        return
    waiting: deque[Future[bytes]] = deque()
    try:
        for arguments in zip(*columns, strict=False):  # some columns repeat without end
            waiting.append(pool.executor.submit(job, *arguments))
            if len(waiting) == _AHEAD * pool.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor:
        raise UnavailableError("a worker process died; its session cannot go on") from None


def _warm_up(number: int) -> int:
    seal.require()
    return number


def _slots(encoded: bytes, lattice: Lattice) -> Slots:
    if lattice.scheme == "bfv":
        return np.frombuffer(encoded, dtype=np.uint64)
    return np.frombuffer(encoded, dtype=np.complex128)


def _encrypt_chunks(parameters: bytes, key: bytes, slots: bytes) -> bytes:
    lattice = _lattice(parameters)
    public = _key(parameters, key)
    rows = _slots(slots, lattice).reshape(-1, lattice.slots)
    return b"".join(pack(seal.encrypt(lattice, public, row), lattice) for row in rows)


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
