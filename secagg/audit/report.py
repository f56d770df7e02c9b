"""An audit as one record: what was asked, what came of every check, and what that weighs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from secagg.audit.engine import weighed
from secagg.audit.policy import CLAIMS, Policy, word_of
from secagg.audit.registry import Settings
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Result, Severity, Verdict, printable
from secagg.errors import CannotTell

SCHEMA: Final = "secagg.audit/1"
DISCLAIMER: Final = (
    "An audit tries to break; it does not prove. What could not be checked is said, and is no pass."
)
NO_PRIVACY: Final = "none: a sum of vectors is not differentially private"


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """A claim of the target: its name, and what it means."""

    name: str
    meaning: str


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What was audited.

    Attributes:
        kind: protocol, adapter or transcript.
        name: of it.
        title: one line.
        promises: by field of its guarantees; None if it says nothing.
        sessions: the parameters of those that were held, by name, where they are known.
        roles: in the words of ISO/IEC 4922-1: who gives input, who computes, who gets the result.
    """

    kind: str
    name: str
    title: str
    promises: dict[str, Promise] | None
    sessions: dict[str, str] = {}
    roles: dict[str, str]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What it weighs.

    Attributes:
        verdicts: how many checks of each.
        findings: failures that count, by id.
        undecided: what was promised or demanded and could not be decided, by id.
        beyond: what gets through where nothing was promised, by id.
        waived: failures that the policy lets pass, by id, with its reason.
        fail_on: the least severity that counts.
        exit_code: of the command.
    """

    verdicts: dict[str, int]
    findings: list[str]
    undecided: list[str]
    beyond: list[str]
    waived: dict[str, str]
    fail_on: Severity
    exit_code: int


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of NIST SP 800-226, for an evaluation of differential privacy."""

    unit_of_privacy: str
    neighbours: str
    privacy_parameter: str
    trust_model: str
    mechanism: str
    randomness: str
    side_channels: str
    data_collection: str


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """Everything but where and when.

    Attributes:
        disclaimer: what an audit is not.
        target: what was audited.
        policy: what was demanded; None for nothing beyond the target's own promises.
        seeds, seed, clients, false_alarm: how it was held.
        summary: what it weighs.
        privacy: the fields that an evaluation of differential privacy asks for.
        results: of the claims and of every check.
    """

    disclaimer: str
    target: Target
    policy: Policy | None
    seed: int
    seeds: int
    clients: int
    false_alarm: float
    summary: Summary
    privacy: Privacy
    results: list[Result]


def audited(
    subject: Subject,
    settings: Settings,
    policy: Policy | None,
    fail_on: Severity,
    results: Sequence[Result],
) -> Audited:
    """The record of an audit."""
    return Audited(
        disclaimer=DISCLAIMER,
        target=target_of(subject, settings.clients),
        policy=policy,
        seed=settings.seed,
        seeds=settings.seeds,
        clients=settings.clients,
        false_alarm=settings.false_alarm,
        summary=summed(results, fail_on),
        privacy=_privacy(subject, results),
        results=list(results),
    )


def target_of(subject: Subject, clients: int) -> Target:
    """What a subject says of itself, and of its sessions of so many clients."""
    promised = subject.guarantees
    promises, sessions = None, dict[str, str]()
    with suppress(CannotTell):  # no plan for so many clients: then every check says so
        sessions = dict(subject.described(clients))
    if promised is not None:
        found = {field: getattr(promised, field) for field in CLAIMS}
        promises = {
            field: Promise(name=word_of(claim), meaning=claim.meaning)
            for field, claim in found.items()
        }
    return Target(
        kind=subject.kind,
        name=printable(subject.name),
        title=printable(subject.title),
        promises=promises,
        sessions=sessions,
        roles=dict(subject.roles),
    )


def summed(results: Sequence[Result], fail_on: Severity) -> Summary:
    """What the results weigh: a finding is exit code 1, else anything undecided is 3."""
    findings, open_ = weighed(results, fail_on)
    return Summary(
        verdicts={
            str(verdict): sum(one.verdict is verdict for one in results) for verdict in Verdict
        },
        findings=[one.id for one in findings],
        undecided=[one.id for one in open_],
        beyond=[one.id for one in results if one.beyond],
        waived={one.id: one.waived for one in results if one.let_pass and one.waived},
        fail_on=fail_on,
        exit_code=1 if findings else 3 if open_ else 0,
    )


def _privacy(subject: Subject, results: Sequence[Result]) -> Privacy:
    by_id = {one.id: f"{one.verdict}: {one.evidence}" for one in results}
    nothing = "not checked here"
    trust = subject.guarantees
    return Privacy(
        unit_of_privacy=NO_PRIVACY,
        neighbours=NO_PRIVACY,
        privacy_parameter=NO_PRIVACY,
        trust_model=trust.adversary.meaning if trust is not None else "not stated",
        mechanism=subject.title,
        randomness=by_id.get("fresh.seeds", nothing),
        side_channels=by_id.get("native.constant-time", nothing),
        data_collection=by_id.get("sizes.clear-values", nothing),
    )
