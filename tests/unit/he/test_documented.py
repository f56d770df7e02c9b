"""The table in docs/he.md, and the kept result behind it, are what the parameters give today."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from secagg import protocols
from secagg.he.parameters import derive_bfv, derive_ckks
from secagg.protocol import Task
from secagg.types import client

ROOT = Path(__file__).parents[3]
DERIVE = {"bfv": derive_bfv, "ckks": derive_ckks}
HEAD = ["clients", "bits of a value", "values", "scheme", "degree", "t", "q"]
HEAD += ["values per slot", "bytes / float32"]


def documented() -> list[list[str]]:
    """The rows of the table, as text."""
    lines = (ROOT / "docs" / "he.md").read_text().splitlines()
    start = lines.index("| " + " | ".join(HEAD) + " |") + 2
    rows = []
    while lines[start].startswith("|"):
        rows.append([cell.strip() for cell in lines[start].strip("|").split("|")])
        start += 1
    return rows


def kept() -> list[dict[str, Any]]:
    """The rows of the result."""
    rows: list[dict[str, Any]] = json.loads((ROOT / "results" / "he-bytes.json").read_text())[
        "rows"
    ]
    return rows


def derived(clients: int, bits: int, length: int, scheme: str) -> dict[str, Any]:
    bound = (1 << (bits - 1)) - 1
    layout = DERIVE[scheme](clients, bound, length)
    lattice = layout.lattice
    protocol = protocols.get(scheme)
    members = tuple(client(number) for number in range(clients))
    task = Task(clients=members, length=length, bound=bound, corrupt=Decimal(0))
    traffic = protocol.traffic(protocol.plan(task))
    return {
        "protocol": scheme,
        "clients": clients,
        "bits": bits,
        "length": length,
        "degree": lattice.degree,
        "plain_modulus_bits": lattice.plain_modulus.bit_length(),
        "data_prime_bits": [prime.bit_length() for prime in lattice.data_primes],
        "special_prime_bits": lattice.special_prime.bit_length(),
        "values_per_slot": layout.values_per_slot,
        "float32_bytes": 4 * length,
        "upload_bytes": traffic.up,
        "upload_ratio": traffic.up / (4 * length),
        "context_bytes": traffic.down,
        "stated_error": layout.error_bound,
    }


def test_the_table_shows_what_is_derived() -> None:
    assert len(documented()) >= 4
    for cells in documented():
        assert cells[2] == "1M"
        row = derived(int(cells[0]), int(cells[1]), 1_000_000, cells[3])
        plain = row["plain_modulus_bits"]
        assert cells[4:] == [
            str(row["degree"]),
            f"{plain} bits" if plain else "-",
            " + ".join(map(str, row["data_prime_bits"])),
            str(row["values_per_slot"]),
            f"{row['upload_ratio']:.2f}",
        ]


def test_the_result_has_every_row_and_they_are_what_is_derived() -> None:
    shown = [(int(cells[0]), int(cells[1]), cells[3]) for cells in documented()]
    assert [(row["clients"], row["bits"], row["protocol"]) for row in kept()] == shown
    for row in kept():
        expected = derived(row["clients"], row["bits"], row["length"], row["protocol"])
        assert {name: row[name] for name in expected} == expected
        assert row["largest_error"] <= row["stated_error"]
