"""A1, NOT COVERED at level `curious`: the server names different survivors to different clients.

Adversary: a server that lies about who survived. Level `curious` promises nothing against it.
Seen: every frame; the shares of the planned number of corrupt clients.
Goal: the victim's input, bit for bit: some holders are told that it survived, others that it is
lost, and every one of them answers once, about a set that it has no reason to refuse.
Protection: none at this level. A threshold with 2 t > n + corrupt, and survivors that are signed
and acknowledged. Only the threshold can be shown here: on the complete graph more than half of the
clients are needed, so without a corrupt client the server falls short.
"""

from __future__ import annotations

import pytest
from attacks.adversary import Network, equal, plan_of, scenario_of
from attacks.server_view import ServerView

from secagg.errors import VerificationError
from secagg.protocol import Adversary
from secagg.protocols._masking.messages import UnmaskRequest
from secagg.types import client

VICTIM = 0


def split_view(network: Network, corrupt: list[int]) -> ServerView:
    """Half of the victim's neighbours are told one thing, half the other."""
    network.relay = lambda seen: None if isinstance(seen.message, UnmaskRequest) else seen.message
    network.run()
    view = ServerView(network.session, network.seen)
    everybody = set(view.keys)
    holders = [number for number in view.partners[VICTIM] if number not in corrupt]
    dead = holders[: max(len(holders) // 2, plan_of(network.session).threshold - len(corrupt))]
    for holder in (VICTIM, *holders):
        failure = network.ask(client(holder), everybody - ({VICTIM} if holder in dead else set()))
        assert failure is None, failure
    view = ServerView(network.session, network.seen)
    for number in corrupt:
        view.collude(network.client(number))
    return view


@pytest.mark.parametrize(
    ("name", "count", "corrupt"), [("secagg", 7, [6]), ("secagg_plus", 60, [])]
)
def test_a_server_that_splits_the_view_opens_an_input_at_curious(
    name: str, count: int, corrupt: list[int]
) -> None:
    scenario = scenario_of(name, count)
    claim = scenario.protocol.guarantees(scenario.plan.task.level).adversary
    assert claim is Adversary.CURIOUS_SERVER
    view = split_view(Network(scenario), corrupt)
    assert equal(view.open_vector(VICTIM), scenario.inputs[client(VICTIM)])


def test_on_the_complete_graph_it_needs_a_corrupt_client() -> None:
    scenario = scenario_of("secagg", 7)
    view = split_view(Network(scenario), [])
    with pytest.raises(VerificationError):
        view.open_vector(VICTIM)
