"""Recorded sessions at level malicious, over endpoints, and ways to change what was recorded."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unit.endpoint.federation import Channel, Federation, Tamper

from secagg import enrolment
from secagg.audit.verification import Anchor, Verification, verify
from secagg.crypto.rng import SEED_BYTES, seeded
from secagg.crypto.signing import SigningKey
from secagg.endpoint import ClientEndpoint, RecordStore, ServerEndpoint
from secagg.enrolment import Document, Entry
from secagg.protocol import Identity, Level
from secagg.record import Receipt
from secagg.record.frontier import Frontier
from secagg.record.lines import leaf_hash
from secagg.types import SERVER, PartyId, Secret, client

SERVER_KEY = SigningKey(Secret(b"\x07" * SEED_BYTES))


@dataclass
class Recorded:
    """A session that was played, its record and everybody's endpoint."""

    protocol: str = "secagg"
    lost: Mapping[PartyId, int] = field(default_factory=lambda: {client(1): 2})
    tamper: Tamper | None = None
    signing: bool = False
    records: RecordStore | None = None

    def __post_init__(self) -> None:
        self.federation = Federation(self.protocol, Level.MALICIOUS)
        self.lines: list[bytes] = []
        self.server = self.serving(self.lines)
        self.clients = {who: self.federation.client(who) for who in self.federation.clients}
        ends = {SERVER: self.server, **self.clients}
        self.channel = Channel(ends, lost=self.lost, tamper=self.tamper).run()

    def serving(
        self, lines: list[bytes], sink: Callable[[bytes], object] | None = None
    ) -> ServerEndpoint:
        federation = self.federation
        identity = federation.believing or Identity()
        if self.signing:
            identity = replace(identity, key=SERVER_KEY)
        return ServerEndpoint(
            federation.invitation,
            deadlines=10.0,
            records=self.records,
            public_record=sink or lines.append,
            roster=federation.roster,
            identity=identity,
            beacon=federation.source,
        )

    @property
    def record(self) -> bytes:
        return b"".join(self.lines)

    def receipts(self, *numbers: int) -> list[Receipt]:
        chosen = numbers or [n for n, end in self._ends() if end.done]
        return [self.clients[client(number)].receipt() for number in chosen]

    def _ends(self) -> list[tuple[int, ClientEndpoint]]:
        return [(who.number, end) for who, end in self.clients.items()]

    @property
    def authority(self) -> SigningKey:
        """As the federation draws it."""
        rng = seeded(self.federation.count)
        for _ in self.federation.clients:
            rng.bytes(SEED_BYTES)
        return SigningKey(Secret(rng.bytes(SEED_BYTES)))

    def signed_roster(self, epoch: int = 3) -> bytes:
        roster = self.federation.roster
        assert roster is not None
        entries = tuple(
            Entry(party.number, key, f"client{party.number}", revoked=False)
            for party, key in zip(roster.clients, roster.keys, strict=True)
        )
        document = Document("secagg roster document 1", "winds", epoch, 0, 0, entries)
        return enrolment.sign(document, self.authority, not_before=1000, not_after=2000)

    def anchor(self) -> Anchor:
        return Anchor(self.signed_roster(), self.authority.public)


def judged(
    record: bytes | Sequence[bytes], receipts: Sequence[Receipt] = (), anchor: Anchor | None = None
) -> Verification:
    data = record if isinstance(record, bytes) else b"".join(record)
    return verify(io.BytesIO(data), anchor or Anchor(), receipts)


def failing(found: Verification) -> dict[str, list[str]]:
    """What is wrong, by check, as place and details."""
    wrong: dict[str, list[str]] = {}
    for verdict in found.verdicts:
        if verdict.holds is False:
            wrong.setdefault(verdict.check, []).append(f"{verdict.place}: {verdict.details}")
    return wrong


Fields = dict[str, Any]


def forged(lines: Sequence[bytes], change: Callable[[list[Fields]], None]) -> bytes:
    """A record that was changed by somebody who knows the format: chain, tree and head fit."""
    fields = [json.loads(line) for line in lines]
    change(fields)
    tree, previous, made = Frontier(), "00" * 32, []
    for line in fields:
        line["previous"] = previous
        if line["line"] == "head":
            size, (root, _) = tree.size, tree.close()
            line |= {"size": size, "root": root.hex()}
        data = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
        made.append(data + b"\n")
        leaf = leaf_hash(data)
        previous = leaf.hex()
        if line["line"] != "head":
            tree.add(leaf)
    return b"".join(made)
