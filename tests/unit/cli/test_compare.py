"""`secagg compare` on small vectors: formats, schema, exit codes. Training: tests/e2e."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from unit.cli.conftest import SMALL, Invoke, by_name, read

from fl import results
from fl.compare import choose_lost, lost_count, trusts
from fl.contender import RoundRecord
from fl.results import DONE, NOT_OFFERED, Row
from secagg import kernels, protocols
from secagg.cli import compare, output
from secagg.cli.exits import Exit
from secagg.codec import Codec
from secagg.errors import ParameterError
from secagg.protocol import (
    Adversary,
    Effects,
    Evidence,
    Exactness,
    Guarantees,
    Level,
    Task,
)
from secagg.protocols._enclave.party import EnclaveParty
from secagg.types import client

HEADER = (
    "schema secagg machine load versions started argv settings data training".split()  # noqa: SIM905
)
ROW = [
    "protocol",
    "level",
    "title",
    "status",
    "reason",
    "trusts",
    "guarantees",
    "plan",
    "isolation",
    "metric",
    "metric_by_split",
    "difference",
    "difference_from_staying",
    "exact",
    "claims_exact",
    "max_error",
    "error_bound",
    "saturated",
    "client_cpu_seconds",
    "server_cpu_seconds",
    "role_cpu_seconds",
    "bytes_up",
    "bytes_down",
    "expansion",
    "planned_dropouts",
    "survived_dropouts",
    "lost_after",
    "rounds_done",
    "rounds",
]
ROUND = [
    "seed",
    "round",
    "lost",
    "included",
    "lost_but_included",
    "failure",
    "accused",
    "exact",
    "max_error",
    "error_bound",
    "saturated",
    "client_cpu_seconds",
    "server_cpu_seconds",
    "role_cpu_seconds",
    "bytes_up",
    "bytes_down",
]
MACHINE = [
    "platform",
    "cpu",
    "cpu_flags",
    "cores",
    "memory_bytes",
    "python",
    "kernel_level",
    "kernel",
    "kernel_forced",
]


def test_the_schema_is_stable(invoke: Invoke) -> None:
    result = invoke(*SMALL, "--format", "json")
    assert not result.stderr
    document = msgspec.json.decode(result.stdout)
    assert list(document) == [*HEADER, "rows"]
    assert document["schema"] == "secagg.compare/1"
    assert list(document["secagg"]) == ["version", "commit"]
    assert list(document["machine"]) == MACHINE
    assert list(document["data"]) == ["name", "source", "sha256"]
    assert len(document["load"]["before"]) == len(document["load"]["after"]) == 3
    assert document["argv"] == ["secagg", *SMALL, "--format", "json"]
    assert document["settings"]["dropout"] == document["settings"]["lose"] == "0.1"
    assert document["versions"]["numpy"] == np.__version__
    for row in document["rows"]:
        assert list(row) == ROW
        assert list(row["rounds"][0]) == ROUND


def test_every_protocol_has_a_row_and_is_exact(invoke: Invoke) -> None:
    document = read(invoke)
    assert [row.protocol for row in document.rows] == list(protocols.names())
    for row in document.rows:
        promised = protocols.get(row.protocol).guarantees(Level.CURIOUS).exactness
        assert (row.status, row.reason) == (DONE, None)
        assert row.claims_exact == (promised is Exactness.EXACT)
        assert row.exact or not row.claims_exact
        assert row.rounds_done == len(row.rounds) == 2
        assert row.max_error is not None
        assert row.error_bound is not None
        assert 0 < row.max_error <= row.error_bound
        assert row.metric is None
        assert row.trusts
    rows = by_name(document)
    assert rows["plain"].bytes_down == 0
    assert rows["plain"].expansion == pytest.approx((rows["plain"].bytes_up or 0) / 160)
    assert (rows["secagg"].bytes_up or 0) > (rows["plain"].bytes_up or 0)


def test_the_enclave_has_one_process_for_all_rounds_and_it_is_named(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(party: EnclaveParty) -> Effects:
        raise AssertionError("the enclave's party runs in the comparing process")

    monkeypatch.setattr(EnclaveParty, "begin", here)
    document = read(invoke, "--splits", "2")
    for name, row in by_name(document).items():
        assert (row.isolation is None) == (name != "enclave")
    enclave = by_name(document)["enclave"]
    isolation = enclave.isolation
    assert isolation is not None
    assert isolation.kind == "SIMULATED enclave"
    assert isolation.launches == 1
    assert enclave.rounds_done == 4
    names = {*isolation.held, *(text.split(":")[0] for text in isolation.missing)}
    assert names == {"environment", "descriptors", "memory", "limits", "inspection", "network"}
    assert all(": NO, " in text for text in isolation.missing)
    # A round's CPU is what the process spent in it, so its start is in none of them.
    assert isolation.launch_cpu_seconds > 0.05
    for record in enclave.rounds:
        assert 0 < record.role_cpu_seconds["enclave"] < isolation.launch_cpu_seconds
    markdown = compare.markdown(document)
    assert "enclave: SIMULATED enclave, in a process of its own for all rounds, started once" in (
        markdown
    )


def test_what_does_not_protect_the_process_is_said_aloud() -> None:
    isolation = results.Isolation(
        kind="SIMULATED enclave",
        launches=3,
        launch_cpu_seconds=0.5,
        held=["limits", "network"],
        missing=["memory: NO, not locked, the limit is 8192 bytes; it may be swapped"],
    )
    text = compare._isolation("enclave", isolation)
    assert "SIMULATED" in text
    assert "started 3 times, each time but the first for a lost round (500.0 ms of CPU" in text
    assert "Safeguards of the process: limits, network." in text
    assert "could not have: memory: NO, not locked, the limit is 8192 bytes" in text
    bare = compare._isolation("enclave", msgspec.structs.replace(isolation, held=[]))
    assert "Safeguards of the process: none." in bare


def test_a_clients_bytes_are_those_of_the_traffic_formula(invoke: Invoke) -> None:
    codec = Codec(length=40, clip=2.0, max_weight=100)
    task = Task(
        clients=tuple(client(number) for number in range(10)),
        length=codec.vector_length,
        bound=codec.bound,
        dropout=Decimal("0.1"),
    )
    for row in read(invoke, "--lose", "0").rows:
        protocol = protocols.get(row.protocol)
        assert (row.bytes_up, row.bytes_down) == protocol.traffic(protocol.plan(task))


def test_what_is_experimental_is_run_when_it_is_named(invoke: Invoke) -> None:
    level = ("--level", "malicious", "--clients", "5")
    rows = by_name(read(invoke, *level))
    assert rows["secagg_plus"].status == NOT_OFFERED
    assert "experimental" in (rows["secagg_plus"].reason or "")
    named = read(invoke, *level, "--protocols", "secagg_plus").rows
    assert [(row.level, row.status, row.exact) for row in named] == [
        (Level.MALICIOUS, DONE, True),
        (Level.CURIOUS, DONE, True),
    ]
    assert "experimental" in (named[0].trusts or "")


def test_losses_are_floor_and_spread_over_all_phases(invoke: Invoke) -> None:
    document = read(invoke, "--clients", "23", "--dropout", "0.3")
    assert document.training.lost == 6
    for row in document.rows:
        assert sum(row.lost_after) == 6
        assert max(row.lost_after) - min(row.lost_after) <= 1
        assert row.survived_dropouts == 6
        assert row.planned_dropouts is not None
        assert row.planned_dropouts >= 6
        for record in row.rounds:
            assert record.lost == 6
            assert record.included == 17 + len(record.lost_but_included)
            assert record.exact
    rows = by_name(document)
    assert rows["secagg"].lost_after == [2, 2, 1, 1]
    assert [len(record.lost_but_included) for record in rows["secagg"].rounds] == [1, 1]
    assert rows["secagg"].planned_dropouts == 7
    # Another choice every round.
    assert len({record.lost_but_included for record in rows["secagg"].rounds}) == 2


def test_the_same_seed_gives_the_same_numbers(invoke: Invoke) -> None:
    def numbers(*words: str) -> list[tuple[float | None, float | None]]:
        return [(row.max_error, row.bytes_up) for row in read(invoke, *words).rows]

    assert numbers("--seed", "3") == numbers("--seed", "3") != numbers("--seed", "4")


def test_splits_are_counted(invoke: Invoke) -> None:
    document = read(invoke, "--splits", "3", "--seed", "5")
    for row in document.rows:
        assert [(r.seed, r.round) for r in row.rounds] == [
            (seed, number) for seed in (5, 6, 7) for number in (0, 1)
        ]


def test_lines_begin_with_the_header(invoke: Invoke) -> None:
    result = invoke(*SMALL, "--format", "jsonl")
    lines = [msgspec.json.decode(line) for line in result.stdout.splitlines()]
    assert list(lines[0]) == HEADER
    assert [line["schema"] for line in lines] == [
        "secagg.compare/1",
        *["secagg.compare.row/1"] * len(protocols.names()),
    ]
    assert list(lines[1]) == ["schema", *ROW]


def test_csv_and_markdown_and_table(invoke: Invoke) -> None:
    rows = list(csv.DictReader(io.StringIO(invoke(*SMALL, "--format", "csv").stdout)))
    assert [row["protocol"] for row in rows] == list(protocols.names())
    assert all(float(row["client_cpu_seconds"]) > 0 for row in rows)
    markdown = invoke(*SMALL, "--format", "md").stdout.splitlines()
    bars = {line.count("|") for line in markdown if line.startswith("|")}
    assert len(bars) == 1
    table = invoke(*SMALL).stdout
    for name in protocols.names():
        assert name in table
    assert "trusts" in table
    assert "ended" not in table


@pytest.mark.parametrize("format_", output.FORMATS)
def test_a_file_by_its_suffix(invoke: Invoke, tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"report.{format_}"
    result = invoke(*SMALL, "-o", str(path))
    assert result.exit_code == Exit.DONE
    assert not result.stdout
    assert "secagg_plus" in path.read_text(encoding="utf-8")


def test_talk_goes_to_stderr(invoke: Invoke) -> None:
    result = invoke(*(word for word in SMALL if word != "-q"))
    assert "comparing plain, secagg" in result.stderr
    assert "comparing" not in result.stdout


CURIOUS = protocols.get("secagg").guarantees(Level.CURIOUS)


@pytest.mark.parametrize(
    ("changes", "corrupt", "words"),
    [
        ({}, 1, "the server to follow the protocol; at most 1 client to collude"),
        ({}, 6, "the server to follow the protocol; at most 6 clients to collude"),
        ({}, 0, "the server to follow the protocol; nobody to collude"),
        (
            {"adversary": Adversary.LYING_SERVER, "evidence": Evidence.SKETCH},
            2,
            "no server; at most 2 clients to collude; a proof sketch: experimental",
        ),
        ({"adversary": Adversary.TRUSTED_SERVER}, 0, "the server, with every input"),
    ],
)
def test_trust_in_words(changes: dict[str, Any], corrupt: int, words: str) -> None:
    task = Task(clients=tuple(client(number) for number in range(10)), length=4, bound=9)
    plan = protocols.get("secagg").plan(task)
    plan = msgspec.structs.replace(plan, corrupt=corrupt)
    assert trusts(Guarantees(**(vars(CURIOUS) | changes)), plan) == words


def test_losses_are_distinct_clients_by_seed_and_round() -> None:
    chosen = choose_lost(18, 60, seed=1, training_round=2)
    assert chosen == choose_lost(18, 60, seed=1, training_round=2)
    assert len(set(chosen)) == 18
    assert set(chosen) <= set(range(60))
    assert chosen != choose_lost(18, 60, seed=1, training_round=3)
    assert chosen != choose_lost(18, 60, seed=2, training_round=2)
    assert choose_lost(0, 60, seed=1, training_round=2) == []


@pytest.mark.parametrize(
    ("fraction", "clients", "count"),
    [("0.3", 60, 18), ("0.29", 100, 29), ("0.3", 11, 3), ("0", 9, 0)],
)
def test_the_number_lost_is_rounded_down(fraction: str, clients: int, count: int) -> None:
    assert lost_count(Decimal(fraction), clients) == count


def test_the_reference_is_announced(invoke: Invoke) -> None:
    with kernels.using_level("reference"):
        result = invoke(*(word for word in SMALL if word != "-q"))
    assert "warning: the Python reference runs" in result.stderr


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"splits": 0}, {"seed": -1}, {"protocols": ()}, {"lose": 1}]
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        results.Settings(**({"protocols": ("plain",)} | wrong))


def test_records_and_rows_have_no_other_fields() -> None:
    assert list(Row.__struct_fields__) == ROW
    assert list(RoundRecord.__struct_fields__) == ROUND
