"""The rounds before the graph, as a server that lies may play them at level `malicious`.

It shows whom it likes what it likes: roots over any of the keys that were advertised, rounds of the
beacon that it prefers, books on the graph that follows, and what neighbours dealt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from secagg.audit.adversary.dialect import plan_of, rows_of
from secagg.audit.adversary.network import Network
from secagg.crypto.merkle import MerkleTree, padded, padded_count, path_size
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    ROUND_BYTES,
    SEALED_OPENINGS_BYTES,
    CohortRoot,
    CommittedBundle,
    CommittedShares,
    SignedKeyBook,
    SignedKeys,
)
from secagg.protocols._masking.authenticated.statements import graph_seed, keys_leaf
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import encode_numbers
from secagg.protocols._masking.neighbourhood import Neighbourhood
from secagg.types import client


class Cohort:
    """Everybody who advertised keys, and a graph for every round of the beacon.

    Args:
        network: on which they did.
        instead: what corrupt clients advertise instead, by roster index.
    """

    def __init__(self, network: Network, instead: Mapping[int, SignedKeys] | None = None) -> None:
        self._network = network
        self._plan = plan_of(network.session)
        said = (seen for seen in network.seen if isinstance(seen.message, SignedKeys))
        signed = {seen.sender.number: seen.message for seen in said} | dict(instead or {})
        self._signed = {
            number: message for number, message in signed.items() if isinstance(message, SignedKeys)
        }
        self._members = sorted(self._signed)
        self._bitmap = encode_bitmap(network.clients, self._members)
        self._tree = MerkleTree(padded([self._leaf(number) for number in self._members]))

    def neighbours(self, number: int, beacon_round: int, value: bytes) -> list[int]:
        """A client's neighbours, if the graph were drawn from this value of this round."""
        return self._hood(beacon_round, value).neighbours(number)

    def root(self, number: int, beacon_round: int) -> CohortRoot:
        """What a client is shown before there is a graph."""
        path = self._path(number)
        return CohortRoot(self._bitmap, self._tree.root, path, _encode(beacon_round))

    def book(self, number: int, beacon_round: int, value: bytes) -> SignedKeyBook:
        """What a client is shown of its neighbours."""
        near = self.neighbours(number, beacon_round, value)
        signed = [self._signed[other] for other in near]
        return SignedKeyBook(
            cohort=self._bitmap,
            cohort_root=self._tree.root,
            beacon=value,
            neighbours=encode_numbers(near),
            keys=b"".join(one.channel_key + one.mask_key for one in signed),
            models=b"".join(one.model_digest for one in signed),
            signatures=b"".join(one.signature for one in signed),
            paths=b"".join(self._path(other) for other in sorted((*near, number))),
        )

    def bundle(
        self, number: int, beacon_round: int, value: bytes, among: Collection[int]
    ) -> CommittedBundle:
        """What a client's neighbours among these dealt to it.

        The audit paths are left blank: nobody looks at them where the shares are good.
        """
        hood = self._hood(beacon_round, value)
        dealt = {
            seen.sender.number: seen.message
            for seen in self._network.seen
            if isinstance(seen.message, CommittedShares)
        }
        dealers = [other for other in hood.neighbours(number) if other in among and other in dealt]
        sealed, pairs = [], []
        for dealer in dealers:
            message, near = dealt[dealer], hood.neighbours(dealer)
            assert isinstance(message, CommittedShares)  # noqa: S101
            sealed.append(rows_of(message.sealed, SEALED_OPENINGS_BYTES)[near.index(number)])
            place, _ = hood.place(number, dealer)
            pairs.append(rows_of(message.commitments, COMMITMENT_PAIR_BYTES)[place])
        blank = bytes(path_size(0, padded_count(self._plan.degree + 1)))
        said = [dealt[dealer] for dealer in dealers]
        return CommittedBundle(
            dealers=encode_numbers(dealers),
            sealed=b"".join(sealed),
            commitments=b"".join(pairs),
            seed_commitments=b"".join(
                one.commitment for one in said if isinstance(one, CommittedShares)
            ),
            paths=blank * len(dealers),
            signatures=b"".join(one.signature for one in said if isinstance(one, CommittedShares)),
        )

    def _hood(self, beacon_round: int, value: bytes) -> Neighbourhood:
        fixed = (self._bitmap, self._tree.root, _encode(beacon_round))
        seed = graph_seed(self._network.session.id, *fixed, value)
        return Neighbourhood(self._plan, self._bitmap, seed)

    def _path(self, number: int) -> bytes:
        return self._tree.path(self._members.index(number))

    def _leaf(self, number: int) -> bytes:
        message = self._signed[number]
        keys = PublicKeys(message.channel_key, message.mask_key)
        return keys_leaf(client(number), keys, message.signature)


def _encode(beacon_round: int) -> bytes:
    return beacon_round.to_bytes(ROUND_BYTES, "little")
