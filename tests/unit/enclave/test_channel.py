from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.enclave import channel
from secagg.errors import DecodeError
from secagg.types import client


def test_values_come_back() -> None:
    offer = channel.Offer(bytes(32), client(3), b"frame", "")
    assert channel.read_request(io.BytesIO(channel.encode(offer)).read) == offer
    guard = channel.Safeguard("memory", False, "not locked")
    ready = channel.Ready(bytes(32), bytes(32), (guard,), 0.5)
    assert channel.read_reply(io.BytesIO(channel.encode(ready)).read) == ready
    assert str(guard) == "memory: NO, not locked"


@given(st.binary(max_size=200))
def test_noise_is_refused_or_ends(noise: bytes) -> None:
    framed = len(noise).to_bytes(8, "big") + noise
    for data in (noise, framed):
        for read in (channel.read_request, channel.read_reply):
            with pytest.raises((DecodeError, EOFError)):
                read(io.BytesIO(data).read)


def test_a_cut_message_ends() -> None:
    data = channel.encode(channel.Start(bytes(32)))
    for length in range(len(data)):
        with pytest.raises(EOFError):
            channel.read_request(io.BytesIO(data[:length]).read)


def test_a_length_beyond_the_cap_is_refused() -> None:
    with pytest.raises(DecodeError, match="at most"):
        channel.read_reply(io.BytesIO(b"\xff" * 8).read)
