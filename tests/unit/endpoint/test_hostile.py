"""What peers and networks do: nothing raises at a server, everything ends a client, and typed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.endpoint.federation import CONFIGURATION, MODEL, Channel, Federation

from secagg.endpoint import Outgoing, ServerEndpoint
from secagg.endpoint.server import KEPT_REFUSALS, REPEATS
from secagg.errors import (
    DecodeError,
    DuplicateMessage,
    LocalProtocolError,
    NeighbourModelMismatch,
    RemoteProtocolError,
    SecaggError,
    UnknownParty,
    WrongSession,
)
from secagg.protocol import Level
from secagg.types import DECRYPTOR, SERVER, PartyId, client


def server_of(channel: Channel) -> ServerEndpoint:
    server = channel.ends[SERVER]
    assert isinstance(server, ServerEndpoint)
    return server


def first_words(federation: Federation) -> dict[PartyId, bytes]:
    return {who: federation.client(who).start(0.0)[0].data for who in federation.clients}


def test_a_server_refuses_and_goes_on() -> None:
    federation, other = Federation("secagg"), Federation("secagg")
    server = federation.server()
    server.start(0.0)
    words, foreign = first_words(federation), first_words(other)
    second = federation.client(client(0)).start(0.0)[0].data
    for sender, data, error in (
        (client(0), b"", DecodeError),
        (client(0), b"hello", DecodeError),
        (client(0), words[client(0)][:-1], DecodeError),
        (client(0), words[client(0)] + b"!", DecodeError),
        (client(0), foreign[client(0)], WrongSession),
        (client(1), words[client(0)], UnknownParty),
        (client(9), words[client(0)], UnknownParty),
        (SERVER, words[client(0)], UnknownParty),
    ):
        before = server.refused
        assert server.receive(sender, data, 1.0) == []
        assert server.refused == before + 1
        refusal = server.refusals[-1]
        assert refusal.sender == sender
        assert type(refusal.error) is error
        # A traceback would keep frames, and what is in them.
        assert refusal.error.__traceback__ is None
    server.receive(client(0), words[client(0)], 1.0)
    server.receive(client(0), words[client(0)], 1.0)
    assert server.refused == 8
    server.receive(client(0), second, 1.0)
    assert type(server.refusals[-1].error) is DuplicateMessage
    assert not server.done


def test_refusals_do_not_fill_the_memory() -> None:
    server = Federation("plain").server()
    server.start(0.0)
    for number in range(KEPT_REFUSALS + 5):
        server.receive(client(number), b"", 0.0)
    assert server.refused == KEPT_REFUSALS + 5
    assert len(server.refusals) == KEPT_REFUSALS
    assert server.refusals[0].sender == client(5)


def test_early_messages_do_not_fill_the_memory() -> None:
    """Of each kind one is kept; a second, different one is refused."""
    federation = Federation("bfv")
    channel = Channel(federation.everybody())
    helper = channel.ends.pop(DECRYPTOR)
    context = helper.start(0.0)
    server = server_of(channel)
    server.start(0.0)
    ends = [federation.client(client(0)) for _ in range(2)]
    relay = federation.server()
    relay.start(0.0)
    (told, *_) = relay.receive(DECRYPTOR, context[0].data, 0.0)
    early = []
    for end in ends:
        end.start(0.0)
        early += end.receive(SERVER, told.data, 0.0)
    # Two encryptions of one vector, before the server has a context.
    assert server.receive(client(0), early[0].data, 1.0) == []
    assert server.receive(client(0), early[0].data, 1.0) == []
    assert server.refused == 0
    assert server.receive(client(0), early[1].data, 1.0) == []
    assert type(server.refusals[0].error) is RemoteProtocolError
    assert "expected one Upload, got a second one" in str(server.refusals[0].error)
    # Once the context is there, the first counts.
    server.receive(DECRYPTOR, context[0].data, 2.0)
    assert server.refused == 1
    for who in federation.clients[1:]:
        channel.ends[who].start(2.0)
        (upload,) = channel.ends[who].receive(SERVER, readdressed(relay, who), 2.0)
        sums = server.receive(who, upload.data, 2.0)
    (opened,) = helper.receive(SERVER, sums[0].data, 3.0)
    server.receive(DECRYPTOR, opened.data, 3.0)
    assert federation.check(server) == federation.clients


def readdressed(relay: ServerEndpoint, who: PartyId) -> bytes:
    """What a server said to one of its clients last."""
    return next(each.data for each in relay.resend() if each.to == who)


def test_a_peer_that_repeats_itself_is_not_answered_for_ever() -> None:
    federation = Federation("secagg")
    channel = Channel(federation.everybody())
    for who, end in channel.ends.items():
        channel.post(who, end.start(channel.now))
    said = next(each.data for sender, each in channel.queue if sender == client(0))
    while channel.queue and server_of(channel).phase == "advertise":
        channel.step()
    server = server_of(channel)
    answers = [server.receive(client(0), said, channel.now) for _ in range(REPEATS + 5)]
    assert [len(each) for each in answers] == [1] * REPEATS + [0] * 5
    assert all(each == answers[0] for each in answers[:REPEATS])


@pytest.mark.parametrize("level", list(Level))
def test_a_client_ends_at_the_first_wrong_word(level: Level) -> None:
    federation = Federation("secagg", level)
    words: list[tuple[PartyId, bytes, type[SecaggError]]] = [
        (SERVER, b"", DecodeError),
        (SERVER, bytes(60), DecodeError),
        (client(1), federation.client(client(1)).start(0.0)[0].data, UnknownParty),
        (DECRYPTOR, b"SAGG", DecodeError),
    ]
    for sender, data, error in words:
        end = federation.client(client(0))
        end.start(0.0)
        assert end.receive(sender, data, 1.0) == []
        assert end.done
        assert type(end.failure) is error
        assert end.wait(1.0) is None
        seed = end._party._seed
        assert seed is not None
        assert len(seed) == 0
        with pytest.raises(error):
            end.check()
        # Whatever comes now, and whatever is lost: it says no more.
        assert end.receive(SERVER, b"", 2.0) == []
        assert end.tick(5000.0) == []


def test_a_client_in_another_session_than_its_server() -> None:
    """Two servers that drew a nonce each: the ids differ, whatever else is equal."""
    federation = Federation("secagg")
    lie = federation.invite()
    server = federation.server()
    channel = Channel({SERVER: server})
    for who in federation.clients:
        invitation = lie if who == client(3) else federation.invitation
        channel.ends[who] = federation.client(who, invitation=invitation.encoded)
    channel.run()
    assert type(server.refusals[0].error) is WrongSession
    assert client(3) not in federation.check(server)


def test_a_client_hears_the_server_of_another_session() -> None:
    federation, other = Federation("secagg"), Federation("secagg")
    channel = Channel(other.everybody())
    for who, end in channel.ends.items():
        channel.post(who, end.start(channel.now))
    while not any(sender == SERVER for sender, _ in channel.sent):
        assert channel.step()
    said = next(each for sender, each in channel.sent if sender == SERVER)
    end = federation.client(said.to)
    end.start(0.0)
    end.receive(SERVER, said.data, 1.0)
    assert type(end.failure) is WrongSession


def test_a_message_that_comes_twice_is_taken_once() -> None:
    federation = Federation("secagg", Level.MALICIOUS)
    channel = Channel(federation.everybody(), tamper=lambda _, each: [each, each])
    server = server_of(channel.run())
    assert federation.check(server) == federation.clients
    assert server.refused == 0
    assert all(end.failure is None for end in channel.ends.values())


def test_a_client_that_was_told_another_codec_takes_no_part() -> None:
    """Its model digest covers the codec; it is in the session id, and in every signature."""
    federation, victim = Federation("secagg", Level.MALICIOUS), client(2)
    codec = msgspec.structs.replace(federation.codec, clip=1.0, fraction_bits=23)
    lie = msgspec.structs.replace(federation.invitation, codec=codec)
    lie = msgspec.structs.replace(lie, model_digest=lie.digest_of(MODEL, CONFIGURATION))
    ends = federation.everybody()
    ends[victim] = federation.client(victim, invitation=lie.encoded)
    channel = Channel(dict(ends))
    here, there = ends[victim].session, ends[client(0)].session
    assert here != there

    def relayed(sender: PartyId, each: Outgoing) -> list[Outgoing]:
        """A lying server would put each side's session id into what it relays."""
        if sender == victim:
            return [each._replace(data=each.data.replace(here, there))]
        if each.to == victim:
            return [each._replace(data=each.data.replace(there, here))]
        return [each]

    channel.tamper = relayed
    server = server_of(channel.run())
    assert victim not in federation.check(server)
    (refusal,) = server.refusals
    assert (refusal.sender, type(refusal.error)) == (victim, NeighbourModelMismatch)
    assert ends[victim].failure is not None


@settings(max_examples=40)
@given(st.data())
def test_a_server_takes_anything(data: st.DataObject) -> None:
    """Garbled, cut, repeated, misdirected: the mean is that of those it names, or there is none."""
    federation = Federation("secagg")

    def garbled(sender: PartyId, each: Outgoing) -> list[Outgoing]:
        if sender == SERVER or data.draw(st.integers(0, 5)):
            return [each]
        harm = data.draw(st.sampled_from(["cut", "flip", "twice", "drop", "noise"]))
        if harm == "cut":
            return [each._replace(data=each.data[: data.draw(st.integers(0, len(each.data)))])]
        if harm == "flip":
            changed = bytearray(each.data)
            # In the envelope only: what is in it the channel protects, at this level.
            changed[data.draw(st.integers(0, 59))] ^= data.draw(st.integers(1, 255))
            return [each._replace(data=bytes(changed))]
        if harm == "noise":
            return [each._replace(data=data.draw(st.binary(max_size=200))), each]
        return [each] * (2 if harm == "twice" else 0)

    server = server_of(Channel(federation.everybody(), tamper=garbled).run())
    assert server.done
    if server.failure is None:
        federation.check(server)
    else:
        assert isinstance(server.failure, SecaggError)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, LocalProtocolError])
def test_a_bug_or_an_interrupt_inside_ends_it(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    federation = Federation("secagg")
    server = federation.server()
    server.start(0.0)
    words = first_words(federation)

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(server._party, "handle", broken)
    with pytest.raises(error):
        server.receive(client(0), words[client(0)], 1.0)
    assert server.done
    assert str(server.failure) == f"{error.__name__} inside"
    monkeypatch.undo()
    for who in federation.clients:
        assert server.receive(who, words[who], 2.0) == []
    assert server.phase == "failed"
