"""Whether a client believes a server that lies about keys, thresholds and rings."""

from __future__ import annotations

from functools import partial
from typing import Final

from secagg.audit.registry import Check, Settings, against_lies
from secagg.audit.subject import Lie, Subject
from secagg.audit.verdicts import Judgement, Severity, failed, passed

ELSEWHERE: Final = "this library's clients are lied to by the attacks, and asked under signatures"


def _told(lie: Lie, told: str, subject: Subject, settings: Settings) -> Judgement:
    if subject.believes(lie):
        return failed(f"a client went on as if nothing were wrong, told {told}")
    return passed(f"a client refused, told {told}")


_LIES: Final[tuple[tuple[str, str, Lie, str, str], ...]] = (
    (
        "keys",
        "a client deals its shares to nobody whose key it cannot tell from the server's",
        "other keys",
        "keys of the server's own in the place of all its peers'",
        "A5",
    ),
    (
        "threshold",
        "a client deals no shares of which a single one is the secret",
        "threshold of one",
        "that one share rebuilds a secret",
        "A8",
    ),
    (
        "ring",
        "a client sends no vector in a ring that cannot hold its input",
        "ring of one bit",
        "that the ring has one bit",
        "A16",
    ),
)

CHECKS: Final = tuple(
    Check(
        id=f"lies.{name}",
        claim=claim,
        method=f"a client is told {told}",
        judge=partial(_told, lie, told),
        severity=Severity.CRITICAL,
        promised=against_lies,
        kinds=frozenset(("adapter",)),
        source=source,
        elsewhere=ELSEWHERE,
    )
    for name, claim, lie, told, source in _LIES
)
