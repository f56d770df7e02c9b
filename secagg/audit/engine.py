"""Holding an audit: checks in their order, and what their verdicts weigh.

An audit tries to break. What it could not try it says, and that is never a pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from secagg.audit.policy import CLAIMS, Policy, word_of
from secagg.audit.registry import Check, Settings
from secagg.audit.subject import Kind, Subject
from secagg.audit.verdicts import (
    Judgement,
    Result,
    Scope,
    Severity,
    Verdict,
    beside,
    failed,
    passed,
    printable,
    undecided,
)
from secagg.errors import CannotTell, DoesNotArise, ParameterError
from secagg.protocol import Claim, Guarantees, Level

FACTS_ONLY: Final = (
    "not checkable from a transcript: it has names, sizes and digests of messages, no content"
)


FROM_RECORDS: Final[frozenset[Kind]] = frozenset(("transcript",))


def chosen(checks: Sequence[Check], words: Sequence[str], kind: Kind) -> tuple[Check, ...]:
    """The checks of these names or groups, in their order.

    For no words all of them; those of transcripts are left out elsewhere, for sessions are held
    there and looked into themselves.

    Raises:
        ParameterError: no check and no group is called so.
    """
    known = {check.id for check in checks} | {check.group for check in checks}
    known |= {"claims", *(f"claims.{field}" for field in CLAIMS)}
    if unknown := [word for word in words if word not in known]:
        raise ParameterError(f"no such check: {', '.join(unknown)}; see secagg audit --list")
    if words:
        return tuple(check for check in checks if check.id in words or check.group in words)
    return tuple(check for check in checks if kind in check.kinds or check.kinds != FROM_RECORDS)


def hold(
    subject: Subject,
    checks: Sequence[Check],
    settings: Settings,
    policy: Policy | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> list[Result]:
    """All results: of the claims, then of the checks.

    Args:
        subject: the target.
        checks: to hold, in this order.
        settings: how.
        policy: what is demanded beyond what the target promises. By default nothing; of a target
            that promises nothing, what level curious does.
        notify: is told the name of every check before it is held.
    """
    demanded = policy or Policy()
    if subject.guarantees is None and policy is None:
        demanded = Policy.of_level(Level.CURIOUS)
    results = claims(subject, policy)
    for check in checks:
        notify(check.id)
        began = time.monotonic()
        judgement = _judgement(check, subject, settings)
        scope = _scope(check, subject, demanded)
        if demanded.requires(check.id) and judgement.verdict is Verdict.NOT_APPLICABLE:
            judgement = undecided(f"the policy requires it, but: {judgement.evidence}")
        results.append(
            Result(
                id=check.id,
                group=check.group,
                claim=check.claim,
                method=check.method,
                source=check.source,
                severity=check.severity,
                scope=scope,
                verdict=judgement.verdict,
                evidence=printable(judgement.evidence),
                measure=judgement.measure,
                pictures=judgement.pictures,
                waived=demanded.waive.get(check.id),
                seconds=round(time.monotonic() - began, 3),
            )
        )
    return results


def claims(subject: Subject, policy: Policy | None) -> list[Result]:
    """What the target promises against what the policy demands, field by field."""
    return [_claim(field, subject.guarantees, policy) for field in CLAIMS]


def _claim(field: str, promised: Guarantees | None, policy: Policy | None) -> Result:
    least = policy.demanded(field) if policy is not None else None
    offered: Claim | None = getattr(promised, field) if promised is not None else None
    id_ = f"claims.{field}"
    judgement = _compared(offered, least)
    if policy is not None and policy.requires(id_) and least is None:
        judgement = undecided(f"the policy requires it and demands nothing: {judgement.evidence}")
    return Result(
        id=id_,
        group="claims",
        claim=f"the {field} that the target promises is what the policy demands, or more",
        method="its own guarantees against the policy",
        source="",
        severity=Severity.HIGH,
        scope=Scope.PROMISED if least is None else Scope.DEMANDED,
        verdict=judgement.verdict,
        evidence=judgement.evidence,
        waived=policy.waive.get(id_) if policy is not None else None,
        seconds=0.0,
    )


def _compared(offered: Claim | None, least: Claim | None) -> Judgement:
    if offered is None:
        return undecided("it promises nothing") if least else beside("it promises nothing")
    words = f"it promises {word_of(offered)}: {offered.meaning}"
    if least is None:
        return beside(f"{words}; nothing more is demanded")
    if offered.at_least(least):
        return passed(f"{words}; {word_of(least)} is demanded")
    return failed(f"{words}; {word_of(least)} is demanded: {least.meaning}")


def _judgement(check: Check, subject: Subject, settings: Settings) -> Judgement:
    if subject.kind not in check.kinds:
        return undecided(FACTS_ONLY) if subject.kind == "transcript" else beside(check.elsewhere)
    try:
        return check.judge(subject, settings)
    except DoesNotArise as reason:
        return beside(str(reason))
    except CannotTell as reason:
        return undecided(str(reason))
    except Exception as error:  # a defect, of ours or of the target: no verdict either way
        return undecided(f"the check itself ended with {type(error).__name__}: {error}")


def _scope(check: Check, subject: Subject, demanded: Policy) -> Scope:
    if subject.guarantees is not None and check.promised(subject.guarantees, subject):
        return Scope.PROMISED
    if demanded.requires(check.id) or check.promised(demanded.guarantees, subject):
        return Scope.DEMANDED
    return Scope.OUTSIDE


def weighed(results: Sequence[Result], fail_on: Severity) -> tuple[list[Result], list[Result]]:
    """The findings that count, and what is undecided."""
    findings = [one for one in results if one.finding and one.severity.at_least(fail_on)]
    return findings, [one for one in results if one.undecided]


def with_only_hits(results: Sequence[Result]) -> list[Result]:
    """Failures of any scope, and what is undecided."""
    return [one for one in results if one.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)]
