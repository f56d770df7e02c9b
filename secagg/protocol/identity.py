"""What a party brings along from its own side: its key, whom it trusts, its time, its model.

Only protocols that say so (`Protocol.identified`) need keys; their rosters carry the clients'
public keys. `Identities` draws all of them for a simulation. An `Admission` belongs to one session
and is made by whoever keeps the client's ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from secagg.attestation import Policy, SimulatedPlatform
from secagg.crypto.rng import SEED_BYTES
from secagg.crypto.signing import SigningKey
from secagg.protocol.beacon import Beacon, SimulatedBeacon
from secagg.protocol.task import NO_MODEL, Plan, Roster, Session
from secagg.types import PartyId, Rng, Secret


@dataclass(frozen=True)
class Admission:
    """The word of a ledger's keeper: the session is open there before anything is said in it.

    It guards against a driver that forgot the ledger, not against a driver: anybody can write one.

    Attributes:
        session: the id of the session that is open.
        job: the job of the ledger.
        training_round: the round that the session was opened in.
    """

    session: bytes
    job: str
    training_round: int

    @classmethod
    def to(cls, session: Session) -> Admission:
        """The one admission that fits a session."""
        return cls(session.id, session.job, session.training_round)

    def __str__(self) -> str:
        place = f"training round {self.training_round} of job {self.job!r}"
        return f"session {self.session.hex()[:16]} in {place}"


@dataclass(frozen=True)
class Identity:
    """One party's own side. Nothing here comes from a peer.

    Attributes:
        key: with which a client signs; its public half is in the roster.
        trust: by which a client judges the enclave's evidence.
        platform: on which an enclave runs.
        now: seconds since 1970 by the party's own clock, read by its driver when it joined.
        model_digest: `model_digest` of the model and configuration that a client received, over
            the bytes as they came. It may be missing where no lying server is withstood.
        beacon: the public randomness that a party believes, where a graph is drawn from it. Which
            one is each party's own choice, never the server's word.
        admission: of the session that this is for, by the keeper of the client's ledger. It may be
            missing where no lying server is withstood.
    """

    key: SigningKey | None = None
    trust: Policy | None = None
    platform: SimulatedPlatform | None = field(default=None, repr=False)
    now: int = 0
    model_digest: bytes | None = None
    beacon: Beacon | None = None
    admission: Admission | None = None


@dataclass(frozen=True)
class Identities:
    """Everybody's, as only a simulation has them.

    Attributes:
        roster: the clients with their public keys.
        of: each party's identity.
        beacon: SIMULATED, which all of them believe, if they believe any.
    """

    roster: Roster
    of: Mapping[PartyId, Identity]
    beacon: SimulatedBeacon | None = None

    @classmethod
    def drawn(
        cls,
        plan: Plan,
        rng: Rng,
        measurement: bytes,
        now: int = 0,
        model_digest: bytes = NO_MODEL,
    ) -> Identities:
        """Fresh keys for all clients and an authority, and one SIMULATED platform that they trust.

        The roster names the authority as if each client had verified a signature of it.
        """
        platform = SimulatedPlatform(Secret(rng.bytes(SEED_BYTES)), measurement, now)
        trust = Policy(
            roots=frozenset({platform.root}), measurements=frozenset({platform.measurement})
        )
        clients = plan.task.clients
        keys = {party: SigningKey(Secret(rng.bytes(SEED_BYTES))) for party in clients}
        authority = SigningKey(Secret(rng.bytes(SEED_BYTES))).public
        roster = Roster(0, clients, tuple(key.public for key in keys.values()), authority)
        beacon = SimulatedBeacon(SigningKey(Secret(rng.bytes(SEED_BYTES))))
        believed = beacon.public
        of = {
            party: Identity(
                key=key, trust=trust, now=now, model_digest=model_digest, beacon=believed
            )
            for party, key in keys.items()
        }
        others = {party for party in plan.parties if party not in keys}
        of |= {party: Identity(platform=platform, now=now, beacon=believed) for party in others}
        return cls(roster, of, beacon)

    def trusting(self, root: bytes) -> Identities:
        """The same, with clients that trust another platform."""
        changed = {
            party: replace(identity, trust=replace(identity.trust, roots=frozenset({root})))
            if identity.trust is not None
            else identity
            for party, identity in self.of.items()
        }
        return Identities(self.roster, changed, self.beacon)
