"""A3, A6: the server asks the same clients twice, with two sets of survivors.

Adversary: a server that lies to nobody but asks again; with it, once, whoever can put back an old
state of the clients' disks.
Seen: every frame, hence for each client the answers to both questions.
Goal: the victim's input, bit for bit, from shares of both its seeds (A3); or from two sums, one
with the victim and one without (A6).
Protection: one answer in a session. A client that has answered is done, its keys are erased, and
its last record restores nothing but the answer it gave. At level `malicious` it has signed one list
before: another one is a `DuplicateMessage`.
Not covered: rollback of the whole disk to a state before the answer. That is what the protection
is taken out with here, and the attack then succeeds.
Levels: curious, malicious. Rollback of a whole disk is not covered.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import EVERYWHERE, MALICIOUS, MASKED, network_of

from secagg import kernels
from secagg.audit.adversary import (
    Network,
    ServerView,
    ask,
    dialect_of,
    exact,
    recovered,
    recovered_sum,
    without_questions,
)
from secagg.audit.adversary.network import as_sent
from secagg.audit.attacks.both_shares import VICTIM, others, second_question
from secagg.audit.leaks import holds, seeds_of
from secagg.errors import DuplicateMessage, LocalProtocolError
from secagg.protocol import Send
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.authenticated.messages import SurvivorList
from secagg.types import SERVER, RingVector, client


def finished(scene: str) -> Network:
    network = network_of(scene)
    network.run()
    assert exact(network)
    assert VICTIM not in ServerView.of(network).shares["mask"]
    return network


def asked_twice(scene: str) -> tuple[Network, ServerView, ServerView]:
    """What is known after the first question, and after the second."""
    network = finished(scene)
    first = ServerView.of(network)
    back = dialect_of(network.plan).questions
    for holder in others(network):
        network.restart(holder, back)
    network.pump()
    without_victim = {who.number for who in others(network)}
    refused = ask(network, dict.fromkeys(sorted(without_victim), without_victim))
    assert not refused
    return network, first, ServerView.of(network)


@pytest.mark.parametrize("scene", EVERYWHERE)
def test_clients_rolled_back_answer_twice_and_the_input_is_opened(scene: str) -> None:
    """Taken out: the memory of having answered. Rollback of the disk is not covered."""
    network, _, view = asked_twice(scene)
    assert recovered(network, VICTIM, view.open_vector(VICTIM))


@pytest.mark.parametrize("scene", MASKED)
def test_clients_rolled_back_open_two_sums_and_the_difference_is_the_input(scene: str) -> None:
    """A6. Taken out: as before."""
    network, _, view = asked_twice(scene)
    rest = [who.number for who in others(network)]
    smaller = sum_without(view, rest, lost=VICTIM)
    assert recovered_sum(network, rest, smaller)
    assert network.total is not None
    difference = network.total.copy()
    kernels.ring_subtract(difference, smaller)
    kernels.ring_reduce(difference, network.plan.ring)
    assert recovered(network, VICTIM, difference)


def sum_without(view: ServerView, included: list[int], lost: int) -> RingVector:
    """The sum over the included, by the server's arithmetic."""
    key = view.mask_key(lost, view.rebuild("mask", lost))
    total = None
    for number in included:
        agreed = {}
        if lost in view.partners[number]:
            agreed[lost] = key.agree(view.keys[number][1])
        left = view.strip(number, view.rebuild("self", number), agreed)
        if total is None:
            total = left
        else:
            kernels.ring_add(total, left)
    assert total is not None
    kernels.ring_reduce(total, view.plan.ring)
    return total


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("scene", EVERYWHERE)
def test_a_second_question_is_refused(scene: str, killed: bool) -> None:
    network = finished(scene)
    for holder in others(network):
        if killed:
            network.restart(holder)
        question = second_question(network, holder)
        party = network.parties[holder]
        assert party.when(question, SERVER) == "late"
        with pytest.raises(LocalProtocolError, match="late"):
            party.handle(question, SERVER)
    network.pump()
    view = ServerView.of(network)
    assert VICTIM not in view.shares["mask"]
    # The one kind of share that it has opens the self mask, and what is left is not the input.
    left = view.strip(VICTIM, view.rebuild("self", VICTIM), {})
    assert not recovered(network, VICTIM, left)


@pytest.mark.parametrize("killed", [False, True])
def test_a_second_list_is_refused_once_one_is_signed(killed: bool) -> None:
    """Two signatures after a crash: what the ledger gives back is the one that was sent."""
    network = network_of(MALICIOUS, without_questions)
    network.run()
    everybody = [who.number for who in network.clients]
    rest = [who.number for who in others(network)]
    dealt = encode_bitmap(network.clients, everybody)
    for holder in others(network):
        network.tell(holder, SurvivorList(dealt, encode_bitmap(network.clients, everybody)))
    signed = ServerView.of(network).signatures
    for holder in others(network):
        if killed:
            network.restart(holder)
        network.tell(holder, SurvivorList(dealt, encode_bitmap(network.clients, rest)))
    assert ServerView.of(network).signatures == signed
    duplicates = [one for one in network.accused if isinstance(one.error, DuplicateMessage)]
    assert len(duplicates) == len(rest)
    assert {one.culprit for one in duplicates} == {SERVER}


def test_clients_whose_ledger_is_put_back_sign_twice() -> None:
    """Taken out: the ledger's memory of the signature. Both lists then have a quorum."""
    network = network_of(MALICIOUS, without_questions)
    network.run()
    everybody = [who.number for who in network.clients]
    rest = [who.number for who in others(network)]
    assert not ask(network, dict.fromkeys(everybody, everybody))
    for holder in others(network):
        network.restart(holder, dialect_of(network.plan).questions)
    network.pump()
    assert not ask(network, dict.fromkeys(rest, rest))
    view = ServerView.of(network)
    assert recovered(network, VICTIM, view.open_vector(VICTIM))


@pytest.mark.parametrize("scene", ["secagg 7 curious", MALICIOUS])
def test_the_first_question_again_gets_the_first_answer_again(scene: str) -> None:
    """After a kill the bytes are the stored ones: no new share, and none of the other kind."""
    network = finished(scene)
    holder = client(3)
    question = list(network.told(holder))[-1]
    answer = list(network.said(holder))[-1]
    assert isinstance(answer, dialect_of(network.plan).answer)
    network.restart(holder)
    network.pump()
    sends = [e for e in network.parties[holder].handle(question, SERVER) if isinstance(e, Send)]
    assert [network.frame(holder, SERVER, send.message).join() for send in sends] == [
        network.frame(holder, SERVER, answer).join()
    ]


@pytest.mark.parametrize("scene", ["secagg 7 curious", MALICIOUS])
@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("erased", [False, True])
def test_after_its_answer_a_client_has_nothing_left_to_reveal(
    erased: bool, restored: bool, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever corrupts a client later, were it killed before or not. Taken out: the erasure."""
    if not erased:
        without(monkeypatch, "erasure")
    network = network_of(scene, without_questions)
    network.run()
    if restored:
        for who in network.clients:
            network.restart(who)
        network.pump()
    secrets = {who: seeds_of(network.corrupt(who)) for who in network.clients}
    network.relay = as_sent
    network.release()
    for who, seeds in secrets.items():
        party = network.corrupt(who)
        assert party.ended
        left = {name for name, seed in seeds.items() if holds(party, seed)}
        assert left == (set() if erased else {"mask seed", "self seed"})


@pytest.mark.parametrize("scene", ["secagg 7 curious", MALICIOUS])
def test_a_client_restored_and_asked_again_has_nothing_left_either(scene: str) -> None:
    """The seed of a party is in its first record, and after the end nowhere in its memory."""
    network = network_of(scene, without_questions)
    network.run()
    secrets = {who: seeds_of(network.corrupt(who))["party seed"] for who in network.clients}
    network.relay = as_sent
    network.release()
    for who, seed in secrets.items():
        assert not holds(network.corrupt(who), seed)
        question = list(network.told(who))[-1]
        network.restart(who, 1)
        network.parties[who].handle(question, SERVER)
        assert network.parties[who].ended
        assert not holds(network.corrupt(who), seed)
