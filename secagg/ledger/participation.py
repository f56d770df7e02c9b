"""Who took part in which sum, and what two or more sums say of a few clients (differencing, A10).

Two sums over cohorts that differ by one client differ by that client's input, if the others put in
the same again; with more sums the same follows from any combination of them. Fresh keys do not
help, for both sums are right. On one model and configuration clients compute much the same, so
there a second sum over nearly the same cohort is refused; on another model it is only reported.

Whoever knows cohorts can keep this: an honest server before it asks for shares, an auditor, and a
client for the sums that it is asked to release. A client is never told of a sum that leaves it out:
alone it protects others in the sums that it is in, and relies on others for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from secagg.errors import DecodeError, NearIdenticalCohort, ParameterError
from secagg.protocol import Session
from secagg.types import PartyId

LEAST: Final = 3
"""Clients by which two cohorts on one model differ at least, or not at all: as `min_clients`."""

PRIME: Final = (1 << 61) - 1
"""Combinations of sums are looked for modulo this: one over the integers is one modulo it too."""


class Taken(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who took part in one sum.

    Attributes:
        session: its id.
        training_round: that it served.
        model: the digest of the model and configuration that it was on.
        included: roster indices, ascending.

    Raises:
        ParameterError: nobody is included, or the indices do not ascend from 0 or more.
    """

    session: bytes
    training_round: int
    model: bytes
    included: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (-1, *self.included)
        ascending = all(low < high for low, high in pairwise(numbers))
        if not self.included or not ascending:
            raise ParameterError(f"expected ascending roster indices, got {self.included}")

    @classmethod
    def of(cls, session: Session, included: Iterable[PartyId]) -> Taken:
        """Of a session, and over whom its sum is."""
        numbers = tuple(sorted(who.number for who in included))
        return cls(session.id, session.training_round, session.model_digest, numbers)


@dataclass(frozen=True)
class Overlap:
    """Two sums over nearly the same clients.

    Attributes:
        earlier: the one on record.
        differing: roster indices of the clients that are in one of the two only.
        same_model: whether both are on one model and configuration.
    """

    earlier: Taken
    differing: tuple[int, ...]
    same_model: bool


class Participation:
    """A record of sums, of one job and roster.

    Args:
        least: clients by which two cohorts have to differ, unless they are equal.

    Raises:
        ParameterError: `least` is below 2, with which nothing would be refused.
    """

    def __init__(self, least: int = LEAST) -> None:
        if least < 2:
            raise ParameterError(f"a least difference of cohorts is 2 or more, got {least}")
        self.least = least
        self._sums: list[Taken] = []

    @property
    def sums(self) -> Sequence[Taken]:
        """What is on record, oldest first."""
        return tuple(self._sums)

    def add(self, taken: Taken) -> None:
        """Put a sum on record, whatever `check` says of it: it was released.

        Raises:
            ParameterError: the session is on record with another cohort.
        """
        known = [one for one in self._sums if one.session == taken.session]
        if known and known != [taken]:
            raise ParameterError(
                f"session {taken.session.hex()[:16]} is on record with another cohort"
            )
        if not known:
            self._sums.append(taken)

    def overlaps(self, taken: Taken) -> tuple[Overlap, ...]:
        """The sums on record whose cohort is nearly this one's, on whatever model."""
        found = []
        for one in self._sums:
            differing = set(one.included) ^ set(taken.included)
            if 0 < len(differing) < self.least:
                same = one.model == taken.model
                found.append(Overlap(one, tuple(sorted(differing)), same))
        return tuple(found)

    def singled_out(self, model: bytes, also: Taken | None = None) -> tuple[int, ...]:
        """Clients whose input follows from the sums on one model, if it was the same in all.

        Args:
            model: the digest.
            also: a sum that is not on record, reckoned with them if it is on this model.
        """
        sums = [one for one in (*self._sums, *((also,) if also else ())) if one.model == model]
        return _units(tuple(one.included for one in sums))

    def check(self, taken: Taken) -> None:
        """Refuse a sum that, with those on record for its model, says something of a few clients.

        Raises:
            NearIdenticalCohort: with whom it differs too little, or whom all of them single out.
        """
        for one in self.overlaps(taken):
            if one.same_model:
                raise NearIdenticalCohort(
                    one.differing,
                    f"expected a cohort that differs by none or {self.least} or more from that of"
                    f" session {one.earlier.session.hex()[:16]} on the same model, got one that"
                    f" differs by {len(one.differing)}",
                )
        before = self.singled_out(taken.model)
        alone = tuple(n for n in self.singled_out(taken.model, taken) if n not in before)
        if alone:
            raise NearIdenticalCohort(
                alone, f"with the sums on record for its model it singles out {len(alone)} clients"
            )

    def encode(self) -> bytes:
        """All of it, for its keeper to store. It holds no secret: servers know it anyway."""
        return msgspec.msgpack.encode((self.least, self._sums))

    @classmethod
    def decode(cls, data: bytes) -> Participation:
        """The inverse of `encode`.

        Raises:
            DecodeError: not such a record.
        """
        try:
            least, sums = msgspec.msgpack.decode(data, type=tuple[int, list[Taken]])
            record = cls(least)
            for one in sums:
                record.add(one)
        except (msgspec.MsgspecError, ParameterError) as error:
            raise DecodeError(f"not a record of participation: {error}") from None
        if record.encode() != data:
            raise DecodeError("not the one encoding of a record of participation")
        return record


def _units(cohorts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The clients of whom some combination of the cohorts holds once, and nobody else.

    Gauss and Jordan modulo `PRIME`: the reduced rows have one of a single entry for each of them.
    """
    rows: dict[int, dict[int, int]] = {}
    for cohort in cohorts:
        row = dict.fromkeys(cohort, 1)
        for pivot in [number for number in row if number in rows]:
            row = _less(row, rows[pivot], row.get(pivot, 0))
        if not row:
            continue
        pivot = min(row)
        inverse = pow(row[pivot], -1, PRIME)
        row = {number: value * inverse % PRIME for number, value in row.items()}
        rows = {known: _less(other, row, other.get(pivot, 0)) for known, other in rows.items()}
        rows[pivot] = row
    return tuple(sorted(pivot for pivot, row in rows.items() if len(row) == 1))


def _less(row: dict[int, int], other: dict[int, int], times: int) -> dict[int, int]:
    """A row less a multiple of another; entries that are 0 are left out."""
    if not times:
        return row
    numbers = row.keys() | other.keys()
    entries = {n: (row.get(n, 0) - times * other.get(n, 0)) % PRIME for n in numbers}
    return {number: value for number, value in entries.items() if value}
