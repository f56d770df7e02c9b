"""What attacks are mounted on: one session of clients with inputs, as often as it is asked for.

It sets the scene and is no attack: it knows all inputs, and hands none out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from secagg.attestation import measure_installed
from secagg.audit.adversary import Disk, Network, Relay, as_sent
from secagg.crypto.rng import uniform_below
from secagg.protocol import (
    ClientPolicy,
    Identities,
    Identity,
    Level,
    Protocol,
    Session,
    Task,
)
from secagg.protocol.task import NO_MODEL
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import PartyId, Ring, RingVector, Rng, client

COUNT: Final = 7
"""Clients, unless told otherwise: the graph is complete, and one client may be corrupt."""

SPARSE: Final = 60
"""Clients with which the graph of `secagg_plus` is sparse at either level."""

_SETTINGS: Final[Mapping[str, Any]] = {
    "length": 17,
    "bound": 1000,
    "min_clients": 2,
    "corrupt": "0.05",
    "dropout": "0.05",
}


def crowd(protocol: Protocol, level: Level) -> int:
    """Clients for an attack that differs on a sparse graph: as many as make one, where there is."""
    clients = tuple(client(number) for number in range(SPARSE))
    plan = protocol.plan(Task(clients=clients, level=level, **_SETTINGS))
    sparse = isinstance(plan, MaskingPlan) and not plan.complete
    return SPARSE if sparse else COUNT


class Scene:
    """Clients in one session, of one job and training round.

    Args:
        protocol: of the session.
        level: that it offers.
        rng: where everything is drawn from.
        count: of the clients.
        values: inputs as signed numbers by roster index; the others are drawn from the bound.
        spread: inputs are drawn from numbers up to this, where it is less than the bound.
        model: the digest of the session's model, which every client received unless told otherwise.
        settings: of the task, where they differ: one of twenty clients (at least one) may be
            corrupt, and as many may drop out.

    Raises:
        ParameterError: there is no plan for this task.
    """

    def __init__(
        self,
        protocol: Protocol,
        level: Level,
        rng: Rng,
        count: int = COUNT,
        *,
        values: Mapping[int, npt.ArrayLike] | None = None,
        spread: int | None = None,
        model: bytes = NO_MODEL,
        **settings: Any,
    ) -> None:
        self.protocol, self._rng = protocol, rng
        clients = tuple(client(number) for number in range(count))
        self.plan = protocol.plan(Task(clients=clients, level=level, **{**_SETTINGS, **settings}))
        drawn = None
        if protocol.at(level).identified:
            drawn = Identities.drawn(self.plan, rng, measure_installed().value)
        roster = drawn.roster if drawn is not None else None
        self.session = Session.fresh(self.plan, rng, roster=roster, model_digest=model)
        self._identities = drawn or Identities(self.session.roster, {})
        self._spread = spread or self.plan.task.bound
        chosen = values or {}
        self._inputs = {
            who: _to_ring(
                chosen[who.number] if who.number in chosen else self._draw(), self.plan.ring
            )
            for who in clients
        }

    def network(
        self,
        relay: Relay = as_sent,
        *,
        values: Mapping[int, npt.ArrayLike] | None = None,
        nonce: bytes | None = None,
        training_round: int = 0,
        present: Collection[PartyId] | None = None,
        disks: Mapping[PartyId, Disk] | None = None,
        policy: ClientPolicy | None = None,
        entropy: Callable[[PartyId], Rng] | None = None,
        received: Mapping[int, bytes | None] | None = None,
        shown: Mapping[int, bytes] | None = None,
    ) -> Network:
        """A network on which the session is to happen. Each call is another one.

        Args:
            relay: the adversary.
            values: inputs that differ this time, as for the scene.
            nonce: of another session, with all else the same.
            training_round: of the session.
            present: as for `Network`.
            disks: as for `Network`.
            policy: as for `Network`.
            entropy: as for `Network`.
            received: digests of the models that clients received instead, by roster index; None if
                they do not look.
            shown: the models of the sessions that clients are shown instead.
        """
        session = replace(
            self.session, nonce=nonce or self.session.nonce, training_round=training_round
        )
        clients, base = self.plan.task.clients, self._identities
        models: dict[int, bytes | None] = dict.fromkeys(range(len(clients)), session.model_digest)
        models |= dict(shown or {}) | dict(received or {})
        own = {
            who: replace(base.of.get(who, Identity()), model_digest=models[who.number])
            for who in clients
        }
        return Network(
            self.protocol,
            session,
            self._inputs
            | {client(n): _to_ring(vector, self.plan.ring) for n, vector in (values or {}).items()},
            self._rng,
            relay,
            identities=Identities(session.roster, {**base.of, **own}, base.beacon),
            policy=policy,
            entropy=entropy,
            present=present,
            disks=disks,
            shown={
                client(number): replace(session, model_digest=digest)
                for number, digest in (shown or {}).items()
            },
        )

    def _draw(self) -> list[int]:
        spread, length = self._spread, self.plan.task.length
        return [uniform_below(self._rng, 2 * spread + 1) - spread for _ in range(length)]


def _to_ring(values: npt.ArrayLike, ring: Ring) -> RingVector:
    numbers = np.asarray(values, dtype=np.int64).astype(np.uint64)
    return (numbers & np.uint64(ring.mask)).astype(ring.dtype)
