"""What a transcript shows: its order, repetitions, sizes and the floor; nothing else is decided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conformance.scenario import Scenario

from secagg import protocols
from secagg.audit.checks import CHECKS
from secagg.audit.engine import chosen, hold
from secagg.audit.recorded import TranscriptSubject
from secagg.audit.registry import Settings
from secagg.audit.report import summed
from secagg.audit.verdicts import Result, Severity, Verdict
from secagg.errors import ParameterError
from secagg.runner import Faults
from secagg.transcript import Transcript
from secagg.types import client

Lines = list[dict[str, Any]]


def recorded(name: str = "secagg", faults: Faults | None = None) -> Lines:
    transcript = Transcript()
    task = {"corrupt": "0.1", "dropout": "0.2"}
    Scenario(protocols.get(name), 7, task).run(faults, transcript=transcript)
    return [msgspec.json.decode(line) for line in transcript.lines()]


def written(path: Path, lines: Lines) -> Path:
    path.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines) + b"\n")
    return path


def audit(path: Path, *words: str) -> dict[str, Result]:
    subject = TranscriptSubject(path)
    results = hold(subject, chosen(CHECKS, words, "transcript"), Settings())
    return {one.id: one for one in results}


@pytest.mark.parametrize("name", ["plain", "secagg", "secagg_plus", "bfv"])
def test_an_honest_run_is_in_order(tmp_path: Path, name: str) -> None:
    faults = Faults(lost={client(1): 2 if name.startswith("secagg") else 0})
    results = audit(written(tmp_path / "t.jsonl", recorded(name, faults)), "transcript")
    found = {id_: results[id_].verdict for id_ in results if id_.startswith("transcript.")}
    floor = Verdict.INCONCLUSIVE if name == "plain" else Verdict.PASS
    assert found == {
        "transcript.order": Verdict.PASS,
        "transcript.fresh": Verdict.PASS,
        "transcript.sizes": Verdict.PASS,
        "transcript.floor": floor,
    }


def test_messages_twice_are_late_and_no_finding(tmp_path: Path) -> None:
    lines = recorded(faults=Faults(duplicate=True))
    assert any(line["fate"] == "late" for line in lines)
    results = audit(written(tmp_path / "t.jsonl", lines), "transcript")
    assert not any(one.finding for one in results.values())


def test_all_else_is_inconclusive(tmp_path: Path) -> None:
    results = audit(written(tmp_path / "t.jsonl", recorded()))
    others = [one for one in results.values() if one.group not in ("transcript", "claims")]
    assert len(others) > 20
    assert {one.verdict for one in others} == {Verdict.INCONCLUSIVE}
    assert summed(list(results.values()), Severity.LOW).exit_code == 3


def _repeat(lines: Lines) -> None:
    vector = next(line for line in lines if line["message"] == "MaskedVector")
    lines.insert(lines.index(vector), dict(vector, sender="client 99"))
    _number(lines)


def _number(lines: Lines) -> None:
    for place, line in enumerate(lines):
        line["sequence"] = place


def _twice(lines: Lines) -> None:
    vector = next(line for line in lines if line["message"] == "MaskedVector")
    lines.insert(lines.index(vector) + 1, dict(vector, sha256="0" * 64))
    _number(lines)


def _swap(lines: Lines) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def _backwards(lines: Lines) -> None:
    lines[4]["seconds"] = -1.0


def _longer(lines: Lines) -> None:
    next(line for line in lines if line["message"] == "MaskedVector")["size"] += 1


def _few(lines: Lines) -> None:
    kept = [
        line for line in lines if line["message"] != "MaskedVector" or line["sender"] == "client 3"
    ]
    lines[:] = kept
    _number(lines)


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (_repeat, {"transcript.fresh"}),
        (_twice, {"transcript.order"}),
        (_swap, {"transcript.order"}),
        (_backwards, {"transcript.order"}),
        (_longer, {"transcript.sizes"}),
        (_few, {"transcript.floor"}),
    ],
)
def test_what_is_wrong_is_found(
    tmp_path: Path, change: Callable[[Lines], None], failing: set[str]
) -> None:
    lines = recorded()
    change(lines)
    results = audit(written(tmp_path / "t.jsonl", lines), "transcript")
    assert {one.id for one in results.values() if one.finding} == failing


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no entries"),
        (b"\n", "line 1"),
        (b"{}\n", "line 1: Object missing required field"),
        (b"\xff\xfe\n", "line 1"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_what_is_no_transcript_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=word):
        TranscriptSubject(path)
    with pytest.raises(ParameterError, match="No such file"):
        TranscriptSubject(tmp_path / "missing")
    with pytest.raises(ParameterError, match="directory"):
        TranscriptSubject(tmp_path)
