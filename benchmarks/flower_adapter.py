"""A round of one Flower app: under Flower's own SecAgg+, and under the adapter.

    python benchmarks/flower_adapter.py --clients 100 --length 1000000 --neighbours 21 --dropout 0.1
    python benchmarks/flower_adapter.py --clients 10 --length 100000 --neighbours complete

Needs .venv-flower-app (`make flower-setup`); each round is a process of its own there
(flower_adapter_round.py). Both sides send the model, train nothing, go through the same grid that
makes every message bytes, and have Flower's default clip, step and weights. `--neighbours` is the
number of shares of a secret, the owner's among them (Flower's `num_shares`); our plan derives its
own degree, never a smaller one. Our round is the first of its job, so the greeting is in it.

Prints ratios (rival / ours: above 1 is in our favour) and ends with 1 below a threshold, or where
our mean is further from the true one. Writes results/flower-adapter-GRAPH.json. Run it with nothing
else running. For a small trial that keeps no result: `--trial`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import ours
import record
import updates
from compare import COMPLETE, PLANNED_DROPOUT, Row

from secagg import kernels
from secagg.errors import ParameterError

PACKAGES: Final = ("secagg", "numpy", "cryptography", "cffi", "msgspec")
PYTHON: Final = record.ROOT / ".venv-flower-app" / "bin" / "python"
ROUND: Final = Path(__file__).parent / "flower_adapter_round.py"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--neighbours", default="21", help=f"an odd number, or {COMPLETE}")
    parser.add_argument("--dropout", type=Decimal, default=PLANNED_DROPOUT)
    parser.add_argument("--corrupt", type=Decimal, default=Decimal("0.1"), help="of our plan")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of each; medians count")
    parser.add_argument("--min-wall-ratio", type=float, default=1.0)
    parser.add_argument("--min-bytes-ratio", type=float, default=1.0, help="of the bytes up")
    parser.add_argument("--trial", action="store_true", help="keep no result")
    settings = parser.parse_args()
    clients, length = settings.clients, settings.length
    shares = None if settings.neighbours == COMPLETE else int(settings.neighbours)
    if shares is not None and shares % 2 == 0:
        parser.error(f"Flower takes an odd number of shares or all clients, got {shares}")
    if not PYTHON.exists():
        parser.error(f"{PYTHON} is not there: make flower-setup")
    steps_per_unit = updates.QUANTIZATION_RANGE / (2 * updates.CLIP)
    fraction_bits = (int(steps_per_unit) - 1).bit_length()
    dropout = max(settings.dropout, PLANNED_DROPOUT)
    try:
        agreed = ours.plan(
            ours.codec(length, fraction_bits),
            clients,
            corrupt=settings.corrupt,
            dropout=dropout,
            shares=shares,
        )
    except ParameterError as error:
        parser.error(str(error))
    lost = round(settings.dropout * clients)
    split = clients if shares is None else shares
    task = {
        "clients": clients,
        "length": length,
        "lost": lost,
        "shares": split,
        "threshold": min(agreed.threshold, split - 1),
        "protocol": agreed.protocol,
        "fraction_bits": fraction_bits,
        "corrupt": str(settings.corrupt),
        "dropout": str(dropout),
        "sigma": agreed.task.sigma,
    }
    described = ", ".join(f"{key}: {value}" for key, value in agreed.describe())
    print(f"kernels: {kernels.level()}; level curious; load {os.getloadavg()}")
    print(f"secagg: {agreed.protocol}; {described}; lost now: {lost}")
    print(f"flower: {split} shares of a secret; this takes a while", flush=True)
    before = list(os.getloadavg())
    # In turn, so that what changes on the machine meanwhile meets both.
    rounds: dict[str, list[dict[str, Any]]] = {"ours": [], "rival": []}
    for _ in range(settings.repeats):
        for side, found in rounds.items():
            found.append(_round({**task, "side": side}))
    rows = _rows(rounds["ours"], rounds["rival"], settings)
    print(f"\n{'':30} {'secagg':>12} {'flower':>12} {'ratio':>10} {'at least':>10}")
    for row in rows:
        print(row)
    passed = all(row.passed for row in rows)
    if settings.trial:
        print(f"\n{'passed' if passed else 'FAILED'}; a trial, not kept")
        return 0 if passed else 1
    facts = {
        "settings": {
            **vars(settings),
            "dropout": str(settings.dropout),
            "corrupt": str(settings.corrupt),
        },
        "kernel": kernels.level(),
        "level": "curious",
        "load_before": before,
        "plan": dict(agreed.describe()),
        "protocol": agreed.protocol,
        "lost": lost,
        **rounds,
        "rows": [{**asdict(row), "ratio": row.ratio, "passed": row.passed} for row in rows],
        "passed": passed,
    }
    name = f"flower-adapter-{COMPLETE if shares is None else f'k{shares}'}"
    path = record.write(name, facts, PACKAGES)
    print(f"\n{'passed' if passed else 'FAILED'}; {path.relative_to(record.ROOT)}")
    return 0 if passed else 1


def _round(task: dict[str, Any]) -> dict[str, Any]:
    with TemporaryDirectory() as state:
        done = subprocess.run(  # noqa: S603
            [PYTHON, ROUND, json.dumps(task)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            # Where the adapter puts the device's key: not where one may be in use.
            env={**os.environ, "FLWR_TELEMETRY_ENABLED": "0", "XDG_STATE_HOME": state},
        )
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def _rows(
    mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], settings: argparse.Namespace
) -> list[Row]:
    def row(name: str, *keys: str, least: float | None = None) -> Row:
        here, there = (
            statistics.median(sum(found[key] for key in keys) for found in side)
            for side in (mine, theirs)
        )
        return Row(name, here, there, least)

    return [
        row("round, wall seconds", "wall_seconds", least=settings.min_wall_ratio),
        row("client CPU, s", "client_seconds", "client_coding_seconds"),
        row("  without coding", "client_seconds"),
        row("server CPU, s", "server_seconds", "server_coding_seconds"),
        row("  without coding", "server_seconds"),
        row("up, bytes", "up", least=settings.min_bytes_ratio),
        row("down with model, bytes", "down"),
        row("kept between messages, bytes", "kept"),
        row("largest error of the mean", "error", least=1),
    ]


if __name__ == "__main__":
    sys.exit(main())
