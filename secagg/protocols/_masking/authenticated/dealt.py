"""What one client dealt, as the server keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from secagg.crypto.merkle import MerkleTree
from secagg.protocols._masking import checks
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    SEALED_OPENINGS_BYTES,
    CommittedShares,
)
from secagg.types import PartyId


class Dealt:
    """A dealer's sealed shares until they are relayed, and its commitments until they are opened.

    Attributes:
        dealer: who dealt.
        seed_commitment: to its self-mask seed.
        signature: on `root` and `seed_commitment`.
        root: over all that it dealt.
    """

    def __init__(
        self, dealer: PartyId, neighbours: Sequence[int], message: CommittedShares
    ) -> None:
        """Take a message apart.

        Raises:
            RemoteProtocolError: a column has another size.
        """
        holders = sorted((*neighbours, dealer.number))
        sealed = checks.read_rows(
            message.sealed, SEALED_OPENINGS_BYTES, len(neighbours), "sealed shares", dealer
        )
        self._pairs = dict(
            zip(
                holders,
                checks.read_rows(
                    message.commitments, COMMITMENT_PAIR_BYTES, len(holders), "commitments", dealer
                ),
                strict=True,
            )
        )
        self._places = {number: place for place, number in enumerate(holders)}
        self._sealed = dict(zip(sorted(neighbours), sealed, strict=True))
        self._tree: MerkleTree | None = statements.share_tree(
            dealer, holders, sealed, message.commitments
        )
        self.dealer = dealer
        self.seed_commitment = message.commitment
        self.signature = message.signature
        self.root = self._tree.root

    def sealed(self, holder: int) -> bytes:
        """The sealed shares for a neighbour."""
        return self._sealed[holder]

    def pair(self, holder: int) -> bytes:
        """The two commitments to a holder's shares."""
        return self._pairs[holder]

    def path(self, holder: int) -> bytes:
        """The audit path of a holder's leaf."""
        assert self._tree is not None  # noqa: S101
        return self._tree.path(self._places[holder])

    def relayed(self) -> None:
        """Drop what the holders have now."""
        self._sealed.clear()
        self._tree = None
