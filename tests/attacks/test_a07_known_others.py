"""A7: all clients but the victim are the server's own.

Adversary: a server that fills the cohort with clients of its own, beyond the number planned for.
Seen: the released sum, and what its own clients put in.
Goal: the victim's input, as the sum less the rest.
Protection: none by aggregation. Who is enrolled is the roster's authority's to decide, and the plan
says how many corrupt clients it reckons with; with no more than these at least two honest inputs
are in every sum (`Plan.honest_lower_bound`).
Levels: not covered at any.
"""

from __future__ import annotations

import pytest
from attacks.scenes import ANY, MASKED, mounted, network_of

from secagg.audit.adversary import exact, recovered
from secagg.audit.attacks.known_others import VICTIM, without_known


@pytest.mark.parametrize("scene", ANY)
def test_with_all_others_known_the_victim_is_what_is_left(scene: str) -> None:
    outcome = mounted("A7", scene)
    assert outcome.succeeded
    assert "input equal: True" in outcome.evidence


@pytest.mark.parametrize("scene", MASKED)
def test_with_as_many_as_planned_there_are_other_honest_inputs_in_it(scene: str) -> None:
    own = {number: [number] * 17 for number in (5, 6)}
    network = network_of(scene, values=own, corrupt="0.2")
    network.finish()
    assert exact(network)
    assert network.plan.corrupt >= len(own)
    assert network.plan.honest_lower_bound >= 2
    assert not recovered(network, VICTIM, without_known(network, own))
