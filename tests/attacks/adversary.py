"""A network that the adversary runs: it sees every frame, and delays, replaces or adds some.

An attack uses message bytes, the server's state and the state of clients that it declares corrupt.
Nothing here reads a secret of an honest client; tests do, but only to compare at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from conformance.scenario import Scenario

from secagg import protocols
from secagg.protocol import (
    Accuse,
    ClientPolicy,
    Deadline,
    Done,
    Effect,
    Fail,
    Input,
    Party,
    Record,
    Remember,
    Send,
    Session,
)
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.messages import UnmaskRequest
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import SERVER, PartyId, RingVector, Rng, client
from secagg.wire import Envelope, Frame, Message

# A complete graph, and a ring in which clients have 8 neighbours and a threshold of 4.
MASKED: Final = (("secagg", 7), ("secagg_plus", 60))
TASK: Final = {"corrupt": "0.05", "dropout": "0.05"}


def scenario_of(name: str, count: int, seed: int = 1, **task: object) -> Scenario:
    """Clients with random inputs, one of twenty (at least one) planned corrupt, as many lost."""
    return Scenario(protocols.get(name), count, {**TASK, **task}, seed)


def plan_of(session: Session) -> MaskingPlan:
    assert isinstance(session.plan, MaskingPlan)
    return session.plan


@dataclass(frozen=True)
class Seen:
    """One frame on the network, and the message in it."""

    frame: Frame
    sender: PartyId
    recipient: PartyId
    message: Message


Relay: TypeAlias = Callable[[Seen], Message | None]


class Network:
    """All parties of a session, over a network in the adversary's hands.

    Args:
        scenario: protocol, session and inputs.
        relay: the message that arrives instead of the one sent; None holds it back.
        entropy: each party's generator; by default the scenario's one.

    Attributes:
        seen: every frame as it was sent.
        held: what was held back.
        late: what a party dropped as too late.
        records: what is in each party's durable memory.
        retained: all that a party ever gave to that memory: what a backup of the disk holds.
    """

    def __init__(
        self,
        scenario: Scenario,
        relay: Relay = lambda seen: seen.message,
        entropy: Callable[[PartyId], Rng] | None = None,
    ) -> None:
        self.scenario = scenario
        self.session = scenario.session
        self.relay = relay
        draw = entropy or (lambda who: scenario.rng)
        self.policy = ClientPolicy.accepting(scenario.plan)
        self.parties: dict[PartyId, Party] = {
            who: scenario.protocol.party(self.session, who, draw(who), self.policy)
            for who in scenario.plan.parties
        }
        self.seen: list[Seen] = []
        self.held: list[Seen] = []
        self.late: list[Seen] = []
        self.records: dict[PartyId, list[Record]] = {who: [] for who in self.parties}
        self.retained: dict[PartyId, list[Record]] = {who: [] for who in self.parties}
        self.effects: list[Effect] = []
        self.accused: list[Accuse] = []
        self.failures: dict[PartyId, Fail] = {}
        self.total: RingVector | None = None
        self.included: tuple[PartyId, ...] = ()
        self._queue: list[Seen] = []
        self._parked: list[Seen] = []

    def run(self) -> None:
        """Start everybody, give the inputs, deliver all there is to deliver."""
        for who, party in self.parties.items():
            self._act(who, party.start())
        for who, vector in self.scenario.inputs.items():
            self._act(who, self.parties[who].handle(Input(vector), who))
        self.pump()

    def deadline(self) -> None:
        """The server waits no longer."""
        phase = self.parties[SERVER].phase
        self._act(SERVER, self.parties[SERVER].handle(Deadline(phase), SERVER))
        self.pump()

    def finish(self) -> None:
        """Run, and let deadlines pass until the server has ended."""
        self.run()
        while not self.parties[SERVER].ended:
            self.deadline()

    def ask(self, holder: PartyId, included: Iterable[int]) -> Fail | None:
        """Ask one client about a set of survivors; its failure, if that is the answer."""
        bitmap = encode_bitmap(self.scenario.plan.task.clients, included)
        self.post(SERVER, holder, UnmaskRequest(bitmap))
        self.pump()
        return self.failures.get(holder)

    def post(self, sender: PartyId, recipient: PartyId, message: Message) -> None:
        """Put a message on the network in somebody's name."""
        table = self.parties[SERVER].table
        frame = table.encode(Envelope(self.session.id, sender, recipient, message))
        seen = Seen(frame, sender, recipient, message)
        self.seen.append(seen)
        self._queue.append(seen)

    def pump(self) -> None:
        """Deliver until nothing moves."""
        while self._queue:
            self._deliver(self._queue.pop(0))

    def client(self, number: int) -> MaskingClient:
        party = self.parties[client(number)]
        assert isinstance(party, MaskingClient)
        return party

    def _deliver(self, seen: Seen) -> None:
        party = self.parties[seen.recipient]
        message = party.open(seen.frame, seen.sender)
        fate = party.when(message, seen.sender)
        if fate == "late":
            self.late.append(seen)
        elif fate == "early":
            self._parked.append(seen)
        else:
            self._act(seen.recipient, party.handle(message, seen.sender))
            self._queue[:0], self._parked = self._parked, []

    def _act(self, who: PartyId, effects: list[Effect]) -> None:
        self.effects += effects
        for effect in effects:
            match effect:
                case Remember(record=record):
                    kept = Record(record.head, memoryview(bytes(record.tail)), record.final)
                    self.records[who] = [*([] if kept.final else self.records[who]), kept]
                    self.retained[who].append(kept)
                case Send(to=to, message=message):
                    self._send(Seen(self.parties[who].seal(effect), who, to, message))
                case Accuse():
                    self.accused.append(effect)
                case Fail():
                    self.failures[who] = effect
                case Done(total=total, included=included) if total is not None:
                    self.total, self.included = total, included

    def _send(self, seen: Seen) -> None:
        self.seen.append(seen)
        message = self.relay(seen)
        if message is None:
            self.held.append(seen)
            return
        frame = seen.frame
        if message is not seen.message:
            table = self.parties[SERVER].table
            frame = table.encode(Envelope(self.session.id, seen.sender, seen.recipient, message))
        self._queue.append(Seen(frame, seen.sender, seen.recipient, message))


def equal(first: RingVector, second: RingVector) -> bool:
    return first.dtype == second.dtype and bool(np.array_equal(first, second))
