"""A client's side of one session."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from secagg.crypto.rng import SystemRng
from secagg.endpoint.base import BeaconSource, Endpoint, timer_for
from secagg.endpoint.history import tell
from secagg.endpoint.invitation import Invitation
from secagg.endpoint.survivors import named_in
from secagg.endpoint.timing import Deadlines
from secagg.errors import (
    InputError,
    LocalProtocolError,
    RoundFailed,
    SecaggError,
    SessionRefused,
)
from secagg.ledger import Keeper, Ledger, Participation
from secagg.protocol import (
    Admission,
    ClientPolicy,
    Done,
    Effect,
    Event,
    Identity,
    Input,
    Party,
    Protocol,
    Roster,
    Send,
    Session,
)
from secagg.record import Receipt, ReceiptBook, is_recorded
from secagg.types import PartyId, RingVector, Rng, Role


class ClientEndpoint(Endpoint):
    """Gives one update to one session, or refuses before anything is sent.

    Attributes:
        saturated: coordinates of the update that were cut to the codec's clip.
    """

    def __init__(
        self,
        invitation: bytes,
        me: PartyId,
        update: Any,
        weight: int,
        *,
        model: bytes,
        configuration: bytes = b"",
        policy: ClientPolicy,
        patience: Deadlines,
        ledger: Ledger | None = None,
        participation: Participation | None = None,
        roster: Roster | None = None,
        identity: Identity | None = None,
        beacon: BeaconSource | None = None,
        rng: Rng | None = None,
    ) -> None:
        """Check everything that can be checked alone.

        With a ledger a client that was killed takes the session up again: made from the same
        invitation, it says what it said, or refuses. Its update may then be None if it is in the
        ledger, which it is before a second message goes out.

        Args:
            invitation: as the server sent it.
            me: this client.
            update: float32 of shape (length,), or a mapping of tensors as the invitation lays out.
            weight: 1 to the codec's largest; usually the number of examples.
            model: the bytes of the model as they were received.
            configuration: of the training, as it was received.
            policy: what this client demands.
            patience: seconds that it waits in each of its phases, the server's deadlines included.
            ledger: open, of this client and job. Level `malicious` needs one.
            participation: of this job: the sums that this client has helped to release. It helps
                with none that says something of a few clients beside these, `NearIdenticalCohort`.
                The caller stores it, before what a call returned is sent. With pairwise masking
                only: elsewhere a client is told too late, or never.
            roster: that this client verified itself; None for the clients that the server names.
            identity: the signing key, and whom this client trusts, where the protocol needs them.
                Model and admission are filled in here.
            beacon: where the protocol reads one.
            rng: by default the system's.

        Raises:
            DecodeError: not an invitation.
            PolicyError: it offers less than the policy demands, or another roster or plan.
            ModelMismatch: it is for another model, configuration or codec.
            InputError: no such update or weight can be given.
            ParameterError: what `Protocol.party` needs is missing; no such protocol or version.
            LocalProtocolError: no part in the session, or no ledger where one is needed.
            LedgerError: the ledger forbids this session, or cannot be relied on.
            UnavailableError: the protocol needs a package that is not installed.
        """
        offered = Invitation.decode(invitation)
        protocol, session = offered.agree(roster)
        if me.role is not Role.CLIENT:
            raise LocalProtocolError(f"{me} is no client: ServerEndpoint")
        timer = timer_for(protocol, session, me, patience, beacon)
        rng = rng if rng is not None else SystemRng()
        self.saturated = 0
        self._vector: RingVector | None = None
        if update is not None:
            flat, ring = offered.flattened(update), session.plan.ring
            self._vector, self.saturated = offered.codec.encode(flat, weight, ring, rng)
        elif ledger is None or not ledger.knows(session.id):
            raise InputError("expected an update, got None in a session that never started here")
        identity = replace(
            identity or Identity(), model_digest=offered.digest_of(model, configuration)
        )
        self._agreed, self._participation = session, participation
        self._keeper: Keeper | None = None
        known = ledger is not None and ledger.knows(session.id)
        if ledger is None:
            party = protocol.party(session, me, rng, policy, identity)
        else:
            self._keeper = Keeper(ledger, protocol, session, me, rng, policy, identity)
            party = self._keeper.party
        if self._vector is None and party.needs_input:
            raise InputError("expected an update, got None: this session started without one")
        super().__init__(protocol, session, party, timer, beacon)
        kept = ledger.records(session.id) if ledger is not None and known else ()
        self._key = identity.key
        self._book = ReceiptBook(session, me) if is_recorded(session) else None
        self._resumed = bool(kept)
        if kept and kept[-1].final:
            # Of a session that is over there is no receipt any more, and the last word still.
            self._book = None
        elif kept and self._book is not None:
            admitted = replace(identity, admission=Admission.to(session))
            tell(self._book, partial(_fresh, protocol, session, me, policy, admitted), kept)

    def receipt(self) -> Receipt:
        """What this client sent and was shown, signed by its key: for `secagg verify`.

        It holds nothing secret. Keep it where the server cannot reach it. There is one as well if
        the session failed here.

        Raises:
            LocalProtocolError: it is not over, nothing is signed in this protocol at this level, or
                the client was taken up again when it was over.
        """
        if not self.done:
            raise LocalProtocolError(f"{self.me} is not done: it is in phase {self.phase}")
        if self._book is None or self._key is None:
            raise LocalProtocolError(f"{self.me} kept nothing of which a receipt could be made")
        return self._book.receipt(self._key)

    @property
    def needs_update(self) -> bool:
        """Whether a client that is made again now would have to be given its update again."""
        return not self.done and (self._vector is not None or self._party.needs_input)

    def check(self) -> None:
        """Say that this client did its part. Whether the server has a mean it cannot know.

        Raises:
            SecaggError: it did not: `failure`.
            LocalProtocolError: it is not over.
        """
        if not self.done:
            raise LocalProtocolError(f"{self.me} is not done: it is in phase {self.phase}")
        if self.failure is not None:
            raise self.failure

    def give_up(self) -> None:
        """End here for good: nobody takes this session up again, and its keys are erased.

        Raises:
            LedgerError: the ledger could not write it down.
        """
        if self.done and self.failure is None:
            return
        self._fail(self.failure or RoundFailed(f"{self.me} gave up"))
        if self._keeper is not None:
            with suppress(SessionRefused):  # over already: its keys are gone
                self._keeper.give_up()

    def _begin(self) -> list[Effect]:
        vector, self._vector = self._vector, None
        if vector is not None and self._party.needs_input:
            self._waiting.append((Input(vector), self.me))
        effects = self._party.start() if self._keeper is None else self._keeper.begin()
        if self._book is not None and not self._resumed:
            self._book.happened(None, self.me, effects)
        return effects

    def _handle(self, event: Event, sender: PartyId) -> list[Effect]:
        handle = self._party.handle if self._keeper is None else self._keeper.handle
        record, taken = self._participation, named_in(event, self._agreed)
        if record is not None and taken is not None:
            record.check(taken)
        effects = handle(event, sender)
        said = any(isinstance(effect, Send) for effect in effects)
        if record is not None and taken is not None and said:
            record.add(taken)
        if self._book is not None:
            self._book.happened(event, sender, effects)
        return effects

    def _refused(self, sender: PartyId, error: SecaggError) -> None:
        # Its peers are servers: whatever one of them does wrong, this client says no more.
        self._fail(error)

    def _finish(self, effect: Done) -> None:
        pass


def _fresh(
    protocol: Protocol,
    session: Session,
    me: PartyId,
    policy: ClientPolicy,
    identity: Identity,
    rng: Rng,
) -> Party:
    return protocol.party(session, me, rng, policy, identity)
