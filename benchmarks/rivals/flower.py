"""What a round of Flower's own SecAgg+ costs: its workflow and its mod, in its own environment.

    python benchmarks/rivals/flower.py --clients 100 --length 1000000 --shares 21 --threshold 11 \
        --lost 10

Makes .venv-flower with the pinned release, runs one round in a fresh process there
(flower_round.py) and prints JSON. `--sample S` is for sizes that take too long: of the server's
reconstructions and mask expansions S of each kind run and the rest is scaled from their median,
and S clients mask in full. Everything else runs, but the sum is then not opened, so there is no
error to report; the document says what was measured and what scaled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent))

from rivals.environment import python_with

PACKAGES: Final = ("flwr==1.41.0",)
ROUND: Final = Path(__file__).parent / "flower_round.py"


def measure(
    *,
    clients: int,
    length: int,
    shares: int,
    threshold: int,
    lost: int,
    sample: int = 0,
) -> dict[str, Any]:
    """One round in a fresh process.

    Args:
        clients: at the start.
        length: coordinates of the update.
        shares: into which a secret is split, the owner's included; all clients for the complete
            graph, else odd (Flower fails with an even number).
        threshold: shares that rebuild a secret, fewer than `shares`.
        lost: clients that vanish after they have dealt their shares.
        sample: how many operations of a kind run; 0 for all.
    """
    if shares != clients and shares % 2 == 0:
        raise SystemExit(f"Flower's number of shares is odd or that of all clients, got {shares}")
    task = {
        "clients": clients,
        "length": length,
        "shares": shares,
        "threshold": threshold,
        "lost": lost,
        "sample": sample,
    }
    done = subprocess.run(  # noqa: S603
        [python_with("flower", PACKAGES), str(ROUND), json.dumps(task)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "FLWR_TELEMETRY_ENABLED": "0"},
    )
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--shares", type=int, default=21)
    parser.add_argument("--threshold", type=int, default=11)
    parser.add_argument("--lost", type=int, default=10)
    parser.add_argument("--sample", type=int, default=0)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
