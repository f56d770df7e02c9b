"""The steps of the masking protocols: one event of one party, with its messages as bytes.

A session is driven once and every party's inbox is kept. A party is deterministic, so for each
measurement it is made anew and handed its inbox up to the step. Some clients vanish after they have
dealt their shares, because that is what makes unmasking dear.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from secagg import protocols
from secagg.crypto.rng import StreamRng, seeded
from secagg.protocol import (
    ClientPolicy,
    Deadline,
    Done,
    Effect,
    Input,
    Party,
    Protocol,
    Send,
    Session,
    Task,
)
from secagg.types import SERVER, PartyId, RingVector, Role, client
from secagg.wire import Frame

CLIENTS = 100
LENGTH = 100_000
BOUND = (1 << 21) - 1
LOST = 10
SEED = 1
ROUNDS = 7
PROTOCOLS = ("secagg", "secagg_plus")

# The party, the event, and whether it is the first (0) or last (-1) of these in its inbox.
STEPS = {
    "client deals shares": (client(0), "KeyBook", 0),
    "client opens shares": (client(0), "ShareBundle", 0),
    "client masks": (client(0), "Input", 0),
    "client reveals shares": (client(0), "UnmaskRequest", 0),
    "server draws the graph": (SERVER, "AdvertiseKeys", -1),
    "server relays shares": (SERVER, "ShareKeys", -1),
    "server adds a vector": (SERVER, "MaskedVector", 0),
    "server unmasks": (SERVER, "UnmaskShares", -1),
}


class Arrival(NamedTuple):
    """What a party is handed, under the name of its event."""

    name: str
    sender: PartyId
    event: Frame | Input | Deadline


Outgoing: TypeAlias = list[tuple[Send, Frame]]


@dataclass
class Driven:
    """A session, driven to its end when made.

    Attributes:
        inboxes: what every party was handed, in order.
        total: the sum that came out.
    """

    protocol: Protocol
    session: Session
    inputs: dict[PartyId, RingVector]
    lost: frozenset[PartyId]
    inboxes: dict[PartyId, list[Arrival]] = field(default_factory=dict)
    total: RingVector | None = None

    def __post_init__(self) -> None:
        plan = self.session.plan
        parties = {me: self.fresh(me) for me in plan.parties}
        self.inboxes = {me: [] for me in plan.parties}
        waiting: deque[tuple[PartyId, Arrival]] = deque()
        for me, party in parties.items():
            waiting += self._posted(me, sent(party, party.start()))
        while self.total is None:
            if not waiting:
                phase = parties[SERVER].phase
                waiting.append((SERVER, Arrival("Deadline", SERVER, Deadline(phase))))
            me, arrival = waiting.popleft()
            party = parties[me]
            self.inboxes[me].append(arrival)
            effects = handed(party, arrival)
            for effect in effects:
                if isinstance(effect, Done) and effect.total is not None:
                    self.total = effect.total
            waiting += self._posted(me, sent(party, effects))
            if me.role is Role.CLIENT and arrival.name == "ShareBundle" and me not in self.lost:
                waiting.append((me, Arrival("Input", me, Input(self.inputs[me]))))

    def fresh(self, me: PartyId) -> Party:
        """A party that has not started."""
        rng = StreamRng(bytes([SEED, me.role]) + me.number.to_bytes(30, "big"))
        return self.protocol.party(self.session, me, rng, ClientPolicy.accepting(self.session.plan))

    def before(self, me: PartyId, name: str, which: int) -> tuple[Party, Arrival]:
        """The party as it was when it was handed the first (0) or last (-1) event of a name."""
        inbox = self.inboxes[me]
        place = [place for place, arrival in enumerate(inbox) if arrival.name == name][which]
        party = self.fresh(me)
        party.start()
        for arrival in inbox[:place]:
            handed(party, arrival)
        return party, inbox[place]

    @staticmethod
    def _posted(me: PartyId, outgoing: Outgoing) -> list[tuple[PartyId, Arrival]]:
        return [
            (send.to, Arrival(type(send.message).__name__, me, frame)) for send, frame in outgoing
        ]


def handed(party: Party, arrival: Arrival) -> list[Effect]:
    """Hand it over, opened if it is a message."""
    event = arrival.event
    if isinstance(event, Frame):
        return party.handle(party.open(event, arrival.sender), arrival.sender)
    return party.handle(event, party.me)


def sent(party: Party, effects: list[Effect]) -> Outgoing:
    """The messages among the effects, as bytes."""
    return [(effect, party.seal(effect)) for effect in effects if isinstance(effect, Send)]


@cache
def driven(name: str) -> Driven:
    protocol = protocols.get(name)
    parties = tuple(client(number) for number in range(CLIENTS))
    plan = protocol.plan(
        Task(clients=parties, length=LENGTH, bound=BOUND, dropout=Decimal(LOST) / CLIENTS)
    )
    generator = np.random.default_rng(SEED)
    values = {me: generator.integers(-BOUND, BOUND, LENGTH, endpoint=True) for me in parties}
    inputs = {
        me: (drawn.astype(np.uint64) & np.uint64(plan.ring.mask)).astype(plan.ring.dtype)
        for me, drawn in values.items()
    }
    session = Session.fresh(plan, seeded(SEED))
    lost = frozenset(parties[1 :: CLIENTS // LOST])
    found = Driven(protocol, session, inputs, lost)
    assert found.total is not None
    expected = np.sum([drawn for me, drawn in values.items() if me not in lost], axis=0)
    got = found.total.astype(np.int64)
    assert np.all((got - expected) & plan.ring.mask == 0)
    return found


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_step(benchmark: BenchmarkFixture, name: str, step: str) -> None:
    benchmark.group = f"{step}: {CLIENTS} clients, {LENGTH} elements, {LOST} lost"
    session = driven(name)

    def perform(party: Party, arrival: Arrival) -> Outgoing:
        return sent(party, handed(party, arrival))

    benchmark.pedantic(  # type: ignore[no-untyped-call]
        perform, setup=lambda: (session.before(*STEPS[step]), {}), rounds=ROUNDS, warmup_rounds=1
    )
