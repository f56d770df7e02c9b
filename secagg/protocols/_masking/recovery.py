"""From the survivors' shares to the masks that are left in the sum.

Of every client whose vector came the self mask has to go, and of every client that masked and
vanished the masks that the survivors share with it. What is rebuilt is checked against the
commitment or the advertised key before it is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from secagg import kernels
from secagg.crypto import shamir
from secagg.crypto.agreement import PrivateKey
from secagg.errors import ShareCorrupt, VerificationError
from secagg.kernels import MaskStream
from secagg.protocol import Session
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.plan import (
    MaskingPlan,
    mask_keypair_seed,
    pair_mask,
    self_mask,
    self_mask_commitment,
)
from secagg.types import Secret, client


class Recovery:
    """The shares that came, and what they open.

    Args:
        session: with the plan and its threshold.
        transcript: of the session.
        keys: of every client of the cohort.
        neighbours: of every client of the cohort, ascending.
        commitments: to the self-mask seed of everyone who dealt shares.
    """

    def __init__(
        self,
        session: Session,
        transcript: bytes,
        keys: Mapping[int, PublicKeys],
        neighbours: Mapping[int, Sequence[int]],
        commitments: Mapping[int, bytes],
    ) -> None:
        assert isinstance(session.plan, MaskingPlan)  # noqa: S101
        self._session, self._plan = session, session.plan
        self._transcript = transcript
        self._keys, self._neighbours = keys, neighbours
        self._commitments = commitments
        self._shares: dict[int, shamir.Shares] = {}
        self._rows: dict[int, dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self._shares)

    def owners(self, holder: int) -> list[int]:
        """Whose shares a client holds, ascending: its dealing neighbours and itself."""
        near = (number for number in self._neighbours[holder] if number in self._commitments)
        return sorted((*near, holder))

    def take(self, holder: int, owners: Sequence[int], shares: shamir.Shares) -> None:
        """Keep what a survivor answered: one share for each of these owners, in this order."""
        self._shares[holder] = shares
        self._rows[holder] = {owner: row for row, owner in enumerate(owners)}

    def fewest(self, included: Collection[int]) -> int:
        """Of the secrets that have to be rebuilt, the smallest number of shares that came."""
        return min(len(self._holders(owner)) for owner in self._needed(included))

    def masks(self, included: Collection[int]) -> list[MaskStream]:
        """All masks that are left in the sum over these clients, to be taken off.

        Raises:
            ShareCorrupt: a rebuilt secret is not the one that its owner committed to.
        """
        seeds = self._rebuild(self._needed(included))
        return [*self._self_masks(included, seeds), *self._pair_masks(included, seeds)]

    def wipe(self) -> None:
        """Overwrite the shares."""
        for shares in self._shares.values():
            kernels.wipe(shares)
        self._shares.clear()
        self._rows.clear()

    def _lost(self, included: Collection[int]) -> list[int]:
        # A lost client's mask key is needed only where a survivor masked with it.
        return sorted(
            number
            for number in self._commitments
            if number not in included
            and any(other in included for other in self._neighbours[number])
        )

    def _needed(self, included: Collection[int]) -> list[int]:
        return [*sorted(included), *self._lost(included)]

    def _holders(self, owner: int) -> tuple[int, ...]:
        """The first `threshold` clients that answered with a share of this owner's."""
        near = (*self._neighbours[owner], owner)
        answered = (number for number in near if owner in self._rows.get(number, ()))
        return tuple(sorted(answered)[: self._plan.threshold])

    def _rebuild(self, needed: Sequence[int]) -> dict[int, Secret]:
        owners_of: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for owner in needed:
            owners_of[self._holders(owner)].append(owner)
        seeds: dict[int, Secret] = {}
        for holders, owners in owners_of.items():
            columns = (
                self._shares[holder][[self._rows[holder][owner] for owner in owners]]
                for holder in holders
            )
            shares = np.stack(list(columns), axis=1)
            try:
                rebuilt = shamir.combine(shares, holders)
            except VerificationError:
                seeds.update(self._one_by_one(owners, holders, shares))
            else:
                seeds.update(zip(owners, rebuilt, strict=True))
        return seeds

    def _one_by_one(
        self, owners: Sequence[int], holders: Sequence[int], shares: shamir.Shares
    ) -> Iterator[tuple[int, Secret]]:
        """Where one of several secrets is wrong: which."""
        for owner, row in zip(owners, shares, strict=True):
            try:
                (seed,) = shamir.combine(row[np.newaxis], holders)
            except VerificationError as error:
                raise ShareCorrupt(client(owner), str(error)) from None
            yield owner, seed

    def _self_masks(
        self, included: Collection[int], seeds: Mapping[int, Secret]
    ) -> Iterator[MaskStream]:
        for number in sorted(included):
            owner = client(number)
            commitment = self_mask_commitment(self._transcript, seeds[number], owner)
            if commitment != self._commitments[number]:
                raise ShareCorrupt(owner, "the rebuilt self-mask seed is not the committed one")
            yield self_mask(self._plan, self._transcript, seeds[number], owner, -1)

    def _pair_masks(
        self, included: Collection[int], seeds: Mapping[int, Secret]
    ) -> Iterator[MaskStream]:
        for number in self._lost(included):
            key = PrivateKey(mask_keypair_seed(self._session, seeds[number], client(number)))
            if key.public != self._keys[number].mask:
                raise ShareCorrupt(client(number), "the rebuilt mask key is not the advertised one")
            for other in self._neighbours[number]:
                if other in included:
                    public = self._keys[other].mask
                    agreed = key.agree(public)
                    me, peer = (other, public), (number, key.public)
                    yield pair_mask(self._plan, self._transcript, agreed, me, peer, -1)
