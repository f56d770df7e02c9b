"""A3: the server asks the same clients twice, with two sets of survivors.

Adversary: a server that lies to nobody but asks again; with it, once, whoever can put back an old
state of the clients' disks.
Seen: every frame, hence for each client the answers to both questions.
Goal: the victim's input, bit for bit, from shares of both its seeds.
Protection: one answer in a session. A client that has answered is done, its keys are erased, and
its last record restores nothing but the answer it gave.
Not covered: rollback of the whole disk to a state before the answer. That is what the protection
is taken out with here, and the attack then succeeds.
"""

from __future__ import annotations

import pytest
from attacks.adversary import MASKED, Network, equal, scenario_of
from attacks.leaks import holds, seeds_of
from attacks.server_view import ServerView

from secagg.errors import LocalProtocolError
from secagg.protocol import Send
from secagg.protocol.cohort import encode_bitmap
from secagg.protocol.memory import START, RecordHead
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.messages import UnmaskRequest, UnmaskShares
from secagg.types import SERVER, PartyId, client

VICTIM = 0


def second_question(network: Network) -> UnmaskRequest:
    """As the first, but that the victim is said to be lost."""
    clients = network.scenario.plan.task.clients
    others = [who.number for who in clients if who.number != VICTIM]
    return UnmaskRequest(encode_bitmap(clients, others))


def finished(name: str, count: int) -> Network:
    network = Network(scenario_of(name, count))
    network.run()
    assert network.total is not None
    assert VICTIM not in ServerView(network.session, network.seen).shares["mask"]
    return network


def restart(network: Network, who: PartyId, *, rollback: bool) -> None:
    """Kill a client and restore it: from its records, or from a copy made before its answer."""
    scenario = network.scenario
    records = network.retained[who][:-1] if rollback else network.records[who]
    network.parties[who] = scenario.protocol.restore(
        scenario.session, who, scenario.rng, network.policy, records
    )
    network.parties[who].resume()


def others(network: Network) -> list[PartyId]:
    return [who for who in network.scenario.inputs if who != client(VICTIM)]


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_clients_rolled_back_answer_twice_and_the_input_is_opened(name: str, count: int) -> None:
    """Taken out: the memory of having answered. Rollback of the disk is not covered."""
    network = finished(name, count)
    for holder in others(network):
        restart(network, holder, rollback=True)
        network.post(SERVER, holder, second_question(network))
    network.pump()
    view = ServerView(network.session, network.seen)
    assert equal(view.open_vector(VICTIM), network.scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize(("name", "count"), MASKED)
def test_a_second_question_is_refused(name: str, count: int, killed: bool) -> None:
    network = finished(name, count)
    question = second_question(network)
    for holder in others(network):
        if killed:
            restart(network, holder, rollback=False)
        party = network.parties[holder]
        assert party.when(question, SERVER) == "late"
        with pytest.raises(LocalProtocolError, match="late"):
            party.handle(question, SERVER)
    view = ServerView(network.session, network.seen)
    assert VICTIM not in view.shares["mask"]
    # The one kind of share that it has opens the self mask, and what is left is not the input.
    left = view.strip(VICTIM, view.rebuild("self", VICTIM), {})
    assert not equal(left, network.scenario.inputs[client(VICTIM)])


def test_the_first_question_again_gets_the_first_answer_again() -> None:
    """After a kill the bytes are the stored ones: no new share, and none of the other kind."""
    network = finished(*MASKED[0])
    holder = client(3)
    (question,) = (s for s in network.seen if s.recipient == holder and s.message.KIND == 6)
    (answer,) = (s for s in network.seen if s.sender == holder and s.message.KIND == 7)
    restart(network, holder, rollback=False)
    party = network.parties[holder]
    assert isinstance(question.message, UnmaskRequest)
    sends = [e for e in party.handle(question.message, SERVER) if isinstance(e, Send)]
    assert [party.seal(send).join() for send in sends] == [answer.frame.join()]
    assert isinstance(answer.message, UnmaskShares)


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("erased", [False, True])
def test_after_its_answer_a_client_has_nothing_left_to_reveal(
    erased: bool, restored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever seizes a client later, were it killed before or not. Taken out: the erasure."""
    if not erased:
        monkeypatch.setattr(MaskingClient, "forget", lambda self: None)
    network = Network(scenario_of(*MASKED[0]))
    network.relay = lambda seen: None if isinstance(seen.message, UnmaskRequest) else seen.message
    network.run()
    if restored:
        for who in network.scenario.inputs:
            restart(network, who, rollback=False)
    secrets = {who: seeds_of(network.client(who.number)) for who in network.scenario.inputs}
    for seen in network.held:
        network.post(seen.sender, seen.recipient, seen.message)
    network.pump()
    for who, seeds in secrets.items():
        party = network.parties[who]
        assert party.ended
        left = {name for name, seed in seeds.items() if holds(party, seed)}
        assert left == (set() if erased else {"mask seed", "self seed"})


def test_no_party_keeps_its_seed_once_it_has_ended() -> None:
    """The seed of a party is in its first record, and after the end nowhere in its memory."""
    network = finished(*MASKED[0])
    for who in network.scenario.inputs:
        first = RecordHead.parse(network.retained[who][0])
        assert first.type == START
        assert not holds(network.parties[who], first.body)
        restart(network, who, rollback=True)
        (question,) = (s for s in network.seen if s.recipient == who and s.message.KIND == 6)
        network.parties[who].handle(question.message, SERVER)
        assert network.parties[who].ended
        assert not holds(network.parties[who], first.body)
