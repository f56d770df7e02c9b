"""How often the statistical checks of `secagg audit` fail a sound protocol, beside what they claim.

Every check is held so many times with seeds of its own at the rate of a real audit, and again at a
rate at which alarms must be seen if the threshold is what it is said to be: a check that never
alarms at 1 in 20 would be no better than none. Writes results/audit-false-alarms.json.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import msgspec

from secagg import protocols
from secagg.audit.checks import CHECKS
from secagg.audit.library import ProtocolSubject
from secagg.audit.registry import Check, Settings
from secagg.audit.statistics import FALSE_ALARM
from secagg.audit.verdicts import Verdict
from secagg.cli import machine
from secagg.protocol import Level

RESULT = Path(__file__).parents[1] / "results" / "audit-false-alarms.json"
RUNS = 1000
COARSE = 0.05
SURPRISE = 1e-6


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One check at one rate.

    Attributes:
        check: its id.
        claimed: the rate of false alarms, at most.
        runs: how often it was held.
        alarms: how often it failed.
        measured: the fraction.
        unlikely: probability of so many alarms or more, if the claim were met exactly.
    """

    check: str
    claimed: float
    runs: int
    alarms: int
    measured: float
    unlikely: float


def tail(runs: int, rate: float, alarms: int) -> float:
    """P[Binomial(runs, rate) >= alarms]."""
    below = sum(
        math.exp(
            math.lgamma(runs + 1)
            - math.lgamma(k + 1)
            - math.lgamma(runs - k + 1)
            + k * math.log(rate)
            + (runs - k) * math.log1p(-rate)
        )
        for k in range(alarms)
    )
    return max(0.0, 1 - below)


def statistical() -> tuple[Check, ...]:
    """The checks in question."""
    return tuple(check for check in CHECKS if check.statistical)


def measure(check: Check, subject: ProtocolSubject, rate: float, runs: int) -> Row:
    """One check, so often."""
    alarms = 0
    for seed in range(runs):
        judgement = check.judge(subject, Settings(seed=seed, false_alarm=rate))
        if judgement.verdict not in (Verdict.PASS, Verdict.FAIL):
            raise SystemExit(f"{check.id}: {judgement.verdict}, {judgement.evidence}")
        alarms += judgement.failed
    return Row(
        check=check.id,
        claimed=rate,
        runs=runs,
        alarms=alarms,
        measured=alarms / runs,
        unlikely=tail(runs, rate, alarms),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--protocol", default="secagg")
    parser.add_argument("-o", type=Path, default=RESULT)
    words = parser.parse_args()
    subject = ProtocolSubject(protocols.get(words.protocol), Level.CURIOUS)
    began = {"secagg": machine.build(), "started": machine.now()}
    rows = []
    print(f"{'check':20} {'claimed':>9} {'measured':>9}  alarms")
    for check in statistical():
        for rate in (FALSE_ALARM, COARSE):
            row = measure(check, subject, rate, words.runs)
            rows.append(row)
            shown = f"{row.alarms} of {row.runs}"
            print(f"{row.check:20} {row.claimed:9g} {row.measured:9g}  {shown}", flush=True)
    document: dict[str, Any] = {
        "schema": "secagg.audit.false-alarms/1",
        **began,
        "target": subject.name,
        "rows": rows,
    }
    words.o.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return int(any(row.unlikely < SURPRISE for row in rows))


if __name__ == "__main__":
    sys.exit(main())
