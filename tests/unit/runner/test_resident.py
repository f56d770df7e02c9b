"""The resident memory is that of this program, and its peak can begin anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from secagg.runner import resident

MEBIBYTE = 1 << 20


def test_what_is_used_is_seen_and_forgotten() -> None:
    resident.reset_peak()
    before, peak = resident.resident_bytes(), resident.peak_bytes()
    assert peak >= before - MEBIBYTE
    used = np.ones(64 * MEBIBYTE, dtype=np.uint8)
    assert resident.resident_bytes() > before + 60 * MEBIBYTE
    assert used.any()
    del used
    assert resident.peak_bytes() > before + 60 * MEBIBYTE
    assert resident.resident_bytes() < before + 32 * MEBIBYTE
    resident.reset_peak()
    assert resident.peak_bytes() < before + 32 * MEBIBYTE


def test_a_large_parent_is_not_the_childs_memory() -> None:
    large = np.ones(256 * MEBIBYTE, dtype=np.uint8)
    words = [sys.executable, "-c", "from secagg.runner import resident as r; print(r.peak_bytes())"]
    done = subprocess.run(words, capture_output=True, check=True)  # noqa: S603
    assert large.any()
    assert 10 * MEBIBYTE < int(done.stdout) < 200 * MEBIBYTE


def test_without_proc_the_system_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = resident.peak_bytes()
    monkeypatch.setattr(resident, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(resident, "_CLEAR", tmp_path / "nowhere" / "clear")
    resident.reset_peak()
    assert resident.peak_bytes() >= known - MEBIBYTE
    assert resident.resident_bytes() == resident.peak_bytes()
