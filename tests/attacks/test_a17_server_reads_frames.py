"""A17: the server reads the vectors in the frames that pass it.

Adversary: a server that follows the protocol and keeps every frame.
Goal: a client's input, bit for bit; failing that, anything about it.
Protection: the masks. Under `plain`, which has none, the frames are the inputs (its guarantee says
so: a trusted server). Under `secagg` and `secagg_plus` the same reading gives vectors uniform over
the whole ring, whatever the input: chi-square over values of the victim's coordinates, given each
of two inputs, at a false-alarm rate of 10**-6.
Levels: curious, malicious.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from attacks.checks import without
from attacks.scenes import MASKED, network_of

from secagg import kernels
from secagg.audit.adversary import Network, exact, recovered
from secagg.protocol import Adversary
from secagg.types import RingVector

FALSE_ALARM = 1e-6
SESSIONS, LENGTH = 20, 600
VICTIM = 1


def read(network: Network) -> dict[int, RingVector]:
    """Every client's vector as it stands in its frame."""
    plan = network.plan
    return {
        seen.sender.number: kernels.unpack(seen.frame.tail, plan.ring, plan.task.length)
        for seen in network.seen
        if seen.frame.tail.nbytes
    }


def test_without_protection_every_input_is_read() -> None:
    network = network_of("plain 5 curious")
    network.run()
    found = read(network)
    assert len(found) == 5
    assert all(recovered(network, number, vector) for number, vector in found.items())
    claim = network.protocol.guarantees(network.plan.task.level).adversary
    assert claim is Adversary.TRUSTED_SERVER


@pytest.mark.parametrize("scene", MASKED)
def test_with_masks_no_input_is_read(scene: str) -> None:
    network = network_of(scene)
    network.run()
    found = read(network)
    assert len(found) == len(network.clients)
    assert not any(recovered(network, number, vector) for number, vector in found.items())
    assert exact(network)


def two_way_table(scene: str) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """How often each value is read where the victim's input is -1 (row 0) and +1 (row 1)."""
    table = np.zeros((2, 8), dtype=np.int64)
    signs = [-1] * (LENGTH // 2) + [1] * (LENGTH // 2)
    for seed in range(SESSIONS):
        network = network_of(
            scene,
            seed=1000 + seed,
            values={VICTIM: signs},
            length=LENGTH,
            bound=1,
            corrupt="0",
            dropout="0",
        )
        assert network.plan.ring.bits == 3
        network.run()
        found = read(network)[VICTIM]
        for row, half in enumerate((found[: LENGTH // 2], found[LENGTH // 2 :])):
            table[row] += np.bincount(half, minlength=8)
    return table


def false_alarm_probability(table: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> float:
    """Of a table at least this far from uniform rows, by the chi-square of 14 degrees."""
    expected = table.sum(axis=1, keepdims=True) / table.shape[1]
    half = float(((table - expected) ** 2 / expected).sum()) / 2
    # Of an even number of degrees, here 2 * 7, the tail is a finite sum.
    return math.exp(-half) * sum(half**k / math.factorial(k) for k in range(7))


@pytest.mark.parametrize(
    "scene", ["secagg 3 curious", "secagg_plus 3 curious", "secagg 3 malicious"]
)
def test_what_is_read_is_uniform_and_tells_nothing_of_the_input(scene: str) -> None:
    assert false_alarm_probability(two_way_table(scene)) > FALSE_ALARM


def test_the_statistic_sees_an_unmasked_vector() -> None:
    assert false_alarm_probability(two_way_table("plain 3 curious")) < FALSE_ALARM


def test_the_statistic_sees_a_mask_that_misses_part_of_the_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Taken out: the top bit of every mask, as a generator with a range too short would do."""
    without(monkeypatch, "whole range of masks")
    assert false_alarm_probability(two_way_table("secagg 3 curious")) < FALSE_ALARM
