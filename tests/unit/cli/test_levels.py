"""`secagg compare` and `secagg simulate` against a server that lies."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from unit.cli.conftest import SMALL, Invoke, read
from unit.cli.test_simulate import SMALL as SIMULATED
from unit.cli.test_simulate import read as read_simulation

from fl.compare import compare as run_comparison
from fl.compare import steps
from fl.results import ABORTED, DONE, NOT_OFFERED, Average, Row, Settings
from secagg import protocols
from secagg.cli import compare
from secagg.cli.exits import Exit
from secagg.codec import Codec
from secagg.protocol import Level, Task
from secagg.types import client

MALICIOUS = ("--level", "malicious")


def expected_rows() -> list[tuple[str, Level, str]]:
    """What is experimental has to be named."""
    rows = []
    for name in protocols.names():
        levels = protocols.get(name).levels
        here = levels.get(Level.MALICIOUS)
        offered = here is not None and not here.guarantees.experimental
        rows.append((name, Level.MALICIOUS, DONE if offered else NOT_OFFERED))
        if offered and levels[Level.MALICIOUS] != levels[Level.CURIOUS]:
            rows.append((name, Level.CURIOUS, DONE))
    return rows


def find(rows: list[Row], name: str, level: Level) -> Row:
    (row,) = (row for row in rows if (row.protocol, row.level) == (name, level))
    return row


def test_what_offers_the_level_is_there_twice_and_the_others_say_so(invoke: Invoke) -> None:
    document = read(invoke, *MALICIOUS)
    assert [(row.protocol, row.level, row.status) for row in document.rows] == expected_rows()
    assert ("secagg", Level.CURIOUS, DONE) in expected_rows()
    assert ("plain", Level.CURIOUS, DONE) not in expected_rows()
    assert ("secagg_plus", Level.MALICIOUS, NOT_OFFERED) in expected_rows()
    secagg = find(document.rows, "secagg", Level.MALICIOUS)
    assert secagg.exact
    assert secagg.rounds_done == 2
    assert secagg.trusts == "no server; at most 1 client to collude"
    assert secagg.lost_after == [1, 0, 0, 0, 0]
    bfv = find(document.rows, "bfv", Level.MALICIOUS)
    assert bfv.reason == "it offers level curious"
    assert (bfv.plan, bfv.rounds, bfv.lost_after, bfv.trusts) == ({}, [], [], "")


def test_the_row_beside_it_is_that_of_a_comparison_at_curious(invoke: Invoke) -> None:
    beside = find(read(invoke, *MALICIOUS).rows, "secagg", Level.CURIOUS)
    alone = find(read(invoke).rows, "secagg", Level.CURIOUS)
    for name in ("plan", "guarantees", "trusts", "max_error", "bytes_up", "bytes_down"):
        assert getattr(beside, name) == getattr(alone, name)


def test_the_table_has_levels_and_what_they_cost(invoke: Invoke) -> None:
    result = invoke(*SMALL, *MALICIOUS)
    assert result.exit_code == Exit.DONE
    assert "not offered" in result.stdout
    assert "secagg, level malicious over level curious: CPU of a client " in result.stdout
    assert "level" not in invoke(*SMALL).stdout
    rows = list(csv.DictReader(io.StringIO(invoke(*SMALL, *MALICIOUS, "--format", "csv").stdout)))
    assert [(row["protocol"], row["level"], row["status"]) for row in rows] == expected_rows()


def test_the_costs_are_ratios_of_the_two_rows() -> None:
    def row(level: Level, factor: float) -> Row:
        cpu = Average(0.5 * factor, 0.0)
        return Row(
            protocol="p",
            level=level,
            client_cpu_seconds=cpu,
            server_cpu_seconds=Average(2.0, 0.0),
            bytes_up=100 * factor,
            bytes_down=0.0,
            rounds_done=1,
        )

    rows = [row(Level.MALICIOUS, 3.5), row(Level.CURIOUS, 1)]
    (text,) = compare._costs(rows)
    assert text == (
        "p, level malicious over level curious: CPU of a client 3.50x, CPU of the server 1.00x,"
        " bytes up 3.50x. The row at curious is there for this difference only."
    )
    rows[0].status, rows[0].rounds_done = ABORTED, 0
    assert not [*compare._costs(rows)]


def test_nobody_offers_the_level(invoke: Invoke) -> None:
    result = invoke(*SMALL, *MALICIOUS, "--protocols", "bfv,ckks")
    assert result.exit_code == Exit.USAGE
    assert not result.stdout
    assert "ckks: it offers level curious" in result.stderr


def test_a_clients_bytes_are_those_of_the_traffic_formula(invoke: Invoke) -> None:
    codec = Codec(length=40, clip=2.0, max_weight=100)
    for row in read(invoke, *MALICIOUS, "--lose", "0").rows:
        if row.status == NOT_OFFERED:
            continue
        protocol = protocols.get(row.protocol)
        task = Task(
            clients=tuple(client(number) for number in range(10)),
            length=codec.vector_length,
            bound=codec.bound,
            level=row.level,
            dropout=Decimal("0.1"),
        )
        assert (row.bytes_up, row.bytes_down) == protocol.traffic(protocol.plan(task))


def test_more_lost_than_planned_aborts(invoke: Invoke) -> None:
    document = read(invoke, *MALICIOUS, "--lose", "0.5", code=Exit.ABORTED)
    secagg = find(document.rows, "secagg", Level.MALICIOUS)
    assert secagg.status == ABORTED
    assert "are needed" in (secagg.reason or "")


@pytest.mark.parametrize("level", list(Level))
def test_progress_is_announced_step_by_step(level: Level) -> None:
    settings = Settings(
        protocols=("plain", "secagg", "ckks"), length=5, clients=10, rounds=2, level=level
    )
    told: list[str] = []
    run_comparison(settings, told.append)
    assert len(told) == steps(settings)
    assert (": secagg malicious" in told[2]) == (level is Level.MALICIOUS)


@pytest.mark.parametrize("phase", ["advertise", "share", "mask", "agree", "unmask", "spread"])
def test_simulated_clients_vanish_in_every_phase(invoke: Invoke, phase: str) -> None:
    words = ("--protocol", "secagg", *MALICIOUS, "--dropout", "0.2", "--lost-at", phase)
    document = read_simulation(invoke, *words)
    (row,) = document.rows
    assert (row.status, row.exact, row.lost) == (DONE, True, 2)
    late = {"agree": 2, "unmask": 2, "spread": 0}.get(phase, 0)
    assert row.lost_but_included == late
    assert "level malicious" in invoke(*SIMULATED, *words).stdout
