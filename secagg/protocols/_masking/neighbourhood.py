"""Who is whose neighbour in a session, worked out again by a client from cohort and seed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping

from secagg.crypto.merkle import merkle_root, padded, padded_count, path_size, root_of_path
from secagg.errors import RemoteProtocolError
from secagg.protocol.cohort import decode_bitmap
from secagg.protocols._masking import checks
from secagg.protocols._masking.graph import CompleteGraph, NeighbourGraph, draw_graph
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import PartyId


class Neighbourhood:
    """The cohort's graph.

    Args:
        plan: of the session.
        cohort: its bitmap, decoded before.
        graph_seed: from which the graph is drawn; empty for the complete graph.
    """

    def __init__(self, plan: MaskingPlan, cohort: bytes, graph_seed: bytes) -> None:
        self._members = sorted(decode_bitmap(plan.task.clients, cohort))
        size = len(self._members)
        self._graph: NeighbourGraph = (
            CompleteGraph(size) if plan.complete else draw_graph(size, plan.degree, graph_seed)
        )

    @property
    def complete(self) -> bool:
        """Whether everybody is everybody's neighbour."""
        return isinstance(self._graph, CompleteGraph)

    def neighbours(self, number: int) -> list[int]:
        """A client's neighbours, ascending."""
        return [self._members[other] for other in self._graph.neighbours(self._position(number))]

    def place(self, holder: int, dealer: int) -> tuple[int, int]:
        """A holder's place in a dealer's closed neighbourhood, ascending, and the size of that."""
        position = self._position(holder)
        if isinstance(self._graph, CompleteGraph):
            return position, self._graph.size
        around = self._graph.neighbours(self._position(dealer))
        closed = sorted((*around, self._position(dealer)))
        return bisect_left(closed, position), len(closed)

    def check_neighbours(self, me: int, named: Collection[int], sender: PartyId) -> None:
        """Refuse other neighbours than the graph gives.

        Raises:
            RemoteProtocolError: they differ.
        """
        if set(self.neighbours(me)) != set(named):
            raise RemoteProtocolError(sender, "expected the neighbours that the graph gives me")

    def check_root(
        self, leaves: Mapping[int, bytes], root: bytes, paths: bytes, sender: PartyId
    ) -> None:
        """Refuse a cohort root that is not over these leaves.

        Args:
            leaves: of a closed neighbourhood; in the complete graph that is all.
            root: what the server named.
            paths: their audit paths, ascending by roster index; none in the complete graph.
            sender: the server.

        Raises:
            RemoteProtocolError: the root is over something else.
        """
        numbers = sorted(leaves)
        if isinstance(self._graph, CompleteGraph):
            if paths:
                raise RemoteProtocolError(
                    sender, f"expected no audit paths for all keys, got {len(paths)} bytes"
                )
            fits = merkle_root(padded([leaves[number] for number in numbers])) == root
        else:
            count = padded_count(len(self._members))
            size = path_size(0, count)
            rows = checks.read_rows(paths, size, len(numbers), "audit paths", sender)
            fits = all(
                root_of_path(leaves[number], self._position(number), count, row) == root
                for number, row in zip(numbers, rows, strict=True)
            )
        if not fits:
            raise RemoteProtocolError(sender, "the cohort root is not over the keys that came")

    def _position(self, number: int) -> int:
        return bisect_left(self._members, number)
