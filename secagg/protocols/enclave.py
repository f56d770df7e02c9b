"""A sum inside a SIMULATED enclave: clients seal to code that they have checked, not to a person.

| round | from | to | what |
|---|---|---|---|
| attest | enclave | client | a quote, the sealing key and the record key that it covers |
| upload | client | enclave | the vector sealed in chunks, its key sealed by HPKE, a signature |
| verify | enclave | client | the signed record: who is in the sum, and the digest of the total |

The operator moves sealed bytes. What this rests on: the evidence (simulated: nothing stands behind
it), the measured code, and the roster: whoever writes it can fill the cohort with clients of their
own. The enclave keeps its keys in memory only, so a killed one loses the round; it releases one
total, once, over at least `minimum` clients that signed with distinct roster keys.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import numpy as np
from msgspec import Meta

from secagg import kernels
from secagg.attestation import EVIDENCE_BYTES, SimulatedPlatform, SimulatedVerifier
from secagg.crypto import chunked, hpke, signing
from secagg.crypto.digest import DIGEST_BYTES, digest, encode_party, join_framed
from secagg.errors import (
    AttestationError,
    CohortTooSmall,
    DecodeError,
    EvidenceRefused,
    ParameterError,
    RemoteProtocolError,
    SealBindingError,
    VerificationError,
)
from secagg.protocol import (
    Adversary,
    Collusion,
    Deadline,
    Done,
    Dropouts,
    Effects,
    Evidence,
    Exactness,
    Fail,
    Guarantees,
    Identity,
    Input,
    Level,
    Party,
    Plan,
    Protocol,
    Send,
    Session,
    Task,
    Traffic,
    Validity,
    on,
)
from secagg.protocol.cohort import bitmap_size, decode_bitmap, encode_bitmap
from secagg.types import ENCLAVE, PartyId, Ring, RingVector, Rng, Role, Secret
from secagg.wire import MAX_BODY_BYTES, Message, MessageTable, Tail, frame_size

SEALED_KEY_BYTES: Final = chunked.KEY_BYTES + hpke.OVERHEAD_BYTES
UPLOAD_CONTEXT: Final = "enclave upload"
RECORD_CONTEXT: Final = "enclave record"

Word = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[
    bytes, Meta(min_length=signing.SIGNATURE_BYTES, max_length=signing.SIGNATURE_BYTES)
]


class Attestation(Message, frozen=True):
    """Enclave to client: the quote, and the two public keys that its report data cover."""

    KIND = 1
    SENDER = Role.ENCLAVE
    quote: Annotated[bytes, Meta(min_length=EVIDENCE_BYTES, max_length=EVIDENCE_BYTES)]
    sealing_key: Word
    record_key: Word


class SealedVector(Message, frozen=True):
    """Client to enclave: the sealed content key, a signature over all, the sealed vector."""

    KIND = 2
    SENDER = Role.CLIENT
    sealed_key: Annotated[bytes, Meta(min_length=SEALED_KEY_BYTES, max_length=SEALED_KEY_BYTES)]
    signature: Signature
    tail: Tail


class MemberRecord(Message, frozen=True):
    """Enclave to client: who is in the sum, and the digest of the total, signed."""

    KIND = 3
    SENDER = Role.ENCLAVE
    members: Annotated[bytes, Meta(max_length=MAX_BODY_BYTES)]
    total_digest: Word
    signature: Signature


TABLE: Final = MessageTable((Attestation, SealedVector, MemberRecord))


class EnclavePlan(Plan, frozen=True, kw_only=True, array_like=True):
    """A plan whose sum is computed by an enclave."""

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """The clients and the enclave. Whoever carries their messages has no part."""
        return (*self.task.clients, ENCLAVE)


def enforced(session: Session) -> bytes:
    """The configuration of the enclave: the plan with its minimum, and the roster with its keys."""
    return digest("enclave configuration", session.plan.digest, session.roster.digest)


def report_data(session: Session, sealing_key: bytes, record_key: bytes) -> bytes:
    """What the quote must say: these keys, in this session and no other, under this policy."""
    return digest(
        "enclave report data",
        session.nonce,
        session.id,
        sealing_key,
        record_key,
        enforced(session),
        session.roster.digest,
    )


def bound_to(session: Session, owner: PartyId, quote: bytes) -> bytes:
    """The one place for which a client's vector is sealed."""
    return join_framed(
        b"secagg enclave seal v1", session.id, session.roster.digest, encode_party(owner), quote
    )


def upload_statement(session: Session, quote: bytes, sealed_key: bytes, tail: memoryview) -> bytes:
    """What a client signs."""
    content = hashlib.sha256(sealed_key)
    content.update(tail)
    return join_framed(session.id, quote, content.digest())


def total_digest(total: RingVector, ring: Ring) -> bytes:
    """By which a client recognises the total, should it be given it."""
    return digest("enclave total", bytes(kernels.pack(total, ring)))


class Client(Party):
    """attest: checks the quote; upload: seals; verify: checks the record.

    Restored from its records it checks the quote again, at the time of its restored identity: what
    has become too old since then ends it.
    """

    phases = ("attest", "upload", "verify")
    table = TABLE
    identity: Identity

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._input: RingVector | None = None
        self._attested: Attestation | None = None
        self._quote = b""

    @on(Attestation, "attest")
    def check_quote(self, message: Attestation, sender: PartyId) -> Effects:
        """Nothing is sealed before the quote holds for these keys and this session."""
        trust = self.identity.trust
        assert trust is not None  # noqa: S101
        try:
            evidence = SimulatedVerifier().verify(
                message.quote,
                report_data=report_data(self.session, message.sealing_key, message.record_key),
                configuration=enforced(self.session),
                policy=trust,
                at=self.identity.now,
            )
        except AttestationError as refusal:
            raise EvidenceRefused(sender, refusal) from None
        self._attested, self._quote = message, evidence.digest
        self.advance("upload")
        return self._upload() if self._input is not None else ()

    @on(Input, "attest", "upload")
    def take_input(self, event: Input, sender: PartyId) -> Effects:
        """Keep the vector, or seal it at once if the enclave is known."""
        self._input = event.vector
        return self._upload() if self.phase == "upload" else ()

    @on(MemberRecord, "verify")
    def check_record(self, message: MemberRecord, sender: PartyId) -> Effects:
        """The attested enclave says who is in the sum: me, and enough others."""
        assert self._attested is not None  # noqa: S101
        statement = join_framed(self.session.id, message.members, message.total_digest)
        try:
            signing.verify(self._attested.record_key, message.signature, RECORD_CONTEXT, statement)
            members = decode_bitmap(self.plan.task.clients, message.members)
        except (VerificationError, DecodeError) as error:
            raise RemoteProtocolError(sender, f"a record in phase verify: {error}") from None
        if self.me.number not in members:
            raise RemoteProtocolError(sender, "expected a record with me among the members")
        if len(members) < self.plan.minimum:
            raise CohortTooSmall(
                sender, f"expected at least {self.plan.minimum} members, got {len(members)}"
            )
        yield Done()

    def forget(self) -> None:
        """Drop the input."""
        self._input = None

    def _upload(self) -> Effects:
        vector, attested = self._input, self._attested
        assert vector is not None  # noqa: S101
        assert attested is not None  # noqa: S101
        assert self.identity.key is not None  # noqa: S101
        place = bound_to(self.session, self.me, self._quote)
        content_key = Secret(self.rng.bytes(chunked.KEY_BYTES))
        packed = kernels.pack(vector, self.plan.ring)
        tail = memoryview(chunked.seal(content_key, memoryview(packed), place))
        kernels.wipe(packed)
        try:
            sealed = hpke.seal(attested.sealing_key, content_key.reveal(), place, self.rng)
        except VerificationError as error:
            raise SealBindingError(ENCLAVE, str(error)) from None
        content_key.wipe()
        statement = upload_statement(self.session, self._quote, sealed, tail)
        signature = self.identity.key.sign(UPLOAD_CONTEXT, statement)
        self._input = None
        self.advance("verify")
        yield Send(ENCLAVE, SealedVector(sealed, signature, tail))


class EnclaveParty(Party):
    """announce (at its start), collect, and one release. Its keys are never written anywhere."""

    phases = ("collect",)
    table = TABLE
    tolerant = True
    restorable = False
    platform: SimulatedPlatform

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._opening_key: hpke.OpeningKey | None = None
        self._record_key: signing.SigningKey | None = None
        self._quote = b""
        self._keys = dict(zip(session.roster.clients, session.roster.keys, strict=True))
        self._total = np.zeros(self.plan.task.length, dtype=self.plan.ring.dtype)
        self._included: list[PartyId] = []

    def begin(self) -> Effects:
        """Draw the keys of this session and show the clients what holds them."""
        opening_key = hpke.OpeningKey(Secret(self.rng.bytes(32)))
        record_key = signing.SigningKey(Secret(self.rng.bytes(32)))
        data = report_data(self.session, opening_key.public, record_key.public)
        evidence = self.platform.quote(data, enforced(self.session))
        self._opening_key, self._record_key = opening_key, record_key
        self._quote = evidence.digest
        message = Attestation(evidence.encode(), opening_key.public, record_key.public)
        for party in self.plan.task.clients:
            yield Send(party, message)

    @on(SealedVector, "collect")
    def add(self, message: SealedVector, sender: PartyId) -> Effects:
        """Check the signature and the seal, add the vector and forget it."""
        ring = self.plan.ring
        size = ring.packed_size(self.plan.task.length)
        if message.tail.nbytes != chunked.sealed_size(size):
            raise RemoteProtocolError(
                sender,
                f"expected a sealed vector of {chunked.sealed_size(size)} bytes in phase collect,"
                f" got {message.tail.nbytes}",
            )
        assert self._opening_key is not None  # noqa: S101
        place = bound_to(self.session, sender, self._quote)
        statement = upload_statement(self.session, self._quote, message.sealed_key, message.tail)
        try:
            signing.verify(self._keys[sender], message.signature, UPLOAD_CONTEXT, statement)
            content_key = self._opening_key.open(message.sealed_key, place)
            packed = chunked.open_sealed(content_key, message.tail, place)
        except VerificationError as error:
            raise SealBindingError(sender, str(error)) from None
        try:
            kernels.unpack_add(self._total, packed, ring)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        finally:
            kernels.wipe(packed)
        self._included.append(sender)
        return self._release() if len(self._included) == len(self.plan.task.clients) else ()

    @on(Deadline, "collect")
    def close(self, event: Deadline, sender: PartyId) -> Effects:
        """Make do with whoever came."""
        return self._release()

    def forget(self) -> None:
        """Drop the keys."""
        self._opening_key = self._record_key = None

    def _release(self) -> Effects:
        if len(self._included) < self.plan.minimum:
            kernels.wipe(self._total)
            yield Fail(
                f"{len(self._included)} of {len(self.plan.task.clients)} clients delivered,"
                f" {self.plan.minimum} are needed"
            )
            return
        assert self._record_key is not None  # noqa: S101
        ring, clients = self.plan.ring, self.plan.task.clients
        kernels.ring_reduce(self._total, ring)
        members = encode_bitmap(clients, (party.number for party in self._included))
        summary = total_digest(self._total, ring)
        statement = join_framed(self.session.id, members, summary)
        record = MemberRecord(members, summary, self._record_key.sign(RECORD_CONTEXT, statement))
        for party in sorted(self._included):
            yield Send(party, record)
        yield Done(self._total, tuple(sorted(self._included)))


class Enclave(Protocol):
    """Sums in attested code. SIMULATED."""

    name = "enclave"
    title = "sum inside a SIMULATED enclave"
    version = 1
    levels = {
        Level.CURIOUS: Guarantees(
            adversary=Adversary.CURIOUS_SERVER,
            collusion=Collusion.PLANNED_CLIENTS,
            dropouts=Dropouts.ANY,
            exactness=Exactness.EXACT,
            validity=Validity.UNCHECKED,
            evidence=Evidence.SIMULATED,
            source="SIMULATED attestation; the roster's author can fill the cohort",
        )
    }
    roles = {Role.CLIENT: Client, Role.ENCLAVE: EnclaveParty}
    identified = True
    isolated = frozenset({Role.ENCLAVE})
    traffic_formula = (
        "with p = ceil(d b / 8), v = ceil(n / 8), B(x) = x + 2, 3 or 5 (a byte string's header for"
        f" x < 256, < 65536, more): up: 61 + {SEALED_KEY_BYTES + 2} + 66 + p +"
        f" 16 max(1, ceil(p / 2^20)); down: (61 + B({EVIDENCE_BYTES}) + 34 + 34) +"
        " (61 + B(v) + 34 + 66)"
    )

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
        quote = frame_size((EVIDENCE_BYTES, DIGEST_BYTES, DIGEST_BYTES))
        members = bitmap_size(plan.task.clients)
        record = frame_size((members, DIGEST_BYTES, signing.SIGNATURE_BYTES))
        return Traffic(up=up, down=quote + record)

    def identified_party(
        self, session: Session, me: PartyId, rng: Rng, identity: Identity
    ) -> Party:
        """A client with its key and trust, or the enclave on its platform."""
        if not session.roster.keys:
            raise ParameterError(f"{self.name} needs a roster with the clients' keys")
        party = self.roles[me.role](session, me, rng)
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
