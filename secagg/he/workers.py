"""Encryption and decryption of whole vectors, chunk by chunk, in this process or in several.

`with processes(2):` sends the chunks of every call inside it to worker processes, over sockets
that carry lengths, MessagePack and raw bytes (`secagg.he.channel`). Keys go with each call to the
workers that take part in it, and are dropped there at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import numpy as np

from secagg.he import jobs
from secagg.he.channel import Begin, Buffer, wipe
from secagg.he.contexts import PublicContext
from secagg.he.parameters import Layout
from secagg.he.pool import Account, Pool
from secagg.he.seal import Slots, Words
from secagg.types import Secret

_POOL: Final[ContextVar[Pool | None]] = ContextVar("secagg_he_pool", default=None)
_BATCH: Final = 8
"""Ciphertexts per batch."""


@contextmanager
def processes(count: int) -> Iterator[None]:
    """Use `count` worker processes for what is encrypted and decrypted inside the block.

    They start with the first use and end with the block.

    Raises:
        ParameterError: fewer than one.
    """
    pool = Pool(count)
    token = _POOL.set(pool)
    try:
        yield
    finally:
        _POOL.reset(token)
        pool.close()


def encrypt(
    slots: Slots, layout: Layout, context: PublicContext, account: Account | None = None
) -> bytes:
    """The packed ciphertexts of a vector.

    Args:
        slots: one row per chunk.
        layout: how they are packed.
        context: the public key.
        account: is charged with what worker processes spend.

    Two calls give different bytes: the randomness is SEAL's own.

    Raises:
        UnavailableError: a worker process is lost.
    """
    key = context.residues.tobytes()
    return b"".join(_done(Begin("encrypt", layout.lattice), key, slots, account))


def decrypt(residues: Words, layout: Layout, seed: Secret, account: Account | None = None) -> Slots:
    """The slots of ciphertexts, one row per chunk; arguments and errors as for `encrypt`.

    Raises:
        DecodeError: SEAL refuses a ciphertext.
    """
    key = bytearray(seed.reveal())
    rows = residues.reshape(layout.chunks, -1)
    try:
        opened = _done(Begin("decrypt", layout.lattice), key, rows, account)
    finally:
        wipe(key)
    return jobs.slots_in(b"".join(opened), layout.lattice)


def _done(
    task: Begin, key: Buffer, rows: Slots | Words, account: Account | None
) -> Sequence[Buffer]:
    """What the task makes of the rows, batch by batch."""
    batches = (_encoded(rows[at : at + _BATCH]) for at in range(0, len(rows), _BATCH))
    pool = _POOL.get()
    if pool is None:
        job = jobs.begin(task, key)
        return [job(batch) for batch in batches]
    return pool.run(task, key, batches, Account() if account is None else account)


def _encoded(rows: Slots | Words) -> memoryview:
    """The rows' bytes, not copied where they are contiguous."""
    return rows.reshape(-1).view(np.uint8).data
