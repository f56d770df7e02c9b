"""A protocol: how a task becomes a plan, and which state machine each role runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import msgspec

from secagg.errors import LocalProtocolError, ParameterError, PolicyError
from secagg.protocol.effects import Record
from secagg.protocol.guarantees import Adversary, Guarantees, Level
from secagg.protocol.identity import Admission, Identity
from secagg.protocol.party import Party
from secagg.protocol.policy import ClientPolicy
from secagg.protocol.task import Plan, Session, Task
from secagg.types import PartyId, Rng, Role
from secagg.wire import Message, MessageTable


class Traffic(NamedTuple):
    """Bytes that one client sends and receives in a round in which nobody drops out."""

    up: int
    down: int


@dataclass(frozen=True)
class Offering:
    """A protocol at one level.

    Attributes:
        guarantees: what is promised.
        roles: the state machine of each role.
        traffic_formula: the formula behind `Protocol.traffic`, in words, for documents.
        identified: whether parties bring an `Identity`, and the roster their keys.
    """

    guarantees: Guarantees
    roles: Mapping[Role, type[Party]]
    traffic_formula: str
    identified: bool = False

    @property
    def table(self) -> MessageTable:
        """The encoder and decoder of the messages."""
        return next(iter(self.roles.values())).table

    @property
    def messages(self) -> tuple[type[Message], ...]:
        """All messages; a client's in the order in which it sends them."""
        return self.table.messages


class Protocol(ABC):
    """One way to aggregate. A module in secagg.protocols defines one and names it PROTOCOL.

    Attributes:
        name: the name of the module.
        title: one line for tables.
        version: of the wire messages; part of every plan.
        levels: what is offered, by level.
        isolated: roles that a driver should run in a process of their own.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int]
    levels: ClassVar[Mapping[Level, Offering]]
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

    def at(self, level: Level) -> Offering:
        """What is offered at this level.

        Raises:
            ParameterError: the level is not offered.
        """
        try:
            return self.levels[level]
        except KeyError:
            offered = ", ".join(self.levels)
            raise ParameterError(f"{self.name} offers level {offered}; got {level}") from None

    def guarantees(self, level: Level) -> Guarantees:
        """What is promised at this level.

        Raises:
            ParameterError: the level is not offered.
        """
        return self.at(level).guarantees

    def party(
        self,
        session: Session,
        me: PartyId,
        rng: Rng,
        policy: ClientPolicy,
        identity: Identity | None = None,
    ) -> Party:
        """A party ready to start. It has checked the plan by deriving it again from the task.

        A client has also checked plan and roster against its own policy, the model against what
        it received itself, and, where a lying server is withstood, that somebody keeps a ledger
        for it in which this session is open. The last is a guard against a driver's mistake, not
        against the driver, who can write any admission. How many sessions of a training round may
        be opened is the ledger's to count (`ClientPolicy.admit_session`).

        Raises:
            PolicyError: the plan is not the one that this protocol derives from the task, or the
                session offers a client less than its policy demands.
            ModelMismatch: a client was given another model than the session's.
            ParameterError: the protocol does not offer the task's level, or derives no plan.
            LocalProtocolError: `me` has no part in this session, a client that is to withstand a
                lying server does not say which model it received or has no admission, or a
                client's admission is to another session.
        """
        plan = session.plan
        offering = self.at(plan.task.level)
        if me not in session.members:
            raise LocalProtocolError(f"{me} has no part in this session")
        guarantees = offering.guarantees
        _check_derived(self.plan(plan.task), plan)
        if me.role is Role.CLIENT:
            policy.admit(plan, guarantees)
            policy.admit_roster(session.roster)
            _check_model(session, identity, guarantees)
            _check_admission(session, identity, guarantees)
        if not offering.identified:
            return offering.roles[me.role](session, me, rng)
        if identity is None and me.role is Role.CLIENT:
            raise LocalProtocolError(f"{self.name} needs an identity for {me}")
        return self.identified_party(session, me, rng, identity or Identity())

    def identified_party(
        self, session: Session, me: PartyId, rng: Rng, identity: Identity
    ) -> Party:
        """The party with its own side. Protocols with an `identified` level define this.

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


def _check_derived(derived: Plan, offered: Plan) -> None:
    """The whole plan follows from its task; nothing in it is the server's to choose."""
    if derived == offered:
        return
    if type(derived) is not type(offered):
        raise PolicyError(
            "plan",
            f"a {type(derived).__name__}, which {derived.protocol} derives,",
            f"a {type(offered).__name__}",
        )
    ours, theirs = msgspec.structs.asdict(derived), msgspec.structs.asdict(offered)
    field = next(name for name, value in ours.items() if theirs[name] != value)
    raise PolicyError(
        field, f"what {derived.protocol} derives from the task, {ours[field]},", theirs[field]
    )


def _check_model(session: Session, identity: Identity | None, promised: Guarantees) -> None:
    own = identity.model_digest if identity is not None else None
    if own is not None:
        session.check_model(own)
    elif promised.adversary.at_least(Adversary.LYING_SERVER):
        raise LocalProtocolError(
            "against a lying server a client brings the digest of the model that it received: the"
            " session's word is the server's"
        )


def _check_admission(session: Session, identity: Identity | None, promised: Guarantees) -> None:
    fitting = Admission.to(session)
    own = identity.admission if identity is not None else None
    if own is not None and own != fitting:
        raise LocalProtocolError(f"expected an admission to {fitting}, got one to {own}")
    if own is None and promised.adversary.at_least(Adversary.LYING_SERVER):
        raise LocalProtocolError(
            "against a lying server a client answers only what its ledger has opened: open"
            f" {fitting} in one (secagg.ledger.Keeper)"
        )
