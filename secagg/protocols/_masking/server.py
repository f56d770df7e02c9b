"""The server of pairwise masking: relays keys and shares, adds vectors, removes the masks.

It adds each masked vector as it comes and forgets it. When the vectors are in, it asks every
survivor for one share per neighbour: of the self-mask seed of those whose vectors came, of the
mask-key seed of those whose vectors did not. What it rebuilds is checked against the commitment
or the advertised key before it is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np

from secagg import kernels
from secagg.crypto import shamir
from secagg.crypto.agreement import PrivateKey, check_public_key
from secagg.errors import (
    DecodeError,
    InvalidKey,
    RemoteProtocolError,
    ShareCorrupt,
    VerificationError,
)
from secagg.kernels import MaskStream
from secagg.protocol import Deadline, Done, Effects, Fail, Party, Send, Session, on
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.client import PHASES
from secagg.protocols._masking.graph import CompleteGraph, NeighbourGraph, draw_graph
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
    mask_keypair_seed,
    pair_mask,
    self_mask,
    self_mask_commitment,
    transcript,
)
from secagg.types import PartyId, RingVector, Rng, Secret, client

ADDED_TOGETHER: Final = 4
"""Vectors that the kernel adds in one pass over the total."""


class MaskingServer(Party):
    """One phase per client message: advertise, share, mask, unmask."""

    phases = PHASES
    table = TABLE
    tolerant = True
    plan: MaskingPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._keys: dict[int, tuple[bytes, bytes]] = {}
        self._taken: set[bytes] = set()
        self._cohort: list[int] = []
        self._graph: NeighbourGraph = CompleteGraph(2)
        self._neighbours: dict[int, list[int]] = {}
        self._transcript = b""
        self._commitments: dict[int, bytes] = {}
        self._mailbox: ShareMailbox | None = None
        self._dealers: set[int] = set()
        self._total: RingVector = kernels.aligned(self.plan.task.length, self.plan.ring.dtype)
        self._total.fill(0)
        self._waiting: list[memoryview] = []
        self._included: set[int] = set()
        self._answers: dict[int, shamir.Shares] = {}

    # Round 0.

    @on(AdvertiseKeys, "advertise")
    def take_keys(self, message: AdvertiseKeys, sender: PartyId) -> Effects:
        """Keep a client's keys, if an agreement with them is possible."""
        keys = (message.channel_key, message.mask_key)
        try:
            for key in keys:
                check_public_key(key)
        except VerificationError as error:
            raise InvalidKey(sender, str(error)) from None
        if keys[0] == keys[1] or not self._taken.isdisjoint(keys):
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
        self._graph = CompleteGraph(size) if plan.complete else draw_graph(size, plan.degree, seed)
        self._transcript = transcript(self.session, root, seed)
        bitmap = encode_bitmap(plan.task.clients, self._cohort)
        self.advance("share")
        for position, number in enumerate(self._cohort):
            near = [self._cohort[other] for other in self._graph.neighbours(position)]
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
        self._dealers.add(sender.number)
        return self._relay_shares() if len(self._dealers) == len(self._cohort) else ()

    @on(Deadline, "share")
    def close_share(self, event: Deadline, sender: PartyId) -> Effects:
        """The dealers are whoever dealt."""
        return self._relay_shares()

    def _relay_shares(self) -> Effects:
        if len(self._dealers) < self.plan.minimum:
            yield self._too_few("dealt shares", len(self._dealers), self.plan.minimum)
            return
        self.advance("mask")
        assert self._mailbox is not None  # noqa: S101
        for holder in sorted(self._dealers):
            dealers, sealed = self._mailbox.bundle(holder, self._dealers)
            yield Send(client(holder), ShareBundle(encode_numbers(dealers), sealed))
        self._mailbox = None

    # Round 2.

    @on(MaskedVector, "mask")
    def add_vector(self, message: MaskedVector, sender: PartyId) -> Effects:
        """Add a masked vector and forget it; a few wait for each other and are added together."""
        if sender.number not in self._dealers:
            raise RemoteProtocolError(sender, "expected vectors of those who dealt shares only")
        expected = self.plan.ring.packed_size(self.plan.task.length)
        if message.tail.nbytes != expected:
            raise RemoteProtocolError(
                sender, f"expected a vector of {expected} bytes, got {message.tail.nbytes}"
            )
        try:
            kernels.check_packed(message.tail, self.plan.ring, self.plan.task.length)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        self._waiting.append(message.tail)
        if len(self._waiting) == ADDED_TOGETHER:
            self._add_waiting()
        self._included.add(sender.number)
        return self._ask_for_shares() if len(self._included) == len(self._dealers) else ()

    @on(Deadline, "mask")
    def close_mask(self, event: Deadline, sender: PartyId) -> Effects:
        """The sum is over whoever delivered; a vector that comes later is not taken."""
        return self._ask_for_shares()

    def _add_waiting(self) -> None:
        kernels.sum_packed(self._total, self._waiting, self.plan.ring)
        self._waiting.clear()

    def _ask_for_shares(self) -> Effects:
        self._add_waiting()
        if len(self._included) < self.plan.minimum:
            yield self._too_few("delivered vectors", len(self._included), self.plan.minimum)
            return
        self.advance("unmask")
        bitmap = encode_bitmap(self.plan.task.clients, self._included)
        for number in sorted(self._included):
            yield Send(client(number), UnmaskRequest(bitmap))

    # Round 3.

    @on(UnmaskShares, "unmask")
    def take_answer(self, message: UnmaskShares, sender: PartyId) -> Effects:
        """Keep a survivor's shares."""
        if sender.number not in self._included:
            raise RemoteProtocolError(sender, "expected answers of the survivors only")
        owners = self._owners(sender.number)
        try:
            shares = shamir.decode_shares(message.shares)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        if len(shares) != len(owners):
            raise RemoteProtocolError(sender, f"expected {len(owners)} shares, got {len(shares)}")
        self._answers[sender.number] = shares
        return self._unmask() if len(self._answers) == len(self._included) else ()

    @on(Deadline, "unmask")
    def close_unmask(self, event: Deadline, sender: PartyId) -> Effects:
        """Rebuild with the answers that came."""
        return self._unmask()

    def forget(self) -> None:
        """Drop shares and partial sums."""
        for shares in self._answers.values():
            kernels.wipe(shares)
        self._answers.clear()
        self._waiting.clear()

    def _owners(self, holder: int) -> list[int]:
        """Whose shares a survivor holds, ascending: its dealing neighbours and itself."""
        near = (number for number in self._neighbours[holder] if number in self._dealers)
        return sorted((*near, holder))

    def _unmask(self) -> Effects:
        # A lost client's mask key is needed only where a survivor masked with it.
        lost = sorted(
            number
            for number in self._dealers - self._included
            if any(other in self._included for other in self._neighbours[number])
        )
        owners = [*sorted(self._included), *lost]
        holders = {owner: self._holders(owner) for owner in owners}
        short = [o for o in owners if len(holders[o]) < self.plan.threshold]
        if short:
            fewest = min(len(holders[owner]) for owner in short)
            yield self._too_few("sent the shares of some client", fewest, self.plan.threshold)
            return
        try:
            seeds = self._rebuild(holders)
            streams = [*self._self_masks(seeds), *self._pair_masks(lost, seeds)]
        except ShareCorrupt as error:
            yield Fail(str(error), error)
            return
        kernels.apply_masks(self._total, streams)
        kernels.ring_reduce(self._total, self.plan.ring)
        yield Done(self._total, tuple(client(number) for number in sorted(self._included)))

    def _holders(self, owner: int) -> tuple[int, ...]:
        """The first `threshold` holders of an owner's shares who answered."""
        near = (number for number in self._neighbours[owner] if number in self._answers)
        own = (owner,) if owner in self._answers else ()
        return tuple(sorted((*near, *own))[: self.plan.threshold])

    def _rebuild(self, holders: dict[int, tuple[int, ...]]) -> dict[int, Secret]:
        rows = {
            holder: {owner: row for row, owner in enumerate(self._owners(holder))}
            for holder in self._answers
        }
        owners_of: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for owner, chosen in holders.items():
            owners_of[chosen].append(owner)
        seeds: dict[int, Secret] = {}
        for chosen, owners in owners_of.items():
            columns = (
                self._answers[holder][[rows[holder][owner] for owner in owners]]
                for holder in chosen
            )
            shares = np.stack(list(columns), axis=1)
            try:
                rebuilt = shamir.combine(shares, chosen)
            except VerificationError as error:
                raise ShareCorrupt(client(owners[0]), str(error)) from None
            seeds.update(zip(owners, rebuilt, strict=True))
        return seeds

    def _self_masks(self, seeds: dict[int, Secret]) -> Iterable[MaskStream]:
        for number in sorted(self._included):
            owner = client(number)
            commitment = self_mask_commitment(self._transcript, seeds[number], owner)
            if commitment != self._commitments[number]:
                raise ShareCorrupt(owner, "the rebuilt self-mask seed is not the committed one")
            yield self_mask(self.plan, self._transcript, seeds[number], owner, -1)

    def _pair_masks(self, lost: list[int], seeds: dict[int, Secret]) -> Iterable[MaskStream]:
        for number in lost:
            key = PrivateKey(mask_keypair_seed(self.session, seeds[number], client(number)))
            if key.public != self._keys[number][1]:
                raise ShareCorrupt(client(number), "the rebuilt mask key is not the advertised one")
            for other in self._neighbours[number]:
                if other in self._included:
                    public = self._keys[other][1]
                    agreed = key.agree(public)
                    me, peer = (other, public), (number, key.public)
                    yield pair_mask(self.plan, self._transcript, agreed, me, peer, -1)

    def _too_few(self, what: str, got: int, needed: int) -> Fail:
        return Fail(
            f"phase {self.phase}: {got} of {len(self.plan.task.clients)} clients {what},"
            f" {needed} are needed"
        )
