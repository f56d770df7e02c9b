"""The adapter under Flower's `run_simulation`: clients, mods and state in Ray's workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from adapters.flower.daemons import QUIET

APP = Path(__file__).parent / "simulated.py"
CLIENTS = 10


def test_ten_clients_under_ray_give_their_mean(tmp_path: Path) -> None:
    """In a process of its own: Ray keeps threads and signal handlers where it has run."""
    found = tmp_path / "mean.npy"
    done = subprocess.run(
        [sys.executable, APP, str(CLIENTS), found],
        cwd=tmp_path,
        # Ray's workers import what the clients' functions are defined in.
        env={**os.environ, **QUIET, "PYTHONPATH": str(APP.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    weights = [100 + number for number in range(CLIENTS)]
    updates = [np.linspace(-1, number / CLIENTS, 1000) for number in range(CLIENTS)]
    expected = np.average(updates, axis=0, weights=weights)
    np.testing.assert_allclose(np.load(found), expected, atol=1e-4)
