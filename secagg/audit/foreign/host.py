"""An adapter as the subject of an audit: a process that may crash, hang, or say anything.

Whatever it does, an audit goes on: the check that asked is inconclusive, and the next one gets a
fresh process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from secagg.audit.foreign import channel
from secagg.audit.policy import CLAIMS, named
from secagg.audit.subject import Answer, Facts, Lie, Numbers, Question, Request, Subject
from secagg.errors import AdapterFailed, AuditPolicyRefused, CannotTell
from secagg.processes import Child
from secagg.protocol import Guarantees

ENTRY: Final = "secagg.audit.foreign.child"
RECENT: Final = 3
"""Processes that may be lost one after the other before no more is started."""

_Reply = TypeVar("_Reply", bound=channel.Reply)


class _Process(Child):
    """One process of an adapter, in a process group of its own."""

    def __init__(self, name: str, timeout: float) -> None:
        # What adapters import is on the caller's path, its working directory first.
        path = os.pathsep.join(("", *(place for place in sys.path if place)))
        super().__init__(
            [sys.executable, "-m", ENTRY, name],
            timeout,
            env={**os.environ, "PYTHONPATH": path},
            # What it prints is nobody's; an exception comes back as an answer.
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        self._timeout = timeout

    def ask(self, message: channel.Ask | None) -> channel.Reply:
        """Send a question, if there is one, and wait for the answer.

        Raises:
            AdapterFailed: there is none in time.
        """
        deadline = time.monotonic() + self._timeout

        def exactly(count: int) -> bytes:
            data = bytearray()
            while len(data) < count:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                got = self._socket.recv(min(count - len(data), 1 << 20))
                if not got:
                    raise EOFError
                data += got
            return bytes(data)

        try:
            if message is not None:
                self._socket.settimeout(self._timeout)
                self._socket.sendall(channel.frame(message))
            return channel.read_reply(exactly)
        except TimeoutError:
            raise AdapterFailed(
                f"the adapter's process did not answer within {self._timeout:g} seconds"
            ) from None
        except (OSError, EOFError):
            raise AdapterFailed("the adapter's process ended without an answer") from None

    def close(self) -> None:
        """End the process and whatever it started in its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        super().close()


class AdapterSubject(Subject):
    """A foreign implementation behind an adapter.

    Args:
        target: the adapter's class, as module:Class.
        timeout: seconds that it may take for one answer, its start included.

    Raises:
        AdapterFailed: it does not start, or is no adapter.
    """

    kind = "adapter"

    def __init__(self, target: str, timeout: float) -> None:
        self._target, self._timeout = target, timeout
        self._process: _Process | None = None
        self._lost = 0
        ready = self._start()
        self.name, self.title = f"{ready.name} ({target})", ready.title
        try:
            self.guarantees = _guarantees(ready)
        except AdapterFailed:
            self.close()
            raise

    def session(self, request: Request) -> Facts:
        """As the adapter holds it."""
        return channel.facts_of(self._ask(channel.hold(request), channel.Held), request)

    def smallest_sum(self, clients: int) -> int:
        """As the adapter has it."""
        least = self._ask(channel.Smallest(clients), channel.Number).value
        if not 1 <= least <= clients:
            raise AdapterFailed(f"expected a smallest sum of 1 to {clients} clients, got {least}")
        return least

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        """As the adapter makes them."""
        asked = channel.Streams(count, length, bits, seed)
        values = channel.numbers(self._ask(asked, channel.Rows).values)
        if values.shape != (count, length):
            raise AdapterFailed(f"expected {count} masks of {length}, got {values.shape}")
        return values

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """As the adapter's client gives them."""
        asked = channel.Answers(clients, tuple((one.alive, one.dropped) for one in questions))
        given = self._ask(asked, channel.Given).answers
        if len(given) != len(questions):
            raise AdapterFailed(f"expected {len(questions)} answers, got {len(given)}")
        return given

    def seed_bits(self) -> Mapping[str, int]:
        """As the adapter states it."""
        return self._ask(channel.Seeds(), channel.Bits).seeds

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        """As the adapter shows them."""
        shown = self._ask(channel.Samples(count), channel.Sampled).seeds
        for name, seeds in shown.items():
            if len(seeds) != count or len({len(seed) for seed in seeds}) > 1:
                raise AdapterFailed(f"expected {count} seeds of one length for {name}")
        return shown

    def believes(self, lie: Lie) -> bool:
        """As the adapter's client does."""
        return self._ask(channel.Believes(lie), channel.Truth).value

    def takes_not_a_number(self) -> bool:
        """As the adapter's client does."""
        return self._ask(channel.NotANumber(), channel.Truth).value

    def close(self) -> None:
        """End its process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _start(self) -> channel.Ready:
        if self._lost >= RECENT:
            raise AdapterFailed(f"the adapter's process was lost {self._lost} times; given up")
        try:
            self._process = _Process(self._target, self._timeout)
        except OSError as error:
            raise AdapterFailed(f"the adapter's process did not start: {error}") from None
        try:
            return self._answer(None, channel.Ready)
        except CannotTell as error:
            self._lost += 1
            self.close()
            raise AdapterFailed(str(error)) from None

    def _ask(self, message: channel.Ask, kind: type[_Reply]) -> _Reply:
        if self._process is None:
            self._start()
        return self._answer(message, kind)

    def _answer(self, message: channel.Ask | None, kind: type[_Reply]) -> _Reply:
        assert self._process is not None  # noqa: S101
        try:
            reply = self._process.ask(message)
        except AdapterFailed:
            self._lost += message is not None
            self.close()
            raise
        match reply:
            case channel.Refused(reason=reason):
                raise CannotTell(reason)
            case channel.Broken(reason=reason):
                raise AdapterFailed(f"the adapter failed: {reason}")
        if not isinstance(reply, kind):
            self.close()
            raise AdapterFailed(f"expected {kind.__name__}, got {type(reply).__name__}")
        if message is not None:
            self._lost = 0
        return reply


def _guarantees(ready: channel.Ready) -> Guarantees | None:
    if ready.guarantees is None:
        return None
    if set(ready.guarantees) != set(CLAIMS):
        raise AdapterFailed(f"guarantees have the fields {', '.join(CLAIMS)}")
    try:
        found = {field: named(field, word) for field, word in ready.guarantees.items()}
    except AuditPolicyRefused as error:
        raise AdapterFailed(str(error)) from None
    return Guarantees(**found, source=ready.name)  # type: ignore[arg-type]
