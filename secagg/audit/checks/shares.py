"""Whether a client ever gives both kinds of share of one peer."""

from __future__ import annotations

from typing import Final

from secagg.audit.registry import Check, Settings, private
from secagg.audit.subject import Answer, Question, Subject
from secagg.audit.verdicts import Judgement, Severity, failed, passed
from secagg.errors import AdapterFailed, CannotTell


def _both(answers: tuple[Answer, ...]) -> set[int]:
    """Peers of whom both kinds were given."""
    kinds: dict[int, set[str]] = {}
    for answer in answers:
        for owner, kind in answer or ():
            kinds.setdefault(owner, set()).add(kind)
    return {owner for owner, given in kinds.items() if len(given) > 1}


def _asked(subject: Subject, settings: Settings, *questions: Question) -> Judgement:
    answers = subject.answers(settings.clients, questions)
    if len(answers) != len(questions):
        raise AdapterFailed(f"expected {len(questions)} answers, got {len(answers)}")
    if exposed := _both(answers):
        return failed(f"both kinds of share of {len(exposed)} peers, from one client")
    if len(questions) > 1 and not answers[0]:
        raise CannotTell("the client did not answer the first, honest question")
    given = [str(len(answer)) if answer else "none" for answer in answers]
    return passed(f"shares given, by question: {', '.join(given)}; of each peer one kind at most")


def _at_once(subject: Subject, settings: Settings) -> Judgement:
    everybody = tuple(range(settings.clients))
    return _asked(subject, settings, Question(everybody, everybody[1:]))


def _in_turn(subject: Subject, settings: Settings) -> Judgement:
    # Everybody's vector is in; then two of them are said to have vanished.
    everybody = tuple(range(settings.clients))
    return _asked(
        subject, settings, Question(everybody, ()), Question(everybody[:-2], everybody[-2:])
    )


CHECKS: Final = (
    Check(
        id="shares.at-once",
        claim="one request cannot have both kinds of share of one peer",
        method="a request that names peers as alive and as dropped out",
        judge=_at_once,
        severity=Severity.CRITICAL,
        promised=private,
        source="A3",
    ),
    Check(
        id="shares.in-turn",
        claim="neither can two requests",
        method="a client that has answered is asked again, with peers that are said to be lost now",
        judge=_in_turn,
        severity=Severity.CRITICAL,
        promised=private,
        source="A3",
    ),
)
