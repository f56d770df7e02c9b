"""What the server of pairwise masking can work out from the frames that pass it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from attacks.adversary import Seen, plan_of

from secagg import kernels
from secagg.crypto import shamir
from secagg.crypto.agreement import PrivateKey
from secagg.protocol import Session
from secagg.protocol.cohort import decode_bitmap
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.messages import (
    SEALED_SHARES_BYTES,
    AdvertiseKeys,
    KeyBook,
    MaskedVector,
    ShareBundle,
    ShareKeys,
    UnmaskRequest,
    UnmaskShares,
    decode_numbers,
)
from secagg.protocols._masking.plan import mask_keypair_seed, pair_mask, self_mask, transcript
from secagg.types import RingVector, Role, Secret, client
from secagg.wire import Message

Kind: TypeAlias = Literal["mask", "self"]
KINDS: Final[tuple[Kind, Kind]] = ("mask", "self")
Row: TypeAlias = npt.NDArray[np.uint64]


class ServerView:
    """What a server of pairwise masking works out from the frames of one session."""

    def __init__(self, session: Session, seen: Iterable[Seen]) -> None:
        self.session = session
        self.plan = plan_of(session)
        self.keys: dict[int, tuple[bytes, bytes]] = {}
        self.transcript = b""
        self.neighbours: dict[int, tuple[int, ...]] = {}
        self.partners: dict[int, tuple[int, ...]] = {}
        self.sealed: dict[int, dict[int, bytes]] = {}
        self.vectors: dict[int, RingVector] = {}
        self.shares: dict[Kind, dict[int, dict[int, Row]]] = {kind: {} for kind in KINDS}
        self._asked: dict[int, frozenset[int]] = {}
        for item in seen:
            who = item.recipient if item.sender.role is Role.SERVER else item.sender
            self._note(who.number, item.message)

    def _note(self, number: int, message: Message) -> None:
        match message:
            case AdvertiseKeys():
                self.keys[number] = (message.channel_key, message.mask_key)
            case KeyBook():
                self.transcript = transcript(self.session, message.cohort_root, message.graph_seed)
                self.neighbours[number] = decode_numbers(message.neighbours)
            case ShareKeys():
                self.sealed[number] = dict(
                    zip(self.neighbours[number], in_rows(message.sealed), strict=True)
                )
            case ShareBundle():
                self.partners[number] = decode_numbers(message.dealers)
            case MaskedVector():
                self.vectors[number] = kernels.unpack(
                    message.tail, self.plan.ring, self.plan.task.length
                )
            case UnmaskRequest():
                self._asked[number] = decode_bitmap(self.plan.task.clients, message.included)
            case UnmaskShares():
                owners = sorted((*self.partners[number], number))
                rows = shamir.decode_shares(message.shares)
                for owner, row in zip(owners, rows, strict=True):
                    self.learn(
                        "self" if owner in self._asked[number] else "mask", owner, number, row
                    )

    def learn(self, kind: Kind, owner: int, holder: int, row: Row) -> None:
        """Note one share, however it came."""
        self.shares[kind].setdefault(owner, {})[holder] = row

    def collude(self, corrupt: MaskingClient) -> None:
        """Take all the shares that a corrupt client holds."""
        for owner, both in corrupt._shares.items():
            for kind, row in zip(KINDS, shamir.decode_shares(both.reveal()), strict=True):
                self.learn(kind, owner, corrupt.me.number, row)

    def rebuild(self, kind: Kind, owner: int, threshold: int | None = None) -> Secret:
        """A seed from shares, as many as are needed or as there are.

        Raises:
            VerificationError: they are not enough.
        """
        known = self.shares[kind].get(owner, {})
        holders = sorted(known)[: threshold or self.plan.threshold]
        (seed,) = shamir.combine(np.stack([known[h] for h in holders])[None], holders)
        return seed

    def agreements(self, number: int, mask_seed: Secret) -> dict[int, Secret]:
        """All pair secrets of a client whose mask seed is known."""
        key = self.mask_key(number, mask_seed)
        return {peer: key.agree(self.keys[peer][1]) for peer in self.partners[number]}

    def mask_key(self, number: int, mask_seed: Secret) -> PrivateKey:
        return PrivateKey(mask_keypair_seed(self.session, mask_seed, client(number)))

    def strip(
        self, number: int, self_seed: Secret | None, agreed: Mapping[int, Secret]
    ) -> RingVector:
        """A client's vector without the masks that these secrets give."""
        vector, plan, me = self.vectors[number].copy(), self.plan, (number, self.keys[number][1])
        streams = [
            pair_mask(plan, self.transcript, secret, me, (peer, self.keys[peer][1]), -1)
            for peer, secret in agreed.items()
        ]
        if self_seed is not None:
            streams.append(self_mask(plan, self.transcript, self_seed, client(number), -1))
        kernels.apply_masks(vector, streams)
        kernels.ring_reduce(vector, plan.ring)
        return vector

    def open_vector(self, number: int) -> RingVector:
        """A client's input, from shares of both its seeds.

        Raises:
            VerificationError: the shares are not enough.
        """
        agreed = self.agreements(number, self.rebuild("mask", number))
        return self.strip(number, self.rebuild("self", number), agreed)


def in_rows(sealed: bytes) -> list[bytes]:
    """The sealed pairs of shares in a column."""
    size = SEALED_SHARES_BYTES
    return [sealed[start : start + size] for start in range(0, len(sealed), size)]
