"""C3b: two halves of the clients are shown different roots or rounds.

Adversary: a server that lies about the cohort; it needs no corrupt client.
Seen: every frame; what the public beacon said so far.
Goal: two sums, each over one half, where the plan promises one over all but the planned dropouts.
Each half signs a statement of its own and has a graph of its own; nobody can tell.
Protection: in each neighbourhood `threshold` clients have to be of one view, which of two halves no
more than chance gives, and a sum is over no fewer clients than the plan's smallest: both are
`CohortTooSmall`. Shares that were dealt under another root do not open, `ShareBindingError`.
Levels: malicious, on the sparse graph; on the complete graph by its threshold. Not covered at
curious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import RING, network_of

from secagg.audit.adversary import Cohort, Network
from secagg.audit.attacks.two_halves import FIRST, ROUNDS, SECOND, read_half, split
from secagg.errors import CohortTooSmall, ShareBindingError
from secagg.protocols._masking.authenticated.messages import (
    CohortSignature,
    CommittedBundle,
    SignedAnswer,
    SignedVector,
)
from secagg.types import client


def halves() -> tuple[Network, Cohort]:
    """Both halves have signed, and dealt on the graph that they were shown."""
    network = network_of(RING, present=[client(number) for number in range(60)])
    return network, split(network)


def test_each_half_signs_what_it_is_shown() -> None:
    network, _ = halves()
    assert not network.failures
    signed = [seen for seen in network.seen if isinstance(seen.message, CohortSignature)]
    assert len(signed) == 60


def test_with_a_low_threshold_and_no_floor_the_sum_over_one_half_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "threshold on the ring", "survivor floor")
    network, cohort = halves()
    read, refused = read_half(network, cohort)
    assert not refused
    assert read


def test_with_a_low_threshold_the_floor_of_the_sum_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "threshold on the ring")
    network, cohort = halves()
    read, refused = read_half(network, cohort)
    assert not read
    assert refused.keys() == set(FIRST)
    assert all(isinstance(fail.error, CohortTooSmall) for fail in refused.values())
    assert all("a sum over at least 57 clients, got 30" in f.reason for f in refused.values())


@pytest.mark.parametrize("out", [(), ("survivor floor",)])
def test_the_threshold_stops_it_before_anything_is_masked(
    out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here and there a client has enough neighbours of its half, and masks; none answers."""
    without(monkeypatch, *out)
    network, cohort = halves()
    read, refused = read_half(network, cohort)
    assert not read
    early = [n for n in FIRST if client(n) in network.failures and n not in refused]
    masked = {seen.sender.number for seen in network.seen if isinstance(seen.message, SignedVector)}
    assert masked == set(FIRST) - set(early)
    assert len(masked) < 4
    for number in early:
        failure = network.failures[client(number)]
        assert isinstance(failure.error, CohortTooSmall)
        assert "shares of at least 13 clients in my neighbourhood" in failure.reason
    assert refused.keys() == masked
    assert not [seen for seen in network.seen if isinstance(seen.message, SignedAnswer)]


def test_shares_of_the_other_half_do_not_fill_a_neighbourhood() -> None:
    """They were sealed and signed under another root: the server is caught with the first one."""
    network, cohort = halves()
    named, number = max(ROUNDS), FIRST[0]
    value = network.beacon(named)
    near = cohort.neighbours(number, named, value)
    bundle = cohort.bundle(number, named, value, near)
    assert isinstance(bundle, CommittedBundle)
    failure = network.tell(client(number), bundle)
    assert failure is not None
    assert isinstance(failure.error, ShareBindingError)
    assert f"the shares of client {next(n for n in near if n in SECOND)}" in failure.reason
