"""A27: what is decrypted holds the noise of the ciphertexts, and that the key.

Adversary: a server that follows the protocol, and knows all inputs.
Seen: the released sums of many sessions.
Goal: anything in a released sum but the sum.
Protection: the decryptor rounds to whole units, a public grid, of which half is at least 16 typical
standard deviations of the noise; raw slots never leave it. A heuristic and no proof, which
`Guarantees` say: there is no noise flooding.
Levels: curious, the only one of ckks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attacks.scenes import mounted, scenario_of

from secagg.audit.adversary import Network
from secagg.audit.attacks.attack import released
from secagg.he import vectors
from secagg.he.parameters import Layout
from secagg.protocol import Evidence

LENGTH = 400


def opened(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Any], np.ndarray[Any, np.dtype[np.int64]]]:
    """What a decryptor has before it rounds, in sessions of the same inputs, and their sum."""
    raw: list[Any] = []
    rounded = vectors.values_of

    def kept(slots: Any, layout: Layout, added: int) -> Any:
        raw.append(np.stack([slots.real, slots.imag], axis=-1).reshape(-1)[:LENGTH])
        return rounded(slots, layout, added)

    monkeypatch.setattr(vectors, "values_of", kept)
    for _ in range(count):
        scenario = scenario_of("ckks 5 curious", length=LENGTH)
        network = Network(scenario.protocol, scenario.session, scenario.inputs, scenario.rng)
        network.run()
        true = np.sum(list(scenario.values.values()), axis=0)
        np.testing.assert_array_equal(released(network), true)
    return raw, true


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_released_sums_hold_nothing_but_the_sum(seed: int) -> None:
    outcome = mounted("A27", "ckks curious", seed)
    assert not outcome.succeeded
    assert outcome.evidence.startswith("0 of 6000 released integers differ")


def test_the_raw_slots_differ_from_the_sum_and_from_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Noise in nearly every slot, another each time, and 16 deviations of it below half a unit."""
    raw, true = opened(3, monkeypatch)
    assert len(raw) == 3
    for slots in raw:
        noise = slots - true
        assert (noise != 0).mean() > 0.99
        assert 0 < 16 * float(noise.std()) <= 0.5
    assert (raw[0] != raw[1]).mean() > 0.99


def test_without_rounding_to_the_grid_the_noise_is_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Taken out: that the grid is of whole units. With 2^24 steps in a unit, noise shows."""
    fine = 1 << 24
    rounded = vectors.values_of

    def finer(slots: Any, layout: Layout, added: int) -> Any:
        values = rounded(slots, layout, added)
        pairs = np.stack([slots.real, slots.imag], axis=-1).reshape(-1)[: values.size]
        return values + np.rint((pairs - values) * fine).astype(np.int64)

    monkeypatch.setattr(vectors, "values_of", finer)
    assert mounted("A27", "ckks curious").succeeded


def test_the_claim_says_that_it_is_a_heuristic() -> None:
    scenario = scenario_of("ckks 5 curious")
    guarantees = scenario.protocol.guarantees(scenario.plan.task.level)
    assert guarantees.evidence is Evidence.SKETCH
    assert "no noise flooding" in guarantees.source
