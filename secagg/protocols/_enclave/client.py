"""The client's side: it checks the quote, seals its vector, and checks the record."""

from __future__ import annotations

from secagg import kernels
from secagg.attestation import SimulatedVerifier
from secagg.crypto import chunked, hpke, signing
from secagg.errors import (
    AttestationError,
    CohortTooSmall,
    DecodeError,
    EvidenceRefused,
    RemoteProtocolError,
    SealBindingError,
    VerificationError,
)
from secagg.protocol import Done, Effects, Identity, Input, Party, Send, Session, on
from secagg.protocol.cohort import decode_bitmap
from secagg.protocols._enclave.messages import TABLE, Attestation, MemberRecord, SealedVector
from secagg.protocols._enclave.statements import (
    RECORD_CONTEXT,
    UPLOAD_CONTEXT,
    bound_to,
    enforced,
    record_statement,
    report_data,
    upload_statement,
)
from secagg.types import ENCLAVE, PartyId, RingVector, Rng, Secret


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
                report_data=report_data(
                    self.session, message.sealing_key, message.record_key, message.expiry
                ),
                configuration=enforced(self.session),
                policy=trust,
                expires_at=int.from_bytes(message.expiry, "big"),
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
        statement = record_statement(self.session, message.members, message.total_digest)
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
