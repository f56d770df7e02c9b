"""Worker processes, seen from the process that uses them: it starts, feeds and buries them.

Each worker is an interpreter of its own, with an empty environment and a socket as its only way
out. One job is done at a time, by all workers together. Whatever goes wrong with one of them ends
all: half a job is of no use, and a worker that is not waited for would hold a key.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from secagg.attestation.measurement import DISTRIBUTIONS
from secagg.errors import DecodeError, ParameterError, UnavailableError
from secagg.he import channel, seal
from secagg.he.channel import Buffer
from secagg.processes import Child, launching

ENTRY: Final = "he/launch.py"
AHEAD: Final = 2
"""Requests per worker that are under way at most: a vector is never in the queue as a whole."""

PATIENCE_SECONDS: Final = 120
"""Without a word from any worker; a job takes well below a second."""

_FLAGS: Final = ("-I", "-S", "-B")
_KEPT: Final = ("LD_LIBRARY_PATH", "SECAGG_CPU")


@dataclass
class Account:
    """What worker processes spent for one party."""

    cpu_seconds: float = 0.0


class _Due(NamedTuple):
    """An answer that is waited for: of which batch, if of one, and how long."""

    batch: int | None
    size: int


class Pool:
    """Some worker processes, started at their first job.

    Args:
        count: how many.
        command: what to start; this installation's worker by default.
        patience: seconds without a word from any of them after which they are given up.
    """

    def __init__(
        self,
        count: int,
        command: Sequence[str] | None = None,
        patience: int = PATIENCE_SECONDS,
    ) -> None:
        if count < 1:
            raise ParameterError(f"expected at least one worker, got {count}")
        self._count = count
        self._command = command
        self._patience = patience
        self._workers: list[_Worker] = []
        self._ended = False
        self._lock = threading.Lock()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes, once they run."""
        return tuple(worker.pid for worker in self._workers)

    def run(
        self, task: channel.Begin, key: Buffer, batches: Iterable[Buffer], account: Account
    ) -> list[bytearray]:
        """The answers to the batches, in order. When it returns, no worker has the key any more.

        Raises:
            DecodeError: a worker refuses the key or a batch.
            ParameterError: a worker refuses the parameters.
            UnavailableError: a worker did not start, died, hung or spoke nonsense. All have ended.
        """
        with self._lock:
            try:
                self._start()
                answers, refusal = self._work(task, key, enumerate(batches), account)
            except BaseException:
                self._end()
                raise
        if refusal is not None:
            raise refusal.exception()
        return [answers[position] for position in range(len(answers))]

    def close(self) -> None:
        """End all processes, and wait until they are gone."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        if self._ended:
            raise UnavailableError("the worker processes have ended")
        if self._workers:
            return
        seal.require()
        command = list(self._command or _command())
        for _ in range(self._count):
            self._workers.append(_Worker(command, self._patience))
        for worker in self._workers:
            worker.greet()

    def _end(self) -> None:
        self._ended = True
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _work(
        self,
        task: channel.Begin,
        key: Buffer,
        batches: Iterator[tuple[int, Buffer]],
        account: Account,
    ) -> tuple[dict[int, bytearray], channel.Refused | None]:
        answers: dict[int, bytearray] = {}
        refusal: channel.Refused | None = None
        begun: list[_Worker] = []
        while True:
            worker = min(self._workers, key=lambda one: len(one.due))
            batch = None
            if refusal is None and len(worker.due) < AHEAD:
                batch = next(batches, None)
            if batch is not None:
                if worker not in begun:
                    begun.append(worker)
                    worker.ask(task, key, _Due(None, 0))
                number, rows = batch
                size = len(rows) // task.row_bytes * task.answer_bytes
                worker.ask(channel.Batch(), rows, _Due(number, size))
                continue
            if not any(one.due for one in self._workers):
                break
            refusal = self._exchange(answers, account) or refusal
        for worker in begun:
            worker.ask(channel.End(), b"", _Due(None, 0))
        while any(one.due for one in begun):
            self._exchange(answers, account)
        return answers, refusal

    def _exchange(self, answers: dict[int, bytearray], account: Account) -> channel.Refused | None:
        """Wait for any worker, send what can be sent, take what has come."""
        refusal = None
        for worker, readable in self._awake():
            if not readable:
                worker.push()
                continue
            reply, tail, due = worker.take()
            account.cpu_seconds += reply.cpu_seconds
            if isinstance(reply, channel.Refused):
                refusal = reply
            elif due.batch is not None:
                answers[due.batch] = tail
        return refusal

    def _awake(self) -> list[tuple[_Worker, bool]]:
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                worker.register(selector)
            # Second by second: time in which all of this was stopped is not a worker's silence.
            for _ in range(self._patience):
                if events := selector.select(1.0):
                    return [(key.data, bool(mask & selectors.EVENT_READ)) for key, mask in events]
        silent = next(worker for worker in self._workers if worker.due)
        raise silent.lost(f"no worker said a word for {self._patience} s")


class _Worker(Child):
    """One process, what is on its way to it, and what it owes."""

    def __init__(self, command: list[str], patience: int) -> None:
        try:
            super().__init__(
                command, patience, env=_environment(), cwd="/", stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise UnavailableError(f"a worker process did not start: {error}") from None
        self._outgoing: deque[memoryview] = deque()
        self.due: deque[_Due] = deque()

    def greet(self) -> None:
        """Wait for its first word."""
        reply, tail = self._receive()
        if not isinstance(reply, channel.Ready) or tail:
            raise self.lost("it did not say that it is ready")

    def ask(self, request: channel.Request, tail: Buffer, due: _Due) -> None:
        """Put a request on its way, and note what must come back."""
        self._outgoing.append(memoryview(channel.head_of(request, len(tail))))
        if tail:
            self._outgoing.append(memoryview(tail))
        self.due.append(due)

    def register(self, selector: selectors.BaseSelector) -> None:
        """Have it watched: always for what it says, if need be for room to send."""
        writing = selectors.EVENT_WRITE if self._outgoing else 0
        selector.register(self._socket, selectors.EVENT_READ | writing, self)

    def push(self) -> None:
        """Send as much as there is room for, now that there is some."""
        try:
            sent = self._socket.send(self._outgoing[0])
        except OSError as error:
            raise self.lost(str(error)) from None
        rest = self._outgoing[0][sent:]
        if rest:
            self._outgoing[0] = rest
        else:
            self._outgoing.popleft()

    def take(self) -> tuple[channel.Answer | channel.Refused, bytearray, _Due]:
        """The answer that is due next."""
        reply, tail = self._receive()
        if isinstance(reply, channel.Ready) or not self.due:
            raise self.lost("it spoke out of turn")
        due = self.due.popleft()
        size = due.size if isinstance(reply, channel.Answer) else 0
        if len(tail) != size:
            raise self.lost(f"expected an answer of {size} bytes, got {len(tail)}")
        return reply, tail, due

    def lost(self, why: str) -> UnavailableError:
        """The error that says how it ended; it has, when this returns."""
        try:
            # One that hung up is about to end by itself, and its status says more.
            status = self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            ending = "it was ended"
        else:
            ending = f"exit status {status}"
        self.close()
        return UnavailableError(
            f"worker process {self.pid} is lost: {why} ({ending}); its session cannot go on"
        )

    def close(self) -> None:
        """End it; what was on its way is dropped."""
        self._outgoing.clear()
        super().close()

    def _receive(self) -> tuple[channel.Reply, bytearray]:
        try:
            return channel.read_reply(self._socket.recv_into)
        except (OSError, EOFError, DecodeError) as error:
            raise self.lost(str(error)) from None


def _command() -> list[str]:
    """Isolated, with the worker of this installation."""
    return launching(ENTRY, _FLAGS, (*DISTRIBUTIONS, "tenseal"))


def _environment() -> dict[str, str]:
    """Nothing but where C libraries are and which kernel is forced; no threads for algebra."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"OPENBLAS_NUM_THREADS": "1", **kept}
