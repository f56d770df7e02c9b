"""What lies on a client's disk: ledgers, sealed records, a party's memory."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache

import msgspec
from conformance.scenario import Scenario
from fuzz.documents import folder
from fuzz.target import Target
from unit.ledger.world import DEVICE, VICTIM, KeptVictim, World, opened, owner_of, scenario

from secagg.crypto import chunked
from secagg.crypto.rng import seeded
from secagg.errors import DecodeError, LedgerError
from secagg.ledger import FileStorage, Keeper, Ledger, MemoryStorage
from secagg.ledger.entries import Chain
from secagg.ledger.ledger import _sends
from secagg.ledger.sealing import SALT_BYTES, Sealer
from secagg.protocol import ClientPolicy, Input, Record, Remember
from secagg.protocol.memory import CLOSED, Memory, RecordHead
from secagg.types import SERVER, Secret
from secagg.wire import Message

SESSION = bytes(32)
OWNER = b"o" * 32
KEY = Secret(b"k" * 32)
_LENGTH = struct.Struct(">I")


@cache
def of() -> Scenario:
    return scenario()


@cache
def used() -> MemoryStorage:
    """A ledger with one answered session, one given up, and one that is running."""
    session, storage, rng = of().session, MemoryStorage(), seeded(1)
    Ledger.create(storage, owner_of(session), DEVICE, rng)
    ledger = Ledger.open(storage, owner_of(session), DEVICE, rng, sessions_per_round=1)
    policy = ClientPolicy.accepting(of().plan)
    keeper = Keeper(ledger, of().protocol, session, VICTIM, rng, policy)
    World(lambda: KeptVictim(keeper), of()).run()
    ledger.open_session(b"g" * 32, 1)
    ledger.give_up(b"g" * 32)
    ledger.open_session(b"r" * 32, 2)
    ledger.close()
    return storage


def _log(data: bytes) -> bytes:
    """A log as it may lie on a disk; what is cut short at its end is no part of it."""
    chain, log = Chain.read(data, owner_of(of().session), DEVICE, "log")
    link, found = log.first, data[: log.entries[0].offset if log.entries else log.end]
    for placed in log.entries:
        piece, link = chain.entry(link, placed.entry)
        found += piece
    return found + data[log.end :]


def _logs() -> Iterator[bytes]:
    yield used().log
    yield used().log[:-5]


def _entries(data: bytes) -> bytes | None:
    """A header, and then bodies of entries, each with its length, chained as the device would."""
    cut, *bodies = list(_pieces(data))
    body = cut
    head = struct.pack(">4sBI", b"SAGL", 1, len(body)) + body
    try:
        nonce = msgspec.msgpack.decode(body)[3]
        chain = Chain._keyed(DEVICE, nonce)
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError):
        chain = Chain._keyed(DEVICE, b"")
    link = chain._tag(b"header", head)
    log = head + link
    for body in bodies:
        length = _LENGTH.pack(len(body))
        log += length + chain._tag(b"length", link, length)[:16] + body
        link = chain._tag(b"entry", link, body)
        log += link
    return None if _log(log) == log else b"an entry in another encoding"


def _pieces(data: bytes) -> Iterator[bytes]:
    while True:
        (size,) = _LENGTH.unpack(data[:4].ljust(4, b"\0"))
        size %= 1 << 10
        yield data[4 : 4 + size]
        data = data[4 + size :]
        if not data:
            return


def _entry_seeds() -> Iterator[bytes]:
    log, start = used().log, 9
    size = _LENGTH.unpack_from(log, 5)[0]
    found = _LENGTH.pack(size) + log[start : start + size]
    _, read = Chain.read(log, owner_of(of().session), DEVICE, "log")
    for placed in read.entries:
        body = log[placed.offset + 20 : placed.end - 32]
        found += _LENGTH.pack(len(body)) + body
    yield found


def _mark(data: bytes) -> None:
    """A mark beside a good log: it opens only if this is its mark, or the one before."""
    storage = MemoryStorage()
    storage.create(used().log, data)
    storage.stored = {session: dict(items) for session, items in used().stored.items()}
    opened(storage, of().session).close()


def _directory(data: bytes) -> None:
    """A ledger in files, one session's directory under another name."""
    root = folder() / "ledger"
    if not root.exists():
        FileStorage(root).create(used().log, used().mark)
    name = data.decode("utf-8", "surrogateescape")
    if len(data) > 255 or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise LedgerError("no name of a file", place=str(root))
    path = root / "sessions" / name
    path.mkdir()
    try:
        for session in FileStorage(root).sessions():
            assert session.hex() == name
            assert not FileStorage(root).items(session)
    finally:
        path.rmdir()


def _sealed(data: bytes) -> bytes | None:
    """What a sealed record holds, sealed; and as it is. The salt comes first."""
    sealer = Sealer(OWNER, DEVICE)
    salt, plaintext = data[:SALT_BYTES].ljust(SALT_BYTES, b"\0"), data[SALT_BYTES:]
    once = sealer._key(SESSION, 0, KEY, salt)
    place = sealer._place(SESSION, 0, KEY)
    sealed = chunked.seal(once, memoryview(plaintext), place, clear=salt)
    record = sealer.open(sealed, SESSION, 0, KEY)
    found = bytes(record.tail) + record.head + len(record.head).to_bytes(8, "big")
    return data if found == plaintext else salt + found


def _raw_sealed(data: bytes) -> None:
    # The first byte: as a final record, or as any other.
    Sealer(OWNER, DEVICE).open(data[1:], SESSION, 0, None if data[:1] == b"\1" else KEY)


@cache
def records() -> tuple[Record, ...]:
    """What the parties of a small session remember, small ones."""
    found = []
    world = of()
    party = world.party(VICTIM)
    effects = [*party.start(), *party.handle(Input(world.inputs[VICTIM]), VICTIM)]
    found += [one.record for one in effects if isinstance(one, Remember)]
    server = world.party(SERVER)
    found += [one.record for one in server.start() if isinstance(one, Remember)]
    for each in world.plan.task.clients:
        for one in world.party(each).start():
            if isinstance(message := getattr(one, "message", None), Message):
                answers = server.handle(message, each)
                found += [one.record for one in answers if isinstance(one, Remember)]
    return tuple(found)


def _memory(data: bytes) -> bytes:
    """A record's head, and a tail of some bytes: its event, or what is left of a party."""
    size = data[0] if data else 0
    tail, head = data[1 : 1 + size], data[1 + size :]
    party = of().party(VICTIM)
    memory = Memory(of().session, VICTIM, party.table)
    record = Record(head, memoryview(tail))
    found = RecordHead.parse(record)
    repr(found)
    with suppress(DecodeError):
        memory.read(record)
    if found.type == CLOSED:
        state = memory.closed(found)
        repr(state)
        list(memory.effects(state))
        _sends(record)
    else:
        event, sender = memory.event(found, record.tail)
        assert memory.digest_of(event, sender)
        again = memory.happened(found.sequence, event, sender)
        assert bytes(again.tail) == tail or not isinstance(event, Message | Input)
    return data[: 1 + size] + msgspec.msgpack.encode(found)


def _memory_seeds() -> Iterator[bytes]:
    for record in records():
        tail = bytes(record.tail)
        if len(tail) < 256:
            yield bytes((len(tail),)) + tail + record.head
    memory = Memory(of().session, VICTIM, of().party(VICTIM).table)
    yield b"\0" + memory.ended(3, b"e" * 32, "ended", ()).head


def _fixed(*seeds: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(seeds)


def _sealed_seeds() -> Iterator[bytes]:
    yield b"s" * SALT_BYTES + b"tail" + b"head" + (4).to_bytes(8, "big")
    yield b"s" * SALT_BYTES + b"head" + (4).to_bytes(8, "big")


def _raw_seeds() -> Iterator[bytes]:
    record = Record(b"head", memoryview(b"tail"))
    for number, key in enumerate((KEY, None)):
        sealed = Sealer(OWNER, DEVICE).seal(record, SESSION, 0, key, seeded(2))
        yield bytes((number,)) + sealed


TARGETS = (
    Target(
        "ledger-log",
        _log,
        ("secagg.ledger.entries:Chain._opened", "secagg.ledger.entries:Chain._entries"),
        _logs,
    ),
    Target(
        "ledger-entries",
        _entries,
        ("secagg.ledger.entries:Chain._opened", "secagg.ledger.entries:Chain._entries"),
        _entry_seeds,
    ),
    Target(
        "ledger-mark",
        _mark,
        ("secagg.ledger.entries:Chain._parsed_mark",),
        lambda: (used().mark,),
    ),
    Target(
        "ledger-directory",
        _directory,
        ("secagg.ledger.files:FileStorage.sessions", "secagg.ledger.storage:session_named"),
        _fixed(b"ab" * 32, b"AB", b" ab", b"key"),
    ),
    Target("sealed-record", _sealed, ("secagg.ledger.sealing:Sealer.open",), _sealed_seeds),
    Target(
        "sealed-bytes",
        _raw_sealed,
        ("secagg.ledger.sealing:Sealer.open", "secagg.crypto.chunked:open_sealed"),
        _raw_seeds,
    ),
    Target(
        "memory",
        _memory,
        (
            "secagg.protocol.memory:RecordHead.parse",
            "secagg.protocol.memory:Memory.event",
            "secagg.protocol.memory:Memory.closed",
            "secagg.protocol.memory:Memory.effects",
            "secagg.ledger.ledger:_sends",
        ),
        _memory_seeds,
        canonical=False,
    ),
)
