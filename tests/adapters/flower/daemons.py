"""Flower's own processes for a test: a SuperLink, SuperNodes and `flwr run`, all on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

START_SECONDS: Final = 60
RUN_SECONDS: Final = 400
END_SECONDS: Final = 30

BINARIES: Final = Path(sys.executable).parent
QUIET: Final = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class Deployment:
    """A SuperLink, and where `flwr run` finds it. Everything is written below one folder."""

    def __init__(self, folder: Path, *, simulation: bool) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._address = f"127.0.0.1:{_free_port()}"
        self._environment = {
            **os.environ,
            **QUIET,
            "FLWR_HOME": str(folder),
            # The processes that Flower starts are commands beside this interpreter.
            "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}",
        }
        (folder / "config.toml").write_text(
            '[superlink]\ndefault = "test"\n\n'
            f'[superlink.test]\naddress = "{self._address}"\ninsecure = true\n'
        )
        port = self._address.rpartition(":")[2]
        self._start(
            "flower-superlink",
            *("--insecure", "--host", "127.0.0.1", "--port", port),
            # Offline, and the environment has everything.
            "--disable-runtime-dependency-installation",
            *(["--simulation"] if simulation else []),
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._healthy():
            if time.monotonic() > deadline or self._started[0].poll() is not None:
                raise AssertionError(f"the SuperLink did not start:\n{self.logs()}")
            time.sleep(0.2)

    def add_nodes(self, count: int) -> None:
        """SuperNodes, each with its part of the data."""
        for number in range(count):
            config = f"partition-id={number} num-partitions={count}"
            self._start(
                "flower-supernode",
                *("--insecure", "--superlink", self._address, "--node-config", config),
                *("--host", "127.0.0.1", "--port", str(_free_port())),
            )

    def run(self, app: Path, *options: str) -> str:
        """`flwr run`; what the run printed and logged."""
        done = subprocess.run(
            [BINARIES / "flwr", "run", app, "--stream", *options],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{self.logs()}"
        return done.stdout

    def end(self) -> None:
        """End what was started here and what that has started, and nothing else."""
        running = [*_descendants({process.pid for process in self._started})]
        for process in reversed(self._started):
            process.send_signal(SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while any(_lives(each) for each in running) and time.monotonic() < deadline:
            for process in self._started:
                process.poll()
            time.sleep(0.1)
        for each in running:
            if _lives(each):
                with suppress(ProcessLookupError):
                    os.kill(each[0], SIGKILL)
        for process in self._started:
            process.wait(END_SECONDS)

    def logs(self) -> str:
        """The ends of all logs."""
        files = sorted(self._folder.glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in files)

    def _start(self, name: str, *options: str) -> None:
        log = self._folder / f"{len(self._started)}-{name}.log"
        with log.open("wb") as output:
            self._started.append(
                subprocess.Popen(
                    [BINARIES / name, *options],
                    cwd=self._folder,
                    env=self._environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )

    def _healthy(self) -> bool:
        try:
            with urlopen(f"http://{self._address}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextmanager
def deployment(folder: Path, *, simulation: bool) -> Iterator[Deployment]:
    """One that is gone in the end, whatever happened."""
    started = Deployment(folder, simulation=simulation)
    try:
        yield started
    finally:
        started.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Born = tuple[int, str]
"""A process's id and when it began, so that an id that is used again is not taken for it."""


def _descendants(roots: set[int]) -> Iterator[Born]:
    """These processes and all that they started, as far as they still have parents."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if (found := _facts(int(folder.name))) is not None:
            parents[int(folder.name)] = found
    wanted = set(roots)
    while more := {pid for pid, (parent, _) in parents.items() if parent in wanted} - wanted:
        wanted |= more
    yield from ((pid, parents[pid][1]) for pid in wanted if pid in parents)


def _lives(process: Born) -> bool:
    found = _facts(process[0])
    return found is not None and found[1] == process[1]


def _facts(pid: int) -> tuple[int, str] | None:
    """Its parent and when it began, or None for one that has ended: proc(5), /proc/pid/stat."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), fields[19])
