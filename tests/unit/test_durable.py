from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from secagg.durable import flush_directory, write_all


def test_what_the_system_takes_in_pieces_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    place = tmp_path / "file"
    with place.open("wb", buffering=0) as file:
        write_all(file.fileno(), b"0123456789")
        write_all(file.fileno(), bytearray(b"ab"))
        write_all(file.fileno(), b"")
    assert place.read_bytes() == b"0123456789ab"


def test_it_is_the_directory_that_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[os.stat_result] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor)))
    before = os.listdir("/proc/self/fd")
    flush_directory(tmp_path)
    (status,) = flushed
    assert stat.S_ISDIR(status.st_mode)
    assert status.st_ino == tmp_path.stat().st_ino
    assert len(os.listdir("/proc/self/fd")) == len(before)
    with pytest.raises(NotADirectoryError):
        flush_directory(Path(__file__))
