from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.ledger.world import (
    DEVICE,
    Crash,
    CrashingStorage,
    KeptVictim,
    World,
    keeper,
    opened,
    owner_of,
    scenario,
)

from secagg.crypto.rng import SystemRng
from secagg.errors import SessionLost, SessionRefused
from secagg.ledger import Ledger
from secagg.ledger.entries import Closed, Opened, Recorded
from secagg.protocol import Remember


def created(fuse: int = -1, kept: int = 0) -> CrashingStorage:
    storage = CrashingStorage(fuse, kept)
    Ledger.create(storage, owner_of(scenario().session), DEVICE, SystemRng())
    return storage


def world_on(storage: CrashingStorage) -> World:
    of = scenario()
    return World(lambda: KeptVictim(keeper(opened(storage, of.session), of)), of)


def all_changes() -> list[tuple[str, int]]:
    """What a whole session changes, in order."""
    storage = created()
    world_on(storage).run()
    return storage.changes


CHANGES = all_changes()


def test_a_session_is_its_opening_its_records_and_its_end() -> None:
    """Advertise, input, shares dealt, shares taken and vector, answer: each before its effects."""
    step = ["put", "append", "mark"]
    assert [name for name, _ in CHANGES] == step + step * 4 + [*step, "erase"]


@pytest.mark.parametrize("fuse", range(len(CHANGES)))
@pytest.mark.parametrize("kept", ["nothing", "one", "all but one", "all"])
def test_a_client_killed_in_any_change_says_the_same_again(fuse: int, kept: str) -> None:
    size = CHANGES[fuse][1]
    part = {"nothing": 0, "one": 1, "all but one": size - 1, "all": size}[kept]
    world = world_on(created(fuse, part))
    world.run()
    assert world.crashes == 1
    world.check()


@settings(max_examples=60)
@given(st.data())
def test_a_client_killed_again_and_again_says_the_same(data: st.DataObject) -> None:
    storage = created()
    of = scenario()

    def make() -> KeptVictim:
        if data.draw(st.integers(0, 3)) and world.crashes < 8:
            storage.fuse = len(storage.changes) + data.draw(st.integers(0, 8))
            storage.kept = data.draw(st.integers(0, 300))
        return KeptVictim(keeper(opened(storage, of.session), of))

    world = World(make, of)
    world.run()
    world.check()


@pytest.mark.parametrize("kind", [Opened, Recorded, Closed])
def test_a_crash_at_every_byte_of_an_append(kind: type[Opened | Recorded | Closed]) -> None:
    """Torn, the entry never happened; whole, it did: there is nothing between the two."""
    of = scenario()
    session = of.session.id
    party = of.party(of.plan.task.clients[1])
    started = next(e.record for e in party.start() if isinstance(e, Remember))
    for kept in range(400):
        storage = created()
        ledger = opened(storage, of.session)
        if kind is not Opened:
            ledger.open_session(session, 0)
        # The item comes first, then the entry; giving up has no item.
        storage.fuse = len(storage.changes) + (kind is not Closed)
        storage.kept = kept
        before = storage.log
        possible: dict[type, Callable[[], None]] = {
            Opened: partial(ledger.open_session, session, 0),
            Recorded: partial(ledger.remember, session, started),
            Closed: partial(ledger.give_up, session),
        }
        with pytest.raises(Crash):
            possible[kind]()
        size = storage.changes[-1][1]
        assert len(storage.log) == len(before) + min(kept, size)
        again = opened(storage, of.session)
        if kept < size:
            assert storage.log == before
        if kind is Opened:
            assert again.knows(session) == (kept >= size) == (session in storage.stored)
        elif kind is Recorded:
            assert len(again.records(session)) == (kept >= size)
        elif kept >= size:
            with pytest.raises(SessionRefused, match="given up"):
                again.records(session)
            assert session not in storage.stored
        else:
            assert again.records(session) == []
        if kept >= size:
            return
    pytest.fail("an entry is shorter than this")


def test_a_torn_answer_was_not_given_and_is_given_once() -> None:
    """The answer's entry is torn: nothing went out, the key is there, and one answer follows."""
    fuse = len(CHANGES) - 3
    assert CHANGES[fuse][0] == "append"
    storage = created(fuse, CHANGES[fuse][1] - 1)
    world = world_on(storage)
    session = world.scenario.session.id
    seen: list[bool] = []
    make = world.make

    def revived() -> KeptVictim:
        if world.crashes:
            seen.append(7 in world.sent)
            assert storage.get(session, "key") is not None
        victim = make()
        assert isinstance(victim, KeptVictim)
        return victim

    world.make = revived
    world.run()
    assert seen == [False]
    world.check()
    assert len(world.sent[7]) == 1


def test_a_whole_answer_whose_effects_were_lost_is_given_verbatim() -> None:
    """The entry is whole, then the process dies: the answer is sent from the ledger, and no key
    is left by the time that it is."""
    for fuse, kept in ((len(CHANGES) - 3, 10**6), (len(CHANGES) - 2, 1), (len(CHANGES) - 1, 0)):
        storage = created(fuse, kept)
        world = world_on(storage)
        world.run()
        world.check()
        assert set(storage.stored[world.scenario.session.id]) == {"answer"}


def test_after_the_answer_the_records_do_not_open() -> None:
    """Whoever copied the sealed records before, and takes ledger and device later, has no key."""
    storage = created()
    world = world_on(storage)
    world.hold = 6
    world.run()
    session = world.scenario.session.id
    sealed = dict(storage.stored[session])
    key = sealed["key"]
    world.deliver(world.told[-1])
    assert set(storage.stored[session]) == {"answer"}
    assert all(key not in data for data in (storage.log, *storage.stored[session].values()))
    del sealed["key"]
    storage.stored[session] |= sealed
    storage.close()
    # As if it had never been closed: even then the records are of no use.
    ledger = opened(storage, world.scenario.session)
    ledger._lives[session].closed = None
    with pytest.raises(SessionLost, match="expected a key of 32 bytes, got none"):
        ledger.records(session)
