"""A sum inside a SIMULATED enclave: clients seal to code that they have checked, not to a person.

| round | from | to | what |
|---|---|---|---|
| attest | enclave | client | a quote, and what it covers: a sealing key, a record key, an expiry |
| upload | client | enclave | the vector sealed in chunks, its key sealed by HPKE, a signature |
| verify | enclave | client | the signed record: who is in the sum, and the digest of the total |

The operator moves sealed bytes. What this rests on: the evidence (simulated: nothing stands behind
it), the measured code, and the roster: whoever writes it can fill the cohort with clients of their
own. The enclave keeps its keys in memory only, so a killed one loses the round; it releases one
total, once, over at least `minimum` clients that signed with distinct roster keys.
"""

from __future__ import annotations

from typing import Final

from secagg.attestation import EVIDENCE_BYTES
from secagg.crypto import chunked, signing
from secagg.crypto.digest import DIGEST_BYTES
from secagg.errors import ParameterError
from secagg.protocol import (
    Adversary,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Identity,
    Level,
    Offering,
    Party,
    Plan,
    Protocol,
    Session,
    Task,
    Traffic,
    Validity,
)
from secagg.protocol.cohort import bitmap_size
from secagg.protocols._enclave.client import Client
from secagg.protocols._enclave.messages import EXPIRY_BYTES, SEALED_KEY_BYTES
from secagg.protocols._enclave.party import EnclaveParty
from secagg.types import ENCLAVE, PartyId, Ring, Rng, Role
from secagg.wire import frame_size


class EnclavePlan(Plan, frozen=True, kw_only=True, array_like=True):
    """A plan whose sum is computed by an enclave."""

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """The clients and the enclave. Whoever carries their messages has no part."""
        return (*self.task.clients, ENCLAVE)

    @property
    def suite(self) -> str:
        """What vectors are sealed to the enclave with, and how clients sign."""
        return "HPKE-X25519/HKDF-SHA256/AES-256-GCM/Ed25519"


class Enclave(Protocol):
    """Sums in attested code. SIMULATED."""

    name = "enclave"
    title = "sum inside a SIMULATED enclave"
    version = 1
    levels = {
        Level.CURIOUS: Offering(
            guarantees=Guarantees(
                adversary=Adversary.CURIOUS_SERVER,
                collusion=Collusion.PLANNED_CLIENTS,
                dropouts=Dropouts.ANY,
                exactness=Exactness.EXACT,
                validity=Validity.UNCHECKED,
                evidence=Evidence.SIMULATED,
                source="SIMULATED attestation; the roster's author can fill the cohort",
            ),
            roles={Role.CLIENT: Client, Role.ENCLAVE: EnclaveParty},
            traffic_formula=(
                "with p = ceil(d b / 8), v = ceil(n / 8), B(x) = x + 2, 3 or 5 (a byte string's"
                f" header for x < 256, < 65536, more): up: 61 + {SEALED_KEY_BYTES + 2} + 66 + p +"
                f" 16 max(1, ceil(p / 2^20)); down: (61 + B({EVIDENCE_BYTES}) + 34 + 34 +"
                f" {EXPIRY_BYTES + 2}) + (61 + B(v) + 34 + 66)"
            ),
            identified=True,
        )
    }
    isolated = frozenset({Role.ENCLAVE})

    def plan(self, task: Task) -> EnclavePlan:
        """The ring that holds the sum, and at least two honest inputs in it.

        Raises:
            ParameterError: the planned dropouts would leave too few clients.
        """
        self.guarantees(task.level)
        count = len(task.clients)
        minimum = max(task.min_clients, task.corrupt_count + 2)
        if minimum > count - task.dropout_count:
            raise ParameterError(
                f"a sum needs {minimum} clients ({task.corrupt_count} may collude), but of {count}"
                f" clients {task.dropout_count} may drop out"
            )
        return EnclavePlan(
            protocol=self.name,
            version=self.version,
            task=task,
            ring=Ring.for_sum(count, task.bound),
            minimum=minimum,
            corrupt=task.corrupt_count,
            dropouts=count - minimum,
        )

    def traffic(self, plan: Plan) -> Traffic:
        """One sealed vector up; the quote and the record down."""
        packed = plan.ring.packed_size(plan.task.length)
        up = frame_size((SEALED_KEY_BYTES, signing.SIGNATURE_BYTES), chunked.sealed_size(packed))
        quote = frame_size((EVIDENCE_BYTES, DIGEST_BYTES, DIGEST_BYTES, EXPIRY_BYTES))
        members = bitmap_size(plan.task.clients)
        record = frame_size((members, DIGEST_BYTES, signing.SIGNATURE_BYTES))
        return Traffic(up=up, down=quote + record)

    def identified_party(
        self, session: Session, me: PartyId, rng: Rng, identity: Identity
    ) -> Party:
        """A client with its key and trust, or the enclave on its platform."""
        if not session.roster.keys:
            raise ParameterError(f"{self.name} needs a roster with the clients' keys")
        offering = self.at(session.plan.task.level)
        party = offering.roles[me.role](session, me, rng)
        if isinstance(party, Client):
            if identity.key is None or identity.trust is None:
                raise ParameterError(f"{me} needs a signing key, and a policy for evidence")
            if identity.key.public != session.roster.key_of(me):
                raise ParameterError(f"the roster has another key of {me}")
            party.identity = identity
        elif isinstance(party, EnclaveParty):
            if identity.platform is None:
                raise ParameterError(f"{me} needs a platform that vouches for it")
            party.platform = identity.platform
        return party


PROTOCOL: Final = Enclave()
