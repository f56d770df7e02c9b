"""A network that the adversary runs: it sees every frame, and delays, replaces or adds some.

The parties are the same objects as everywhere else. Honest ones are handed out as `Honest`, which
only lets itself be driven; whoever is to be looked into is declared corrupt first. What honest
clients put in is kept here and compared with in one place, `secagg.audit.adversary.truth`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from secagg.audit.adversary.honest import Honest
from secagg.audit.adversary.seat import Disk, Seat
from secagg.errors import LedgerError, PolicyError, VerificationError
from secagg.protocol import (
    Accuse,
    BeaconHead,
    BeaconValue,
    ClientPolicy,
    Deadline,
    Done,
    Effect,
    Fail,
    Identities,
    Input,
    Party,
    Protocol,
    Send,
    Session,
)
from secagg.runner.seat import needs_ledger
from secagg.types import ENCLAVE, SERVER, PartyId, RingVector, Rng
from secagg.wire import Envelope, Frame, Message


@dataclass(frozen=True)
class Seen:
    """One frame on the network, and the message in it."""

    frame: Frame
    sender: PartyId
    recipient: PartyId
    message: Message


Relay: TypeAlias = Callable[[Seen], Message | None]


def as_sent(seen: Seen) -> Message:
    """The relay that changes nothing."""
    return seen.message


class Network:
    """The parties of a session, over a network in the adversary's hands.

    Args:
        protocol: of the session.
        session: what all agreed on.
        inputs: each client's vector. Nobody reads them from here but `truth`.
        rng: where the parties and their disks draw from.
        relay: the message that arrives instead of the one sent; None holds it back.
        identities: what parties bring along, where the level asks for it. Of their SIMULATED beacon
            a round passes when somebody waits for one.
        policy: of every client; by default they accept the plan, as its author would.
        entropy: each party's generator; by default `rng` for all.
        present: the parties that there are; by default all. What is sent to others is seen only.
        disks: of clients that were in earlier sessions of the job.
        shown: who is given another session than all the others.

    Attributes:
        seen: what crossed the network: of honest clients as they sent it, of the server and of
            the corrupt as it was delivered.
        held: what was held back.
        late: what a party dropped as too late.
        corrupted: who was declared corrupt.
        accused: all accusations.
        failures: of each party that failed, or that a ledger kept out, why.
        total: what the server released; None until then.
        included: over whom.
        disks: of the clients that keep ledgers.
        beacon_round: the newest of the SIMULATED beacon. Time passes when it is raised.
    """

    def __init__(
        self,
        protocol: Protocol,
        session: Session,
        inputs: Mapping[PartyId, RingVector],
        rng: Rng,
        relay: Relay = as_sent,
        *,
        identities: Identities | None = None,
        policy: ClientPolicy | None = None,
        entropy: Callable[[PartyId], Rng] | None = None,
        present: Collection[PartyId] | None = None,
        disks: Mapping[PartyId, Disk] | None = None,
        shown: Mapping[PartyId, Session] | None = None,
    ) -> None:
        self.protocol, self.session, self.plan = protocol, session, session.plan
        self.relay = relay
        self.seen: list[Seen] = []
        self.held: list[Seen] = []
        self.late: list[Seen] = []
        self.corrupted: set[PartyId] = set()
        self.accused: list[Accuse] = []
        self.failures: dict[PartyId, Fail] = {}
        self.total: RingVector | None = None
        self.included: tuple[PartyId, ...] = ()
        self.disks: dict[PartyId, Disk] = dict(disks or {})
        self._inputs = dict(inputs)
        self._queue: list[Seen] = []
        self._parked: list[Seen] = []
        self._seats: dict[PartyId, Seat] = {}
        self._beacon = identities.beacon if identities is not None else None
        self.beacon_round = 1
        self._table = protocol.at(session.plan.task.level).table
        policy = policy or ClientPolicy.accepting(session.plan, session.roster)
        draw = entropy or (lambda who: rng)
        for who in session.plan.parties if present is None else present:
            own = (shown or {}).get(who, session)
            if needs_ledger(protocol, own, who) and who not in self.disks:
                self.disks[who] = Disk(own, who, rng)
            identity = identities.of.get(who) if identities is not None else None
            try:
                self._seats[who] = Seat(
                    protocol, own, who, draw(who), policy, identity, self.disks.get(who)
                )
            except LedgerError as error:
                self.failures[who] = Fail(str(error), error)
            except PolicyError as error:
                # The one field that says how often, not what.
                if error.field != "sessions_per_round":
                    raise
                self.failures[who] = Fail(str(error), error)

    @property
    def parties(self) -> dict[PartyId, Honest]:
        """Everybody who is there, to be driven."""
        return {who: Honest(seat) for who, seat in self._seats.items()}

    @property
    def clients(self) -> tuple[PartyId, ...]:
        """The plan's clients."""
        return self.plan.task.clients

    def corrupt(self, who: PartyId) -> Party:
        """A party itself, with all that it knows, from now on declared corrupt."""
        self.corrupted.add(who)
        return self._seats[who].party

    def begin(self) -> None:
        """Start everybody and give the inputs to those who still take one."""
        for who, seat in self._seats.items():
            self._act(who, seat.start())
        for who, vector in self._inputs.items():
            taker, event = self._seats.get(who), Input(vector)
            if taker is not None and taker.party.when(event, who) == "now":
                self._act(who, taker.handle(event, who))

    def run(self) -> None:
        """Begin, and deliver all there is to deliver."""
        self.begin()
        self.pump()

    @property
    def collector(self) -> PartyId:
        """Who waits for the clients' vectors: the server, or the enclave."""
        return SERVER if SERVER in self._seats else ENCLAVE

    def deadline(self) -> None:
        """The collector waits no longer."""
        who = self.collector
        seat = self._seats[who]
        self._act(who, seat.handle(Deadline(seat.party.phase), who))
        self.pump()

    def finish(self) -> None:
        """Run, and let deadlines pass until the collector has ended."""
        self.run()
        while not self._seats[self.collector].party.ended:
            self.deadline()

    def post(self, sender: PartyId, recipient: PartyId, message: Message) -> None:
        """Put a message on the network in somebody's name."""
        seen = Seen(self.frame(sender, recipient, message), sender, recipient, message)
        self.seen.append(seen)
        self._queue.append(seen)

    def tell(self, recipient: PartyId, message: Message) -> Fail | None:
        """Send a message in the server's name and see what comes of it: the recipient's failure."""
        self.post(SERVER, recipient, message)
        self.pump()
        return self.failures.get(recipient)

    def release(self) -> None:
        """Deliver what was held back."""
        held, self.held = self.held, []
        for seen in held:
            self.post(seen.sender, seen.recipient, seen.message)
        self.pump()

    def pump(self) -> None:
        """Deliver until nothing moves."""
        while self._queue:
            self._deliver(self._queue.pop(0))

    def restart(self, who: PartyId, back: int = 0) -> None:
        """Kill a party and restore it from its own memory.

        Args:
            who: is killed.
            back: its memory is put back as it was before this many of its last events, by
                whoever can write to its disk.
        """
        self._act(who, self._seats[who].restart(back))

    def close(self) -> None:
        """End the session: the disks can be used in another."""
        for seat in self._seats.values():
            seat.close()

    def beacon(self, number: int) -> bytes:
        """What the public beacon said in a round, as everybody knows once it has come.

        Raises:
            VerificationError: it is still to come, or there is no beacon.
        """
        if self._beacon is None or number > self.beacon_round:
            raise VerificationError(f"nobody knows round {number} of the beacon yet")
        return self._beacon.value(number)

    def frame(self, sender: PartyId, recipient: PartyId, message: Message) -> Frame:
        """The frame of a message of this session."""
        return self._table.encode(Envelope(self.session.id, sender, recipient, message))

    def said(self, who: PartyId) -> Iterator[Message]:
        """All messages that somebody sent."""
        return (seen.message for seen in self.seen if seen.sender == who)

    def told(self, who: PartyId) -> Iterator[Message]:
        """All messages that somebody was sent."""
        return (seen.message for seen in self.seen if seen.recipient == who)

    def _deliver(self, seen: Seen) -> None:
        seat = self._seats.get(seen.recipient)
        if seat is None:
            return
        message = seat.party.open(seen.frame, seen.sender)
        fate = seat.party.when(message, seen.sender)
        if fate == "late":
            self.late.append(seen)
        elif fate == "early":
            self._parked.append(seen)
        else:
            try:
                effects = seat.handle(message, seen.sender)
            except LedgerError as error:
                self.failures[seen.recipient] = Fail(str(error), error)
            else:
                self._act(seen.recipient, effects)
            self._queue[:0], self._parked = self._parked, []

    def _act(self, who: PartyId, effects: list[Effect]) -> None:
        self._carry_out(who, effects)
        seat, beacon = self._seats[who], self._beacon
        if seat.party.wants(BeaconHead):
            self._act(who, seat.handle(BeaconHead(self.beacon_round), who))
        elif seat.party.wants(BeaconValue) and beacon is not None:
            number = seat.party.beacon_round
            self.beacon_round = max(self.beacon_round, number)
            self._act(who, seat.handle(BeaconValue(number, beacon.value(number)), who))

    def _carry_out(self, who: PartyId, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(to=to, message=message):
                    self._send(Seen(self._seats[who].party.seal(effect), who, to, message))
                case Accuse():
                    self.accused.append(effect)
                case Fail():
                    self.failures[who] = effect
                case Done(total=total, included=included) if total is not None:
                    self.total, self.included = total, included

    def _send(self, seen: Seen) -> None:
        message = self.relay(seen)
        if message is None:
            self.held.append(seen)
            if seen.sender in self.clients and seen.sender not in self.corrupted:
                self.seen.append(seen)
            return
        arrives = seen
        if message is not seen.message:
            frame = self.frame(seen.sender, seen.recipient, message)
            arrives = Seen(frame, seen.sender, seen.recipient, message)
        honest = seen.sender in self.clients and seen.sender not in self.corrupted
        self.seen.append(seen if honest else arrives)
        self._queue.append(arrives)
