"""The server pools what it saw with what corrupt clients hold.

Adversary: a server that follows the protocol, and corrupt clients among the victim's neighbours.
Seen: every frame, and the shares and mask keys that the corrupt clients hold.
Goal: the victim's input, bit for bit.
Protection: the threshold. The honest holders give shares of the self-mask seed of a survivor, never
of its mask seed; as many colluders as the plan withstands, and up to threshold - 1, lack a share.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attacks.adversary import MASKED, Network, equal, plan_of, scenario_of
from attacks.server_view import ServerView

from secagg import kernels
from secagg.crypto import shamir
from secagg.errors import VerificationError
from secagg.protocols._masking import plan as plan_module
from secagg.protocols._masking.messages import UnmaskRequest
from secagg.protocols._masking.parameters import GraphParameters
from secagg.types import Secret, client

VICTIM = 0


def pooled(network: Network, colluders: int) -> tuple[ServerView, dict[int, Secret]]:
    """What the server and some neighbours of the victim know, and their keys with the victim."""
    network.relay = lambda seen: None if isinstance(seen.message, UnmaskRequest) else seen.message
    network.run()
    view = ServerView(network.session, network.seen)
    corrupt = [network.client(number) for number in view.partners[VICTIM][:colluders]]
    held = [shamir.decode_shares(party._shares[VICTIM].reveal()) for party in corrupt]
    agreed = {
        party.me.number: party._keys._mask_key.agree(view.keys[VICTIM][1]) for party in corrupt
    }
    for seen in network.held:
        network.post(seen.sender, seen.recipient, seen.message)
    network.pump()
    assert network.total is not None
    view = ServerView(network.session, network.seen)
    for party, (mask_row, self_row) in zip(corrupt, held, strict=True):
        view.learn("mask", VICTIM, party.me.number, mask_row)
        view.learn("self", VICTIM, party.me.number, self_row)
    return view, agreed


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_as_many_as_the_threshold_open_an_input(name: str, count: int) -> None:
    """Beyond the plan: this is where the promise ends."""
    scenario = scenario_of(name, count)
    view, _ = pooled(Network(scenario), plan_of(scenario.session).threshold)
    assert equal(view.open_vector(VICTIM), scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("name", "count"), MASKED)
@pytest.mark.parametrize("colluders", ["as planned", "threshold - 1"])
def test_fewer_do_not(name: str, count: int, colluders: str) -> None:
    scenario = scenario_of(name, count)
    plan = plan_of(scenario.session)
    corrupt = plan.corrupt if colluders == "as planned" else plan.threshold - 1
    assert 1 <= corrupt < plan.threshold
    view, agreed = pooled(Network(scenario), corrupt)
    with pytest.raises(VerificationError):
        view.open_vector(VICTIM)
    # Without the mask seed: the self mask goes, and the pair masks with the corrupt themselves.
    best = view.strip(VICTIM, view.rebuild("self", VICTIM), agreed)
    assert not equal(best, scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_with_a_threshold_of_the_planned_colluders_they_open_an_input(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the derived threshold. It is lowered to the number of planned colluders."""
    for name_of_finder in ("complete_graph_parameters", "secagg_plus_parameters"):
        monkeypatch.setattr(plan_module, name_of_finder, _lowered(name_of_finder))
    scenario = scenario_of(name, count, min_clients=3)
    plan = plan_of(scenario.session)
    assert plan.threshold == plan.corrupt
    view, _ = pooled(Network(scenario), plan.corrupt)
    assert equal(view.open_vector(VICTIM), scenario.inputs[client(VICTIM)])


def _lowered(name_of_finder: str) -> Any:
    derive = getattr(plan_module, name_of_finder)

    def lowered(*arguments: Any, **options: Any) -> GraphParameters:
        found: GraphParameters = derive(*arguments, **options)
        return found._replace(threshold=found.corrupt)

    return lowered


def test_threshold_minus_one_shares_fit_every_seed() -> None:
    """Nothing can be guessed from them: for any seed there is a last share that completes it."""
    scenario = scenario_of("secagg", 7)
    view, _ = pooled(Network(scenario), plan_of(scenario.session).threshold - 1)
    known = view.shares["mask"][VICTIM]
    holders = [*sorted(known), max(known) + 1]
    *weights, last_weight = map(int, kernels.shamir_lagrange(shamir.points_of(holders)))
    for guess in (bytes(32), bytes(range(32)), b"\xff" * 32):
        limbs = [int.from_bytes(guess[start : start + 7], "little") for start in range(0, 32, 7)]
        missing = [
            limb - sum(w * int(known[h][i]) for w, h in zip(weights, holders, strict=False))
            for i, limb in enumerate(limbs)
        ]
        inverse = pow(last_weight, -1, shamir.PRIME)
        row = np.array([value * inverse % shamir.PRIME for value in missing], dtype=np.uint64)
        view.learn("mask", VICTIM, holders[-1], row)
        assert view.rebuild("mask", VICTIM).reveal() == guess
