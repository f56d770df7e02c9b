from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.crypto.merkle import MerkleTree, merkle_root, path_size, root_of_path
from secagg.errors import VerificationError

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


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=9), st.data())
def test_every_leaf_moves_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves]
    changed[position] += b"x"
    assert merkle_root(changed) != merkle_root(leaves)


@pytest.mark.parametrize("count", [*range(1, 18), 100])
def test_every_path_leads_to_the_root(count: int) -> None:
    leaves = [bytes([number]) * 3 for number in range(count)]
    tree = MerkleTree(leaves)
    assert tree.root == merkle_root(leaves)
    for index, leaf in enumerate(leaves):
        path = tree.path(index)
        assert len(path) == path_size(index, count)
        assert root_of_path(leaf, index, count, path) == tree.root


@given(st.integers(2, 40), st.data())
def test_nothing_else_does(count: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) for number in range(count)]
    tree = MerkleTree(leaves)
    index = data.draw(st.integers(0, count - 1))
    path = bytearray(tree.path(index))
    assert root_of_path(b"no leaf", index, count, bytes(path)) != tree.root
    place = data.draw(st.integers(0, len(path) - 1))
    path[place] ^= 1 << data.draw(st.integers(0, 7))
    assert root_of_path(leaves[index], index, count, bytes(path)) != tree.root
    other = data.draw(st.integers(0, count - 1).filter(lambda other: other != index))
    if path_size(other, count) == len(path):
        assert root_of_path(leaves[index], other, count, tree.path(index)) != tree.root


def test_a_path_of_another_length_is_refused() -> None:
    tree = MerkleTree([b"a", b"b", b"c"])
    for index, count, path in (
        (0, 3, tree.path(0)[:-1]),
        (2, 3, tree.path(0)),
        (3, 3, b""),
        (-1, 3, tree.path(0)),
        (0, 0, b""),
    ):
        with pytest.raises(VerificationError, match="audit path"):
            root_of_path(b"a", index, count, path)
