from __future__ import annotations

import platform
import struct
import subprocess
import sys
from typing import Any

import pytest

from secagg.enclave import confinement
from secagg.enclave.confinement import MACHINES, Machine, filter_program

PROBE = """
import ctypes, errno, json, mmap, os, socket
from secagg.enclave.confinement import confine
guards = confine()
def outcome(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
held = {guard.name: guard.held for guard in guards}
print(json.dumps([held, {
    "socket": outcome(socket.socket),
    "pair": outcome(socket.socketpair),
    "open": outcome(lambda: os.open("/proc/self/status", os.O_RDONLY)),
    "write": outcome(lambda: open(os.devnull, "w")),
    "execve": outcome(lambda: os.execv("/bin/true", ["true"])),
    "fork": outcome(lambda: os.fork() or os._exit(0)),
}]))
"""


def probe() -> tuple[dict[str, bool], dict[str, str]]:
    import json

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    held, outcomes = json.loads(done.stdout)
    return held, outcomes


def test_what_is_given_up_is_gone() -> None:
    held, outcomes = probe()
    assert held["limits"]
    if held["network"]:
        assert set(outcomes.values()) == {"EPERM"}
    # Without seccomp the limit on descriptors still refuses every new one.
    assert outcomes["socket"] in ("EPERM", "EMFILE")
    assert outcomes["open"] in ("EPERM", "EMFILE")


class _Refusing:
    """A C library whose every call fails."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: -1


def test_what_is_not_permitted_is_said_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = _Refusing()
    monkeypatch.setattr(confinement, "_has_capability", lambda number: True)
    for guard in (
        confinement._memory(library),
        confinement._inspection(library),
        confinement._system_calls(library, "x86_64"),
        confinement._system_calls(library, "aarch64"),
        confinement._system_calls(library, "vax"),
    ):
        assert not guard.held
        assert "NO," in str(guard)
    monkeypatch.setattr(confinement, "_has_capability", lambda number: False)
    monkeypatch.setattr("resource.getrlimit", lambda which: (8192, 8192))
    guard = confinement._memory(library)
    assert not guard.held
    assert "8192 bytes; it may be swapped" in str(guard)


def test_this_environment_and_these_descriptors_are_not_an_enclaves() -> None:
    assert not confinement._environment().held
    assert not confinement._descriptors().held


def decide(machine: Machine, audit: int, number: int) -> int:
    """Run the filter as the kernel would."""
    program = filter_program(machine)
    code = [struct.unpack("=HBBI", program[i : i + 8]) for i in range(0, len(program), 8)]
    position, value = 0, 0
    while True:
        operation, if_true, if_false, operand = code[position]
        position += 1
        match operation:
            case 0x20:
                value = {0: number, 4: audit}[operand]
            case 0x15:
                position += if_true if value == operand else if_false
            case 0x35:
                position += if_true if value >= operand else if_false
            case _:
                return int(operand)


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_the_filter_refuses_what_it_names_and_nothing_else(name: str) -> None:
    machine = MACHINES[name]
    refused = {number for group in machine.refused.values() for number in group}
    for number in range(500):
        expected = 0x00050001 if number in refused else 0x7FFF0000
        assert decide(machine, machine.audit, number) == expected, number
    assert decide(machine, machine.audit, 0x40000000 + 41) == 0x00050001
    assert decide(machine, 0x40000003, 41) == 0x80000000
    assert len(filter_program(machine)) // 8 < 256


def test_this_machine_has_a_list() -> None:
    assert platform.machine() in MACHINES
