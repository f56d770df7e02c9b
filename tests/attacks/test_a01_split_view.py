"""A1: the server names different survivors to different clients.

Adversary: a server that lies about who survived, and the planned number of corrupt clients.
Seen: every frame; the shares of the corrupt clients.
Goal: the victim's input, bit for bit: some holders are told that it survived, others that it is
lost, and every one of them answers once, about a list that it has no reason to refuse.
Protection: at level `malicious` a threshold t with 2 t > n + corrupt, and survivors that are signed
and acknowledged: `InconsistentSurvivors` where others signed another list, `QuorumMissing` where
they are too few. Level `curious` promises nothing against this server. Of the protection only the
threshold can be shown there: on the complete graph more than half of the clients are needed, so
without a corrupt client the server falls short.
Levels: malicious. Not covered at curious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import MALICIOUS, RING, network_of

from secagg.audit.adversary import recovered, without_questions
from secagg.audit.attacks.split_view import VICTIM, split_view
from secagg.errors import InconsistentSurvivors, VerificationError
from secagg.protocol import Adversary


@pytest.mark.parametrize(
    ("scene", "corrupt"), [("secagg 7 curious", [6]), ("secagg_plus 60 curious", [])]
)
def test_a_server_that_splits_the_view_opens_an_input_at_curious(
    scene: str, corrupt: list[int]
) -> None:
    network = network_of(scene, without_questions)
    claim = network.protocol.guarantees(network.plan.task.level).adversary
    assert claim is Adversary.CURIOUS_SERVER
    view, refused = split_view(network, corrupt)
    assert not refused
    assert recovered(network, VICTIM, view.open_vector(VICTIM))


def test_on_the_complete_graph_it_needs_a_corrupt_client() -> None:
    view, refused = split_view(network_of("secagg 7 curious", without_questions), [])
    assert not refused
    with pytest.raises(VerificationError):
        view.open_vector(VICTIM)


def test_with_a_threshold_of_half_both_lists_have_a_quorum_and_the_input_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "threshold for two lists")
    network = network_of(MALICIOUS, without_questions)
    view, refused = split_view(network, [6])
    assert not refused
    assert recovered(network, VICTIM, view.open_vector(VICTIM))


@pytest.mark.parametrize(("scene", "corrupt"), [(MALICIOUS, [6]), (RING, [57, 58, 59])])
def test_with_the_threshold_of_the_plan_a_list_has_no_quorum(
    scene: str, corrupt: list[int]
) -> None:
    network = network_of(scene, without_questions)
    assert network.protocol.guarantees(network.plan.task.level).adversary is Adversary.LYING_SERVER
    view, refused = split_view(network, corrupt)
    assert any(isinstance(fail.error, InconsistentSurvivors) for fail in refused.values())
    with pytest.raises(VerificationError):
        view.open_vector(VICTIM)


@pytest.mark.parametrize("lists", ["quorum signatures", "quorum size"])
def test_the_threshold_alone_keeps_the_two_secrets_of_a_client_apart(
    lists: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the acknowledgement of the list, which stops what a threshold cannot (A33)."""
    without(monkeypatch, lists)
    view, _ = split_view(network_of(MALICIOUS, without_questions), [6])
    with pytest.raises(VerificationError):
        view.open_vector(VICTIM)
