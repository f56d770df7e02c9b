"""What lies on a client's disk: ledgers, and records as they are sealed."""

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
from secagg.errors import LedgerError, NearIdenticalCohort
from secagg.ledger import FileStorage, Keeper, Ledger, MemoryStorage, Participation, Taken
from secagg.ledger.entries import Chain
from secagg.ledger.sealing import SALT_BYTES, Sealer
from secagg.protocol import ClientPolicy, Record
from secagg.types import Secret

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
    world = scenario()  # of its own: another's generator has been drawn from
    session, storage, rng = world.session, MemoryStorage(), seeded(1)
    Ledger.create(storage, owner_of(session), DEVICE, rng)
    ledger = Ledger.open(storage, owner_of(session), DEVICE, rng, sessions_per_round=1)
    policy = ClientPolicy.accepting(world.plan)
    keeper = Keeper(ledger, world.protocol, session, VICTIM, rng, policy)
    World(lambda: KeptVictim(keeper), world).run()
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


def _participation(data: bytes) -> bytes:
    """Who took part in which sums; the last of them is checked against all of them."""
    record = Participation.decode(data)
    for taken in record.sums[-1:]:
        record.overlaps(taken)
        record.singled_out(taken.model)
        with suppress(NearIdenticalCohort):
            record.check(taken)
    return record.encode()


def _participations() -> Iterator[bytes]:
    record = Participation()
    yield record.encode()
    for number, model, included in (
        (0, b"one", (0, 1, 2, 3, 4)),
        (1, b"two", (0, 1, 2, 3)),
        (2, b"one", (0, 5, 6)),
    ):
        record.add(Taken(bytes((number,)) * 32, number, model, included))
    yield record.encode()


TARGETS = (
    Target(
        "participation",
        _participation,
        ("secagg.ledger.participation:Participation.decode",),
        _participations,
        form="packed",
    ),
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
)
