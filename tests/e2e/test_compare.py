"""The commands as a user runs them, on real data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from fl import data
from fl.results import ABORTED, DONE, NOT_OFFERED, Row
from secagg.cli.compare import Document
from secagg.protocol import Level

SCRIPT = Path(sys.executable).parent / "secagg"
MASKING = ("secagg", "secagg_plus")


def secagg(*words: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603
        [SCRIPT, *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode == code, done.stderr
    return done


def compare(*words: str, code: int = 0) -> Document:
    done = secagg("compare", *words, "--format", "json", code=code)
    return msgspec.json.decode(done.stdout, type=Document)


def by_name(document: Document) -> dict[str, Row]:
    return {row.protocol: row for row in document.rows}


def test_four_hospitals_reach_the_pooled_fit_under_every_protocol() -> None:
    document = compare("--data", "opt", "--rounds", "20")
    training = document.training
    assert training.clients == 4
    assert len(training.federated_by_split) == len(training.pooled_by_split) == 10
    assert training.federated is not None
    assert training.pooled is not None
    assert abs(training.pooled - training.federated) < 0.02
    assert document.data.sha256 == data.load("opt").checksum
    for row in document.rows:
        assert row.status == DONE
        assert row.exact
        assert row.metric_by_split == document.rows[0].metric_by_split
        assert row.difference == row.difference_from_staying == 0
        assert row.rounds_done == 200
    isolation = by_name(document)["enclave"].isolation
    assert isolation is not None
    assert isolation.launches == 1


def test_sixty_clients_of_which_eighteen_vanish() -> None:
    document = compare("--clients", "60", "--dropout", "0.3", "--rounds", "3")
    assert document.training.lost == 18
    rows = by_name(document)
    for name in MASKING:
        row = rows[name]
        assert row.planned_dropouts == row.survived_dropouts == 18
        assert row.lost_after == [5, 5, 4, 4]
        assert row.exact
        assert [record.included for record in row.rounds] == [46, 46, 46]
        # Other clients than those that stay, but the same as a plain sum over them.
        assert row.difference == 0


def test_sixty_clients_withstand_a_server_that_lies() -> None:
    document = compare(
        *("--level", "malicious", "--clients", "60", "--dropout", "0.2", "--rounds", "2"),
        *("--protocols", "plain,secagg,bfv"),
    )
    assert document.training.lost == 12
    plain, secagg, reference, bfv = document.rows
    assert (plain.protocol, plain.level, plain.status) == ("plain", Level.MALICIOUS, DONE)
    assert (secagg.protocol, secagg.level, secagg.status) == ("secagg", Level.MALICIOUS, DONE)
    assert (reference.protocol, reference.level) == ("secagg", Level.CURIOUS)
    assert (bfv.protocol, bfv.status) == ("bfv", NOT_OFFERED)
    assert secagg.exact
    assert secagg.trusts == "no server; at most 6 clients to collude"
    assert secagg.planned_dropouts == secagg.survived_dropouts == 12
    assert secagg.lost_after == [3, 3, 2, 2, 2]
    # Who vanishes after its vector came counts: in two of the five phases, 2 clients each.
    assert [record.included for record in secagg.rounds] == [52, 52]
    assert secagg.difference == plain.difference == 0


def test_more_lost_than_planned_ends_with_4() -> None:
    document = compare(
        *("--clients", "60", "--dropout", "0.3", "--lose", "0.6", "--rounds", "1"), code=4
    )
    rows = by_name(document)
    assert rows["plain"].status == DONE
    for name in MASKING:
        assert rows[name].status == ABORTED
        assert "31 are needed" in (rows[name].reason or "")


def test_the_first_command_a_user_runs() -> None:
    done = secagg("compare", "--rounds", "1")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("digits: 10 clients, 1 round")
    assert "accuracy" in lines[2]
    assert "comparing" in done.stderr
    assert "\x1b" not in done.stdout


def test_the_package_runs_as_a_module() -> None:
    words = [sys.executable, "-m", "secagg.cli", "protocols", "--format", "csv"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == secagg("protocols", "--format", "csv").stdout


def test_an_unusable_kernel_level_is_not_silently_replaced() -> None:
    done = secagg("compare", "--length", "10", code=3, SECAGG_CPU="abacus")
    assert "abacus" in done.stderr
    assert secagg("doctor", "--format", "csv", code=3, SECAGG_CPU="abacus").stdout


def test_the_reference_gives_the_same_sums() -> None:
    def errors(level: str) -> list[float | None]:
        words = ("compare", "--length", "50", "--rounds", "1", "--format", "json")
        text = secagg(*words, SECAGG_CPU=level).stdout
        return [row.max_error for row in msgspec.json.decode(text, type=Document).rows]

    assert errors("reference") == errors("portable")


def test_an_interrupted_run_ends_with_130() -> None:
    words = [str(SCRIPT), "compare", "--length", "10", "--rounds", "1000000"]
    with subprocess.Popen(  # noqa: S603
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        assert "comparing" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert out == ""
    assert "Traceback" not in err
