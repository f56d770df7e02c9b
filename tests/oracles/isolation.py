"""Whether a server that lies about who survived can read the sum of a few clients on a ring.

The attack. The clients of an arc of the ring survive, and so do all others; but the server tells
the neighbours of the two rims of the arc, each its own story, that clients of the rims are dead.
Each holder answers once about each neighbour, and believes in at most degree + 1 - threshold
dead ones. If the stories can be arranged such that `threshold` holders of every honest client of
the rims call it dead, the server rebuilds the mask seeds of the rims, and nothing that it does not
know ties the arc to the rest: it reads the sum over the arc.

Whether they can be arranged is a flow: source -> holder, at most as much as it believes; holder ->
each neighbour of it in the rims, at most 1; client of a rim -> sink, what its corrupt neighbours
leave to be got. Corrupt clients give everything to the server, and corrupt clients of the rims
need no flow. The attack works if and only if the flow fills every edge into the sink.

`acknowledged` is the rule that a client answers only when `threshold` of its closed neighbourhood
have signed its own digest of the survivors. Of a rim's client v with c corrupt neighbours, the
threshold - c honest ones that call it dead sign a digest without it, so at most
degree + 1 - threshold + c can sign one with it: if those are too few, v gives no answer itself.
Nothing else that the rule forbids is taken from the server here, so "no isolation" is said too
rarely, never too often.

`declare_dead` decides one case by the flow. Where there are many, `left_open` looks at two cuts of
all of them at once, and only the cases that it leaves open come to the flow.

The oracle knows nothing of the rules that the parameters are derived from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from secagg.protocols._masking.graph import HararyGraph

Places = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
Arcs = Callable[["Ring", Sequence[int], int, bool], Iterator[tuple[int, int]]]


class Ring:
    """Clients by their place on the ring, which of them are corrupt, and the threshold.

    An odd degree is that of the complete graph, size - 1.
    """

    def __init__(self, degree: int, threshold: int, corrupt: Sequence[bool] | Marks) -> None:
        """`corrupt[place]` says whether the client at this place is; its length is the size."""
        self.corrupt: Marks = np.array(corrupt, dtype=np.bool_)
        self.size = len(self.corrupt)
        self.degree = degree
        self.threshold = threshold
        self.reach = (degree + 1) // 2
        self.believed = degree + 1 - threshold
        """Dead neighbours of which a client is told without finding too few alive."""
        steps = np.arange(-self.reach, self.reach + 1, dtype=np.int64)
        self._steps = steps[steps != 0]
        self.given = self._corrupt_neighbours()
        """The corrupt neighbours of each place: shares that the server need not ask for."""

    @classmethod
    def drawn(cls, graph: HararyGraph, threshold: int, corrupt: Collection[int]) -> Self:
        """The ring of a graph; the corrupt are positions, as the graph counts them."""
        return cls(graph.degree, threshold, np.isin(graph.ring, list(corrupt)))

    def around(self, places: Places) -> Places:
        """The neighbours of any of the places, each once."""
        return np.unique((places[:, np.newaxis] + self._steps) % self.size)

    def _corrupt_neighbours(self) -> Places:
        closed = min(2 * self.reach + 1, self.size)
        thrice = np.concatenate(([0], np.cumsum(np.tile(self.corrupt, 3))))
        first = np.arange(self.size) + self.size - self.reach
        counts: Places = thrice[first + closed] - thrice[first] - self.corrupt
        return counts

    def near(self, first: Places, second: Places) -> Marks:
        """Which of the first (rows) are neighbours of which of the second (columns)."""
        ahead = (first[:, np.newaxis] - second) % self.size
        apart = np.minimum(ahead, self.size - ahead)
        near: Marks = (apart >= 1) & (apart <= self.reach)
        return near

    def arc(self, start: int, length: int) -> Places:
        """`length` places from `start` on."""
        return np.arange(start, start + length, dtype=np.int64) % self.size

    def window(self, start: int) -> Places:
        """As many consecutive places as a gap must have."""
        return self.arc(start, self.reach)

    def rims(self, start: int, length: int) -> Places:
        """The places on both sides of an arc that must be dead or corrupt to cut it off."""
        both = (self.window(start - self.reach), self.window((start + length) % self.size))
        return np.setdiff1d(np.concatenate(both), self.arc(start, length))


class Lies(NamedTuple):
    """How the server does it.

    Attributes:
        group: the honest places whose sum is read.
        declared: the honest places whose mask seeds are rebuilt.
        told: for each honest place that is lied to, the neighbours that it is told are dead.

    """

    group: tuple[int, ...]
    declared: tuple[int, ...]
    told: dict[int, frozenset[int]]


def declare_dead(
    ring: Ring, rims: Places, *, acknowledged: bool, shortcuts: bool = True
) -> dict[int, frozenset[int]] | None:
    """Whom to tell of whose death to rebuild the mask seeds of all honest clients of the rims.

    Args:
        ring: the clients.
        rims: places, each once.
        acknowledged: the rule above.
        shortcuts: look at two cuts before the flow is computed: around each single client of
            the rims, and around all the holders. The outcome is the same.

    Returns:
        None if it cannot be arranged.

    """
    declared = rims[~ring.corrupt[rims]]
    if not declared.size:
        return {}
    holders = ring.around(declared)
    near = ring.near(holders, declared)
    given = near[ring.corrupt[holders]].sum(axis=0)
    needed = np.maximum(ring.threshold - given, 0)
    answers = ~ring.corrupt[holders]
    if acknowledged:
        silent = declared[ring.degree + 1 - ring.threshold + given < ring.threshold]
        answers &= ~np.isin(holders, silent)
    holders, near = holders[answers], near[answers]
    if shortcuts and (
        (near.sum(axis=0) < needed).any()
        or np.minimum(near.sum(axis=1), ring.believed).sum() < needed.sum()
    ):
        return None
    return _flow(ring.believed, holders, declared, near, needed)


def _flow(
    believed: int, holders: Places, declared: Places, near: Marks, needed: Places
) -> dict[int, frozenset[int]] | None:
    source, sink, first_holder = 0, 1, 2
    first_declared = first_holder + len(holders)
    size = first_declared + len(declared)
    teller, told_of = np.nonzero(near)
    tails = np.concatenate(
        (
            np.full(len(holders), source),
            first_holder + teller,
            first_declared + np.arange(len(declared)),
        )
    )
    heads = np.concatenate(
        (
            first_holder + np.arange(len(holders)),
            first_declared + told_of,
            np.full(len(declared), sink),
        )
    )
    limits = np.concatenate(
        (np.full(len(holders), believed), np.ones(len(teller), dtype=np.int64), needed)
    ).astype(np.int32)
    network = csr_array((limits, (tails, heads)), shape=(size, size))
    found = maximum_flow(network, source, sink)
    if found.flow_value < needed.sum():
        return None
    flow = found.flow.tocoo()
    used = (flow.data > 0) & (flow.row >= first_holder) & (flow.col >= first_declared)
    told: dict[int, set[int]] = {}
    for tail, head in zip(flow.row[used].tolist(), flow.col[used].tolist(), strict=True):
        dead = int(declared[head - first_declared])
        told.setdefault(int(holders[tail - first_holder]), set()).add(dead)
    return {holder: frozenset(dead) for holder, dead in told.items()}


def isolates(
    ring: Ring, start: int, length: int, *, acknowledged: bool, shortcuts: bool = True
) -> Lies | None:
    """How to read the sum of the arc from `start` on, if it can be read. It wraps around."""
    arc = ring.arc(start, length)
    rims = ring.rims(start, length)
    told = declare_dead(ring, rims, acknowledged=acknowledged, shortcuts=shortcuts)
    if told is None:
        return None
    return Lies(_honest(ring, arc), _honest(ring, rims), told)


def left_open(ring: Ring, places: Places, starts: Places, *, acknowledged: bool) -> Marks:
    """For many cases at once, whether the two cuts of `declare_dead` leave them to the flow.

    Args:
        ring: the clients.
        places: the rims of the arc or window that starts at 0.
        starts: each is a case: the same rims, turned along the ring by so many places.
        acknowledged: the rule above.

    Returns:
        A mark for each start. Needs memory for len(starts) * len(ring.around(places)) numbers.

    """
    holders = ring.around(places)
    # Counts of places, for which float32 is exact, and for which there is a fast product.
    near = ring.near(holders, places).astype(np.float32)
    from_each = starts[:, np.newaxis]
    rims = (from_each + places) % ring.size
    declared = ~ring.corrupt[rims]
    given = ring.given[rims]
    needed = np.where(declared, np.maximum(ring.threshold - given, 0), 0)
    answers = ~ring.corrupt[(from_each + holders) % ring.size]
    if acknowledged:
        silent = declared & (ring.degree + 1 - ring.threshold + given < ring.threshold)
        _, of_holders, of_places = np.intersect1d(holders, places, return_indices=True)
        answers[:, of_holders] &= ~silent[:, of_places]
    answering = answers.astype(np.float32)
    around_each = (answering @ near >= needed).all(axis=1)
    most_of_each = np.minimum(declared.astype(np.float32) @ near.T, ring.believed)
    around_all = (answering * most_of_each).sum(axis=1) >= needed.sum(axis=1)
    still: Marks = around_each & around_all
    return still


def smallest_group(
    ring: Ring,
    *,
    acknowledged: bool,
    largest: int,
    shortcuts: bool = True,
    starts: Sequence[int] | None = None,
) -> Lies | None:
    """The fewest honest clients, up to `largest`, whose sum can be read.

    Args:
        ring: the clients.
        acknowledged: the rule above.
        largest: end the search here.
        shortcuts: ask `left_open` which arcs are worth a flow. The outcome is the same.
        starts: arcs from these places on; from all by default. Where nobody is corrupt all
            places are alike and one will do.

    """
    tried = range(ring.size) if starts is None else starts
    arcs: Arcs = _open_arcs if shortcuts else _all_arcs
    for start, length in arcs(ring, tried, largest, acknowledged):
        if found := isolates(ring, start, length, acknowledged=acknowledged, shortcuts=shortcuts):
            return found
    return None


def _all_arcs(
    ring: Ring, starts: Sequence[int], largest: int, acknowledged: bool
) -> Iterator[tuple[int, int]]:
    """Start and length of the arcs with 1 to `largest` honest members, the fewest first.

    None is left out, whether `acknowledged` or not.
    """
    for members in range(1, largest + 1):
        for start in starts:
            for length in _lengths(ring, start, members):
                yield start, length


def _lengths(ring: Ring, start: int, members: int) -> Iterator[int]:
    """The lengths of the arcs from `start` on with so many honest members."""
    length = honest = 0
    while length < ring.size - 1:
        honest += not ring.corrupt[(start + length) % ring.size]
        length += 1
        if honest > members:
            return
        if honest == members:
            yield length


def _open_arcs(
    ring: Ring, starts: Sequence[int], largest: int, acknowledged: bool
) -> Iterator[tuple[int, int]]:
    """Those of `_all_arcs`, in the same order, that `left_open` leaves to the flow."""
    places = np.array(starts, dtype=np.int64) % ring.size
    before = np.concatenate(([0], np.cumsum(np.tile(~ring.corrupt, 2))))
    for members in range(1, largest + 1):
        found: list[tuple[int, int]] = []
        for length in range(members, ring.size):
            inside = before[places + length] - before[places]
            if inside.min() > members:
                break
            exact = np.flatnonzero(inside == members)
            rims = ring.rims(0, length)
            still = left_open(ring, rims, places[exact], acknowledged=acknowledged)
            found += [(index, length) for index in exact[still].tolist()]
        yield from ((starts[index], length) for index, length in sorted(found))


def gaps(
    ring: Ring, *, acknowledged: bool, shortcuts: bool = True, starts: Sequence[int] | None = None
) -> list[int]:
    """Where the windows start that can be made a gap, each looked at for itself.

    A ring is cut by two gaps, and two at once are no easier than either alone: they have their
    holders in common, and under the rule the honest clients of both are silent. So with fewer
    than two there is no isolation, of no group of whatever size.
    """
    tried = np.arange(ring.size) if starts is None else np.array(starts, dtype=np.int64)
    if shortcuts:
        tried = tried[left_open(ring, ring.window(0), tried, acknowledged=acknowledged)]
    return [
        start
        for start in tried.tolist()
        if declare_dead(ring, ring.window(start), acknowledged=acknowledged, shortcuts=shortcuts)
        is not None
    ]


def any_isolation(ring: Ring, *, acknowledged: bool, shortcuts: bool = True) -> Lies | None:
    """How to read the sum of any proper part, if that can be done: all pairs of gaps."""
    found = gaps(ring, acknowledged=acknowledged, shortcuts=shortcuts)
    for first in found:
        for second in found:
            start = (first + ring.reach) % ring.size
            length = (second - start) % ring.size
            if not 1 <= length <= ring.size - 2 * ring.reach:
                continue
            lies = isolates(ring, start, length, acknowledged=acknowledged)
            if lies is not None and lies.group and _others(ring, lies):
                return lies
    return None


def _others(ring: Ring, lies: Lies) -> int:
    """How many honest clients are neither in the group nor called dead."""
    return int((~ring.corrupt).sum()) - len(lies.group) - len(lies.declared)


def _honest(ring: Ring, places: Places) -> tuple[int, ...]:
    return tuple(places[~ring.corrupt[places]].tolist())
