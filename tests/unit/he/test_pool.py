"""Both ends of the channel refuse nonsense: a worker ends, and the pool ends its workers."""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest
from unit.he.cases import key_of

from secagg.errors import DecodeError, ParameterError, UnavailableError
from secagg.he import channel, pool, vectors, worker
from secagg.he.channel import Answer, Batch, Begin, End, Ready, Refused
from secagg.he.lattice import Lattice
from secagg.he.parameters import derive_bfv
from secagg.he.pool import Account, Pool

LAYOUT = derive_bfv(3, 1000, 2000)
LATTICE = LAYOUT.lattice
KEY, _ = key_of(LATTICE)
PUBLIC = KEY.public.residues.tobytes()
BEGIN = Begin("encrypt", LATTICE)
ROW = vectors.slots_of(np.zeros(2000, dtype=np.int64), LAYOUT)[0].tobytes()

# It says what it is told to say, then listens, is silent, or ends.
FALSE_WORKER = """
import os, sys
words, end = sys.argv[1:]
os.write(0, bytes.fromhex(words))
if end == "leave":
    os._exit(7)
while end == "listen" and os.read(0, 1 << 20):
    pass
while end == "silent":
    import time
    time.sleep(1)
"""

READY = channel.head_of(Ready())
BEGUN = READY + channel.head_of(Answer(0.25))


def false_worker(words: bytes, end: str = "listen") -> list[str]:
    return [sys.executable, "-I", "-c", FALSE_WORKER, words.hex(), end]


def head(value: object, tail_bytes: int = 0) -> bytes:
    body = msgspec.msgpack.encode(value)
    return channel.LENGTHS.pack(len(body), tail_bytes) + body


@pytest.mark.parametrize(
    ("words", "end", "complaint"),
    [
        (b"", "leave", "closed .exit status 7"),
        (READY, "leave", "exit status 7"),
        (BEGUN, "leave", "exit status 7"),
        (BEGUN[:-3], "leave", "exit status 7"),
        (b"\xff" * 8, "listen", "bytes are taken, 4294967295 and 4294967295 announced"),
        (struct.pack(">II", 20, (1 << 25) + 1), "listen", "33554433 announced"),
        (struct.pack(">II", (1 << 12) + 1, 0), "listen", "4097 and 0 announced"),
        (channel.LENGTHS.pack(3, 0) + b"\xc1\xc1\xc1", "listen", "not a head"),
        (head(["Ready", 1]), "listen", "not a head"),
        (head(["Begin", "encrypt"]), "listen", "not a head"),
        (channel.head_of(Answer(0.0)), "listen", "did not say that it is ready"),
        (channel.head_of(Ready(), 1) + b"x", "listen", "did not say that it is ready"),
        (READY + READY, "listen", "out of turn"),
        (READY + channel.head_of(Answer(0.0), 3) + b"abc", "listen", "of 0 bytes, got 3"),
        (BEGUN + channel.head_of(Answer(0.0), 3) + b"abc", "listen", r"of \d{5} bytes, got 3"),
        (BEGUN + channel.head_of(Answer(0.0)), "listen", r"of \d{5} bytes, got 0"),
        (READY + head(["Answer", -1.0]), "listen", "not a head"),
        (READY + head(["Answer", float("nan")]), "listen", "not a head"),
        (READY + head(["Answer", float("inf")]), "listen", "not a head"),
        (READY + head(["Refused", 0.0, "SystemExit", "why"]), "listen", "not a head"),
        (READY + head(["Refused", 0.0, "DecodeError", "y" * 1001]), "listen", "not a head"),
        (
            BEGUN + channel.head_of(Refused(0.0, "DecodeError", "no"), 2) + b"ab",
            "listen",
            "of 0 bytes, got 2",
        ),
        (READY, "silent", "no worker said a word for 2 s"),
        (BEGUN + channel.head_of(Answer(0.0), LATTICE.ciphertext_bytes), "silent", "timed out"),
    ],
)
def test_nonsense_ends_all_workers(words: bytes, end: str, complaint: str) -> None:
    used = Pool(2, false_worker(words, end), patience=2)
    pids: list[int] = []

    def batches() -> Iterator[bytes]:
        pids.extend(used.pids)
        yield ROW
        yield ROW

    account = Account()
    with pytest.raises(UnavailableError, match=complaint) as refused:
        used.run(BEGIN, PUBLIC, batches(), account)
    assert "worker process" in str(refused.value)
    assert used.pids == ()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(UnavailableError, match="have ended"):
        used.run(BEGIN, PUBLIC, [ROW], account)


def test_the_account_is_charged_what_the_answers_say() -> None:
    answered = head(["Answer", 0.0], LATTICE.ciphertext_bytes) + bytes(LATTICE.ciphertext_bytes)
    said = BEGUN + answered + channel.head_of(Answer(0.0))
    account = Account()
    used = Pool(1, false_worker(said))
    assert len(used.run(BEGIN, PUBLIC, [ROW], account)) == 1
    assert account.cpu_seconds == 0.25
    used.close()


def test_what_cannot_be_started_is_named() -> None:
    used = Pool(1, ["/nonexistent/python"])
    with pytest.raises(UnavailableError, match=r"did not start: .*No such file"):
        used.run(BEGIN, PUBLIC, [ROW], Account())


def test_an_interruption_ends_all_workers() -> None:
    """Also one that comes from the batches: half a job is of no use."""
    used = Pool(1)
    used._start()
    (pid,) = used.pids

    def batches() -> Iterator[bytes]:
        yield ROW
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        used.run(BEGIN, PUBLIC, batches(), Account())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def started() -> pool._Worker:
    """A real worker, alone; it has said that it is ready."""
    one = pool._Worker(pool._command(), 60)
    one.greet()
    return one


@pytest.mark.parametrize(
    "words",
    [
        b"\xff" * 8,
        struct.pack(">II", 20, (1 << 25) + 1),
        channel.LENGTHS.pack(3, 0) + b"\xc1\xc1\xc1",
        head(["Answer", 0.0]),
        head(["End", 1]),
        head(["Begin", "erase", LATTICE]),
        head(["Begin", "encrypt"]),
        head({"type": "End"}),
    ],
)
def test_a_worker_that_hears_nonsense_ends(words: bytes) -> None:
    one = started()
    try:
        one._socket.sendall(words)
        assert one._process.wait(20) == worker.EXIT_NONSENSE
    finally:
        one.close()


@pytest.mark.parametrize("words", [b"", channel.head_of(Begin("encrypt", LATTICE), 100)[:-20]])
def test_a_worker_whose_parent_hangs_up_ends(words: bytes) -> None:
    one = started()
    try:
        one._socket.sendall(words)
        one._socket.close()
        assert one._process.wait(20) == worker.EXIT_GONE
    finally:
        one.close()


INSECURE = Lattice("bfv", 2048, 12289, ((1 << 60) - (1 << 14) + 1,), 0, 0)
REFUSALS: list[tuple[type[Exception], str, Callable[[worker.Desk], bytes]]] = [
    (DecodeError, "expected a key before", lambda desk: desk.answer(Batch(), bytearray(ROW))),
    (DecodeError, "expected a public key of", lambda desk: desk.answer(BEGIN, bytearray(5))),
    (
        DecodeError,
        "SEAL refuses",
        lambda desk: desk.answer(BEGIN, bytearray(b"\xff" * len(PUBLIC))),
    ),
    (
        ParameterError,
        "a seed has 64 bytes, got 63",
        lambda desk: desk.answer(Begin("decrypt", LATTICE), bytearray(63)),
    ),
    (
        ParameterError,
        "has at most 54 bits",
        lambda desk: desk.answer(Begin("encrypt", INSECURE), bytearray(PUBLIC)),
    ),
]


@pytest.mark.parametrize(("kind", "complaint", "ask"), REFUSALS)
def test_what_is_asked_wrongly_is_refused(
    kind: type[Exception], complaint: str, ask: Callable[[worker.Desk], bytes]
) -> None:
    desk = worker.Desk()
    with pytest.raises(kind, match=complaint):
        ask(desk)
    with pytest.raises(DecodeError, match="expected a key before"):
        desk.answer(Batch(), bytearray(ROW))


def test_a_key_serves_from_begin_to_end_and_what_was_read_is_wiped() -> None:
    desk = worker.Desk()
    key, rows = bytearray(PUBLIC), bytearray(ROW)
    assert desk.answer(BEGIN, key) == b""
    for part in (b"", ROW[:-1], ROW + b"x"):
        with pytest.raises(DecodeError, match="expected rows of"):
            desk.answer(Batch(), bytearray(part))
    packed = desk.answer(Batch(), rows)
    assert len(packed) == LATTICE.ciphertext_bytes
    seed = bytearray(KEY.seed.reveal())
    desk.answer(Begin("decrypt", LATTICE), seed)
    residues = vectors.unpack(memoryview(packed), msgspec.structs.replace(LAYOUT, length=9))
    assert desk.answer(Batch(), bytearray(residues.tobytes())) == ROW
    assert desk.answer(End(), bytearray()) == b""
    with pytest.raises(DecodeError, match="expected a key before"):
        desk.answer(Batch(), bytearray(ROW))
    for read in (key, rows, seed):
        assert read
        assert not any(read)


def test_a_worker_holds_no_key_between_two_jobs() -> None:
    used = Pool(2)
    try:
        used.run(BEGIN, PUBLIC, [ROW] * 5, Account())
        for one in used._workers:
            one.ask(Batch(), ROW, pool._Due(None, 0))
            one.push()
            one.push()
            reply, _, _ = one.take()
            assert isinstance(reply, Refused)
            assert "expected a key before" in reply.reason
    finally:
        used.close()


def test_a_worker_that_is_stopped_for_a_while_is_waited_for() -> None:
    used = Pool(1, patience=30)
    used._start()
    (pid,) = used.pids
    os.kill(pid, signal.SIGSTOP)
    waker = threading.Timer(1.5, os.kill, (pid, signal.SIGCONT))
    waker.start()
    began = time.monotonic()
    assert len(used.run(BEGIN, PUBLIC, [ROW], Account())) == 1
    assert time.monotonic() - began > 1
    waker.join()
    used.close()
