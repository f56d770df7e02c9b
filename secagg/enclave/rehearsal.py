"""One small round of all parties: everything is loaded, and shown to work, before doors close."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from secagg.crypto.rng import seeded
from secagg.errors import VerificationError
from secagg.protocol import ClientPolicy, Done, Effect, Identities, Input, Send, Session, Task
from secagg.protocols.enclave import PROTOCOL
from secagg.types import ENCLAVE, client


def rehearse() -> None:
    """Run it.

    Raises:
        VerificationError: the sum is wrong: this installation does not work.
    """
    rng = seeded(0)
    clients = (client(0), client(1))
    plan = PROTOCOL.plan(
        Task(
            clients=clients,
            length=9,
            bound=5,
            min_clients=2,
            corrupt=Decimal(0),
            dropout=Decimal(0),
        )
    )
    identities = Identities.drawn(plan, rng, bytes(32))
    session = Session.fresh(plan, rng, roster=identities.roster)
    policy = ClientPolicy.accepting(plan)
    party = {
        who: PROTOCOL.party(session, who, rng, policy, identities.of[who]) for who in plan.parties
    }
    for who in clients:
        party[who].start()
        party[who].handle(Input(np.full(9, 5, dtype=plan.ring.dtype)), who)
    said: list[Effect] = []
    for effect in party[ENCLAVE].start():
        if isinstance(effect, Send):
            for answer in party[effect.to].handle(effect.message, ENCLAVE):
                if isinstance(answer, Send):
                    frame = party[effect.to].seal(answer)
                    message = party[ENCLAVE].open(frame, effect.to)
                    party[ENCLAVE].when(message, effect.to)
                    said = party[ENCLAVE].handle(message, effect.to)
    last = said[-1]
    if not isinstance(last, Done) or last.total is None or not bool(np.all(last.total == 10)):
        raise VerificationError("the rehearsal of a round gave a wrong sum")
