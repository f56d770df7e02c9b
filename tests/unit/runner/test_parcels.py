"""What goes between a simulation and its workers: framed, with caps, and nothing else is taken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.errors import DecodeError
from secagg.protocol import Task
from secagg.runner import parcels
from secagg.runner.parcels import (
    Accounts,
    Batch,
    Begin,
    Broken,
    Close,
    Outbox,
    Parcel,
    Port,
    Ready,
    Work,
)
from secagg.runner.recipe import Recipe
from secagg.types import SERVER, client
from secagg.wire import Frame

TASK = Task(clients=tuple(client(number) for number in range(4)), length=5, bound=9)
RECIPE = Recipe("plain", TASK, bytes(32), 3, ((client(2), 1),), b"")


@pytest.fixture
def ends() -> Iterator[tuple[Port, socket.socket]]:
    """A port that takes tails of 10 bytes, and what it is connected to."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    port = Port(ours)
    port.largest = 10
    with theirs:
        yield port, theirs
    port.close()


def framed(value: object) -> bytes:
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(8, "big") + body


def frame(head: bytes, tail: bytes) -> Frame:
    return Frame(head, memoryview(tail))


def parcel(tail: int) -> Parcel:
    return Parcel(client(1), SERVER, b"head", tail)


def test_requests_and_replies_come_back(ends: tuple[Port, socket.socket]) -> None:
    port, theirs = ends
    other = Port(theirs)
    other.largest = 10
    begin = Begin(RECIPE, bytes(32), 1, 2, "portable", 3)
    work = Work((parcel(3), parcel(0), parcel(10)), True)
    for request in (begin, Close()):
        port.send(request)
        assert other.receive_request() == (request, [])
    tails = [memoryview(b"abc"), memoryview(b""), memoryview(b"0123456789")]
    port.send(work, tails)
    got, frames = other.receive_request()
    assert got == work
    assert [(one.head, bytes(one.tail)) for one in frames] == [
        (b"head", b"abc"),
        (b"head", b""),
        (b"head", b"0123456789"),
    ]
    for reply in (Ready(), Batch((), True, False), Accounts((), (), 5), Broken("why")):
        other.send(reply)
        assert port.receive_reply() == (reply, [])
    other.send(Batch((parcel(2),), False, True), [memoryview(b"xy")])
    batch, frames = port.receive_reply()
    assert batch == Batch((parcel(2),), False, True)
    assert [one.join() for one in frames] == [b"headxy"]


@given(noise=st.binary(max_size=200), whole=st.booleans())
def test_noise_is_refused_or_ends(noise: bytes, whole: bool) -> None:
    data = len(noise).to_bytes(8, "big") + noise if whole else noise
    for name in ("receive_request", "receive_reply"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises((DecodeError, EOFError)):
                getattr(Port(ours), name)()


def test_a_cut_message_ends() -> None:
    data = framed(["Batch", [[[1, 1], [2, 0], b"head", 3]], False, False]) + b"abc"
    for length in range(len(data)):
        ours, theirs = socket.socketpair()
        port = Port(ours)
        port.largest = 3
        with ours, theirs:
            theirs.sendall(data[:length])
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises(EOFError):
                port.receive_reply()


PARCEL = [[1, 1], [2, 0], b"head", 3]
ACCOUNT = [[1, 1], "done", 0.5, 1, 1, 1, 1, 0, [], None, bytes(32)]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (["Batch", [], False], "not a message"),
        (["Batch", [], False, False, 1], "not a message"),
        (["Work", [], False], "not a message"),  # a request is no reply
        (["Batch", [[*PARCEL[:3], -1]], False, False], "not a message"),
        (["Batch", [[*PARCEL[:3], (1 << 62) + 1]], False, False], "not a message"),
        (["Batch", [[[9, 1], *PARCEL[1:]]], False, False], "not a message"),  # no such role
        (["Batch", [[*PARCEL[:3], 11]], False, False], "11 announced, 11 of them in one tail"),
        (["Batch", [[*PARCEL[:3], 10]] * 26216, False, False], "262160 announced"),
        (["Accounts", [[*ACCOUNT[:2], -0.5, *ACCOUNT[3:]]], [], 5], "not a message"),
        (["Accounts", [[*ACCOUNT[:2], float("nan"), *ACCOUNT[3:]]], [], 5], "not a message"),
        (["Accounts", [[*ACCOUNT[:10], bytes(33)]], [], 5], "not a message"),
        (["Accounts", [], [[[1, 1], "y" * 1001]], 5], "not a message"),
        (["Broken", "y" * 1001], "not a message"),
    ],
)
def test_what_is_not_a_reply_is_refused(
    ends: tuple[Port, socket.socket], value: Any, complaint: str
) -> None:
    port, theirs = ends
    sender = threading.Thread(target=theirs.sendall, args=(framed(value),))
    sender.start()
    with pytest.raises(DecodeError, match=complaint):
        port.receive_reply()
    sender.join()


def test_the_same_accounts_without_a_flaw_are_taken(ends: tuple[Port, socket.socket]) -> None:
    port, theirs = ends
    theirs.sendall(framed(["Accounts", [ACCOUNT], [[[1, 1], "y" * 1000]], 5]))
    reply, _ = port.receive_reply()
    assert isinstance(reply, Accounts)
    assert reply.accounts[0].given == bytes(32)


def test_a_body_beyond_the_cap_is_refused_before_it_comes(
    ends: tuple[Port, socket.socket],
) -> None:
    port, theirs = ends
    theirs.sendall(((1 << 27) + 1).to_bytes(8, "big"))
    with pytest.raises(DecodeError, match=r"at most 134217728 bytes .* 134217729 announced"):
        port.receive_reply()


def test_an_outbox_is_emptied_in_order_and_in_batches() -> None:
    outbox = Outbox()
    size = parcels.BATCH_BYTES // 2 - 10
    frames = [frame(bytes([number]), bytes(size)) for number in range(7)]
    for one in frames:
        outbox.add(client(1), SERVER, one)
    counts, heads = [], []
    while outbox:
        batch, tails = outbox.batch()
        assert [one.tail for one in batch] == [len(tail) for tail in tails]
        counts.append(len(batch))
        heads += [one.head for one in batch]
    # A batch is closed by the frame that fills it.
    assert counts == [3, 3, 1]
    assert heads == [bytes([number]) for number in range(7)]
    assert outbox.batch() == ((), [])


@given(st.lists(st.integers(0, parcels.BATCH_BYTES + 5), max_size=12))
def test_every_batch_of_an_outbox_is_taken_by_a_port(sizes: list[int]) -> None:
    outbox = Outbox()
    for size in sizes:
        outbox.add(client(1), SERVER, frame(b"", bytes(size)))
    while outbox:
        _, tails = outbox.batch()
        sent = [len(tail) for tail in tails]
        assert max(sent) <= max(sizes)
        assert sum(sent) - max(sent) <= parcels.BATCH_BYTES


def test_an_empty_frame_is_not_forgotten() -> None:
    outbox = Outbox()
    outbox.add(client(1), SERVER, frame(b"", b""))
    assert outbox
    assert outbox.batch() == ((Parcel(client(1), SERVER, b"", 0),), [memoryview(b"")])
    assert not outbox
