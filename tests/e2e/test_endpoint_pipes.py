"""The README's loops over pipes: processes that are killed for real, and come back."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from e2e.endpoint_example import blocks, loops
from e2e.endpoint_pipes import Pipe
from unit.endpoint.federation import Federation

from secagg.endpoint import FileRecords, Mean, SqliteRecords
from secagg.ledger import SqliteStorage
from secagg.protocol import Level
from secagg.types import SERVER, PartyId, client

HERE = Path(__file__).parent
VICTIM = client(3)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def launched(stack: ExitStack, script: str, *words: object) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, str(HERE / script), *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def pipe_to(process: subprocess.Popen[bytes]) -> Pipe:
    assert process.stdin is not None
    assert process.stdout is not None
    return Pipe(process.stdout.fileno(), process.stdin.fileno())


class Clients:
    """The server's channel: a process for each client. One that is killed is started again."""

    def __init__(self, federation: Federation, folder: Path, stack: ExitStack, fuse: int) -> None:
        self.federation, self.folder, self.stack = federation, folder, stack
        self.processes: dict[PartyId, subprocess.Popen[bytes]] = {}
        self.pipes: dict[PartyId, Pipe] = {}
        self.deaths = 0
        (folder / "invitation").write_bytes(federation.invitation.encoded)
        for who in federation.clients:
            federation.ledger(who, SqliteStorage(folder / f"{who.number}.db")).close()
            self._launch(who, fuse if who == VICTIM else -1)

    def send(self, to: PartyId, data: bytes) -> None:
        # To one that is dead it is lost.
        with suppress(BrokenPipeError):
            self.pipes[to].send(SERVER, data)

    def receive(self, timeout: float | None) -> tuple[PartyId, bytes] | None:
        until = monotonic() + (timeout or 0)
        while True:
            readers = {pipe.reading: who for who, pipe in self.pipes.items()}
            left = None if timeout is None else max(0, until - monotonic())
            ready, _, _ = select.select(list(readers), [], [], left)
            if not ready:
                return None
            who = readers[ready[0]]
            try:
                came = self.pipes[who].receive(None)
            except EOFError:
                self._ended(who)
                continue
            assert came is not None
            # Who speaks is known by the pipe.
            return who, came[1]

    def wait(self) -> None:
        for process in self.processes.values():
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(60) == 0

    def _ended(self, who: PartyId) -> None:
        del self.pipes[who]
        if self.processes[who].wait(60) == -signal.SIGKILL:
            self.deaths += 1
            self._launch(who, -1)

    def _launch(self, who: PartyId, fuse: int) -> None:
        federation = self.federation
        self.processes[who] = launched(
            self.stack,
            "endpoint_client.py",
            federation.protocol,
            federation.level,
            who.number,
            self.folder,
            fuse,
        )
        self.pipes[who] = pipe_to(self.processes[who])


def check(federation: Federation, mean: Mean) -> None:
    assert mean.included == federation.clients
    assert mean.weight == sum(federation.weights.values())
    assert np.allclose(mean.values, federation.mean(mean.included), rtol=0, atol=1e-5)


def test_ten_lines_a_side() -> None:
    for block in blocks():
        lines = [line for line in block.splitlines() if line and "import" not in line]
        assert len(lines) == 10


@pytest.mark.parametrize(
    ("protocol", "level", "fuse"),
    [
        ("secagg_plus", Level.CURIOUS, -1),
        ("secagg_plus", Level.CURIOUS, 3),
        ("secagg", Level.MALICIOUS, 0),
        ("secagg", Level.MALICIOUS, 2),
        ("secagg", Level.MALICIOUS, 4),
    ],
)
def test_clients_in_processes_of_their_own(
    protocol: str, level: Level, fuse: int, tmp_path: Path, stack: ExitStack
) -> None:
    """One of them is killed before it sends message number `fuse`."""
    federation = Federation(protocol, level)
    clients = Clients(federation, tmp_path, stack, fuse)
    records = SqliteRecords(tmp_path / "records.db")
    mean = loops().serve(clients, federation.invitation, records=records, roster=federation.roster)
    check(federation, mean)
    assert clients.deaths == (fuse >= 0)
    clients.wait()


@pytest.mark.parametrize("fuse", [0, 4, 7, 10, 14])
def test_a_server_that_is_killed_goes_on(fuse: int, tmp_path: Path, stack: ExitStack) -> None:
    """In the middle of what it says in each phase, and once before its result is out."""
    federation = Federation("secagg")
    (tmp_path / "invitation").write_bytes(federation.invitation.encoded)
    ends = {who: federation.client(who) for who in federation.clients}
    words = ("secagg", Level.CURIOUS, tmp_path)
    process = launched(stack, "endpoint_server.py", *words, fuse)
    pipe, deaths, result = pipe_to(process), 0, b""
    for who, end in ends.items():
        for _, data in [*end.start(monotonic()), *end.tick(monotonic())]:
            pipe.send(who, data)
    while not result:
        try:
            came = pipe.receive(60)
            assert came is not None
            to, data = came
            if to == SERVER:
                result = data
                continue
            for _, answer in ends[to].receive(SERVER, data, monotonic()):
                pipe.send(to, answer)
        except (EOFError, BrokenPipeError):
            assert process.wait(60) == -signal.SIGKILL
            deaths += 1
            process = launched(stack, "endpoint_server.py", *words, -1)
            pipe = pipe_to(process)
            # The connection is there again; what the dead server never read was lost.
            for who, end in ends.items():
                for _, data in end.resend():
                    pipe.send(who, data)
    assert deaths == 1
    assert process.wait(60) == 0
    values, weight, included = json.loads(result)
    check(federation, Mean(np.array(values), weight, tuple(map(client, included))))
    assert all(end.done and end.failure is None for end in ends.values())
    records = FileRecords(tmp_path / "records")
    assert [one.final for one in records.load(ends[VICTIM].session)] == [True]
