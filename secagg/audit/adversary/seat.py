"""One party of an attacked session, with its durable memory: what honest code is driven by."""

from __future__ import annotations

from dataclasses import dataclass, field

from secagg.crypto.rng import SEED_BYTES
from secagg.ledger import Keeper, Ledger, MemoryStorage, Owner
from secagg.protocol import (
    ClientPolicy,
    Effect,
    Event,
    Identity,
    Party,
    Protocol,
    Record,
    Remember,
    Session,
)
from secagg.types import PartyId, Rng, Secret


class Disk:
    """What outlives a client: its ledger, and the key of its device.

    An adversary takes it from one session to another, and does not look into it.
    """

    __slots__ = ("_device", "_storage")

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        """A new ledger."""
        self._storage = MemoryStorage(f"disk of {me}")
        self._device = Secret(rng.bytes(SEED_BYTES))
        Ledger.create(self._storage, Owner.of(session, me), self._device, rng)


@dataclass(frozen=True)
class _Saved:
    """All that is durable of a party at one moment."""

    records: tuple[Record, ...] = ()
    log: bytes = b""
    mark: bytes = b""
    items: dict[bytes, dict[str, bytes]] = field(default_factory=dict)


class Seat:
    """A party and the memory from which it can be restored.

    Where a lying server is withstood a client's memory is a ledger, elsewhere a list of records.

    Raises:
        LedgerError: the ledger refuses the session.
        PolicyError: the client refuses it.
    """

    def __init__(
        self,
        protocol: Protocol,
        session: Session,
        me: PartyId,
        rng: Rng,
        policy: ClientPolicy,
        identity: Identity | None,
        disk: Disk | None,
    ) -> None:
        self.me = me
        self._protocol, self._session, self._rng = protocol, session, rng
        self._policy, self._identity, self.disk = policy, identity, disk
        self._records: list[Record] = []
        self._saved: list[_Saved] = []
        self._ledger: Ledger | None = None
        self._keeper: Keeper | None = None
        self.party = self._made()

    def start(self) -> list[Effect]:
        """The party's first effects, but for what they remember."""
        self._save()
        keeper = self._keeper
        return keeper.begin() if keeper is not None else self._kept(self.party.start())

    def handle(self, event: Event, sender: PartyId) -> list[Effect]:
        """What follows from an event, but for what is remembered: that is durable."""
        self._save()
        if self._keeper is not None:
            return self._keeper.handle(event, sender)
        return self._kept(self.party.handle(event, sender))

    def restart(self, back: int = 0) -> list[Effect]:
        """Kill the party and restore it. What it last did is done again.

        Args:
            back: the memory is put back as it was before this many of the last events.
        """
        if back:
            saved = self._saved[-back]
            del self._saved[-back:]
            self._records = list(saved.records)
            if self.disk is not None:
                storage = self.disk._storage
                storage.log, storage.mark = saved.log, saved.mark
                storage.stored = {session: dict(items) for session, items in saved.items.items()}
        self.party = self._made()
        return self._keeper.begin() if self._keeper is not None else self.party.resume()

    def close(self) -> None:
        """Let another session use the ledger."""
        if self._ledger is not None:
            self._ledger.close()

    def _made(self) -> Party:
        common = (self._session, self.me, self._rng, self._policy)
        if self.disk is None:
            if self._records:
                return self._protocol.restore(*common, self._records, self._identity)
            return self._protocol.party(*common, self._identity)
        self.close()
        self._ledger = Ledger.open(
            self.disk._storage,
            Owner.of(self._session, self.me),
            self.disk._device,
            self._rng,
            sessions_per_round=self._policy.sessions_per_round,
        )
        try:
            self._keeper = Keeper(self._ledger, self._protocol, *common, self._identity)
        except BaseException:
            self.close()
            raise
        return self._keeper.party

    def _kept(self, effects: list[Effect]) -> list[Effect]:
        allowed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Remember):
                record = effect.record
                kept = Record(record.head, memoryview(bytes(record.tail)), record.final)
                self._records = [*([] if kept.final else self._records), kept]
            else:
                allowed.append(effect)
        return allowed

    def _save(self) -> None:
        if self.disk is None:
            self._saved.append(_Saved(tuple(self._records)))
            return
        storage = self.disk._storage
        items = {session: dict(stored) for session, stored in storage.stored.items()}
        self._saved.append(_Saved((), storage.log, storage.mark, items))
