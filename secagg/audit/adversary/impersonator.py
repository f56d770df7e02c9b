"""A server that stands in for all neighbours of one client, which talks to nobody else.

It needs, for each neighbour, two keys to name in the key book and the secret that the client will
agree on over the channel key. Where these come from is what the attacks differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from secagg.audit.adversary.dialect import commit, dialect_of, plan_of
from secagg.audit.adversary.network import Network
from secagg.audit.adversary.view import KINDS, ServerView
from secagg.crypto import aead, kdf
from secagg.crypto.agreement import PrivateKey
from secagg.crypto.digest import DIGEST_BYTES
from secagg.crypto.merkle import MerkleTree, padded, padded_count, path_size
from secagg.crypto.rng import seeded
from secagg.crypto.signing import SIGNATURE_BYTES
from secagg.protocol import Level
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    ROUND_BYTES,
    CohortRoot,
    CommittedBundle,
    SignedKeyBook,
    SignedKeys,
)
from secagg.protocols._masking.keyring import SHARE_STEP, PublicKeys
from secagg.protocols._masking.messages import KeyBook, ShareBundle, encode_numbers
from secagg.protocols._masking.plan import cohort_root
from secagg.types import PartyId, RingVector, Secret, client
from secagg.wire import Message

FORGED = bytes(SIGNATURE_BYTES)
NAMED_ROUND = 5
"""Of the beacon, where there is one: still to come when a session begins."""


@dataclass(frozen=True)
class Mask:
    """What the client takes for a neighbour.

    Attributes:
        channel_key: as the key book says.
        mask_key: as well.
        agree: from the client's channel key to the secret that it has with this neighbour.
        signature: on the keys, where keys are signed.
        model: that was signed with them; by default the client's own.
    """

    channel_key: bytes
    mask_key: bytes
    agree: Callable[[bytes], Secret]
    signature: bytes = FORGED
    model: bytes | None = None

    @property
    def keys(self) -> PublicKeys:
        """Both keys."""
        return PublicKeys(self.channel_key, self.mask_key)


def own_keys(number: int) -> Mask:
    """Keys that the adversary made for this neighbour."""
    channel, mask = (PrivateKey(Secret(bytes((number, kind)) * 16)) for kind in (1, 2))
    return Mask(channel.public, mask.public, channel.agree)


def all_but(network: Network, victim: PartyId) -> list[int]:
    """The roster indices of everybody but the victim."""
    return [who.number for who in network.clients if who != victim]


class Impersonation:
    """The victim's session, with everybody else played by the adversary.

    Args:
        network: on the complete graph, with nobody present but the victim.
        victim: an honest client.
        masks: who it takes part with, by roster index.
    """

    def __init__(self, network: Network, victim: PartyId, masks: Mapping[int, Mask]) -> None:
        assert set(network.parties) == {victim}  # noqa: S101
        self.network, self.victim, self.masks = network, victim, masks
        self.numbers = sorted(masks)
        self._plan, self._dialect = plan_of(network.session), dialect_of(network.plan)
        self._offered = network.protocol.at(self._plan.task.level).messages

    def open_input(self) -> RingVector:
        """The victim's input, from its own frames.

        Raises:
            RemoteProtocolError: what the victim refused.
        """
        self.network.run()
        if CohortRoot in self._offered:
            self._tell(self._root())
            self.network.beacon_round = NAMED_ROUND
        self._tell(self._book())
        rows = self._dealt_by_victim()
        self._tell(self._bundle(rows))
        view = self._view()
        for number, both in rows.items():
            for kind, row in zip(KINDS, self._dialect.pair(both), strict=True):
                view.learn(kind, self.victim.number, number, row)
        return view.open_vector(self.victim.number)

    def _tell(self, message: Message) -> None:
        failure = self.network.tell(self.victim, message)
        if failure is not None and failure.error is not None:
            raise failure.error

    def _view(self) -> ServerView:
        view = ServerView.of(self.network)
        view.keys |= {n: (mask.channel_key, mask.mask_key) for n, mask in self.masks.items()}
        return view

    def _book(self) -> Message:
        clients, keys = self._plan.task.clients, self._view().keys
        cohort, numbers = encode_bitmap(clients, keys), encode_numbers(self.numbers)
        column = b"".join(key for n in self.numbers for key in keys[n])
        if self._plan.task.level is not Level.MALICIOUS:
            root = cohort_root([(n, *keys[n]) for n in sorted(keys)])
            return KeyBook(cohort, root, b"", numbers, column)
        (own,) = (m for m in self.network.said(self.victim) if isinstance(m, SignedKeys))
        drawn = CohortRoot in self._offered
        return SignedKeyBook(
            cohort=cohort,
            cohort_root=self._tree().root,
            beacon=self.network.beacon(NAMED_ROUND) if drawn else b"",
            neighbours=numbers,
            keys=column,
            models=b"".join(self.masks[n].model or own.model_digest for n in self.numbers),
            signatures=b"".join(self.masks[n].signature for n in self.numbers),
            paths=b"",
        )

    def _root(self) -> CohortRoot:
        """What the victim is shown where the graph is drawn from a beacon."""
        numbers = sorted(self._view().keys)
        tree, cohort = self._tree(), encode_bitmap(self._plan.task.clients, numbers)
        path = tree.path(numbers.index(self.victim.number))
        return CohortRoot(cohort, tree.root, path, NAMED_ROUND.to_bytes(ROUND_BYTES, "little"))

    def _tree(self) -> MerkleTree:
        """Over everybody's keys, as they are signed, or not."""
        keys = self._view().keys
        (own,) = (m for m in self.network.said(self.victim) if isinstance(m, SignedKeys))
        signatures = {n: mask.signature for n, mask in self.masks.items()}
        signatures[self.victim.number] = own.signature
        leaves = [
            statements.keys_leaf(client(n), PublicKeys(*keys[n]), signatures[n])
            for n in sorted(keys)
        ]
        return MerkleTree(padded(leaves))

    def _dealt_by_victim(self) -> dict[int, bytes]:
        sealed = self._view().sealed[self.victim.number]
        rows = {}
        for number in self.numbers:
            key, place = self._channel(number, self.victim, client(number))
            rows[number] = aead.open_sealed(key, sealed[number], place).reveal()
        return rows

    def _bundle(self, rows: Mapping[int, bytes]) -> Message:
        """For want of other shares the victim is dealt its own ones."""
        sealed = b""
        for number in self.numbers:
            key, place = self._channel(number, client(number), self.victim)
            sealed += aead.seal(key, rows[number], place, seeded(number))
        numbers, count = encode_numbers(self.numbers), len(self.numbers)
        if self._plan.task.level is not Level.MALICIOUS:
            return ShareBundle(numbers, sealed)
        transcript = self._view().transcript
        pairs = (
            commit(self._dialect, transcript, rows[number], client(number), self.victim)
            for number in self.numbers
        )
        # Nobody looks at what is signed as long as the shares open and fit.
        return CommittedBundle(
            dealers=numbers,
            sealed=sealed,
            commitments=b"".join(pairs),
            seed_commitments=bytes(DIGEST_BYTES * count),
            paths=bytes(path_size(0, padded_count(count + 1)) * count),
            signatures=FORGED * count,
        )

    def _channel(self, number: int, sender: PartyId, receiver: PartyId) -> tuple[Secret, bytes]:
        view = self._view()
        key = kdf.derive(
            self.masks[number].agree(view.keys[self.victim.number][0]),
            context=view.transcript,
            purpose=kdf.Purpose.CHANNEL,
            parties=(sender, receiver),
        )
        place = (self._plan.protocol, view.transcript, SHARE_STEP, sender, receiver)
        return key, aead.associated_data(*place)


def impersonate(
    network: Network, victim: PartyId, masks: Mapping[int, Mask] | Collection[int]
) -> RingVector:
    """The victim's input, from its own frames, with all others played by the adversary.

    Args:
        network: on the complete graph, with nobody present but the victim.
        victim: an honest client.
        masks: who it takes part with; of bare roster indices with keys of the adversary's own.

    Raises:
        RemoteProtocolError: what the victim refused.
    """
    if not isinstance(masks, Mapping):
        masks = {number: own_keys(number) for number in masks}
    return Impersonation(network, victim, masks).open_input()
