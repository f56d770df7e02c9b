"""A4: a client gets its own ciphertexts back, as if its neighbours had sent them.

Adversary: a server that reflects what the victim dealt to three clients which then drop out, and
one corrupt client, as planned.
Seen: every frame, and the share that the corrupt client was dealt.
Goal: the victim takes its own shares for those of the lost clients, and gives away shares of its
own mask seed as theirs. With the corrupt client's share they are as many as the threshold, and the
shares of its self seed come from honest answers: its input, bit for bit. Every client was told the
same survivors, so no check of these would notice.
Protection: the direction is in the key and in the associated data: `ShareBindingError`. Either
alone suffices.
"""

from __future__ import annotations

import pytest
from attacks.adversary import Network, Seen, equal, scenario_of
from attacks.server_view import Row, ServerView, in_rows

from secagg.crypto import aead, shamir
from secagg.errors import ShareBindingError
from secagg.protocols._masking.keyring import Keyring
from secagg.protocols._masking.messages import (
    MaskedVector,
    ShareBundle,
    UnmaskRequest,
    decode_numbers,
)
from secagg.types import PartyId, RingVector, Secret, client
from secagg.wire import Message

VICTIM, CORRUPT, LOST = 0, 3, (4, 5, 6)


def without_direction(monkeypatch: pytest.MonkeyPatch, *, key: bool, data: bool) -> None:
    """Takes the direction out of the channel key, the associated data, or both."""
    channel, associated_data = Keyring._channel, aead.associated_data

    def either_way(self: Keyring, sender: PartyId, receiver: PartyId) -> Secret:
        first, second = sorted((sender, receiver))
        return channel(self, first, second)

    def for_both(
        protocol: str, transcript: bytes, step: str, sender: PartyId, receiver: PartyId
    ) -> bytes:
        return associated_data(protocol, transcript, step, *sorted((sender, receiver)))

    if key:
        monkeypatch.setattr(Keyring, "_channel", either_way)
    if data:
        monkeypatch.setattr(aead, "associated_data", for_both)


def reflect() -> tuple[Network, Row]:
    """The round, and what the corrupt client was dealt of the victim's mask seed."""
    dealt: list[Row] = []

    def relay(seen: Seen) -> Message | None:
        message = seen.message
        if isinstance(message, MaskedVector) and seen.sender.number in LOST:
            return None
        if isinstance(message, UnmaskRequest) and seen.recipient == client(CORRUPT):
            both = network.client(CORRUPT)._shares[VICTIM].reveal()
            dealt.append(shamir.decode_shares(both)[0])
        if not isinstance(message, ShareBundle) or seen.recipient != client(VICTIM):
            return message
        own = ServerView(network.session, network.seen).sealed[VICTIM]
        dealers = decode_numbers(message.dealers)
        rows = zip(dealers, in_rows(message.sealed), strict=True)
        sealed = [own[dealer] if dealer in LOST else row for dealer, row in rows]
        return ShareBundle(message.dealers, b"".join(sealed))

    network = Network(scenario_of("secagg", 7, corrupt="0.1", dropout="0.42"), relay)
    network.finish()
    return network, dealt[0] if dealt else shamir.decode_shares(bytes(shamir.SHARE_BYTES))[0]


def opened(network: Network, dealt: Row) -> RingVector:
    view = ServerView(network.session, network.seen)
    for lost in LOST:  # named as the lost client's, in truth the victim's, dealt to that client
        view.learn("mask", VICTIM, lost, view.shares["mask"][lost][VICTIM])
    view.learn("mask", VICTIM, CORRUPT, dealt)
    return view.open_vector(VICTIM)


def test_without_the_direction_a_client_opens_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    without_direction(monkeypatch, key=True, data=True)
    network, dealt = reflect()
    assert network.scenario.plan.corrupt == 1
    assert equal(opened(network, dealt), network.scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("key", "data"), [(False, False), (True, False), (False, True)])
def test_with_it_the_reflection_is_refused(
    key: bool, data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_direction(monkeypatch, key=key, data=data)
    network, _ = reflect()
    failure = network.failures[client(VICTIM)]
    assert isinstance(failure.error, ShareBindingError)
    view = ServerView(network.session, network.seen)
    assert VICTIM not in view.vectors
    assert all(VICTIM not in rows for rows in view.shares["mask"].values())
