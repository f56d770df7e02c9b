"""A client's process is killed for real, and its successor finds everything in its ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from e2e.ledger_client import hear, say, storage_at
from unit.ledger.world import MASKED_VECTOR, UNMASK_SHARES, Crash, World, owner_of, scenario

from secagg.crypto.rng import SystemRng
from secagg.ledger import FileStorage, Ledger, SqliteStorage, create_device_key
from secagg.types import RingVector

SCRIPT = Path(__file__).with_name("ledger_client.py")

# Of a session: the key, then for its opening, four records and the answer item, entry and mark.
# Writes 0 to 2 are the opening, 3 to 14 the records, 15 to 17 the answer, 18 overwrites the key.
WRITES = 19
POINTS = (
    *(f"write {number} half" for number in (0, 1, 4, 7, 10, 13, 15, 16, 17, 18)),
    *(f"write {number} all" for number in (3, 5, 11, 14, 16, 18)),
    "flush 0",
)


class KilledVictim:
    """The client in another process; Crash when that is no more."""

    def __init__(self, root: Path, device: Path, point: str, stack: ExitStack) -> None:
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, str(SCRIPT), str(root), str(device), point],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
        )
        stack.enter_context(self.process)
        stack.callback(self.process.kill)

    def begin(self) -> list[bytes]:
        return self._ask("begin")

    def give(self, vector: RingVector) -> list[bytes]:
        return self._ask("give")

    def deliver(self, frame: bytes) -> list[bytes]:
        return self._ask("deliver", frame)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0

    def _ask(self, verb: str, frame: bytes = b"") -> list[bytes]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            say(self.process.stdin, [verb, frame])
        except BrokenPipeError:
            frames = None
        else:
            frames = hear(self.process.stdout)
        if frames is None:
            assert self.process.wait(60) == -signal.SIGKILL
            raise Crash
        return [bytes(each) for each in frames]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_client_says_the_same_again(point: str, tmp_path: Path, stack: ExitStack) -> None:
    of = scenario()
    device = tmp_path / "device.key"
    key = create_device_key(device, SystemRng())
    root = tmp_path / "ledger"
    Ledger.create(FileStorage(root), owner_of(of.session), key, SystemRng())
    points = iter((point, "none"))
    victims: list[KilledVictim] = []

    def make() -> KilledVictim:
        victims.append(KilledVictim(root, device, next(points), stack))
        return victims[-1]

    world = World(make, of)
    world.run()
    assert world.crashes == 1
    world.check()
    # Never two different vectors, never two different answers, and the answer went out.
    assert len(set(world.sent[MASKED_VECTOR])) == len(set(world.sent[UNMASK_SHARES])) == 1
    victims[-1].end()
    session = root / "sessions" / of.session.id.hex()
    assert [path.name for path in session.iterdir()] == ["answer"]


# The opening of the database, then for that of the session an entry and a mark (its key is a
# file), for four records and the answer an item, an entry and a mark, and at last the erasure.
COMMITS = 1 + 2 + 5 * 3 + 1


@pytest.mark.parametrize("commit", [1, 3, 8, 15, 17, 18])
def test_a_client_killed_before_a_commit_says_the_same_again(
    commit: int, tmp_path: Path, stack: ExitStack
) -> None:
    of = scenario()
    device, root = tmp_path / "device.key", tmp_path / "ledger.db"
    key = create_device_key(device, SystemRng())
    Ledger.create(SqliteStorage(root), owner_of(of.session), key, SystemRng())
    points = iter((f"commit {commit}", "none"))
    victims: list[KilledVictim] = []

    def make() -> KilledVictim:
        victims.append(KilledVictim(root, device, next(points), stack))
        return victims[-1]

    world = World(make, of)
    world.run()
    assert world.crashes == 1
    world.check()
    victims[-1].end()
    storage = SqliteStorage(root)
    storage.load()
    assert list(storage.items(of.session.id)) == ["answer"]
    assert not list(root.with_name("ledger.db.keys").iterdir())


def test_the_points_are_all_in_the_session(tmp_path: Path, stack: ExitStack) -> None:
    """Beyond the last write nothing dies: the numbers above are those of a whole session."""
    of = scenario()
    device = tmp_path / "device.key"
    key = create_device_key(device, SystemRng())
    for root, point in (
        (tmp_path / "ledger", f"write {WRITES} half"),
        (tmp_path / "ledger.db", f"commit {COMMITS}"),
    ):
        Ledger.create(storage_at(root), owner_of(of.session), key, SystemRng())
        world = World(partial(KilledVictim, root, device, point, stack), of)
        world.run()
        assert world.crashes == 0
        world.check()
