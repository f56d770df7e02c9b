"""The quickstart under a real `flwr run`: offline, with daemons that end with the test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from adapters.flower.daemons import deployment

EXAMPLE: Final = Path(__file__).parents[3] / "examples" / "flower_quickstart"
RESULT: Final = re.compile(r"^accuracy ([0-9.]+), size of the model ([0-9.]+)$", re.MULTILINE)


def _result(output: str) -> tuple[float, float]:
    """What the server's side printed at the end."""
    found = RESULT.search(output)
    assert found, output
    return float(found[1]), float(found[2])


def test_ten_simulated_nodes_learn_the_same_plain_and_secured(tmp_path: Path) -> None:
    results = {}
    federation = "num-supernodes=10 client-resources-num-cpus=1"
    with deployment(tmp_path, simulation=True) as flower:
        for name in ("plain", "secured"):
            options = ("--federation-config", federation, "--run-config", "min-available-nodes=10")
            output = flower.run(EXAMPLE / name, *options)
            results[name] = _result(output)
            assert output.count("aggregate_train: Received 10 results and 0 failures") == 3
    assert results["secured"] == pytest.approx(results["plain"], abs=1e-3)
    assert results["secured"][0] > 0.8


def test_four_real_nodes_finish_a_secured_round(tmp_path: Path) -> None:
    """A process of its own handles every message: what a client keeps, it keeps in records."""
    with deployment(tmp_path, simulation=False) as flower:
        flower.add_nodes(4)
        config = "num-server-rounds=1 fraction-evaluate=0.0"
        output = flower.run(EXAMPLE / "secured", "--run-config", config)
    assert _result(output)[0] > 0.8
    assert "aggregate_train: Received 4 results and 0 failures" in output
