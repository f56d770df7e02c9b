"""A9: coordinates of a sum that only one client touched.

Adversary: a server that follows the protocol, and knows which coordinates a client touches, as of
an embedding of words or of things bought.
Seen: the released sum.
Goal: the victim's values in the coordinates that are its alone.
Protection: none: the cohort of such a coordinate is one client. Updates should be dense, or noise
be added; this library adds none.
Levels: not covered at any.
"""

from __future__ import annotations

import pytest
from attacks.scenes import ANY, mounted, network_of

from secagg.audit.adversary import exact, recovered_part
from secagg.audit.attacks.sparse_updates import TOUCHED, VICTIM, drawn
from secagg.crypto.rng import seeded


@pytest.mark.parametrize("scene", ANY)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_one_clients_alone_stands_in_the_sum(scene: str, seed: int) -> None:
    assert mounted("A9", scene, seed).succeeded


def test_what_others_touch_as_well_does_not() -> None:
    """Dense updates: every coordinate is everybody's."""
    network = network_of("secagg 7 curious")
    network.run()
    assert exact(network)
    assert network.total is not None
    for place in range(17):
        assert not recovered_part(network, VICTIM, [place], network.total[[place]])


def test_the_victim_has_coordinates_of_its_own_and_others() -> None:
    for seed in range(20):
        supports, alone = drawn(seeded(seed))
        assert 1 <= len(alone) <= TOUCHED
        assert set(alone) <= set(supports[VICTIM])
        assert not any(set(alone) & set(places) for places in supports[1:])
