from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from secagg.crypto.digest import digest, encode_party, join_framed
from secagg.types import SERVER, PartyId, Role, client


@given(st.lists(st.binary(max_size=8)), st.lists(st.binary(max_size=8)))
def test_framing_is_injective(first: list[bytes], second: list[bytes]) -> None:
    assert (join_framed(*first) == join_framed(*second)) == (first == second)


def test_digests_are_separated_by_purpose() -> None:
    assert digest("a", b"b") != digest("b", b"b") != digest("b", b"", b"b")
    assert (
        len({encode_party(p) for p in (client(0), client(1), SERVER, PartyId(Role.HELPER, 0))}) == 4
    )
