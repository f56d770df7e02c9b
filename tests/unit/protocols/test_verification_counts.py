"""How many signatures each party of level `malicious` verifies: as many as it must, no more.

The server: one for each message that a client sends in time, so five for a client that stays. A
client: one for each neighbour in the cohort, with its keys; one for each signature of the quorum
that it is shown, which are threshold - 1; and one for each dealer whose shares are not valid. On a
sparse graph the beacon's value is one more for everybody, and the cohort one for the server.
"""

from __future__ import annotations

from collections import Counter

import pytest
from unit.protocols import corrupt
from unit.protocols.table import Table

from secagg.crypto import signing
from secagg.protocol import Effect, Party
from secagg.protocols._masking.authenticated.messages import (
    CommittedShares,
    SignedAnswer,
    SignedKeys,
    SignedVector,
    SurvivorSignature,
)
from secagg.types import SERVER, PartyId, client
from secagg.wire import Message

STEPS: list[type[Message]] = [
    SignedKeys,
    CommittedShares,
    SignedVector,
    SurvivorSignature,
    SignedAnswer,
]


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Counter[PartyId]:
    """Signatures verified so far, by the party that did."""
    counts: Counter[PartyId] = Counter()
    handling: list[PartyId] = []
    verify, handle = signing.verify, Party.handle

    def count(public: bytes, signature: bytes, context: str, statement: bytes) -> None:
        counts[handling[-1]] += 1
        verify(public, signature, context, statement)

    def handled(self: Party, event: Message, sender: PartyId) -> list[Effect]:
        handling.append(self.me)
        try:
            return handle(self, event, sender)
        finally:
            handling.pop()

    monkeypatch.setattr(signing, "verify", count)
    monkeypatch.setattr(Party, "handle", handled)
    return counts


@pytest.mark.parametrize("count", [5, 8, 13])
def test_nobody_is_lost(count: int, verified: Counter[PartyId]) -> None:
    table = Table(count=count).start().finish()
    table.check_sum(*range(count))
    each = (count - 1) + (table.plan.threshold - 1)
    assert verified == {
        SERVER: 5 * count,
        **{client(number): each for number in range(count)},
    }


@pytest.mark.parametrize("kind", STEPS)
def test_somebody_is_lost(kind: type[Message], verified: Counter[PartyId]) -> None:
    """The client lost is heard `step` times, and does itself what it is still asked to."""
    count, lost, step = 8, 3, STEPS.index(kind)
    table = Table(count=count).start().until(kind).drop(kind, lost).finish()
    assert table.total is not None
    keys = count - 1 if step else count - 2
    quorum = table.plan.threshold - 1
    # Who sent its keys is sent the book, and who signed the survivors is shown the quorum.
    its_own = (keys if step >= 1 else 0) + (quorum if step >= 4 else 0)
    expected = {SERVER: 5 * (count - 1) + step}
    expected |= {client(number): keys + quorum for number in range(count)}
    expected[client(lost)] = its_own
    assert {who: verified[who] for who in expected} == expected
    assert sum(verified.values()) == sum(expected.values())


def test_on_a_sparse_graph(verified: Counter[PartyId]) -> None:
    """Of neighbours only; everybody the beacon's word, and the server a signature of the cohort."""
    table = Table("secagg_plus-malicious", 60, corrupt="0.02", dropout="0.02", sigma=20, eta=5)
    table.start().finish().check_sum(*range(60))
    assert table.plan.degree == 12
    each = table.plan.degree + 1 + (table.plan.threshold - 1)
    assert verified == {
        SERVER: 6 * 60 + 1,
        **{client(number): each for number in range(60)},
    }


def test_bad_shares_cost_one_more(
    verified: Counter[PartyId], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(count=8).start().until(SignedKeys)
    corrupt.seal_garbage(monkeypatch, table, 3, [1])
    table.finish().check_sum(*range(8))
    each = 7 + table.plan.threshold - 1
    assert verified[client(1)] == each + 1
    assert verified[client(2)] == each
    assert verified[SERVER] == 40
