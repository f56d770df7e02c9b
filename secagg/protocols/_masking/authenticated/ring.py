"""Level `malicious` on the sparse graph: nobody chooses the graph. EXPERIMENTAL, by a proof sketch.

Between the keys and the graph there is one more exchange. The server shows the root over all keys
and names a round of a public beacon; a client signs both if that round is still to come by its own
reading of the beacon, and signs no other. The graph is drawn from the root and what the beacon
then says, so that a server which fixed the keys could not know the graph, and one that knows the
graph can change nothing in it. Everything else is as on the complete graph, with a quorum in each
neighbourhood; the degree and the threshold are those that leave no window to cut the ring at
(`_masking.parameters`, server "malicious").

A client relies on its own signature only, which is why no client checks another's: whoever was
shown another root, or another round, has another graph and another transcript, and nothing that
it deals can be opened here. Decision 26 says what remains of that.
"""

from __future__ import annotations

from typing import Final

from secagg.crypto.merkle import padded_count, path_size, root_of_path
from secagg.errors import (
    BeaconPassed,
    InconsistentCohort,
    LocalProtocolError,
    RemoteProtocolError,
    VerificationError,
)
from secagg.protocol import (
    Beacon,
    BeaconHead,
    BeaconValue,
    Deadline,
    Effects,
    Fail,
    Send,
    Session,
    on,
)
from secagg.protocols._masking import checks
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.messages import (
    RING_TABLE,
    ROUND_BYTES,
    CohortRoot,
    CohortSignature,
    SignedKeyBook,
)
from secagg.protocols._masking.authenticated.server import AuthenticatedServer
from secagg.types import SERVER, PartyId, Rng, client

READING_LAG: Final = 1
"""Rounds by which a client's reading of the beacon may be behind.

The newest round that a relay tells of is not always the newest that somebody knows.
"""

ROUNDS_AHEAD: Final = READING_LAG + 2
"""The round that the server names, counted from its own reading.

Clients that read what it read can sign until two more rounds have come: for a whole period.
"""


class RingClient(AuthenticatedClient):
    """commit: knows the root, wants the beacon's newest round; draw: root signed; then as above.

    Attributes:
        beacon: which this client believes.
    """

    phases = ("advertise", "commit", "draw", "share", "mask", "agree", "unmask")
    silent = frozenset({"draw"})
    table = RING_TABLE
    beacon: Beacon

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._cohort_root = b""
        self._beacon_round = b""

    @property
    def beacon_round(self) -> int:
        """The round from which the graph will be drawn."""
        return int.from_bytes(self._beacon_round, "little")

    @on(CohortRoot, "advertise")
    def take_root(self, message: CohortRoot, sender: PartyId) -> Effects:
        """Keep the root over the keys, mine among them."""
        members = sorted(checks.read_bitmap(self.plan, message.cohort, sender))
        checks.check_size(self.plan, members, sender)
        if self.me.number not in members:
            raise RemoteProtocolError(sender, "expected a cohort with me")
        place, count = members.index(self.me.number), padded_count(len(members))
        (path,) = checks.read_rows(message.path, path_size(0, count), 1, "an audit path", sender)
        if root_of_path(self._leaf, place, count, path) != message.cohort_root:
            raise InconsistentCohort(sender, "my keys are not under the cohort root")
        self._cohort, self._cohort_root = message.cohort, message.cohort_root
        self._beacon_round = message.beacon_round
        self.advance("commit")
        return ()

    @on(BeaconHead, "commit")
    def sign_root(self, event: BeaconHead, sender: PartyId) -> Effects:
        """Sign the root and the round, if that is certainly still to come.

        A round that is years ahead is as good as any other: nobody knows it. Waiting for it ends
        with the driver's patience, as waiting for a silent server does.
        """
        known = event.round + READING_LAG
        if self.beacon_round <= known:
            raise BeaconPassed(
                SERVER,
                f"expected a round of the beacon after {known}, which may have come, got"
                f" {self.beacon_round}",
            )
        statement = statements.cohort_statement(
            self.session.id, self.me, self._cohort, self._cohort_root, self._beacon_round
        )
        self.advance("draw")
        yield Send(SERVER, CohortSignature(self.signing_key.sign(statements.COHORT, statement)))

    @on(SignedKeyBook, "draw")
    def deal_shares(self, message: SignedKeyBook, sender: PartyId) -> Effects:
        """Round 1, on the graph that the beacon gives."""
        return super().deal_shares(message, sender)

    def _drawn_from(self, book: SignedKeyBook, sender: PartyId) -> bytes:
        """The seed of the graph, from the cohort that was signed and what the beacon said."""
        if (book.cohort, book.cohort_root) != (self._cohort, self._cohort_root):
            raise InconsistentCohort(sender, "expected the cohort that I signed, got another")
        try:
            self.beacon.check(self.beacon_round, book.beacon)
        except VerificationError as error:
            raise RemoteProtocolError(
                sender, f"round {self.beacon_round} of the beacon: {error}"
            ) from None
        return statements.graph_seed(
            self.session.id, self._cohort, self._cohort_root, self._beacon_round, book.beacon
        )


class RingServer(AuthenticatedServer):
    """commit: wants the beacon's newest round; sign: awaits signatures; draw: wants a value.

    Attributes:
        beacon: by which it judges what its driver read, so as not to be blamed for a relay.
    """

    phases = ("advertise", "commit", "sign", "draw", "share", "mask", "agree", "unmask")
    table = RING_TABLE
    beacon: Beacon

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._beacon_round = b""
        self._signed: set[int] = set()

    @property
    def beacon_round(self) -> int:
        """The round from which the graph will be drawn."""
        return int.from_bytes(self._beacon_round, "little")

    def _hand_out(self) -> Effects:
        if not self._fix_cohort():
            yield self._too_few_advertised()
            return
        self.advance("commit")

    @on(BeaconHead, "commit")
    def show_root(self, event: BeaconHead, sender: PartyId) -> Effects:
        """Name a round that is still to come."""
        self._beacon_round = (event.round + ROUNDS_AHEAD).to_bytes(ROUND_BYTES, "little")
        self.advance("sign")
        for place, number in enumerate(self._cohort):
            root, path = self._tree.root, self._tree.path(place)
            yield Send(client(number), CohortRoot(self._bitmap, root, path, self._beacon_round))

    @on(CohortSignature, "sign")
    def take_root_signature(self, message: CohortSignature, sender: PartyId) -> Effects:
        """Note who signed the root."""
        if sender.number not in self._advertised:
            raise RemoteProtocolError(sender, "expected signatures of the cohort only")
        statement = statements.cohort_statement(
            self.session.id, sender, self._bitmap, self._tree.root, self._beacon_round
        )
        self._check(sender, message.signature, statements.COHORT, statement)
        self._signed.add(sender.number)
        if len(self._signed) == len(self._cohort):
            self.advance("draw")
        return ()

    @on(Deadline, "sign")
    def close_sign(self, event: Deadline, sender: PartyId) -> Effects:
        """Whoever has not signed stays in the cohort, and counts as lost."""
        if len(self._signed) < self.plan.minimum:
            yield self._too_few("signed the cohort", len(self._signed), self.plan.minimum)
            return
        self.advance("draw")

    @on(BeaconValue, "draw")
    def draw_graph(self, event: BeaconValue, sender: PartyId) -> Effects:
        """Hand out the keys on the graph that the beacon gives.

        Raises:
            LocalProtocolError: not the value of the round that was named; another may be read.
        """
        try:
            if event.round != self.beacon_round:
                raise VerificationError(f"it is that of round {event.round}")
            self.beacon.check(event.round, event.value)
        except VerificationError as error:
            raise LocalProtocolError(
                f"expected the beacon's value of round {self.beacon_round}: {error}"
            ) from None
        seed = statements.graph_seed(
            self.session.id, self._bitmap, self._tree.root, self._beacon_round, event.value
        )
        return self._hand_out_books(sorted(self._signed), seed, event.value)

    @on(Deadline, "commit", "draw")
    def close_beacon(self, event: Deadline, sender: PartyId) -> Effects:
        """Without the beacon there is no graph."""
        yield Fail(f"phase {self.phase}: the public beacon said nothing")
