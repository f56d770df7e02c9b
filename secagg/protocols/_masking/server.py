"""The server of pairwise masking: relays keys and shares, adds vectors, removes the masks.

It adds each masked vector as it comes and forgets it. When the vectors are in, it asks every
survivor for one share per neighbour: of the self-mask seed of those whose vectors came, of the
mask-key seed of those whose vectors did not. What it rebuilds is checked against the commitment
or the advertised key before it is used.
"""

from __future__ import annotations

from secagg.crypto import shamir
from secagg.crypto.agreement import check_public_key
from secagg.errors import (
    DecodeError,
    InvalidKey,
    RemoteProtocolError,
    ShareCorrupt,
    VerificationError,
)
from secagg.protocol import Deadline, Done, Effects, Fail, Party, Send, Session, on
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.client import PHASES
from secagg.protocols._masking.graph import CompleteGraph, draw_graph
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.mailbox import ShareMailbox
from secagg.protocols._masking.messages import (
    SEALED_SHARES_BYTES,
    TABLE,
    AdvertiseKeys,
    KeyBook,
    MaskedVector,
    ShareBundle,
    ShareKeys,
    UnmaskRequest,
    UnmaskShares,
    encode_numbers,
)
from secagg.protocols._masking.plan import (
    GRAPH_SEED_BYTES,
    MaskingPlan,
    cohort_root,
    transcript,
)
from secagg.protocols._masking.recovery import Recovery
from secagg.protocols._masking.total import Total
from secagg.types import PartyId, Rng, client


class MaskingServer(Party):
    """One phase per client message: advertise, share, mask, unmask."""

    phases = PHASES
    table = TABLE
    tolerant = True
    plan: MaskingPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._keys: dict[int, PublicKeys] = {}
        self._taken: set[bytes] = set()
        self._cohort: list[int] = []
        self._neighbours: dict[int, list[int]] = {}
        self._transcript = b""
        self._commitments: dict[int, bytes] = {}
        self._mailbox: ShareMailbox | None = None
        self._total = Total(self.plan)
        self._included: set[int] = set()
        self._recovery: Recovery | None = None

    # Round 0.

    @on(AdvertiseKeys, "advertise")
    def take_keys(self, message: AdvertiseKeys, sender: PartyId) -> Effects:
        """Keep a client's keys, if an agreement with them is possible."""
        keys = PublicKeys(message.channel_key, message.mask_key)
        try:
            for key in keys:
                check_public_key(key)
        except VerificationError as error:
            raise InvalidKey(sender, str(error)) from None
        if keys.channel == keys.mask or not self._taken.isdisjoint(keys):
            raise InvalidKey(sender, "expected public keys of its own, got one that is taken")
        self._taken.update(keys)
        self._keys[sender.number] = keys
        return self._draw_graph() if len(self._keys) == len(self.plan.task.clients) else ()

    @on(Deadline, "advertise")
    def close_advertise(self, event: Deadline, sender: PartyId) -> Effects:
        """The cohort is whoever advertised."""
        return self._draw_graph()

    def _draw_graph(self) -> Effects:
        plan = self.plan
        if len(self._keys) < plan.smallest_cohort:
            yield self._too_few("advertised keys", len(self._keys), plan.smallest_cohort)
            return
        self._cohort = sorted(self._keys)
        root = cohort_root([(number, *self._keys[number]) for number in self._cohort])
        # Only now that the keys are fixed: nobody can choose keys to suit the graph.
        seed = b"" if plan.complete else self.rng.bytes(GRAPH_SEED_BYTES)
        size = len(self._cohort)
        graph = CompleteGraph(size) if plan.complete else draw_graph(size, plan.degree, seed)
        self._transcript = transcript(self.session, root, seed)
        bitmap = encode_bitmap(plan.task.clients, self._cohort)
        self.advance("share")
        for position, number in enumerate(self._cohort):
            near = [self._cohort[other] for other in graph.neighbours(position)]
            self._neighbours[number] = near
            keys = b"".join(key for other in near for key in self._keys[other])
            book = KeyBook(bitmap, root, seed, encode_numbers(near), keys)
            yield Send(client(number), book)
        self._mailbox = ShareMailbox(self._neighbours)

    # Round 1.

    @on(ShareKeys, "share")
    def take_shares(self, message: ShareKeys, sender: PartyId) -> Effects:
        """Keep what a client dealt until everybody has, or time is up."""
        if sender.number not in self._neighbours:
            raise RemoteProtocolError(sender, "expected shares of the cohort only")
        near = self._neighbours[sender.number]
        if len(message.sealed) != SEALED_SHARES_BYTES * len(near):
            raise RemoteProtocolError(
                sender,
                f"expected {SEALED_SHARES_BYTES} sealed bytes for each of {len(near)} neighbours,"
                f" got {len(message.sealed)}",
            )
        assert self._mailbox is not None  # noqa: S101
        self._mailbox.deal(sender.number, message.sealed)
        self._commitments[sender.number] = message.commitment
        return self._relay_shares() if len(self._commitments) == len(self._cohort) else ()

    @on(Deadline, "share")
    def close_share(self, event: Deadline, sender: PartyId) -> Effects:
        """The dealers are whoever dealt."""
        return self._relay_shares()

    def _relay_shares(self) -> Effects:
        dealt = self._commitments.keys()
        if len(dealt) < self.plan.minimum:
            yield self._too_few("dealt shares", len(dealt), self.plan.minimum)
            return
        self.advance("mask")
        assert self._mailbox is not None  # noqa: S101
        for holder in sorted(dealt):
            dealers, sealed = self._mailbox.bundle(holder, dealt)
            yield Send(client(holder), ShareBundle(encode_numbers(dealers), sealed))
        self._mailbox = None

    # Round 2.

    @on(MaskedVector, "mask")
    def add_vector(self, message: MaskedVector, sender: PartyId) -> Effects:
        """Add a masked vector and forget it; a few wait for each other and are added together."""
        if sender.number not in self._commitments:
            raise RemoteProtocolError(sender, "expected vectors of those who dealt shares only")
        self._total.check(message.tail, sender)
        self._total.add(message.tail)
        self._included.add(sender.number)
        return self._ask_for_shares() if len(self._included) == len(self._commitments) else ()

    @on(Deadline, "mask")
    def close_mask(self, event: Deadline, sender: PartyId) -> Effects:
        """The sum is over whoever delivered; a vector that comes later is not taken."""
        return self._ask_for_shares()

    def _ask_for_shares(self) -> Effects:
        self._total.settle()
        if len(self._included) < self.plan.minimum:
            yield self._too_few("delivered vectors", len(self._included), self.plan.minimum)
            return
        self.advance("unmask")
        self._recovery = Recovery(
            self.session, self._transcript, self._keys, self._neighbours, self._commitments
        )
        bitmap = encode_bitmap(self.plan.task.clients, self._included)
        for number in sorted(self._included):
            yield Send(client(number), UnmaskRequest(bitmap))

    # Round 3.

    @on(UnmaskShares, "unmask")
    def take_answer(self, message: UnmaskShares, sender: PartyId) -> Effects:
        """Keep a survivor's shares."""
        if sender.number not in self._included:
            raise RemoteProtocolError(sender, "expected answers of the survivors only")
        recovery = self._recovery
        assert recovery is not None  # noqa: S101
        owners = recovery.owners(sender.number)
        try:
            shares = shamir.decode_shares(message.shares)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        if len(shares) != len(owners):
            raise RemoteProtocolError(sender, f"expected {len(owners)} shares, got {len(shares)}")
        recovery.take(sender.number, owners, shares)
        return self._unmask(recovery) if len(recovery) == len(self._included) else ()

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

    def _unmask(self, recovery: Recovery) -> Effects:
        if (fewest := recovery.fewest(self._included)) < self.plan.threshold:
            yield self._too_few("sent the shares of some client", fewest, self.plan.threshold)
            return
        try:
            masks = recovery.masks(self._included)
        except ShareCorrupt as error:
            yield Fail(str(error), error)
            return
        total = self._total.without(masks)
        yield Done(total, tuple(client(number) for number in sorted(self._included)))

    def _too_few(self, what: str, got: int, needed: int) -> Fail:
        return Fail(
            f"phase {self.phase}: {got} of {len(self.plan.task.clients)} clients {what},"
            f" {needed} are needed"
        )
