"""A16: a sum that wraps in the ring, so that what is released is another sum.

Adversary: nobody at first: honest clients whose inputs all lie at the bound. Then a client whose
input lies beyond it.
Goal: a wrong sum that looks like a right one.
Protection: the ring is derived from cohort and bound and no number sets it; a client refuses to
send what lies beyond the bound, `InputError`.
Not covered: a corrupt client that skips its own check. One client can shift the sum by anything;
the guarantee says so (`Validity.UNCHECKED`).
Levels: curious, malicious.
"""

from __future__ import annotations

import numpy as np
import pytest
from attacks.checks import without
from attacks.scenes import MASKED, scenario_of
from conformance.scenario import BOUND, LENGTH, Scenario, to_ring

from secagg import kernels
from secagg.errors import InputError
from secagg.protocol import Validity
from secagg.types import client

PROTOCOLS = ("plain 7 curious", *MASKED)


def sum_at(scenario: Scenario, value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The released sum when every coordinate of everybody is this value."""
    vector = to_ring(np.full(LENGTH, value), scenario.plan.ring)
    scenario.inputs = {who: vector.copy() for who in scenario.inputs}
    return kernels.decode_signed(scenario.run().sum(), scenario.plan.ring)


@pytest.mark.parametrize("scene", PROTOCOLS)
@pytest.mark.parametrize("sign", [-1, +1])
def test_the_sum_at_the_bounds_is_right(scene: str, sign: int) -> None:
    scenario = scenario_of(scene)
    assert set(sum_at(scenario, sign * BOUND)) == {sign * BOUND * scenario.count}


@pytest.mark.parametrize("scene", PROTOCOLS)
@pytest.mark.parametrize("sign", [-1, +1])
def test_in_a_ring_of_one_bit_less_it_is_wrong(
    scene: str, sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the last bit of the derived ring."""
    without(monkeypatch, "last bit of the ring")
    scenario = scenario_of(scene)
    wrapped = sum_at(scenario, sign * BOUND)
    assert set(wrapped).isdisjoint({sign * BOUND * scenario.count})
    assert (np.sign(wrapped) == -sign).all()


@pytest.mark.parametrize("scene", PROTOCOLS)
@pytest.mark.parametrize("checked", [False, True])
def test_an_input_beyond_the_bound(
    scene: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the client's check of its input. One input then turns the sign of the sum."""
    scenario = scenario_of(scene)
    assert scenario.protocol.guarantees(scenario.plan.task.level).validity is Validity.UNCHECKED
    far = 1 << (scenario.plan.ring.bits - 1)
    vector = to_ring(np.full(LENGTH, far), scenario.plan.ring)
    scenario.values[client(0)] = np.full(LENGTH, far)
    scenario.inputs[client(0)] = vector
    if checked:
        with pytest.raises(InputError, match="larger ones came"):
            scenario.run()
        return
    without(monkeypatch, "input in its bounds")
    released = kernels.decode_signed(scenario.run().sum(), scenario.plan.ring)
    true_sum = np.sum(list(scenario.values.values()), axis=0)
    assert (released != true_sum).any()
