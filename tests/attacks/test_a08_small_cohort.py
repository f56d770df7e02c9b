"""A8: a sum over one client, or over too few, is asked for.

Adversary: a server that names any survivors, cohort or dealers it likes; in two of the attacks also
one corrupt client.
Seen: every frame, and the corrupt client's keys.
Goal: the victim's input, bit for bit: a sum over the victim alone, or over it and the corrupt one.
Protection: the clients count, the plan's floor in hand: `CohortTooSmall`. The floor is at least the
threshold, and leaves two honest inputs in the sum.
"""

from __future__ import annotations

import msgspec
import pytest
from attacks.adversary import MASKED, Network, Seen, equal, plan_of, scenario_of
from attacks.impersonator import impersonate, own_keys
from attacks.server_view import ServerView, in_rows

from secagg.errors import CohortTooSmall
from secagg.protocols._masking.messages import (
    ShareBundle,
    UnmaskRequest,
    decode_numbers,
    encode_numbers,
)
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import RingVector, Secret, client
from secagg.wire import Message

VICTIM = 1


def without_floor(plan: MaskingPlan) -> MaskingPlan:
    """Takes out what a client counts by. All other checks stay."""
    return msgspec.structs.replace(plan, smallest_cohort=1, minimum=1, threshold=1)


def ask_about_one(network: Network, *, floor: bool) -> ServerView:
    """Everybody has sent its vector, and is told that only the victim and itself survived."""
    network.relay = lambda seen: None if isinstance(seen.message, UnmaskRequest) else seen.message
    network.run()
    for who in network.scenario.inputs:
        if who.number == VICTIM:
            continue
        if not floor:
            network.parties[who].plan = without_floor(plan_of(network.session))
        failure = network.ask(who, {VICTIM, who.number})
        assert (failure is not None) == floor
        assert failure is None or isinstance(failure.error, CohortTooSmall)
    return ServerView(network.session, network.seen)


def sum_of_one(view: ServerView) -> RingVector:
    """The victim's vector less its self mask and the masks that it shares with "lost" clients."""
    agreed = {
        peer: view.mask_key(peer, view.rebuild("mask", peer)).agree(view.keys[VICTIM][1])
        for peer in view.partners[VICTIM]
    }
    return view.strip(VICTIM, view.rebuild("self", VICTIM), agreed)


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_without_the_floor_a_sum_of_one_is_released(name: str, count: int) -> None:
    scenario = scenario_of(name, count)
    view = ask_about_one(Network(scenario), floor=False)
    assert equal(sum_of_one(view), scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_with_it_every_client_refuses(name: str, count: int) -> None:
    view = ask_about_one(Network(scenario_of(name, count)), floor=True)
    assert not view.shares["self"]
    assert not view.shares["mask"]


@pytest.mark.parametrize(("name", "count"), MASKED)
@pytest.mark.parametrize("missing", [0, 1])
def test_the_floor_is_exact(name: str, count: int, missing: int) -> None:
    """The smallest sum of the plan is answered, one client fewer is not."""
    network = Network(scenario_of(name, count))
    network.relay = lambda seen: None if isinstance(seen.message, UnmaskRequest) else seen.message
    network.run()
    near = ServerView(network.session, network.seen).partners[VICTIM]
    order = [VICTIM, *near, *(n for n in range(count) if n != VICTIM and n not in near)]
    failure = network.ask(client(VICTIM), order[: network.scenario.plan.minimum - missing])
    assert (failure is not None) == bool(missing)
    assert failure is None or isinstance(failure.error, CohortTooSmall)


@pytest.mark.parametrize("floor", [False, True])
def test_a_cohort_of_the_victim_and_a_corrupt_client(floor: bool) -> None:
    """The victim's key book names nobody else."""
    scenario = scenario_of("secagg", 7)
    plan, corrupt = plan_of(scenario.session), {5: own_keys(5)}
    if floor:
        with pytest.raises(CohortTooSmall):
            impersonate(scenario, client(VICTIM), corrupt)
    else:
        found = impersonate(scenario, client(VICTIM), corrupt, without_floor(plan))
        assert equal(found, scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("name", "count"), MASKED)
@pytest.mark.parametrize("floor", [False, True])
def test_shares_of_one_corrupt_client_only(name: str, count: int, floor: bool) -> None:
    """The victim is made to mask with nobody but a corrupt client. Everything else is honest."""
    agreed: dict[int, Secret] = {}

    def thin(seen: Seen) -> Message:
        bundle = seen.message
        if seen.recipient != client(VICTIM) or not isinstance(bundle, ShareBundle):
            return bundle
        if not floor:
            victim = network.client(VICTIM)
            victim.plan = without_floor(victim.plan)
        corrupt = decode_numbers(bundle.dealers)[0]
        victims = ServerView(network.session, network.seen).keys[VICTIM][1]
        agreed[corrupt] = network.client(corrupt)._keys._mask_key.agree(victims)
        return ShareBundle(encode_numbers([corrupt]), in_rows(bundle.sealed)[0])

    network = Network(scenario_of(name, count), thin)
    network.finish()
    view = ServerView(network.session, network.seen)
    if floor:
        assert isinstance(network.failures[client(VICTIM)].error, CohortTooSmall)
        assert VICTIM not in view.vectors
    else:
        found = view.strip(VICTIM, view.rebuild("self", VICTIM), agreed)
        assert equal(found, network.scenario.inputs[client(VICTIM)])
