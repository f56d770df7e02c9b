"""What every conformance test starts from: a protocol, a cohort, inputs, and the sum to expect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from secagg import protocols
from secagg.attestation import measure_installed
from secagg.crypto.rng import seeded, uniform_below
from secagg.protocol import (
    Admission,
    ClientPolicy,
    Identities,
    Identity,
    Input,
    Level,
    Offering,
    Party,
    Protocol,
    Record,
    Send,
    Session,
    Task,
)
from secagg.runner import Faults, Outcome, Schedule, run
from secagg.transcript import Transcript
from secagg.types import PartyId, Ring, RingVector, Role, client
from secagg.wire import Message

BOUND = 1000
LENGTH = 17


@dataclass(frozen=True)
class Offered:
    """A protocol at one of its levels: what a conformance test is about."""

    protocol: Protocol
    level: Level

    @classmethod
    def named(cls, name: str) -> Offered:
        """The inverse of `str`."""
        protocol, level = name.split("-")
        return cls(protocols.get(protocol), Level(level))

    def __str__(self) -> str:
        return f"{self.protocol.name}-{self.level}"

    @property
    def offering(self) -> Offering:
        return self.protocol.at(self.level)

    @property
    def client_steps(self) -> int:
        """How many messages a client sends."""
        return sum(message.SENDER is Role.CLIENT for message in self.offering.messages)


@dataclass
class Scenario:
    """`count` clients with fixed inputs under one protocol."""

    offered: Protocol | Offered
    count: int
    task: dict[str, Any] = field(default_factory=dict)
    seed: int = 1

    def __post_init__(self) -> None:
        settings: dict[str, Any] = {"min_clients": 2, "corrupt": "0", "dropout": "0"}
        settings |= {"length": LENGTH, "bound": BOUND}
        if isinstance(self.offered, Offered):
            self.protocol = self.offered.protocol
            settings["level"] = self.offered.level
        else:
            self.protocol = self.offered
        settings |= self.task
        clients = tuple(client(number) for number in range(self.count))
        self.plan = self.protocol.plan(Task(clients=clients, **settings))
        self.rng = seeded(self.seed)
        self.identities = self._identities() if self.offering.identified else None
        roster = self.identities.roster if self.identities is not None else None
        self.session = Session.fresh(self.plan, self.rng, roster=roster)
        self.values = {party: self._draw() for party in clients}
        self.inputs = {party: to_ring(v, self.plan.ring) for party, v in self.values.items()}

    @property
    def offering(self) -> Offering:
        return self.protocol.at(self.plan.task.level)

    @property
    def collector(self) -> PartyId:
        """The party that releases the sum: the first that is no client."""
        return next(party for party in self.plan.parties if party.role is not Role.CLIENT)

    def _identities(self) -> Identities:
        return Identities.drawn(self.plan, self.rng, measure_installed().value)

    def identity(self, who: PartyId) -> Identity | None:
        """With the word of a ledger's keeper, as a party that is driven without one needs it."""
        own = None if self.identities is None else self.identities.of.get(who)
        if own is None or who.role is not Role.CLIENT:
            return own
        return replace(own, admission=Admission.to(self.session))

    def _draw(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        bound = self.plan.task.bound
        values = [
            uniform_below(self.rng, 2 * bound + 1) - bound for _ in range(self.plan.task.length)
        ]
        values[0], values[-1] = bound, -bound
        return np.array(values, dtype=np.int64)

    def run(
        self,
        faults: Faults | None = None,
        *,
        schedule: Schedule | None = None,
        transcript: Transcript | None = None,
    ) -> Outcome:
        return run(
            self.protocol,
            self.session,
            self.inputs,
            self.rng,
            faults,
            schedule=schedule,
            transcript=transcript,
            identities=self.identities,
        )

    def party(self, who: PartyId, policy: ClientPolicy | None = None) -> Party:
        return self.protocol.party(
            self.session,
            who,
            self.rng,
            policy or ClientPolicy.accepting(self.plan),
            self.identity(who),
        )

    def restore(self, who: PartyId, records: Sequence[Record]) -> Party:
        policy = ClientPolicy.accepting(self.plan)
        return self.protocol.restore(
            self.session, who, self.rng, policy, records, self.identity(who)
        )

    def first_words(self, listener: Party) -> tuple[Message, PartyId]:
        """Start everybody; the first message that this party is then sent, not yet handled.

        Whoever speaks unasked comes first; else client 0 is given what it waits for: the words of
        this party, then its input.
        """
        told = [e for e in listener.start() if isinstance(e, Send)]
        others = [self.party(who) for who in self.plan.parties if who != listener.me]
        for party in others:
            said = party.start()
            if party is others[0]:
                for send in told:
                    if send.to == party.me:
                        said += party.handle(send.message, listener.me)
            words = [e.message for e in said if isinstance(e, Send) and e.to == listener.me]
            if words:
                return words[0], party.me
        said = others[0].handle(Input(self.inputs[others[0].me]), others[0].me)
        words = [e.message for e in said if isinstance(e, Send) and e.to == listener.me]
        return words[0], others[0].me

    def expected(self, included: Iterable[PartyId]) -> RingVector:
        total = np.sum([self.values[party] for party in included], axis=0)
        return to_ring(total, self.plan.ring)

    def check(self, outcome: Outcome) -> None:
        """A sum is that of those it says it includes, up to the plan's stated error, if any."""
        if outcome.total is None:
            assert outcome.failure
            assert not outcome.included
            return
        assert list(outcome.included) == sorted(set(outcome.included))
        assert len(outcome.included) >= self.plan.minimum
        expected = self.expected(outcome.included)
        ring, allowed = self.plan.ring, self.plan.error_bound
        shifted = outcome.total + ring.dtype.type(allowed) - expected
        assert np.all((shifted & ring.dtype.type(ring.mask)) <= 2 * allowed)


def to_ring(values: np.ndarray[Any, Any], ring: Ring) -> RingVector:
    return (values.astype(np.uint64) & np.uint64(ring.mask)).astype(ring.dtype)


def chosen_names(pattern: str | None) -> list[str]:
    """The protocols to test at each of their levels: all, or those that the pattern names."""
    names = [name for name in protocols.names() if pattern is None or re.fullmatch(pattern, name)]
    return [
        str(Offered(protocols.get(name), level))
        for name in names
        for level in protocols.get(name).levels
    ]
