"""Between a party and its driver: first the ledger remembers, then the driver may act."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from secagg.errors import LocalProtocolError
from secagg.ledger.entries import Owner
from secagg.ledger.ledger import Ledger
from secagg.protocol import (
    Admission,
    ClientPolicy,
    Effect,
    Event,
    Identity,
    Party,
    Protocol,
    Record,
    Remember,
    Session,
)
from secagg.types import PartyId, Rng


class Keeper:
    """One party of one session, and the ledger that remembers for it.

    A driver calls `begin` once, `handle` for every event that `party.when` calls "now", and carries
    out what they return, in order. Nothing that they return still has to be remembered. After each
    it asks `party.wants`, and reads the public beacon if that says so.

    Attributes:
        party: for `when`, `wants`, `open`, `resume` and `seal`; its events go through `handle`.
    """

    def __init__(
        self,
        ledger: Ledger,
        protocol: Protocol,
        session: Session,
        me: PartyId,
        rng: Rng,
        policy: ClientPolicy,
        identity: Identity | None = None,
    ) -> None:
        """A fresh party whose session is opened here, or the one that the ledger restores.

        An admission in the identity is not looked at: this is the place where they are made.

        Raises:
            SessionRefused: the ledger's rules forbid this session, or it was given up.
            SessionLost: it was opened, and its key or a record is gone.
            LedgerCorrupt: a record is not the one stored.
            LocalProtocolError: another owner's ledger, or a role that keeps no memory.
            PolicyError: as `Protocol.party`, or the policy allows no more sessions in this training
                round; nothing was opened.
            ModelMismatch, ParameterError: as `Protocol.party`; nothing was opened.
        """
        owner = Owner.of(session, me)
        if ledger.owner != owner:
            raise LocalProtocolError(f"expected the ledger of {owner}, got that of {ledger.owner}")
        self._ledger = ledger
        self._session = session.id
        identity = replace(identity or Identity(), admission=Admission.to(session))
        # The fresh party checks everything before anything is written. It has not said a word when
        # its session is opened below, and is no more if that fails: so its admission holds.
        self.party: Party = protocol.party(session, me, rng, policy, identity)
        if not self.party.restorable:
            raise LocalProtocolError(f"{me} keeps its state in memory only: a ledger cannot help")
        self._restored = False
        if not ledger.knows(session.id):
            # The smaller of two caps holds: the ledger has its own.
            policy.admit_session(session, ledger.opened(session.training_round))
            ledger.open_session(session.id, session.training_round)
        elif records := ledger.records(session.id):
            self.party = protocol.restore(session, me, rng, policy, records, identity)
            self._restored = True

    def begin(self) -> list[Effect]:
        """The first effects; of a restored party those of its last event, again and verbatim."""
        return self.party.resume() if self._restored else self._keep(self.party.start())

    def handle(self, event: Event, sender: PartyId) -> list[Effect]:
        """What follows from an event, once it is durable.

        Raises:
            LedgerError: it could not be made durable, or may not be: nothing may be sent, and the
                party is no more. Whoever can open the ledger again can make a new keeper.
        """
        return self._keep(self.party.handle(event, sender))

    def give_up(self) -> None:
        """End a session that will not go on: erase its key, and the party's.

        Raises:
            SessionRefused: it is over.
            LedgerUnavailable: it could not be written.
        """
        self.party.abandon()
        self._ledger.give_up(self._session)

    def remember(self, record: Record) -> None:
        """Make a record durable; a driver that simulates deaths may die here."""
        self._ledger.remember(self._session, record)

    def _keep(self, effects: Iterable[Effect]) -> list[Effect]:
        allowed: list[Effect] = []
        try:
            for effect in effects:
                if isinstance(effect, Remember):
                    self.remember(effect.record)
                else:
                    allowed.append(effect)
        except BaseException:
            self.party.abandon()
            raise
        return allowed
