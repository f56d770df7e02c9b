"""The server's record of one session, line by line as it happens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

import numpy as np

from secagg import protocols
from secagg.crypto.digest import DIGEST_BYTES, digest, join_framed
from secagg.crypto.signing import SigningKey
from secagg.errors import DecodeError, ParameterError
from secagg.protocol import Done, Effect, Event, Fail, Remember, Send, Session
from secagg.record.frontier import Frontier
from secagg.record.lines import (
    FORMAT,
    HEAD_CONTEXT,
    MAX_REASON,
    NOTHING_BEFORE,
    EndLine,
    HeadLine,
    Line,
    MemberLine,
    SessionLine,
    encode,
    leaf_hash,
)
from secagg.record.published import RECORDED, Publisher, is_recorded
from secagg.record.reader import decode_line
from secagg.types import SERVER, PartyId, RingVector, Role
from secagg.wire import Envelope, Message

NEWLINE: Final = b"\n"


class Opening(NamedTuple):
    """What a record commits to: for whoever is told the sum, and for nobody else.

    Attributes:
        salt: 32 fresh bytes, without which the commitment tells nothing of the sum.
        total: the sum in the ring, reduced.
    """

    salt: bytes
    total: RingVector

    def commitment(self, session_id: bytes) -> bytes:
        """The 32 bytes that are `result` in the record of this session."""
        lanes = np.ascontiguousarray(self.total, dtype=self.total.dtype.newbyteorder("<"))
        sum_digest = hashlib.sha256(lanes.data.cast("B")).digest()
        return digest("result", session_id, self.salt, sum_digest)

    def __repr__(self) -> str:
        # The sum has no place in a log.
        return f"Opening(sum of {len(self.total)} elements)"


def head_statement(session_id: bytes, size: int, root: bytes) -> bytes:
    """What a server's key signs: so many lines, with this root, are the record of the session."""
    return join_framed(session_id, size.to_bytes(8, "big"), root)


class Recorder:
    """Writes what happens to the server of one session, as far as everybody may know it.

    Messages that the server refused, or that came too late, are not in it.

    Attributes:
        salt: of the commitment to the sum; for whoever is told the sum, and for nobody else.
        closed: whether the last line is written.
    """

    def __init__(
        self,
        session: Session,
        sink: Callable[[bytes], object],
        *,
        salt: bytes,
        key: SigningKey | None = None,
    ) -> None:
        """Write the lines that are known before anything is sent.

        Args:
            session: with a roster that has keys.
            sink: takes every line with its end: the `write` of a binary file, `list.append`.
            salt: 32 fresh bytes.
            key: the server's, if it has one: it signs the head.

        Raises:
            ParameterError: a protocol or level whose messages are not signed, a session that does
                not fit into a record, or a salt of another size.
        """
        name, level = session.plan.protocol, session.plan.task.level
        if not is_recorded(session):
            raise ParameterError(
                f"{name} at level {level} leaves nothing that could be verified: clients sign at"
                f" level malicious of {' and '.join(RECORDED)}"
            )
        if len(salt) != DIGEST_BYTES:
            raise ParameterError(f"a salt has {DIGEST_BYTES} bytes, got {len(salt)}")
        self.salt = salt
        self.closed = False
        self._session, self._sink, self._key = session, sink, key
        self._table = protocols.get(name).at(level).table
        self._previous = NOTHING_BEFORE
        self._tree, self._publisher = Frontier(), Publisher()
        self._noted: set[tuple[int, PartyId]] = set()
        self._begin()

    def happened(self, event: Event | None, sender: PartyId, effects: Iterable[Effect]) -> None:
        """As `Witness.happened`."""
        if self.closed:
            return
        effects = tuple(effects)
        # A party remembers what it takes, and nothing else.
        taken = any(isinstance(effect, Remember) for effect in effects)
        if isinstance(event, Message) and taken:
            self._note(event, sender, SERVER)
        for effect in effects:
            match effect:
                case Send(to=to, message=message):
                    self._note(message, SERVER, to)
                case Done(total=total) if total is not None:
                    self._end("released", "", total)
                case Fail(reason=reason):
                    self.close(reason)

    def close(self, reason: str) -> None:
        """Write that there is no sum, unless the record is closed already."""
        if not self.closed:
            self._end("failed", reason[:MAX_REASON], None)

    def _begin(self) -> None:
        session = self._session
        plan, roster, task = session.plan, session.roster, session.plan.task
        first = SessionLine(
            previous=self._previous,
            format=FORMAT,
            protocol=plan.protocol,
            version=plan.version,
            length=task.length,
            bound=task.bound,
            min_clients=task.min_clients,
            level=str(task.level),
            corrupt=format(task.corrupt, "f"),
            dropout=format(task.dropout, "f"),
            sigma=task.sigma,
            eta=task.eta,
            plan=plan.digest.hex(),
            epoch=roster.epoch,
            authority=roster.authority.hex(),
            members=len(roster.clients),
            roster=roster.digest.hex(),
            job=session.job,
            training_round=session.training_round,
            model_digest=session.model_digest.hex(),
            nonce=session.nonce.hex(),
            session=session.id.hex(),
        )
        try:
            decode_line(encode(first))
        except DecodeError as error:
            raise ParameterError(f"the session does not fit into a record: {error}") from None
        if not roster.keys:
            raise ParameterError("expected a roster with keys: without, nothing is verified")
        self._write(first)
        invited = set(task.clients)
        for party, key in zip(roster.clients, roster.keys, strict=True):
            self._write(
                MemberLine(
                    previous=self._previous,
                    number=party.number,
                    key=key.hex(),
                    invited=party in invited,
                )
            )

    def _note(self, message: Message, sender: PartyId, recipient: PartyId) -> None:
        client = sender if sender.role is Role.CLIENT else recipient
        if (message.KIND, client) in self._noted:
            return
        self._noted.add((message.KIND, client))
        frame = self._table.encode(Envelope(self._session.id, sender, recipient, message))
        self._write(self._publisher.line(self._previous, client, message, frame))

    def _end(
        self, outcome: Literal["released", "failed"], reason: str, total: RingVector | None
    ) -> None:
        # Before anything is written: a sink that fails is not asked again.
        self.closed = True
        result = (
            b"" if total is None else Opening(self.salt, total).commitment(self._session.id)
        ).hex()
        self._write(
            EndLine(
                previous=self._previous,
                outcome=outcome,
                reason=reason,
                result=result,
            )
        )
        size, (root, _) = self._tree.size, self._tree.close()
        server = signature = ""
        if self._key is not None:
            server = self._key.public.hex()
            statement = head_statement(self._session.id, size, root)
            signature = self._key.sign(HEAD_CONTEXT, statement).hex()
        head = HeadLine(
            previous=self._previous,
            session=self._session.id.hex(),
            size=size,
            root=root.hex(),
            server=server,
            signature=signature,
        )
        self._sink(encode(head) + NEWLINE)

    def _write(self, line: Line) -> None:
        data = encode(line)
        leaf = leaf_hash(data)
        self._tree.add(leaf)
        self._previous = leaf.hex()
        self._sink(data + NEWLINE)
