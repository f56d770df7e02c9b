"""What attacks are made on: sessions with random inputs, at either level.

A scene is named by protocol, clients and level. On the complete graph 7 clients, on the ring 60,
which have 8 neighbours and a threshold of 4 there, and 16 and 13 at level `malicious`. A session of
that takes seconds, so only the attacks that differ on a ring are made there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from conformance.scenario import Scenario, to_ring

from secagg import protocols
from secagg.audit.adversary import Disk, Network, Relay, as_sent
from secagg.audit.attacks import ATTACKS, Outcome
from secagg.crypto.rng import seeded
from secagg.protocol import ClientPolicy, Identities, Identity, Level, Session
from secagg.protocol.task import NO_MODEL
from secagg.types import PartyId, RingVector, Rng

CURIOUS: Final = ("secagg 7 curious", "secagg_plus 60 curious")
MALICIOUS: Final = "secagg 7 malicious"
MASKED: Final = (*CURIOUS, MALICIOUS)
RING: Final = "secagg_plus 60 malicious"
EVERYWHERE: Final = (*MASKED, RING)
COMPLETE: Final = ("secagg 7 curious", "secagg_plus 7 curious", MALICIOUS)
ANY: Final = ("plain curious", "secagg curious", "secagg malicious", "bfv curious")
"""One of each way to aggregate."""

TASK: Final = {"corrupt": "0.05", "dropout": "0.05"}


def scenario_of(scene: str, seed: int = 1, **task: object) -> Scenario:
    """Clients with random inputs, one of twenty (at least one) planned corrupt, as many lost."""
    name, count, level = scene.split()
    settings = {**TASK, "level": Level(level), **task}
    return Scenario(protocols.get(name), int(count), settings, seed)


def network_of(
    scene: str,
    relay: Relay = as_sent,
    *,
    seed: int = 1,
    entropy: Callable[[PartyId], Rng] | None = None,
    present: Collection[PartyId] | None = None,
    disks: Mapping[PartyId, Disk] | None = None,
    policy: ClientPolicy | None = None,
    values: Mapping[int, Collection[int]] | None = None,
    session: Callable[[Session], Session] | None = None,
    model: bytes = NO_MODEL,
    received: Mapping[int, bytes | None] | None = None,
    shown: Mapping[int, bytes] | None = None,
    nonce: bytes | None = None,
    **task: object,
) -> Network:
    """A network on which such a session is to happen.

    Args:
        scene: protocol, clients and level.
        relay: the adversary.
        seed: of inputs, session and randomness.
        entropy: as for `Network`.
        present: as for `Network`.
        disks: as for `Network`.
        policy: as for `Network`.
        values: inputs that are not random, by roster index: signed numbers.
        session: of the scenario's session another one.
        model: the digest of the session's model.
        received: digests of what clients received instead, by roster index; None if they do not
            look.
        shown: clients that are given a session for another model.
        nonce: of the session, if it is to be another session with all else the same.
        task: settings that differ.
    """
    scenario = scenario_of(scene, seed, **task)
    inputs: dict[PartyId, RingVector] = dict(scenario.inputs)
    for number, chosen in (values or {}).items():
        who = scenario.plan.task.clients[number]
        inputs[who] = to_ring(np.array(list(chosen)), scenario.plan.ring)
    common = replace(scenario.session, model_digest=model)
    if nonce is not None:
        common = replace(common, nonce=nonce)
    if session is not None:
        common = session(common)
    clients = scenario.plan.task.clients
    base = scenario.identities or Identities(common.roster, {})
    digests = dict.fromkeys(range(len(clients)), model) | dict(shown or {}) | dict(received or {})
    own = {
        who: replace(base.of.get(who, Identity()), model_digest=digests[who.number])
        for who in clients
    }
    return Network(
        scenario.protocol,
        common,
        inputs,
        scenario.rng,
        relay,
        identities=Identities(common.roster, {**base.of, **own}, base.beacon),
        policy=policy or ClientPolicy.accepting(scenario.plan, common.roster),
        entropy=entropy,
        present=present,
        disks=disks,
        shown={
            clients[number]: replace(common, model_digest=digest)
            for number, digest in (shown or {}).items()
        },
    )


def mounted(key: str, scene: str, seed: int = 1) -> Outcome:
    """What comes of an attack of the package on a protocol at a level, as it is shipped."""
    name, level = scene.split()
    return ATTACKS[key].run(protocols.get(name), Level(level), seeded(seed))
