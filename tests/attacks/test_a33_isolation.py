"""A33: the sum of a few clients, by telling everybody of other dead.

Adversary: a server that lies about who survived, and the planned number of corrupt clients. It
splits no secret: about each client it asks each holder once, and rebuilds one secret of each.
Seen: every frame; the state of the corrupt clients.
Goal: the sum over some of the clients without the others, bit for bit: of all others the mask seeds
are rebuilt, of these the self seeds. Whom to tell of whose death is worked out by the oracle of
`tests/oracles`, which knows nothing of the code.
Protection: at level `malicious` each client signs its list and answers only if a threshold of its
neighbourhood signed the same: `InconsistentSurvivors` where the quorum is filled up with signatures
on other lists, `QuorumMissing` where it is not. Neither the threshold nor one answer per client
stops this. Level `curious` promises nothing against it.
In another way of isolating, one client is made to mask with few others, and these are all declared
lost, to everybody alike. It refuses a list on which others are said to have dealt shares than those
whose shares it got, `InconsistentSurvivors`, and one that names a survivor of whom it got none.
Without its signature there is no quorum.
Levels: malicious. Not covered at curious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import network_of
from oracles.isolation import Lies, Ring, smallest_group

from secagg.audit.adversary import (
    Accomplice,
    Network,
    Seen,
    ServerView,
    ask,
    dialect_of,
    plan_of,
    recovered,
    recovered_sum,
    without_questions,
)
from secagg.audit.attacks.isolation import CORRUPT, Deaths, arranged, isolate, sum_of
from secagg.errors import (
    InconsistentSurvivors,
    QuorumMissing,
    RemoteProtocolError,
    VerificationError,
)
from secagg.protocol import Fail
from secagg.protocols._masking.authenticated.messages import CommittedBundle
from secagg.types import client
from secagg.wire import Message

SCENE, CURIOUS = "secagg 13 malicious", "secagg 13 curious"


def planned(network: Network, *, acknowledged: bool) -> Lies | None:
    """The smallest group that can be isolated, and how, if it is smaller than any sum may be.

    As many honest clients as the smallest sum has are no isolated group: all others are lost then,
    and everybody is told so.
    """
    plan = plan_of(network.session)
    corrupt = [who.number == CORRUPT for who in network.clients]
    ring = Ring(plan.degree, plan.threshold, corrupt)
    return smallest_group(ring, acknowledged=acknowledged, largest=plan.minimum - 2)


def lied(network: Network, *, padded: bool = True) -> tuple[Deaths, ServerView, dict[int, Fail]]:
    """Every client is told its own dead."""
    lies = planned(network, acknowledged=False)
    assert lies is not None
    assert len(lies.group) < network.plan.minimum - network.plan.corrupt
    deaths = Deaths(*lies)
    return deaths, *isolate(network, deaths, padded=padded)


def isolated(network: Network, *, padded: bool = True) -> bool:
    lies, view, refused = lied(network, padded=padded)
    assert not refused
    found = sum_of(lies, view, Accomplice(network, CORRUPT))
    return recovered_sum(network, lies.group, found)


@pytest.mark.parametrize("scene", [SCENE, CURIOUS])
def test_what_the_audit_arranges_is_no_better_than_what_the_oracle_finds(scene: str) -> None:
    network = network_of(scene)
    found, lies = arranged(plan_of(network.session)), planned(network, acknowledged=False)
    assert found is not None
    assert lies is not None
    assert len(found.group) >= len(lies.group)


def test_at_curious_a_group_is_isolated() -> None:
    assert isolated(network_of(CURIOUS, without_questions))


def test_without_comparing_what_others_signed_it_is_at_malicious(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "quorum signatures")
    assert isolated(network_of(SCENE, without_questions))


def test_without_counting_who_signed_it_is_at_malicious(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "quorum size")
    assert isolated(network_of(SCENE, without_questions), padded=False)


@pytest.mark.parametrize(
    ("padded", "error"), [(True, InconsistentSurvivors), (False, QuorumMissing)]
)
def test_with_both_no_client_answers(padded: bool, error: type[Exception]) -> None:
    network = network_of(SCENE, without_questions)
    assert planned(network, acknowledged=True) is None
    lies, view, refused = lied(network, padded=padded)
    assert refused
    assert all(isinstance(failure.error, error) for failure in refused.values())
    with pytest.raises(VerificationError):
        sum_of(lies, view, Accomplice(network, CORRUPT))


def test_a_single_list_for_all_is_answered() -> None:
    """The quorum refuses nobody who tells the truth."""
    network = network_of(SCENE, without_questions)
    network.run()
    everybody = [who.number for who in network.clients]
    assert not ask(network, dict.fromkeys(everybody, everybody), padded=False)


THIN, VICTIM, PARTNERS = "secagg 8 malicious", 0, (1, 2, 3)
"""The victim, and all whom it is made to mask with but for the corrupt client 7."""


def thin(network: Network) -> tuple[ServerView, dict[int, Fail]]:
    """The victim's partners are said to be lost; all are told the same."""

    def relay(seen: Seen) -> Message | None:
        message = without_questions(seen)
        if seen.recipient != client(VICTIM) or not isinstance(message, CommittedBundle):
            return message
        return dialect_of(network.plan).thinned(message, {*PARTNERS, 7})

    network.relay = relay
    network.run()
    accomplice = Accomplice(network, 7)
    survivors = [n for n in range(8) if n not in PARTNERS]
    told = dict.fromkeys((n for n in survivors if n != 7), survivors)
    refused = ask(network, told, accomplices=[accomplice])
    view = ServerView.of(network)
    view.collude(accomplice)
    return view, refused


def test_without_comparing_the_dealers_one_client_is_isolated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "own dealers", "survivors that dealt")
    network = network_of(THIN)
    view, refused = thin(network)
    assert not refused
    public = view.keys[VICTIM][1]
    agreed = {n: view.mask_key(n, view.rebuild("mask", n)).agree(public) for n in PARTNERS}
    agreed[7] = Accomplice(network, 7).agree(public)
    assert recovered(network, VICTIM, view.strip(VICTIM, view.rebuild("self", VICTIM), agreed))


@pytest.mark.parametrize("out", [(), ("own dealers",), ("survivors that dealt",)])
def test_with_either_the_victim_does_not_sign_and_nobody_answers(
    out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *out)
    view, refused = thin(network_of(THIN))
    error = refused[VICTIM].error
    if out == ("survivors that dealt",):
        assert isinstance(error, InconsistentSurvivors)
    else:
        assert isinstance(error, RemoteProtocolError)
        assert "named that dealt me no shares" in str(error)
    assert all(isinstance(refused[n].error, QuorumMissing) for n in (4, 5, 6))
    with pytest.raises(VerificationError):
        view.rebuild("self", VICTIM)
    with pytest.raises(VerificationError):
        view.rebuild("mask", PARTNERS[0])
