"""Worker processes change the time, not what is encrypted; and they leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from unit.he.cases import key_of

from secagg.errors import DecodeError, ParameterError, UnavailableError
from secagg.he import pool, vectors, workers
from secagg.he.channel import Begin
from secagg.he.parameters import Layout, derive_bfv, derive_ckks
from secagg.he.pool import Account, Pool
from secagg.he.seal import Slots

BOUND = 30_000


def vector_in(layout: Layout) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """All elements of a chunk differ, and so do the chunks."""
    return (np.arange(layout.length, dtype=np.int64) * 7) % (2 * BOUND + 1) - BOUND


def slots_in(layout: Layout) -> Slots:
    return vectors.slots_of(vector_in(layout), layout)


def running() -> Pool:
    """The pool of the block; its processes have started."""
    found = workers._POOL.get()
    assert found is not None
    found._start()
    return found


def clock(pid: int) -> float:
    """CPU seconds of a process, by the kernel: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)."""
    return time.clock_gettime((~pid << 3) | 2)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
def test_what_workers_encrypt_and_decrypt_is_the_vector(derive) -> None:  # type: ignore[no-untyped-def]
    """Six batches, each larger than a socket's buffer, in the order in which they were given."""
    layout = derive(3, BOUND, 500_000)
    assert layout.chunks > 40
    key, _ = key_of(layout.lattice)
    values = vector_in(layout)
    slots = vectors.slots_of(values, layout)
    alone = workers.encrypt(slots, layout, key.public)
    with workers.processes(2):
        together = workers.encrypt(slots, layout, key.public)
        opened = [
            workers.decrypt(vectors.unpack(memoryview(packed), layout), layout, key.seed)
            for packed in (alone, together)
        ]
    opened.append(workers.decrypt(vectors.unpack(memoryview(together), layout), layout, key.seed))
    assert len(together) == len(alone) == layout.upload_bytes
    for found in opened:
        error = vectors.values_of(found, layout, 1) - values
        assert int(np.max(np.abs(error))) <= layout.error_bound


def test_the_randomness_of_chunks_differs() -> None:
    layout = derive_bfv(3, BOUND, 40_000)
    key, _ = key_of(layout.lattice)
    slots = vectors.slots_of(np.zeros(40_000, dtype=np.int64), layout)
    packed = workers.encrypt(slots, layout, key.public)
    size = layout.lattice.ciphertext_bytes
    with workers.processes(2):
        packed += workers.encrypt(slots, layout, key.public)
    chunks = {packed[at : at + 64] for at in range(0, len(packed), size)}
    assert len(chunks) == 2 * layout.chunks


def test_at_least_one_worker() -> None:
    with pytest.raises(ParameterError, match="at least one"), workers.processes(0):
        pass


def test_few_batches_are_under_way_and_all_workers_have_some() -> None:
    layout = derive_bfv(3, BOUND, 150_000)
    key, _ = key_of(layout.lattice)
    rows = slots_in(layout)
    most: list[int] = []
    asked: set[int] = set()
    with workers.processes(2):
        used = running()

        def batches() -> Iterator[bytes]:
            for row in rows:
                most.append(max(len(worker.due) for worker in used._workers))
                asked.update(worker.pid for worker in used._workers if worker.due)
                yield row.tobytes()

        begin = Begin("encrypt", layout.lattice)
        answers = used.run(begin, key.public.residues.tobytes(), batches(), Account())
        assert asked == set(used.pids)
    assert len(answers) == len(most) == layout.chunks > 10
    assert max(most) <= pool.AHEAD


def test_accounts_are_charged_with_what_the_workers_spend() -> None:
    layout = derive_bfv(3, BOUND, 8192 * 40)
    key, _ = key_of(layout.lattice)
    sealing, opening = Account(), Account()
    with workers.processes(2):
        used = running()
        before = [clock(pid) for pid in used.pids]
        packed = workers.encrypt(slots_in(layout), layout, key.public, sealing)
        workers.decrypt(vectors.unpack(memoryview(packed), layout), layout, key.seed, opening)
        spent = sum(map(clock, used.pids)) - sum(before)
    assert sealing.cpu_seconds > opening.cpu_seconds > 0
    assert sealing.cpu_seconds + opening.cpu_seconds == pytest.approx(spent, rel=0.1)


def test_a_worker_that_dies_is_a_typed_error_and_ends_all() -> None:
    layout = derive_bfv(3, BOUND, 40_000)
    key, _ = key_of(layout.lattice)
    with workers.processes(2):
        pids = running().pids
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(UnavailableError, match=rf"worker process {pids[0]} is lost.*status -9"):
            workers.encrypt(slots_in(layout), layout, key.public)
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        with pytest.raises(UnavailableError, match="have ended"):
            workers.encrypt(slots_in(layout), layout, key.public)


def test_a_worker_that_dies_at_work() -> None:
    layout = derive_bfv(3, BOUND, 150_000)
    key, _ = key_of(layout.lattice)
    with workers.processes(2):
        used = running()
        (victim, other) = used.pids

        def batches() -> Iterator[bytes]:
            for number, row in enumerate(slots_in(layout)):
                if number == 7:
                    os.kill(victim, signal.SIGKILL)
                yield row.tobytes()

        begin, key_bytes = Begin("encrypt", layout.lattice), key.public.residues.tobytes()
        with pytest.raises(UnavailableError, match=rf"worker process {victim} is lost"):
            used.run(begin, key_bytes, batches(), Account())
        assert gone(other)


@pytest.mark.parametrize("failing", [False, True])
def test_the_end_of_the_block_ends_the_processes(failing: bool) -> None:
    pids: tuple[int, ...] = ()
    with contextlib.suppress(ZeroDivisionError), workers.processes(2):
        pids = running().pids
        assert not any(map(gone, pids))
        if failing:
            raise ZeroDivisionError
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):  # not even a zombie is left
            os.kill(pid, 0)


def test_processes_start_with_the_first_use() -> None:
    with workers.processes(2):
        unused = workers._POOL.get()
        assert unused is not None
        assert unused.pids == ()


PARENT = """
import numpy as np
from secagg.crypto.rng import seeded
from secagg.he import vectors, workers
from secagg.he.contexts import SecretContext
from secagg.he.parameters import derive_bfv

layout = derive_bfv(3, 100, 200_000)
key = SecretContext.generate(layout.lattice, seeded(1))
slots = vectors.slots_of(np.zeros(layout.length, dtype=np.int64), layout)
with workers.processes(2):
    workers.encrypt(slots, layout, key.public)
    print(*workers._POOL.get().pids, flush=True)
    while {busy}:
        workers.encrypt(slots, layout, key.public)
    input()
"""


@pytest.mark.parametrize("busy", [False, True])
def test_workers_do_not_outlive_a_parent_that_is_killed(busy: bool) -> None:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PARENT.format(busy=busy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(map(gone, pids))
        parent.kill()
    deadline = time.monotonic() + 10
    while not all(map(gone, pids)):
        assert time.monotonic() < deadline, "a worker is left behind"
        time.sleep(0.01)


def test_a_worker_has_nothing_but_its_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECAGG_CPU", "portable")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    with workers.processes(2):
        for pid in running().pids:
            folder = Path(f"/proc/{pid}")
            held = {path.name: str(path.readlink()) for path in (folder / "fd").iterdir()}
            assert held.pop("0").startswith("socket:")
            # What C++ prints goes nowhere.
            assert held == {"1": "/dev/null", "2": "/dev/null"}
            environment = (folder / "environ").read_bytes().split(b"\0")
            names = {line.split(b"=")[0].decode() for line in environment if line}
            assert names <= {"OPENBLAS_NUM_THREADS", "SECAGG_CPU", "LD_LIBRARY_PATH"}
            assert b"SECAGG_CPU=portable" in environment
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            assert arguments[1:4] == [b"-I", b"-S", b"-B"]
            assert (folder / "cwd").readlink() == Path("/")


def test_nothing_reaches_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    layout = derive_bfv(3, BOUND, 40_000)
    key, _ = key_of(layout.lattice)
    with workers.processes(2):
        packed = workers.encrypt(slots_in(layout), layout, key.public)
        workers.decrypt(vectors.unpack(memoryview(packed), layout), layout, key.seed)
        os.kill(running().pids[0], signal.SIGABRT)
        with pytest.raises(UnavailableError, match="status -6"):
            workers.encrypt(slots_in(layout), layout, key.public)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_a_worker_refuses_is_refused_here_and_the_others_go_on() -> None:
    layout = derive_bfv(3, BOUND, 8192 * 20)
    key, _ = key_of(layout.lattice)
    packed = workers.encrypt(slots_in(layout), layout, key.public)
    residues = vectors.unpack(memoryview(packed), layout)
    damaged = residues.copy()
    damaged[5 * layout.lattice.residues] = 1 << 61  # above its prime
    for count in (0, 2):
        with workers.processes(count) if count else contextlib.nullcontext():
            with pytest.raises(DecodeError, match="SEAL refuses"):
                workers.decrypt(damaged, layout, key.seed)
            opened = workers.decrypt(residues, layout, key.seed)
            np.testing.assert_array_equal(vectors.values_of(opened, layout, 1), vector_in(layout))


def test_ctrl_c_is_for_the_parent_alone() -> None:
    layout = derive_bfv(3, BOUND, 40_000)
    key, _ = key_of(layout.lattice)
    with workers.processes(2):
        for pid in running().pids:
            os.kill(pid, signal.SIGINT)
        assert len(workers.encrypt(slots_in(layout), layout, key.public)) == layout.upload_bytes


def test_several_threads_share_the_workers() -> None:
    import contextvars

    layout = derive_bfv(3, BOUND, 8192 * 20)
    key, _ = key_of(layout.lattice)
    found: list[Slots] = []

    def work() -> None:
        packed = workers.encrypt(slots_in(layout), layout, key.public)
        residues = vectors.unpack(memoryview(packed), layout)
        found.append(workers.decrypt(residues, layout, key.seed))

    with workers.processes(2):
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3
    for slots in found:
        np.testing.assert_array_equal(slots, slots_in(layout))
