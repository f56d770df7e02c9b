"""Driving the parties that live in one process, with every message encoded and decoded on its way.

`run` puts all of a session's parties here. Where some live in other processes, each process has a
`Driver` of its own, and frames travel between them (`secagg.runner.crowd`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from secagg.attestation import measure_installed
from secagg.crypto.rng import SEED_BYTES, StreamRng
from secagg.errors import (
    DecodeError,
    LocalProtocolError,
    RemoteProtocolError,
    RoundFailed,
    UnknownParty,
    WrongSession,
)
from secagg.ledger import Ledger
from secagg.protocol import (
    Accuse,
    BeaconHead,
    BeaconValue,
    ClientPolicy,
    Deadline,
    Done,
    Effect,
    Event,
    Fail,
    Identities,
    Input,
    Protocol,
    Send,
    Session,
    SimulatedBeacon,
)
from secagg.record import Witness
from secagg.runner.faults import Faults, InOrder, Schedule
from secagg.runner.isolation import EnclaveHost
from secagg.runner.outcome import Outcome
from secagg.runner.seat import Killed, Seat
from secagg.transcript import Fate, Observer, Transcript
from secagg.types import PartyId, RingVector, Rng, Role
from secagg.wire import Frame


@dataclass(frozen=True)
class _Start:
    who: PartyId


@dataclass(frozen=True)
class _Give:
    who: PartyId


@dataclass(frozen=True)
class _Deliver:
    who: PartyId
    sender: PartyId
    frame: Frame


@dataclass(frozen=True)
class _Expire:
    who: PartyId
    phase: str


@dataclass(frozen=True)
class _Read:
    """Read from the public beacon what the party wants."""

    who: PartyId


_Action: TypeAlias = _Start | _Give | _Deliver | _Expire | _Read

Elsewhere: TypeAlias = Callable[[PartyId, PartyId, Frame], None]
"""Sender, recipient and frame of a message for somebody who does not live here."""


def run(
    protocol: Protocol,
    session: Session,
    inputs: Mapping[PartyId, RingVector],
    rng: Rng,
    faults: Faults | None = None,
    *,
    policy: ClientPolicy | None = None,
    schedule: Schedule | None = None,
    transcript: Transcript | None = None,
    identities: Identities | None = None,
    host: EnclaveHost | None = None,
    ledgers: Mapping[PartyId, Ledger] | None = None,
    witnesses: Mapping[PartyId, Witness] | None = None,
) -> Outcome:
    """Run one session from start to end.

    Early messages are parked until their phase comes, late ones are dropped and counted, and when
    nothing else is left to happen the deadlines pass, the server's first.

    A client whose ledger refuses the session, or a step of it, takes no further part, and its
    `PartyReport.refusal` says why; the others go on without it.

    Args:
        protocol: of the session.
        session: what all parties agreed on.
        inputs: each client's vector, in the lanes of the plan's ring.
        rng: each party gets a stream of its own, seeded from this.
        faults: what goes wrong; nothing by default.
        policy: of every client; by default they accept the plan, as its author would.
        schedule: the order in which things happen; by default as sent.
        transcript: where to note the messages.
        identities: what the parties bring along, where the protocol asks for it. By default they
            are drawn from `rng`, and the session becomes one with their roster.
        host: the process in which the protocol's isolated role lives; without one it lives here.
            The clients then trust the SIMULATED platform of that process. It serves any number of
            sessions, one after the other, until it ends; the session in which it ends is lost.
        ledgers: of clients, each open; a client that is killed opens its own again. What they do
            counts for their clients. This is a simulation: where the protocol promises to withstand
            a lying server, a client that was given none gets one in memory, which ends with the run
            and so knows of no session but this one. Other clients need none.
        witnesses: who is told what happens to a party, as it happens: a `secagg.record.Recorder`
            for the server, a `ReceiptBook` for a client.

    Raises:
        ParameterError: the plan is not the protocol's own.
        PolicyError: the clients refuse the plan or the roster.
        ModelMismatch: an identity says that its client received another model.
        InputError: a vector that is no input of this plan.
        LocalProtocolError: inputs, faults or ledgers of somebody who has no part in the session, a
            ledger of another owner or job, or a session that the host's process has opened before.
    """
    offering = protocol.at(session.plan.task.level)
    if offering.identified and identities is None:
        if session.roster.keys:
            raise LocalProtocolError("the roster has keys, so the identities must be given")
        now = 0 if host is None else int(time.time())
        identities = Identities.drawn(
            session.plan, rng, measure_installed().value, now, session.model_digest
        )
        session = replace(session, roster=identities.roster)
    if host is not None and identities is not None:
        identities = identities.trusting(host.ready.root)
    faults, plan, ledgers = faults or Faults(), session.plan, ledgers or {}
    witnesses = witnesses or {}
    strangers = {*inputs, *faults.lost, *faults.kills, *ledgers, *witnesses} - session.members
    strangers |= {party for party in (*inputs, *ledgers) if party.role is not Role.CLIENT}
    if strangers:
        raise LocalProtocolError(
            "faults concern the session's parties, inputs and ledgers its clients, got"
            f" {sorted(strangers)}"
        )
    seats = [
        Seat(
            protocol,
            session,
            party,
            StreamRng(rng.bytes(SEED_BYTES)),
            policy or ClientPolicy.accepting(plan, session.roster),
            faults.lost.get(party),
            set(faults.kills.get(party, ())),
            None if identities is None else identities.of.get(party),
            host if party.role in protocol.isolated else None,
            ledgers.get(party),
            witnesses.get(party),
        )
        for party in plan.parties
    ]
    beacon = None if identities is None else identities.beacon
    return Driver(seats, inputs, faults, schedule, transcript, beacon=beacon).run()


class Driver:
    """The parties that live in this process, and everything that happens to them.

    Args:
        seats: of the parties.
        inputs: each client's vector; asked for when it is given.
        faults: what goes wrong.
        schedule: the order in which things happen; by default as sent.
        observer: who is told of every message at its recipient.
        elsewhere: where messages go whose recipient does not live here.
        beacon: SIMULATED, for parties that want to know what it says. A round passes whenever
            somebody waits for one.
        late: whether inputs are given one by one, when nothing else is left to do and their client
            can go no further without: then no more than one waits in memory.
    """

    def __init__(
        self,
        seats: Iterable[Seat],
        inputs: Mapping[PartyId, RingVector],
        faults: Faults | None = None,
        schedule: Schedule | None = None,
        observer: Observer | None = None,
        *,
        elsewhere: Elsewhere | None = None,
        beacon: SimulatedBeacon | None = None,
        late: bool = False,
    ) -> None:
        self._seats = {seat.me: seat for seat in seats}
        self._inputs = inputs
        self._faults = faults or Faults()
        self._schedule = schedule or InOrder()
        self._observer = observer
        self._elsewhere = elsewhere
        self._beacon = beacon
        self._beacon_round = 1
        self._began = time.monotonic()
        self._outcome = Outcome()
        self._steps = 0
        self._parked: dict[PartyId, list[_Action]] = {}
        self._pending: deque[_Action] = deque(_Start(party) for party in self._seats)
        self._pending += [_Give(party) for party in inputs if not late]
        self._late = {party: self._seats[party].last_input_phase for party in inputs if late}
        self._hungry: deque[PartyId] = deque()

    def run(self) -> Outcome:
        """Everything, to the end."""
        while (action := self._next_action()) is not None:
            self._do(action)
        return self.outcome()

    def step(self) -> bool:
        """Let the oldest thing happen that is not a deadline; False if there is none."""
        self._feed()
        if not self._pending:
            return False
        self._do(self._pending.popleft())
        return True

    def deliver(self, sender: PartyId, recipient: PartyId, frame: Frame) -> None:
        """A message from elsewhere.

        Raises:
            LocalProtocolError: its recipient does not live here.
        """
        if recipient not in self._seats:
            raise LocalProtocolError(f"{recipient} does not live here")
        self._pending.append(_Deliver(recipient, sender, frame))

    @property
    def busy(self) -> bool:
        """Whether there is anything to do before a deadline passes."""
        return bool(self._pending or self._hungry)

    @property
    def waiting(self) -> list[Seat]:
        """Those to whom a deadline means anything; whose passes first comes first."""
        return sorted((seat for seat in self._seats.values() if seat.waiting), key=_patience)

    def expire(self, seats: Iterable[Seat]) -> None:
        """Let the deadlines of these pass, in the phases in which they are now."""
        self._pending += [_Expire(seat.me, seat.party.phase) for seat in seats]

    def outcome(self) -> Outcome:
        """What it came to."""
        for party, seat in self._seats.items():
            seat.report.phase = seat.phase
            self._outcome.parties[party] = seat.report
        if self._outcome.total is None and self._outcome.failure is None:
            reports = [
                seat.report for party, seat in self._seats.items() if party.role is not Role.CLIENT
            ]
            self._outcome.failure = next((r.failure for r in reports if r.failure), None)
        return self._outcome

    def _do(self, action: _Action) -> None:
        seat = self._seats[action.who]
        if seat.gone:
            return
        try:
            self._perform(seat, action)
        except Killed:
            self._pending.appendleft(action)
            self._revive(seat)

    def _feed(self) -> None:
        if not self._pending and self._hungry:
            self._pending.append(_Give(self._hungry.popleft()))

    def _revive(self, seat: Seat) -> None:
        while not seat.gone:
            seat.restore()
            try:
                self._carry_out(seat, seat.resume())
                return
            except Killed:
                continue

    def _next_action(self) -> _Action | None:
        self._feed()
        if self._pending and isinstance(self._schedule, InOrder):
            return self._pending.popleft()
        waiting = self.waiting
        if not self._pending and not waiting:
            return None
        choice = self._schedule.next(len(self._pending), len(waiting))
        if choice < len(self._pending):
            action = self._pending[choice]
            del self._pending[choice]
            return action
        seat = waiting[choice - len(self._pending)]
        return _Expire(seat.me, seat.party.phase)

    def _perform(self, seat: Seat, action: _Action) -> None:
        match action:
            case _Start():
                self._carry_out(seat, seat.start())
                seat.started = True
                self._settle(seat)
            case _Give():
                self._offer(seat, action, Input(self._inputs[seat.me]), seat.me)
            case _Expire(phase=phase):
                self._offer(seat, action, Deadline(phase), seat.me)
            case _Read():
                self._read_beacon(seat, action)
            case _Deliver(frame=frame):
                self._deliver(seat, action, frame)

    def _deliver(self, seat: Seat, action: _Deliver, frame: Frame) -> None:
        phase = seat.party.phase
        try:
            with seat.on_the_clock():
                message = seat.party.open(frame, action.sender)
        except (DecodeError, WrongSession, UnknownParty) as error:
            seat.report.received += frame.size
            seat.report.refused.append(error)
            self._note(seat, action, "?", phase, "refused")
            return
        fate = self._offer(seat, action, message, action.sender)
        if fate != "early":
            seat.report.received += frame.size
            seat.report.late += fate == "late"
            known: Fate = "late" if fate == "late" else "delivered"
            self._note(seat, action, type(message).__name__, phase, known)

    def _offer(self, seat: Seat, action: _Action, event: Event, sender: PartyId) -> str:
        with seat.on_the_clock():
            fate = seat.party.when(event, sender) if seat.started else "early"
        if fate == "early":
            self._parked.setdefault(seat.me, []).append(action)
        elif fate == "now":
            self._carry_out(seat, seat.handle(event, sender))
            self._settle(seat)
        return fate

    def _read_beacon(self, seat: Seat, action: _Action) -> None:
        party, beacon = seat.party, self._beacon
        if beacon is None:
            return
        if party.wants(BeaconHead):
            self._offer(seat, action, BeaconHead(self._beacon_round), seat.me)
        elif party.wants(BeaconValue):
            number = party.beacon_round
            self._beacon_round = max(self._beacon_round, number)
            self._offer(seat, action, BeaconValue(number, beacon.value(number)), seat.me)

    def _settle(self, seat: Seat) -> None:
        self._steps += 1
        if seat.party.wants(BeaconHead) or seat.party.wants(BeaconValue):
            self._pending.append(_Read(seat.me))
        seat.note_phase(self._steps)
        self._pending.extendleft(reversed(self._parked.pop(seat.me, [])))
        if self._late.get(seat.me) == seat.party.phase:
            del self._late[seat.me]
            self._hungry.append(seat.me)

    def _carry_out(self, seat: Seat, effects: list[Effect]) -> None:
        seat.carry_out(effects, partial(self._act, seat))

    def _act(self, seat: Seat, effect: Effect) -> None:
        match effect:
            case Send():
                self._send(seat, effect)
            case Accuse(culprit=culprit, error=error):
                self._outcome.accused.append((culprit, error))
            case Done(total=total, included=included) if total is not None:
                self._outcome.total, self._outcome.included = total, included
            case Fail(error=RoundFailed() as error):
                self._outcome.error = error
            case Fail(error=RemoteProtocolError() as error):
                self._outcome.accused.append((error.culprit, error))

    def _send(self, seat: Seat, send: Send) -> None:
        report = seat.report
        if seat.lifetime is not None and report.messages >= seat.lifetime:
            seat.gone = True
            return
        with seat.on_the_clock():
            frame = seat.party.seal(send)
        report.messages += 1
        report.sent += frame.size
        if self._faults.tamper is not None:
            frame = self._faults.tamper(frame, seat.me, send.to)
        for _ in range(2 if self._faults.duplicate else 1):
            if self._elsewhere is not None and send.to not in self._seats:
                self._elsewhere(seat.me, send.to, frame)
            else:
                self._pending.append(_Deliver(send.to, seat.me, frame))

    def _note(self, seat: Seat, action: _Deliver, message: str, phase: str, fate: Fate) -> None:
        if self._observer is not None:
            self._observer.add(
                action.frame,
                seconds=time.monotonic() - self._began,
                sender=action.sender,
                recipient=seat.me,
                message=message,
                phase=phase,
                fate=fate,
            )


def _patience(seat: Seat) -> tuple[bool, int]:
    """Clients wait for the servers; of the servers, whoever has waited longest is next."""
    return seat.me.role is Role.CLIENT, seat.waits_since
