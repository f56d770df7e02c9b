"""The server: relays the context, adds ciphertexts, asks for one decryption."""

from __future__ import annotations

import numpy as np

from secagg import kernels
from secagg.errors import DecodeError, RemoteProtocolError, WrongContext
from secagg.he import vectors
from secagg.protocol import Deadline, Done, Effects, Fail, Party, Send, Session, on
from secagg.protocols._homomorphic.client import parsed_context
from secagg.protocols._homomorphic.messages import (
    TABLE,
    OfferContext,
    OpenedSum,
    OpenSum,
    RelayContext,
    Upload,
    bitmap,
)
from secagg.protocols._homomorphic.plan import HomomorphicPlan
from secagg.types import DECRYPTOR, PartyId, Rng


class HomomorphicServer(Party):
    """Holds one running sum per ciphertext and no key."""

    phases = ("setup", "upload", "open")
    table = TABLE
    tolerant = True
    plan: HomomorphicPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        layout = self.plan.layout
        self._sums = np.zeros(layout.chunks * layout.lattice.residues, dtype=np.uint64)
        self._included: set[PartyId] = set()
        self._context_digest = b""

    @on(OfferContext, "setup")
    def relay(self, message: OfferContext, sender: PartyId) -> Effects:
        """Check the decryptor's context and pass it on, once."""
        self._context_digest = parsed_context(message.context, self.plan, sender).digest
        self.advance("upload")
        for party in self.plan.task.clients:
            yield Send(party, RelayContext(message.context))

    @on(Deadline, "setup")
    def give_up(self, event: Deadline, sender: PartyId) -> Effects:
        """Without a context there is nothing to do."""
        yield Fail(f"{DECRYPTOR} sent no public context, one is needed")

    @on(Upload, "upload")
    def add(self, message: Upload, sender: PartyId) -> Effects:
        """Add one client's ciphertexts and forget them."""
        if message.context_digest != self._context_digest:
            raise WrongContext(sender, "expected ciphertexts under this session's public context")
        try:
            residues = vectors.unpack(message.tail, self.plan.layout)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        vectors.add(self._sums, residues, self.plan.layout)
        self._included.add(sender)
        return self._close() if len(self._included) == len(self.plan.task.clients) else ()

    @on(Deadline, "upload")
    def close(self, event: Deadline, sender: PartyId) -> Effects:
        """Make do with whoever came."""
        return self._close()

    def _close(self) -> Effects:
        clients = self.plan.task.clients
        if len(self._included) < self.plan.minimum:
            yield Fail(
                f"{len(self._included)} of {len(clients)} clients delivered,"
                f" {self.plan.minimum} are needed"
            )
            return
        self.advance("open")
        packed = vectors.pack(self._sums, self.plan.layout.lattice)
        self.forget()
        included = bitmap(self._included, clients)
        yield Send(DECRYPTOR, OpenSum(self._context_digest, included, memoryview(packed)))

    @on(OpenedSum, "open")
    def release(self, message: OpenedSum, sender: PartyId) -> Effects:
        """The decryptor's answer is the sum over those whom it was asked about."""
        ring, length = self.plan.ring, self.plan.task.length
        if message.included != bitmap(self._included, self.plan.task.clients):
            raise RemoteProtocolError(sender, "expected the sum over the clients in the request")
        if message.tail.nbytes != (size := ring.packed_size(length)):
            raise RemoteProtocolError(
                sender, f"expected a sum of {size} bytes, got {message.tail.nbytes}"
            )
        try:
            total = kernels.unpack(message.tail, ring, length)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        yield Done(total, tuple(sorted(self._included)))

    @on(Deadline, "open")
    def give_up_opening(self, event: Deadline, sender: PartyId) -> Effects:
        """The sum stays closed."""
        yield Fail(f"{DECRYPTOR} did not open the sum, its answer is needed")

    def forget(self) -> None:
        """Drop the running sums."""
        self._sums = np.zeros(0, dtype=np.uint64)
