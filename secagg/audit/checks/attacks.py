"""Attacks with the protocol's own checks on, each as one check: whether it gets through.

What an attack does and sees is its own; here its outcome becomes a verdict. An attack against which
nothing was promised is held all the same, and shown as outside the guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from secagg import protocols
from secagg.audit.library import ProtocolSubject
from secagg.audit.registry import Check, Settings
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Judgement, Picture, Severity, beside, failed, passed
from secagg.errors import ParameterError
from secagg.protocol import Adversary, Guarantees, Level
from secagg.protocol import Protocol as Aggregation
from secagg.types import Rng

ELSEWHERE: Final = "attacks are made on this library's own parties"
REFERENCE: Final = "secagg"
"""The protocol that offers every level: what a level means where it is not offered."""


class Shown(Protocol):
    """A picture, as attacks have them."""

    @property
    def title(self) -> str:
        """What it shows."""
        ...

    @property
    def pgm(self) -> bytes:
        """A greyscale picture, binary PGM (P5), 8 bits a pixel."""
        ...


class Outcome(Protocol):
    """What came of an attack."""

    @property
    def succeeded(self) -> bool:
        """Whether it reached its goal."""
        ...

    @property
    def stopped_by(self) -> str:
        """The name of the error that stopped it, or nothing."""
        ...

    @property
    def evidence(self) -> str:
        """In words; never a secret."""
        ...

    @property
    def pictures(self) -> Sequence[Shown]:
        """Of what was recovered and of the truth, if it is pictures."""
        ...


class Attack(Protocol):
    """An attack, as `secagg.audit.attacks.ATTACKS` has them."""

    @property
    def id(self) -> str:
        """Such as A1."""
        ...

    @property
    def title(self) -> str:
        """One line."""
        ...

    @property
    def goal(self) -> str:
        """What it is after, in words."""
        ...

    @property
    def source(self) -> str:
        """The publication."""
        ...

    def guarded(self, protocol: Aggregation, level: Level) -> bool:
        """Whether the guarantee of this protocol and level promises that it fails."""
        ...

    def applies(self, protocol: Aggregation, level: Level) -> str | None:
        """Why it cannot be made there, or None."""
        ...

    def run(self, protocol: Aggregation, level: Level, rng: Rng) -> Outcome:
        """Make it."""
        ...


def checks_of(attacks: Mapping[str, Attack]) -> tuple[Check, ...]:
    """One check for each attack, in their order."""
    return tuple(
        Check(
            id=f"attacks.{attack.id}",
            claim=f"{attack.title}: it does not reach its goal, {attack.goal}",
            method="the attack is made, with all checks of the protocol on",
            judge=partial(_judge, attack),
            severity=Severity.CRITICAL,
            promised=partial(_guarded, attack),
            kinds=frozenset(("protocol",)),
            source=attack.source,
            elsewhere=ELSEWHERE,
        )
        for attack in attacks.values()
    )


def _guarded(attack: Attack, guarantees: Guarantees, subject: Subject) -> bool:
    if guarantees.adversary is Adversary.TRUSTED_SERVER or not isinstance(subject, ProtocolSubject):
        return False
    lying = guarantees.adversary.at_least(Adversary.LYING_SERVER)
    level = Level.MALICIOUS if lying else Level.CURIOUS
    try:
        return attack.guarded(subject.protocol, level)
    except ParameterError:
        # A level that the protocol does not offer can be demanded of it all the same.
        return attack.guarded(protocols.get(REFERENCE), level)


def _judge(attack: Attack, subject: Subject, settings: Settings) -> Judgement:
    assert isinstance(subject, ProtocolSubject)  # noqa: S101
    reason = attack.applies(subject.protocol, subject.level)
    if reason is not None:
        return beside(reason)
    stopped: list[str] = []
    evidence, pictures = "", tuple[Picture, ...]()
    for repetition in range(settings.seeds):
        rng = settings.rng(f"attack {attack.id}", repetition)
        outcome = attack.run(subject.protocol, subject.level, rng)
        pictures = tuple(Picture(one.title, one.pgm) for one in outcome.pictures)
        if outcome.succeeded:
            judged = failed(f"it reached its goal: {outcome.evidence}")
            return msgspec.structs.replace(judged, pictures=pictures)
        stopped.append(outcome.stopped_by or "no error: it found nothing")
        evidence = outcome.evidence
    names = ", ".join(dict.fromkeys(stopped))
    judged = passed(f"stopped by {names}" + (f": {evidence}" if evidence else ""))
    return msgspec.structs.replace(judged, pictures=pictures)
