"""Measured rates of false alarms beside the claimed ones: a few runs, and what is kept of 1000."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from scipy import stats

from secagg import protocols
from secagg.audit.checks import CHECKS
from secagg.audit.library import ProtocolSubject
from secagg.audit.statistics import FALSE_ALARM
from secagg.protocol import Level

STATISTICAL = [check for check in CHECKS if check.statistical]


@pytest.mark.parametrize("check", STATISTICAL, ids=lambda check: check.id)
def test_a_few_runs(alarms: ModuleType, check: object) -> None:
    subject = ProtocolSubject(protocols.get("secagg"), Level.CURIOUS)
    row = alarms.measure(check, subject, alarms.COARSE, 15)
    assert row.runs == 15
    assert row.unlikely > alarms.SURPRISE


def test_a_check_that_alarms_too_often_is_noticed(alarms: ModuleType) -> None:
    subject = ProtocolSubject(protocols.get("plain"), Level.CURIOUS)
    (uniform,) = (check for check in STATISTICAL if check.id == "masks.uniform")
    row = alarms.measure(uniform, subject, alarms.COARSE, 10)
    assert row.alarms == 10
    assert row.unlikely < alarms.SURPRISE


@pytest.mark.parametrize(("runs", "rate", "seen"), [(10, 0.3, 0), (1000, 0.05, 60), (50, 1e-6, 1)])
def test_the_tail_is_that_of_the_binomial(
    alarms: ModuleType, runs: int, rate: float, seen: int
) -> None:
    expected = stats.binom.sf(seen - 1, runs, rate)
    assert alarms.tail(runs, rate, seen) == pytest.approx(expected, rel=1e-6)


def test_what_is_kept_covers_every_statistical_check(alarms: ModuleType) -> None:
    kept = json.loads(Path(alarms.RESULT).read_text())
    rows = {(row["check"], row["claimed"]): row for row in kept["rows"]}
    expected = {(c.id, rate) for c in STATISTICAL for rate in (FALSE_ALARM, alarms.COARSE)}
    assert set(rows) == expected
    for row in rows.values():
        assert row["runs"] == alarms.RUNS
        assert row["unlikely"] > alarms.SURPRISE
