"""`secagg simulate` as a user runs it: its sums, its memory, and that no process stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from secagg.cli.simulate import Document
from secagg.runner.results import ABORTED, DONE

SCRIPT = Path(sys.executable).parent / "secagg"
PATIENCE_SECONDS = 60
BYTES_PER_CLIENT = 16_000


def simulate(*words: str, code: int = 0, cwd: Path | None = None) -> Document:
    done = subprocess.run(  # noqa: S603
        [SCRIPT, "simulate", *words, "--format", "json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == code, done.stderr
    assert not done.stderr
    return msgspec.json.decode(done.stdout, type=Document)


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A simulation that would take hours."""
    command = [str(SCRIPT), "simulate", "--sessions", "1000000", "--length", "10", *words]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def children(pid: int) -> set[int]:
    """The processes whose parent this is; those that have ended and were not waited for too."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := status(int(entry.name))) and int(stat[1]) == pid:
            found.add(int(entry.name))
    return found


def status(pid: int) -> list[str]:
    """State, parent and so on; nothing if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def ended(pid: int) -> bool:
    """Gone, or waited for by nobody yet, which is up to whoever inherits it."""
    found = status(pid)
    return not found or found[0] in "ZX"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(process: subprocess.Popen[str], count: int) -> set[int]:
    """Its workers, once they work: they have used some CPU time since they came up."""
    wait_for(lambda: len(children(process.pid)) == count)
    found = children(process.pid)
    for pid in found:
        wait_for(lambda pid=pid: int(status(pid)[11]) > 60)  # type: ignore[misc]
    return found


@pytest.mark.parametrize("name", ["plain", "secagg", "secagg_plus"])
def test_the_same_sum_without_workers_and_with_two(name: str) -> None:
    rows = []
    for workers in ("0", "2"):
        document = simulate(
            *("--protocol", name, "--clients", "60", "--length", "1000", "--dropout", "0.1"),
            *("--seed", "3", "--workers", workers),
        )
        (row,) = document.rows
        assert (row.status, row.exact, row.lost) == (DONE, True, 6)
        assert len(row.worker_peak_bytes) == int(workers)
        rows.append(row)
    assert rows[0].sum_sha256 == rows[1].sum_sha256
    assert rows[0].included == rows[1].included
    assert (rows[0].bytes_up, rows[0].bytes_down) == (rows[1].bytes_up, rows[1].bytes_down)


def test_level_malicious_on_a_sparse_graph_with_two_workers() -> None:
    """Whoever vanishes before its vector is not in the sum; of six, four do."""
    (row,) = simulate(
        *("--protocol", "secagg_plus", "--level", "malicious", "--clients", "60"),
        *("--length", "1000", "--corrupt", "0.05", "--dropout", "0.1", "--workers", "2"),
    ).rows
    assert (row.status, row.exact) == (DONE, True)
    assert (row.lost, row.included, row.lost_but_included) == (6, 56, 2)


def test_more_lost_than_planned_ends_with_4() -> None:
    words = ("--clients", "60", "--length", "50", "--dropout", "0.1", "--workers", "2")
    (row,) = simulate(*words, "--lose", "0.5", "--lost-at", "share", code=4).rows
    assert (row.status, row.lost, row.exact) == (ABORTED, 30, None)
    assert "30 of 60 clients dealt shares" in (row.reason or "")


def test_a_folder_full_of_decoys(tmp_path: Path) -> None:
    for name in ("msgspec", "numpy", "secagg", "socket"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a decoy')\n")
    words = ("--protocol", "plain", "--clients", "5", "--length", "5", "--workers", "1")
    (row,) = simulate(*words, cwd=tmp_path).rows
    assert row.status == DONE


def test_the_memory_of_the_server_grows_slowly_with_clients() -> None:
    """The slope of a + b n, with vectors so short that d does not matter."""
    growth = {}
    for clients in (300, 900):
        words = ("--clients", str(clients), "--length", "10", "--dropout", "0.05")
        (row,) = simulate(*words, "--workers", "1").rows
        assert row.exact
        growth[clients] = row.server_growth_bytes
    assert 0 < (growth[900] - growth[300]) / 600 < BYTES_PER_CLIENT


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("name", ["plain", "secagg_plus"])
def test_vectors_are_never_there_all_at_once(name: str, workers: str) -> None:
    """All inputs together have many times the memory that any process may grow by."""
    words = ("--protocol", name, "--clients", "200", "--length", "200000", "--lose", "0")
    (row,) = simulate(*words, "--workers", workers).rows
    assert row.exact
    all_inputs = 200 * 200_000 * 4
    start = row.server_peak_bytes - row.server_growth_bytes
    for peak in (row.server_peak_bytes, *row.worker_peak_bytes):
        assert peak - start < all_inputs / 4


def test_a_worker_that_is_killed_ends_the_simulation_with_3() -> None:
    with running("--workers", "2") as process:
        victim, other = workers_of(process, 2)
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 3
        assert f"worker process {victim}: " in err
        assert "exit status -9" in err
        assert "Traceback" not in err
        assert not out
        assert ended(other)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_workers_end_with_their_parent(name: str) -> None:
    with running("--workers", "2") as process:
        workers = workers_of(process, 2)
        process.send_signal(getattr(signal, name))
        process.wait(PATIENCE_SECONDS)
        wait_for(lambda: all(ended(pid) for pid in workers))


def test_an_interrupt_ends_all_with_130_and_no_word_of_a_worker() -> None:
    with running("--workers", "2") as process:
        workers = workers_of(process, 2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 130
        assert (out, err.strip()) == ("", "secagg: interrupted")
        assert all(ended(pid) for pid in workers)


def test_no_zombies_while_it_runs_on(tmp_path: Path) -> None:
    """Workers that have ended have been waited for, also in a process that lives on."""
    script = tmp_path / "rounds.py"
    script.write_text(
        "import os\n"
        "from secagg.runner.results import Settings\n"
        "from secagg.runner.rounds import simulate\n"
        "asked = Settings(protocol='plain', clients=4, length=3, bound=9, workers=2)\n"
        "assert simulate(asked).rows[0].exact\n"
        "assert simulate(asked).rows[0].exact\n"
        "try:\n"
        "    print(os.waitpid(-1, os.WNOHANG))\n"
        "except ChildProcessError:\n"
        "    print('no children')\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "no children\n"
