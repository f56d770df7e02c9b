"""Collusion: the server pools what it saw with what corrupt clients hold.

Adversary: a server that follows the protocol, and corrupt clients among the victim's neighbours.
Seen: every frame, and the shares and mask keys that the corrupt clients hold.
Goal: the victim's input, bit for bit.
Protection: the threshold. The honest holders give shares of the self-mask seed of a survivor, never
of its mask seed; as many colluders as the plan withstands, and up to threshold - 1, lack a share.
Levels: curious, malicious.
"""

from __future__ import annotations

import numpy as np
import pytest
from attacks.checks import without
from attacks.scenes import CURIOUS, EVERYWHERE, MASKED, network_of

from secagg import kernels
from secagg.audit.adversary import (
    KINDS,
    Accomplice,
    Network,
    ServerView,
    as_sent,
    plan_of,
    recovered,
    without_questions,
)
from secagg.crypto import shamir
from secagg.errors import VerificationError
from secagg.types import Secret

VICTIM = 0


def pooled(network: Network, colluders: int) -> tuple[ServerView, dict[int, Secret]]:
    """What the server and some neighbours of the victim know, and their keys with the victim."""
    network.relay = without_questions
    network.run()
    view = ServerView.of(network)
    corrupt = [Accomplice(network, number) for number in view.partners[VICTIM][:colluders]]
    held = [one.shares()[VICTIM] for one in corrupt]
    agreed = {one.number: one.agree(view.keys[VICTIM][1]) for one in corrupt}
    network.relay = as_sent
    network.release()
    assert network.total is not None
    view = ServerView.of(network)
    for one, rows in zip(corrupt, held, strict=True):
        for kind, row in zip(KINDS, rows, strict=True):
            view.learn(kind, VICTIM, one.number, row)
    return view, agreed


@pytest.mark.parametrize("scene", EVERYWHERE)
def test_as_many_as_the_threshold_open_an_input(scene: str) -> None:
    """Beyond the plan: this is where the promise ends."""
    network = network_of(scene)
    view, _ = pooled(network, plan_of(network.session).threshold)
    assert recovered(network, VICTIM, view.open_vector(VICTIM))


@pytest.mark.parametrize("scene", EVERYWHERE)
@pytest.mark.parametrize("colluders", ["as planned", "threshold - 1"])
def test_fewer_do_not(scene: str, colluders: str) -> None:
    network = network_of(scene)
    plan = plan_of(network.session)
    corrupt = plan.corrupt if colluders == "as planned" else plan.threshold - 1
    assert 1 <= corrupt < plan.threshold
    view, agreed = pooled(network, corrupt)
    with pytest.raises(VerificationError):
        view.open_vector(VICTIM)
    # Without the mask seed: the self mask goes, and the pair masks with the corrupt themselves.
    best = view.strip(VICTIM, view.rebuild("self", VICTIM), agreed)
    assert not recovered(network, VICTIM, best)


@pytest.mark.parametrize("scene", MASKED)
def test_with_a_threshold_of_the_planned_colluders_they_open_an_input(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the derived threshold. It is lowered to the number of planned colluders."""
    without(monkeypatch, "threshold above the corrupt")
    network = network_of(scene, min_clients=3)
    plan = plan_of(network.session)
    assert plan.threshold == plan.corrupt
    view, _ = pooled(network, plan.corrupt)
    assert recovered(network, VICTIM, view.open_vector(VICTIM))


def test_threshold_minus_one_shares_fit_every_seed() -> None:
    """Nothing can be guessed from them: for any seed there is a last share that completes it."""
    network = network_of(CURIOUS[0])
    view, _ = pooled(network, plan_of(network.session).threshold - 1)
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
