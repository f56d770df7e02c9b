"""A worker that dies, hangs or speaks nonsense is a `WorkerLost`, and no process stays behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import msgspec
import pytest

from secagg.errors import WorkerLost
from secagg.protocol import Task
from secagg.runner.crew import Worker, launched
from secagg.runner.crowd import play
from secagg.runner.parcels import (
    Accounts,
    Batch,
    Begin,
    Broken,
    Close,
    Parcel,
    Ready,
    Reply,
    Work,
)
from secagg.runner.recipe import Recipe, Staging
from secagg.types import SERVER, PartyId, client

# It says what it is told to say, one thing at a time after each request; then it listens, or ends.
FALSE_WORKER = """
import os, sys
end, *said = sys.argv[1:]
for words in said:
    os.write(0, bytes.fromhex(words))
    if words != said[-1]:
        os.read(0, 1 << 20)
if end == "leave":
    os._exit(7)
while end == "listen" and os.read(0, 1 << 20):
    pass
if end == "sleep":
    import time
    time.sleep(60)
"""

TASK = Task(clients=tuple(client(number) for number in range(4)), length=50, bound=9)
RECIPE = Recipe("secagg", TASK, bytes(32), 0, (), b"")


def framed(value: Reply) -> bytes:
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(8, "big") + body


def false_worker(end: str, *said: bytes, timeout: float = 10) -> Worker:
    words = [sys.executable, "-I", "-c", FALSE_WORKER, end, *(one.hex() for one in said)]
    return Worker(words, timeout)


def assert_gone(pid: int) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def nothing(*_: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("end", "said", "complaint"),
    [
        ("leave", b"", r"hung up \(exit status 7\)"),
        ("leave", framed(Ready())[:-1], r"hung up \(exit status 7\)"),
        ("listen", b"\xff" * 8, "bytes are taken"),
        ("listen", (3).to_bytes(8, "big") + b"\xc1\xc1\xc1", "not a message"),
        ("listen", framed(Broken("there is no more")), "there is no more"),
    ],
)
def test_a_first_word_that_is_none(end: str, said: bytes, complaint: str) -> None:
    with false_worker(end, said) as worker:
        with pytest.raises(WorkerLost, match=complaint) as lost:
            worker.hear()
        assert f"worker process {worker.pid}: " in str(lost.value)
        assert_gone(worker.pid)


def test_silence_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secagg.runner.crew._GRACE_SECONDS", 0.1)
    with false_worker("sleep", b"", timeout=0.2) as worker:
        with pytest.raises(WorkerLost, match=r"timed out \(exit status -9\)"):
            worker.hear()
        assert_gone(worker.pid)


def test_who_cannot_be_started_is_lost() -> None:
    with pytest.raises(WorkerLost, match="No such file"):
        Worker(["/nonexistent/python"])


def test_who_does_not_listen_is_lost() -> None:
    with false_worker("leave", framed(Ready())) as worker:
        worker.hear()
        while worker._process.poll() is None:
            time.sleep(0.01)
        with pytest.raises(WorkerLost, match="exit status 7"):
            worker.ask(Close())


def test_the_workers_end_with_the_block() -> None:
    with launched(2) as crew:
        pids = [worker.pid for worker in crew]
        for pid in pids:
            os.kill(pid, 0)
    for pid in pids:
        assert_gone(pid)


def test_the_workers_end_with_an_interrupted_block() -> None:
    pids: list[int] = []

    def interrupted() -> None:
        with launched(1) as crew:
            pids.extend(worker.pid for worker in crew)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_gone(pids[0])


def test_one_that_does_not_come_up_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Worker] = []

    def launch() -> Worker:
        made.append(false_worker("listen", framed(Ready() if not made else Broken("no luck"))))
        return made[-1]

    monkeypatch.setattr(Worker, "launch", launch)
    with pytest.raises(WorkerLost, match="no luck"), launched(2):
        raise AssertionError("one is missing")
    for worker in made:
        assert_gone(worker.pid)

    monkeypatch.setattr(Worker, "launch", lambda: false_worker("listen", framed(EMPTY)))
    with pytest.raises(WorkerLost, match="expected that it is there, got Batch"), launched(1):
        raise AssertionError("it did not say so")


EMPTY = Batch((), False, False)


def batch(sender: PartyId, recipient: PartyId, tail: int = 0) -> bytes:
    return framed(Batch((Parcel(sender, recipient, b"", tail),), False, False))


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ([framed(Ready())], "expected a batch, got Ready"),
        ([batch(client(0), SERVER, 10**6)], "1000000 announced"),
        ([batch(client(9), SERVER)], "client 9 does not live there"),
        ([batch(SERVER, SERVER)], "server 0 does not live there"),
        ([batch(client(0), client(9))], "client 9 does not live here"),
        # Nothing comes from the clients, all deadlines pass, and then there are no accounts.
        ([framed(EMPTY), framed(EMPTY)], "expected accounts, got Batch"),
    ],
)
def test_a_round_ends_with_the_worker_that_speaks_nonsense(
    said: list[bytes], complaint: str
) -> None:
    with false_worker("listen", framed(Ready()), *said) as worker:
        worker.hear()
        with pytest.raises(WorkerLost, match=complaint):
            play(RECIPE, (worker,), 1, nothing)
        assert_gone(worker.pid)


def test_accounts_of_others_are_refused() -> None:
    accounts = framed(Accounts((), (), 0))
    with false_worker("listen", framed(Ready()), framed(EMPTY), accounts) as worker:
        worker.hear()
        with pytest.raises(WorkerLost, match="expected accounts of all clients there"):
            play(RECIPE, (worker,), 1, nothing)


@pytest.mark.parametrize("message", ["AdvertiseKeys", "ShareKeys", "MaskedVector", "UnmaskShares"])
def test_a_worker_killed_in_any_phase_ends_the_round(message: str) -> None:
    with launched(2) as crew:

        def kill(what: str, count: int) -> None:
            if what == message and count == 1:
                os.kill(crew[1].pid, signal.SIGKILL)

        with pytest.raises(WorkerLost, match=rf"{crew[1].pid}: .*exit status -9"):
            play(RECIPE, crew, 1, kill)
        assert_gone(crew[1].pid)
    assert_gone(crew[0].pid)


BEGIN = Begin(RECIPE, Staging(RECIPE).session.id, 0, 1, "reference", 1)


def begin(**changes: Any) -> Begin:
    return msgspec.structs.replace(BEGIN, **changes)


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (Close(), "DecodeError: expected a round to begin, got Close"),
        (Work((), False), "DecodeError: expected a round to begin, got Work"),
        (begin(session=bytes(32)), "DecodeError: the recipe leads to another session"),
        (begin(kernels="abacus"), "UnavailableError: kernel level 'abacus'"),
        (
            begin(recipe=msgspec.structs.replace(RECIPE, protocol="rot13")),
            "ParameterError: expected a protocol of",
        ),
    ],
)
def test_a_worker_says_why_it_cannot_go_on(request_: Any, complaint: str) -> None:
    with launched(1) as (worker,):
        worker.ask(request_)
        with pytest.raises(WorkerLost, match=complaint) as lost:
            worker.hear()
        assert "exit status 70" in str(lost.value)


def test_a_worker_takes_no_nonsense() -> None:
    with launched(1) as (worker,):
        worker._port._socket.sendall((1 << 60).to_bytes(8, "big"))
        with pytest.raises(WorkerLost, match="DecodeError: at most 134217728 bytes"):
            worker.hear()
    with launched(1) as (worker,):
        worker.ask(BEGIN)
        worker.hear()
        stranger = Work((Parcel(SERVER, client(9), b"", 0),), False)
        worker.ask(stranger)
        with pytest.raises(WorkerLost, match="client 9 does not live here"):
            worker.hear()


def test_a_worker_ends_when_its_parent_hangs_up() -> None:
    with launched(1) as (worker,):
        worker._port.close()
        assert worker._process.wait(30) == 71
