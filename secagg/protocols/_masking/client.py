"""The client of pairwise masking (Bonawitz et al. 2017, figure 4; Bell et al. 2020 for the graph).

Two masks hide a vector. One per pair of neighbours, from a key that both agree on: these cancel in
the sum. One of the client's own: without it, a client declared lost whose vector still arrives
would be exposed. The seeds of both are shared among the neighbours, and of each client the server
is told one or the other, never both.
"""

from __future__ import annotations

from typing import Final

from secagg import kernels
from secagg.crypto import aead, kdf, shamir
from secagg.crypto.agreement import PrivateKey, check_public_key
from secagg.errors import (
    CohortTooSmall,
    DecodeError,
    InvalidKey,
    RemoteProtocolError,
    ShareBindingError,
    VerificationError,
)
from secagg.protocol import Done, Effects, Input, Party, Send, Session, on
from secagg.protocol.cohort import decode_bitmap, is_subset
from secagg.protocols._masking.messages import (
    KEY_BYTES,
    SEALED_SHARES_BYTES,
    TABLE,
    AdvertiseKeys,
    KeyBook,
    MaskedVector,
    ShareBundle,
    ShareKeys,
    UnmaskRequest,
    UnmaskShares,
    decode_numbers,
)
from secagg.protocols._masking.plan import (
    GRAPH_SEED_BYTES,
    MaskingPlan,
    cohort_root,
    mask_keypair_seed,
    pair_mask,
    self_mask,
    self_mask_commitment,
    transcript,
)
from secagg.types import SERVER, PartyId, RingVector, Rng, Secret, client

SHARE_STEP: Final = "share keys"

PHASES: Final = ("advertise", "share", "mask", "unmask")


class MaskingClient(Party):
    """advertise: keys sent; share: shares sent; mask: needs its input; unmask: vector sent."""

    phases = PHASES
    table = TABLE
    plan: MaskingPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._input: RingVector | None = None
        self._mask_seed = Secret(b"")
        self._self_seed = Secret(b"")
        self._channel_key: PrivateKey | None = None
        self._mask_key: PrivateKey | None = None
        self._transcript = b""
        self._cohort = b""  # a bitmap: as a set of numbers it would be what takes most memory
        self._neighbours: dict[int, tuple[bytes, bytes]] = {}
        self._channels: dict[int, Secret] = {}
        # Dealer to its (mask seed, self seed) shares, as bytes; the client's own among them.
        self._shares: dict[int, Secret] = {}

    def begin(self) -> Effects:
        """Round 0: advertise two fresh public keys."""
        channel_seed = Secret(self.rng.bytes(KEY_BYTES))
        self._mask_seed = Secret(self.rng.bytes(KEY_BYTES))
        self._self_seed = Secret(self.rng.bytes(KEY_BYTES))
        self._channel_key = PrivateKey(channel_seed)
        self._mask_key = PrivateKey(mask_keypair_seed(self.session, self._mask_seed, self.me))
        yield Send(SERVER, AdvertiseKeys(self._channel_key.public, self._mask_key.public))

    @on(KeyBook, "advertise")
    def deal_shares(self, message: KeyBook, sender: PartyId) -> Effects:
        """Round 1: check the cohort and the keys, then deal shares of both seeds."""
        neighbours = self._checked_book(message, sender)
        self._transcript = transcript(self.session, message.cohort_root, message.graph_seed)
        numbers = sorted(neighbours)
        holders = sorted((*numbers, self.me.number))
        shares = shamir.split(
            (self._mask_seed, self._self_seed), self.plan.threshold, holders, self.rng
        )
        rows = {
            holder: shamir.encode_shares(shares[:, position])
            for position, holder in enumerate(holders)
        }
        kernels.wipe(shares)
        sealed = []
        assert self._channel_key is not None  # noqa: S101
        for holder in numbers:
            peer = client(holder)
            # One agreement for both directions: it costs more than all else that is done here.
            self._channels[holder] = self._agree(self._channel_key, neighbours[holder][0], peer)
            key = self._channel(holder, self.me, peer)
            bound_to = self._bound_to(self.me, peer)
            sealed.append(aead.seal(key, rows[holder], bound_to, self.rng))
        commitment = self_mask_commitment(self._transcript, self._self_seed, self.me)
        self._cohort, self._neighbours = message.cohort, neighbours
        self._shares = {self.me.number: Secret(rows[self.me.number])}
        self.advance("share")
        yield Send(SERVER, ShareKeys(commitment, b"".join(sealed)))

    @on(ShareBundle, "share")
    def accept_shares(self, message: ShareBundle, sender: PartyId) -> Effects:
        """Round 1, answer: open what the neighbours dealt; these are the masking partners."""
        try:
            dealers = decode_numbers(message.dealers)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        if not self._neighbours.keys() >= set(dealers):
            raise RemoteProtocolError(sender, "expected dealers among my neighbours, got others")
        if len(message.sealed) != SEALED_SHARES_BYTES * len(dealers):
            raise RemoteProtocolError(
                sender,
                f"expected {SEALED_SHARES_BYTES} sealed bytes for each of {len(dealers)} dealers,"
                f" got {len(message.sealed)}",
            )
        if len(dealers) + 1 < self.plan.threshold:
            raise CohortTooSmall(
                sender,
                f"expected shares of at least {self.plan.threshold} clients in my neighbourhood,"
                f" got {len(dealers) + 1}",
            )
        opened = {
            dealer: self._open_shares(dealer, message.sealed[start : start + SEALED_SHARES_BYTES])
            for dealer, start in zip(
                dealers, range(0, len(message.sealed), SEALED_SHARES_BYTES), strict=True
            )
        }
        self._shares.update(opened)
        self.advance("mask")
        return self._send_masked() if self._input is not None else ()

    @on(Input, "advertise", "share", "mask")
    def take_input(self, event: Input, sender: PartyId) -> Effects:
        """Keep the vector, or mask it at once if the partners are known."""
        self._input = event.vector
        return self._send_masked() if self.phase == "mask" else ()

    @on(UnmaskRequest, "unmask")
    def reveal_shares(self, message: UnmaskRequest, sender: PartyId) -> Effects:
        """Round 3: of every dealer one share, of the kind that its fate calls for."""
        included = self._checked_survivors(message, sender)
        revealed = []
        for dealer in sorted(self._shares):
            both = self._shares[dealer].reveal()
            mask_share, self_share = both[: shamir.SHARE_BYTES], both[shamir.SHARE_BYTES :]
            revealed.append(self_share if dealer in included else mask_share)
        yield Send(SERVER, UnmaskShares(b"".join(revealed)))
        yield Done()

    def forget(self) -> None:
        """Wipe seeds and shares."""
        held = (*self._channels.values(), *self._shares.values())
        for secret in (self._mask_seed, self._self_seed, *held):
            secret.wipe()
        self._channels.clear()
        self._shares.clear()
        self._channel_key = self._mask_key = None
        self._input = None

    def _checked_book(self, book: KeyBook, sender: PartyId) -> dict[int, tuple[bytes, bytes]]:
        plan, me = self.plan, self.me.number
        try:
            cohort = decode_bitmap(plan.task.clients, book.cohort)
            numbers = decode_numbers(book.neighbours)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        if len(cohort) < plan.smallest_cohort:
            raise CohortTooSmall(
                sender,
                f"expected at least {plan.smallest_cohort} clients in phase advertise, got"
                f" {len(cohort)}",
            )
        others = cohort - {me}
        if me not in cohort or not others.issuperset(numbers):
            raise RemoteProtocolError(sender, "expected a cohort with me and all my neighbours")
        expected = len(others) if plan.complete else min(plan.degree, len(others))
        if len(numbers) != expected:
            raise RemoteProtocolError(sender, f"expected {expected} neighbours, got {len(numbers)}")
        if len(book.graph_seed) != (0 if plan.complete else GRAPH_SEED_BYTES):
            raise RemoteProtocolError(
                sender, f"a graph seed of {len(book.graph_seed)} bytes does not fit the plan"
            )
        if len(book.keys) != 2 * KEY_BYTES * len(numbers):
            raise RemoteProtocolError(
                sender,
                f"expected {2 * KEY_BYTES} key bytes for each of {len(numbers)} neighbours, got"
                f" {len(book.keys)}",
            )
        keys = [book.keys[i : i + KEY_BYTES] for i in range(0, len(book.keys), KEY_BYTES)]
        mine = self._own_keys()
        for key in keys:
            try:
                check_public_key(key)
            except VerificationError as error:
                raise InvalidKey(sender, str(error)) from None
        if len({*keys, *mine}) != len(keys) + len(mine):
            raise InvalidKey(sender, "expected distinct public keys, got one twice")
        neighbours = dict(zip(numbers, zip(keys[::2], keys[1::2], strict=True), strict=True))
        if plan.complete:
            everyone = sorted((*neighbours.items(), (me, mine)))
            if cohort_root([(n, c, m) for n, (c, m) in everyone]) != book.cohort_root:
                raise RemoteProtocolError(sender, "the cohort root is not over the keys that came")
        return neighbours

    def _checked_survivors(self, request: UnmaskRequest, sender: PartyId) -> frozenset[int]:
        try:
            included = decode_bitmap(self.plan.task.clients, request.included)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        if self.me.number not in included or not is_subset(request.included, self._cohort):
            raise RemoteProtocolError(sender, "expected survivors of the cohort, me among them")
        if len(included) < self.plan.minimum:
            raise CohortTooSmall(
                sender,
                f"expected a sum over at least {self.plan.minimum} clients, got {len(included)}",
            )
        nearby = included & (self._neighbours.keys() | {self.me.number})
        if not nearby <= self._shares.keys():
            raise RemoteProtocolError(sender, "a survivor is named that dealt me no shares")
        if len(nearby) < self.plan.threshold:
            raise CohortTooSmall(
                sender,
                f"expected at least {self.plan.threshold} survivors in my neighbourhood, got"
                f" {len(nearby)}",
            )
        return included

    def _open_shares(self, dealer: int, sealed: bytes) -> Secret:
        peer = client(dealer)
        key = self._channel(dealer, peer, self.me)
        try:
            shares = aead.open_sealed(key, sealed, self._bound_to(peer, self.me))
            shamir.decode_shares(shares.reveal())
        except (VerificationError, DecodeError) as error:
            raise ShareBindingError(peer, str(error)) from None
        if len(shares) != 2 * shamir.SHARE_BYTES:
            raise ShareBindingError(peer, f"expected two shares, got {len(shares)} bytes")
        return shares

    def _send_masked(self) -> Effects:
        vector, mask_key = self._input, self._mask_key
        assert vector is not None  # noqa: S101
        assert mask_key is not None  # noqa: S101
        plan, me = self.plan, (self.me.number, mask_key.public)
        streams = [self_mask(plan, self._transcript, self._self_seed, self.me, +1)]
        for dealer in sorted(self._shares.keys() - {self.me.number}):
            public = self._neighbours[dealer][1]
            agreed = self._agree(mask_key, public, client(dealer))
            streams.append(pair_mask(plan, self._transcript, agreed, me, (dealer, public), +1))
        packed = kernels.pack_masked(vector, streams, plan.ring)
        self._input = None
        self.advance("unmask")
        yield Send(SERVER, MaskedVector(packed))

    def _channel(self, neighbour: int, sender: PartyId, receiver: PartyId) -> Secret:
        """The key for one direction of the channel with a neighbour."""
        return kdf.derive(
            self._channels[neighbour],
            context=self._transcript,
            purpose=kdf.Purpose.CHANNEL,
            parties=(sender, receiver),
        )

    def _agree(self, key: PrivateKey, public: bytes, peer: PartyId) -> Secret:
        try:
            return key.agree(public)
        except VerificationError as error:
            raise InvalidKey(peer, str(error)) from None

    def _bound_to(self, sender: PartyId, receiver: PartyId) -> bytes:
        return aead.associated_data(
            self.plan.protocol, self._transcript, SHARE_STEP, sender, receiver
        )

    def _own_keys(self) -> tuple[bytes, bytes]:
        assert self._channel_key is not None  # noqa: S101
        assert self._mask_key is not None  # noqa: S101
        return self._channel_key.public, self._mask_key.public
