"""`secagg audit`: its targets, options, outputs and exit codes."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import msgspec
import pytest
from unit.cli.conftest import Invoke

from secagg import protocols
from secagg.audit.checks import CHECKS
from secagg.audit.policy import CLAIMS, Policy
from secagg.audit.verdicts import Verdict
from secagg.cli import audit, output
from secagg.cli.exits import Exit
from secagg.errors import UnavailableError

QUICK = ("audit", "-q", "--protocol", "secagg", "--check", "vectors", "--check", "signatures")
LYING = ("signatures.messages", "signatures.digest", "signatures.survivors")


def read(invoke: Invoke, *words: str, code: Exit = Exit.DONE) -> audit.Document:
    result = invoke(*QUICK, *words, "--format", "json")
    assert result.exit_code == code, result.stderr
    return msgspec.json.decode(result.stdout, type=audit.Document)


def test_the_document_has_everything(invoke: Invoke) -> None:
    document = read(invoke, "--level", "malicious")
    found = document.audit
    assert json.loads(invoke(*QUICK, "--format", "json").stdout)["schema"] == "secagg.audit/1"
    assert document.argv[:2] == ["secagg", "audit"]
    assert found.target.name == "secagg at level malicious"
    assert {one.group for one in found.results} == {"vectors", "signatures"}
    assert found.summary.exit_code == 0
    assert {one.verdict for one in found.results} == {Verdict.PASS}


def test_level_curious_is_the_default_and_lies_are_outside_of_it(invoke: Invoke) -> None:
    summary = read(invoke).audit.summary
    assert (tuple(summary.beyond), summary.findings) == (LYING, [])


@pytest.mark.parametrize("name", ["secagg", "bfv", "enclave"])
def test_a_level_as_a_policy_is_a_gate(invoke: Invoke, name: str) -> None:
    words = ("audit", "-q", "--protocol", name, "--check", "signatures", "--format", "json")
    assert invoke(*words).exit_code == Exit.DONE
    assert invoke(*words, "--policy", "curious").exit_code == Exit.DONE
    result = invoke(*words, "--policy", "malicious")
    assert result.exit_code == Exit.FINDING
    document = msgspec.json.decode(result.stdout, type=audit.Document)
    assert "claims.adversary" in document.audit.summary.findings


def test_a_policy_that_was_made_holds(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    assert invoke(*QUICK, "--make-policy", str(path)).exit_code == Exit.DONE
    made = Policy.read(path)
    assert made.adversary == "curious server"
    assert "vectors.hpke" in made.require
    assert "signatures.messages" not in made.require
    assert read(invoke, "--policy", str(path)).audit.policy == made
    stricter = msgspec.structs.replace(made, require=("signatures",), waive={LYING[0]: "later"})
    path.write_text(stricter.encode())
    document = read(invoke, "--policy", str(path), code=Exit.FINDING)
    assert document.audit.summary.findings == list(LYING[1:])
    assert document.audit.summary.waived == {LYING[0]: "later"}


def test_fail_on(invoke: Invoke, tmp_path: Path) -> None:
    words = (
        *("audit", "-q", "--protocol", "secagg", "--policy"),
        *("malicious", "--check", "vectors.hkdf"),
    )
    # The promise alone is missing, and that is of severity high.
    assert invoke(*words).exit_code == Exit.FINDING
    assert invoke(*words, "--fail-on", "high").exit_code == Exit.FINDING
    assert invoke(*words, "--fail-on", "critical").exit_code == Exit.DONE


@pytest.mark.parametrize("format_", output.FORMATS)
def test_every_format_has_every_check(invoke: Invoke, format_: str) -> None:
    result = invoke(*QUICK, "--format", format_)
    assert result.exit_code == Exit.DONE
    for check in CHECKS:
        if check.group in ("vectors", "signatures"):
            assert check.id in result.stdout
    if format_ == "csv":
        rows = {row["id"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
        assert rows[LYING[0]]["verdict"] == "fail"
        assert rows[LYING[0]]["scope"] == "outside the guarantee"
    if format_ == "jsonl":
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert {line["schema"] for line in lines} == {"secagg.audit.result/1"}
    if format_ in ("table", "md"):
        assert "does not prove" in result.stdout
        assert "gets through" in result.stdout


def test_hits_only(invoke: Invoke) -> None:
    result = invoke(*QUICK, "--hits", "--format", "json")
    document = msgspec.json.decode(result.stdout, type=audit.Document)
    assert [one.id for one in document.audit.results] == list(LYING)
    assert document.audit.summary.verdicts["pass"] == 8


def test_files_beside_the_answer(invoke: Invoke, tmp_path: Path) -> None:
    xml, findings, page = (tmp_path / name for name in ("a.xml", "a.sarif", "a.html"))
    words = ("--junit", str(xml), "--sarif", str(findings), "--html", str(page))
    result = invoke(*QUICK, *words, "--policy", "malicious")
    assert result.exit_code == Exit.FINDING
    suite = ElementTree.parse(xml).getroot()[0]  # noqa: S314 - our own
    assert suite.get("failures") == "4"
    log = json.loads(findings.read_text())
    assert {one["ruleId"] for one in log["runs"][0]["results"]} == {"claims.adversary", *LYING}
    assert "<!DOCTYPE html>" in page.read_text()
    assert "secagg 0." in page.read_text()
    for path in (xml, findings, page):
        assert str(path) in result.stderr


@pytest.mark.parametrize("option", ["--junit", "--sarif", "--html", "--make-policy", "-o"])
def test_what_cannot_be_written_is_usage(invoke: Invoke, option: str, tmp_path: Path) -> None:
    words = ("audit", "-q", "--protocol", "plain", "--check", "vectors.hkdf")
    for place in (tmp_path / "no" / "x", tmp_path, Path("/proc/nothing")):
        result = invoke(*words, option, str(place))
        assert result.exit_code == Exit.USAGE, (place, result.output)
        assert result.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "got 0"),
        (("--protocol", "plain", "--adapter", "a:B"), "got 2"),
        (("--protocol", "plain", "--transcript", "x", "--adapter", "a:B"), "got 3"),
        (("--transcript", "x", "--level", "curious"), "--level is of a protocol"),
        (("--adapter", "a:B", "--level", "curious"), "--level is of a protocol"),
        (("--adapter", "nonsense"), "MODULE:CLASS"),
        (("--adapter", ":B"), "MODULE:CLASS"),
        (("--protocol", "nonsense"), "no such protocol"),
        (("--protocol", "bfv", "--level", "malicious"), "bfv offers level curious"),
        (("--protocol", "plain", "--check", "nonsense"), "no such check: nonsense"),
        (("--protocol", "plain", "--policy", "nonsense"), "No such file"),
        (("--protocol", "plain", "--seeds", "0"), "--seeds"),
        (("--protocol", "plain", "--clients", "3"), "--clients"),
        (("--protocol", "plain", "--fail-on", "all"), "--fail-on"),
        (("--protocol", "plain", "--source", "/nonexistent"), "--source"),
        (("--transcript", "/nonexistent"), "No such file"),
        (("--list", "--explain", "masks.uniform"), "not both"),
        (("--explain", "nonsense"), "no such check: nonsense"),
    ],
)
def test_usage(invoke: Invoke, words: tuple[str, ...], reason: str) -> None:
    result = invoke("audit", "-q", *words)
    assert result.exit_code == Exit.USAGE
    assert reason in result.stderr
    assert not result.stdout


def test_a_malformed_policy_is_usage(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    for text in ("nonsense", '{"demands": 1}', '{"adversary": "nice"}', '{"require": ["x.y"]}'):
        path.write_text(text)
        result = invoke(*QUICK, "--policy", str(path))
        assert result.exit_code == Exit.USAGE
        assert "policy.json" in result.stderr or "nice" in result.stderr or "x.y" in result.stderr


def test_the_list_and_explanations(invoke: Invoke) -> None:
    result = invoke("audit", "--list", "--format", "json")
    assert result.exit_code == Exit.DONE
    listing = msgspec.json.decode(result.stdout, type=audit.Listing)
    assert [one.id for one in listing.checks] == [check.id for check in CHECKS]
    table = invoke("audit", "--list").stdout
    assert "1e-06" in table
    assert all(f"claims.{field}" in table for field in CLAIMS)
    result = invoke("audit", "--explain", "masks.complexity")
    assert result.exit_code == Exit.DONE
    assert "Berlekamp" in result.stdout
    assert "masks.uniform" not in result.stdout


def test_what_cannot_be_loaded_is_undecided(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(name: str) -> Any:
        raise UnavailableError("it needs gold: pip install gold")

    monkeypatch.setattr(protocols, "get", get)
    result = invoke("audit", "-q", "--protocol", "bfv")
    assert result.exit_code == Exit.UNDECIDED
    assert "gold" in result.stderr


def test_an_adapter_that_offers_nothing_is_undecided(invoke: Invoke) -> None:
    words = ("audit", "-q", "--adapter", "unit.audit.misbehaving:Silent", "--format", "json")
    result = invoke(*words)
    assert result.exit_code == Exit.UNDECIDED
    document = msgspec.json.decode(result.stdout, type=audit.Document)
    assert document.audit.target.kind == "adapter"
    assert document.audit.summary.verdicts["pass"] == 0
    # Only what was asked for counts.
    result = invoke(
        "audit", "-q", "--adapter", "unit.audit.misbehaving:Promises", "--check", "fresh"
    )
    assert result.exit_code == Exit.DONE
    result = invoke("audit", "-q", "--adapter", "unit.audit.misbehaving:NoStart")
    assert result.exit_code == Exit.UNDECIDED
    assert "no start" in result.stderr
