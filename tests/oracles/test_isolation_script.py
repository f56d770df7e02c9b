"""The verdict of scripts/isolation.py follows what the planner finds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "isolation.py"
FEW = ("--graphs", "2", "--size", "100")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("isolation_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_passes(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(FEW) == 0
    assert capsys.readouterr().out.endswith("passed\n")


def test_a_graph_without_isolation_fails_it(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # All 19 of a neighbourhood hold a share of what the server wants: it may lie to nobody.
    monkeypatch.setitem(script.SEARCHED, 100, (18, 19))
    assert script.main(FEW) == 1
    assert '"groups": [null, null]' in capsys.readouterr().out


def test_a_gap_fails_it(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Half of all are corrupt, but the parameters reckon with 5 %.
    emitted = [(found._replace(corrupt=50), size) for found, size in script.emitted(100, "0.05")]
    monkeypatch.setattr(script, "emitted", lambda *_: emitted)
    assert script.main(FEW) == 1
    assert capsys.readouterr().out.endswith("FAILED\n")


@pytest.mark.parametrize("words", [("--size", "100"), ("--graphs", "199"), ("--graphs", "0")])
def test_only_a_whole_run_is_kept(script: ModuleType, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="2"):
        script.main((*words, "--write"))
