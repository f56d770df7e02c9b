from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.crypto.digest import digest, encode_party, join_framed
from secagg.types import SERVER, PartyId, Role, client


@given(st.lists(st.binary(max_size=8)), st.lists(st.binary(max_size=8)))
def test_framing_is_injective(first: list[bytes], second: list[bytes]) -> None:
    assert (join_framed(*first) == join_framed(*second)) == (first == second)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 70_000])
def test_a_frame_is_the_length_and_the_part(size: int) -> None:
    part = bytes(size)
    frame = size.to_bytes(8, "big") + part
    assert join_framed(part) == frame
    assert join_framed(part, b"x", part) == frame + b"\0\0\0\0\0\0\0\1x" + frame
    assert join_framed() == b""


def test_a_party_is_five_bytes() -> None:
    assert encode_party(client(0x01020304)) == b"\x01\x01\x02\x03\x04"
    assert encode_party(PartyId(Role.HELPER, 0)) == b"\x05\0\0\0\0"


def test_digests_are_separated_by_purpose() -> None:
    assert digest("a", b"b") != digest("b", b"b") != digest("b", b"", b"b")
    assert (
        len({encode_party(p) for p in (client(0), client(1), SERVER, PartyId(Role.HELPER, 0))}) == 4
    )
