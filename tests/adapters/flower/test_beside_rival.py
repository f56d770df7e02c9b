"""What Flower's own SecAgg+ fails at, done here: the rest of docs/flower-secaggplus.md."""

from __future__ import annotations

from typing import Any

import pytest
from adapters.flower.nodes import Trainer, messages, nodes
from adapters.flower.test_exchange import check

from secagg.adapters.flower import SecureGrid
from secagg.crypto import shamir


@pytest.mark.parametrize("clients", range(4, 12))
def test_any_number_of_clients_makes_a_round(clients: int) -> None:
    trainer = Trainer(clients)
    grid = nodes(trainer)
    secure = SecureGrid(grid, clock=grid.time.clock)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(clients)))


def test_the_server_interpolates_with_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody answers, and no more shares are used than the number that rebuilds a secret."""
    split, combine = shamir.split, shamir.combine
    thresholds, used = set(), set()

    def spy_on_split(secrets: Any, threshold: int, numbers: Any, rng: Any) -> Any:
        thresholds.add(threshold)
        return split(secrets, threshold, numbers, rng)

    def spy_on_combine(shares: Any, numbers: Any) -> Any:
        used.add(len(numbers))
        return combine(shares, numbers)

    monkeypatch.setattr(shamir, "split", spy_on_split)
    monkeypatch.setattr(shamir, "combine", spy_on_combine)
    grid = nodes(Trainer(9))
    secure = SecureGrid(grid, clock=grid.time.clock)
    assert all(reply.has_content() for reply in secure.send_and_receive(messages(secure)))
    assert used == thresholds
    assert max(used) < 9
