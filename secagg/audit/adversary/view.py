"""What the server of pairwise masking can work out from the frames that pass it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import numpy as np

from secagg import kernels
from secagg.audit.adversary.accomplice import Accomplice
from secagg.audit.adversary.dialect import Row, dialect_of, plan_of, rows_of
from secagg.audit.adversary.network import Network, Seen
from secagg.crypto import shamir
from secagg.crypto.agreement import PrivateKey
from secagg.errors import VerificationError
from secagg.protocol import Session
from secagg.protocol.cohort import decode_bitmap
from secagg.protocols._masking.authenticated.messages import (
    CohortRoot,
    CommittedBundle,
    CommittedShares,
    SignedAnswer,
    SignedKeyBook,
    SignedKeys,
    SignedVector,
    SurvivorList,
    SurvivorSignature,
)
from secagg.protocols._masking.authenticated.statements import graph_seed
from secagg.protocols._masking.messages import (
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


class ServerView:
    """What a server of pairwise masking works out from the frames of one session.

    Everything is by roster index.

    Attributes:
        keys: the channel key and the mask key that each client advertised.
        transcript: of the session; of the last key book if there are several.
        neighbours: of each client that was given a key book.
        partners: whom each client masks with: those whose shares it was given.
        sealed: what each client dealt, by holder.
        vectors: the masked vectors.
        complaints: the dealers of whom a client has no valid share.
        shares: by kind and owner those that are known, by holder.
        survivors: the last list that each client was asked about, as its message.
        signatures: on the lists, by client.
    """

    def __init__(self, session: Session, seen: Iterable[Seen]) -> None:
        self.session = session
        self.plan = plan_of(session)
        self.dialect = dialect_of(session.plan)
        self.keys: dict[int, tuple[bytes, bytes]] = {}
        self.transcript = b""
        self.neighbours: dict[int, tuple[int, ...]] = {}
        self.partners: dict[int, tuple[int, ...]] = {}
        self.sealed: dict[int, dict[int, bytes]] = {}
        self.vectors: dict[int, RingVector] = {}
        self.complaints: dict[int, tuple[int, ...]] = {}
        self.shares: dict[Kind, dict[int, dict[int, Row]]] = {kind: {} for kind in KINDS}
        self.survivors: dict[int, SurvivorList | UnmaskRequest] = {}
        self.signatures: dict[int, bytes] = {}
        self._beacon_round = b""
        for item in seen:
            who = item.recipient if item.sender.role is Role.SERVER else item.sender
            self._note(who.number, item.message)

    @classmethod
    def of(cls, network: Network) -> ServerView:
        """Of all that crossed a network so far."""
        return cls(network.session, network.seen)

    def _note(self, number: int, message: Message) -> None:
        match message:
            case AdvertiseKeys() | SignedKeys():
                self.keys[number] = (message.channel_key, message.mask_key)
            case CohortRoot():
                self._beacon_round = message.beacon_round
            case KeyBook() | SignedKeyBook():
                self.transcript = transcript(
                    self.session, message.cohort_root, self._graph_seed(message)
                )
                self.neighbours[number] = decode_numbers(message.neighbours)
            case ShareKeys() | CommittedShares():
                rows = self.dialect.rows(message.sealed)
                self.sealed[number] = dict(zip(self.neighbours[number], rows, strict=True))
            case ShareBundle() | CommittedBundle():
                self.partners[number] = decode_numbers(message.dealers)
            case MaskedVector() | SignedVector():
                self.vectors[number] = kernels.unpack(
                    message.tail, self.plan.ring, self.plan.task.length
                )
                if isinstance(message, SignedVector):
                    self.complaints[number] = decode_numbers(message.complaints)
            case UnmaskRequest() | SurvivorList():
                self.survivors[number] = message
            case SurvivorSignature():
                self.signatures[number] = message.signature
            case UnmaskShares():
                self._learn_answer(number, message.shares)
            case SignedAnswer():
                self._learn_answer(number, message.openings)

    def _graph_seed(self, book: KeyBook | SignedKeyBook) -> bytes:
        if isinstance(book, KeyBook):
            return book.graph_seed
        if not book.beacon:
            return b""
        fixed = (book.cohort, book.cohort_root, self._beacon_round)
        return graph_seed(self.session.id, *fixed, book.beacon)

    def _learn_answer(self, number: int, column: bytes) -> None:
        clients = self.plan.task.clients
        included = decode_bitmap(clients, self.survivors[number].included)
        given = set(self.partners[number]) - set(self.complaints.get(number, ()))
        owners = sorted((*given, number))
        for owner, row in zip(owners, rows_of(column, self.dialect.share_bytes), strict=True):
            kind: Kind = "self" if owner in included else "mask"
            self.learn(kind, owner, number, self.dialect.share(row))

    def learn(self, kind: Kind, owner: int, holder: int, row: Row) -> None:
        """Note one share, however it came."""
        self.shares[kind].setdefault(owner, {})[holder] = row

    def collude(self, corrupt: Accomplice) -> None:
        """Take all the shares that a corrupt client holds."""
        for owner, both in corrupt.shares().items():
            for kind, row in zip(KINDS, both, strict=True):
                self.learn(kind, owner, corrupt.number, row)

    def rebuild(self, kind: Kind, owner: int, threshold: int | None = None) -> Secret:
        """A seed from shares, as many as are needed or as there are.

        Raises:
            VerificationError: they are not enough.
        """
        known = self.shares[kind].get(owner, {})
        if not known:
            raise VerificationError(f"no share of the {kind} seed of client {owner} is known")
        holders = sorted(known)[: threshold or self.plan.threshold]
        (seed,) = shamir.combine(np.stack([known[h] for h in holders])[None], holders)
        return seed

    def agreements(self, number: int, mask_seed: Secret) -> dict[int, Secret]:
        """All pair secrets of a client whose mask seed is known."""
        key = self.mask_key(number, mask_seed)
        return {peer: key.agree(self.keys[peer][1]) for peer in self.partners[number]}

    def mask_key(self, number: int, mask_seed: Secret) -> PrivateKey:
        """The key pair that follows from a client's mask seed."""
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
