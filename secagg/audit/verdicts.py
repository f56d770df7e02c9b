"""The words in which an audit answers, and the record of one answer.

Facts are gathered by a `Subject`, judged by checks, and weighed here: whether a failure counts
depends on what was promised or demanded, never on the check.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """What a check found. Nothing but `PASS` says that something was tried and held."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not-applicable"


class Severity(StrEnum):
    """How bad a failure is; definition order is weight."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    def at_least(self, other: Severity) -> bool:
        """Whether this weighs as much as the other, or more."""
        order = list(Severity)
        return order.index(self) >= order.index(other)


class Scope(StrEnum):
    """Who asked for what a check is about."""

    PROMISED = "promised"
    DEMANDED = "demanded"
    OUTSIDE = "outside the guarantee"


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A statistic, and when it raises an alarm.

    Attributes:
        statistic: its name.
        value: of it.
        threshold: beyond which it is a failure.
        below: whether smaller values than the threshold are the failures, not larger ones.
        false_alarm: probability that a sound target fails this check, at most, for all seeds.
        samples: how many values it was computed from.
    """

    statistic: str
    value: float
    threshold: float
    false_alarm: float
    samples: int
    below: bool = False

    @property
    def alarm(self) -> bool:
        """Whether it is a failure. A value that is no number is one."""
        if self.below:
            return not self.value >= self.threshold
        return not self.value <= self.threshold


class Picture(msgspec.Struct, frozen=True):
    """Pixels that an attack came by, or was after.

    Attributes:
        title: what it shows.
        pgm: a greyscale picture, binary PGM (P5), 8 bits a pixel.
    """

    title: str
    pgm: bytes


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a check says.

    Attributes:
        verdict: what came of it.
        evidence: what that rests on, in words; never a secret.
        measure: a statistic, if there is one.
        pictures: what was recovered and the truth, if they are pictures made for the attack.
    """

    verdict: Verdict
    evidence: str
    measure: Measure | None = None
    pictures: tuple[Picture, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it is a failure, in whatever scope."""
        return self.verdict is Verdict.FAIL


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a report.

    Attributes:
        id: of the check.
        group: of checks.
        claim: what ought to hold.
        method: how that was tried.
        source: where the check, or the attack, comes from.
        severity: of a failure.
        scope: whether the target promises it, or the policy demands it.
        verdict: what came of it.
        evidence: in words; never a secret.
        measure: the statistic, if it is a statistical check.
        pictures: as in `Judgement`.
        waived: why the policy lets a failure pass, if it does.
        seconds: it took.
    """

    id: str
    group: str
    claim: str
    method: str
    source: str
    severity: Severity
    scope: Scope
    verdict: Verdict
    evidence: str
    measure: Measure | None = None
    pictures: tuple[Picture, ...] = ()
    waived: str | None = None
    seconds: float

    @property
    def finding(self) -> bool:
        """A failure of what was promised or demanded, and not waived."""
        return (
            self.verdict is Verdict.FAIL and self.scope is not Scope.OUTSIDE and self.waived is None
        )

    @property
    def let_pass(self) -> bool:
        """A failure that the policy waives."""
        return self.verdict is Verdict.FAIL and self.waived is not None

    @property
    def undecided(self) -> bool:
        """Promised or demanded, and nobody knows."""
        return self.verdict is Verdict.INCONCLUSIVE and self.scope is not Scope.OUTSIDE

    @property
    def beyond(self) -> bool:
        """What gets through where nothing was promised."""
        return self.verdict is Verdict.FAIL and self.scope is Scope.OUTSIDE and self.waived is None


def printable(text: str) -> str:
    """The text without what a terminal, or a file of text, would take for something else.

    It may be the words of an adapter, or of an exception that quotes it.
    """
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def passed(evidence: str, measure: Measure | None = None) -> Judgement:
    """It was tried, and held."""
    return Judgement(verdict=Verdict.PASS, evidence=evidence, measure=measure)


def failed(evidence: str, measure: Measure | None = None) -> Judgement:
    """It was tried, and did not hold."""
    return Judgement(verdict=Verdict.FAIL, evidence=evidence, measure=measure)


def undecided(reason: str) -> Judgement:
    """The question arises, and cannot be answered here."""
    return Judgement(verdict=Verdict.INCONCLUSIVE, evidence=reason)


def beside(reason: str) -> Judgement:
    """The question does not arise for this target."""
    return Judgement(verdict=Verdict.NOT_APPLICABLE, evidence=reason)
