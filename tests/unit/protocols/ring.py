"""A ring of twelve clients, small enough to be looked at check by check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from conformance.scenario import Offered
from msgspec.structs import replace
from unit.protocols.table import Table

from secagg.crypto.merkle import MerkleTree, padded
from secagg.errors import RemoteProtocolError
from secagg.protocol import BeaconHead, Effect, Level, Party, SimulatedBeacon, Task
from secagg.protocols._masking.authenticated.messages import (
    ROUND_BYTES,
    CohortRoot,
    CohortSignature,
    SignedKeyBook,
)
from secagg.protocols._masking.authenticated.ring import ROUNDS_AHEAD, RingClient, RingServer
from secagg.protocols._masking.plan import MaskingPlan
from secagg.protocols.secagg_plus import SecAggPlus
from secagg.types import SERVER, client
from secagg.wire import Message

ME: Final = 0
COUNT: Final = 12
DEGREE: Final = 4
THRESHOLD: Final = 4
NAMED: Final = 1 + ROUNDS_AHEAD
"""The round that the server names when it has read round 1."""


class SmallRing(SecAggPlus):
    """SecAgg+ with a graph that is far too sparse to hide anything, for a cohort of any size."""

    def plan(self, task: Task) -> MaskingPlan:
        fewest = len(task.clients) - task.dropout_count
        return replace(
            super().plan(task),
            complete=False,
            degree=DEGREE,
            threshold=THRESHOLD,
            minimum=fewest,
            smallest_cohort=fewest,
        )


SMALL: Final = Offered(SmallRing(), Level.MALICIOUS)


class RingTable(Table):
    """The parties of a ring at one table.

    Attributes:
        reading: whether parties are given what they want of the beacon, as soon as they do.
    """

    def __init__(self, name: str | Offered = SMALL, count: int = COUNT, **task: Any) -> None:
        self.reading = True
        super().__init__(name, count, **task)

    @property
    def beacon(self) -> SimulatedBeacon:
        assert self.scenario.identities is not None
        assert self.scenario.identities.beacon is not None
        return self.scenario.identities.beacon

    @property
    def ring_server(self) -> RingServer:
        party = self.parties[SERVER]
        assert isinstance(party, RingServer)
        return party

    def ring_client(self, number: int) -> RingClient:
        party = self.parties[client(number)]
        assert isinstance(party, RingClient)
        return party

    def read_head(self, number: int, newest: int) -> list[Any]:
        """Client `number` is told the newest round; what came of it."""
        party = self.parties[client(number)]
        return self._act(party.me, party.handle(BeaconHead(newest), party.me))

    def _read_beacon(self, party: Party) -> list[Effect]:
        return super()._read_beacon(party) if self.reading else []


RingCase: TypeAlias = tuple[Callable[[RingTable, Any], Message], type[RemoteProtocolError], str]
"""How a message is changed, the error by which it is refused, and what that says."""


def round_bytes(number: int) -> bytes:
    return number.to_bytes(ROUND_BYTES, "little")


def tree_of(table: RingTable, members: Iterable[int]) -> MerkleTree:
    """The tree over the keys of these clients."""
    return MerkleTree(padded([table.server._leaf(number) for number in members]))


def roots() -> RingTable:
    """Everybody is shown the root, and nobody has read the beacon."""
    table = RingTable()
    table.start().until(CohortRoot)
    table.reading = False
    return table


def signatures() -> RingTable:
    """Everybody has signed the root, and the server has heard nobody."""
    table = RingTable()
    table.start().until(CohortSignature)
    return table


def books() -> RingTable:
    """Everybody is sent the neighbours' keys."""
    table = RingTable()
    table.start().until(SignedKeyBook)
    return table
