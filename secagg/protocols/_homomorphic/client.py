"""The client: waits for the public context, sends its vector under it, once."""

from __future__ import annotations

from secagg import kernels
from secagg.errors import DecodeError, SecretKeyExposed, WrongContext
from secagg.he import vectors, workers
from secagg.he.contexts import PublicContext, SecretInContext
from secagg.he.pool import Account
from secagg.protocol import Done, Effects, Input, Party, Send, Session, on
from secagg.protocols._homomorphic.messages import TABLE, RelayContext, Upload
from secagg.protocols._homomorphic.plan import HomomorphicPlan
from secagg.types import SERVER, PartyId, RingVector, Rng


def parsed_context(encoded: bytes, plan: HomomorphicPlan, sender: PartyId) -> PublicContext:
    """A peer's public context, checked against the parameters that the plan gives.

    Raises:
        SecretKeyExposed: a secret key came with it.
        WrongContext: it is none, or one of other parameters.
    """
    try:
        return PublicContext.parse(encoded, plan.layout.lattice)
    except SecretInContext as error:
        raise SecretKeyExposed(sender, str(error)) from None
    except DecodeError as error:
        raise WrongContext(sender, str(error)) from None


class HomomorphicClient(Party):
    """Encrypts and sends.

    Not restorable: SEAL draws the randomness of an encryption itself, so a restored client would
    send other bytes for the same vector. A client that is killed is a dropout.
    """

    phases = ("setup", "upload")
    table = TABLE
    restorable = False
    plan: HomomorphicPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._input: RingVector | None = None
        self._context: PublicContext | None = None
        self._account = Account()

    @property
    def cpu_elsewhere(self) -> float:
        """CPU seconds that worker processes spent on its vector."""
        return self._account.cpu_seconds

    @on(Input, "setup", "upload")
    def take_input(self, event: Input, sender: PartyId) -> Effects:
        """Keep the vector, or send it at once if the context is there."""
        self._input = event.vector
        return self._upload()

    @on(RelayContext, "setup")
    def take_context(self, message: RelayContext, sender: PartyId) -> Effects:
        """Check the context: parameters come from the plan, never from a peer."""
        self._context = parsed_context(message.context, self.plan, sender)
        self.advance("upload")
        return self._upload()

    def forget(self) -> None:
        """Drop the vector."""
        self._input = None

    def _upload(self) -> Effects:
        if self._input is None or self._context is None:
            return
        layout = self.plan.layout
        values = kernels.decode_signed(self._input, self.plan.ring)
        slots = vectors.slots_of(values, layout)
        packed = workers.encrypt(slots, layout, self._context, self._account)
        yield Send(SERVER, Upload(self._context.digest, memoryview(packed)))
        yield Done()
