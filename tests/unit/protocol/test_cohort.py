"""Sets of clients as bitmaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from secagg.protocol.cohort import decode_bitmap, encode_bitmap, is_subset
from secagg.types import client

CLIENTS = tuple(client(number) for number in (0, 1, 2, 5, 8, 13, 21, 34, 55))
MEMBERS = st.sets(st.sampled_from([party.number for party in CLIENTS]))


@given(some=MEMBERS, others=MEMBERS)
def test_a_subset_is_one_of_the_decoded_sets(some: set[int], others: set[int]) -> None:
    bitmap, other = encode_bitmap(CLIENTS, some), encode_bitmap(CLIENTS, others)
    assert decode_bitmap(CLIENTS, bitmap) == some
    assert is_subset(bitmap, other) == (some <= others)
    assert is_subset(bitmap, encode_bitmap(CLIENTS, some | others))
