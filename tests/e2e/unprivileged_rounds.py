"""Two rounds with their enclave in one process, by somebody without privileges; prints what came.

Whatever the caller could do, it gives up first: every capability, and those that a program which
it starts would get back. It stays the same user, who may read this checkout when another may not.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from secagg import protocols
from secagg.crypto.rng import SystemRng
from secagg.errors import LocalProtocolError
from secagg.protocol import Identities, Session, Task
from secagg.runner import EnclaveHost, run
from secagg.types import client

_PR_CAPBSET_DROP = 24
_CAPABILITIES_V3 = 0x20080522


def drop_privileges() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for number in range(last + 1):
        # Refused to whoever has none to give up; the caller looks at what is left.
        libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    none = bytes(6 * 4)
    if libc.capset(struct.pack("=Ii", _CAPABILITIES_V3, 0), none):
        raise OSError(ctypes.get_errno(), "capset")


def status_of(pid: int) -> dict[str, str]:
    rows = (line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.strip() for name, value in rows}


def readable(pid: int) -> list[str]:
    """What of a process its own user can read."""
    found = []
    for name in ("environ", "maps", "mem"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
        except PermissionError:
            continue
        found.append(name)
    return found


def main() -> dict[str, Any]:
    drop_privileges()
    protocol = protocols.get("enclave")
    task = Task(clients=tuple(client(number) for number in range(4)), length=50, bound=100)
    plan = protocol.plan(task)
    inputs = {who: np.full(50, who.number + 1, dtype=plan.ring.dtype) for who in task.clients}
    rng = SystemRng()
    with EnclaveHost.launch() as host:
        sums = []
        for _ in range(2):
            session = Session.fresh(plan, rng)
            sums.append(run(protocol, session, inputs, rng, host=host).sum().tolist())
        refusal = ""
        drawn = Identities.drawn(plan, rng, host.ready.measurement)
        again = Session.fresh(plan, rng, roster=drawn.roster)
        host.party(protocol, again, plan.parties[-1], rng)
        try:
            host.party(protocol, again, plan.parties[-1], rng)
        except LocalProtocolError as error:
            refusal = str(error)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            answer = {
                "sums": sums,
                "refusal": refusal,
                "safeguards": [(g.name, g.held, g.details) for g in host.ready.safeguards],
                "own": status_of(os.getpid()),
                "enclave": status_of(host.pid),
                "lockable": resource.getrlimit(resource.RLIMIT_MEMLOCK)[0],
                "readable": {"enclave": readable(host.pid), "other": readable(other.pid)},
            }
            other.kill()
    return answer


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main()))
