"""What goes between processes of one machine: an enclave, encryption workers, simulations."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np
from conformance.scenario import Scenario
from fuzz.columns import chosen, numbered
from fuzz.target import Target, join_body, split_body

from secagg import protocols
from secagg.attestation import EVIDENCE_BYTES, SimulatedPlatform
from secagg.crypto.rng import seeded
from secagg.enclave import channel
from secagg.enclave.child import Sessions
from secagg.errors import LocalProtocolError, SecaggError
from secagg.he import channel as he_channel
from secagg.he import jobs
from secagg.he.parameters import derive_bfv, derive_ckks
from secagg.protocol import Session, Task
from secagg.protocols._enclave import messages
from secagg.runner import parcels
from secagg.runner.isolation import EnclaveHost, IsolatedParty
from secagg.runner.recipe import Recipe
from secagg.types import ENCLAVE, SERVER, Secret, client
from secagg.wire import Envelope

REFUSALS = (SecaggError, EOFError)
MEGABYTE = 1 << 20


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(8, "big") + body


@cache
def world() -> Scenario:
    return Scenario(protocols.get("enclave"), 3, {"dropout": "0.25", "length": 5})


def opening(session: Session) -> channel.Open:
    roster = session.roster
    return channel.Open(
        plan=msgspec.msgpack.encode(session.plan),
        epoch=roster.epoch,
        clients=roster.clients,
        keys=roster.keys,
        authority=roster.authority,
        job=session.job,
        training_round=session.training_round,
        model_digest=session.model_digest,
        nonce=session.nonce,
    )


def _enclave_request(data: bytes) -> bytes:
    """A body gets its length in front; what comes out is answered by an enclave."""
    request = channel.read_request(io.BytesIO(framed(data)).read)
    sessions = Sessions(SimulatedPlatform(Secret(b"p" * 32), b"m" * 32, 0))
    if not isinstance(request, channel.Open):
        sessions.reply(opening(world().session))
        sessions.reply(channel.Start(world().session.id))
    sessions.reply(request)
    return channel.encode(request)[channel.LENGTH_BYTES :]


def _enclave_requests() -> Iterator[bytes]:
    session = world().session
    said = [one.message for one in world().party(client(0)).start() if hasattr(one, "message")]
    assert not said
    for request in (
        opening(session),
        channel.Start(session.id),
        channel.Offer(session.id, client(0), b"", "seal"),
        channel.Offer(session.id, client(0), b"SAGG" + bytes(56), ""),
        channel.Proceed(session.id),
    ):
        yield channel.encode(request)[channel.LENGTH_BYTES :]


class Host:
    """The host of a process that answers what it is told to."""

    cpu_seconds = 0.0

    def __init__(self) -> None:
        self.reply = channel.Reply("now", (), "", 0.0, "")

    def ask(self, request: channel.Request) -> channel.Reply:
        if self.reply.misuse:
            raise LocalProtocolError(self.reply.misuse)
        return self.reply

    def close(self) -> None:
        pass


def _enclave_reply(data: bytes) -> bytes:
    """The stand-in of the enclave's party carries out what the process says."""
    reply = channel.read_reply(io.BytesIO(framed(data)).read)
    if isinstance(reply, channel.Reply):
        role = world().offering.roles[ENCLAVE.role]
        attributes = {"phases": role.phases, "table": role.table, "tolerant": role.tolerant}
        kind = type("Isolated", (IsolatedParty,), attributes)
        host = Host()
        party = kind(world().session, ENCLAVE, seeded(1), cast(EnclaveHost, host))
        host.reply = reply
        for effect in party.start():
            repr(effect)
    return channel.encode(reply)[channel.LENGTH_BYTES :]


def _enclave_replies() -> Iterator[bytes]:
    session = world().session
    total = np.zeros(5, session.plan.ring.dtype).tobytes()
    attestation = messages.Attestation(bytes(EVIDENCE_BYTES), b"s" * 32, b"r" * 32, bytes(8))
    envelope = Envelope(session.id, ENCLAVE, client(0), attestation)
    sent = channel.Sent(client(0), messages.TABLE.encode(envelope).join())
    for reply in (
        channel.Ready(b"r" * 32, b"m" * 32, (channel.Safeguard("a", False, "b"),), 0.5),
        channel.Reply("now", (sent,), "collect", 0.5, ""),
        channel.Reply("now", (channel.Released(total, (client(0), client(1))),), "done", 0.5, ""),
        channel.Reply("now", (channel.Accused(client(0), "BadSignature", "why"),), "a", 0.5, ""),
        channel.Reply("early", (channel.Failed("why"),), "failed", 0.5, "a mistake"),
    ):
        yield channel.encode(reply)[channel.LENGTH_BYTES :]


class Wire(io.BytesIO):
    """The end of a socket at which these bytes arrive, and then no more."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.sent = b""

    def recv_into(self, view: memoryview) -> int:
        return self.readinto(view)

    def sendall(self, data: bytes | memoryview) -> None:
        self.sent += bytes(data)


def _he_request(data: bytes) -> bytes:
    wire = Wire(data)
    request, tail = he_channel.read_request(wire.recv_into)
    if isinstance(request, he_channel.Begin):
        request.lattice.check()
        assert 0 < request.row_bytes <= he_channel.MAX_TAIL_BYTES
        assert 0 < request.answer_bytes <= he_channel.MAX_TAIL_BYTES
        assert len(request.lattice.digest) == 32
        jobs.begin(request, bytes(tail))
    return he_channel.head_of(request, len(tail)) + tail + wire.read()


def _he_reply(data: bytes) -> bytes:
    wire = Wire(data)
    reply, tail = he_channel.read_reply(wire.recv_into)
    if isinstance(reply, he_channel.Refused):
        assert str(reply.exception()) == reply.reason
    return he_channel.head_of(reply, len(tail)) + tail + wire.read()


def _he_body(data: bytes) -> bytes:
    """The same with lengths that fit. An odd first byte: a reply."""
    first, body, tail = split_body(data)
    read = _he_reply if first % 2 else _he_request
    again = read(he_channel.LENGTHS.pack(len(body), len(tail)) + body + tail)
    return join_body(first, again[he_channel.LENGTHS.size : len(again) - len(tail)], tail)


def _he_bodies() -> Iterator[bytes]:
    for first, seeds in enumerate((_he_requests(), _he_replies())):
        for seed in seeds:
            head, _ = he_channel.LENGTHS.unpack_from(seed)
            cut = he_channel.LENGTHS.size + head
            yield join_body(first, seed[he_channel.LENGTHS.size : cut], seed[cut:])


def _he_requests() -> Iterator[bytes]:
    for layout in (derive_bfv(3, 1, 4), derive_ckks(3, 1000, 4)):
        begin = he_channel.Begin("decrypt", layout.lattice)
        yield he_channel.head_of(begin, 64) + bytes(64)
        yield he_channel.head_of(he_channel.Begin("encrypt", layout.lattice), 3) + b"key"
    yield he_channel.head_of(he_channel.Batch(), 4) + b"rows"
    yield he_channel.head_of(he_channel.End())


def _he_replies() -> Iterator[bytes]:
    yield he_channel.head_of(he_channel.Ready())
    yield he_channel.head_of(he_channel.Answer(0.25), 3) + b"abc"
    yield he_channel.head_of(he_channel.Refused(0.25, "DecodeError", "why"))


def _port(receive: Callable[[parcels.Port], tuple[Any, list[Any]]]) -> Callable[[bytes], bytes]:
    def decode(data: bytes) -> bytes:
        wire = Wire(data)
        port = parcels.Port(cast(socket.socket, wire))
        port.largest = MEGABYTE
        value, frames = receive(port)
        port.send(value, [frame.tail for frame in frames])
        return wire.sent + wire.read()

    return decode


def _parcel_body(data: bytes) -> bytes:
    """The same with a length that fits. An odd first byte: a reply."""
    first, body, tail = split_body(data)
    port = parcels.Port
    decode = _port(port.receive_reply if first % 2 else port.receive_request)
    again = decode(framed(body) + tail)
    return join_body(first, again[parcels.LENGTH_BYTES : len(again) - len(tail)], tail)


def _parcel_bodies() -> Iterator[bytes]:
    for seed in _parcels():
        start = 1 + parcels.LENGTH_BYTES
        cut = start + int.from_bytes(seed[1:start], "big")
        yield join_body(seed[0], seed[start:cut], seed[cut:])


def _parcels() -> Iterator[bytes]:
    clients = tuple(client(number) for number in range(4))
    recipe = Recipe(
        "plain", Task(clients=clients, length=5, bound=9), bytes(32), 3, ((client(2), 1),), b""
    )
    parcel = parcels.Parcel(client(1), SERVER, b"head", 4)
    account = parcels.Account(client(1), "sum", 0.5, 1, 2, 3, 4, 5, ("why",), None, b"")
    for value, tail in (
        (parcels.Begin(recipe, bytes(32), 0, 2, "portable", 1), b""),
        (parcels.Work((parcel,), False), b"tail"),
        (parcels.Close(), b""),
    ):
        yield b"\0" + framed(msgspec.msgpack.encode(value)) + tail
    for reply, tail in (
        (parcels.Ready(), b""),
        (parcels.Batch((parcel,), True, False), b"tail"),
        (parcels.Accounts((account,), ((SERVER, "why"),), 7), b""),
        (parcels.Broken("why"), b""),
    ):
        yield b"\1" + framed(msgspec.msgpack.encode(reply)) + tail


TARGETS = (
    Target(
        "enclave-request",
        _enclave_request,
        (
            "secagg.enclave.channel:_decoded",
            "secagg.enclave.channel:_body",
            "secagg.enclave.child:_session",
        ),
        _enclave_requests,
        canonical=False,
        refusals=REFUSALS,
        form="packed",
    ),
    Target(
        "enclave-reply",
        _enclave_reply,
        (
            "secagg.enclave.channel:_decoded",
            "secagg.runner.isolation:IsolatedParty._effect",
            "secagg.runner.isolation:IsolatedParty._message",
        ),
        _enclave_replies,
        canonical=False,
        refusals=REFUSALS,
        form="packed",
    ),
    Target(
        "enclave-length",
        lambda data: channel.encode(channel.read_request(io.BytesIO(data).read)),
        ("secagg.enclave.channel:_body",),
        lambda: (framed(body) for body in _enclave_requests()),
        canonical=False,
        refusals=REFUSALS,
    ),
    Target(
        "encryption-workers",
        chosen(_he_request, _he_reply),
        ("secagg.he.channel:_read", "secagg.he.lattice:Lattice.check"),
        numbered(_he_requests, _he_replies),
        canonical=False,
        refusals=REFUSALS,
    ),
    Target(
        "encryption-bodies",
        _he_body,
        ("secagg.he.channel:_read", "secagg.he.lattice:Lattice.check"),
        _he_bodies,
        canonical=False,
        refusals=REFUSALS,
        form="body",
    ),
    Target(
        "parcel-bodies",
        _parcel_body,
        ("secagg.runner.parcels:Port._frames", "secagg.runner.parcels:_decoded"),
        _parcel_bodies,
        canonical=False,
        refusals=REFUSALS,
        form="body",
    ),
    Target(
        "parcels",
        chosen(_port(parcels.Port.receive_request), _port(parcels.Port.receive_reply)),
        (
            "secagg.runner.parcels:Port._body",
            "secagg.runner.parcels:Port._frames",
            "secagg.runner.parcels:_decoded",
        ),
        _parcels,
        canonical=False,
        refusals=REFUSALS,
    ),
)
