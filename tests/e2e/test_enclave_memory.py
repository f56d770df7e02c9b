"""The host of an enclave never holds an update or a key: its whole memory is searched for them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from e2e.sealed_round import plan_of, vector_of

from secagg import kernels

SCRIPT = Path(__file__).with_name("sealed_round.py")
MARKER = 0x5EC_A66
WINDOW = 32


def memory_of(pid: int) -> Iterable[bytes]:
    """Every readable region of a process."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, permissions, *rest = line.split()
            if "r" not in permissions or rest[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            memory.seek(start)
            region = bytearray()
            while len(region) < end - start:
                try:
                    piece = memory.read(min(1 << 24, end - start - len(region)))
                except OSError:
                    break
                if not piece:
                    break
                region += piece
            yield bytes(region)


def windows(data: bytes) -> list[bytes]:
    return [data[start : start + WINDOW] for start in range(0, len(data) - WINDOW, len(data) // 64)]


def found_in(pid: int, needles: dict[str, list[bytes]]) -> dict[str, int]:
    """How many needles of each kind are anywhere in the process."""
    missing = {name: set(parts) for name, parts in needles.items()}
    for region in memory_of(pid):
        for parts in missing.values():
            parts -= {part for part in parts if part in region}
    return {name: len(set(needles[name])) - len(parts) for name, parts in missing.items()}


def scan(name: str, folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    """What of the clients' secrets is found in the host, and what is looked for."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, str(SCRIPT)]
    secrets = folder / "secrets"
    with (
        subprocess.Popen(  # noqa: S603
            [*command, "host", str(ours.fileno()), name],
            pass_fds=[ours.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as host,
        subprocess.Popen(  # noqa: S603
            [*command, "clients", str(theirs.fileno()), name, str(secrets), str(MARKER)],
            pass_fds=[theirs.fileno()],
        ) as clients,
    ):
        ours.close()
        theirs.close()
        try:
            assert host.stdout is not None
            assert host.stdout.readline().startswith(b"done")
            assert clients.wait(60) == 0
            plan = plan_of(name)
            vector = vector_of(MARKER, plan)
            written = secrets.read_bytes()
            needles = {
                "packed update": windows(bytes(kernels.pack(vector, plan.ring))),
                "update in lanes": windows(vector.tobytes()),
                "keys": [written[i : i + 32] for i in range(0, len(written), 32)],
            }
            found = found_in(host.pid, needles)
        finally:
            host.kill()
            clients.kill()
    return found, {kind: len(parts) for kind, parts in needles.items()}


def test_the_scan_finds_an_update_that_the_host_saw(tmp_path: Path) -> None:
    """The positive control: under `plain` every window of the update is in the server's memory."""
    found, sought = scan("plain", tmp_path)
    assert found["packed update"] == sought["packed update"] > 60


def test_nothing_of_an_update_or_key_is_in_the_hosts_memory(tmp_path: Path) -> None:
    found, sought = scan("enclave", tmp_path)
    assert found == {"packed update": 0, "update in lanes": 0, "keys": 0}
    assert sought["keys"] == 6
