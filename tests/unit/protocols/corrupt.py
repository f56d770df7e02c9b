"""Clients of level `malicious` that deal or answer badly, in all else as the protocol says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
import pytest
from unit.protocols.table import Table, flipped

from secagg.crypto import shamir
from secagg.errors import VerificationError
from secagg.protocols._masking.authenticated.messages import OPENING_BYTES, SALT_BYTES
from secagg.types import PartyId, Rng, Secret

Change = Callable[[bytes], bytes]

UNCANONICAL: Final = b"\xff" * shamir.SHARE_BYTES


def seal_otherwise(
    patch: pytest.MonkeyPatch, table: Table, dealer: int, holders: Collection[int], change: Change
) -> None:
    """What these holders are sealed is not what is committed to; the dealer signs all of it."""
    keyring = table.client(dealer)._keys
    seal = keyring.seal

    def other(holder: PartyId, plaintext: bytes, rng: Rng) -> bytes:
        bad = holder.number in holders
        return seal(holder, change(plaintext) if bad else plaintext, rng)

    patch.setattr(keyring, "seal", other)


def seal_garbage(
    patch: pytest.MonkeyPatch, table: Table, dealer: int, holders: Collection[int]
) -> None:
    """What these holders get does not open at all, and the dealer signs that too."""
    keyring = table.client(dealer)._keys
    seal = keyring.seal

    def other(holder: PartyId, plaintext: bytes, rng: Rng) -> bytes:
        sealed = seal(holder, plaintext, rng)
        return flipped(sealed, -1) if holder.number in holders else sealed

    patch.setattr(keyring, "seal", other)


def commit_otherwise(
    patch: pytest.MonkeyPatch, table: Table, dealer: int, holders: Collection[int], half: int
) -> None:
    """The commitment to one half (0: mask share, 1: self share) is to something else."""
    party = table.client(dealer)
    commit = party._commit

    def other(number: int, both: bytes) -> bytes:
        pair = commit(number, both)
        return flipped(pair, 32 * half) if number in holders else pair

    patch.setattr(party, "_commit", other)


def deal_otherwise(
    patch: pytest.MonkeyPatch, table: Table, dealer: int, holders: Collection[int], change: Change
) -> None:
    """These holders' openings are others, to which the dealer commits."""
    party = table.client(dealer)
    share = party._share

    def other(numbers: Sequence[int]) -> dict[int, bytes]:
        openings = share(numbers)
        return {n: change(one) if n in holders else one for n, one in openings.items()}

    patch.setattr(party, "_share", other)


def share_another_secret(patch: pytest.MonkeyPatch, table: Table, dealer: int, which: str) -> None:
    """The shares of `mask_seed` or `self_seed` are well dealt, and make another secret."""
    party = table.client(dealer)
    share, keyring = party._share, party._keys

    def other(numbers: Sequence[int]) -> dict[int, bytes]:
        with pytest.MonkeyPatch.context() as briefly:
            briefly.setattr(keyring, which, Secret(bytes(range(32))))
            return share(numbers)

    patch.setattr(party, "_share", other)


def complain_of(
    patch: pytest.MonkeyPatch, table: Table, holder: int, dealers: Collection[int]
) -> None:
    """The holder says that what these dealt to it is not valid."""
    party = table.client(holder)
    opened = party._open_shares

    def other(dealer: PartyId, sealed: bytes, pair: bytes) -> Secret:
        if dealer.number in dealers:
            raise VerificationError("it is, but I say that it is not")
        return opened(dealer, sealed, pair)

    patch.setattr(party, "_open_shares", other)


def answer_otherwise(
    patch: pytest.MonkeyPatch, table: Table, holder: int, owners: Collection[int], change: Change
) -> None:
    """The holder answers with other shares of these dealers, and signs them."""
    party = table.client(holder)
    half = party._half

    def other(dealer: int, kind: bytes) -> bytes:
        opening = half(dealer, kind)
        return change(opening) if dealer in owners else opening

    patch.setattr(party, "_half", other)


def another_share(opening: bytes) -> bytes:
    """A canonical share, but not this one."""
    return flipped(opening)


def another_salt(opening: bytes) -> bytes:
    return flipped(opening, OPENING_BYTES - SALT_BYTES)


def no_share(opening: bytes) -> bytes:
    """What is not below the prime."""
    return UNCANONICAL + opening[shamir.SHARE_BYTES :]


def off_the_polynomial(opening: bytes) -> bytes:
    """Canonical shares of both secrets that do not lie on the dealer's polynomials."""
    rows = [opening[:OPENING_BYTES], opening[OPENING_BYTES:]]
    moved = []
    for row in rows:
        share = shamir.decode_shares(row[:-SALT_BYTES])
        wrong = (share + np.uint64(12345678901)) % np.uint64(shamir.PRIME)
        moved.append(shamir.encode_shares(wrong) + row[-SALT_BYTES:])
    return b"".join(moved)
