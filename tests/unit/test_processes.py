"""Child processes: they begin with what they are given, and nothing of them stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secagg.processes import Child, launching

ECHO = "import os\nwhile said := os.read(0, 100): os.write(0, said)"


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_it_hears_and_answers_until_the_block_ends() -> None:
    before = descriptors()
    with Child([sys.executable, "-I", "-c", ECHO], 10) as child:
        child._socket.sendall(b"here")
        assert child._socket.recv(100) == b"here"
        os.kill(child.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    assert descriptors() == before


def test_one_that_has_ended_keeps_its_status() -> None:
    with Child([sys.executable, "-I", "-c", "raise SystemExit(7)"], 10) as child:
        assert child._socket.recv(100) == b""
        child._process.wait(10)
    assert child._process.returncode == 7


def test_it_lives_where_it_is_put() -> None:
    asked = (
        "import os, sys\n"
        "told = (os.environ.get('PLACE'), os.getcwd(), os.getpgrp() == os.getpid())\n"
        "os.write(0, repr(told).encode())\n"
        "print('nonsense', file=sys.stderr)"
    )
    command = [sys.executable, "-I", "-c", asked]
    surroundings = {"PLACE": "here"}
    with Child(
        command, 10, env=surroundings, cwd="/", stderr=subprocess.DEVNULL, process_group=0
    ) as child:
        assert child._socket.recv(100) == b"('here', '/', True)"


def test_one_that_cannot_be_started_leaves_nothing() -> None:
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        Child(["/nonexistent/python"], 10)
    assert descriptors() == before


def test_a_command_names_the_package_and_where_its_distributions_are(tmp_path: Path) -> None:
    command = launching("he/launch.py", ("-I", "-S"), ("numpy", "no-such-thing"), tmp_path)
    assert command[:4] == [sys.executable, "-I", "-S", str(tmp_path / "he/launch.py")]
    package, native, *places = command[4:]
    assert package == str(tmp_path)
    assert native == "" or Path(native).is_file()
    assert [(Path(place) / "numpy").is_dir() for place in places] == [True]
