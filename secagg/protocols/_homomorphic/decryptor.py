"""The decryptor: makes the key, opens one sum, erases the key."""

from __future__ import annotations

import numpy as np

from secagg import kernels
from secagg.errors import CohortTooSmall, DecodeError, RemoteProtocolError, WrongContext
from secagg.he import vectors, workers
from secagg.he.contexts import SecretContext
from secagg.he.pool import Account
from secagg.he.seal import Words
from secagg.protocol import Deadline, Done, Effects, Fail, Party, Send, Session, on
from secagg.protocols._homomorphic.messages import (
    TABLE,
    OfferContext,
    OpenedSum,
    OpenSum,
    members,
)
from secagg.protocols._homomorphic.plan import HomomorphicPlan
from secagg.types import SERVER, PartyId, Rng


class Decryptor(Party):
    """The one party that holds a secret key, for one session and one decryption.

    It first waits while clients upload; that phase's deadline only says that they should be done.
    It cannot see what a sum covers: against a lying server its checks of number and counter are
    no protection (docs/he.md).
    """

    phases = ("upload", "open")
    table = TABLE
    tolerant = True
    plan: HomomorphicPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._secret: SecretContext | None = None
        self._account = Account()

    @property
    def cpu_elsewhere(self) -> float:
        """CPU seconds that worker processes spent on the sum."""
        return self._account.cpu_seconds

    def begin(self) -> Effects:
        """A fresh key."""
        self._secret = SecretContext.generate(self.plan.layout.lattice, self.rng)
        yield Send(SERVER, OfferContext(self._secret.public.encoded))

    @on(Deadline, "upload")
    def expect_the_sum(self, event: Deadline, sender: PartyId) -> Effects:
        """From now on only the server is waited for."""
        self.advance("open")
        return ()

    @on(OpenSum, "upload", "open")
    def open_sum(self, message: OpenSum, sender: PartyId) -> Effects:
        """Decrypt once. Whatever comes out, the key is erased in the same step."""
        key = self._secret
        assert key is not None, "made at the start"  # noqa: S101
        if message.context_digest != key.public.digest:
            raise WrongContext(sender, "expected a sum under this session's public context")
        included = members(message.included, self.plan.task.clients, sender)
        if len(included) < self.plan.minimum:
            raise CohortTooSmall(
                sender, f"expected a sum over {self.plan.minimum} clients, got {len(included)}"
            )
        try:
            residues = vectors.unpack(message.tail, self.plan.layout)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None
        return self._opened(message, key, residues, len(included), sender)

    def _opened(
        self, message: OpenSum, key: SecretContext, residues: Words, added: int, sender: PartyId
    ) -> Effects:
        layout, ring = self.plan.layout, self.plan.ring
        try:
            slots = workers.decrypt(residues, layout, key.seed, self._account)
            values = vectors.values_of(slots, layout, added)
        except DecodeError as error:
            failure = RemoteProtocolError(sender, str(error))
            yield Fail(str(failure), failure)
            return
        total = (values.astype(np.uint64) & np.uint64(ring.mask)).astype(ring.dtype)
        packed = memoryview(kernels.pack(total, ring))
        yield Send(SERVER, OpenedSum(message.included, packed))
        yield Done()

    def forget(self) -> None:
        """Erase the key."""
        if self._secret is not None:
            self._secret.seed.wipe()
            self._secret = None
