"""A4: a client gets its own ciphertexts back, as if its neighbours had sent them.

Adversary: a server that reflects what the victim dealt to three clients which then drop out, and
one corrupt client, as planned.
Seen: every frame, and the share that the corrupt client was dealt.
Goal: the victim takes its own shares for those of the lost clients, and gives away shares of its
own mask seed as theirs. With the corrupt client's share they are as many as the threshold, and the
shares of its self seed come from honest answers: its input, bit for bit. Every client was told the
same survivors, so no check of these would notice.
Protection: the direction is in the key and in the associated data: `ShareBindingError`. Either
alone suffices. At level `malicious` the commitment to a share names its dealer and its holder too,
and the threshold is above what the lost and the corrupt hold together.
Levels: curious, malicious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import MALICIOUS, network_of

from secagg.audit.adversary import Network, Row, ServerView
from secagg.audit.attacks.reflected_shares import MANY_LOST, VICTIM, opened, reflect
from secagg.errors import ShareBindingError
from secagg.types import client

KEY, DATA = "direction in the channel key", "direction in the associated data"
OVERLAPPING = ("share commitments", "threshold for two lists")


def reflected(scene: str) -> tuple[Network, list[Row]]:
    """The round, and what the corrupt client was dealt of the victim's mask seed."""
    network = network_of(scene, **MANY_LOST)
    return network, reflect(network)


def test_without_the_direction_a_client_opens_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, KEY, DATA)
    network, dealt = reflected("secagg 7 curious")
    assert network.plan.corrupt == 1
    assert opened(network, dealt)


def test_at_malicious_the_commitments_and_the_threshold_have_to_go_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, KEY, DATA, *OVERLAPPING)
    network, dealt = reflected(MALICIOUS)
    assert opened(network, dealt)


@pytest.mark.parametrize("out", [(), (KEY,), (DATA,)])
def test_with_it_the_reflection_is_refused(
    out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *out)
    network, _ = reflected("secagg 7 curious")
    refused(network)


@pytest.mark.parametrize(
    "out", [(), (KEY,), (DATA,), (KEY, DATA), (KEY, "share commitments"), (DATA, OVERLAPPING[0])]
)
def test_at_malicious_each_of_three_alone_suffices(
    out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The plan with three lost clients exists only with the lower threshold.
    without(monkeypatch, "threshold for two lists", *out)
    network, _ = reflected(MALICIOUS)
    refused(network)


def refused(network: Network) -> None:
    failure = network.failures[client(VICTIM)]
    assert isinstance(failure.error, ShareBindingError)
    view = ServerView.of(network)
    assert VICTIM not in view.vectors
    assert all(VICTIM not in rows for rows in view.shares["mask"].values())
