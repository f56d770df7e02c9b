"""Level `malicious` on the ring: parties that are killed, and whole rounds on real graphs."""

from __future__ import annotations

from typing import Any

import pytest
from unit.protocols.ring import COUNT, ME, NAMED, RingTable, roots, round_bytes
from unit.protocols.table import Table, changed

from secagg.crypto.merkle import MerkleTree, padded
from secagg.errors import BeaconPassed, DuplicateMessage
from secagg.protocol import Accuse, BeaconHead, Fail, Party, Remember, Send
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import CohortRoot, SignedKeys
from secagg.protocols._masking.authenticated.ring import READING_LAG
from secagg.protocols._masking.keyring import PublicKeys
from secagg.runner import Faults
from secagg.types import SERVER, PartyId, client

# Of the server's effects: around the root and the graph, among roots, signatures and books.
OF_THE_SERVER = (12, 13, 14, 20, 25, 26, 30, 37, 38, 39, 45, 50)


@pytest.mark.parametrize("who", [SERVER, client(3)])
def test_killed_at_every_effect_around_root_and_graph(who: PartyId) -> None:
    scenario = RingTable().scenario
    effects = scenario.run().parties[who].effects
    for ordinal in OF_THE_SERVER if who == SERVER else range(effects):
        outcome = scenario.run(Faults(kills={who: (ordinal,)}))
        assert outcome.failure is None, (ordinal, outcome.failure)
        assert outcome.included == scenario.plan.task.clients
        assert (outcome.sum() == scenario.expected(outcome.included)).all()
        assert not outcome.accused, ordinal


class Alone:
    """Client 0 without the others: its records, and a root over keys that are its own.

    Attributes:
        records: what it remembered until it was to read the beacon.
        shown: the root that it was shown.
        party: the client itself.
    """

    def __init__(self) -> None:
        table = roots()
        self.scenario = table.scenario
        self.party = self.scenario.party(client(ME))
        start, sent = self.party.start()
        assert isinstance(start, Remember)
        assert isinstance(sent, Send)
        keys = sent.message
        assert isinstance(keys, SignedKeys)
        pair = PublicKeys(keys.channel_key, keys.mask_key)
        mine = statements.keys_leaf(client(ME), pair, keys.signature)
        others = [table.server._leaf(number) for number in range(1, COUNT)]
        tree = MerkleTree(padded([mine, *others]))
        shown = table.take(CohortRoot, ME)
        self.shown = changed(shown, cohort_root=tree.root, path=tree.path(0))
        (root,) = self.party.handle(self.shown, SERVER)
        assert isinstance(root, Remember)
        self.records = [start.record, root.record]

    def again(self) -> Party:
        """The client, as it was when it remembered the last of its records."""
        return self.scenario.restore(client(ME), self.records)


def test_restored_at_commit_it_reads_the_beacon_anew() -> None:
    """What it read before it died counts for nothing unless it was acted on."""
    alone = Alone()
    signed = [
        alone.again().handle(BeaconHead(newest), client(ME))[1]
        for newest in (0, 1, NAMED - READING_LAG - 1)
    ]
    assert isinstance(signed[0], Send)
    assert signed[0] == signed[1] == signed[2]
    restored = alone.again()
    assert restored.phase == "commit"
    assert restored.wants(BeaconHead)
    assert restored.resume() == []
    (_, fail) = restored.handle(BeaconHead(NAMED - READING_LAG), client(ME))
    assert isinstance(fail, Fail)
    assert isinstance(fail.error, BeaconPassed)


def test_restored_at_commit_it_was_shown_one_root() -> None:
    alone = Alone()
    other = changed(alone.shown, beacon_round=round_bytes(NAMED + 1))
    (accusation,) = alone.again().handle(other, SERVER)
    assert isinstance(accusation, Accuse)
    assert isinstance(accusation.error, DuplicateMessage)


def test_restored_at_draw_it_says_what_it_said_and_signs_nothing_else() -> None:
    alone = Alone()
    remember, signature = alone.party.handle(BeaconHead(1), client(ME))
    assert isinstance(remember, Remember)
    alone.records.append(remember.record)
    restored = alone.again()
    assert restored.phase == "draw"
    assert not restored.wants(BeaconHead)
    assert restored.resume() == [signature]
    # The very reading that it acted on may be given again; any other is late.
    assert restored.handle(BeaconHead(1), client(ME)) == [signature]
    assert restored.when(BeaconHead(2), client(ME)) == "late"
    other = changed(alone.shown, beacon_round=round_bytes(NAMED + 1))
    (accusation,) = restored.handle(other, SERVER)
    assert isinstance(accusation, Accuse)
    assert isinstance(accusation.error, DuplicateMessage)


# The ring as it is planned, with everybody lost that may be.


@pytest.mark.parametrize(
    ("count", "corrupt", "dropout"),
    [(60, "0.05", "0.05"), (60, "0.05", "0.1"), (80, "0.1", "0.05"), (100, "0.05", "0.05")],
)
@pytest.mark.parametrize("together", [False, True])
def test_sums_on_real_graphs(count: int, corrupt: str, dropout: str, together: bool) -> None:
    scenario = Table("secagg_plus-malicious", count, corrupt=corrupt, dropout=dropout).scenario
    plan: Any = scenario.plan
    assert not plan.complete
    assert plan.degree < count // 2
    # After 0 to 5 messages, or all of them before their vectors, next to each other in the roster.
    after = {number: 3 if together else number % 6 for number in range(plan.dropouts)}
    lost = {client(7 + number): sent for number, sent in after.items()}
    outcome = scenario.run(Faults(lost=lost))
    assert outcome.failure is None
    assert not outcome.accused
    gone = {who for who, sent in lost.items() if sent <= 3}
    assert outcome.included == tuple(who for who in plan.task.clients if who not in gone)
    assert (outcome.sum() == scenario.expected(outcome.included)).all()


def test_one_lost_too_many_ends_the_round() -> None:
    scenario = Table("secagg_plus-malicious", 60, corrupt="0.05", dropout="0.05").scenario
    lost = {client(number): 1 for number in range(4)}
    outcome = scenario.run(Faults(lost=lost))
    assert outcome.total is None
    assert outcome.failure == "phase sign: 56 of 60 clients signed the cohort, 57 are needed"
