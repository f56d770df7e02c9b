"""A13: the server gives the victim a model, or a configuration, of its own.

Adversary: a server that sends different bytes to different clients of one session.
Seen: the released sum.
Goal: an update on the chosen model in the sum of the others, who all have another one.
Protection: the client computes the digest from the bytes that it received, and refuses a session
for another one: `ModelMismatch`, before anything is sent. The same chosen model for everybody (A14)
is not touched by this.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from attacks.adversary import scenario_of

from secagg import kernels
from secagg.crypto.rng import SEED_BYTES, StreamRng
from secagg.errors import ModelMismatch
from secagg.protocol import ClientPolicy, Identities, Identity, Input, model_digest
from secagg.runner import Outcome, run
from secagg.types import client

VICTIM = client(3)
MODEL, CONFIGURATION = b"layer 1, layer 2", b"rate 0.1"
CHOSEN = ((b"layer 1, layer !", CONFIGURATION), (MODEL, b"rate 9.9"))


def round_with(received: tuple[bytes, bytes], *, check: bool) -> tuple[Outcome, int]:
    """A round in which the victim trains on what it received, and the others on the model."""
    scenario = scenario_of("secagg", 7)
    session = replace(scenario.session, model_digest=model_digest(MODEL, CONFIGURATION))
    of = {who: Identity(model_digest=session.model_digest) for who in scenario.inputs}
    of[VICTIM] = Identity(model_digest=model_digest(*received) if check else None)
    # An update that says which bytes it was trained on.
    marked = sum(b"".join(received)) % 1000
    scenario.inputs[VICTIM] = np.full_like(scenario.inputs[VICTIM], marked)
    outcome = run(
        scenario.protocol,
        session,
        scenario.inputs,
        StreamRng(scenario.rng.bytes(SEED_BYTES)),
        policy=ClientPolicy.accepting(scenario.plan),
        identities=Identities(session.roster, of),
    )
    others = sum(values for who, values in scenario.values.items() if who != VICTIM)
    found = kernels.decode_signed(outcome.sum(), scenario.plan.ring) - others
    assert len(set(found.tolist())) == 1
    return outcome, int(found[0]) - marked


@pytest.mark.parametrize("received", CHOSEN)
def test_without_the_check_the_victims_update_is_in_the_sum(received: tuple[bytes, bytes]) -> None:
    outcome, difference = round_with(received, check=False)
    assert VICTIM in outcome.included
    assert difference == 0


@pytest.mark.parametrize("received", CHOSEN)
def test_with_it_the_victim_refuses(received: tuple[bytes, bytes]) -> None:
    with pytest.raises(ModelMismatch) as refused:
        round_with(received, check=True)
    assert refused.value.own == model_digest(*received)
    assert refused.value.offered == model_digest(MODEL, CONFIGURATION)


def test_it_does_not_refuse_the_model_itself() -> None:
    outcome, difference = round_with((MODEL, CONFIGURATION), check=True)
    assert VICTIM in outcome.included
    assert difference == 0


def test_the_refusal_comes_before_any_message() -> None:
    scenario = scenario_of("secagg", 7)
    identity = Identity(model_digest=model_digest(MODEL, CONFIGURATION))
    policy = ClientPolicy.accepting(scenario.plan)
    arguments = (scenario.session, VICTIM, scenario.rng, policy)
    with pytest.raises(ModelMismatch):
        scenario.protocol.party(*arguments, identity)
    # A party that was never made has sent nothing; the same with the check out has.
    party = scenario.protocol.party(*arguments, None)
    said = [*party.start(), *party.handle(Input(scenario.inputs[VICTIM]), VICTIM)]
    assert said
