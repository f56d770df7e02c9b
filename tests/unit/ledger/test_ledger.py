from __future__ import annotations

from collections.abc import Collection

import pytest
from unit.ledger.world import (
    DEVICE,
    VICTIM,
    KeptVictim,
    World,
    keeper,
    opened,
    owner_of,
    scenario,
)

from secagg.attestation import measure_installed
from secagg.crypto.rng import SystemRng, seeded
from secagg.errors import (
    DecodeError,
    LedgerBusy,
    LedgerCorrupt,
    LedgerError,
    LedgerForeign,
    LedgerMissing,
    LedgerUnavailable,
    ParameterError,
    SessionLost,
    SessionRefused,
)
from secagg.ledger import Ledger, MemoryStorage, Owner
from secagg.protocol import (
    ClientPolicy,
    Deadline,
    Fail,
    Identities,
    Record,
    Remember,
    Roster,
    Session,
)
from secagg.types import SERVER, Secret, client

OF = scenario()
SESSION = OF.session
FIRST, SECOND, THIRD = (bytes((number,)) * 32 for number in range(3))


def created(session: Session = SESSION) -> MemoryStorage:
    storage = MemoryStorage()
    Ledger.create(storage, owner_of(session), DEVICE, SystemRng())
    return storage


def started(session: Session = SESSION) -> Record:
    """A first record."""
    party = OF.protocol.party(session, VICTIM, seeded(1), ClientPolicy.accepting(session.plan))
    return next(e.record for e in party.start() if isinstance(e, Remember))


def final_record(*, answers: bool) -> Record:
    """The last record of a client that answered, or failed."""
    storage = created()
    world = World(lambda: KeptVictim(keeper(opened(storage, SESSION), OF)), OF)
    world.hold = None if answers else 6
    world.run()
    victim = world.victim
    assert isinstance(victim, KeptVictim)
    if not answers:
        effects = victim.keeper.handle(Deadline("unmask"), SERVER)
        assert any(isinstance(effect, Fail) for effect in effects)
    storage.close()
    (record,) = opened(storage, SESSION).records(SESSION.id)
    assert record.final
    return record


ANSWER = final_record(answers=True)
FAILURE = final_record(answers=False)


def filled(ledger: Ledger, session: bytes) -> None:
    """All records before the final one."""
    storage = created()
    world = World(lambda: KeptVictim(keeper(opened(storage, SESSION), OF)), OF)
    world.hold = 6
    world.run()
    storage.close()
    for record in opened(storage, SESSION).records(SESSION.id):
        ledger.remember(session, record)


def test_a_session_is_opened_once_whether_running_or_over() -> None:
    ledger = opened(created(), SESSION, cap=5)
    ledger.open_session(FIRST, 0)
    with pytest.raises(SessionRefused, match="was opened before"):
        ledger.open_session(FIRST, 0)
    ledger.give_up(FIRST)
    with pytest.raises(SessionRefused, match="was opened before"):
        ledger.open_session(FIRST, 1)


def test_it_says_which_sessions_run() -> None:
    storage = created()
    ledger = opened(storage, SESSION, cap=5)
    assert list(ledger.running) == []
    ledger.open_session(FIRST, 0)
    ledger.open_session(SESSION.id, 0)
    assert list(ledger.running) == [FIRST, SESSION.id]
    ledger.give_up(FIRST)
    ledger.close()
    assert opened(storage, SESSION, cap=5).running == (SESSION.id,)


def test_a_session_that_was_not_opened_is_never_answered() -> None:
    ledger = opened(created(), SESSION)
    for record in (started(), ANSWER):
        with pytest.raises(SessionRefused, match="was not opened here"):
            ledger.remember(SESSION.id, record)
    with pytest.raises(SessionRefused, match="was not opened here"):
        ledger.records(SESSION.id)
    with pytest.raises(SessionRefused, match="was not opened here"):
        ledger.give_up(SESSION.id)


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("cap", [1, 2, 3])
def test_a_training_round_has_only_so_many_sessions(cap: int, reopened: bool) -> None:
    """Given up or failed, they count: a server cannot ask until it likes the cohort."""
    storage = created()
    ledger = opened(storage, SESSION, cap)
    for number in range(cap):
        ledger.open_session(bytes((number,)) * 32, 7)
        ledger.give_up(bytes((number,)) * 32)
    if reopened:
        ledger.close()
        ledger = opened(storage, SESSION, cap)
    with pytest.raises(SessionRefused, match=f"at most {cap} sessions in training round 7"):
        ledger.open_session(b"\xff" * 32, 7)
    ledger.open_session(b"\xff" * 32, 8)


@pytest.mark.parametrize("reopened", [False, True])
def test_a_training_round_has_one_answer(reopened: bool) -> None:
    """Two sessions are open; the first that answers shuts the other, and no third is opened."""
    storage = created()
    ledger = opened(storage, SESSION, cap=3)
    for session in (FIRST, SECOND):
        ledger.open_session(session, 4)
        filled(ledger, session)
    ledger.remember(FIRST, ANSWER)
    assert ledger.answered(4)
    if reopened:
        ledger.close()
        ledger = opened(storage, SESSION, cap=3)
    with pytest.raises(SessionRefused, match="another session of training round 4 was answered"):
        ledger.remember(SECOND, ANSWER)
    assert SECOND not in storage.stored
    with pytest.raises(SessionRefused, match="was given up"):
        ledger.records(SECOND)
    with pytest.raises(SessionRefused, match="training round 4 was answered"):
        ledger.open_session(THIRD, 4)
    assert not ledger.answered(5)


def test_a_failure_is_an_end_and_no_answer() -> None:
    ledger = opened(created(), SESSION, cap=2)
    for session in (FIRST, SECOND):
        ledger.open_session(session, 4)
        filled(ledger, session)
    ledger.remember(FIRST, FAILURE)
    assert not ledger.answered(4)
    ledger.remember(SECOND, ANSWER)
    assert ledger.answered(4)


def test_records_come_in_their_order_and_once() -> None:
    ledger = opened(created(), SESSION)
    ledger.open_session(FIRST, 0)
    with pytest.raises(SessionRefused, match="expected record 0, got record 4"):
        ledger.remember(FIRST, ANSWER)
    ledger.remember(FIRST, started())
    with pytest.raises(SessionRefused, match="expected record 1, got record 0"):
        ledger.remember(FIRST, started())


def test_what_is_over_takes_no_more_records() -> None:
    ledger = opened(created(), SESSION)
    ledger.open_session(FIRST, 0)
    filled(ledger, FIRST)
    ledger.remember(FIRST, ANSWER)
    for again in (started(), ANSWER):
        with pytest.raises(SessionRefused, match="is over"):
            ledger.remember(FIRST, again)


def test_what_is_no_record_is_refused() -> None:
    ledger = opened(created(), SESSION)
    ledger.open_session(FIRST, 0)
    with pytest.raises(DecodeError, match="not a record"):
        ledger.remember(FIRST, Record(b"nothing", memoryview(b"")))
    broken = Record(started().head, memoryview(b""), final=True)
    with pytest.raises(DecodeError, match="a party that has ended"):
        ledger.remember(FIRST, broken)
    ledger.remember(FIRST, started())


def test_records_come_back_as_they_were_and_lie_sealed() -> None:
    storage = created()
    ledger = opened(storage, SESSION)
    ledger.open_session(FIRST, 0)
    head, tail = started().head, bytes(range(256)) * 5000
    ledger.remember(FIRST, Record(head, memoryview(tail)))
    ledger.close()
    (record,) = opened(storage, SESSION).records(FIRST)
    assert (record.head, bytes(record.tail), record.final) == (head, tail, False)
    kept = storage.log + b"".join(storage.stored[FIRST].values())
    assert head[-32:] not in kept  # the party's seed
    assert tail[:64] not in kept


def test_a_lost_key_loses_its_session_and_no_other() -> None:
    storage = created()
    ledger = opened(storage, SESSION)
    ledger.open_session(FIRST, 0)
    ledger.remember(FIRST, started())
    ledger.open_session(SECOND, 1)
    ledger.close()
    key = storage.stored[FIRST].pop("key")
    ledger = opened(storage, SESSION)
    with pytest.raises(SessionLost, match="expected a key of 32 bytes, got none"):
        ledger.records(FIRST)
    assert ledger.records(SECOND) == []
    storage.stored[FIRST]["key"] = key[:-1]
    with pytest.raises(SessionLost, match="expected a key of 32 bytes, got 31 bytes"):
        ledger.records(FIRST)
    storage.stored[FIRST]["key"] = bytes(32)
    with pytest.raises(SessionLost, match="does not open with the session's key"):
        ledger.records(FIRST)
    storage.stored[FIRST]["key"] = key
    assert len(ledger.records(FIRST)) == 1
    del storage.stored[FIRST]["000000"]
    with pytest.raises(SessionLost, match="record 000000 is gone"):
        ledger.records(FIRST)


def test_records_cannot_change_places() -> None:
    storage = created()
    ledger = opened(storage, SESSION)
    for number, session in enumerate((FIRST, SECOND)):
        ledger.open_session(session, number)
        ledger.remember(session, started())
    storage.stored[FIRST]["000000"] = storage.stored[SECOND]["000000"]
    with pytest.raises(LedgerCorrupt, match="record 000000 is not the one stored"):
        ledger.records(FIRST)


def test_every_byte_of_a_stored_record_counts() -> None:
    storage = created()
    ledger = opened(storage, SESSION)
    ledger.open_session(FIRST, 0)
    ledger.remember(FIRST, started())
    sealed = storage.stored[FIRST]["000000"]
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        storage.stored[FIRST]["000000"] = bytes(changed)
        with pytest.raises(LedgerCorrupt, match="000000"):
            ledger.records(FIRST)


def test_no_ledger_no_answer() -> None:
    with pytest.raises(LedgerMissing, match="memory: there is no ledger here"):
        opened(MemoryStorage(), SESSION)


def test_a_ledger_is_not_made_twice_nor_opened_twice() -> None:
    storage = created()
    with pytest.raises(LedgerError, match="a ledger already"):
        Ledger.create(storage, owner_of(SESSION), DEVICE, SystemRng())
    ledger = opened(storage, SESSION)
    with pytest.raises(LedgerBusy):
        opened(storage, SESSION)
    with ledger:
        pass
    with pytest.raises(LedgerUnavailable, match="open it again"):
        ledger.open_session(FIRST, 0)
    opened(storage, SESSION)


def test_reopened_it_knows_what_its_storage_knows_and_nothing_else() -> None:
    storage = created()
    ledger = opened(storage, SESSION, cap=2)
    ledger.open_session(FIRST, 0)
    ledger.remember(FIRST, started())
    before = (storage.log, storage.mark, {name: dict(of) for name, of in storage.stored.items()})
    ledger.open_session(SECOND, 0)
    assert ledger.opened(0) == 2
    storage.log, storage.mark, storage.stored = before
    ledger.reopen()
    assert (ledger.opened(0), ledger.opened(1)) == (1, 0)
    assert not ledger.knows(SECOND)
    assert [record.head for record in ledger.records(FIRST)] == [started().head]
    with pytest.raises(LedgerBusy):
        opened(storage, SESSION)
    storage.mark = b""
    with pytest.raises(LedgerMissing, match="no mark"):
        ledger.reopen()
    with pytest.raises(LedgerUnavailable, match="open it again"):
        ledger.records(FIRST)
    storage.mark = before[1]
    ledger.reopen()
    ledger.open_session(SECOND, 0)


def test_another_owner_job_or_device_is_refused() -> None:
    storage = created()
    for owner in (
        Owner.of(SESSION, client(2)),
        Owner(owner_of(SESSION).name, "another job"),
        Owner(bytes(32), SESSION.job),
    ):
        with pytest.raises(LedgerForeign, match="expected the ledger of"):
            Ledger.open(storage, owner, DEVICE, SystemRng(), sessions_per_round=1)
    other = Secret(bytes(32))
    with pytest.raises(LedgerForeign, match="another device"):
        Ledger.open(storage, owner_of(SESSION), other, SystemRng(), sessions_per_round=1)
    opened(storage, SESSION)


def test_the_owner_is_the_public_key_where_the_roster_has_keys() -> None:
    clients = OF.plan.task.clients
    identities = Identities.drawn(OF.plan, seeded(3), measure_installed().value)
    keyed = Session.fresh(OF.plan, seeded(4), roster=identities.roster)
    assert Owner.of(keyed, VICTIM).name == identities.roster.keys[VICTIM.number]
    assert Owner.of(keyed, VICTIM) != Owner.of(SESSION, VICTIM)
    moved = Roster(1, clients[1:], identities.roster.keys[1:])
    assert moved.key_of(VICTIM) == Owner.of(keyed, VICTIM).name


def test_bad_arguments() -> None:
    storage = created()
    with pytest.raises(ParameterError, match="at least one session, got 0"):
        opened(storage, SESSION, cap=0)
    with pytest.raises(ParameterError, match="32 bytes, got 31"):
        Ledger.create(MemoryStorage(), owner_of(SESSION), Secret(bytes(31)), SystemRng())
    with pytest.raises(ParameterError, match="32 bytes, got 31"):
        Ledger.open(
            storage, owner_of(SESSION), Secret(bytes(31)), SystemRng(), sessions_per_round=1
        )


class FullStorage(MemoryStorage):
    """A disk that fills up."""

    full = ""

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        self._check("put")
        super().put(session, name, data)

    def append(self, data: bytes) -> None:
        self._check("append")
        super().append(data)

    def replace_mark(self, mark: bytes) -> None:
        self._check("mark")
        super().replace_mark(mark)

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        self._check("erase")
        super().erase(session, keep)

    def _check(self, name: str) -> None:
        if name == self.full:
            raise LedgerUnavailable("No space left on device", place=self.place)


@pytest.mark.parametrize("full", ["put", "append", "mark", "erase"])
def test_a_change_that_failed_stops_everything_and_sends_nothing(full: str) -> None:
    storage = FullStorage()
    Ledger.create(storage, owner_of(SESSION), DEVICE, SystemRng())
    ledger = opened(storage, SESSION)
    world = World(lambda: KeptVictim(keeper(ledger, OF)), OF)
    world.hold = 6
    world.run()
    storage.full = full
    victim = world.victim
    assert isinstance(victim, KeptVictim)
    with pytest.raises(LedgerUnavailable, match="No space left"):
        victim.deliver(world.told[-1])
    assert 7 not in world.sent
    assert victim.keeper.party.ended
    storage.full = ""
    with pytest.raises(LedgerUnavailable, match="open it again"):
        ledger.records(SESSION.id)
    ledger.close()
    # Opened again, it knows what became durable; the answer is the same whoever gives it.
    world.make = lambda: KeptVictim(keeper(opened(storage, SESSION), OF))
    world.victim = None
    world.deliver(world.told[-1])
    assert len(set(world.sent[7])) == 1


def test_nothing_of_a_ledger_shows_a_secret() -> None:
    ledger = opened(created(), SESSION)
    assert DEVICE.reveal().hex() not in repr(vars(ledger))
    assert repr(DEVICE.reveal())[2:-1] not in repr(vars(ledger))
