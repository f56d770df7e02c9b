"""`secagg compare --workers`: other processes do the work, the rows say the same of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from unit.cli.conftest import SMALL, Invoke, by_name, read

from fl.results import DONE, Settings
from secagg import protocols
from secagg.cli.exits import Exit
from secagg.errors import ParameterError
from secagg.he import workers


def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[int, ...]]]:
    """The blocks that are opened: of how many workers, and which processes ran at its end."""
    seen = []
    real = workers.processes

    @contextmanager
    def processes(count: int) -> Iterator[None]:
        with real(count):
            pool = workers._POOL.get()
            assert pool is not None
            yield
            seen.append((count, pool.pids))

    monkeypatch.setattr(workers, "processes", processes)
    return seen


def test_the_rows_are_the_same_whoever_works(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(monkeypatch)
    words = ("--protocols", "bfv,ckks", "--length", "20000")
    alone = by_name(read(invoke, *words))
    assert not seen
    document = read(invoke, *words, "--workers", "2")
    ((count, pids),) = seen
    assert count == len(pids) == document.settings.workers == 2
    for name, row in by_name(document).items():
        assert row.status == alone[name].status == DONE
        assert (row.exact, row.bytes_up) == (alone[name].exact, alone[name].bytes_up)
        here, there = alone[name].client_cpu_seconds, row.client_cpu_seconds
        assert here is not None
        assert there is not None
        # What the other processes did is in it, not only what was sent to them.
        assert there.mean > 0.5 * here.mean
    table = invoke(*SMALL, *words, "--workers", "2").stdout
    assert "up to 2 worker processes" in " ".join(table.split())


def test_who_needs_no_workers_starts_none(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watched(monkeypatch)
    read(invoke, "--protocols", "plain,secagg", "--workers", "3")
    assert seen == [(3, ())]


@pytest.mark.parametrize("count", ["0", "-2", "two"])
def test_less_than_one_is_refused(invoke: Invoke, count: str) -> None:
    result = invoke("compare", "--workers", count)
    assert result.exit_code == Exit.USAGE
    assert "--workers" in result.stderr


def test_settings_are_checked() -> None:
    with pytest.raises(ParameterError, match="workers: expected at least 1, got 0"):
        Settings(protocols=protocols.names(), workers=0)


def test_the_help_names_it(invoke: Invoke) -> None:
    assert "--workers" in invoke("compare", "--help").stdout
