"""The server's side of one session, or that of another role that is no client."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from secagg.crypto.digest import DIGEST_BYTES
from secagg.crypto.rng import SystemRng
from secagg.endpoint.base import BeaconSource, Endpoint, bare, timer_for
from secagg.endpoint.history import tell
from secagg.endpoint.invitation import Invitation
from secagg.endpoint.records import RecordStore
from secagg.endpoint.timing import Deadlines
from secagg.errors import LocalProtocolError, ParameterError, SecaggError
from secagg.protocol import (
    BeaconValue,
    ClientPolicy,
    Done,
    Effect,
    Event,
    Identity,
    Party,
    Protocol,
    Remember,
    Roster,
    Session,
)
from secagg.record import Opening, Recorder
from secagg.types import SERVER, PartyId, Rng, Role

KEPT_REFUSALS: Final = 1000
"""How many refusals are kept, the newest; hostile peers must not fill the memory."""

REPEATS: Final = 16
"""How often one peer is sent again what it was sent last, because it repeats itself."""


@dataclass(frozen=True)
class Mean:
    """What a round came to.

    Attributes:
        values: the weighted mean of the clipped updates, in their shape: float64 of shape
            (length,), or a mapping of tensors with the types of the layout.
        weight: the sum of the weights.
        included: the clients in it, ascending.
    """

    values: Any
    weight: int
    included: tuple[PartyId, ...]


class Refusal(NamedTuple):
    """Something that a peer sent and that was not taken."""

    sender: PartyId
    error: SecaggError


class ServerEndpoint(Endpoint):
    """Collects updates and releases their mean, or fails with a reason.

    Attributes:
        refusals: of what peers sent, the newest `KEPT_REFUSALS`: undecodable, of another session,
            of strangers, against the rules. Under its own name: what its source said of a beacon
            that did not say it.
        refused: how many there were.
        opening: of the commitment to the sum in the public record, once there is a sum: for
            whoever is told it. None without a public record.
    """

    def __init__(
        self,
        invitation: Invitation,
        *,
        deadlines: Deadlines,
        records: RecordStore | None = None,
        public_record: Callable[[bytes], object] | None = None,
        roster: Roster | None = None,
        identity: Identity | None = None,
        beacon: BeaconSource | None = None,
        rng: Rng | None = None,
        me: PartyId = SERVER,
    ) -> None:
        """A fresh party, or the one that the records restore.

        Args:
            invitation: as it is sent to the clients.
            deadlines: seconds that are waited in each phase for those who have not answered.
            records: where a server that dies leaves what its successor needs, over the same
                invitation. Without, the session dies with it.
            public_record: takes the lines of the record for everybody, one in a call: the `write`
                of a file. At level `malicious` only. A server that is restored begins it anew. If
                the identity has a key, it signs the record's head. What it raises ends the session.
            roster: that was given to `Invitation.fresh`.
            identity: whom the server believes, where the protocol needs it.
            beacon: where the protocol reads one.
            rng: by default the system's.
            me: the server; or another role, such as a decryptor, in a process of its own.

        Raises:
            ParameterError: no deadline for a phase, no such protocol, a beacon or a roster is
                missing, records for a role that would leave its key there, or a public record of a
                session in which nothing is signed.
            PolicyError: another roster than the invitation's.
            LocalProtocolError: no such role in the session, or a client's; or a public record of a
                session that is over.
            LedgerError: the records cannot be relied on.
            DecodeError: they are not those of this session.
            UnavailableError: the protocol needs a package that is not installed.
        """
        protocol, session = invitation.agree(roster)
        if me.role is Role.CLIENT:
            raise LocalProtocolError(f"{me} is a client: ClientEndpoint")
        timer = timer_for(protocol, session, me, deadlines, beacon)
        if records is not None and me != SERVER:
            raise ParameterError(f"the records of {me} would hold its secret key: it keeps none")
        self._invitation = invitation
        self._records = records
        self._ring = session.plan.ring
        kept = () if records is None else records.load(session.id)
        self._restored = bool(kept)
        rng = rng if rng is not None else SystemRng()
        party = protocol.restore(
            session,
            me,
            rng,
            # Only clients have a policy to hold against a session.
            ClientPolicy(),
            kept,
            identity,
        )
        super().__init__(protocol, session, party, timer, beacon)
        self.refusals: deque[Refusal] = deque(maxlen=KEPT_REFUSALS)
        self.refused = 0
        self._repeats: Counter[PartyId] = Counter()
        self._mean: Mean | None = None
        self.opening: Opening | None = None
        self._recorder: Recorder | None = None
        if public_record is not None:
            key = None if identity is None else identity.key
            salt = rng.bytes(DIGEST_BYTES)
            self._recorder = Recorder(session, public_record, salt=salt, key=key)
            if kept:
                tell(self._recorder, partial(_fresh, protocol, session, me, identity), kept)

    def result(self) -> Mean:
        """The mean.

        Raises:
            SecaggError: there is none: `failure`; a `RoundFailed` unless a peer is to blame or the
                records could not be written.
            LocalProtocolError: it is not over, or this role is not told the sum.
        """
        if not self.done:
            raise LocalProtocolError(f"{self.me} is not done: it is in phase {self.phase}")
        if self.failure is not None:
            raise self.failure
        if self._mean is None:
            raise LocalProtocolError(f"{self.me} did its part and is not told the mean")
        return self._mean

    def _begin(self) -> list[Effect]:
        return self._party.resume() if self._restored else self._party.start()

    def _handle(self, event: Event, sender: PartyId) -> list[Effect]:
        try:
            effects = self._party.handle(event, sender)
        except LocalProtocolError as error:
            if not isinstance(event, BeaconValue):
                raise
            # A relay said what the beacon did not; nothing has changed, and another may be asked.
            self._refused(self.me, bare(error))
            return []
        if self._recorder is not None:
            self._recorder.happened(event, sender, effects)
        return effects

    def _fail(self, error: SecaggError) -> None:
        super()._fail(error)
        if self._recorder is not None:
            # The protocol's own reasons are in it by now; others may hold names of files.
            self._recorder.close(type(error).__name__)

    def _remember(self, effect: Remember) -> None:
        if self._records is not None:
            self._records.add(self._party.session.id, effect.record)

    def _refused(self, sender: PartyId, error: SecaggError) -> None:
        self.refused += 1
        self.refusals.append(Refusal(sender, error))

    def _late(self, sender: PartyId) -> None:
        # A client that was killed repeats itself, and what it missed meanwhile went to nobody.
        if sender in self._last and self._repeats[sender] < REPEATS:
            self._repeats[sender] += 1
            self._out.append(self._last[sender])

    def _finish(self, effect: Done) -> None:
        if effect.total is None:
            return
        if self._recorder is not None:
            self.opening = Opening(self._recorder.salt, effect.total)
        mean, weight = self._invitation.codec.decode(effect.total, self._ring)
        self._mean = Mean(self._invitation.shaped(mean), weight, effect.included)


def _fresh(
    protocol: Protocol, session: Session, me: PartyId, identity: Identity | None, rng: Rng
) -> Party:
    return protocol.party(session, me, rng, ClientPolicy(), identity)
