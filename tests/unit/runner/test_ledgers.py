"""Clients of a run that have ledgers: what they resend, what they refuse, and who must have one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from conformance.scenario import Offered, Scenario
from unit.ledger.world import DEVICE

from secagg import protocols
from secagg.crypto.rng import SystemRng, seeded
from secagg.errors import (
    LedgerUnavailable,
    LocalProtocolError,
    RoundFailed,
)
from secagg.ledger import FileStorage, Ledger, MemoryStorage, Owner, Storage
from secagg.protocol import DONE, FAILED, ClientPolicy, Level, Protocol, Session
from secagg.runner import Faults, Outcome, run, seat
from secagg.runner.crew import launched
from secagg.runner.crowd import play
from secagg.runner.recipe import Recipe, Staging
from secagg.runner.rounds import judged
from secagg.types import SERVER, PartyId, client
from secagg.wire import Frame

VICTIM = client(1)
CURIOUS = protocols.get("secagg")
MALICIOUS = Offered(CURIOUS, Level.MALICIOUS)
Frames = dict[PartyId, list[bytes]]


def scenario(protocol: Protocol | Offered = CURIOUS) -> Scenario:
    return Scenario(protocol, 4, {"dropout": "0.25", "min_clients": 3})


def ledger(
    session: Session, who: PartyId = VICTIM, storage: Storage | None = None, cap: int = 1
) -> Ledger:
    storage, owner, rng = storage or MemoryStorage(), Owner.of(session, who), SystemRng()
    Ledger.create(storage, owner, DEVICE, rng)
    return Ledger.open(storage, owner, DEVICE, rng, sessions_per_round=cap)


def everybodys(session: Session, cap: int = 1) -> dict[PartyId, Ledger]:
    return {who: ledger(session, who, cap=cap) for who in session.plan.task.clients}


def ran(
    of: Scenario,
    ledgers: Mapping[PartyId, Ledger] | None = None,
    session: Session | None = None,
    lost: Mapping[PartyId, int] | None = None,
    kills: Mapping[PartyId, tuple[int, ...]] | None = None,
    policy: ClientPolicy | None = None,
) -> tuple[Outcome, Frames]:
    """A run, and what everybody sent in it."""
    frames: Frames = {}

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        frames.setdefault(sender, []).append(frame.join())
        return frame

    outcome = run(
        of.protocol,
        session or of.session,
        of.inputs,
        of.rng,
        Faults(lost=lost or {}, kills=kills or {}, tamper=watch),
        policy=policy,
        identities=of.identities,
        ledgers=ledgers,
    )
    return outcome, frames


@pytest.mark.parametrize("kind", ["memory", "files"])
@pytest.mark.parametrize(
    ("protocol", "effects"),
    # A record of every event, every message, and the end.
    [(CURIOUS, 5 + 4 + 1), (MALICIOUS, 6 + 5 + 1)],
    ids=["curious", "malicious"],
)
def test_a_client_killed_at_any_effect_resends_from_its_ledger(
    protocol: Protocol | Offered,
    effects: int,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its frames are those of a run in which nobody dies: in order, whole, some of them twice."""
    reopened: list[Ledger] = []
    reopen = Ledger.reopen

    def note(kept: Ledger) -> None:
        reopened.append(kept)
        reopen(kept)

    monkeypatch.setattr(Ledger, "reopen", note)
    of = scenario(protocol)
    quiet, expected = ran(of, {VICTIM: ledger(of.session)})
    assert quiet.parties[VICTIM].effects == effects
    for ordinal in range(effects):
        of, place = scenario(protocol), tmp_path / str(ordinal)
        kept = ledger(
            of.session, storage=MemoryStorage() if kind == "memory" else FileStorage(place)
        )
        reopened.clear()
        outcome, frames = ran(of, {VICTIM: kept}, kills={VICTIM: (ordinal,)})
        assert reopened == [kept]
        of.check(outcome)
        assert outcome.included == of.plan.task.clients
        assert not outcome.accused
        if ordinal:
            assert list(dict.fromkeys(frames[VICTIM])) == expected[VICTIM]
        else:
            # Its seed was not yet durable, and nothing was sent: it begins with another.
            assert len(frames[VICTIM]) == len(expected[VICTIM])
            assert not set(frames[VICTIM]) & set(expected[VICTIM])
        # The ledger that was given is the one that was written, and it is open.
        assert kept.answered(of.session.training_round)
        kept.close()


def test_a_client_killed_again_and_again_resends_from_its_ledger() -> None:
    of = scenario()
    _, expected = ran(of, {VICTIM: ledger(of.session)})
    of = scenario()
    outcome, frames = ran(of, {VICTIM: ledger(of.session)}, kills={VICTIM: tuple(range(1, 25))})
    of.check(outcome)
    assert outcome.included == of.plan.task.clients
    assert list(dict.fromkeys(frames[VICTIM])) == expected[VICTIM]
    assert len(frames[VICTIM]) > len(expected[VICTIM])


def test_a_ledger_changes_nothing_that_is_sent() -> None:
    without, sent = ran(scenario())
    of = scenario()
    within, as_well = ran(of, everybodys(of.session))
    assert sent == as_well
    np.testing.assert_array_equal(without.sum(), within.sum())
    for who, report in without.parties.items():
        assert within.parties[who].effects == report.effects


@pytest.mark.parametrize("protocol", [CURIOUS, MALICIOUS], ids=["curious", "malicious"])
def test_clients_have_a_ledger_in_memory_where_they_need_one(
    protocol: Protocol | Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[PartyId] = []
    make = seat.ledger_in_memory

    def note(session: Session, me: PartyId, *rest: object) -> Ledger:
        made.append(me)
        return make(session, me, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(seat, "ledger_in_memory", note)
    of = scenario(protocol)
    given = {VICTIM: ledger(of.session)}
    outcome, _ = ran(of, given, kills={client(2): (3, 6)})
    of.check(outcome)
    assert outcome.included == of.plan.task.clients
    clients = [who for who in of.plan.task.clients if who != VICTIM]
    assert made == (clients if protocol is MALICIOUS else [])
    # Nothing but the run knew them: the same session runs again.
    assert ran(scenario(protocol))[0].sum().any()


def refusals(outcome: Outcome) -> list[str | None]:
    """The kinds of refusals, client by client."""
    reports = [report for who, report in outcome.parties.items() if who != SERVER]
    return [None if r.refusal is None else type(r.refusal).__name__ for r in reports]


def again(of: Scenario, training_round: int = 0) -> Session:
    """Another session, of the same round but that another is named."""
    roster, (job, before) = of.session.roster, (of.session.job, of.session.training_round)
    session = Session.fresh(of.plan, seeded(9), roster=roster, training_round=training_round)
    assert session.id != of.session.id
    assert (session.job, session.training_round == before) == (job, not training_round)
    return session


@pytest.mark.parametrize("protocol", [CURIOUS, MALICIOUS], ids=["curious", "malicious"])
def test_the_second_session_of_an_answered_round_gets_no_word_of_any_client(
    protocol: Protocol | Offered,
) -> None:
    """The server opens the round again, for the difference of two sums."""
    of = scenario(protocol)
    ledgers = everybodys(of.session, cap=5)
    policy = ClientPolicy(min_clients=2, corrupt=0, sessions_per_round=5)
    first, _ = ran(of, ledgers, policy=policy)
    assert first.included == of.plan.task.clients
    assert refusals(first) == [None] * 4
    second, frames = ran(of, ledgers, again(of), policy=policy)
    assert refusals(second) == ["SessionRefused"] * 4
    assert not frames
    for who in of.plan.task.clients:
        report = second.parties[who]
        assert "a session of training round 0 was answered" in (report.failure or "")
        assert (report.phase, report.messages, report.effects) == (FAILED, 0, 0)
        assert not ledgers[who].knows(again(of).id)
    with pytest.raises(RoundFailed, match="0 of 4 clients advertised keys"):
        second.sum()
    # The next round is another matter.
    third, _ = ran(of, ledgers, again(of, training_round=1), policy=policy)
    assert refusals(third) == [None] * 4
    assert third.included == of.plan.task.clients


@pytest.mark.parametrize(
    ("of_policy", "of_ledger", "kind"), [(1, 2, "PolicyError"), (2, 1, "SessionRefused")]
)
def test_a_round_that_failed_is_not_begun_again_without_end(
    of_policy: int, of_ledger: int, kind: str
) -> None:
    """Nobody answered, and still the smaller of the two caps holds."""
    of = scenario()
    ledgers = everybodys(of.session, cap=of_ledger)
    policy = ClientPolicy(min_clients=2, corrupt=0, sessions_per_round=of_policy)
    first, _ = ran(of, ledgers, lost={client(2): 0, client(3): 1}, policy=policy)
    assert first.total is None
    second, frames = ran(of, ledgers, again(of), policy=policy)
    assert refusals(second) == [kind] * 4
    assert not frames
    assert second.total is None


def test_a_session_that_was_answered_is_answered_again_verbatim_only() -> None:
    """The same session run again, with the server's memory gone: the answer, and nothing else."""
    of = scenario()
    ledgers = everybodys(of.session)
    _, first = ran(of, ledgers)
    outcome, second = ran(scenario(), ledgers)
    assert {who: frames[-1:] for who, frames in first.items() if who != SERVER} == second
    assert refusals(outcome) == [None] * 4
    assert outcome.total is None


def test_the_others_go_on_without_a_client_that_is_refused() -> None:
    of = scenario()
    used = ledger(of.session)
    used.open_session(bytes(32), of.session.training_round)
    policy = ClientPolicy(min_clients=2, corrupt=0, sessions_per_round=2)
    assert not used.answered(of.session.training_round)
    outcome, frames = ran(of, {VICTIM: used}, policy=policy)
    of.check(outcome)
    assert outcome.included == (client(0), client(2), client(3))
    assert refusals(outcome) == [None, "SessionRefused", None, None]
    assert VICTIM not in frames


class FailingStorage(MemoryStorage):
    """A disk that takes so many entries and no more."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.left = entries

    def append(self, data: bytes) -> None:
        if not self.left:
            raise LedgerUnavailable("No space left on device", place=self.place)
        self.left -= 1
        super().append(data)


@pytest.mark.parametrize("entries", range(6))
@pytest.mark.parametrize("kills", [(), (3,)])
def test_what_a_ledger_cannot_keep_is_not_sent(entries: int, kills: tuple[int, ...]) -> None:
    """Opening, start, input, shares dealt, shares taken and vector, answer: then it is full."""
    of = scenario()
    full = ledger(of.session, storage=FailingStorage(entries))
    outcome, frames = ran(of, {VICTIM: full}, kills={VICTIM: kills})
    of.check(outcome)
    report = outcome.parties[VICTIM]
    assert isinstance(report.refusal, LedgerUnavailable)
    assert report.refusal.__traceback__ is None
    assert (report.phase, report.failure) == (FAILED, "memory: No space left on device")
    assert len(set(frames.get(VICTIM, []))) == max(0, entries - 1 - (entries > 2))
    assert (VICTIM in outcome.included) == (entries == 5)
    for who in outcome.included:
        assert who == VICTIM or outcome.parties[who].phase == DONE


def test_a_killed_client_that_cannot_open_its_ledger_again_is_a_dropout() -> None:
    of = scenario()
    storage = MemoryStorage()
    kept = ledger(of.session, storage=storage)

    def lose(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        storage.mark = b""
        return frame

    faults = Faults(kills={VICTIM: (3,)}, tamper=lose)
    outcome = run(of.protocol, of.session, of.inputs, of.rng, faults, ledgers={VICTIM: kept})
    of.check(outcome)
    assert outcome.included == (client(0), client(2), client(3))
    report = outcome.parties[VICTIM]
    assert (report.phase, report.failure) == (
        FAILED,
        "memory, mark: there is no mark beside the log",
    )


def test_ledgers_of_others_are_refused() -> None:
    of = scenario()
    for who, owner in ((SERVER, client(0)), (client(9), client(9))):
        with pytest.raises(LocalProtocolError, match="ledgers its clients"):
            ran(of, {who: ledger(of.session, owner)})
    elsewhere = Session.fresh(of.plan, seeded(1), job="another")
    for given in (ledger(of.session, client(2)), ledger(elsewhere)):
        with pytest.raises(LocalProtocolError, match="expected the ledger of"):
            ran(of, {VICTIM: given})


class SlowStorage(MemoryStorage):
    """A disk that needs a fiftieth of a second of CPU time for every entry."""

    def append(self, data: bytes) -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        super().append(data)


def test_the_work_of_a_ledger_is_its_clients() -> None:
    of = scenario()
    outcome, _ = ran(of, {VICTIM: ledger(of.session, storage=SlowStorage())})
    assert outcome.parties[VICTIM].cpu_seconds >= 6 * 0.02
    for who in (SERVER, client(0)):
        assert outcome.parties[who].cpu_seconds < 6 * 0.02


def test_clients_of_a_simulation_have_ledgers_as_those_of_a_run() -> None:
    plan = scenario(MALICIOUS).plan
    recipe = Recipe("secagg", plan.task, bytes(32), 3, ((client(2), 1),), bytes(32))
    seats = {seat.me: seat for seat in Staging(recipe).seats(plan.parties)}
    assert seats[SERVER].ledger is None
    session = Staging(recipe).session
    for who in plan.task.clients:
        kept = seats[who].ledger
        assert kept is not None
        assert (kept.owner, kept.opened(3)) == (Owner.of(session, who), 1)
        assert kept.knows(session.id)
    with launched(2) as crew:
        for workers in ((), crew):
            played = play(recipe, workers, 1, lambda *_: None)
            assert played.outcome.included == (client(0), client(1), client(3))
            assert judged(played, 0).reason is None
