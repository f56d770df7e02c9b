"""What verdicts weigh: scopes, policies, and what is never a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from secagg import protocols
from secagg.audit.checks import CHECKS
from secagg.audit.checks.attacks import checks_of
from secagg.audit.engine import chosen, hold
from secagg.audit.library import ProtocolSubject
from secagg.audit.policy import Policy
from secagg.audit.registry import Check, Settings, against_lies, private
from secagg.audit.report import audited, summed
from secagg.audit.subject import Kind, Subject
from secagg.audit.verdicts import (
    Judgement,
    Picture,
    Result,
    Scope,
    Severity,
    Verdict,
    beside,
    failed,
    passed,
)
from secagg.errors import AdapterFailed, CannotTell, DoesNotArise, ParameterError
from secagg.protocol import Level, Protocol
from secagg.types import Rng

SETTINGS = Settings()


class Bare(Subject):
    """A target that promises what it is told to."""

    kind: ClassVar[Kind] = "adapter"
    name = "bare"
    title = "nothing at all"

    def __init__(self, level: Level | None = None) -> None:
        if level is not None:
            self.guarantees = protocols.get("secagg").guarantees(level)


def check(
    verdict: Judgement | Exception,
    id_: str = "group.name",
    severity: Severity = Severity.MEDIUM,
    lies: bool = False,
) -> Check:
    def judge(subject: Subject, settings: Settings) -> Judgement:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return Check(
        id=id_,
        claim="claim",
        method="method",
        judge=judge,
        severity=severity,
        promised=against_lies if lies else private,
        elsewhere="elsewhere",
    )


def one(
    verdict: Judgement | Exception,
    subject: Subject,
    policy: Policy | None = None,
    lies: bool = False,
) -> Result:
    return hold(subject, [check(verdict, lies=lies)], SETTINGS, policy)[-1]


CURIOUS, MALICIOUS = Bare(Level.CURIOUS), Bare(Level.MALICIOUS)


@pytest.mark.parametrize(
    ("subject", "policy", "scope"),
    [
        (MALICIOUS, None, Scope.PROMISED),
        (CURIOUS, None, Scope.OUTSIDE),
        (CURIOUS, Policy.of_level(Level.CURIOUS), Scope.OUTSIDE),
        (CURIOUS, Policy.of_level(Level.MALICIOUS), Scope.DEMANDED),
        (CURIOUS, Policy(require=("group.name",)), Scope.DEMANDED),
        (CURIOUS, Policy(require=("group",)), Scope.DEMANDED),
        (Bare(), None, Scope.OUTSIDE),
    ],
)
def test_a_failure_counts_where_it_was_promised_or_demanded(
    subject: Subject, policy: Policy | None, scope: Scope
) -> None:
    found = one(failed("broken"), subject, policy, lies=True)
    assert found.scope is scope
    assert found.finding == (scope is not Scope.OUTSIDE)
    assert found.beyond == (scope is Scope.OUTSIDE)
    assert summed([found], Severity.LOW).exit_code == (1 if found.finding else 0)


def test_who_promises_nothing_is_held_to_level_curious() -> None:
    assert one(failed("broken"), Bare()).scope is Scope.DEMANDED
    assert one(failed("broken"), Bare(), Policy()).scope is Scope.OUTSIDE


@pytest.mark.parametrize(
    ("raised", "verdict", "code"),
    [
        (CannotTell("why"), Verdict.INCONCLUSIVE, 3),
        (AdapterFailed("why"), Verdict.INCONCLUSIVE, 3),
        (ParameterError("why"), Verdict.INCONCLUSIVE, 3),
        (ZeroDivisionError("why"), Verdict.INCONCLUSIVE, 3),
        (DoesNotArise("why"), Verdict.NOT_APPLICABLE, 0),
    ],
)
def test_what_is_raised_is_no_pass(raised: Exception, verdict: Verdict, code: int) -> None:
    found = one(raised, MALICIOUS)
    assert found.verdict is verdict
    assert "why" in found.evidence
    assert summed([found], Severity.LOW).exit_code == code


def test_what_is_quoted_cannot_write_to_a_terminal() -> None:
    found = one(CannotTell("a\x1b[2Jb\x00c\ud800d\ne"), MALICIOUS)
    assert found.evidence == "a?[2Jb?c?d\ne"


def test_a_finding_goes_before_what_is_undecided() -> None:
    checks = [check(CannotTell("why"), "a.a"), check(failed("broken"), "a.b")]
    results = hold(MALICIOUS, checks, SETTINGS)
    summary = summed(results, Severity.LOW)
    assert (summary.findings, summary.undecided, summary.exit_code) == (["a.b"], ["a.a"], 1)
    assert summed(results, Severity.HIGH).exit_code == 3


@pytest.mark.parametrize("severity", Severity)
def test_failures_below_the_least_severity_do_not_count(severity: Severity) -> None:
    results = hold(MALICIOUS, [check(failed("broken"), severity=severity)], SETTINGS)
    for least in Severity:
        expected = list(Severity).index(severity) >= list(Severity).index(least)
        assert summed(results, least).exit_code == int(expected)


def test_a_waived_failure_is_shown_and_does_not_count() -> None:
    found = one(failed("broken"), MALICIOUS, Policy(waive={"group.name": "known, ticket 7"}))
    summary = summed([found], Severity.LOW)
    assert (found.finding, found.let_pass, summary.exit_code) == (False, True, 0)
    assert summary.waived == {"group.name": "known, ticket 7"}
    # A waiver makes nothing else of anything.
    for verdict in (passed("held"), CannotTell("why")):
        held = one(verdict, MALICIOUS, Policy(waive={"group.name": "known"}))
        assert held.undecided == isinstance(verdict, CannotTell)
        assert not held.let_pass


def test_what_is_required_must_pass() -> None:
    found = one(beside("no such thing"), MALICIOUS, Policy(require=("group.name",)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no such thing" in found.evidence
    assert summed([found], Severity.LOW).exit_code == 3
    assert not one(passed("held"), MALICIOUS, Policy(require=("group",))).undecided


def test_claims_against_a_policy() -> None:
    policy = Policy(adversary="lying server", validity="unchecked", require=("claims.evidence",))
    by_id = {r.id: r for r in hold(CURIOUS, [], SETTINGS, policy)}
    assert by_id["claims.adversary"].finding
    assert by_id["claims.validity"].verdict is Verdict.PASS
    assert by_id["claims.evidence"].undecided
    assert by_id["claims.dropouts"].verdict is Verdict.NOT_APPLICABLE
    silent = {r.id: r for r in hold(Bare(), [], SETTINGS, policy)}
    assert silent["claims.adversary"].undecided


def test_other_kinds_of_targets() -> None:
    class Recorded(Bare):
        kind = "transcript"

    found = one(passed("held"), Recorded())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "not checkable" in found.evidence
    of_protocols = Check(
        id="a.b",
        claim="",
        method="",
        judge=lambda subject, settings: passed("held"),
        kinds=frozenset({"protocol"}),
        elsewhere="only there",
    )
    (result,) = (r for r in hold(Bare(), [of_protocols], SETTINGS) if r.id == "a.b")
    assert (result.verdict, result.evidence) == (Verdict.NOT_APPLICABLE, "only there")


def test_checks_are_chosen_by_name_or_group() -> None:
    assert [c.id for c in chosen(CHECKS, ("masks.uniform", "keys"), "protocol")] == [
        "masks.uniform",
        "keys.holders",
    ]
    assert not chosen(CHECKS, ("claims",), "protocol")
    everything = {c.group for c in chosen(CHECKS, (), "protocol")}
    assert "transcript" not in everything
    assert {"transcript", "masks"} <= {c.group for c in chosen(CHECKS, (), "transcript")}
    with pytest.raises(ParameterError, match="no such check: nonsense"):
        chosen(CHECKS, ("masks", "nonsense"), "protocol")


def test_every_check_says_what_it_is() -> None:
    assert len({c.id for c in CHECKS}) == len(CHECKS)
    for c in CHECKS:
        assert c.claim
        assert c.method
        assert c.id.startswith(f"{c.group}.")
        assert c.elsewhere or c.kinds >= {"protocol", "adapter"}


@dataclass
class Outcome:
    succeeded: bool
    stopped_by: str = ""
    evidence: str = ""
    pictures: tuple[Picture, ...] = ()


@dataclass
class Attack:
    id: str = "A1"
    title: str = "split view"
    goal: str = "a client's vector"
    source: str = "somebody, 2017"
    outcome: Outcome = field(default_factory=lambda: Outcome(succeeded=False))
    reason: str | None = None
    against: Callable[[Level], bool] = lambda level: level is Level.MALICIOUS
    seeds: list[bytes] = field(default_factory=list)

    def guarded(self, protocol: Protocol, level: Level) -> bool:
        protocol.at(level)
        return self.against(level)

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        return self.reason

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        self.seeds.append(rng.bytes(8))
        return self.outcome


def held(
    attack: Attack,
    name: str = "secagg",
    level: Level = Level.CURIOUS,
    policy: Policy | None = None,
    settings: Settings = SETTINGS,
) -> Result:
    subject = ProtocolSubject(protocols.get(name), level)
    return hold(subject, checks_of({attack.id: attack}), settings, policy)[-1]


def test_an_attack_is_a_check() -> None:
    stopped = Outcome(succeeded=False, stopped_by="QuorumMissing", evidence="0 of 4 shares")
    attack = Attack(outcome=stopped)
    found = held(attack, level=Level.MALICIOUS, settings=Settings(seeds=3))
    assert (found.id, found.group, found.source) == ("attacks.A1", "attacks", "somebody, 2017")
    assert found.verdict is Verdict.PASS
    assert found.scope is Scope.PROMISED
    assert "QuorumMissing" in found.evidence
    assert "0 of 4 shares" in found.evidence
    assert len(set(attack.seeds)) == 3


@pytest.mark.parametrize(
    ("name", "level", "policy", "scope"),
    [
        ("secagg", Level.MALICIOUS, None, Scope.PROMISED),
        ("secagg", Level.CURIOUS, None, Scope.OUTSIDE),
        ("secagg", Level.CURIOUS, Level.MALICIOUS, Scope.DEMANDED),
        ("bfv", Level.CURIOUS, None, Scope.OUTSIDE),
        # A level that it does not offer.
        ("bfv", Level.CURIOUS, Level.MALICIOUS, Scope.DEMANDED),
        ("plain", Level.MALICIOUS, None, Scope.OUTSIDE),
    ],
)
def test_an_attack_that_gets_through_counts_where_it_is_guarded_against(
    name: str, level: Level, policy: Level | None, scope: Scope
) -> None:
    attack = Attack(outcome=Outcome(succeeded=True, evidence="60 of 60 elements"))
    demanded = Policy.of_level(policy) if policy is not None else None
    found = held(attack, name, level, demanded)
    assert found.verdict is Verdict.FAIL
    assert found.scope is scope
    assert "60 of 60 elements" in found.evidence


@pytest.mark.parametrize("succeeded", [False, True])
def test_pictures_of_an_attack_are_kept(succeeded: bool) -> None:
    shown = (Picture("a digit", b"P5 1 1 255\n\x07"),)
    assert held(Attack(outcome=Outcome(succeeded, pictures=shown))).pictures == shown


def test_a_demonstration_is_outside_every_guarantee() -> None:
    attack = Attack(outcome=Outcome(succeeded=True), against=lambda level: False)
    for policy in (None, Policy.of_level(Level.MALICIOUS)):
        assert held(attack, level=Level.MALICIOUS, policy=policy).beyond
        assert held(attack, "bfv", policy=policy).beyond


def test_an_attack_that_does_not_apply() -> None:
    found = held(Attack(reason="there are no shares"))
    assert (found.verdict, found.evidence) == (Verdict.NOT_APPLICABLE, "there are no shares")


def test_too_few_clients_for_a_plan_are_inconclusive() -> None:
    subject = ProtocolSubject(protocols.get("secagg"), Level.CURIOUS)
    settings = Settings(clients=2)
    results = hold(subject, chosen(CHECKS, ("exactness",), "protocol"), settings)
    found = audited(subject, settings, None, Severity.LOW, results)
    assert found.target.sessions == {}
    assert found.summary.exit_code == 3
    by_id = {one.id: one for one in found.results}
    assert "no plan for 2 clients" in by_id["exactness.sum"].evidence


def test_the_record_has_roles_and_the_fields_of_nist() -> None:
    subject = ProtocolSubject(protocols.get("bfv"), Level.CURIOUS)
    results = hold(subject, [], SETTINGS)
    found = audited(subject, SETTINGS, None, Severity.LOW, results)
    assert found.target.roles == {
        "input parties": "clients",
        "computing parties": "clients, server, decryptor",
        "result parties": "server",
    }
    assert "not differentially private" in found.privacy.privacy_parameter
    assert found.target.sessions["smallest sum"] == "3 clients"
    assert "does not prove" in found.disclaimer
    assert found.target.promises is not None
    assert found.target.promises["adversary"].name == "curious server"
