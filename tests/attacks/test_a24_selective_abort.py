"""A24: the server begins the round again, with one client fewer, or until it likes the outcome.

Adversary: a server that aborts sessions, and opens others in the same training round. Clients
train once in a round: their input is the same.
Seen: the released sums.
Goal: the victim's input, bit for bit, as the difference of a sum with it and one without.
Protection: each client's ledger. It opens as many sessions in a training round as the client's
policy allows, `PolicyError` on `sessions_per_round`, and answers one of them, whatever the policy:
`SessionRefused`. A session that was aborted before its answer released nothing, and counts.
Levels: malicious; at curious for clients that keep a ledger.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attacks.checks import without
from attacks.scenes import MALICIOUS, network_of

from secagg.audit.adversary import (
    Disk,
    Network,
    ServerView,
    as_sent,
    exact,
    recovered,
    without_questions,
)
from secagg.audit.attacks.differencing import VICTIM, difference, dropping_the_victim
from secagg.errors import PolicyError, SessionRefused
from secagg.protocol import ClientPolicy
from secagg.types import PartyId, client


def policy(sessions: int) -> ClientPolicy:
    return ClientPolicy(sessions_per_round=sessions)


def second_session(disks: Mapping[PartyId, Disk], sessions: int, *, inputs_of: int = 1) -> Network:
    """Another session of the same job, training round and roster, with another nonce.

    Args:
        disks: of the clients, after the first.
        sessions: that the clients' policy allows.
        inputs_of: the seed of the first.
    """
    network = network_of(
        MALICIOUS,
        dropping_the_victim,
        seed=inputs_of,
        disks=disks,
        policy=policy(sessions),
        nonce=bytes(range(32)),
    )
    if network.failures:
        return network
    network.finish()
    return network


def first_session(sessions: int) -> Network:
    network = network_of(MALICIOUS, policy=policy(sessions))
    network.finish()
    assert exact(network)
    network.close()
    return network


def given_away(first: Network, second: Network) -> bool:
    """Whether the two sums give the victim away."""
    assert first.session.id != second.session.id
    return recovered(first, VICTIM, difference(first, second))


def test_without_ledgers_the_difference_is_the_input() -> None:
    """Taken out: the ledgers, which come back empty."""
    first = first_session(1)
    assert given_away(first, second_session({}, 1))


def test_without_the_rule_of_one_answer_it_is_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy allows the round to be begun twice; taken out: that it is answered once."""
    without(monkeypatch, "one answer in a training round")
    first = first_session(2)
    assert given_away(first, second_session(first.disks, 2))


@pytest.mark.parametrize(("sessions", "error"), [(1, PolicyError), (2, SessionRefused)])
def test_with_them_no_client_takes_part_again(sessions: int, error: type[Exception]) -> None:
    first = first_session(sessions)
    second = second_session(first.disks, sessions)
    assert set(second.failures) == set(second.clients)
    assert all(isinstance(failure.error, error) for failure in second.failures.values())
    assert not list(second.said(client(0)))


def test_an_aborted_session_counts() -> None:
    """The server saw the masked vectors, asked nobody, and begins again."""
    first = network_of(MALICIOUS, without_questions, policy=policy(1))
    first.run()
    assert len(ServerView.of(first).vectors) == len(first.clients)
    first.close()
    second = second_session(first.disks, 1)
    assert all(isinstance(fail.error, PolicyError) for fail in second.failures.values())
    assert set(second.failures) == set(second.clients)


def answered_late(sessions: int) -> tuple[Network, Network]:
    """The first session waits with its question until the second has its answer."""
    first = network_of(MALICIOUS, without_questions, policy=policy(sessions))
    first.run()
    first.close()
    second = second_session(first.disks, sessions)
    assert exact(second)
    second.close()
    for who in first.clients:
        first.restart(who)
    first.relay = as_sent
    first.release()
    return first, second


def test_two_sessions_at_once_without_the_rule_of_one_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "one answer in a training round")
    first, second = answered_late(2)
    assert exact(first)
    assert given_away(first, second)


def test_with_it_the_one_that_is_late_gets_no_answer() -> None:
    first, _ = answered_late(2)
    assert first.total is None
    # The victim's answer of the other session was never taken, but given: it counts for it too.
    for who in set(first.clients) - {client(VICTIM)}:
        assert isinstance(first.failures[who].error, SessionRefused)
    assert not ServerView.of(first).shares["mask"]
