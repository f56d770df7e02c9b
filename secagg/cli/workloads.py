"""What `secagg speed` times: each kernel with its ceiling and a rival, on buffers of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg import kernels
from secagg.cli.stopwatch import Work
from secagg.crypto.rng import seeded
from secagg.kernels import MaskStream, ceilings
from secagg.types import Ring, RingVector

MASKS: Final = 100
LENGTH: Final = 1_000_000
FLOATS: Final = 10_000_000
"""40 MB of them: beyond the caches."""

VECTORS: Final = 64
RIVAL_MASKS: Final = 4
"""The rivals expand only so many masks, and are charged in proportion."""

CACHED: Final = 1 << 15
"""Bytes that lie in the first-level cache."""

SEED: Final = 1
KEYSTREAM: Final = "raw keystream, in the cache"
COPY: Final = "memcpy"


class Things(NamedTuple):
    """What takes turns."""

    ceiling: Work
    kernel: Work
    rival: Work | None = None


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    Attributes:
        kernel: its name.
        load: what it works on.
        moved: bytes that the kernel goes through in one run.
        bytes_are: what these are.
        elements: by which the time is divided.
        ceiling: its name.
        ceiling_moved: bytes that the ceiling goes through in one run.
        make: the things that take turns, with fresh buffers.
        rival: its name, if there is one.
        rival_share: the work of the kernel in runs of the rival.
        threads: that the kernel uses.
    """

    kernel: str
    load: str
    moved: int
    bytes_are: str
    elements: int
    ceiling: str
    ceiling_moved: int
    make: Callable[[], Things] = field(repr=False)
    rival: str | None = None
    rival_share: float = 1.0
    threads: int = 1

    @contextmanager
    def prepared(self) -> Iterator[Things]:
        """The things, whose buffers are gone afterwards."""
        yield self.make()


def workloads() -> list[Workload]:
    """All of them, those on one thread first."""
    found = [
        _masks(np.uint32, 16),
        _masks(np.uint32, 32),
        _masks(np.uint16, 16),
        _masks(np.uint64, 16),
        _encode("nearest, scale 2^k", 2.0**20, stochastic=False),
        _encode("nearest + mask, scale 2^k", 2.0**20, stochastic=False, masked=True),
        _encode("stochastic, scale 2^k", 2.0**20, stochastic=True),
        _encode("stochastic + mask, scale 2^k", 2.0**20, stochastic=True, masked=True),
        _encode("nearest, any scale", 1e6, stochastic=False),
        _encode("stochastic, any scale", 1e6, stochastic=True),
        _sum(32),
        _sum(25),
        _pack(25),
        _decode(),
        _split(),
        _combine(),
    ]
    if kernels.usable_cpus() > 1:
        found.append(_masks_by_threads(kernels.usable_cpus()))
    return found


def _streams(count: int, key_bytes: int) -> list[MaskStream]:
    rng = seeded(SEED)
    return [MaskStream(rng.bytes(key_bytes), rng.bytes(12), +1) for _ in range(count)]


def _floats() -> npt.NDArray[np.float32]:
    words = np.frombuffer(seeded(SEED).bytes(4 * FLOATS), dtype=np.int32)
    values: npt.NDArray[np.float32] = kernels.aligned(FLOATS, np.float32)
    np.multiply(words, np.float32(2.0**-31), out=values, dtype=np.float32, casting="unsafe")
    return values


def _ones(length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    vector = kernels.aligned(length, dtype)
    vector.fill(1)
    return vector


def _masks(dtype: Any, key_bytes: int) -> Workload:
    width = np.dtype(dtype).itemsize
    passes = MASKS * LENGTH * width // CACHED

    def make() -> Things:
        streams = _streams(MASKS, key_bytes)
        total = _ones(LENGTH, dtype)
        cached = _ones(CACHED, np.uint8)
        return Things(
            lambda: ceilings.keystream_passes(cached, passes, streams[0]),
            lambda: kernels.apply_masks(total, streams),
            _cryptography(total, streams[:RIVAL_MASKS]) if width == 4 else None,
        )

    return Workload(
        kernel=f"masks, AES-{8 * key_bytes}, {8 * width}-bit lanes",
        load=f"{MASKS} masks of {LENGTH:,}",
        moved=MASKS * LENGTH * width,
        bytes_are="keystream",
        elements=MASKS * LENGTH,
        ceiling=KEYSTREAM,
        ceiling_moved=passes * CACHED,
        make=make,
        rival="cryptography's AES-CTR + numpy's add" if width == 4 else None,
        rival_share=MASKS / RIVAL_MASKS,
    )


def _cryptography(total: RingVector, streams: list[MaskStream]) -> Work:
    """Each mask whole, into one buffer that is used again, then added."""
    zeros = bytes(total.nbytes)
    keystream = np.empty(total.nbytes + 16, dtype=np.uint8)
    mask = keystream[: total.nbytes].view(total.dtype)

    def run() -> None:
        for stream in streams:
            cipher = Cipher(algorithms.AES(stream.key), modes.CTR(stream.iv + bytes(4)))
            cipher.encryptor().update_into(zeros, keystream.data)
            np.add(total, mask, out=total)

    return run


def _masks_by_threads(threads: int) -> Workload:
    def make() -> Things:
        streams = _streams(MASKS, 16)
        total = _ones(LENGTH, np.uint32)
        return Things(
            lambda: kernels.apply_masks(total, streams, threads=1),
            lambda: kernels.apply_masks(total, streams, threads=threads),
        )

    moved = 4 * MASKS * LENGTH
    return Workload(
        kernel=f"masks, AES-128, 32-bit lanes, {threads} threads",
        load=f"{MASKS} masks of {LENGTH:,}",
        moved=moved,
        bytes_are="keystream",
        elements=MASKS * LENGTH,
        ceiling="the same by one thread",
        ceiling_moved=moved,
        make=make,
        threads=threads,
    )


def _encode(name: str, scale: float, *, stochastic: bool, masked: bool = False) -> Workload:
    ring = Ring(30)

    def make() -> Things:
        values = _floats()
        out = _ones(FLOATS, np.uint32)
        randomness, mask = _streams(2, 16)

        def encode() -> None:
            kernels.encode_fixed(
                values,
                clip=0.75,
                scale=scale,
                ring=ring,
                randomness=randomness if stochastic else None,
                mask=mask if masked else None,
                out=out,
            )

        copied = _ones(values.nbytes, np.uint8)
        source = values.view(np.uint8)
        rival = None if stochastic or masked else _numpy_encode(values, out, scale)
        return Things(lambda: ceilings.copy(copied, source), encode, rival)

    return Workload(
        kernel=f"encode, {name}",
        load=f"{FLOATS:,} floats",
        moved=4 * FLOATS,
        bytes_are="floats read",
        elements=FLOATS,
        ceiling=COPY,
        ceiling_moved=4 * FLOATS,
        make=make,
        rival=None if stochastic or masked else "numpy: clip, scale, rint, cast",
    )


def _numpy_encode(values: npt.NDArray[np.float32], out: RingVector, scale: float) -> Work:
    scratch = np.empty_like(values)

    def run() -> None:
        np.clip(values, -0.75, 0.75, out=scratch)
        np.multiply(scratch, np.float32(scale), out=scratch)
        np.rint(scratch, out=scratch)
        out.view(np.int32)[:] = scratch

    return run


def _sum(bits: int) -> Workload:
    ring = Ring(bits)
    size = ring.packed_size(LENGTH)

    def make() -> Things:
        memory = _ones(VECTORS * size, np.uint8)
        packed = [memory[i * size : (i + 1) * size].data for i in range(VECTORS)]
        total = _ones(LENGTH, np.uint32)
        plain = [np.frombuffer(one, dtype=np.uint32) for one in packed] if bits == 32 else []

        def add_one_by_one() -> None:
            for vector in plain:
                np.add(total, vector, out=total)

        return Things(
            lambda: ceilings.read(memory),
            lambda: kernels.sum_packed(total, packed, ring),
            add_one_by_one if plain else None,
        )

    return Workload(
        kernel=f"sum of packed vectors, {bits} bits",
        load=f"{VECTORS} vectors of {LENGTH:,}",
        moved=VECTORS * size,
        bytes_are="packed vectors",
        elements=VECTORS * LENGTH,
        ceiling="pure read",
        ceiling_moved=VECTORS * size,
        make=make,
        rival="numpy's add, one by one" if bits == 32 else None,
    )


def _pack(bits: int) -> Workload:
    def make() -> Things:
        vector = _ones(LENGTH, np.uint32)
        copied = _ones(vector.nbytes, np.uint8)
        return Things(
            lambda: ceilings.copy(copied, vector.view(np.uint8)),
            lambda: kernels.pack(vector, Ring(bits)),
        )

    return Workload(
        kernel=f"pack, {bits} bits",
        load=f"{LENGTH:,} elements",
        moved=4 * LENGTH,
        bytes_are="lanes",
        elements=LENGTH,
        ceiling=COPY,
        ceiling_moved=4 * LENGTH,
        make=make,
    )


def _decode() -> Workload:
    def make() -> Things:
        total = _ones(LENGTH, np.uint32)
        source = _ones(8 * LENGTH, np.uint8)
        copied = _ones(8 * LENGTH, np.uint8)
        return Things(
            lambda: ceilings.copy(copied, source),
            lambda: kernels.decode_fixed(total, Ring(30), 1e6),
        )

    return Workload(
        kernel="decode to doubles",
        load=f"{LENGTH:,} elements",
        moved=8 * LENGTH,
        bytes_are="doubles",
        elements=LENGTH,
        ceiling=COPY,
        ceiling_moved=8 * LENGTH,
        make=make,
    )


HOLDERS: Final = 100
THRESHOLD: Final = 67
SECRETS: Final = 100


def _shares() -> tuple[bytearray, npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    secrets = bytearray(seeded(SEED).bytes(32 * SECRETS))
    words = np.frombuffer(seeded(SEED).bytes(8 * SECRETS * 5 * (THRESHOLD - 1)), dtype=np.uint64)
    coefficients = (words >> np.uint64(4)).reshape(SECRETS, 5, THRESHOLD - 1)
    return secrets, coefficients, np.arange(1, HOLDERS + 1, dtype=np.uint64)


def _shamir(kernel: str, elements: int, make: Callable[[], Things]) -> Workload:
    moved = 40 * SECRETS * HOLDERS
    return Workload(
        kernel=kernel,
        load=f"{SECRETS} secrets, {THRESHOLD} of {HOLDERS} shares",
        moved=moved,
        bytes_are="shares",
        elements=elements,
        ceiling=COPY,
        ceiling_moved=moved,
        make=make,
    )


def _split() -> Workload:
    def make() -> Things:
        secrets, coefficients, points = _shares()
        source, copied = (_ones(40 * SECRETS * HOLDERS, np.uint8) for _ in range(2))
        return Things(
            lambda: ceilings.copy(copied, source),
            lambda: kernels.shamir_split(secrets, SECRETS, coefficients, points),
        )

    return _shamir("Shamir, split", SECRETS * HOLDERS, make)


def _combine() -> Workload:
    def make() -> Things:
        secrets, coefficients, points = _shares()
        shares = kernels.shamir_split(secrets, SECRETS, coefficients, points)
        chosen = np.ascontiguousarray(shares[:, :THRESHOLD])
        lagrange = kernels.shamir_lagrange(points[:THRESHOLD])
        source, copied = (_ones(40 * SECRETS * HOLDERS, np.uint8) for _ in range(2))
        return Things(
            lambda: ceilings.copy(copied, source),
            lambda: kernels.shamir_combine(chosen, lagrange),
        )

    return _shamir("Shamir, combine", SECRETS, make)
