"""Records of sessions, receipts and heads: as bytes, and as documents that somebody edited."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from conformance.scenario import Offered, Scenario
from fuzz.columns import chosen, numbered
from fuzz.documents import folder
from fuzz.rounds import tampering
from fuzz.target import Target

from secagg.audit.verification import Anchor, Verification, decode_head, sign_statement, verify
from secagg.cli.verify import _decoded
from secagg.crypto.rng import SEED_BYTES
from secagg.crypto.signing import SigningKey
from secagg.endpoint.survivors import named_in
from secagg.errors import DecodeError, RecordRefused
from secagg.protocol import Effect, Event
from secagg.record import HeadLine, Receipt, ReceiptBook, Recorder, read_record
from secagg.record.frontier import Frontier
from secagg.record.lines import NOTHING_BEFORE, encode, leaf_hash
from secagg.runner import Faults, run
from secagg.types import SERVER, PartyId, Secret, client

PROTOCOLS = ("secagg", "secagg_plus")
CLIENTS = 4
MOST_CHANGES = 8
LARGEST = 4000
SERVER_KEY = SigningKey(Secret(b"\x07" * SEED_BYTES))
VERIFIER = SigningKey(Secret(b"\x08" * SEED_BYTES))

Fields = dict[str, Any]


class _Asked:
    """A witness that reads, of what a client is sent, whom it is asked to help with."""

    def __init__(self, book: ReceiptBook, world: Scenario) -> None:
        self.book, self._session = book, world.session

    def happened(self, event: Event | None, sender: PartyId, effects: Iterable[Effect]) -> None:
        if event is not None:
            named_in(event, self._session)
        self.book.happened(event, sender, effects)


@dataclass(frozen=True)
class Recorded:
    """What is left of a session: its lines, each with its end, and the receipts of its clients."""

    lines: tuple[bytes, ...]
    receipts: tuple[Receipt, ...]


def played(protocol: str, data: bytes) -> Recorded:
    """A session in which some messages arrive changed, recorded by everybody."""
    world = Scenario(Offered.named(f"{protocol}-malicious"), CLIENTS, {"length": 3})
    lines: list[bytes] = []
    recorder = Recorder(world.session, lines.append, salt=b"s" * 32, key=SERVER_KEY)
    clients = [client(number) for number in range(CLIENTS)]
    books = {who: _Asked(ReceiptBook(world.session, who), world) for who in clients}
    run(
        *(world.protocol, world.session, world.inputs, world.rng),
        Faults(tamper=tampering(data)),
        identities=world.identities,
        witnesses={SERVER: recorder, **books},
    )
    recorder.close("it was left")
    receipts = []
    for who, asked in books.items():
        identity = world.identity(who)
        assert identity is not None
        assert identity.key is not None
        receipts.append(asked.book.receipt(identity.key))
    return Recorded(tuple(lines), tuple(receipts))


@cache
def honest(protocol: str) -> Recorded:
    return played(protocol, b"")


def _witnessed(data: bytes) -> None:
    """What was written down of whatever happened holds; the first byte says by which protocol."""
    made = played(PROTOCOLS[data[0] % 2 if data else 0], data[1:])
    found = judged(b"".join(made.lines), (), Anchor(server=SERVER_KEY.public))
    assert found.holds, [verdict for verdict in found.verdicts if verdict.holds is False]
    for receipt in made.receipts:
        assert Receipt.decode(receipt.encoded) == receipt
    judged(b"".join(made.lines), made.receipts, Anchor())


def judged(
    record: bytes, receipts: Sequence[Receipt], anchor: Anchor, heads: Sequence[HeadLine] = ()
) -> Verification:
    """A verdict; what was found can be written down."""
    found = verify(io.BytesIO(record), anchor, receipts, heads)
    assert sign_statement(found, {"record": found.sha256}, {}, VERIFIER)
    return found


Change = tuple[int, int, int, Any]
"""Which document, what happens to it, which field, and a value."""


def _edited(data: bytes) -> None:
    """A record and its receipts, some of them changed, by somebody who knows the format.

    With the server's key, and its signature on the head, nothing but the real record holds, and
    no receipts but the real ones. Without, everything is judged or refused.
    """
    try:
        number, changes = msgspec.msgpack.decode(data, type=tuple[int, list[Change]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(str(error)) from None
    real = honest(PROTOCOLS[number % 2])
    lines = [msgspec.json.decode(line) for line in real.lines]
    kept = [msgspec.json.decode(one.encoded) for one in real.receipts]
    for change in changes[:MOST_CHANGES]:
        _change(lines, kept, change)
    try:
        receipts = [Receipt.decode(msgspec.json.encode(one) + b"\n") for one in kept]
        records = [b"".join(msgspec.json.encode(one) + b"\n" for one in lines), repaired(lines)]
    except (TypeError, ValueError) as error:
        # A value of MessagePack that is none of JSON.
        raise DecodeError(str(error)) from None
    head = decode_head(real.lines[-1])
    refused = 0
    for record in records:
        for anchor in (Anchor(server=SERVER_KEY.public), Anchor()):
            try:
                found = judged(record, receipts, anchor, (head,))
            except RecordRefused:
                refused += 1
                continue
            if found.holds and anchor.server is not None:
                assert record == b"".join(real.lines)
                assert set(map(_text, receipts)) <= set(map(_text, real.receipts))
    if refused == 2 * len(records):
        raise RecordRefused("as it is, and repaired")


def _text(receipt: Receipt) -> bytes:
    return receipt.encoded


def _change(lines: list[Fields], receipts: list[Fields], change: Change) -> None:
    which, how, field, value = change
    place = which % (len(lines) + len(receipts) or 1)
    documents = lines if place < len(lines) else receipts
    place -= 0 if documents is lines else len(lines)
    if not documents:
        return
    one = documents[place]
    names = list(one) or ["line"]
    name = names[field % len(names)]
    match how % 8:
        case 0:
            del documents[place]
        case 1:
            documents.insert(field % (len(documents) + 1), dict(one))
        case 2:
            del documents[place:]
        case 3 if isinstance(value, int):
            # The same field of another document, where that has one.
            one[name] = documents[value % len(documents)].get(name, one.get(name))
        case 4 if isinstance(one.get(name), str) and one[name]:
            at = value % len(one[name]) if isinstance(value, int) else 0
            one[name] = one[name][:at] + "0" + one[name][at + 1 :]
        case 5:
            one.pop(name, None)
        case _:
            one[name] = value


def repaired(lines: Sequence[Fields]) -> bytes:
    """A record whose chain, tree and head fit."""
    tree, previous, made = Frontier(), NOTHING_BEFORE, []
    for fields in lines:
        line = fields | {"previous": previous}
        if line.get("line") == "head":
            size, (root, _) = tree.size, tree.close()
            line |= {"size": size, "root": root.hex()}
            tree = Frontier()
        data = msgspec.json.encode(line)
        made.append(data + b"\n")
        leaf = leaf_hash(data)
        previous = leaf.hex()
        tree.add(leaf)
    return b"".join(made)


def _edits() -> Iterator[bytes]:
    for number in range(len(PROTOCOLS)):
        last = len(honest(PROTOCOLS[number]).lines)
        for changes in (
            [],
            [[0, 6, 12, 1 << 62]],
            [[0, 6, 13, "0.1"]],
            [[7, 0, 0, None]],
            [[7, 1, 9, None], [9, 3, 3, 8]],
            [[last - 2, 6, 3, "00" * 32]],
            [[last - 4, 4, 4, 1]],
            [[last, 4, 4, 1]],
            [[last + 1, 6, 10, [0, 1]]],
            [[last - 3, 2, 0, None]],
        ):
            yield msgspec.msgpack.encode([number, changes])


def _record(data: bytes) -> bytes:
    return b"".join(encode(placed.line) + b"\n" for placed in read_record(io.BytesIO(data)))


def _receipt(data: bytes) -> bytes:
    path = folder() / "receipt"
    path.write_bytes(data)
    return _decoded(path, Receipt.decode).encoded


def _head(data: bytes) -> bytes:
    return encode(decode_head(data)) + b"\n"


def _records() -> Iterator[bytes]:
    """A line of each kind, as far as fits: the order is for others to judge."""
    for protocol in PROTOCOLS:
        kinds = {msgspec.json.decode(line)["line"]: line for line in honest(protocol).lines}
        yield b"".join(kinds.values())[:LARGEST].rpartition(b"\n")[0] + b"\n"


def _witnessed_seeds() -> Iterator[bytes]:
    for number in range(len(PROTOCOLS)):
        yield bytes((number,))
        for which in range(1, 42, 8):
            yield (
                bytes((number,)) + which.to_bytes(2, "big") + (which * 5).to_bytes(2, "big") + b"\1"
            )


_CONVERSATION = "secagg.audit.verification.conversation:"

TARGETS = (
    Target(
        "record",
        chosen(_record, _receipt, _head),
        (
            "secagg.record.reader:read_record",
            "secagg.record.reader:decode_line",
            "secagg.record.reader:_check_format",
            "secagg.record.receipt:Receipt.decode",
            "secagg.audit.verification.heads:decode_head",
            "secagg.cli.verify:_decoded",
        ),
        numbered(
            _records,
            lambda: (honest("secagg").receipts[0].encoded,),
            lambda: (honest("secagg").lines[-1],),
        ),
    ),
    Target(
        "record-edited",
        _edited,
        (
            *(
                f"{_CONVERSATION}Conversation.{name}"
                for name in (
                    *("_keys", "_root", "_root_signature", "_fix_cohort", "_book", "_shares"),
                    *("_vector", "_survivor_signature", "_answer", "_check"),
                )
            ),
            f"{_CONVERSATION}_public_keys",
            "secagg.audit.verification.heads:judge_server",
            "secagg.audit.verification.heads:_wrong",
            "secagg.audit.verification.judge:_Judge._of_inclusion",
            "secagg.audit.verification.opening:_session",
            "secagg.audit.verification.receipts:ReceiptJudge._check_signed",
            "secagg.audit.verification.receipts:ReceiptJudge._check_shown",
        ),
        _edits,
        form="packed",
    ),
    Target(
        "record-witnessed",
        _witnessed,
        (
            "secagg.endpoint.survivors:named_in",
            "secagg.record.published:Publisher._made",
            "secagg.record.published:Publisher._share_root",
            "secagg.record.receipt:ReceiptBook.receipt",
            "secagg.record.recorder:Recorder._begin",
        ),
        _witnessed_seeds,
    ),
)
