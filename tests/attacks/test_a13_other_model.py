"""A13: the server gives the victim a model, or a configuration, of its own.

Adversary: a server that sends different bytes to different clients of one session.
Seen: the released sum.
Goal: an update on the chosen model in the sum of the others, who all have another one.
Protection: the client computes the digest from the bytes that it received, and refuses a session
for another one: `ModelMismatch`, before anything is sent. Where it is shown a session of its own
for the chosen model, level `malicious` has two more: each neighbour signed its keys for a model,
`NeighbourModelMismatch` on both sides; and the session's id, to which everything is bound, covers
the model. The same chosen model for everybody (A14) is not touched by this.
Levels: curious, malicious; a session of its own for one client is covered at malicious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import MALICIOUS, network_of

from secagg.audit.adversary import Mask, Network, Seen, exact, impersonate, recovered_sum
from secagg.audit.attacks.other_model import CHOSEN, OURS, VICTIM
from secagg.errors import ModelMismatch, NeighbourModelMismatch, UnauthenticatedKey
from secagg.protocol import model_digest
from secagg.protocols._masking.authenticated.messages import SignedKeys
from secagg.types import Secret, client
from secagg.wire import Message

CURIOUS = ("secagg 7 curious",)


def in_the_sum(network: Network) -> bool:
    """What the victim made of the bytes that it received is in the sum, with all else right."""
    network.finish()
    everybody = range(len(network.clients))
    assert network.total is not None
    assert exact(network)
    return recovered_sum(network, everybody, network.total)


def marked(received: tuple[bytes, bytes]) -> dict[int, list[int]]:
    """An update that says which bytes it was trained on."""
    return {VICTIM: [sum(b"".join(received)) % 1000] * 17}


@pytest.mark.parametrize("received", CHOSEN)
def test_without_the_check_the_victims_update_is_in_the_sum(received: tuple[bytes, bytes]) -> None:
    """At level `curious` a client may leave its digest out."""
    network = network_of(CURIOUS[0], model=OURS, received={VICTIM: None}, values=marked(received))
    assert in_the_sum(network)


@pytest.mark.parametrize("scene", [*CURIOUS, MALICIOUS])
@pytest.mark.parametrize("received", CHOSEN)
def test_with_it_the_victim_refuses(scene: str, received: tuple[bytes, bytes]) -> None:
    """It is never made, so it sends nothing."""
    with pytest.raises(ModelMismatch) as refused:
        network_of(scene, model=OURS, received={VICTIM: model_digest(*received)})
    assert refused.value.own == model_digest(*received)
    assert refused.value.offered == OURS


@pytest.mark.parametrize("scene", [*CURIOUS, MALICIOUS])
def test_it_does_not_refuse_the_model_itself(scene: str) -> None:
    assert in_the_sum(network_of(scene, model=OURS, received={VICTIM: OURS}))


@pytest.mark.parametrize("received", CHOSEN)
def test_with_a_session_of_its_own_and_no_check_of_neighbours_it_is_in_the_sum(
    received: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the server's own check nothing depends: here the server is the adversary."""
    without(monkeypatch, "neighbour's model", "model in the session", "model at the server")
    network = network_of(
        MALICIOUS, model=OURS, shown={VICTIM: model_digest(*received)}, values=marked(received)
    )
    assert in_the_sum(network)


@pytest.mark.parametrize("received", CHOSEN)
def test_with_the_check_of_neighbours_both_sides_refuse(
    received: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "model in the session", "model at the server")
    network = network_of(MALICIOUS, model=OURS, shown={VICTIM: model_digest(*received)})
    network.run()
    assert network.total is None
    for who in network.clients:
        error = network.failures[who].error
        assert isinstance(error, NeighbourModelMismatch)
        culprit = client(0) if who == client(VICTIM) else client(VICTIM)
        assert error.culprit == culprit
        assert {error.own, error.offered} == {OURS, model_digest(*received)}


def test_an_honest_server_leaves_a_client_with_another_model_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It names the client; the others, who would all refuse, go on without it."""
    without(monkeypatch, "model in the session")
    network = network_of(MALICIOUS, model=OURS, shown={VICTIM: model_digest(*CHOSEN[0])})
    network.finish()
    (accusation,) = network.accused
    assert accusation.culprit == client(VICTIM)
    assert isinstance(accusation.error, NeighbourModelMismatch)
    assert set(network.included) == set(network.clients) - {client(VICTIM)}
    assert exact(network)


def test_the_id_of_the_session_alone_keeps_the_victim_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken out: both checks of models. What the victim signed is of another session."""
    without(monkeypatch, "neighbour's model", "model at the server")

    def rewrapped(seen: Seen) -> Message:
        """The victim's messages in frames of the others' session."""
        message = seen.message
        if seen.sender != client(VICTIM) or not isinstance(message, SignedKeys):
            return message
        return SignedKeys(
            message.model_digest, message.channel_key, message.mask_key, message.signature
        )

    network = network_of(MALICIOUS, rewrapped, model=OURS, shown={VICTIM: model_digest(*CHOSEN[0])})
    network.finish()
    (accusation,) = network.accused
    assert accusation.culprit == client(VICTIM)
    assert isinstance(accusation.error, UnauthenticatedKey)
    assert client(VICTIM) not in network.included


def test_keys_signed_for_another_session_and_model_are_known_for_what_they_are() -> None:
    """Nothing taken out: the victim is shown the true keys of the others, signed for theirs."""
    chosen = model_digest(*CHOSEN[0])
    others = network_of(MALICIOUS, model=OURS)
    others.begin()
    masks = {}
    for who in others.clients:
        (said,) = (m for m in others.said(who) if isinstance(m, SignedKeys))
        if who.number != VICTIM:
            masks[who.number] = Mask(
                said.channel_key, said.mask_key, lambda _: Secret(b""), said.signature, OURS
            )
    network = network_of(MALICIOUS, model=chosen, present=[client(VICTIM)])
    with pytest.raises(NeighbourModelMismatch) as refused:
        impersonate(network, client(VICTIM), masks)
    assert (refused.value.own, refused.value.offered) == (chosen, OURS)
