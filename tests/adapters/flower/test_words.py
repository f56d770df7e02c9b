"""Whatever somebody else wrote is what it was written as, or refused with an error of secagg's."""

from __future__ import annotations

import base64
import random
import socket
import struct
import threading
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from adapters.flower.nodes import Trainer, messages, nodes
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from fuzz.mutation import changed
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.enrolment import people

from secagg.adapters.flower import RemoteDecryptor, SecureGrid, serve_decryptor, words
from secagg.adapters.flower.form import Form, Metric
from secagg.adapters.flower.node import roster_bytes
from secagg.adapters.flower.state import (
    _PLACE,
    SALT_BYTES,
    RecordStorage,
    Results,
    _key,
    _open,
    _seal,
)
from secagg.crypto import chunked
from secagg.crypto.rng import seeded
from secagg.endpoint import Invitation
from secagg.endpoint.invitation import Tensor
from secagg.errors import LedgerError, RoundFailed, SecaggError
from secagg.protocol import Level
from secagg.types import Secret

DEVICE = Secret(b"d" * 32)
TENSORS = (Tensor("weight", (2, 2), "float32"), Tensor("steps", (), "int64"))
WORDS: tuple[words.Word, ...] = (
    words.Hello("0.1.0", "job", "secagg", Level.CURIOUS, 3),
    words.Hello("0.1.0", "job", "secagg", Level.MALICIOUS, None),
    words.Welcome("0.1.0", 3),
    words.Work("job", 1, "num-examples", 2.0, 1000, 100.0, True, 2.0**-20),
    words.Worked(Form("arrays", TENSORS, "metrics", (Metric("loss", None), Metric("each", 3)))),
    words.Step("job", 3, b"an invitation"),
    words.Stepped(),
)
HEAD = struct.Struct(">cQ")
VALUES = st.one_of(
    *(st.none(), st.integers(), st.binary(max_size=9), st.text(max_size=9), st.booleans()),
)


def records(version: Any, body: Any, frames: Any = None) -> RecordDict:
    made = RecordDict({words.RECORD: ConfigRecord({"version": version, "body": body})})
    if frames is not None:
        made[words.FRAMES] = frames
    return made


def read(content: RecordDict) -> None:
    """A word that is taken packs as one that is taken, and stays the same; so do its messages."""
    try:
        word, frames = words.unpack(content)
        form = word.form if isinstance(word, words.Worked) else None
        if form is not None:
            assert form.layout.length
            assert not form.differs(form)
    except SecaggError:
        return
    again, same = words.unpack(words.pack(word, frames))
    assert (repr(again), same) == (repr(word), frames)


def body_of(word: words.Word) -> bytes:
    body = words.pack(word)[words.RECORD]["body"]
    assert isinstance(body, bytes)
    return body


@given(st.binary(max_size=400))
@example(b"")
@example(b"\x91" * 400)
@example(msgspec.msgpack.encode(["hello", b"\xff", "\x00", 3, 4, 5]))
@example(b"\x93\xa7welcome\xa1\xff\x03")
def test_bytes_are_a_word_or_refused(body: bytes) -> None:
    read(records(words.VERSION, body))


@pytest.mark.parametrize("word", WORDS)
@given(st.integers(0, 1 << 32))
@settings(max_examples=150)
def test_a_changed_word_is_one_or_refused(word: words.Word, seed: int) -> None:
    draw = random.Random(seed)
    value: Any = msgspec.msgpack.decode(body_of(word))
    for _ in range(draw.randrange(1, 4)):
        value = changed(value, draw)
    try:
        body = msgspec.msgpack.encode(value)
    except (ValueError, OverflowError):
        return
    read(records(words.VERSION, body))


@given(st.one_of(st.integers(-2, 3), st.floats(), st.text(max_size=3), st.binary(max_size=3)))
def test_another_version_is_refused(version: Any) -> None:
    content = records(version, body_of(WORDS[0]))
    if version == words.VERSION:
        read(content)
        return
    with pytest.raises(SecaggError):
        words.unpack(content)


ARRAYS = st.builds(
    Array,
    st.sampled_from(["uint8", "float32", "float8", ""]),
    st.sampled_from([(3,), (), (-1,), (1 << 62, 0)]),
    st.sampled_from(["secagg.frame", "numpy.ndarray", ""]),
    st.binary(max_size=9),
)


@given(st.dictionaries(st.sampled_from(["0", "1", "2", "00", "-1", "x", ""]), ARRAYS, max_size=70))
def test_messages_beside_a_word_are_bytes_or_refused(arrays: dict[str, Array]) -> None:
    read(records(words.VERSION, body_of(WORDS[-1]), ArrayRecord(dict(arrays))))


def test_messages_of_another_kind_and_too_many_are_refused() -> None:
    one = Array("uint8", (1,), "", b"a")
    many = ArrayRecord({str(number): one for number in range(words.MAX_FRAMES + 1)})
    for frames in (MetricRecord({"0": 1}), ConfigRecord({"0": b"a"}), many):
        with pytest.raises(SecaggError):
            words.unpack(records(words.VERSION, body_of(WORDS[-1]), frames))


@given(st.one_of(VALUES, st.text(alphabet="AZaz09+/=\n é\ud800"), st.floats()))
@example("é")
@example("AA=A")
@example("A")
def test_a_roster_is_base64_or_refused(value: object) -> None:
    try:
        data = roster_bytes(value)
    except SecaggError:
        return
    assert isinstance(value, str)
    assert len(data) <= len(value)


def test_a_real_roster_is_read() -> None:
    assert roster_bytes(base64.b64encode(people.signed()).decode()) == people.signed()


@cache
def sealed() -> bytes:
    results = Results("job", 3, b"m" * 32, 100, TENSORS, b"i" * 32)
    return bytes(_seal(results, np.arange(5, dtype=np.float32), DEVICE, seeded(1)))


@given(VALUES)
@example(sealed()[:40])
@example(b"s" * 32)
def test_other_bytes_are_no_results(value: object) -> None:
    with pytest.raises(LedgerError):
        _open(value, DEVICE, "here")


@given(st.integers(0, len(sealed()) - 1), st.integers(1, 255), st.booleans())
def test_changed_results_are_refused(place: int, bits: int, cut: bool) -> None:
    changed_ = bytearray(sealed())
    changed_[place] ^= bits
    with pytest.raises(LedgerError):
        _open(sealed()[:place] if cut else bytes(changed_), DEVICE, "here")
    kept, vector = _open(sealed(), DEVICE, "here")
    assert vector is not None
    assert kept.job == "job"


def opened(ending: bytes) -> None:
    """Under this device's own key: not forged, and perhaps of another form."""
    salt = b"s" * SALT_BYTES
    made = chunked.seal(_key(DEVICE, salt), memoryview(b""), _PLACE, ending=ending, clear=salt)
    try:
        kept, vector = _open(bytes(made), DEVICE, "here")
    except LedgerError:
        return
    head = msgspec.msgpack.encode(kept)
    values = b"" if vector is None else vector.tobytes()
    assert values + head + len(head).to_bytes(8, "big") == ending


HEADS = st.sampled_from(
    (msgspec.msgpack.encode(Results("job", 3, b"m", 100, TENSORS)), b"", b"\x96\xa1\xff")
)


@given(st.binary(max_size=40), HEADS, st.integers(-60, 60))
@settings(max_examples=300)
def test_what_this_device_sealed_is_read_or_refused(values: bytes, head: bytes, more: int) -> None:
    opened(values + head + (max(0, len(head) + more)).to_bytes(8, "big"))


@given(st.binary(max_size=60))
@example(bytes(7))
@example(b"\xff" * 8)
def test_any_bytes_that_this_device_sealed_are_read_or_refused(ending: bytes) -> None:
    opened(ending)


@pytest.mark.parametrize("short", [0, 8, 12])
def test_a_length_beyond_all_that_is_there_is_refused(short: int) -> None:
    """It would count from the other end."""
    head = msgspec.msgpack.encode(Results("job", 3, b"m", 100, TENSORS))
    size = 2 * len(head) + short
    salt = b"s" * SALT_BYTES
    ending = head + size.to_bytes(8, "big")
    made = chunked.seal(_key(DEVICE, salt), memoryview(b""), _PLACE, ending=ending, clear=salt)
    with pytest.raises(LedgerError, match="cannot be all but the vector"):
        _open(bytes(made), DEVICE, "here")


@given(st.text(max_size=20))
@example("xyz/key")
@example("AB/key")
def test_names_in_a_record_are_sessions_or_refused(name: str) -> None:
    content = RecordDict({"secagg.ledger": ConfigRecord({name: b"data"})})
    try:
        found = RecordStorage(content).sessions()
    except LedgerError:
        return
    assert all(f"{session.hex()}/" == name[: 2 * len(session) + 1] for session in found)


@cache
def asked() -> tuple[bytes, ...]:
    """All that a grid sends to a decryptor in a session."""
    kept: list[bytes] = []
    ours, theirs = socket.socketpair()

    class Kept(RemoteDecryptor):
        def _ask(self, kind: bytes, data: bytes) -> list[bytes]:
            kept.append(HEAD.pack(kind, len(data)) + data)
            return super()._ask(kind, data)

    thread = threading.Thread(target=serve_decryptor, args=(theirs,), daemon=True)
    thread.start()
    grid = nodes(Trainer(3), "bfv")
    with ours:
        secure = SecureGrid(grid, "bfv", clock=grid.time.clock, decryptor=Kept(ours))
        secure.send_and_receive(messages(secure))
    thread.join(10)
    theirs.close()
    return tuple(kept)


def served(stream: bytes) -> None:
    """A decryptor at the end of a stream that somebody else wrote, and then hung up."""
    ours, theirs = socket.socketpair()

    def write() -> None:
        # It may be gone before it has read everything.
        with suppress(OSError):
            ours.sendall(stream)
            ours.shutdown(socket.SHUT_WR)
            while ours.recv(1 << 20):
                pass

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        with theirs:
            serve_decryptor(theirs)
    finally:
        thread.join(10)
        ours.close()


@given(st.binary(max_size=60))
@example(b"")
@example(b"I" + (5).to_bytes(8, "big") + b"ab")
@example(b"F" + (2).to_bytes(8, "big") + b"ab")
@settings(max_examples=60, deadline=None)
def test_a_decryptor_ends_well_or_with_an_error_of_ours(stream: bytes) -> None:
    with suppress(SecaggError):
        served(stream)


def spoiled(said: list[bytes], draw: random.Random) -> list[bytes]:
    """Some of these messages changed, cut, repeated or left out."""
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(said))
        one = bytearray(said[place])
        match draw.randrange(4):
            case 0:
                said[place] = bytes(one[: draw.randrange(len(one) + 1)])
            case 1:
                said.insert(draw.randrange(len(said) + 1), bytes(one))
            case 2 if one:
                one[draw.randrange(min(len(one), 400))] ^= 1 << draw.randrange(8)
                said[place] = bytes(one)
            case _:
                said = said[place:]
    return said


@given(st.integers(0, 1 << 32))
@settings(max_examples=40, deadline=None)
def test_a_decryptor_of_changed_messages(seed: int) -> None:
    with suppress(SecaggError):
        served(b"".join(spoiled(list(asked()), random.Random(seed))))


@given(st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_a_decryptor_of_a_changed_invitation(seed: int) -> None:
    draw = random.Random(seed)
    first, *rest = asked()
    fields: Any = msgspec.msgpack.decode(first[HEAD.size :])
    for _ in range(draw.randrange(1, 4)):
        fields = changed(fields, draw)
    try:
        body = msgspec.msgpack.encode(fields)
    except (ValueError, OverflowError):
        return
    with suppress(SecaggError):
        served(HEAD.pack(b"I", len(body)) + body + b"".join(rest))


@pytest.mark.parametrize("cut", [3, 9, 40])
def test_a_server_that_hangs_up_ends_a_decryptor(cut: int) -> None:
    """In the middle of a message, or with an answer unread."""
    served(asked()[0][:cut])
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(b"".join(asked()[:1]) * 2)
        ours.close()
        serve_decryptor(theirs)


@pytest.mark.parametrize("protocol", ["plain", "secagg"])
def test_a_session_without_a_decryptor_is_refused_by_one(protocol: str) -> None:
    (first, *_) = asked()
    fields = msgspec.msgpack.decode(first[HEAD.size :])
    assert Invitation.decode(msgspec.msgpack.encode(fields)).protocol == "bfv"
    body = msgspec.msgpack.encode([protocol if one == "bfv" else one for one in fields])
    with pytest.raises(SecaggError):
        served(HEAD.pack(b"I", len(body)) + body)


@given(st.binary(max_size=60))
@example((1).to_bytes(8, "big") + (5).to_bytes(8, "big") + b"ab")
@example((1 << 16).to_bytes(8, "big"))
@settings(max_examples=60, deadline=None)
def test_whatever_a_decryptor_answers_is_messages_or_a_failed_round(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        try:
            said = RemoteDecryptor(ours, timeout=5).begin(b"an invitation")
        except RoundFailed:
            return
    count = len(answer) - 8 * (len(said) + 1)
    assert sum(map(len, said)) <= count
