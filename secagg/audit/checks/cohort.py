"""Whether a sum of too few is ever released."""

from __future__ import annotations

from typing import Final

from secagg.audit.checks import inputs
from secagg.audit.registry import Check, Settings, private
from secagg.audit.subject import Moment, Question, Request, Subject
from secagg.audit.verdicts import Judgement, Severity, failed, passed
from secagg.errors import AdapterFailed, CannotTell

LENGTH: Final = 16
FLOOR: Final = 2
"""A sum of fewer than this is one client's input, whatever was promised."""


def _released(subject: Subject, settings: Settings) -> Judgement:
    try:
        least = subject.smallest_sum(settings.clients)
    except AdapterFailed:
        raise
    except CannotTell:
        least = FLOOR
    least, tried = max(least, FLOOR), []
    values = inputs.random(settings, LENGTH, "floor")
    for present in {1, least - 1}:
        lost: dict[int, Moment] = dict.fromkeys(range(present, settings.clients), "before upload")
        request = Request(values, inputs.BITS, settings.draw(f"floor {present}"), lost)
        facts = subject.session(request)
        if facts.total is not None:
            return failed(f"{present} of {settings.clients} clients were left, and a sum came out")
        tried.append(present)
    shown = " and ".join(map(str, sorted(tried)))
    return passed(f"with {shown} of {settings.clients} clients left nothing was released")


def _client(subject: Subject, settings: Settings) -> Judgement:
    everybody = tuple(range(settings.clients))
    (answer,) = subject.answers(settings.clients, (Question((0,), everybody[1:]),))
    if answer:
        return failed(f"told that it alone is in the sum, a client gave {len(answer)} shares")
    return passed("told that it alone is in the sum, a client refused to answer")


CHECKS: Final = (
    Check(
        id="floor.released",
        claim="no sum of fewer clients than the smallest allowed cohort is released",
        method="all but one, and all but one less than are needed, vanish before their upload",
        judge=_released,
        severity=Severity.CRITICAL,
        promised=private,
        source="A8",
    ),
    Check(
        id="floor.client",
        claim="a client holds to the floor itself, whatever the server says",
        method="a client is asked to unmask a sum of itself alone",
        judge=_client,
        severity=Severity.CRITICAL,
        promised=private,
        source="A8",
    ),
)
