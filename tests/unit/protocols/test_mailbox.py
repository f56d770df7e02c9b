"""Sealed shares on their way: each holder gets what was dealt to it, by whoever dealt."""

from __future__ import annotations

import pytest

from secagg.protocols._masking.graph import CompleteGraph, NeighbourGraph, draw_graph
from secagg.protocols._masking.mailbox import ShareMailbox
from secagg.protocols._masking.messages import SEALED_SHARES_BYTES

SEED = bytes(range(32))


def sealed(dealer: int, holder: int) -> bytes:
    """What nobody else deals to anybody else."""
    mark = dealer.to_bytes(4, "big") + holder.to_bytes(4, "big")
    return (mark * SEALED_SHARES_BYTES)[:SEALED_SHARES_BYTES]


@pytest.mark.parametrize("missing", [set(), {0}, {3, 5, 11}, set(range(0, 24, 2))])
@pytest.mark.parametrize("degree", [4, 10, None])
@pytest.mark.parametrize("step", [1, 3])
def test_everybody_gets_what_is_theirs(step: int, degree: int | None, missing: set[int]) -> None:
    size = 24
    numbers = [7 + step * position for position in range(size)]
    graph: NeighbourGraph = (
        CompleteGraph(size) if degree is None else draw_graph(size, degree, SEED)
    )
    near = {
        numbers[position]: [numbers[other] for other in graph.neighbours(position)]
        for position in range(size)
    }
    mailbox = ShareMailbox(near)
    dealers = {numbers[position] for position in range(size) if position not in missing}
    for dealer in sorted(dealers, reverse=True):
        mailbox.deal(dealer, b"".join(sealed(dealer, holder) for holder in near[dealer]))
    for holder in numbers:
        dealt = [dealer for dealer in near[holder] if dealer in dealers]
        assert mailbox.bundle(holder, dealers) == (
            dealt,
            b"".join(sealed(dealer, holder) for dealer in dealt),
        )
