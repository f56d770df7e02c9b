"""A client with a ledger, in a process of its own that kills itself where a test wants it.

    ledger_client.py ROOT DEVICE POINT

ROOT is the ledger's directory, or a database if it ends in ".db"; DEVICE the file of the device's
key. POINT is "write N half" for half of the N-th file written, "write N all" for all of it, "flush
N" just before the N-th flush of a directory, "commit N" just before the N-th commit of a database
(the first is its opening), or "none". It reads [verb, bytes] and writes a list of frames, as
MessagePack with a length before it, on standard input and output.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from unit.ledger.world import VICTIM, KeptVictim, owner_of, scenario

from secagg.crypto.rng import SystemRng
from secagg.ledger import (
    FileStorage,
    Keeper,
    Ledger,
    SqliteStorage,
    Storage,
    database,
    files,
    load_device_key,
)
from secagg.protocol import ClientPolicy

_LENGTH: Final = 4


def say(stream: IO[bytes], value: Any) -> None:
    data = msgspec.msgpack.encode(value)
    stream.write(len(data).to_bytes(_LENGTH, "big") + data)
    stream.flush()


def hear(stream: IO[bytes]) -> Any:
    """The next value; None at the end of the stream."""
    size = stream.read(_LENGTH)
    return msgspec.msgpack.decode(stream.read(int.from_bytes(size, "big"))) if size else None


def arm(point: str) -> None:
    """Make the module that writes files die at the point."""
    what, _, rest = point.partition(" ")
    if what == "none":
        return
    number, _, part = rest.partition(" ")
    if what == "commit":
        arm_commit(int(number))
        return
    name = {"write": "write_all", "flush": "flush_directory"}[what]
    real: Callable[..., None] = getattr(files, name)
    calls = count()

    def deadly(target: Any, *data: bytes) -> None:
        if next(calls) != int(number):
            real(target, *data)
            return
        if data:
            real(target, data[0] if part == "all" else data[0][: len(data[0]) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(files, name, deadly)


def arm_commit(number: int) -> None:
    connected, commits = database._connected, count()

    def traced(path: Path) -> sqlite3.Connection:
        connection = connected(path)

        def deadly(statement: str) -> None:
            if statement == "COMMIT" and next(commits) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.set_trace_callback(deadly)
        return connection

    vars(database)["_connected"] = traced


def storage_at(root: Path) -> Storage:
    return SqliteStorage(root) if root.suffix == ".db" else FileStorage(root)


def main(root: str, device: str, point: str) -> None:
    of = scenario()
    arm(point)
    key = load_device_key(Path(device))
    rng, owner = SystemRng(), owner_of(of.session)
    with Ledger.open(storage_at(Path(root)), owner, key, rng, sessions_per_round=1) as ledger:
        policy = ClientPolicy.accepting(of.plan)
        victim = KeptVictim(Keeper(ledger, of.protocol, of.session, VICTIM, rng, policy))
        while (asked := hear(sys.stdin.buffer)) is not None:
            verb, frame = asked
            if verb == "begin":
                frames = victim.begin()
            elif verb == "give":
                frames = victim.give(of.inputs[VICTIM])
            else:
                frames = victim.deliver(frame)
            say(sys.stdout.buffer, frames)


if __name__ == "__main__":
    main(*sys.argv[1:])
