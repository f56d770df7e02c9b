"""The client of pairwise masking against a server that lies (Bonawitz et al. 2017, active).

What it masks and shares is as in `_masking.client`. On top of that it believes only keys that the
roster's clients signed, it signs one list of survivors, and it reveals a share only when enough of
its neighbourhood signed the very same list. docs/malicious.md has the table of messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from secagg import kernels
from secagg.crypto import shamir
from secagg.crypto.digest import DIGEST_BYTES
from secagg.crypto.merkle import padded_count, path_size, root_of_path
from secagg.crypto.signing import SIGNATURE_BYTES, SigningKey
from secagg.errors import (
    DecodeError,
    InconsistentSurvivors,
    NeighbourModelMismatch,
    QuorumMissing,
    RemoteProtocolError,
    ShareBindingError,
    UnauthenticatedKey,
    VerificationError,
)
from secagg.protocol import Done, Effects, Input, Party, Send, Session, on
from secagg.protocol.cohort import is_subset
from secagg.protocols._masking import checks
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    OPENING_BYTES,
    SALT_BYTES,
    SEALED_OPENINGS_BYTES,
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
from secagg.protocols._masking.keyring import Keyring, PublicKeys
from secagg.protocols._masking.messages import encode_numbers
from secagg.protocols._masking.neighbourhood import Neighbourhood
from secagg.protocols._masking.plan import MaskingPlan, self_mask_commitment, transcript
from secagg.types import SERVER, PartyId, RingVector, Rng, Secret, client

PHASES: Final[tuple[str, ...]] = ("advertise", "share", "mask", "agree", "unmask")


class AuthenticatedClient(Party):
    """advertise: keys sent; share: shares sent; mask: needs its input; agree: vector sent.

    unmask: survivors signed.

    Attributes:
        signing_key: whose public half the roster has.
    """

    phases = PHASES
    table = TABLE
    plan: MaskingPlan
    signing_key: SigningKey

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._input: RingVector | None = None
        self._drawn: Keyring | None = None
        self._leaf = b""
        self._transcript = b""
        self._cohort = b""
        self._graph_seed = b""
        self._neighbours: dict[int, PublicKeys] = {}
        # Who dealt, and of them whose shares are valid: (mask seed, self seed) openings in a row.
        self._dealers: tuple[int, ...] = ()
        self._openings: dict[int, Secret] = {}
        self._included: frozenset[int] = frozenset()
        self._survivors = b""

    def begin(self) -> Effects:
        """Round 0: advertise two fresh public keys, signed for this session and model."""
        self._drawn = Keyring(self.session, self.me, self.rng)
        keys, model = self._drawn.public, self.session.model_digest
        statement = statements.keys_statement(self.session.id, self.me, model, keys)
        signature = self.signing_key.sign(statements.KEYS, statement)
        self._leaf = statements.keys_leaf(self.me, keys, signature)
        yield Send(SERVER, SignedKeys(model, *keys, signature))

    @on(SignedKeyBook, "advertise")
    def deal_shares(self, message: SignedKeyBook, sender: PartyId) -> Effects:
        """Round 1: check cohort, keys, signatures and root, then deal shares and commit to them."""
        seed = self._drawn_from(message, sender)
        neighbours = self._checked_book(message, seed, sender)
        self._transcript = transcript(self.session, message.cohort_root, seed)
        self._cohort, self._graph_seed = message.cohort, seed
        self._neighbours = neighbours
        keys = self._keys
        keys.meet(neighbours, self._transcript)
        holders = sorted((*neighbours, self.me.number))
        openings = self._share(holders)
        sealed = [
            keys.seal(client(number), openings[number], self.rng)
            for number in holders
            if number != self.me.number
        ]
        commitments = b"".join(self._commit(number, openings[number]) for number in holders)
        seed_commitment = self_mask_commitment(self._transcript, keys.self_seed, self.me)
        root = statements.share_tree(self.me, holders, sealed, commitments).root
        statement = statements.shares_statement(self._transcript, self.me, seed_commitment, root)
        signature = self.signing_key.sign(statements.SHARES, statement)
        self._openings = {self.me.number: Secret(openings[self.me.number])}
        self.advance("share")
        yield Send(
            SERVER, CommittedShares(seed_commitment, b"".join(sealed), commitments, signature)
        )

    @on(CommittedBundle, "share")
    def accept_shares(self, message: CommittedBundle, sender: PartyId) -> Effects:
        """Round 1, answer: open what the neighbours dealt; these are the masking partners.

        Who dealt badly stays a partner, so that all views of who dealt are equal, and is
        complained of.
        """
        dealers = checks.check_dealers(self.plan, self._neighbours, message.dealers, sender)
        count = len(dealers)
        sealed = checks.read_rows(
            message.sealed, SEALED_OPENINGS_BYTES, count, "sealed shares", sender
        )
        pairs = checks.read_rows(
            message.commitments, COMMITMENT_PAIR_BYTES, count, "commitments", sender
        )
        seeds = checks.read_rows(
            message.seed_commitments, DIGEST_BYTES, count, "seed commitments", sender
        )
        signatures = checks.read_rows(
            message.signatures, SIGNATURE_BYTES, count, "signatures", sender
        )
        leaves = padded_count(len(self._neighbours) + 1)
        paths = checks.read_rows(message.paths, path_size(0, leaves), count, "audit paths", sender)
        opened: dict[int, Secret] = {}
        for dealer, row, pair, seed, path, signature in zip(
            dealers, sealed, pairs, seeds, paths, signatures, strict=True
        ):
            try:
                opened[dealer] = self._open_shares(client(dealer), row, pair)
            except (VerificationError, DecodeError):
                leaf = statements.share_leaf(self.me, row, pair)
                self._check_dealt(client(dealer), leaf, path, seed, signature)
        self._dealers = dealers
        self._openings.update(opened)
        self.advance("mask")
        return self._send_masked() if self._input is not None else ()

    @on(Input, "advertise", "share", "mask")
    def take_input(self, event: Input, sender: PartyId) -> Effects:
        """Keep the vector, or mask it at once if the partners are known."""
        self._input = event.vector
        return self._send_masked() if self.phase == "mask" else ()

    @on(SurvivorList, "agree")
    def sign_survivors(self, message: SurvivorList, sender: PartyId) -> Effects:
        """Round 3: sign the one list of survivors that agrees with all that this client saw."""
        self._included = self._checked_survivors(message, sender)
        self._survivors = statements.survivor_digest(
            self._transcript, message.dealt, message.included
        )
        signature = self.signing_key.sign(statements.SURVIVORS, self._survivors)
        self.advance("unmask")
        yield Send(SERVER, SurvivorSignature(signature))

    @on(SurvivorQuorum, "unmask")
    def reveal_shares(self, message: SurvivorQuorum, sender: PartyId) -> Effects:
        """Round 4: of every dealer one share, of the kind that its fate calls for."""
        self._check_quorum(message, sender)
        openings = b"".join(
            self._half(number, SELF_SHARE if number in self._included else MASK_SHARE)
            for number in sorted(self._openings)
        )
        statement = statements.answer_statement(self._survivors, self.me, openings)
        signature = self.signing_key.sign(statements.ANSWER, statement)
        yield Send(SERVER, SignedAnswer(openings, signature))
        yield Done()

    def forget(self) -> None:
        """Wipe seeds and shares."""
        if self._drawn is not None:
            self._drawn.wipe()
        for opening in self._openings.values():
            opening.wipe()
        self._openings.clear()
        self._input = None

    @property
    def _keys(self) -> Keyring:
        assert self._drawn is not None  # noqa: S101
        return self._drawn

    # The key book.

    def _drawn_from(self, book: SignedKeyBook, sender: PartyId) -> bytes:
        """The seed of the graph: there is none, because nothing is drawn."""
        if book.beacon:
            raise RemoteProtocolError(
                sender, f"expected no value of a beacon, got {len(book.beacon)} bytes"
            )
        return b""

    def _checked_book(
        self, book: SignedKeyBook, seed: bytes, sender: PartyId
    ) -> dict[int, PublicKeys]:
        numbers = checks.check_cohort(self.plan, self.me, book.cohort, book.neighbours, sender)
        neighbours = checks.check_keys(self._keys.public, numbers, book.keys, sender)
        count = len(numbers)
        models = checks.read_rows(book.models, DIGEST_BYTES, count, "model digests", sender)
        signatures = checks.read_rows(book.signatures, SIGNATURE_BYTES, count, "signatures", sender)
        for number, model, signature in zip(numbers, models, signatures, strict=True):
            self._check_neighbour(client(number), model, neighbours[number], signature, sender)
        leaves = {
            number: statements.keys_leaf(client(number), neighbours[number], signature)
            for number, signature in zip(numbers, signatures, strict=True)
        }
        # Whoever has the same root has the same keys.
        hood = Neighbourhood(self.plan, book.cohort, seed)
        hood.check_neighbours(self.me.number, neighbours, sender)
        leaves[self.me.number] = self._leaf
        hood.check_root(leaves, book.cohort_root, book.paths, sender)
        return neighbours

    def _check_neighbour(
        self, peer: PartyId, model: bytes, keys: PublicKeys, signature: bytes, sender: PartyId
    ) -> None:
        """The neighbour signed its keys, for this session and for the model that I received."""
        session, mine = self.session, self.session.model_digest
        # The digest takes a while, and all but always the model is the same.
        session_id = session.id if model == mine else session.id_for_model(model)
        statement = statements.keys_statement(session_id, peer, model, keys)
        try:
            statements.check_signature(self.session, peer, signature, statements.KEYS, statement)
        except VerificationError as error:
            raise UnauthenticatedKey(sender, f"the keys of {peer}: {error}") from None
        if model != mine:
            raise NeighbourModelMismatch(peer, mine, model)

    # Dealing and accepting shares.

    def _share(self, holders: Sequence[int]) -> dict[int, bytes]:
        """For each holder its share of the mask seed and a salt, and the same of the self seed."""
        shares = shamir.split(
            (self._keys.mask_seed, self._keys.self_seed), self.plan.threshold, holders, self.rng
        )
        salts = self.rng.bytes(2 * SALT_BYTES * len(holders))
        openings = {}
        for place, number in enumerate(holders):
            start = 2 * SALT_BYTES * place
            openings[number] = b"".join(
                (
                    shamir.encode_shares(shares[0, place]),
                    salts[start : start + SALT_BYTES],
                    shamir.encode_shares(shares[1, place]),
                    salts[start + SALT_BYTES : start + 2 * SALT_BYTES],
                )
            )
        kernels.wipe(shares)
        return openings

    def _commit(self, number: int, both: bytes) -> bytes:
        halves = ((MASK_SHARE, both[:OPENING_BYTES]), (SELF_SHARE, both[OPENING_BYTES:]))
        return b"".join(
            statements.share_commitment(self._transcript, half, kind, self.me, client(number))
            for kind, half in halves
        )

    def _open_shares(self, dealer: PartyId, sealed: bytes, pair: bytes) -> Secret:
        both = self._keys.open(dealer, sealed)
        opening = both.reveal()
        for kind, half in (
            (MASK_SHARE, opening[:OPENING_BYTES]),
            (SELF_SHARE, opening[OPENING_BYTES:]),
        ):
            shamir.check_share(half[:-SALT_BYTES])
            statements.check_opening(self._transcript, half, kind, dealer, self.me, pair)
        return both

    def _check_dealt(
        self,
        dealer: PartyId,
        leaf: bytes,
        path: bytes,
        seed_commitment: bytes,
        signature: bytes,
    ) -> None:
        """What came is what the dealer signed: then the dealer dealt badly, else the server lies.

        Only asked about shares that are not valid. Valid ones open and fit, and nobody but the
        dealer could have sealed them.
        """
        hood = Neighbourhood(self.plan, self._cohort, self._graph_seed)
        place, holders = hood.place(self.me.number, dealer.number)
        try:
            root = root_of_path(leaf, place, padded_count(holders), path)
            statement = statements.shares_statement(self._transcript, dealer, seed_commitment, root)
            statements.check_signature(
                self.session, dealer, signature, statements.SHARES, statement
            )
        except VerificationError as error:
            raise ShareBindingError(
                SERVER, f"the shares of {dealer} are not what it dealt: {error}"
            ) from None

    def _send_masked(self) -> Effects:
        vector = self._input
        assert vector is not None  # noqa: S101
        streams = self._keys.masks(self._dealers)
        packed = kernels.pack_masked(vector, streams, self.plan.ring)
        complaints = encode_numbers(sorted(set(self._dealers) - self._openings.keys()))
        statement = statements.vector_statement(self._transcript, self.me, complaints, packed)
        signature = self.signing_key.sign(statements.VECTOR, statement)
        self._input = None
        self.advance("agree")
        yield Send(SERVER, SignedVector(complaints, signature, packed))

    # Survivors.

    def _checked_survivors(self, message: SurvivorList, sender: PartyId) -> frozenset[int]:
        dealt = checks.read_bitmap(self.plan, message.dealt, sender)
        included = checks.check_survivors(
            self.plan,
            self.me,
            message.included,
            self._cohort,
            self._neighbours,
            self._dealers,
            sender,
        )
        if not (
            is_subset(message.included, message.dealt) and is_subset(message.dealt, self._cohort)
        ):
            raise InconsistentSurvivors(
                sender, "expected survivors who dealt shares, of the cohort"
            )
        if dealt & self._neighbours.keys() != set(self._dealers):
            raise InconsistentSurvivors(
                sender, "of my neighbours others are said to have dealt than those that dealt to me"
            )
        return included

    def _check_quorum(self, message: SurvivorQuorum, sender: PartyId) -> None:
        """Enough of my neighbourhood signed what I signed; then nobody can be told otherwise."""
        signers = checks.read_numbers(message.signers, sender)
        signatures = checks.read_rows(
            message.signatures, SIGNATURE_BYTES, len(signers), "signatures", sender
        )
        if not (self._included & self._neighbours.keys()).issuperset(signers):
            raise QuorumMissing(sender, "expected signatures of survivors in my neighbourhood")
        if len(signers) + 1 < self.plan.threshold:
            raise QuorumMissing(
                sender,
                f"expected {self.plan.threshold} signatures in my neighbourhood, mine included,"
                f" got {len(signers) + 1}",
            )
        for number, signature in zip(signers, signatures, strict=True):
            try:
                statements.check_signature(
                    self.session, client(number), signature, statements.SURVIVORS, self._survivors
                )
            except VerificationError:
                raise InconsistentSurvivors(
                    sender, f"{client(number)} did not sign the survivors that I signed"
                ) from None

    def _half(self, dealer: int, kind: bytes) -> bytes:
        both = self._openings[dealer].reveal()
        return both[:OPENING_BYTES] if kind == MASK_SHARE else both[OPENING_BYTES:]
