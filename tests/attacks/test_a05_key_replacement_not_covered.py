"""A5, NOT COVERED at level `curious`: the server puts keys of its own into the key book.

Adversary: a server that lies about keys. Level `curious` promises nothing against it, and its
guarantee says so (`Adversary.CURIOUS_SERVER`); these tests keep that line honest.
Seen: the frames of one client.
Goal: the client's input, bit for bit. It is reached, without a single other client.
Protection: none at this level. Keys signed under identities that the server cannot make up.
"""

from __future__ import annotations

import pytest
from attacks.adversary import equal, scenario_of
from attacks.impersonator import cohort_of, impersonate, own_keys

from secagg.protocol import Adversary
from secagg.types import client

VICTIM = client(2)


@pytest.mark.parametrize("name", ["secagg", "secagg_plus"])
def test_a_server_that_replaces_keys_opens_an_input_at_curious(name: str) -> None:
    scenario = scenario_of(name, 7)
    claim = scenario.protocol.guarantees(scenario.plan.task.level).adversary
    assert claim is Adversary.CURIOUS_SERVER
    masks = {number: own_keys(number) for number in cohort_of(scenario, VICTIM)}
    assert equal(impersonate(scenario, VICTIM, masks), scenario.inputs[VICTIM])
