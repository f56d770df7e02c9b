"""A19: the same masks in two sessions.

Adversary: a server that follows the protocol, and clients whose generator repeats itself (a virtual
machine that was copied, a device without entropy): each gives the same bytes in both sessions.
Seen: the masked vectors of both sessions.
Goal: the difference of a client's two inputs, as y - y' = x - x'.
Protection: every key is derived for one session: the session's id, and from round 1 on the
transcript, is in each derivation. Two sessions differ in their nonce at least.
"""

from __future__ import annotations

from typing import Any

import pytest
from attacks.adversary import MASKED, Network, equal, scenario_of
from attacks.server_view import ServerView

from secagg import kernels
from secagg.crypto import kdf
from secagg.crypto.rng import seeded
from secagg.types import Ring, RingVector, Secret, client


def without_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes out of the one key derivation what says in which session the key is good."""
    derive = kdf.derive

    def contextless(secret: Secret, *, context: bytes, **options: Any) -> Secret:
        return derive(secret, context=b"", **options)

    monkeypatch.setattr(kdf, "derive", contextless)


def difference(first: RingVector, second: RingVector, ring: Ring) -> RingVector:
    result = first.copy()
    kernels.ring_subtract(result, second)
    kernels.ring_reduce(result, ring)
    return result


def differences(name: str, count: int) -> list[tuple[RingVector, RingVector]]:
    """For each client y - y' as the server sees it, and x - x'."""
    networks = []
    for seed in (1, 2):
        scenario = scenario_of(name, count, seed)
        network = Network(scenario, entropy=lambda who: seeded(1000 + who.number))
        network.run()
        networks.append(network)
    one, two = networks
    assert one.session.id != two.session.id
    y, z = (ServerView(network.session, network.seen).vectors for network in networks)
    ring = one.scenario.plan.ring
    return [
        (
            difference(y[n], z[n], ring),
            difference(one.scenario.inputs[client(n)], two.scenario.inputs[client(n)], ring),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_without_the_session_in_the_keys_masks_cancel(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_session(monkeypatch)
    assert all(equal(seen, true) for seen, true in differences(name, count))


@pytest.mark.parametrize(("name", "count"), MASKED)
def test_with_it_they_do_not(name: str, count: int) -> None:
    assert not any(equal(seen, true) for seen, true in differences(name, count))
