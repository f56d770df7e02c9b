"""What a check is, and what it is given. The list of all is `secagg.audit.checks.CHECKS`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from secagg.audit.statistics import FALSE_ALARM
from secagg.audit.subject import Kind, Subject
from secagg.audit.verdicts import Judgement, Severity
from secagg.crypto.rng import StreamRng
from secagg.protocol import Adversary, Guarantees

CLIENTS: Final = 8


@dataclass(frozen=True)
class Settings:
    """How an audit is held.

    Attributes:
        seed: from which everything is drawn that the audit draws.
        seeds: how often each statistical check is repeated, with seeds counted up.
        clients: in a session.
        false_alarm: of one statistical check over all its seeds, on a sound target.
        source: the checkout that the installation claims to be built from.
        timeout: seconds that an adapter may take for one answer.
    """

    seed: int = 0
    seeds: int = 1
    clients: int = CLIENTS
    false_alarm: float = FALSE_ALARM
    source: Path | None = None
    timeout: float = 60.0

    @property
    def each(self) -> float:
        """The rate of false alarms of one repetition, so that all together keep theirs."""
        return self.false_alarm / self.seeds

    def draw(self, purpose: str, repetition: int = 0) -> bytes:
        """32 bytes for one purpose."""
        words = f"secagg audit {self.seed + repetition} {purpose}"
        return hashlib.sha256(words.encode()).digest()

    def rng(self, purpose: str, repetition: int = 0) -> StreamRng:
        """A stream for one purpose."""
        return StreamRng(self.draw(purpose, repetition))


Judge: TypeAlias = Callable[[Subject, Settings], Judgement]
Needs: TypeAlias = Callable[[Guarantees, Subject], bool]
"""Whether such guarantees, of this target, promise what a check is about."""


def always(guarantees: Guarantees, subject: Subject) -> bool:
    """Whoever aggregates promises this."""
    return True


def never(guarantees: Guarantees, subject: Subject) -> bool:
    """No guarantee speaks of it: only a policy that requires the check makes it count."""
    return False


def private(guarantees: Guarantees, subject: Subject) -> bool:
    """Where a server that follows the protocol is to learn the sum only."""
    return guarantees.adversary.at_least(Adversary.CURIOUS_SERVER)


def against_lies(guarantees: Guarantees, subject: Subject) -> bool:
    """Where a server that lies is withstood."""
    return guarantees.adversary.at_least(Adversary.LYING_SERVER)


@dataclass(frozen=True)
class Check:
    """One small question about a target.

    Attributes:
        id: by which it is asked for: group and name.
        claim: what ought to hold.
        method: how that is tried.
        judge: tries it. What a target cannot answer raises `CannotTell`.
        severity: of a failure.
        promised: whether guarantees promise it.
        kinds: of targets to which the question applies.
        statistical: whether its verdict rests on a statistic with a rate of false alarms.
        source: where it comes from.
        elsewhere: why it does not apply to the other kinds of targets.
    """

    id: str
    claim: str
    method: str
    judge: Judge
    severity: Severity = Severity.HIGH
    promised: Needs = always
    kinds: frozenset[Kind] = field(default=frozenset(("protocol", "adapter")))
    statistical: bool = False
    source: str = ""
    elsewhere: str = ""

    @property
    def group(self) -> str:
        """The part of its name before the first dot."""
        return self.id.partition(".")[0]
