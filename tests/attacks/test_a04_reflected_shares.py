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

from secagg.audit.adversary import Accomplice, Network, Row, Seen, ServerView, recovered
from secagg.errors import ShareBindingError
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    CommittedBundle,
    CommittedShares,
    SignedVector,
    SurvivorList,
)
from secagg.protocols._masking.messages import (
    MaskedVector,
    ShareBundle,
    UnmaskRequest,
    decode_numbers,
)
from secagg.types import client
from secagg.wire import Message

VICTIM, CORRUPT, LOST = 0, 3, (4, 5, 6)
KEY, DATA = "direction in the channel key", "direction in the associated data"
OVERLAPPING = ("share commitments", "threshold for two lists")


def reflect(scene: str) -> tuple[Network, list[Row]]:
    """The round, and what the corrupt client was dealt of the victim's mask seed."""
    dealt: list[Row] = []

    def relay(seen: Seen) -> Message | None:
        message = seen.message
        if isinstance(message, MaskedVector | SignedVector) and seen.sender.number in LOST:
            return None
        if isinstance(message, UnmaskRequest | SurvivorList) and seen.recipient == client(CORRUPT):
            dealt.append(Accomplice(network, CORRUPT).shares()[VICTIM][0])
        if seen.recipient != client(VICTIM):
            return message
        if not isinstance(message, ShareBundle | CommittedBundle):
            return message
        own = ServerView.of(network).sealed[VICTIM]
        dealers = decode_numbers(message.dealers)
        rows = zip(dealers, network_rows(network, message.sealed), strict=True)
        sealed = b"".join(own[dealer] if dealer in LOST else row for dealer, row in rows)
        if isinstance(message, ShareBundle):
            return ShareBundle(message.dealers, sealed)
        return CommittedBundle(
            message.dealers,
            sealed,
            reflected_commitments(network, dealers, message.commitments),
            message.seed_commitments,
            message.paths,
            message.signatures,
        )

    network = network_of(scene, relay, corrupt="0.1", dropout="0.42")
    network.finish()
    return network, dealt


def network_rows(network: Network, sealed: bytes) -> list[bytes]:
    return ServerView.of(network).dialect.rows(sealed)


def reflected_commitments(network: Network, dealers: tuple[int, ...], honest: bytes) -> bytes:
    """The victim's own, where the ciphertexts are."""
    size = COMMITMENT_PAIR_BYTES
    (shares,) = (m for m in network.said(client(VICTIM)) if isinstance(m, CommittedShares))
    # The victim's closed neighbourhood is everybody, so a holder's place is its number.
    own = {n: shares.commitments[size * n : size * (n + 1)] for n in dealers}
    rows = [honest[start : start + size] for start in range(0, len(honest), size)]
    return b"".join(
        own[dealer] if dealer in LOST else row for dealer, row in zip(dealers, rows, strict=True)
    )


def opened(network: Network, dealt: list[Row]) -> bool:
    view = ServerView.of(network)
    for lost in LOST:  # named as the lost client's, in truth the victim's, dealt to that client
        view.learn("mask", VICTIM, lost, view.shares["mask"][lost][VICTIM])
    view.learn("mask", VICTIM, CORRUPT, dealt[0])
    return recovered(network, VICTIM, view.open_vector(VICTIM))


def test_without_the_direction_a_client_opens_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, KEY, DATA)
    network, dealt = reflect("secagg 7 curious")
    assert network.plan.corrupt == 1
    assert opened(network, dealt)


def test_at_malicious_the_commitments_and_the_threshold_have_to_go_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, KEY, DATA, *OVERLAPPING)
    network, dealt = reflect(MALICIOUS)
    assert opened(network, dealt)


@pytest.mark.parametrize("out", [(), (KEY,), (DATA,)])
def test_with_it_the_reflection_is_refused(
    out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *out)
    network, _ = reflect("secagg 7 curious")
    refused(network)


@pytest.mark.parametrize(
    "out", [(), (KEY,), (DATA,), (KEY, DATA), (KEY, "share commitments"), (DATA, OVERLAPPING[0])]
)
def test_at_malicious_each_of_three_alone_suffices(
    out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The plan with three lost clients exists only with the lower threshold.
    without(monkeypatch, "threshold for two lists", *out)
    network, _ = reflect(MALICIOUS)
    refused(network)


def refused(network: Network) -> None:
    failure = network.failures[client(VICTIM)]
    assert isinstance(failure.error, ShareBindingError)
    view = ServerView.of(network)
    assert VICTIM not in view.vectors
    assert all(VICTIM not in rows for rows in view.shares["mask"].values())
