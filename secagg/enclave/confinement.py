"""What an enclave's process gives up before it draws a key, and what it says about it.

A seccomp filter takes away the network, new programs, and opening any file (so nothing can be
loaded or written any more); limits take away new descriptors and core dumps; memory is locked
where that is permitted. Each of these says whether it was had. None of it replaces hardware: the
host's administrator can still read this process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from secagg.enclave.channel import Safeguard

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1
_MLOCK_ALL_ON_FAULT: Final = 1 | 2 | 4  # MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT
_CAP_IPC_LOCK: Final = 14

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE: Final = 0x00050000 | errno.EPERM
_X32: Final = 0x40000000


class Machine(NamedTuple):
    """The system calls of one architecture: its audit number, seccomp, and what is refused."""

    audit: int
    seccomp: int
    refused: Mapping[str, tuple[int, ...]]


MACHINES: Final = {
    "x86_64": Machine(
        0xC000003E,
        317,
        {
            "socket, connect, accept, send, receive, bind, listen": (
                *(41, 42, 43, 44, 45, 46, 47, 49, 50, 53, 288, 299, 307),
            ),
            "open, creat, memfd_create": (2, 85, 257, 319, 437),
            "fork, clone, execve, ptrace, process_vm": (56, 435, 57, 58, 59, 101, 310, 311, 322),
            "io_uring, bpf, perf, pidfd, namespaces, userfaultfd": (
                *(425, 426, 427, 321, 298, 434, 438, 272, 308, 323),
            ),
        },
    ),
    "aarch64": Machine(
        0xC00000B7,
        277,
        {
            "socket, connect, accept, send, receive, bind, listen": (
                *(198, 199, 200, 201, 202, 203, 206, 207, 211, 212, 242, 243, 269),
            ),
            "open, memfd_create": (56, 279, 437),
            "clone, execve, ptrace, process_vm": (220, 435, 117, 221, 270, 271, 281),
            "io_uring, bpf, perf, pidfd, namespaces, userfaultfd": (
                *(425, 426, 427, 280, 241, 434, 438, 97, 268, 282),
            ),
        },
    ),
}


def confine(libc: ctypes.CDLL | None = None) -> tuple[Safeguard, ...]:
    """Give up everything; call when all modules are loaded, before any key is drawn."""
    library = libc or ctypes.CDLL(None, use_errno=True)
    return (
        _environment(),
        _descriptors(),
        _memory(library),
        _limits(),
        _inspection(library),
        _system_calls(library, platform.machine()),
    )


def filter_program(machine: Machine) -> bytes:
    """The BPF program: another architecture dies, what is refused gets EPERM, the rest may."""
    numbers = [number for group in machine.refused.values() for number in group]
    code = [
        _instruction(_LOAD, 4),
        _instruction(_EQUAL, machine.audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, 0),
        _instruction(_AT_LEAST, _X32, len(numbers) + 1, 0),
        *(
            _instruction(_EQUAL, number, len(numbers) - position, 0)
            for position, number in enumerate(numbers)
        ),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE),
    ]
    return b"".join(code)


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def _environment() -> Safeguard:
    # The interpreter itself sets LC_CTYPE when it finds no locale.
    names = sorted(os.environ.keys() - {"LC_CTYPE"})
    return Safeguard("environment", not names, "empty" if not names else f"holds {names}")


def _descriptors() -> Safeguard:
    listed = Path("/proc/self/fd")
    try:
        # The listing itself is open while it is read, and gone when it is looked at again.
        numbers = [int(name) for name in os.listdir(listed)]
        others = sorted(number for number in numbers if number and _is_open(number))
    except OSError as error:
        return Safeguard("descriptors", False, f"they cannot be listed: {error.strerror}")
    details = "the message channel only" if not others else f"also {others}"
    return Safeguard("descriptors", not others, details)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _memory(library: ctypes.CDLL) -> Safeguard:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # Under a finite limit later allocations would fail, so the lock is not even tried.
    if soft != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        return Safeguard(
            "memory", False, f"not locked, the limit is {soft} bytes; it may be swapped"
        )
    if failure := _failure(lambda: library.mlockall(_MLOCK_ALL_ON_FAULT)):
        return Safeguard("memory", False, f"not locked, {failure}; it may be swapped")
    return Safeguard("memory", True, "locked, never swapped")


def _has_capability(number: int) -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    line = next((row for row in status.splitlines() if row.startswith("CapEff:")), "CapEff: 0")
    return bool(int(line.split()[1], 16) >> number & 1)


def _limits() -> Safeguard:
    try:
        for limit, value in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NOFILE, 1),
        ):
            resource.setrlimit(limit, (value, value))
    except (OSError, ValueError) as error:
        return Safeguard("limits", False, f"not set: {error}")
    return Safeguard("limits", True, "no core dump, no file, no new descriptor")


def _inspection(library: ctypes.CDLL) -> Safeguard:
    if failure := _failure(lambda: library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)):
        return Safeguard("inspection", False, f"other processes of this user may attach: {failure}")
    return Safeguard("inspection", True, "closed to all but the host's administrator")


def _system_calls(library: ctypes.CDLL, name: str) -> Safeguard:
    machine = MACHINES.get(name)
    if machine is None:
        return Safeguard("network", False, f"not filtered: no list of system calls for {name}")
    program = filter_program(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    failure = _failure(lambda: library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) or _failure(
        lambda: library.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, header)
    )
    if failure:
        return Safeguard("network", False, f"seccomp is not permitted here: {failure}")
    return Safeguard("network", True, "refused by seccomp: " + _named(tuple(machine.refused)))


def _named(groups: Sequence[str]) -> str:
    return ", ".join(groups)


def _failure(call: Callable[[], int]) -> str:
    ctypes.set_errno(0)
    if call() == 0:
        return ""
    return os.strerror(ctypes.get_errno()) or "refused"
