"""A28: a "public" context that holds the secret key opens every upload.

Serialised contexts of HE libraries may contain the secret key, and deployments have sent them to
everybody.

Adversary: whoever relays such a context.
Seen: the context and the uploads.
Goal: a client's vector.
Protection: nobody but the decryptor's own processes takes a context with the key in it:
`SecretKeyExposed`.
Levels: curious, the only one of bfv and ckks.
"""

from __future__ import annotations

import numpy as np
import pytest
from conformance.scenario import Scenario

from secagg import protocols
from secagg.errors import SecretKeyExposed, WrongContext
from secagg.he import vectors, workers
from secagg.he.contexts import SecretContext
from secagg.protocol import Accuse, Fail, Input, Send
from secagg.protocols._homomorphic.messages import OfferContext, RelayContext, Upload
from secagg.runner import Faults
from secagg.types import DECRYPTOR, SERVER, PartyId, Secret, client
from secagg.wire import Envelope, Frame


def _leaking(run: Scenario) -> tuple[SecretContext, bytes]:
    key = SecretContext.generate(run.plan.layout.lattice, run.rng)  # type: ignore[attr-defined]
    return key, key.encode()


def test_with_the_secret_in_the_context_one_upload_opens() -> None:
    """The attack itself: whoever relays such a context reads each client's vector."""
    run = Scenario(protocols.get("bfv"), 3)
    key, leaked = _leaking(run)
    victim = run.party(client(1))
    victim.start()
    victim.handle(Input(run.inputs[client(1)]), client(1))
    effects = victim.handle(RelayContext(key.public.encoded), SERVER)
    (upload,) = [e.message for e in effects if isinstance(e, Send)]
    assert isinstance(upload, Upload)
    layout = run.plan.layout  # type: ignore[attr-defined]
    stolen = Secret(leaked[-64:])
    slots = workers.decrypt(vectors.unpack(upload.tail, layout), layout, stolen)
    np.testing.assert_array_equal(vectors.values_of(slots, layout, 1), run.values[client(1)])


@pytest.mark.parametrize("name", ["bfv", "ckks"])
def test_a_client_refuses_such_a_context_and_sends_nothing(name: str) -> None:
    run = Scenario(protocols.get(name), 3)
    _, leaked = _leaking(run)
    for early in (True, False):
        party = run.party(client(0))
        party.start()
        if early:
            party.handle(Input(run.inputs[client(0)]), client(0))
        effects = party.handle(RelayContext(leaked), SERVER)
        assert not any(isinstance(effect, Send) for effect in effects)
        (fail,) = [effect for effect in effects if isinstance(effect, Fail)]
        assert isinstance(fail.error, SecretKeyExposed)
        assert fail.error.culprit == SERVER


@pytest.mark.parametrize("name", ["bfv", "ckks"])
def test_the_server_refuses_it_and_relays_nothing(name: str) -> None:
    run = Scenario(protocols.get(name), 3)
    _, leaked = _leaking(run)
    server = run.party(SERVER)
    server.start()
    (effect,) = server.handle(OfferContext(leaked), DECRYPTOR)
    assert isinstance(effect, Accuse)
    assert isinstance(effect.error, SecretKeyExposed)
    assert effect.culprit == DECRYPTOR


@pytest.mark.parametrize("name", ["bfv", "ckks"])
def test_a_whole_session_ends_without_an_upload(name: str) -> None:
    run = Scenario(protocols.get(name), 3)
    _, leaked = _leaking(run)

    def leak(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        envelope = run.offering.table.decode(frame)
        if isinstance(envelope.message, RelayContext):
            changed = Envelope(envelope.session, sender, recipient, RelayContext(leaked))
            return run.offering.table.encode(changed)
        return frame

    outcome = run.run(Faults(tamper=leak))
    assert outcome.total is None
    assert {type(error) for _, error in outcome.accused} == {SecretKeyExposed}
    assert all(outcome.parties[who].sent == 0 for who in run.plan.task.clients)


def test_a_context_of_tenseal_itself_is_refused_too() -> None:
    import tenseal

    context = tenseal.context(
        tenseal.SCHEME_TYPE.BFV, poly_modulus_degree=4096, plain_modulus=1032193
    )
    run = Scenario(protocols.get("bfv"), 3)
    for secret in (True, False):
        party = run.party(client(0))
        party.start()
        foreign = context.serialize(save_secret_key=secret)
        (fail,) = [e for e in party.handle(RelayContext(foreign), SERVER) if isinstance(e, Fail)]
        assert isinstance(fail.error, WrongContext)


def test_no_message_of_a_session_holds_the_secret() -> None:
    run = Scenario(protocols.get("bfv"), 3)
    frames: list[bytes] = []

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        frames.append(frame.join())
        return frame

    seeds: list[bytes] = []
    original = SecretContext.generate

    def keep(lattice, rng):  # type: ignore[no-untyped-def]
        made = original(lattice, rng)
        seeds.append(made.seed.reveal())
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SecretContext, "generate", keep)
        run.run(Faults(tamper=watch))
    assert seeds
    assert frames
    for seed in seeds:
        assert not any(seed in frame or seed[:16] in frame for frame in frames)
