"""A3 with an old copy of the ledger: what a ledger stops, and what it cannot.

Adversary: a server that asks a client twice, with two sets of survivors; with it whoever can write
to the client's disk.
Goal: shares of both kinds for one dealer.
Protection: the ledger. It knows that the session was answered, and the session's key is gone; parts
of it put back alone do not fit the rest.
Not covered: the whole directory put back as it was before the answer, or log and mark together,
which lets another session of the round be answered. Nothing on the disk can tell it from the
present. A mark kept where it cannot be put back, such as in a counter of the hardware, would;
`Storage` leaves room for one.
Levels: not covered at any.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from unit.ledger.world import (
    DEVICE,
    UNMASK_SHARES,
    VICTIM,
    KeptVictim,
    World,
    keeper,
    opened,
    owner_of,
    scenario,
)

from secagg.crypto.rng import SystemRng
from secagg.errors import LedgerCorrupt, SessionLost, SessionRefused
from secagg.ledger import FileStorage, Ledger
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.messages import TABLE, UnmaskRequest
from secagg.types import SERVER
from secagg.wire import Envelope

OF = scenario()


def second_question() -> bytes:
    """As the first, but that client 0 is said to be lost."""
    clients = OF.plan.task.clients
    others = [who.number for who in clients if who.number != 0]
    message = UnmaskRequest(encode_bitmap(clients, others))
    return TABLE.encode(Envelope(OF.session.id, SERVER, VICTIM, message)).join()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Answered; `before` is a copy of the ledger just before the answer, `ledger` the present."""
    path = tmp_path / "ledger"
    Ledger.create(FileStorage(path), owner_of(OF.session), DEVICE, SystemRng())
    ledger = opened(FileStorage(path), OF.session)
    world = World(lambda: KeptVictim(keeper(ledger, OF)), OF)
    world.hold = 6
    world.run()
    shutil.copytree(path, tmp_path / "before")
    world.deliver(world.told[-1])
    ledger.close()
    assert len(world.sent[UNMASK_SHARES]) == 1
    # From here on every death is followed by opening what is on the disk.
    world.make = lambda: KeptVictim(keeper(opened(FileStorage(path), OF.session), OF))
    world.victim = None
    return world


def test_an_old_copy_of_the_whole_ledger_lets_a_second_answer_out(
    world: World, tmp_path: Path
) -> None:
    """Not covered, and shown: the directory as it was gives the second answer."""
    shutil.rmtree(tmp_path / "ledger")
    (tmp_path / "before").rename(tmp_path / "ledger")
    world.deliver(second_question())
    assert len(set(world.sent[UNMASK_SHARES])) == 2


def test_the_present_ledger_gives_the_first_answer_only(world: World) -> None:
    """Restored, the client sends its answer again, and takes no other question."""
    world.deliver(second_question())
    assert len(world.sent[UNMASK_SHARES]) == 2
    assert len(set(world.sent[UNMASK_SHARES])) == 1


def test_an_old_log_alone_is_refused(world: World, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "before" / "log", tmp_path / "ledger" / "log")
    with pytest.raises(LedgerCorrupt, match="cut short"):
        world.deliver(second_question())
    assert len(world.sent[UNMASK_SHARES]) == 1


def test_an_old_mark_alone_makes_nothing_forgotten(world: World, tmp_path: Path) -> None:
    """One entry behind is what a crash leaves too; the log still has the answer."""
    shutil.copy(tmp_path / "before" / "mark", tmp_path / "ledger" / "mark")
    world.deliver(second_question())
    assert len(set(world.sent[UNMASK_SHARES])) == 1


def test_log_and_mark_put_back_without_the_key_give_nothing(world: World, tmp_path: Path) -> None:
    """The key was overwritten: the session cannot be taken up, and no answer comes out."""
    for part in ("log", "mark"):
        shutil.copy(tmp_path / "before" / part, tmp_path / "ledger" / part)
    with pytest.raises(SessionLost, match="expected a key of 32 bytes, got none"):
        world.deliver(second_question())
    assert len(world.sent[UNMASK_SHARES]) == 1


def test_the_key_and_the_records_put_back_alone_are_erased_again(
    world: World, tmp_path: Path
) -> None:
    session = Path("sessions") / OF.session.id.hex()
    for path in (tmp_path / "before" / session).iterdir():
        shutil.copy(path, tmp_path / "ledger" / session / path.name)
    world.deliver(second_question())
    assert len(set(world.sent[UNMASK_SHARES])) == 1
    assert [path.name for path in (tmp_path / "ledger" / session).iterdir()] == ["answer"]


@pytest.mark.parametrize("rolled_back", [False, True])
def test_log_and_mark_put_back_let_another_session_of_the_round_in(
    world: World, tmp_path: Path, rolled_back: bool
) -> None:
    """Not covered, and shown: of the round's answer nothing is left but a key that is not there."""
    if rolled_back:
        for part in ("log", "mark"):
            shutil.copy(tmp_path / "before" / part, tmp_path / "ledger" / part)
    with opened(FileStorage(tmp_path / "ledger"), OF.session, cap=2) as ledger:
        assert ledger.answered(0) != rolled_back
        if rolled_back:
            ledger.open_session(b"another session of the same round"[:32], 0)
        else:
            with pytest.raises(SessionRefused, match="training round 0 was answered"):
                ledger.open_session(b"another session of the same round"[:32], 0)
