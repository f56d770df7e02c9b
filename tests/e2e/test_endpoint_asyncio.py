"""The README's loops in asyncio, over sockets; they differ from the others by `await` alone."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Final

import numpy as np
import pytest
from e2e.endpoint_example import loops
from unit.endpoint.federation import CONFIGURATION, MODEL, Federation

from secagg.endpoint import Mean
from secagg.errors import RoundFailed
from secagg.protocol import Level
from secagg.types import SERVER, PartyId, client

_LENGTH: Final = struct.Struct(">I")
Came = tuple[PartyId, bytes]


class Channel:
    """Streams to whoever is at the other ends; all that comes goes into one queue.

    `speed` is how many seconds of the endpoints' clock pass in one of ours.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.writers: dict[PartyId, asyncio.StreamWriter] = {}
        self.came: asyncio.Queue[Came] = asyncio.Queue()

    async def listen(self, sender: PartyId, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                await self.came.put((sender, await reader.readexactly(size)))
            except (asyncio.IncompleteReadError, ConnectionError):
                return

    async def send(self, to: PartyId, data: bytes) -> None:
        self.writers[to].write(_LENGTH.pack(len(data)) + data)
        await self.writers[to].drain()

    async def receive(self, timeout: float | None) -> Came | None:
        try:
            left = None if timeout is None else timeout / self.speed
            return await asyncio.wait_for(self.came.get(), left)
        except TimeoutError:
            return None

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


async def play(
    federation: Federation, path: Path, silent: Mapping[PartyId, int], speed: float = 1.0
) -> list[Any]:
    """The server's result, then each client's; those that are silent stop before that message."""
    loop = loops(asynchronous=True)
    loop.names["now"] = lambda: monotonic() * speed
    everybody = Channel(speed)
    here = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Stands in for a channel that authenticates: a client says which one it is.
        who = client((await reader.readexactly(1))[0])
        everybody.writers[who] = writer
        if len(everybody.writers) == federation.count:
            here.set()
        await everybody.listen(who, reader)

    async def one(who: PartyId) -> None:
        channel = Channel(speed)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(bytes((who.number,)))
        channel.writers[SERVER] = writer
        if who in silent:
            said = silent[who]
            send = channel.send

            async def limited(to: PartyId, data: bytes) -> None:
                nonlocal said
                said -= 1
                if said >= 0:
                    await send(to, data)

            channel.send = limited  # type: ignore[method-assign]
        listening = asyncio.create_task(channel.listen(SERVER, reader))
        own: dict[str, Any] = {
            "model": MODEL,
            "configuration": CONFIGURATION,
            "policy": federation.policy,
            "roster": federation.roster,
            "identity": federation.identities[who],
            "beacon": federation.source,
        }
        if federation.level is Level.MALICIOUS:
            own["ledger"] = federation.ledger(who)
        update, weight = federation.updates[who], federation.weights[who]
        try:
            await loop.take_part(channel, federation.invitation.encoded, who, update, weight, **own)
        finally:
            listening.cancel()
            channel.close()

    async def serve() -> Mean:
        await here.wait()
        own = {
            "roster": federation.roster,
            "identity": federation.believing,
            "beacon": federation.source,
        }
        try:
            mean: Mean = await loop.serve(everybody, federation.invitation, **own)
            return mean
        finally:
            everybody.close()

    server = await asyncio.start_unix_server(accept, path)
    async with server:
        tasks = {who: asyncio.create_task(one(who)) for who in federation.clients}
        results = await asyncio.gather(serve(), return_exceptions=True)
        for who in silent:
            # It would wait until its own patience ends.
            tasks[who].cancel()
        return [*results, *await asyncio.gather(*tasks.values(), return_exceptions=True)]


def run(
    federation: Federation,
    folder: Path,
    silent: Mapping[PartyId, int] | None = None,
    speed: float = 1.0,
) -> list[Any]:
    async def limited() -> list[Any]:
        async with asyncio.timeout(60):
            return await play(federation, folder / "socket", silent or {}, speed)

    return asyncio.run(limited())


def check(federation: Federation, mean: Any, included: tuple[PartyId, ...]) -> None:
    assert isinstance(mean, Mean), mean
    assert mean.included == included
    assert np.allclose(mean.values, federation.mean(included), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("plain", Level.CURIOUS),
        ("secagg", Level.CURIOUS),
        ("secagg_plus", Level.CURIOUS),
        ("secagg", Level.MALICIOUS),
        ("secagg_plus", Level.MALICIOUS),
    ],
)
def test_a_round(name: str, level: Level, tmp_path: Path) -> None:
    federation = Federation(name, level)
    mean, *clients = run(federation, tmp_path)
    check(federation, mean, federation.clients)
    assert clients == [None] * federation.count


@pytest.mark.parametrize("after", range(5))
def test_a_client_that_falls_silent(after: int, tmp_path: Path) -> None:
    """Its connection stays, and nothing comes: deadlines pass, by a clock that runs faster."""
    federation = Federation("secagg", Level.MALICIOUS)
    mean, *clients = run(federation, tmp_path, {client(1): after}, speed=20.0)
    included = tuple(who for who in federation.clients if who != client(1) or after >= 3)
    check(federation, mean, included)
    assert clients[:1] + clients[2:] == [None] * 4


def test_too_many_that_fall_silent(tmp_path: Path) -> None:
    federation = Federation("secagg")
    mean, *clients = run(federation, tmp_path, {client(n): 2 for n in (0, 1, 2)}, speed=100.0)
    assert isinstance(mean, RoundFailed)
    assert all(isinstance(error, RoundFailed) for error in clients[3:])
