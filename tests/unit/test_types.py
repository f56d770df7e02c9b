from __future__ import annotations

import copy
import pickle

import msgspec
import numpy as np
import pytest

from secagg.errors import (
    LocalProtocolError,
    ParameterError,
    ProtocolError,
    RemoteProtocolError,
    UnknownParty,
)
from secagg.types import SERVER, PartyId, Ring, Secret, client


@pytest.mark.parametrize(
    ("count", "bound", "bits"),
    [
        (1, 1, 2),
        (2, 1, 3),
        (100, 1 << 22, 30),
        (128, 1 << 22, 31),
        (2, 1 << 61, 64),
        (2, (1 << 61) - 1, 63),
        (2, 2**62 - 1, 64),
    ],
)
def test_a_ring_is_the_smallest_that_cannot_wrap(count: int, bound: int, bits: int) -> None:
    ring = Ring.for_sum(count, bound)
    assert ring.bits == bits
    assert count * bound < 1 << (ring.bits - 1)
    assert count * bound >= 1 << (ring.bits - 2)
    assert ring.dtype.itemsize * 8 == ring.lane_bits >= bits


def test_a_sum_that_fits_no_ring_is_refused() -> None:
    with pytest.raises(ParameterError, match="needs a ring of 66 bits"):
        Ring.for_sum(4, 1 << 62)
    for bits in (0, 65, -1):
        with pytest.raises(ParameterError, match="1 to 64 bits"):
            Ring(bits)


def test_ring_sizes() -> None:
    assert [Ring(bits).dtype for bits in (1, 16, 17, 32, 33, 64)] == [
        np.dtype(name) for name in ("u2", "u2", "u4", "u4", "u8", "u8")
    ]
    assert Ring(20).packed_size(3) == 8
    assert Ring(64).mask == (1 << 64) - 1


def test_secrets_keep_to_themselves() -> None:
    secret = Secret(b"hidden")
    assert "hidden" not in repr(secret) + str(secret)
    assert secret == Secret(b"hidden")
    assert secret != Secret(b"hiddem")
    assert secret != b"hidden"
    assert len(secret) == 6
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, hash):
        with pytest.raises(TypeError):
            leak(secret)
    secret.wipe()
    assert secret.reveal() == b""


def test_parties_have_names() -> None:
    assert (str(client(3)), str(SERVER)) == ("client 3", "server 0")


def test_protocol_errors_are_of_one_kind() -> None:
    with pytest.raises(TypeError, match="LocalProtocolError or RemoteProtocolError"):
        ProtocolError("x")
    assert str(LocalProtocolError("x")) == "x"
    error: RemoteProtocolError = UnknownParty(client(1), "who?")
    assert (error.culprit, error.reason, str(error)) == (client(1), "who?", "client 1: who?")


@pytest.mark.parametrize("number", [-1, 1 << 32, -(1 << 63), (1 << 64) - 1])
def test_bytes_with_a_number_that_no_party_has(number: int) -> None:
    """It would not fit into an envelope, nor into what digests and keys are bound to."""
    for good in (0, (1 << 32) - 1):
        encoded = msgspec.msgpack.encode(client(good))
        assert msgspec.msgpack.decode(encoded, type=PartyId) == client(good)
    with pytest.raises(msgspec.ValidationError, match="int"):
        msgspec.msgpack.decode(msgspec.msgpack.encode((1, number)), type=PartyId)
