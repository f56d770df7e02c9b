"""Whole sessions over a channel in memory: every protocol, every moment of loss."""

from __future__ import annotations

import pytest
from unit.endpoint.federation import (
    DEADLINE,
    PATIENCE,
    Channel,
    Federation,
)

from secagg.endpoint import ServerEndpoint
from secagg.errors import BeaconPassed, LocalProtocolError, RoundFailed
from secagg.protocol import Level
from secagg.types import DECRYPTOR, SERVER, client

OFFERED = [
    ("plain", Level.CURIOUS),
    ("secagg", Level.CURIOUS),
    ("secagg_plus", Level.CURIOUS),
    ("secagg", Level.MALICIOUS),
    ("secagg_plus", Level.MALICIOUS),
    ("bfv", Level.CURIOUS),
    ("ckks", Level.CURIOUS),
]
STEPS = {
    ("plain", Level.CURIOUS): 1,
    ("secagg", Level.CURIOUS): 4,
    ("secagg_plus", Level.CURIOUS): 4,
    ("secagg", Level.MALICIOUS): 5,
    ("secagg_plus", Level.MALICIOUS): 6,
    ("bfv", Level.CURIOUS): 1,
}


def server_of(channel: Channel) -> ServerEndpoint:
    server = channel.ends[SERVER]
    assert isinstance(server, ServerEndpoint)
    return server


@pytest.mark.parametrize(("name", "level"), OFFERED)
def test_the_mean_of_all(name: str, level: Level) -> None:
    federation = Federation(name, level)
    channel = Channel(federation.everybody()).run()
    assert federation.check(server_of(channel)) == federation.clients
    for who in federation.clients:
        assert channel.ends[who].done
        assert channel.ends[who].failure is None
    assert server_of(channel).refused == 0
    sizes = [
        len(data) for sender, (to, data) in channel.sent if {sender, to} & {*federation.clients}
    ]
    assert 0 < max(sizes) <= server_of(channel).largest_message
    # Nobody had to wait.
    assert channel.now == 100.0


@pytest.mark.parametrize(
    ("name", "level", "after"),
    [(*offered, after) for offered, steps in STEPS.items() for after in range(steps)],
)
def test_one_client_lost_at_every_step(name: str, level: Level, after: int) -> None:
    federation = Federation(name, level)
    victim = client(2)
    channel = Channel(federation.everybody(), {victim: after}).run()
    included = federation.check(server_of(channel))
    # Its vector is its last but one message or before, where there are shares to be opened.
    delivered = after >= {1: 1, 4: 3, 5: 3, 6: 4}[STEPS[name, level]]
    assert (victim in included) == delivered
    assert set(federation.clients) - {victim} <= set(included)


@pytest.mark.parametrize("level", list(Level))
def test_a_client_that_never_answers(level: Level) -> None:
    """It hears everything and says nothing: the server goes on without it after one deadline."""
    federation = Federation("secagg", level)
    ends = federation.everybody()
    del ends[client(1)]
    channel = Channel(ends).run()
    assert client(1) not in federation.check(server_of(channel))
    assert channel.now == 100.0 + DEADLINE


@pytest.mark.parametrize(("name", "level"), OFFERED[1:5])
def test_too_few(name: str, level: Level) -> None:
    federation = Federation(name, level)
    channel = Channel(federation.everybody(), {client(1): 1, client(2): 1, client(3): 1}).run()
    server = server_of(channel)
    assert isinstance(server.failure, RoundFailed)
    with pytest.raises(RoundFailed, match="needed"):
        server.result()
    # The others waited, then failed as well, each with a reason, and sent no vector.
    for who in (client(0), client(4)):
        end = channel.ends[who]
        assert isinstance(end.failure, RoundFailed)
        assert "nothing more came in phase" in end.failure.reason
    assert channel.now == pytest.approx(100.0 + PATIENCE)


def test_a_server_that_never_answers() -> None:
    federation = Federation("secagg")
    ends = federation.everybody()
    del ends[SERVER]
    channel = Channel(ends).run()
    assert channel.now == 100.0 + PATIENCE
    assert {str(end.failure) for end in ends.values()} == {"nothing more came in phase advertise"}


def test_a_decryptor_that_never_answers() -> None:
    federation = Federation("bfv")
    ends = federation.everybody()
    del ends[DECRYPTOR]
    channel = Channel(ends).run()
    with pytest.raises(RoundFailed, match="sent no public context"):
        server_of(channel).result()


def test_a_decryptor_is_not_told_the_mean() -> None:
    federation = Federation("bfv")
    channel = Channel(federation.everybody()).run()
    helper = channel.ends[DECRYPTOR]
    assert isinstance(helper, ServerEndpoint)
    assert helper.done
    with pytest.raises(LocalProtocolError, match="decryptor 0 did its part"):
        helper.result()


def test_a_beacon_that_is_silent() -> None:
    federation = Federation("secagg_plus", Level.MALICIOUS)
    assert federation.source is not None
    federation.source.silent = True
    channel = Channel(federation.everybody())
    for who, end in channel.ends.items():
        channel.post(who, end.start(channel.now))
    while channel.queue:
        channel.step()
    server = server_of(channel)
    # It looks again every second, and goes on as soon as there is something.
    assert server.phase == "draw"
    assert server.wait(channel.now) == 1.0
    channel.step()
    assert server.phase == "draw"
    federation.source.silent = False
    while channel.step():
        pass
    assert federation.check(server) == federation.clients
    assert channel.now == 102.0


def test_a_relay_that_says_what_the_beacon_did_not() -> None:
    """It is asked again a second later; nobody is blamed, and no client hears of it."""
    federation = Federation("secagg_plus", Level.MALICIOUS)
    assert federation.source is not None
    federation.source.lies = [bytes(64), b"", bytes(96)]
    channel = Channel(federation.everybody()).run()
    server = server_of(channel)
    assert federation.check(server) == federation.clients
    assert channel.now == 103.0
    assert [each.sender for each in server.refusals] == [SERVER] * 3


def test_the_beacon_is_read_when_it_is_wanted_and_not_before() -> None:
    """A head that was read before the server's root came would make a known round look open."""
    federation = Federation("secagg_plus", Level.MALICIOUS)
    assert federation.source is not None
    victim, source = client(2), federation.source
    channel = Channel(federation.everybody())
    for who in list(channel.ends):
        channel.start(who)
    while not any(to == victim for _, (to, _) in channel.queue):
        assert channel.step()
    source.number += 10
    while channel.ends[victim].failure is None:
        assert channel.step()
    assert type(channel.ends[victim].failure) is BeaconPassed


def test_a_beacon_that_stays_silent() -> None:
    federation = Federation("secagg_plus", Level.MALICIOUS)
    assert federation.source is not None
    federation.source.silent = True
    channel = Channel(federation.everybody()).run()
    with pytest.raises(RoundFailed, match="the public beacon said nothing"):
        server_of(channel).result()


def test_deadlines_of_each_phase() -> None:
    federation = Federation("secagg")
    ends = federation.everybody()
    deadlines = {"advertise": 3.0, "share": 5.0, "mask": 7.0, "unmask": 11.0}
    ends[SERVER] = federation.server(deadlines=deadlines)
    assert ends[SERVER].wait(100.0) is None
    channel = Channel(ends)
    for who, end in ends.items():
        channel.post(who, end.start(channel.now))
    assert ends[SERVER].wait(100.0) == 3.0
    assert ends[SERVER].wait(101.5) == 1.5
    assert ends[SERVER].wait(200.0) == 0.0
    seen = []
    while channel.step():
        if not ends[SERVER].done and ends[SERVER].phase not in seen:
            seen.append(ends[SERVER].phase)
            assert ends[SERVER].wait(channel.now) == deadlines[ends[SERVER].phase]
    assert seen == list(deadlines)
    assert ends[SERVER].wait(channel.now) is None


def test_one_word_in_a_call_and_the_rest_at_once() -> None:
    """A client's keys are out before its vector is in the ledger, for only the last word of a
    party that was restored is said again."""
    federation = Federation("secagg")
    with federation.ledger(client(1)) as ledger:
        end = federation.client(client(1), ledger)
        assert len(end.start(0.0)) == 1
        assert len(ledger.records(end.session)) == 1
        assert end.wait(0.0) == 0.0
        assert end.tick(0.0) == []
        assert len(ledger.records(end.session)) == 2
        assert end.wait(0.0) == PATIENCE


def test_a_deadline_passes_before_a_message_that_comes_after_it() -> None:
    """Though nobody called `tick`: a steady stream of messages holds nothing up."""
    federation = Federation("plain")
    server = federation.server()
    server.start(0.0)
    uploads = {who: federation.client(who).start(0.0)[0] for who in federation.clients}
    for who in federation.clients[:4]:
        server.receive(who, uploads[who].data, 9.0)
    assert not server.done
    server.receive(client(4), uploads[client(4)].data, 10.0)
    assert federation.check(server) == federation.clients[:4]


def test_nothing_happens_before_the_start_or_after_the_end() -> None:
    federation = Federation("plain")
    server = federation.server()
    with pytest.raises(LocalProtocolError, match="was not started"):
        server.receive(client(0), b"", 0.0)
    with pytest.raises(LocalProtocolError, match="was not started"):
        server.tick(0.0)
    with pytest.raises(LocalProtocolError, match="is not done"):
        server.result()
    end = federation.client(client(0))
    with pytest.raises(LocalProtocolError, match="is not done"):
        end.check()
    server.start(0.0)
    with pytest.raises(LocalProtocolError, match="started twice"):
        server.start(0.0)
    server.tick(20.0)
    assert server.done
    assert server.receive(client(0), b"anything", 21.0) == []
    assert server.tick(22.0) == []


@pytest.mark.parametrize("now", [4.9, float("nan"), float("inf")])
def test_a_clock_that_is_none(now: float) -> None:
    server = Federation("plain").server()
    server.start(5.0)
    with pytest.raises(LocalProtocolError, match="monotonic clock"):
        server.tick(now)


def test_messages_have_no_place_in_a_log() -> None:
    (said,) = Federation("secagg").client(client(1)).start(0.0)
    assert repr(said) == f"Outgoing(to=server 0, {len(said.data)} bytes)"


def test_messages_in_buffers_that_are_used_again() -> None:
    """Vectors are added up a few at a time: what was received must not change in between."""
    federation = Federation("secagg")
    buffer = bytearray(1 << 16)

    ends = federation.everybody()
    channel = Channel({who: end for who, end in ends.items() if who != SERVER})
    server = ends[SERVER]
    channel.post(SERVER, server.start(channel.now))
    for who in federation.clients:
        channel.post(who, ends[who].start(channel.now))
    while channel.queue:
        sender, (to, data) = channel.queue.popleft()
        view = memoryview(buffer)[: len(data)]
        view[:] = data
        channel.post(to, ends[to].receive(sender, view, channel.now))
        buffer[:] = bytes(len(buffer))
    assert isinstance(server, ServerEndpoint)
    assert federation.check(server) == federation.clients
