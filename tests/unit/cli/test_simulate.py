"""`secagg simulate`: its options, its schema, and its exit codes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from unit.cli.conftest import Invoke

from secagg import kernels
from secagg.cli import output
from secagg.cli.exits import Exit
from secagg.cli.simulate import Document, verdict
from secagg.errors import WorkerLost
from secagg.runner import rounds
from secagg.runner.results import ABORTED, DONE, WRONG, Row, Settings, Simulation

SMALL = ("simulate", "-q", "--clients", "12", "--length", "30", "--workers", "0")

HEADER = [
    "schema",
    "secagg",
    "machine",
    "load",
    "versions",
    "started",
    "argv",
    "settings",
    "plan",
    "planned_dropouts",
    "start_bytes",
]
SETTINGS = [
    "protocol",
    "clients",
    "length",
    "bound",
    "level",
    "corrupt",
    "dropout",
    "lose",
    "lost_at",
    "workers",
    "threads",
    "seed",
    "sessions",
]
ROW = [
    "session",
    "status",
    "reason",
    "included",
    "lost",
    "lost_but_included",
    "claims_exact",
    "exact",
    "max_error",
    "error_bound",
    "sum_sha256",
    "wall_seconds",
    "server_cpu_seconds",
    "role_cpu_seconds",
    "client_cpu_seconds_median",
    "client_cpu_seconds_max",
    "bytes_up",
    "bytes_down",
    "server_peak_bytes",
    "server_growth_bytes",
    "worker_peak_bytes",
]


def read(invoke: Invoke, *words: str, code: Exit = Exit.DONE) -> Document:
    result = invoke(*SMALL, *words, "--format", "json")
    assert result.exit_code == code, result.stderr
    return msgspec.json.decode(result.stdout, type=Document)


def test_the_schema_is_stable(invoke: Invoke) -> None:
    result = invoke(*SMALL, "--format", "json")
    assert not result.stderr
    document = msgspec.json.decode(result.stdout)
    assert list(document) == [*HEADER, "rows"]
    assert document["schema"] == "secagg.simulate/1"
    assert list(document["settings"]) == SETTINGS
    assert document["settings"]["dropout"] == document["settings"]["lose"] == "0.1"
    assert document["argv"] == ["secagg", *SMALL, "--format", "json"]
    assert len(document["load"]["before"]) == len(document["load"]["after"]) == 3
    assert document["machine"]["kernel_level"] == kernels.level()
    (row,) = document["rows"]
    assert list(row) == ROW


def test_lines_begin_with_the_header(invoke: Invoke) -> None:
    result = invoke(*SMALL, "--sessions", "2", "--format", "jsonl")
    lines = [msgspec.json.decode(line) for line in result.stdout.splitlines()]
    assert list(lines[0]) == HEADER
    assert [line["schema"] for line in lines] == [
        "secagg.simulate/1",
        "secagg.simulate.row/1",
        "secagg.simulate.row/1",
    ]
    assert list(lines[1]) == ["schema", *ROW]
    assert [line["session"] for line in lines[1:]] == [0, 1]


def test_settings_are_what_was_asked_for(invoke: Invoke) -> None:
    document = read(
        invoke,
        *("--protocol", "secagg", "--dropout", "0.25", "--lose", "0.1", "--lost-at", "mask"),
        *("--corrupt", "0", "--bits", "12", "--threads", "2", "--seed", "5"),
    )
    settings = msgspec.to_builtins(document.settings)
    assert settings == {
        "protocol": "secagg",
        "clients": 12,
        "length": 30,
        "bound": 2047,
        "level": "curious",
        "corrupt": "0",
        "dropout": "0.25",
        "lose": "0.1",
        "lost_at": "mask",
        "workers": 0,
        "threads": 2,
        "seed": 5,
        "sessions": 1,
    }
    (row,) = document.rows
    assert (row.status, row.exact, row.lost, row.included) == (DONE, True, 1, 11)
    assert document.planned_dropouts == 3
    assert read(invoke, "--bound", "9").settings.bound == 9


def test_the_default_is_one_worker_less_than_cpus(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Settings] = []

    def simulate(settings: Settings, notify: Any) -> Simulation:
        asked.append(settings)
        raise WorkerLost("worker process 5: it is on strike")

    monkeypatch.setattr(rounds, "simulate", simulate)
    for cpus in (1, 2, 5):
        monkeypatch.setattr(kernels, "usable_cpus", lambda: cpus)  # noqa: B023
        result = invoke("simulate")
        assert result.exit_code == Exit.UNDECIDED
        assert "worker process 5: it is on strike" in result.stderr
        assert not result.stdout
    assert [settings.workers for settings in asked] == [1, 1, 4]
    assert asked[0].protocol == "secagg_plus"
    assert asked[0].bound == 32767


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--bits", "8", "--bound", "9"), "--bits and --bound"),
        (("--bits", "1"), "--bits"),
        (("--workers", "-1"), "--workers"),
        (("--sessions", "0"), "--sessions"),
        (("--protocol", "rot13"), "no such protocol: rot13"),
        (("--protocol", "plain,secagg"), "one protocol"),
        (("--protocol", ""), "one protocol"),
        (("--lost-at", "lunch"), "advertise, share, mask, unmask"),
        (("--protocol", "bfv", "--level", "malicious"), "malicious"),
        (("--bits", "63"), "at most 64"),
        (("--clients", "2"), "min_clients"),
        (("--corrupt", "0.5"), "corrupt"),
    ],
)
def test_what_makes_no_sense_is_usage(
    invoke: Invoke, words: tuple[str, ...], complaint: str
) -> None:
    result = invoke(*SMALL, *words)
    assert result.exit_code == Exit.USAGE
    assert complaint in result.stderr
    assert not result.stdout


def test_more_lost_than_planned_ends_with_4(invoke: Invoke) -> None:
    document = read(
        invoke, "--lose", "0.6", "--lost-at", "mask", "--sessions", "2", code=Exit.ABORTED
    )
    assert [row.status for row in document.rows] == [ABORTED, ABORTED]
    table = invoke(*SMALL, "--lose", "0.6", "--lost-at", "mask")
    assert table.exit_code == Exit.ABORTED
    assert "delivered vectors" in " ".join(table.stdout.split())


def test_the_verdict() -> None:
    row = Row(
        session=0,
        claims_exact=True,
        error_bound=0,
        wall_seconds=1.0,
        server_cpu_seconds=1.0,
        server_peak_bytes=1,
        server_growth_bytes=1,
        worker_peak_bytes=[],
    )
    aborted = msgspec.structs.replace(row, status=ABORTED)
    wrong = msgspec.structs.replace(row, status=WRONG)
    assert verdict([row, row]) == Exit.DONE
    assert verdict([row, aborted]) == Exit.ABORTED
    assert verdict([wrong, aborted]) == verdict([row, wrong]) == Exit.FINDING


def test_csv_has_every_column_and_the_roles(invoke: Invoke) -> None:
    text = invoke(*SMALL, "--protocol", "bfv", "--format", "csv").stdout
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["status"], row["exact"], row["included"]) == ("done", "True", "11")
    assert float(row["decryptor"]) > 0
    assert row["workers_peak_bytes"] == ""


@pytest.mark.parametrize("format_", output.FORMATS)
def test_a_file_by_its_suffix(invoke: Invoke, tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"report.{format_}"
    result = invoke(*SMALL, "--protocol", "ckks", "-o", str(path))
    assert result.exit_code == Exit.DONE
    assert not result.stdout
    assert "done" in path.read_text(encoding="utf-8")


def test_the_table_says_what_ran(invoke: Invoke) -> None:
    text = " ".join(invoke(*SMALL, "--sessions", "2", "--lost-at", "mask").stdout.split())
    assert "12 clients, 30 integers up to 32767, 1 of the clients lost in phase mask" in text
    assert "whose memory is therefore theirs too" in text
    assert f"Kernels {kernels.level()}" in text
    assert "1 thread in each process" in text


def test_progress_on_a_terminal(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    words = [word for word in SMALL if word != "-q"]
    assert "answers" in invoke(*words).stderr
    shown = invoke(*words, "--sessions", "2").stderr
    assert "session 2 of 2: answers" in shown
    assert "11/12" in shown
    assert not invoke(*SMALL).stderr


def test_nothing_is_said_where_there_is_no_terminal(invoke: Invoke) -> None:
    assert not invoke(*(word for word in SMALL if word != "-q")).stderr
