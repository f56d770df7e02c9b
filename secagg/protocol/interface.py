"""A protocol: how a task becomes a plan, and which state machine each role runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from secagg.errors import LocalProtocolError, ParameterError
from secagg.protocol.effects import Record
from secagg.protocol.guarantees import Guarantees, Level
from secagg.protocol.identity import Identity
from secagg.protocol.party import Party
from secagg.protocol.task import ClientPolicy, Plan, Session, Task
from secagg.types import PartyId, Rng, Role
from secagg.wire import Message, MessageTable


class Traffic(NamedTuple):
    """Bytes that one client sends and receives in a round in which nobody drops out."""

    up: int
    down: int


class Protocol(ABC):
    """One way to aggregate. A module in secagg.protocols defines one and names it PROTOCOL.

    Attributes:
        name: the name of the module.
        title: one line for tables.
        version: of the wire messages; part of every plan.
        levels: what is promised at each level offered.
        roles: the state machine of each role.
        traffic_formula: the formula behind `traffic`, in words, for documents.
        identified: whether parties bring an `Identity`, and the roster their keys.
        isolated: roles that a driver should run in a process of their own.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int]
    levels: ClassVar[Mapping[Level, Guarantees]]
    roles: ClassVar[Mapping[Role, type[Party]]]
    traffic_formula: ClassVar[str]
    identified: ClassVar[bool] = False
    isolated: ClassVar[frozenset[Role]] = frozenset()

    @abstractmethod
    def plan(self, task: Task) -> Plan:
        """The parameters for a task. Deterministic.

        Raises:
            ParameterError: no safe parameters; the message says which bound failed.
        """

    @abstractmethod
    def traffic(self, plan: Plan) -> Traffic:
        """A client's bytes in a round without dropouts. The conformance suite holds it to this."""

    @property
    def messages(self) -> tuple[type[Message], ...]:
        """All messages, by kind."""
        return self.table.messages

    @property
    def table(self) -> MessageTable:
        """The encoder and decoder of the protocol's messages."""
        return next(iter(self.roles.values())).table

    def guarantees(self, level: Level) -> Guarantees:
        """What is promised at this level.

        Raises:
            ParameterError: the level is not offered.
        """
        try:
            return self.levels[level]
        except KeyError:
            offered = ", ".join(self.levels)
            raise ParameterError(f"{self.name} offers level {offered}; got {level}") from None

    def party(
        self,
        session: Session,
        me: PartyId,
        rng: Rng,
        policy: ClientPolicy,
        identity: Identity | None = None,
    ) -> Party:
        """A party ready to start. It has checked the plan, a client also against its own policy.

        Raises:
            ParameterError: the plan is not the one that this protocol derives from the task.
            PolicyError: the plan offers a client less than its policy demands.
            LocalProtocolError: `me` has no part in this session.
        """
        plan = session.plan
        if me not in session.members or me.role not in self.roles:
            raise LocalProtocolError(f"{me} has no part in this session")
        guarantees = self.guarantees(plan.task.level)
        if self.plan(plan.task) != plan:
            raise ParameterError(
                f"the plan is not what {self.name} derives from its task: {plan.describe()}"
            )
        if me.role is Role.CLIENT:
            policy.admit(plan, guarantees)
        if not self.identified:
            return self.roles[me.role](session, me, rng)
        if identity is None:
            raise LocalProtocolError(f"{self.name} needs an identity for {me}")
        return self.identified_party(session, me, rng, identity)

    def identified_party(
        self, session: Session, me: PartyId, rng: Rng, identity: Identity
    ) -> Party:
        """The party with its own side. Protocols that are `identified` define this.

        Raises:
            ParameterError: the identity is not what this role needs, or not the roster's.
        """
        raise LocalProtocolError(f"{self.name} is identified and does not say how: {me}")

    def restore(
        self,
        session: Session,
        me: PartyId,
        rng: Rng,
        policy: ClientPolicy,
        records: Sequence[Record],
        identity: Identity | None = None,
    ) -> Party:
        """A party as it was when it remembered the last of `records`.

        Given the event of that record again it answers with the same bytes; without records it is
        a fresh party.

        Raises:
            LocalProtocolError: this role is declared not restorable.
            DecodeError: not the records of this party, in order.
        """
        party = self.party(session, me, rng, policy, identity)
        if records and not party.restorable:
            raise LocalProtocolError(f"{me} keeps its state in memory only and is lost")
        party.restore(records)
        return party
