"""Masks of the C core against `cryptography`'s AES-CTR, byte for byte, at every boundary.

The core is asked through csrc/tests/masks.c. So the level may be one of another machine, in an
emulator, while `cryptography` computes on this one.
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

LANES: Final = (2, 4, 8)
KEY_SIZES: Final = (16, 32)
SIGNS: Final = (1, -1)

# Bytes: a block, the chunks of eight registers of one and of two blocks, a tile.
BLOCK: Final = 16
CHUNKS: Final = (8 * BLOCK, 16 * BLOCK)
TILE: Final = 32 * 1024
# A stream ends here: 2^32 blocks.
END: Final = 2**32 * BLOCK

# Of csrc/secagg.h.
OK, UNAVAILABLE, PARAMETER = 0, -1, -2

# How much is sent to one process of the core.
BATCH_BYTES: Final = 1 << 24


class Stream(NamedTuple):
    """One keystream. `key_size` may lie, to be refused."""

    key: bytes
    iv: bytes
    key_size: int
    sign: int


class Request(NamedTuple):
    """Masks for `initial`, lanes that are the part of a vector from element `offset` on."""

    lane_bytes: int
    offset: int
    initial: bytes
    streams: tuple[Stream, ...]
    status: int = OK

    def packed(self, level: str) -> bytes:
        """As struct request of masks.c, and what follows it."""
        length = len(self.initial) // self.lane_bytes
        count = len(self.streams)
        head = struct.pack("<16sQQII", level.encode(), self.offset, length, self.lane_bytes, count)
        streams = (struct.pack("<32s12sBb2x", *stream) for stream in self.streams)
        return head + b"".join(streams) + self.initial

    def answer(self) -> bytes:
        """What masks.c must say."""
        status = struct.pack("<i", self.status)
        if self.status != OK:
            return status + self.initial
        total = np.frombuffer(self.initial, dtype=f"<u{self.lane_bytes}").copy()
        for stream in self.streams:
            block, skip = divmod(self.offset * self.lane_bytes, BLOCK)
            # Nothing may be asked of a stream at its end; any block will do then.
            counter = stream.iv + (block % 2**32).to_bytes(4, "big")
            generator = Cipher(algorithms.AES(stream.key), modes.CTR(counter)).encryptor()
            keystream = generator.update(bytes(skip + total.nbytes))[skip:]
            mask = np.frombuffer(keystream, dtype=total.dtype)
            if stream.sign > 0:
                total += mask
            else:
                total -= mask
        return status + total.tobytes()

    def __str__(self) -> str:
        streams = ", ".join(
            f"{'+' if s.sign > 0 else '-'}AES-{8 * s.key_size}" for s in self.streams[:3]
        )
        return (
            f"{len(self.initial) // self.lane_bytes} lanes of {self.lane_bytes} bytes from element"
            f" {self.offset}, {len(self.streams)} streams ({streams})"
        )


def _bytes(label: str, size: int) -> bytes:
    """The same for the same label, and nothing to see in it."""
    return hashlib.shake_256(label.encode()).digest(size)


def _stream(label: str, key_size: int, sign: int) -> Stream:
    return Stream(_bytes(f"{label} key", key_size), _bytes(f"{label} iv", 12), key_size, sign)


def _lengths(lane: int) -> Iterator[int]:
    """In bytes, each once: a few lanes, then a lane less and more than each boundary."""
    few = {lane * count for count in (0, 1, 2, 3, 15, 16, 17)}
    boundaries = (BLOCK, *CHUNKS, TILE, 2 * TILE, 3 * TILE)
    around = {size + change for size in boundaries for change in (-lane, 0, lane)}
    yield from sorted(few | around | {2 * TILE + CHUNKS[0] + 5 * lane})


def _offsets(lane: int, size: int) -> Iterator[int]:
    """In bytes, each once: around every boundary, where an index could turn negative or be cut
    off, and where a vector of `size` bytes just fits."""
    yield from sorted(
        {0, lane, 7 * lane, 8, BLOCK - lane, BLOCK, 3 * BLOCK + lane}
        | {chunk + change for chunk in CHUNKS for change in (-lane, 0)}
        | {TILE - lane, TILE, TILE + lane}
        | {2**31 - lane, 2**32 - lane, END // 2 - lane}
        | {END - size - BLOCK, END - size - lane, END - size}
    )


def _boundaries() -> Iterator[Request]:
    pattern = _bytes("lanes", 4 * TILE)
    for lane in LANES:
        for key_size in KEY_SIZES:
            for sign in SIGNS:
                stream = _stream(f"{lane} {key_size} {sign}", key_size, sign)
                for size in _lengths(lane):
                    for start in _offsets(lane, size):
                        yield Request(lane, start // lane, pattern[:size], (stream,))


def _special() -> Iterator[Request]:
    """Keys and IVs of one bit value, and many streams at once."""
    pattern = _bytes("lanes of special keys", 2 * TILE)
    for lane in LANES:
        for key_size in KEY_SIZES:
            for key in (bytes(key_size), b"\xff" * key_size):
                for iv in (bytes(12), b"\xff" * 12):
                    for start in (0, 5 * lane, END - 1000):
                        stream = Stream(key, iv, key_size, 1)
                        yield Request(lane, start // lane, pattern[:1000], (stream,))
        many = tuple(
            _stream(f"one of many {i}", KEY_SIZES[i % 2], SIGNS[i // 2 % 2]) for i in range(13)
        )
        for start in (3 * lane, END - TILE - 1000):
            yield Request(lane, start // lane, pattern[: TILE + 1000], many)
        yield Request(lane, 3, pattern[:1000], ())


def _refused() -> Iterator[Request]:
    """Beyond the end of the stream, and no key size or sign of ours, be it one among good ones."""
    lanes = _bytes("lanes of refusals", 64)
    good = _stream("good", 16, 1)
    for lane in LANES:
        last = END // lane
        for offset in (last - 64 // lane + 1, last - 1, last, last + 1, 2**63, 2**64 - 1):
            yield Request(lane, offset, lanes, (good,), PARAMETER)
        yield Request(lane, last + 1, b"", (good,), PARAMETER)
        for key_size in (0, 1, 15, 17, 24, 31, 33, 255):
            bad = good._replace(key_size=key_size)
            yield Request(lane, 0, lanes, (bad,), PARAMETER)
            yield Request(lane, 0, lanes, (good, good, bad), PARAMETER)
        for sign in (0, 2, -2, 127, -128):
            bad = good._replace(sign=sign)
            yield Request(lane, 0, lanes, (bad,), PARAMETER)
            yield Request(lane, 0, lanes, (bad, good), PARAMETER)


def _batches(requests: Iterator[Request]) -> Iterator[list[Request]]:
    batch: list[Request] = []
    size = 0
    for request in requests:
        batch.append(request)
        size += len(request.initial)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ask(command: Sequence[str | Path], level: str, requests: list[Request]) -> bytes | str:
    """The answers in one piece, or why there are none."""
    packed = b"".join(request.packed(level) for request in requests)
    try:
        result = subprocess.run(command, input=packed, capture_output=True, check=False)
    except OSError as error:
        return f"{command[0]} could not be started: {error}"
    if result.returncode != 0:
        errors = result.stderr.decode(errors="replace")
        return f"{errors}\n{command[0]} exited with {result.returncode}"
    return result.stdout


def _difference(requests: list[Request], answers: bytes) -> str | None:
    """The first request whose answer is not the right one, or None."""
    place = 0
    for request in requests:
        expected = request.answer()
        answer = answers[place : place + len(expected)]
        place += len(expected)
        if answer != expected:
            if answer[:4] != expected[:4]:
                got = struct.unpack("<i", answer[:4])[0] if len(answer) >= 4 else "nothing"
                return f"{request}: expected the status {request.status}, got {got}"
            pairs = enumerate(zip(expected[4:], answer[4:], strict=False))
            first = next((i for i, (a, b) in pairs if a != b), len(answer) - 4)
            return f"{request}: the first wrong byte is number {first}"
    return None if place == len(answers) else f"{len(answers) - place} bytes too many"


def available(command: Sequence[str | Path], level: str) -> bool:
    """Whether the core can compute masks at a level, on the machine that the command runs on."""
    nothing = [Request(2, 0, b"", ())]
    answers = _ask(command, level, nothing)
    return not isinstance(answers, str) and _difference(nothing, answers) is None


def problem_of(command: Sequence[str | Path], level: str) -> str | None:
    """What is wrong with the masks of a level, or None.

    Args:
        command: runs the program of csrc/tests/masks.c.
        level: of the C core; available().
    """
    checked = 0
    for requests in (_boundaries(), _special(), _refused()):
        for batch in _batches(requests):
            answers = _ask(command, level, batch)
            if isinstance(answers, str):
                return answers
            if difference := _difference(batch, answers):
                return difference
            # One wrong bit anywhere must show.
            wrong = bytearray(answers)
            wrong[-1] ^= 1
            if _difference(batch[-1:], bytes(wrong[-len(batch[-1].answer()) :])) is None:
                return "the comparison does not notice a wrong bit"
            checked += len(batch)
    print(f"  {level}: {checked} requests answered as by cryptography's AES-CTR")
    return None


def refusal_problem(command: Sequence[str | Path], level: str) -> str | None:
    """What is wrong with the answers of a level that has no masks, or None."""
    lanes = bytes(range(64))
    requests = [Request(lane, 0, lanes, (_stream("good", 16, 1),), UNAVAILABLE) for lane in LANES]
    answers = _ask(command, level, requests)
    return answers if isinstance(answers, str) else _difference(requests, answers)
