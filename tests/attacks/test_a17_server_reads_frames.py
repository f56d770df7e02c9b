"""A17: the server reads the vectors in the frames that pass it.

Adversary: a server that follows the protocol and keeps every frame.
Goal: a client's input, bit for bit; failing that, anything about it.
Protection: the masks. Under `plain`, which has none, the frames are the inputs (its guarantee says
so: a trusted server). Under `secagg` and `secagg_plus` the same reading gives vectors uniform over
the whole ring, whatever the input: chi-square over values of the victim's coordinates, given each
of two inputs, at a false-alarm rate of 10**-6.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from attacks.adversary import MASKED, Network, equal, scenario_of
from conformance.scenario import Scenario, to_ring

from secagg import kernels, protocols
from secagg.protocol import Adversary
from secagg.protocols._masking import client as client_module
from secagg.protocols._masking import total as total_module
from secagg.types import Ring, RingVector, client

FALSE_ALARM = 1e-6
SESSIONS, LENGTH = 20, 600
VICTIM = client(1)


def read(network: Network) -> dict[int, RingVector]:
    """Every client's vector as it stands in its frame."""
    plan = network.scenario.plan
    return {
        seen.sender.number: kernels.unpack(seen.frame.tail, plan.ring, plan.task.length)
        for seen in network.seen
        if seen.frame.tail.nbytes
    }


def test_without_protection_every_input_is_read() -> None:
    scenario = Scenario(protocols.get("plain"), 5)
    network = Network(scenario)
    network.run()
    found = read(network)
    assert all(equal(found[who.number], x) for who, x in scenario.inputs.items())
    claim = scenario.protocol.guarantees(scenario.plan.task.level).adversary
    assert claim is Adversary.TRUSTED_SERVER


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_with_masks_no_input_is_read(name: str, count: int) -> None:
    scenario = scenario_of(name, count)
    network = Network(scenario)
    network.run()
    found = read(network)
    assert len(found) == count
    assert not any(equal(found[who.number], x) for who, x in scenario.inputs.items())
    assert network.total is not None
    assert equal(network.total, scenario.expected(network.included))


def two_way_table(name: str) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """How often each value is read where the victim's input is -1 (row 0) and +1 (row 1)."""
    table = np.zeros((2, 8), dtype=np.int64)
    for seed in range(SESSIONS):
        settings = {"length": LENGTH, "bound": 1}
        scenario = Scenario(protocols.get(name), 3, settings, seed=1000 + seed)
        assert scenario.plan.ring.bits == 3
        signs = np.repeat(np.array([-1, 1]), LENGTH // 2)
        scenario.inputs[VICTIM] = to_ring(signs, scenario.plan.ring)
        network = Network(scenario)
        network.run()
        found = read(network)[VICTIM.number]
        for row, half in enumerate((found[: LENGTH // 2], found[LENGTH // 2 :])):
            table[row] += np.bincount(half, minlength=8)
    return table


def false_alarm_probability(table: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> float:
    """Of a table at least this far from uniform rows, by the chi-square of 14 degrees."""
    expected = table.sum(axis=1, keepdims=True) / table.shape[1]
    half = float(((table - expected) ** 2 / expected).sum()) / 2
    # Of an even number of degrees, here 2 * 7, the tail is a finite sum.
    return math.exp(-half) * sum(half**k / math.factorial(k) for k in range(7))


@pytest.mark.parametrize("name", ["secagg", "secagg_plus"])
def test_what_is_read_is_uniform_and_tells_nothing_of_the_input(name: str) -> None:
    assert false_alarm_probability(two_way_table(name)) > FALSE_ALARM


def test_the_statistic_sees_an_unmasked_vector() -> None:
    assert false_alarm_probability(two_way_table("plain")) < FALSE_ALARM


def test_the_statistic_sees_a_mask_that_misses_part_of_the_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Taken out: the top bit of every mask, as a generator with a range too short would do."""

    def shortened(total: RingVector, streams: list[kernels.MaskStream]) -> None:
        mask = np.zeros_like(total)
        kernels.apply_masks(mask, streams)
        kernels.ring_add(total, mask & mask.dtype.type(3))

    def shortened_and_packed(
        vector: RingVector, streams: list[kernels.MaskStream], ring: Ring
    ) -> memoryview:
        masked = vector.copy()
        shortened(masked, streams)
        return memoryview(kernels.pack(masked, ring))

    replaced = _Replaced(apply_masks=shortened, pack_masked=shortened_and_packed)
    for module in (client_module, total_module):
        monkeypatch.setattr(module, "kernels", replaced)
    assert false_alarm_probability(two_way_table("secagg")) < FALSE_ALARM


class _Replaced:
    """The kernels, but for some functions."""

    def __init__(self, **functions: object) -> None:
        self.__dict__.update({name: getattr(kernels, name) for name in kernels.__all__})
        self.__dict__.update(functions)
