"""C3: the server tries graphs until it has one that it likes.

Adversary: a server that lies about the cohort and about the beacon, and the planned number of
corrupt clients.
Seen: every frame; what the public beacon said so far; the keys of the corrupt clients.
Goal: of 200 graphs the one on which most of the corrupt clients are the victim's neighbours, and
hold shares of its seeds. With more tries than 2**sigma it would be one that can be cut.
Protection: at level `malicious` a client signs the root over all keys and the beacon's round, once,
as long as the round is still to come: `BeaconPassed` for a round that may be known, and
`InconsistentCohort` for other keys than those under the root that it signed. The complete graph of
a small cohort leaves nothing to choose. At level `curious` the server draws the graph.
Levels: malicious, on the sparse graph. Not covered at curious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import RING, network_of

from secagg.audit.adversary import Cohort, Network
from secagg.audit.attacks.chosen_graph import (
    CORRUPT,
    TRIES,
    VICTIM,
    around,
    begun,
    deal,
    holding,
    show,
    try_keys,
    try_rounds,
)
from secagg.errors import BeaconPassed, InconsistentCohort, VerificationError
from secagg.protocols._masking.authenticated.messages import (
    CohortSignature,
    CommittedShares,
)
from secagg.types import client


def test_with_a_round_that_has_come_the_corrupt_are_the_victims_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "round to come")
    network, cohort = advertised()
    best = try_rounds(network, cohort)
    show(network, cohort, best)
    deal(network, cohort, best)
    assert not network.failures
    assert holding(network) == list(CORRUPT)


def test_nobody_signs_a_round_that_may_be_known() -> None:
    network, cohort = advertised()
    for number in (try_rounds(network, cohort), TRIES, TRIES + 1):
        network, cohort = advertised()
        show(network, cohort, number)
        assert network.failures.keys() == set(network.clients)
        assert all(isinstance(fail.error, BeaconPassed) for fail in network.failures.values())
        assert not [seen for seen in network.seen if isinstance(seen.message, CohortSignature)]


def advertised() -> tuple[Network, Cohort]:
    """Clients without a server; all have advertised keys, and the beacon is at round 200."""
    return begun(network_of(RING, present=[client(number) for number in range(60)]))


def signed_then_known() -> tuple[Network, Cohort, int]:
    """All signed an honest root and a round still to come, which then came."""
    network, cohort = advertised()
    named = TRIES + 2
    show(network, cohort, named)
    assert not network.failures
    with pytest.raises(VerificationError, match=f"nobody knows round {named}"):
        network.beacon(named)
    network.beacon_round = named
    return network, cohort, named


def test_with_keys_that_may_still_be_changed_the_corrupt_are_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "signed cohort")
    network, cohort, named = signed_then_known()
    best = try_keys(network, named)
    value = network.beacon(named)
    assert around(best, named, value) == len(CORRUPT) > around(cohort, named, value)
    deal(network, best, named)
    assert not network.failures
    assert holding(network) == list(CORRUPT)


def test_no_honest_client_takes_another_root_than_it_signed() -> None:
    network, _, named = signed_then_known()
    best = try_keys(network, named)
    value = network.beacon(named)
    for who in network.clients:
        network.tell(who, best.book(who.number, named, value))
    assert network.failures.keys() == set(network.clients)
    assert all(isinstance(fail.error, InconsistentCohort) for fail in network.failures.values())
    assert not [seen for seen in network.seen if isinstance(seen.message, CommittedShares)]


def test_with_both_checks_a_graph_is_drawn_that_nobody_chose() -> None:
    """And a round goes on as far as it should: all sign, and all deal."""
    network, cohort, named = signed_then_known()
    deal(network, cohort, named)
    assert not network.failures
    near = cohort.neighbours(VICTIM, named, network.beacon(named))
    assert holding(network) == [number for number in CORRUPT if number in near]
