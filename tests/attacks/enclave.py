"""The parties of the enclave protocol, step by step, for those who come between them."""

from __future__ import annotations

from typing import Any

from conformance.scenario import Scenario

from secagg import protocols
from secagg.protocol import Accuse, Effect, Input, Party, Send
from secagg.protocols._enclave import messages
from secagg.types import ENCLAVE, PartyId, client

PROTOCOL = protocols.get("enclave")
FIRST = client(0)


def scenario(count: int = 4, seed: int = 1, **settings: Any) -> Scenario:
    return Scenario(PROTOCOL, count, {"dropout": "0.25", **settings}, seed=seed)


def announced(world: Scenario) -> tuple[Party, messages.Attestation]:
    party = world.party(ENCLAVE)
    message = next(e.message for e in party.start() if isinstance(e, Send))
    assert isinstance(message, messages.Attestation)
    return party, message


def upload(
    world: Scenario, message: messages.Attestation, who: PartyId = FIRST
) -> messages.SealedVector:
    party = world.party(who)
    party.start()
    party.handle(message, ENCLAVE)
    (send,) = (e for e in party.handle(Input(world.inputs[who]), who) if isinstance(e, Send))
    assert isinstance(send.message, messages.SealedVector)
    return send.message


def accusation(effects: list[Effect]) -> Accuse:
    (effect,) = effects
    assert isinstance(effect, Accuse)
    return effect
