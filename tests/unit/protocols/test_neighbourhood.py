"""What a client works out again of a graph, on the ring and on the complete graph."""

from __future__ import annotations

import pytest
from unit.protocols.test_checks import SPARSE, bits, plan

from secagg.crypto.merkle import MerkleTree, padded
from secagg.errors import RemoteProtocolError
from secagg.protocols._masking.graph import HararyGraph
from secagg.protocols._masking.neighbourhood import Neighbourhood
from secagg.types import SERVER

SEED = bytes(range(32))
MEMBERS = [number for number in range(12) if number not in (3, 8)]
ME = 5


def ring() -> Neighbourhood:
    return Neighbourhood(SPARSE, bits(*MEMBERS), SEED)


def complete() -> Neighbourhood:
    return Neighbourhood(plan(), bits(*MEMBERS), b"")


def leaf(number: int) -> bytes:
    return b"leaf of %d" % number


def test_neighbours_are_the_graphs_by_number() -> None:
    graph = HararyGraph(len(MEMBERS), SPARSE.degree, SEED)
    for position, number in enumerate(MEMBERS):
        expected = [MEMBERS[other] for other in graph.neighbours(position)]
        assert ring().neighbours(number) == expected
        assert complete().neighbours(number) == [other for other in MEMBERS if other != number]


def test_of_a_cohort_below_the_degree_all_are_neighbours() -> None:
    small = Neighbourhood(SPARSE, bits(0, 4, 9), SEED)
    assert small.neighbours(4) == [0, 9]
    assert small.place(9, 0) == (2, 3)


def test_places_are_those_in_the_closed_neighbourhood() -> None:
    for hood in (ring(), complete()):
        for dealer in MEMBERS:
            closed = sorted((*hood.neighbours(dealer), dealer))
            for holder in closed:
                assert hood.place(holder, dealer) == (closed.index(holder), len(closed))


def test_other_neighbours_than_the_graphs_are_refused() -> None:
    hood = ring()
    right = hood.neighbours(ME)
    hood.check_neighbours(ME, right, SERVER)
    stranger = next(n for n in MEMBERS if n not in (*right, ME))
    for named in (right[1:], [*right, stranger], [*right[1:], stranger], []):
        with pytest.raises(RemoteProtocolError, match="that the graph gives me") as refused:
            hood.check_neighbours(ME, named, SERVER)
        assert refused.value.culprit == SERVER


def test_the_root_of_the_complete_graph_is_made_again() -> None:
    leaves = {number: leaf(number) for number in MEMBERS}
    root = MerkleTree(padded(list(leaves.values()))).root
    complete().check_root(leaves, root, b"", SERVER)
    with pytest.raises(RemoteProtocolError, match="expected no audit paths for all keys, got 32"):
        complete().check_root(leaves, root, bytes(32), SERVER)
    for changed in (leaves | {ME: b"another"}, {n: leaves[n] for n in MEMBERS[:-1]}):
        with pytest.raises(RemoteProtocolError, match="root is not over the keys that came"):
            complete().check_root(changed, root, b"", SERVER)


def test_the_root_of_the_ring_is_checked_by_paths() -> None:
    hood = ring()
    tree = MerkleTree(padded([leaf(number) for number in MEMBERS]))
    closed = sorted((*hood.neighbours(ME), ME))
    leaves = {number: leaf(number) for number in closed}
    rows = [tree.path(MEMBERS.index(number)) for number in closed]
    hood.check_root(leaves, tree.root, b"".join(rows), SERVER)
    for paths in (b"".join(rows)[:-1], b"".join(rows[1:]), b""):
        with pytest.raises(RemoteProtocolError, match="of audit paths for each of 5"):
            hood.check_root(leaves, tree.root, paths, SERVER)
    words = "root is not over the keys that came"
    for number in closed:
        with pytest.raises(RemoteProtocolError, match=words):
            hood.check_root(leaves | {number: b"another"}, tree.root, b"".join(rows), SERVER)
    for place in range(len(rows)):
        wrong = [*rows]
        wrong[place] = bytes(len(rows[place]))
        with pytest.raises(RemoteProtocolError, match=words):
            hood.check_root(leaves, tree.root, b"".join(wrong), SERVER)
    with pytest.raises(RemoteProtocolError, match=words):
        hood.check_root(leaves, bytes(32), b"".join(rows), SERVER)
    # Somebody else's leaf, with the path of the place in which it is.
    swapped = [*rows]
    swapped[0] = tree.path(MEMBERS.index(next(n for n in MEMBERS if n not in closed)))
    with pytest.raises(RemoteProtocolError, match=words):
        hood.check_root(leaves, tree.root, b"".join(swapped), SERVER)
