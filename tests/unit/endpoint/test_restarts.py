"""Whoever dies is taken up again over what it had written down, and says the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from unit.endpoint.federation import Channel, Federation

from secagg.endpoint import (
    Endpoint,
    FileRecords,
    MemoryRecords,
    Outgoing,
    RecordStore,
    ServerEndpoint,
    SqliteRecords,
)
from secagg.errors import InputError, LedgerUnavailable, RoundFailed
from secagg.ledger import FileStorage, MemoryStorage, SqliteStorage, Storage
from secagg.protocol import Level, Record
from secagg.types import SERVER, PartyId, client

VICTIM = client(2)
MASKING = [
    ("secagg", Level.CURIOUS),
    ("secagg_plus", Level.CURIOUS),
    ("secagg", Level.MALICIOUS),
    ("secagg_plus", Level.MALICIOUS),
]


def server_of(channel: Channel) -> ServerEndpoint:
    server = channel.ends[SERVER]
    assert isinstance(server, ServerEndpoint)
    return server


class Mortal:
    """A client over one ledger; it dies before or after it sends its message number `fuse`.

    What is sent to it while it is dead is lost.
    """

    def __init__(
        self, federation: Federation, storage: Storage, fuse: int, *, delivered: bool
    ) -> None:
        self.federation, self.storage = federation, storage
        self.fuse, self.delivered = fuse, delivered
        self.ledger = federation.ledger(VICTIM, storage)
        self.end: Endpoint = federation.client(VICTIM, self.ledger)
        self.said: list[bytes] = []
        self.dead = False

    def post(self, channel: Channel, outgoing: list[Outgoing]) -> None:
        for each in outgoing:
            dies = len(self.said) == self.fuse
            self.said.append(each.data)
            if not dies or self.delivered:
                channel.queue.append((VICTIM, each))
            if dies:
                self.dead = True
                self.ledger.close()
                return
        if outgoing and self.end.wait(channel.now) == 0:
            self.post(channel, self.end.tick(channel.now))

    def revive(self, channel: Channel, *, update: bool = True) -> None:
        self.dead = False
        self.ledger = self.federation.ledger(VICTIM, self.storage, new=False)
        changes = {} if update else {"update": None}
        self.end = self.federation.client(VICTIM, self.ledger, **changes)
        self.post(channel, self.end.start(channel.now))


def play(
    federation: Federation, mortal: Mortal, *, missed: int, update: bool = False
) -> tuple[Channel, int]:
    """Everything; the victim comes back after this many messages were lost to it, or none came."""
    ends = federation.everybody()
    del ends[VICTIM]
    channel, lost, deaths = Channel(ends), 0, 0
    for who, end in ends.items():
        channel.post(who, end.start(channel.now))
    mortal.post(channel, mortal.end.start(channel.now))
    while channel.queue or mortal.dead:
        if mortal.dead and (lost >= missed or not channel.queue):
            deaths += 1
            # Its update is in the ledger before it says a second word.
            mortal.revive(channel, update=update or mortal.fuse == 0)
            continue
        if channel.queue[0][1].to != VICTIM:
            channel.step()
            continue
        _, (_, data) = channel.queue.popleft()
        if mortal.dead:
            lost += 1
        else:
            mortal.post(channel, mortal.end.receive(SERVER, data, channel.now))
    return channel, deaths


@pytest.mark.parametrize(("name", "level"), MASKING)
@pytest.mark.parametrize("delivered", [False, True], ids=["unsent", "sent"])
@pytest.mark.parametrize("missed", [0, 1])
def test_a_client_killed_at_each_message(
    name: str, level: Level, delivered: bool, missed: int
) -> None:
    """It says what it said, and what was sent to it meanwhile is sent again."""
    steps = {Level.CURIOUS: 4, Level.MALICIOUS: 5 + (name == "secagg_plus")}[level]
    for fuse in range(steps):
        federation = Federation(name, level)
        storage = MemoryStorage()
        mortal = Mortal(federation, storage, fuse, delivered=delivered)
        channel, deaths = play(federation, mortal, missed=missed)
        assert deaths == 1
        assert mortal.end.done
        assert mortal.end.failure is None
        assert federation.check(server_of(channel)) == federation.clients
        # Nothing was ever said in two ways.
        assert len(set(mortal.said)) == steps
        # No deadline had to pass.
        assert channel.now == 100.0


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_a_client_killed_over_a_ledger_on_disk(kind: str, tmp_path: Path) -> None:
    federation = Federation("secagg", Level.MALICIOUS)
    at = tmp_path / "ledger"
    storage = FileStorage(at) if kind == "files" else SqliteStorage(at)
    mortal = Mortal(federation, storage, 2, delivered=False)
    channel, deaths = play(federation, mortal, missed=0)
    assert deaths == 1
    assert federation.check(server_of(channel)) == federation.clients
    assert len(set(mortal.said)) == 5


def test_a_client_that_is_done_says_its_last_word_again() -> None:
    federation = Federation("secagg")
    mortal = Mortal(federation, MemoryStorage(), 99, delivered=True)
    play(federation, mortal, missed=0)
    mortal.ledger.close()
    mortal.revive(Channel({}))
    assert mortal.end.done
    assert mortal.end.failure is None
    assert mortal.said[-1] == mortal.said[-2]
    assert len(mortal.said) == 5


def test_a_client_that_failed_fails_again_and_says_nothing() -> None:
    federation = Federation("secagg")
    storage = MemoryStorage()
    with federation.ledger(VICTIM, storage) as ledger:
        end = federation.client(VICTIM, ledger)
        end.start(0.0)
        assert end.tick(5000.0) == []
        assert isinstance(end.failure, RoundFailed)
    with federation.ledger(VICTIM, storage, new=False) as ledger:
        again = federation.client(VICTIM, ledger, update=None)
        assert again.start(0.0) == []
        assert again.done
        assert str(again.failure) == str(end.failure)


def test_a_client_that_never_started_needs_its_update() -> None:
    federation = Federation("secagg")
    storage = MemoryStorage()
    with federation.ledger(VICTIM, storage) as ledger:
        federation.client(VICTIM, ledger)
    with federation.ledger(VICTIM, storage, new=False) as ledger:
        with pytest.raises(InputError, match="started without one"):
            federation.client(VICTIM, ledger, update=None)
        assert federation.client(VICTIM, ledger).start(0.0)


@pytest.mark.parametrize(("name", "level"), MASKING)
def test_a_client_says_how_long_its_update_is_needed(name: str, level: Level) -> None:
    """As long as a client made anew over its ledger, without an update, is refused."""
    federation = Federation(name, level)
    storage = MemoryStorage("the victim's")
    ledger = federation.ledger(VICTIM, storage)
    channel = Channel({who: end for who, end in federation.everybody().items() if who != VICTIM})
    end = federation.client(VICTIM, ledger)
    channel.ends[VICTIM] = end
    needed = [end.needs_update]
    for who in list(channel.ends):
        channel.start(who)
    while channel.step():
        needed.append(end.needs_update)
        ledger.close()
        storage.close()
        again = federation.ledger(VICTIM, storage, new=False)
        if end.needs_update:
            with pytest.raises(InputError):
                federation.client(VICTIM, again, update=None)
        else:
            federation.client(VICTIM, again, update=None)
        again.close()
        ledger.reopen()
    assert needed[0]
    assert not needed[-1]
    assert needed == sorted(needed, reverse=True)


def test_another_update_after_a_restart_is_not_looked_at() -> None:
    """What was encoded first is in the ledger: two masked vectors would differ by the updates."""
    federation = Federation("secagg")
    mortal = Mortal(federation, MemoryStorage(), 2, delivered=False)
    first = federation.updates[VICTIM]
    federation.updates[VICTIM] = np.zeros_like(first)
    channel, _ = play(federation, mortal, missed=0, update=True)
    federation.updates[VICTIM] = first
    assert federation.check(server_of(channel)) == federation.clients


class FullStorage(MemoryStorage):
    """A disk that is full from some change on."""

    left = 1000

    def append(self, data: bytes) -> None:
        if self.left <= 0:
            raise LedgerUnavailable("No space left on device", place=self.place)
        self.left -= 1
        super().append(data)


@pytest.mark.parametrize("left", range(1, 6))
def test_a_client_whose_disk_is_full_says_nothing_more(left: int) -> None:
    federation = Federation("secagg")
    storage = FullStorage()
    ledger = federation.ledger(VICTIM, storage)
    storage.left = left
    ends = federation.everybody()
    ends[VICTIM] = federation.client(VICTIM, ledger)
    channel = Channel(dict(ends)).run()
    end = ends[VICTIM]
    assert isinstance(end.failure, LedgerUnavailable)
    assert end.phase == "failed"
    # One entry opens the session, one is its start, one the vector's: those words were durable.
    said = [each for sender, each in channel.sent if sender == VICTIM]
    assert len(said) == max(0, [0, 0, 1, 1, 2, 3][left])
    assert (VICTIM in federation.check(server_of(channel))) == (len(said) == 3)


@pytest.fixture(params=["memory", "files", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], RecordStore]:
    """The same records, in another process."""
    memory = MemoryRecords()
    opened: list[FileRecords | SqliteRecords] = []

    def again() -> RecordStore:
        for each in opened:
            each.close()
        opened.clear()
        if request.param == "memory":
            return memory
        made: FileRecords | SqliteRecords = (
            FileRecords(tmp_path / "records")
            if request.param == "files"
            else SqliteRecords(tmp_path / "records.db")
        )
        opened.append(made)
        return made

    return again


@pytest.mark.parametrize(
    ("name", "level"), [*MASKING, ("plain", Level.CURIOUS), ("bfv", Level.CURIOUS)]
)
def test_a_server_killed_after_every_message(
    name: str, level: Level, store: Callable[[], RecordStore]
) -> None:
    """Before and after what it says goes out; each successor says the same again."""
    federation = Federation(name, level)
    ends = federation.everybody()
    ends[SERVER] = federation.server(store())
    channel = Channel(ends)
    for who, end in ends.items():
        channel.post(who, end.start(channel.now))
    restarts = 0
    while channel.queue:
        sender, (to, data) = channel.queue.popleft()
        said = ends[to].receive(sender, data, channel.now)
        if to == SERVER:
            ends[SERVER] = federation.server(store())
            again = ends[SERVER].start(channel.now)
            assert again == said
            restarts += 1
        channel.post(to, said)
    server = server_of(channel)
    assert restarts >= federation.count
    assert federation.check(server) == federation.clients
    # The sum is kept, and nothing else.
    final = federation.server(store())
    assert final.start(0.0) == []
    assert federation.check(final) == federation.clients
    records = store()
    assert [record.final for record in records.load(server.session)] == [True]
    records.erase(server.session)
    assert not records.load(server.session)


def test_a_server_killed_after_a_deadline(store: Callable[[], RecordStore]) -> None:
    federation = Federation("secagg")
    ends = federation.everybody()
    ends[SERVER] = federation.server(store())
    del ends[VICTIM]
    channel = Channel(ends)
    for who, end in ends.items():
        channel.post(who, end.start(channel.now))
    while channel.queue:
        channel.step()
    said = ends[SERVER].tick(channel.now + 10.0)
    assert len(said) == 4
    ends[SERVER] = federation.server(store())
    assert ends[SERVER].start(channel.now) == said
    channel.post(SERVER, said)
    while channel.step():
        pass
    assert VICTIM not in federation.check(server_of(channel))


def test_a_server_whose_disk_is_full_says_nothing_more() -> None:
    class Full(MemoryRecords):
        left = 3

        def add(self, session: bytes, record: Record) -> None:
            if not self.left:
                raise LedgerUnavailable("No space left on device", place="memory")
            self.left -= 1
            super().add(session, record)

    federation = Federation("secagg")
    records = Full()
    ends = federation.everybody()
    ends[SERVER] = federation.server(records)
    channel = Channel(ends).run()
    server = server_of(channel)
    with pytest.raises(LedgerUnavailable, match="No space left"):
        server.result()
    assert not [each for sender, each in channel.sent if sender == SERVER]
    # With space again its successor goes on from there: it heard two clients, and hears the rest.
    records.left = 100
    ends = federation.everybody()
    again = federation.server(records)
    assert again.start(0.0) == []
    assert again.phase == "advertise"


def test_lost_messages_are_sent_again_when_a_connection_is_back() -> None:
    """A message of each side is lost on its way, though nobody died."""
    federation = Federation("secagg")
    ends = federation.everybody()
    lost: list[Outgoing] = []

    def lossy(sender: PartyId, each: Outgoing) -> list[Outgoing]:
        if each.to == VICTIM and each.data not in [one.data for one in lost]:
            lost.append(each)
            return []
        return [each]

    channel = Channel(ends, tamper=lossy)
    for who, end in ends.items():
        channel.post(who, end.start(channel.now))
    while channel.queue or not ends[SERVER].done:
        if channel.queue:
            channel.step()
        else:
            # The connection is there again: the client says what it said last, and is told.
            channel.queue.extend((VICTIM, each) for each in ends[VICTIM].resend())
            channel.queue.extend((SERVER, each) for each in ends[SERVER].resend())
    assert len(lost) == 3
    assert federation.check(server_of(channel)) == federation.clients
    assert channel.now == 100.0


def test_no_ledger_no_second_life() -> None:
    federation = Federation("secagg")
    end = federation.client(VICTIM)
    (first,) = end.start(0.0)
    (second,) = federation.client(VICTIM).start(0.0)
    assert first != second
