"""The server of pairwise masking at level `malicious`: the honest one, which names those who lie.

Nothing that clients rely on is checked here; they check it themselves. What is checked here keeps
one bad client from spoiling a round, or names it. A signature that is not its sender's is refused
at once; a share that is not the one dealt counts as missing; a dealer whose shares are all as
committed and still make another secret ends the round, and is named.
"""

from __future__ import annotations

from collections.abc import Sequence

from secagg.crypto import shamir
from secagg.crypto.agreement import check_public_key
from secagg.crypto.merkle import MerkleTree, padded
from secagg.errors import (
    BadSignature,
    DecodeError,
    InconsistentShares,
    InvalidKey,
    NeighbourModelMismatch,
    RemoteProtocolError,
    ShareCorrupt,
    ShareDisputed,
    UnauthenticatedKey,
    VerificationError,
    WrongShare,
)
from secagg.protocol import Accuse, Deadline, Done, Effects, Fail, Party, Send, Session, on
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking import checks
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.client import PHASES
from secagg.protocols._masking.authenticated.dealt import Dealt
from secagg.protocols._masking.authenticated.messages import (
    OPENING_BYTES,
    SALT_BYTES,
    TABLE,
    CommittedBundle,
    CommittedShares,
    SignedAnswer,
    SignedKeyBook,
    SignedKeys,
    SignedVector,
    SurvivorList,
    SurvivorQuorum,
    SurvivorSignature,
)
from secagg.protocols._masking.authenticated.statements import MASK_SHARE, SELF_SHARE
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import encode_numbers
from secagg.protocols._masking.neighbourhood import Neighbourhood
from secagg.protocols._masking.plan import MaskingPlan, transcript
from secagg.protocols._masking.recovery import Recovery
from secagg.protocols._masking.total import Total
from secagg.types import PartyId, Rng, client


class AuthenticatedServer(Party):
    """One phase per client message: advertise, share, mask, agree, unmask."""

    phases = PHASES
    table = TABLE
    tolerant = True
    plan: MaskingPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._advertised: dict[int, SignedKeys] = {}
        self._taken: set[bytes] = set()
        self._cohort: list[int] = []
        self._bitmap = b""
        self._tree = MerkleTree([])
        self._neighbours: dict[int, list[int]] = {}
        self._recipients: frozenset[int] = frozenset()
        self._transcript = b""
        self._dealt: dict[int, Dealt] = {}
        self._total = Total(self.plan)
        self._complaints: dict[int, tuple[int, ...]] = {}
        self._survivors = b""
        self._signatures: dict[int, bytes] = {}
        self._asked: set[int] = set()
        self._recovery: Recovery | None = None

    # Round 0.

    @on(SignedKeys, "advertise")
    def take_keys(self, message: SignedKeys, sender: PartyId) -> Effects:
        """Keep a client's keys, if they are its own and an agreement with them is possible."""
        keys = PublicKeys(message.channel_key, message.mask_key)
        session = self.session
        if message.model_digest != session.model_digest:
            raise NeighbourModelMismatch(sender, session.model_digest, message.model_digest)
        statement = statements.keys_statement(session.id, sender, message.model_digest, keys)
        try:
            statements.check_signature(
                self.session, sender, message.signature, statements.KEYS, statement
            )
        except VerificationError as error:
            raise UnauthenticatedKey(sender, str(error)) from None
        try:
            for key in keys:
                check_public_key(key)
        except VerificationError as error:
            raise InvalidKey(sender, str(error)) from None
        if keys.channel == keys.mask or not self._taken.isdisjoint(keys):
            raise InvalidKey(sender, "expected public keys of its own, got one that is taken")
        self._taken.update(keys)
        self._advertised[sender.number] = message
        return self._hand_out() if len(self._advertised) == len(self.plan.task.clients) else ()

    @on(Deadline, "advertise")
    def close_advertise(self, event: Deadline, sender: PartyId) -> Effects:
        """The cohort is whoever advertised."""
        return self._hand_out()

    def _hand_out(self) -> Effects:
        if self._fix_cohort():
            yield from self._hand_out_books(self._cohort, b"", b"")
        else:
            yield self._too_few_advertised()

    def _fix_cohort(self) -> bool:
        """From here on nobody else takes part; False if they are too few."""
        if len(self._advertised) < self.plan.smallest_cohort:
            return False
        self._cohort = sorted(self._advertised)
        self._tree = MerkleTree(padded([self._leaf(number) for number in self._cohort]))
        self._bitmap = encode_bitmap(self.plan.task.clients, self._cohort)
        return True

    def _too_few_advertised(self) -> Fail:
        return self._too_few("advertised keys", len(self._advertised), self.plan.smallest_cohort)

    def _hand_out_books(self, recipients: Sequence[int], seed: bytes, beacon: bytes) -> Effects:
        plan, cohort, tree = self.plan, self._cohort, self._tree
        hood = Neighbourhood(plan, self._bitmap, seed)
        self._neighbours = {number: hood.neighbours(number) for number in cohort}
        places = {} if hood.complete else {number: at for at, number in enumerate(cohort)}
        self._transcript = transcript(self.session, tree.root, seed)
        self._recipients = frozenset(recipients)
        self.advance("share")
        for number in recipients:
            near = self._neighbours[number]
            signed = [self._advertised[other] for other in near]
            yield Send(
                client(number),
                SignedKeyBook(
                    cohort=self._bitmap,
                    cohort_root=tree.root,
                    beacon=beacon,
                    neighbours=encode_numbers(near),
                    keys=b"".join(one.channel_key + one.mask_key for one in signed),
                    models=b"".join(one.model_digest for one in signed),
                    signatures=b"".join(one.signature for one in signed),
                    paths=b"".join(
                        tree.path(places[other])
                        for other in sorted((*near, number))
                        if other in places
                    ),
                ),
            )

    def _leaf(self, number: int) -> bytes:
        message = self._advertised[number]
        keys = PublicKeys(message.channel_key, message.mask_key)
        return statements.keys_leaf(client(number), keys, message.signature)

    # Round 1.

    @on(CommittedShares, "share")
    def take_shares(self, message: CommittedShares, sender: PartyId) -> Effects:
        """Keep what a client dealt until everybody has, or time is up."""
        if sender.number not in self._recipients:
            raise RemoteProtocolError(sender, "expected shares of those with a key book only")
        dealt = Dealt(sender, self._neighbours[sender.number], message)
        statement = statements.shares_statement(
            self._transcript, sender, message.commitment, dealt.root
        )
        self._check(sender, message.signature, statements.SHARES, statement)
        self._dealt[sender.number] = dealt
        return self._relay_shares() if len(self._dealt) == len(self._recipients) else ()

    @on(Deadline, "share")
    def close_share(self, event: Deadline, sender: PartyId) -> Effects:
        """The dealers are whoever dealt."""
        return self._relay_shares()

    def _relay_shares(self) -> Effects:
        if len(self._dealt) < self.plan.minimum:
            yield self._too_few("dealt shares", len(self._dealt), self.plan.minimum)
            return
        self.advance("mask")
        for holder in sorted(self._dealt):
            dealers = [number for number in self._neighbours[holder] if number in self._dealt]
            dealt = [self._dealt[number] for number in dealers]
            yield Send(
                client(holder),
                CommittedBundle(
                    dealers=encode_numbers(dealers),
                    sealed=b"".join(one.sealed(holder) for one in dealt),
                    commitments=b"".join(one.pair(holder) for one in dealt),
                    seed_commitments=b"".join(one.seed_commitment for one in dealt),
                    paths=b"".join(one.path(holder) for one in dealt),
                    signatures=b"".join(one.signature for one in dealt),
                ),
            )
        for one in self._dealt.values():
            one.relayed()

    # Round 2.

    @on(SignedVector, "mask")
    def add_vector(self, message: SignedVector, sender: PartyId) -> Effects:
        """Add a masked vector and forget it. Who is complained of is named, with who complains."""
        if sender.number not in self._dealt:
            raise RemoteProtocolError(sender, "expected vectors of those who dealt shares only")
        complaints = checks.read_numbers(message.complaints, sender)
        if not self._dealers_around(sender.number).issuperset(complaints):
            raise RemoteProtocolError(sender, "expected complaints of dealers only")
        self._total.check(message.tail, sender)
        statement = statements.vector_statement(
            self._transcript, sender, message.complaints, message.tail
        )
        self._check(sender, message.signature, statements.VECTOR, statement)
        self._total.add(message.tail)
        self._complaints[sender.number] = complaints
        accusations = [
            Accuse(client(dealer), ShareDisputed(client(dealer), sender)) for dealer in complaints
        ]
        if len(self._complaints) == len(self._dealt):
            return (*accusations, *self._name_survivors())
        return accusations

    @on(Deadline, "mask")
    def close_mask(self, event: Deadline, sender: PartyId) -> Effects:
        """The sum is over whoever delivered; a vector that comes later is not taken."""
        return self._name_survivors()

    def _dealers_around(self, number: int) -> set[int]:
        return {other for other in self._neighbours[number] if other in self._dealt}

    def _name_survivors(self) -> Effects:
        self._total.settle()
        included = sorted(self._complaints)
        if len(included) < self.plan.minimum:
            yield self._too_few("delivered vectors", len(included), self.plan.minimum)
            return
        clients = self.plan.task.clients
        bitmaps = encode_bitmap(clients, self._dealt), encode_bitmap(clients, included)
        self._survivors = statements.survivor_digest(self._transcript, *bitmaps)
        self.advance("agree")
        for number in included:
            yield Send(client(number), SurvivorList(*bitmaps))

    # Round 3.

    @on(SurvivorSignature, "agree")
    def take_signature(self, message: SurvivorSignature, sender: PartyId) -> Effects:
        """Keep a survivor's signature on the list of survivors."""
        if sender.number not in self._complaints:
            raise RemoteProtocolError(sender, "expected signatures of the survivors only")
        self._check(sender, message.signature, statements.SURVIVORS, self._survivors)
        self._signatures[sender.number] = message.signature
        return self._show_quorum() if len(self._signatures) == len(self._complaints) else ()

    @on(Deadline, "agree")
    def close_agree(self, event: Deadline, sender: PartyId) -> Effects:
        """Whoever has not signed is not asked for shares; its vector stays in the sum."""
        return self._show_quorum()

    def _show_quorum(self) -> Effects:
        needed = self.plan.threshold - 1
        shown: dict[int, list[int]] = {}
        for number in sorted(self._signatures):
            signed = [other for other in self._neighbours[number] if other in self._signatures]
            if len(signed) >= needed:
                shown[number] = signed[:needed]
        if len(shown) < self.plan.threshold:
            yield self._too_few(
                "have enough neighbours that signed the survivors",
                len(shown),
                self.plan.threshold,
            )
            return
        self.advance("unmask")
        self._recovery = Recovery(
            self.session,
            self._transcript,
            {n: PublicKeys(m.channel_key, m.mask_key) for n, m in self._advertised.items()},
            self._neighbours,
            {number: dealt.seed_commitment for number, dealt in self._dealt.items()},
        )
        self._asked = set(shown)
        for number, signed in shown.items():
            column = b"".join(self._signatures[other] for other in signed)
            yield Send(client(number), SurvivorQuorum(encode_numbers(signed), column))

    # Round 4.

    @on(SignedAnswer, "unmask")
    def take_answer(self, message: SignedAnswer, sender: PartyId) -> Effects:
        """Keep a survivor's shares; those that are not what was dealt to it count as missing."""
        if sender.number not in self._asked:
            raise RemoteProtocolError(sender, "expected answers of those asked only")
        recovery = self._recovery
        assert recovery is not None  # noqa: S101
        complaints = self._complaints[sender.number]
        owners = [n for n in recovery.owners(sender.number) if n not in complaints]
        openings = checks.read_rows(message.openings, OPENING_BYTES, len(owners), "shares", sender)
        statement = statements.answer_statement(self._survivors, sender, message.openings)
        self._check(sender, message.signature, statements.ANSWER, statement)
        wrong = [
            owner
            for owner, opening in zip(owners, openings, strict=True)
            if not self._opens(owner, opening, sender)
        ]
        good = [(o, one) for o, one in zip(owners, openings, strict=True) if o not in wrong]
        column = b"".join(opening[:-SALT_BYTES] for _, opening in good)
        recovery.take(sender.number, [owner for owner, _ in good], shamir.decode_shares(column))
        accusations = [
            Accuse(sender, WrongShare(sender, f"its share of {client(owner)} was not dealt so"))
            for owner in wrong
        ]
        if len(recovery) == len(self._asked):
            return (*accusations, *self._unmask(recovery))
        return accusations

    @on(Deadline, "unmask")
    def close_unmask(self, event: Deadline, sender: PartyId) -> Effects:
        """Rebuild with the answers that came."""
        assert self._recovery is not None  # noqa: S101
        return self._unmask(self._recovery)

    def forget(self) -> None:
        """Drop shares and partial sums."""
        if self._recovery is not None:
            self._recovery.wipe()
        self._total.drop()

    def _opens(self, owner: int, opening: bytes, holder: PartyId) -> bool:
        kind = SELF_SHARE if owner in self._complaints else MASK_SHARE
        dealt = self._dealt[owner]
        try:
            shamir.check_share(opening[:-SALT_BYTES])
            statements.check_opening(
                self._transcript, opening, kind, dealt.dealer, holder, dealt.pair(holder.number)
            )
        except (DecodeError, VerificationError):
            return False
        return True

    def _unmask(self, recovery: Recovery) -> Effects:
        included = self._complaints.keys()
        if (fewest := recovery.fewest(included)) < self.plan.threshold:
            yield self._too_few("sent the shares of some client", fewest, self.plan.threshold)
            return
        try:
            masks = recovery.masks(included)
        except ShareCorrupt as error:
            # Every share is the one that its owner committed to: nobody else can be to blame.
            named = InconsistentShares(error.owner, str(error))
            yield Accuse(error.owner, named)
            yield Fail(str(named), named)
            return
        yield Done(self._total.without(masks), tuple(client(number) for number in sorted(included)))

    def _check(self, sender: PartyId, signature: bytes, context: str, statement: bytes) -> None:
        try:
            statements.check_signature(self.session, sender, signature, context, statement)
        except VerificationError as error:
            raise BadSignature(sender, str(error)) from None

    def _too_few(self, what: str, got: int, needed: int) -> Fail:
        return Fail(
            f"phase {self.phase}: {got} of {len(self.plan.task.clients)} clients {what},"
            f" {needed} are needed"
        )
