"""What a verification says: one verdict for each thing that was asked, and what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

SHOWN_FINDINGS: Final = 20
"""Findings of one check that are listed; of more the number is told."""


class Standing(StrEnum):
    """What a verdict is worth to whom. A verdict has exactly one."""

    PROVED = "proved to a third party"
    CONSISTENT = "consistent with this log"
    UNCHECKABLE = "not checkable"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict.

    Attributes:
        check: what was asked, by name.
        standing: what the answer is worth.
        holds: the answer; None if there is none.
        details: why.
        place: the line of the record that is wrong, or the receipt.
    """

    check: str
    standing: Standing
    holds: bool | None
    details: str
    place: str | None = None


class Findings:
    """What is wrong, check by check.

    Attributes:
        count: of each check.
    """

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self._kept: list[tuple[str, str, str | None]] = []

    def add(self, check: str, details: str, place: object = None) -> None:
        """One more."""
        self.count[check] += 1
        if self.count[check] <= SHOWN_FINDINGS:
            self._kept.append((check, details, None if place is None else str(place)))

    def verdicts(self, check: str, standing: Standing, holding: str) -> Iterator[Verdict]:
        """The findings of a check, or one verdict that it holds.

        Args:
            check: by name.
            standing: of the check.
            holding: the details if there are no findings.
        """
        if not self.count[check]:
            yield Verdict(check=check, standing=standing, holds=True, details=holding)
            return
        for name, details, place in self._kept:
            if name == check:
                yield Verdict(
                    check=check, standing=standing, holds=False, details=details, place=place
                )
        if (more := self.count[check] - SHOWN_FINDINGS) > 0:
            yield Verdict(
                check=check, standing=standing, holds=False, details=f"and {more} more of these"
            )


def uncheckable(check: str, reason: str) -> Verdict:
    """A question to which nothing here has an answer."""
    return Verdict(check=check, standing=Standing.UNCHECKABLE, holds=None, details=reason)
