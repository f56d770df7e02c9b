"""Endpoints of one session, a channel between them, and a clock that nobody waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from secagg.codec import Codec
from secagg.crypto.rng import SEED_BYTES, SystemRng, seeded
from secagg.crypto.signing import SigningKey
from secagg.endpoint import (
    BeaconSource,
    ClientEndpoint,
    Deadlines,
    Endpoint,
    Invitation,
    Outgoing,
    RecordStore,
    ServerEndpoint,
)
from secagg.ledger import Ledger, MemoryStorage, Owner, Storage
from secagg.protocol import ClientPolicy, Identity, Level, Roster, SimulatedBeacon
from secagg.types import DECRYPTOR, SERVER, PartyId, Secret, client

LENGTH: Final = 5
MODEL: Final = b"the model"
CONFIGURATION: Final = b"the configuration"
DEVICE: Final = Secret(bytes(range(32)))
PATIENCE: Final = 1000.0
DEADLINE: Final = 10.0


class Source(BeaconSource):
    """SIMULATED: a round passes whenever somebody waits for one, unless it is silent."""

    def __init__(self, beacon: SimulatedBeacon) -> None:
        self.beacon = beacon
        self.number = 1
        self.silent = False
        self.lies: list[bytes] = []

    def newest(self) -> int:
        return self.number

    def value(self, number: int) -> bytes | None:
        if self.lies:
            return self.lies.pop()
        if self.silent:
            return None
        self.number = max(self.number, number)
        return self.beacon.value(number)


@dataclass
class Federation:
    """Clients with updates, keys and ledgers, and one invitation."""

    protocol: str
    level: Level = Level.CURIOUS
    count: int = 5
    requirements: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = seeded(self.count)
        self.clients = tuple(client(number) for number in range(self.count))
        self.codec = Codec(length=LENGTH, clip=2.0, max_weight=100)
        keys = {party: SigningKey(Secret(rng.bytes(SEED_BYTES))) for party in self.clients}
        authority = SigningKey(Secret(rng.bytes(SEED_BYTES))).public
        beacon = SimulatedBeacon(SigningKey(Secret(rng.bytes(SEED_BYTES))))
        malicious = self.level is Level.MALICIOUS
        self.source = Source(beacon) if malicious and self.protocol == "secagg_plus" else None
        self.identities = {
            party: Identity(key=key, beacon=beacon.public) if malicious else None
            for party, key in keys.items()
        }
        self.believing = Identity(beacon=beacon.public) if malicious else None
        public = tuple(key.public for key in keys.values())
        self.roster = Roster(3, self.clients, public, authority) if malicious else None
        self.invitation = self.invite()
        self.policy = ClientPolicy(
            level=self.level,
            min_clients=2,
            corrupt=0 if self.protocol in ("plain", "bfv", "ckks") else 1,
            protocols=frozenset({self.protocol}),
            trusted_server=True,
            authority=authority if malicious else None,
        )
        self.updates = {
            party: np.linspace(-1, 1, LENGTH, dtype=np.float32) * (party.number + 1) / self.count
            for party in self.clients
        }
        self.weights = {party: 10 * (party.number + 1) for party in self.clients}

    @property
    def helpers(self) -> tuple[PartyId, ...]:
        """Everybody but the clients and the server."""
        return (DECRYPTOR,) if self.protocol in ("bfv", "ckks") else ()

    def invite(self, **changes: Any) -> Invitation:
        settings: dict[str, Any] = {
            "model": MODEL,
            "configuration": CONFIGURATION,
            "roster": self.roster,
            "level": self.level,
            "min_clients": 2,
            "dropout": "0.2",
        }
        settings |= self.requirements | changes
        return Invitation.fresh(
            self.protocol, settings.pop("codec", self.codec), self.clients, SystemRng(), **settings
        )

    def ledger(self, who: PartyId, storage: Storage | None = None, *, new: bool = True) -> Ledger:
        storage = storage if storage is not None else MemoryStorage(f"ledger of {who}")
        _, session = self.invitation.agree(self.roster)
        owner, rng = Owner.of(session, who), SystemRng()
        if new:
            Ledger.create(storage, owner, DEVICE, rng)
        return Ledger.open(storage, owner, DEVICE, rng, sessions_per_round=1)

    def client(self, who: PartyId, /, *given: Ledger, **changes: Any) -> ClientEndpoint:
        """With the ledger given; by default with a new one where one is needed."""
        ledger = given[0] if given else None
        if ledger is None and self.level is Level.MALICIOUS:
            ledger = self.ledger(who)
        settings: dict[str, Any] = {
            "invitation": self.invitation.encoded,
            "me": who,
            "update": self.updates[who],
            "weight": self.weights[who],
            "model": MODEL,
            "configuration": CONFIGURATION,
            "policy": self.policy,
            "patience": PATIENCE,
            "ledger": ledger,
            "roster": self.roster,
            "identity": self.identities[who],
            "beacon": self.source,
        }
        return ClientEndpoint(**(settings | changes))

    def server(
        self, records: RecordStore | None = None, deadlines: Deadlines = DEADLINE
    ) -> ServerEndpoint:
        return ServerEndpoint(
            self.invitation,
            deadlines=deadlines,
            records=records,
            roster=self.roster,
            identity=self.believing,
            beacon=self.source,
        )

    def helper(self, me: PartyId) -> ServerEndpoint:
        return ServerEndpoint(self.invitation, deadlines=PATIENCE, me=me)

    def everybody(self) -> dict[PartyId, Endpoint]:
        ends: dict[PartyId, Endpoint] = {SERVER: self.server()}
        ends |= {me: self.helper(me) for me in self.helpers}
        return ends | {who: self.client(who) for who in self.clients}

    def mean(self, included: tuple[PartyId, ...]) -> npt.NDArray[np.float64]:
        total = sum(self.weights[who] for who in included)
        values = [self.updates[who].astype(np.float64) * self.weights[who] for who in included]
        return np.asarray(np.sum(values, axis=0) / total)

    def check(self, server: ServerEndpoint) -> tuple[PartyId, ...]:
        """The mean is that of those whom it names; who they are."""
        result = server.result()
        assert result.weight == sum(self.weights[who] for who in result.included)
        # Half a unit at the smallest weight, for each client.
        assert np.allclose(result.values, self.mean(result.included), rtol=0, atol=1e-5)
        return result.included


Tamper = Callable[[PartyId, Outgoing], list[Outgoing]]


@dataclass
class Channel:
    """Delivers in order, and lets the time pass when nothing else is left to happen.

    Attributes:
        ends: everybody's endpoint; who is not among them hears and says nothing.
        lost: messages after which a party vanishes.
        now: the clock.
        sent: all messages that were sent.
    """

    ends: dict[PartyId, Endpoint]
    lost: Mapping[PartyId, int] = field(default_factory=dict)
    now: float = 100.0
    sent: list[tuple[PartyId, Outgoing]] = field(default_factory=list)
    queue: deque[tuple[PartyId, Outgoing]] = field(default_factory=deque)
    tamper: Tamper | None = None

    def run(self) -> Channel:
        for who in list(self.ends):
            self.start(who)
        while self.step():
            pass
        return self

    def start(self, who: PartyId) -> None:
        self.post(who, self.ends[who].start(self.now))

    def step(self) -> bool:
        """Deliver the oldest message, or let the next deadline pass; False at the end."""
        if self.queue:
            sender, (to, data) = self.queue.popleft()
            if to in self.ends:
                self.post(to, self.ends[to].receive(sender, data, self.now))
            return True
        waits = [end.wait(self.now) for end in self.ends.values()]
        left = [seconds for seconds in waits if seconds is not None]
        if not left:
            return False
        self.now += min(left)
        for who, end in list(self.ends.items()):
            self.post(who, end.tick(self.now))
        return True

    def post(self, who: PartyId, outgoing: list[Outgoing]) -> None:
        for each in outgoing:
            said = sum(sender == who for sender, _ in self.sent)
            if said >= self.lost.get(who, said + 1):
                self.ends.pop(who, None)
                return
            self.sent.append((who, each))
            passed = [each] if self.tamper is None else self.tamper(who, each)
            self.queue.extend((who, one) for one in passed)
        if self.lost.get(who) == 0:
            self.ends.pop(who, None)
        if outgoing and who in self.ends and self.ends[who].wait(self.now) == 0:
            self.post(who, self.ends[who].tick(self.now))
