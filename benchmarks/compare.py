"""This library and a rival, one after the other, on the same task.

    python benchmarks/compare.py --rival flower --clients 100 --length 1000000 --neighbours 21 \
        --dropout 0.1 --min-client-ratio 15 --min-server-ratio 50 --min-bytes-ratio 2
    python benchmarks/compare.py --rival flower --neighbours complete
    python benchmarks/compare.py --rival bonawitz --min-server-ratio 30

`flower`: Flower 1.41.0's own SecAgg+ in an environment and a process of its own. `--neighbours` is
the number of shares of a secret, the owner's among them (Flower's `num_shares`); our plan derives
its own degree, never a smaller one. Both sides have Flower's default clip, step and weights. Our
CPU contains what messages cost to be made into bytes and back; Flower's is counted without, and
with it in rows of their own.

`bonawitz`: the table of Bonawitz et al. (CCS 2017) for 500 clients of 100 000 elements: another
machine, in Java, in wall time on one thread. Only orders of magnitude mean anything.

Prints ratios (rival / ours: above 1 is in our favour) and ends with 1 below a threshold, or where
our mean is further from the true one. Writes results/compare-RIVAL-GRAPH.json. Run it with nothing
else running.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

import ours
import record
import updates
from rivals import flower

from secagg import kernels
from secagg.errors import ParameterError
from secagg.protocols._masking.plan import MaskingPlan

PACKAGES: Final = ("secagg", "numpy", "cryptography", "cffi", "msgspec")
COMPLETE: Final = "complete"
PLANNED_DROPOUT: Final = Decimal("0.1")
"""A plan is made for at least so many dropouts: nobody knows before a round that none will come."""

BONAWITZ_CLIENTS: Final = 500
BONAWITZ_LENGTH: Final = 100_000
BONAWITZ_SERVER: Final = {Decimal("0"): 2.018, Decimal("0.1"): 62.239, Decimal("0.3"): 143.389}
"""Dropouts to the server's seconds: Bonawitz et al. 2017, figure 8, total of the server."""


@dataclass(frozen=True)
class Row:
    """One measure of both sides; smaller is better.

    Attributes:
        name: with the unit.
        ours: our value.
        rival: the rival's, or None where it has none.
        least: the smallest ratio that passes, or None.
    """

    name: str
    ours: float
    rival: float | None
    least: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times more the rival needs."""
        return None if self.rival is None else self.rival / self.ours

    @property
    def passed(self) -> bool:
        """Whether the ratio reaches its threshold. A ratio that is missing does not."""
        return self.least is None or (self.ratio is not None and self.ratio >= self.least)

    def __str__(self) -> str:
        rival = "-" if self.rival is None else f"{self.rival:.6g}"
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        least = "" if self.least is None else f"{self.least:g}"
        mark = "" if self.passed else "  FAILED"
        return f"{self.name:30} {self.ours:>12.6g} {rival:>12} {ratio:>10} {least:>10}{mark}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival", choices=("flower", "bonawitz"), required=True)
    parser.add_argument("--clients", type=int, default=100, help="flower only")
    parser.add_argument("--length", type=int, default=1_000_000, help="flower only")
    parser.add_argument("--neighbours", type=_shares, default=21, help="flower only")
    parser.add_argument("--dropout", type=Decimal, default=PLANNED_DROPOUT, help="flower only")
    parser.add_argument("--corrupt", type=Decimal, default=Decimal("0.1"), help="of our plan")
    parser.add_argument("--sample", type=int, default=0, help="scale Flower from so many calls")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of ours; medians count")
    parser.add_argument("--min-client-ratio", type=float)
    parser.add_argument("--min-server-ratio", type=float)
    parser.add_argument("--min-bytes-ratio", type=float, help="of the bytes up")
    settings = parser.parse_args()
    if settings.rival == "bonawitz" and (settings.min_client_ratio or settings.min_bytes_ratio):
        parser.error("only the server's time is compared with bonawitz")
    kernel = kernels.level()
    print(f"kernels: {kernel}; level curious, no transcript; load {os.getloadavg()}", flush=True)
    before = list(os.getloadavg())
    try:
        # CPU seconds are compared, and the rivals compute on one thread.
        with kernels.using_threads(1):
            name, facts, rows = (_flower if settings.rival == "flower" else _bonawitz)(settings)
    except ParameterError as error:
        parser.error(str(error))
    print(f"\n{'':30} {'secagg':>12} {settings.rival:>12} {'ratio':>10} {'at least':>10}")
    for row in rows:
        print(row)
    passed = all(row.passed for row in rows)
    document = {
        "settings": {
            **vars(settings),
            "neighbours": settings.neighbours or COMPLETE,
            "dropout": str(settings.dropout),
            "corrupt": str(settings.corrupt),
        },
        "kernel": kernel,
        "load_before": before,
        **facts,
        "rows": [{**asdict(row), "ratio": row.ratio, "passed": row.passed} for row in rows],
        "passed": passed,
    }
    path = record.write(f"compare-{name}", document, PACKAGES)
    print(f"\n{'passed' if passed else 'FAILED'}; {path.relative_to(record.ROOT)}")
    return 0 if passed else 1


def _flower(settings: argparse.Namespace) -> tuple[str, dict[str, Any], list[Row]]:
    clients, length = settings.clients, settings.length
    shares: int | None = settings.neighbours
    if shares is not None and shares % 2 == 0:
        raise ParameterError(f"Flower takes an odd number of shares or all clients, got {shares}")
    codec = ours.codec(length, _fraction_bits())
    dropout = max(settings.dropout, PLANNED_DROPOUT)
    agreed = ours.plan(codec, clients, corrupt=settings.corrupt, dropout=dropout, shares=shares)
    lost = updates.lost(clients, round(settings.dropout * clients))
    _print_plan(agreed, lost)
    rounds = [ours.measure(codec, agreed, lost) for _ in range(settings.repeats)]
    split = clients if shares is None else shares
    print(f"flower: {split} shares of a secret; this takes a while", flush=True)
    document = flower.measure(
        clients=clients,
        length=length,
        shares=split,
        threshold=min(agreed.threshold, split - 1),
        lost=len(lost),
        sample=settings.sample,
    )
    print("flower:", ", ".join(f"{k} {v}" for k, v in document["versions"].items()))
    print("flower:", ", ".join(f"{k} {v}" for k, v in document["defaults"].items()))
    print(f"secagg: {agreed.degree} neighbours of a client; flower: {split - 1}")
    if settings.sample:
        print(f"flower: clients in full: {document['clients_in_full']}; the server is scaled from")
        for name, kinds in document["server_scaled"].items():
            for kind, counts in kinds.items():
                print(f"    {name}, {kind}: {counts}")
    client, server = _median(rounds, "client_seconds"), _median(rounds, "server_seconds")
    client_rival, server_rival = document["client_seconds"], document["server_seconds"]
    client_coding, server_coding = (
        document["client_coding_seconds"],
        document["server_coding_seconds"],
    )
    rows = [
        Row("client CPU, s", client, client_rival, settings.min_client_ratio),
        Row("  with rival's coding", client, client_rival + client_coding),
        Row("server CPU, s", server, server_rival, settings.min_server_ratio),
        Row("  with rival's coding", server, server_rival + server_coding),
        Row("up, bytes", rounds[0].up, document["up"], settings.min_bytes_ratio),
        Row("down without model, bytes", rounds[0].down, document["down"]),
    ]
    # A scaled round opens no sum, so there is no error to compare.
    error = document["error"]
    rows.append(
        Row("largest error of the mean", rounds[0].error, error, None if error is None else 1)
    )
    facts = {
        "plan": dict(agreed.describe()),
        "protocol": agreed.protocol,
        "lost": len(lost),
        "ours": [asdict(found) for found in rounds],
        "flower": document,
    }
    return f"flower-{COMPLETE if shares is None else f'k{shares}'}", facts, rows


def _bonawitz(settings: argparse.Namespace) -> tuple[str, dict[str, Any], list[Row]]:
    """The threshold is for the round with the most dropouts, where masks are the work."""
    codec = ours.codec(BONAWITZ_LENGTH, _fraction_bits())
    rows, measured = [], []
    most = max(BONAWITZ_SERVER)
    agreed = ours.plan(codec, BONAWITZ_CLIENTS, corrupt=settings.corrupt, dropout=most, shares=None)
    for dropout, published in BONAWITZ_SERVER.items():
        lost = updates.lost(BONAWITZ_CLIENTS, int(dropout * BONAWITZ_CLIENTS))
        _print_plan(agreed, lost)
        rounds = [ours.measure(codec, agreed, lost) for _ in range(settings.repeats)]
        measured.append({"lost": len(lost), "rounds": [asdict(found) for found in rounds]})
        least = settings.min_server_ratio if dropout == most else None
        name = f"server, s, {int(dropout * 100)} % lost"
        rows.append(Row(name, _median(rounds, "server_seconds"), published, least))
    print("bonawitz: published, on another machine, in Java, in wall time on one thread")
    facts = {
        "plan": dict(agreed.describe()),
        "protocol": agreed.protocol,
        "ours": measured,
        "bonawitz": "Bonawitz et al., CCS 2017, figure 8: another machine (Xeon E5-1650 v3), Java",
    }
    return "bonawitz", facts, rows


def _print_plan(agreed: MaskingPlan, lost: Sequence[int]) -> None:
    described = ", ".join(f"{key}: {value}" for key, value in agreed.describe())
    print(f"secagg: {agreed.protocol}; {described}; lost now: {len(lost)}", flush=True)


def _shares(text: str) -> int | None:
    """The number of shares of a secret, or None for the complete graph."""
    return None if text == COMPLETE else int(text)


def _fraction_bits() -> int:
    """Our step is 2**-bits: Flower's, or the next finer power of two."""
    steps_per_unit = updates.QUANTIZATION_RANGE / (2 * updates.CLIP)
    return (int(steps_per_unit) - 1).bit_length()


def _median(rounds: Sequence[ours.Round], name: str) -> float:
    return float(statistics.median(getattr(found, name) for found in rounds))


if __name__ == "__main__":
    sys.exit(main())
