"""A8: a sum over one client, or over too few, is asked for.

Adversary: a server that names any survivors, cohort or dealers it likes; in two of the attacks also
one corrupt client.
Seen: every frame, and the corrupt client's keys.
Goal: the victim's input, bit for bit: a sum over the victim alone, or over it and the corrupt one.
Protection: the clients count, the plan's floor in hand: `CohortTooSmall`. The floor is at least the
threshold, and leaves two honest inputs in the sum.
Levels: curious, malicious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import COMPLETE, EVERYWHERE, MASKED, network_of

from secagg.audit.adversary import (
    Accomplice,
    Seen,
    ServerView,
    ask,
    impersonate,
    recovered,
    without_questions,
)
from secagg.audit.attacks.small_cohort import VICTIM, ask_about_one, sum_of_one
from secagg.errors import CohortTooSmall, ParameterError
from secagg.protocols._masking.authenticated.messages import CommittedBundle
from secagg.protocols._masking.messages import ShareBundle, decode_numbers
from secagg.types import Secret, client
from secagg.wire import Message

# Of two the list cannot have a quorum, where there is one to have.
SURVIVORS = ("survivor floor", "quorum size")


@pytest.mark.parametrize("scene", EVERYWHERE)
def test_without_the_floor_a_sum_of_one_is_released(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *SURVIVORS)
    network = network_of(scene, without_questions)
    assert not ask_about_one(network)
    assert recovered(network, VICTIM, sum_of_one(ServerView.of(network)))


@pytest.mark.parametrize("scene", EVERYWHERE)
def test_with_it_every_client_refuses(scene: str) -> None:
    network = network_of(scene, without_questions)
    refused = ask_about_one(network)
    assert set(refused) == {who.number for who in network.clients} - {VICTIM}
    assert all(isinstance(failure.error, CohortTooSmall) for failure in refused.values())
    view = ServerView.of(network)
    assert not view.shares["self"]
    assert not view.shares["mask"]
    assert not view.signatures


@pytest.mark.parametrize("scene", MASKED)
@pytest.mark.parametrize("missing", [0, 1])
def test_the_floor_is_exact(scene: str, missing: int) -> None:
    """The smallest sum of the plan is answered, one client fewer is not."""
    network = network_of(scene, without_questions)
    network.run()
    near = ServerView.of(network).partners[VICTIM]
    numbers = [who.number for who in network.clients]
    order = [VICTIM, *near, *(n for n in numbers if n != VICTIM and n not in near)]
    named = order[: network.plan.minimum - missing]
    refused = ask(network, dict.fromkeys(named, named))
    assert (VICTIM in refused) == bool(missing)
    assert all(isinstance(failure.error, CohortTooSmall) for failure in refused.values())


@pytest.mark.parametrize("scene", COMPLETE)
@pytest.mark.parametrize("floor", [False, True])
def test_a_cohort_of_the_victim_and_a_corrupt_client(
    scene: str, floor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The victim's key book names nobody else. Taken out: also the signature of that client."""
    network = network_of(scene, present=[client(VICTIM)])
    if floor:
        with pytest.raises(CohortTooSmall):
            impersonate(network, client(VICTIM), [5])
        return
    without(monkeypatch, "cohort floor", "dealer floor", "enough holders", "signed keys")
    assert recovered(network, VICTIM, impersonate(network, client(VICTIM), [5]))


@pytest.mark.parametrize("scene", COMPLETE)
def test_with_fewer_holders_than_the_threshold_nothing_is_dealt(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The floors taken out: the sharing itself refuses still."""
    without(monkeypatch, "cohort floor", "dealer floor", "signed keys")
    with pytest.raises(ParameterError, match="a threshold lies in"):
        impersonate(network_of(scene, present=[client(VICTIM)]), client(VICTIM), [5])


@pytest.mark.parametrize("scene", MASKED)
@pytest.mark.parametrize("floor", [False, True])
def test_shares_of_one_corrupt_client_only(
    scene: str, floor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The victim is made to mask with nobody but a corrupt client. Everything else is honest."""
    agreed: dict[int, Secret] = {}

    def thin(seen: Seen) -> Message:
        bundle = seen.message
        if seen.recipient != client(VICTIM):
            return bundle
        if not isinstance(bundle, ShareBundle | CommittedBundle):
            return bundle
        view = ServerView.of(network)
        corrupt = decode_numbers(bundle.dealers)[0]
        agreed[corrupt] = Accomplice(network, corrupt).agree(view.keys[VICTIM][1])
        return view.dialect.thinned(bundle, [corrupt])

    if not floor:
        without(monkeypatch, "dealer floor", *SURVIVORS)
    network = network_of(scene, thin)
    network.finish()
    view = ServerView.of(network)
    if floor:
        assert isinstance(network.failures[client(VICTIM)].error, CohortTooSmall)
        assert VICTIM not in view.vectors
    else:
        found = view.strip(VICTIM, view.rebuild("self", VICTIM), agreed)
        assert recovered(network, VICTIM, found)
