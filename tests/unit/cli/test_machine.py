from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from secagg import kernels
from secagg.cli import machine
from secagg.errors import UnavailableError


def test_the_machine_says_what_it_is() -> None:
    here = machine.machine()
    assert here.cores >= 1
    assert here.cpu
    assert here.kernel_level == kernels.level()
    assert set(here.cpu_flags) <= set(machine.INTERESTING_FLAGS)


def test_an_unusable_level_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise UnavailableError("no")

    monkeypatch.setattr(kernels, "level", fail)
    assert machine.machine().kernel_level is None


def test_requirements_come_from_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {needed.name: needed for needed in machine.requirements()}
    assert names["numpy"].extra is None
    assert names["numpy"].installed
    assert names["torch"].extra == "fl"
    assert set(machine.versions()) <= set(names)

    lines = ['torch>=2.6; extra == "fl"', "numpy>=2", "absent_thing ; extra == 'he'"]
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    torch, numpy, absent = machine.requirements()
    assert (torch.wanted, torch.extra, numpy.wanted) == (">=2.6", "fl", ">=2")
    assert (absent.name, absent.wanted, absent.extra) == ("absent_thing", "", "he")
    assert absent.installed is None


def test_the_commit_of_a_checkout(tmp_path: Path) -> None:
    assert machine._commit(tmp_path) is None

    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603

    git("init", "--quiet")
    assert machine._commit(tmp_path) is None
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    head = git("rev-parse", "HEAD").strip()
    assert machine._commit(tmp_path) == head
    (tmp_path / "file").touch()
    assert machine._commit(tmp_path) == f"{head}+changes"


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._commit(tmp_path) is None
