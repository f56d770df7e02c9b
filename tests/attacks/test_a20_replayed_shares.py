"""A20: shares of an earlier session are replayed in a later one.

Adversary: a server that puts old ciphertexts into new frames, the session id rewritten; clients
whose channel keys live longer than a session (this library's do not: it makes the attack harder to
stop, and the same in all tests here).
Seen: the frames of both sessions.
Goal: an old input, bit for bit. In the old session the victim survived, so its holders gave shares
of its self seed. In the new one it is lost, and of what is taken for its new shares the holders
give the other kind.
Protection: the transcript is in the channel key and in the associated data: `ShareBindingError`.
A frame replayed as it was is refused before that: `WrongSession`.
"""

from __future__ import annotations

from typing import Any

import pytest
from attacks.adversary import MASKED, Network, Seen, equal, scenario_of
from attacks.server_view import ServerView, in_rows

from secagg.crypto import aead, kdf
from secagg.crypto.agreement import PrivateKey
from secagg.errors import ShareBindingError, WrongSession
from secagg.protocol import Effects, Send
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.messages import (
    AdvertiseKeys,
    MaskedVector,
    ShareBundle,
    decode_numbers,
)
from secagg.types import SERVER, PartyId, Secret, client
from secagg.wire import Message

VICTIM = 2


@pytest.fixture(autouse=True)
def _long_lived_channel_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = MaskingClient.begin

    def again(self: MaskingClient) -> Effects:
        list(begin(self))
        keys = self._keys
        keys._channel_key = PrivateKey(Secret(self.me.number.to_bytes(32, "big")))
        keys.public = keys.public._replace(channel=keys._channel_key.public)
        yield Send(SERVER, AdvertiseKeys(*keys.public))

    monkeypatch.setattr(MaskingClient, "begin", again)


def without_transcript(monkeypatch: pytest.MonkeyPatch, *, key: bool, data: bool) -> None:
    """Takes the transcript out of the channel key, the associated data, or both."""
    derive, associated_data = kdf.derive, aead.associated_data

    def any_session(secret: Secret, *, context: bytes, purpose: kdf.Purpose, **rest: Any) -> Secret:
        channel = purpose is kdf.Purpose.CHANNEL
        return derive(secret, context=b"" if channel else context, purpose=purpose, **rest)

    def any_transcript(protocol: str, transcript: bytes, *place: Any) -> bytes:
        return associated_data(protocol, b"", *place)

    if key:
        monkeypatch.setattr(kdf, "derive", any_session)
    if data:
        monkeypatch.setattr(aead, "associated_data", any_transcript)


def two_sessions(name: str, count: int) -> tuple[Network, Network]:
    """An honest one, and one into which the shares that the victim dealt in the first are put."""
    old = Network(scenario_of(name, count, 1))
    old.run()
    assert client(VICTIM) in old.included
    dealt = ServerView(old.session, old.seen).sealed[VICTIM]

    def relay(seen: Seen) -> Message | None:
        message = seen.message
        if isinstance(message, MaskedVector) and seen.sender == client(VICTIM):
            return None
        if not isinstance(message, ShareBundle):
            return message
        rows = zip(decode_numbers(message.dealers), in_rows(message.sealed), strict=True)
        replayed = dealt.get(seen.recipient.number)
        sealed = [replayed if n == VICTIM and replayed else row for n, row in rows]
        return ShareBundle(message.dealers, b"".join(sealed))

    new = Network(scenario_of(name, count, 2), relay)
    new.finish()
    return old, new


# On the ring the second session has another graph, in which few of the old holders are neighbours.
COMPLETE = [MASKED[0], ("secagg_plus", 7)]


@pytest.mark.parametrize(("name", "count"), COMPLETE)
def test_without_the_transcript_an_old_input_is_opened(
    name: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_transcript(monkeypatch, key=True, data=True)
    old, new = two_sessions(name, count)
    view = ServerView(old.session, old.seen)
    for holder, row in ServerView(new.session, new.seen).shares["mask"][VICTIM].items():
        view.learn("mask", VICTIM, holder, row)
    assert equal(view.open_vector(VICTIM), old.scenario.inputs[client(VICTIM)])


@pytest.mark.parametrize(("name", "count"), COMPLETE)
@pytest.mark.parametrize(("key", "data"), [(False, False), (True, False), (False, True)])
def test_with_it_old_shares_do_not_open(
    name: str, count: int, key: bool, data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_transcript(monkeypatch, key=key, data=data)
    _, new = two_sessions(name, count)
    for holder in set(new.scenario.inputs) - {client(VICTIM)}:
        error = new.failures[holder].error
        assert isinstance(error, ShareBindingError)
        assert error.culprit == client(VICTIM)
    assert not ServerView(new.session, new.seen).shares["mask"]


@pytest.mark.parametrize(("name", "count"), COMPLETE)
def test_a_frame_replayed_as_it_was_is_refused(name: str, count: int) -> None:
    old, new = two_sessions(name, count)

    def opened(frame: Seen, who: PartyId) -> Message:
        return new.parties[who].open(frame.frame, frame.sender)

    for seen in old.seen:
        with pytest.raises(WrongSession):
            opened(seen, seen.recipient)
