"""Policies: by level, from files, made from what is; and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from secagg import protocols
from secagg.audit.checks import CHECKS
from secagg.audit.policy import CLAIMS, MAX_BYTES, SCHEMA, Policy, named, word_of
from secagg.audit.verdicts import Severity
from secagg.errors import AuditPolicyRefused
from secagg.protocol import Adversary, Level, Validity


def test_words_of_promises_are_reversible() -> None:
    for field, kind in CLAIMS.items():
        for claim in kind:
            assert named(field, word_of(claim)) is claim


def test_a_level_demands_the_server_that_is_withstood() -> None:
    for level in Level:
        demanded = Policy.found(str(level)).guarantees
        promised = protocols.get("secagg").guarantees(level)
        assert demanded.adversary is promised.adversary
        assert demanded.validity is Validity.UNCHECKED


def test_a_file_and_back(tmp_path: Path) -> None:
    policy = Policy(
        about="x",
        adversary="lying server",
        require=("masks", "floor.client"),
        waive={"fresh.seeds": "until spring"},
        fail_on=Severity.HIGH,
    )
    path = tmp_path / "policy.json"
    path.write_text(policy.encode())
    assert Policy.found(str(path)) == policy
    assert json.loads(policy.encode())["schema"] == SCHEMA
    policy.check(CHECKS)
    assert policy.requires("masks.uniform")
    assert not policy.requires("floor.released")
    assert policy.guarantees.adversary is Adversary.LYING_SERVER


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "malformed|truncated"),
        ("{", "truncated"),
        ("[]", "object"),
        ("nonsense", "malformed"),
        ('{"schema": "secagg.audit.policy/2"}', "schema"),
        ('{"adversaries": "lying server"}', "unknown field"),
        ('{"require": "masks"}', "array"),
        ('{"require": [""]}', "length"),
        ('{"waive": {"masks.uniform": ""}}', "length"),
        ('{"fail_on": "apocalyptic"}', "apocalyptic"),
        ('{"about": "' + 201 * "x" + '"}', "length"),
        ("[" * 20_000, "malformed|truncated|object"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(AuditPolicyRefused, match=word):
        Policy.read(path)


def test_bytes_that_are_no_text_and_files_that_are_too_large(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(b'{"about": "\xff\xfe"}')
    with pytest.raises(AuditPolicyRefused):
        Policy.read(path)
    path.write_text("{}" + " " * MAX_BYTES)
    with pytest.raises(AuditPolicyRefused, match="at most 65536 bytes"):
        Policy.read(path)
    with pytest.raises(AuditPolicyRefused, match="No such file"):
        Policy.found(str(tmp_path / "missing"))
    with pytest.raises(AuditPolicyRefused, match="directory"):
        Policy.found(str(tmp_path))


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        (Policy(adversary="nice server"), "expected one of 'trusted server'"),
        (Policy(evidence="hearsay"), "evidence"),
        (Policy(require=("masks.nonsense",)), "masks.nonsense"),
        (Policy(waive={"nonsense": "why"}), "nonsense"),
    ],
)
def test_words_that_mean_nothing_are_refused(policy: Policy, word: str) -> None:
    with pytest.raises(AuditPolicyRefused, match=word):
        policy.check(CHECKS)
