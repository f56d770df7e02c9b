"""docs/threat-model.md says what every level promises, and where each finding is answered."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from secagg import protocols
from secagg.protocol import Claim, Guarantees, Level

ROOT = Path(__file__).parents[3]
PATH = ROOT / "docs" / "threat-model.md"
FINDINGS = [
    *(f"C{number}" for number in range(1, 6)),
    *(f"H{number}" for number in range(1, 9)),
    *(f"M{number}" for number in range(1, 11)),
]
OUTSIDE = (
    *("Sybils (A7)", "(A12)", "(A14)", "(A23)", "Rollback of a whole disk", "Ledgers on flash"),
    *("Traffic analysis", "Availability", "Side channels on the host", "Memory residue"),
    *("Example counts", "SIMULATED enclave", "honest-but-curious"),
    "also the roster's authority voids every malicious claim",
)
OFFERED = [
    (name, level, offering.guarantees)
    for name in protocols.NAMES
    for level, offering in protocols.get(name).levels.items()
]


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    """The script that writes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("threat_model_doc")


@pytest.fixture(scope="module")
def text() -> str:
    return PATH.read_text()


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next of its kind."""
    head = title.partition(" ")[0]
    (found,) = re.findall(rf"^{re.escape(title)}$\n(.*?)(?=^{head} |\Z)", text, re.M | re.S)
    return str(found)


def used(promised: Guarantees) -> list[Claim]:
    return [claim for claim in vars(promised).values() if isinstance(claim, Claim)]


def test_it_shows_what_the_protocols_promise(
    page: ModuleType, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["threat_model_doc.py", "--check"])
    assert page.main() == 0
    stale = tmp_path / "threat-model.md"
    stale.write_text(PATH.read_text().replace("| lying server |", "| curious server |", 1))
    monkeypatch.setattr(page, "DOCUMENT", stale)
    assert page.main() == 1
    monkeypatch.setattr("sys.argv", ["threat_model_doc.py"])
    assert page.main() == 0
    assert stale.read_text() == PATH.read_text()


@pytest.mark.parametrize(("name", "level", "promised"), OFFERED)
def test_every_level_has_its_promises_and_what_they_leave_out(
    page: ModuleType, text: str, name: str, level: Level, promised: Guarantees
) -> None:
    found = section(text, f"### `{name}` at `{level}`")
    assert promised.source in found
    claims = used(promised)
    assert len(claims) == len(page.KINDS)
    for claim in claims:
        assert f"{page.named(claim)}: {claim.meaning} | {page.LEFT_OUT[claim]} |" in found


def test_a_promise_without_its_limits_cannot_be_written(page: ModuleType) -> None:
    known = {claim for kind in Claim.__subclasses__() for claim in kind}
    assert set(page.LEFT_OUT) == known
    assert all(page.LEFT_OUT.values())
    offered = {f"{name} {level}" for name, level, _ in OFFERED}
    assert set(page.PARTICULAR) <= offered
    assert {f"{name} curious" for name in ("bfv", "ckks", "enclave")} <= set(page.PARTICULAR)


def test_every_finding_has_one_line_with_its_place(text: str) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(text, "## Findings, and where each is answered").splitlines()
        if re.match(r"\| [CHM]\d", line)
    ]
    assert [row[0] for row in rows] == FINDINGS
    for _, finding, answer, where in rows:
        assert finding
        assert answer
        links = re.findall(r"\]\(([^)]+)\)", where)
        assert links
        assert any("tests/" in link for link in links) or "**not covered**" in answer


def test_every_link_and_path_exists(text: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert len(links) > 50
    missing = [link for link in links if not (PATH.parent / link).resolve().is_file()]
    paths = re.findall(r"`((?:secagg|tests|scripts|docs)/[\w/.-]+)`", text)
    assert paths
    assert missing + [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_outside_is_named(text: str, name: str) -> None:
    assert name in " ".join(section(text, "## Outside").split()).replace("**", "")


def test_the_claims_that_are_not_made_are_there(text: str) -> None:
    lines = section(text, "## Claims that are not made").splitlines()
    numbers = [line.partition(".")[0] for line in lines if re.match(r"\d\.", line)]
    assert numbers == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "ARCHITECTURE.md"])
def test_it_is_linked(name: str) -> None:
    assert "docs/threat-model.md" in (ROOT / name).read_text()
