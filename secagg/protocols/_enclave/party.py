"""The enclave's side: it shows a quote, adds what is sealed to it, and releases one total."""

from __future__ import annotations

import numpy as np

from secagg import kernels
from secagg.attestation import SimulatedPlatform
from secagg.crypto import chunked, hpke, signing
from secagg.errors import DecodeError, RemoteProtocolError, SealBindingError, VerificationError
from secagg.protocol import Deadline, Done, Effects, Fail, Party, Send, Session, on
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._enclave.messages import (
    EXPIRY_BYTES,
    TABLE,
    Attestation,
    MemberRecord,
    SealedVector,
)
from secagg.protocols._enclave.statements import (
    RECORD_CONTEXT,
    UPLOAD_CONTEXT,
    bound_to,
    enforced,
    record_statement,
    report_data,
    total_digest,
    upload_statement,
)
from secagg.types import PartyId, Rng, Secret


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
        expiry = self.platform.expires_at.to_bytes(EXPIRY_BYTES, "big")
        data = report_data(self.session, opening_key.public, record_key.public, expiry)
        evidence = self.platform.quote(data, enforced(self.session))
        self._opening_key, self._record_key = opening_key, record_key
        self._quote = evidence.digest
        message = Attestation(evidence.encode(), opening_key.public, record_key.public, expiry)
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
        """Drop the keys, and a sum that was not released."""
        self._opening_key = self._record_key = None
        kernels.wipe(self._total)

    def _release(self) -> Effects:
        if len(self._included) < self.plan.minimum:
            yield Fail(
                f"{len(self._included)} of {len(self.plan.task.clients)} clients delivered,"
                f" {self.plan.minimum} are needed"
            )
            return
        assert self._record_key is not None  # noqa: S101
        ring, clients = self.plan.ring, self.plan.task.clients
        total, self._total = self._total, np.empty(0, dtype=ring.dtype)
        kernels.ring_reduce(total, ring)
        members = encode_bitmap(clients, (party.number for party in self._included))
        summary = total_digest(total, ring)
        statement = record_statement(self.session, members, summary)
        record = MemberRecord(members, summary, self._record_key.sign(RECORD_CONTEXT, statement))
        for party in sorted(self._included):
            yield Send(party, record)
        yield Done(total, tuple(sorted(self._included)))
