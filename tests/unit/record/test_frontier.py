"""The tree that grows leaf by leaf is the one of RFC 6962, and so are its audit paths."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.crypto.test_merkle import LEAVES

from secagg.crypto.merkle import MerkleTree, root_of_path
from secagg.errors import VerificationError
from secagg.record.frontier import Frontier
from secagg.record.lines import leaf_hash

VECTORS = Path(__file__).parents[2] / "vectors" / "merkle-rfc6962" / "inclusion.json"
KNOWN = {leaf_hash(leaf): leaf for leaf in LEAVES}


def grown(leaves: list[bytes], wanted: set[int]) -> Frontier:
    tree = Frontier()
    for index, leaf in enumerate(leaves):
        tree.add(leaf_hash(leaf), wanted=index in wanted)
    return tree


@given(st.integers(0, 70), st.sets(st.integers(0, 69)))
def test_as_the_tree_that_has_all_leaves(count: int, wanted: set[int]) -> None:
    leaves = [bytes([number]) for number in range(count)]
    whole = MerkleTree(leaves)
    root, paths = grown(leaves, wanted).close()
    assert root == whole.root
    assert paths == {index: whole.path(index) for index in wanted if index < count}


def test_the_well_known_paths() -> None:
    """Of the positive vectors root and path, of the negative ones that they are refused."""
    right = wrong = 0
    for case in json.loads(VECTORS.read_text()):
        index, size = case["leafIdx"], case["treeSize"]
        path = b"".join(base64.b64decode(node) for node in case["proof"] or ())
        root, leaf = base64.b64decode(case["root"]), base64.b64decode(case["leafHash"])
        if not case["wantErr"] and leaf in KNOWN:
            assert grown(LEAVES[:size], {index}).close() == (root, {index: path}), case["name"]
            right += 1
        # A path here is one string of nodes: one with an empty node in it cannot be said.
        if leaf not in KNOWN or "" in (case["proof"] or ()):
            continue
        try:
            found = root_of_path(KNOWN[leaf], index, size, path)
        except VerificationError:
            assert case["wantErr"], case["name"]
        else:
            assert (found == root) != case["wantErr"], case["name"]
        wrong += case["wantErr"]
    assert right >= 5
    assert wrong >= 60


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_trees(count: int) -> None:
    leaves = [b"a", b"b", b"c"][:count]
    assert grown(leaves, set()).close() == (MerkleTree(leaves).root, {})
