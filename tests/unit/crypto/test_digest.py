from __future__ import annotations

import base64
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from secagg.crypto.digest import digest, encode_party, join_framed, merkle_root
from secagg.types import SERVER, PartyId, Role, client

VECTORS = Path(__file__).parents[2] / "vectors" / "merkle-rfc6962" / "consistency.json"
# The eight leaves of the tree that certificate transparency's own tests use.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]


def test_roots_of_the_well_known_tree() -> None:
    cases = [case for case in json.loads(VECTORS.read_text()) if not case["wantErr"]]
    sizes = set()
    for case in cases:
        for size, root in ((case["size1"], case["root1"]), (case["size2"], case["root2"])):
            if size and "don't care" not in base64.b64decode(root).decode("latin-1"):
                sizes.add(size)
                assert merkle_root(LEAVES[:size]) == base64.b64decode(root), size
    assert len(sizes) >= 4


@given(st.lists(st.binary(max_size=8)), st.lists(st.binary(max_size=8)))
def test_framing_is_injective(first: list[bytes], second: list[bytes]) -> None:
    assert (join_framed(*first) == join_framed(*second)) == (first == second)


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=9), st.data())
def test_every_leaf_moves_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves]
    changed[position] += b"x"
    assert merkle_root(changed) != merkle_root(leaves)


def test_digests_are_separated_by_purpose() -> None:
    assert digest("a", b"b") != digest("b", b"b") != digest("b", b"", b"b")
    assert (
        len({encode_party(p) for p in (client(0), client(1), SERVER, PartyId(Role.HELPER, 0))}) == 4
    )
