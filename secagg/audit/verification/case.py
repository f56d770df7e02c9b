"""A record as far as it was read: what its lines say, and what is wrong with their order."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from secagg.audit.verification import conversation as talk
from secagg.audit.verification.conversation import Conversation
from secagg.audit.verification.opening import SESSION, open_session
from secagg.audit.verification.receipts import Logged
from secagg.audit.verification.verdicts import Findings
from secagg.errors import RecordRefused
from secagg.protocol import Session
from secagg.record.frontier import Frontier
from secagg.record.lines import (
    NOTHING_BEFORE,
    ORDER,
    EndLine,
    HeadLine,
    Line,
    MemberLine,
    MessageLine,
    SessionLine,
    kind_of,
    leaf_hash,
)
from secagg.record.reader import Place, PlacedLine

LOG: Final = "log"


class Closed(NamedTuple):
    """The log as a whole.

    Attributes:
        first: its first line.
        head: its last.
        size: leaves of the tree.
        root: of the tree.
        paths: audit paths of the messages that are kept, by leaf.
    """

    first: SessionLine
    head: HeadLine
    size: int
    root: bytes
    paths: Mapping[int, bytes]


class Case:
    """Takes the lines one by one, and keeps what later ones are judged by.

    Attributes:
        findings: what is wrong.
        size: bytes so far.
        lines: how many there were.
        place: of the last.
        session: that the first lines give, if they give one.
        talk: what was said in it.
        log: messages of the clients whose receipts are there.
        end: what it came to.
    """

    def __init__(self, kept_by: Collection[int]) -> None:
        """An empty record.

        Args:
            kept_by: clients whose receipts are there.
        """
        self.findings = Findings()
        self.size = self.lines = 0
        self.place = Place(1, 0)
        self.session: Session | None = None
        self.talk: Conversation | None = None
        self.log: dict[tuple[int, str], Logged] = {}
        self.end: EndLine | None = None
        self._kept_by = frozenset(kept_by)
        self._state, self._tree = hashlib.sha256(), Frontier()
        self._previous, self._kind = NOTHING_BEFORE, 0
        self._first: SessionLine | None = None
        self._head: HeadLine | None = None
        self._members: list[MemberLine] = []
        self._numbers: set[int] = set()
        self._opened = False
        self._noted: set[tuple[type[Line], int]] = set()

    @property
    def sha256(self) -> str:
        """Of all bytes so far."""
        return self._state.hexdigest()

    def close(self) -> Closed:
        """The log, after its last line.

        Raises:
            RecordRefused: its head is missing.
        """
        head, first, size = self._head, self._first, self._tree.size
        if head is None or first is None:
            raise RecordRefused(f"truncated: no head after {self.lines} lines", self.place)
        root, paths = self._tree.close()
        if (head.size, head.root) != (size, root.hex()):
            self._wrong(
                LOG,
                f"{size} lines have root {root.hex()}, the head says {head.size} and {head.root}",
                self.place,
            )
        if self.end is None:
            self._wrong(talk.ORDER, "no line says what the session came to", self.place)
        return Closed(first, head, size, root, paths)

    def take(self, placed: PlacedLine) -> None:
        """The next line."""
        place, data, line = placed
        self._state.update(data + b"\n")
        self.size += len(data) + 1
        self.lines, self.place = self.lines + 1, place
        if line.previous != self._previous:
            self._wrong(
                LOG,
                f"it names {line.previous}, the line before it, number {place.line - 1}, has"
                f" {self._previous}: one of the two was changed",
                place,
            )
        leaf = leaf_hash(data)
        self._previous = leaf.hex()
        wanted = isinstance(line, MessageLine) and line.client in self._kept_by
        if not isinstance(line, HeadLine):
            self._tree.add(leaf, wanted=wanted)
        if not isinstance(line, SessionLine | MemberLine):
            self._open()
        if self._in_order(line, place):
            self._judge(line, place, data)

    def _in_order(self, line: Line, place: Place) -> bool:
        """Whether a line may stand here. No others are kept, however many come."""
        if isinstance(line, MessageLine) and line.client not in self._numbers:
            self._wrong(talk.ORDER, f"client {line.client} is no member of the roster", place)
            return False
        kind = ORDER.index(type(line))
        once = (type(line), line.client if isinstance(line, MessageLine) else 0)
        second = once in self._noted and not isinstance(line, MemberLine)
        self._noted.add(once)
        if second or kind < self._kind:
            what = "a second line" if second else "expected no more lines"
            self._wrong(talk.ORDER, f"{what} of kind {kind_of(line)}", place)
            return False
        self._kind = kind
        return True

    def _judge(self, line: Line, place: Place, data: bytes) -> None:
        if isinstance(line, SessionLine):
            self._first = line
        elif isinstance(line, MemberLine):
            self._enrol(line, place)
        elif isinstance(line, MessageLine):
            if line.client in self._kept_by:
                logged = Logged(line, place, self._tree.size - 1, data)
                self.log[line.client, kind_of(line)] = logged
            if self.talk is not None:
                self.talk.take(line, place)
        elif isinstance(line, EndLine):
            self.end = line
        elif isinstance(line, HeadLine):
            self._head = line

    def _enrol(self, line: MemberLine, place: Place) -> None:
        expected = 0 if self._first is None else self._first.members
        if line.number in self._numbers or len(self._members) == expected:
            self._wrong(SESSION, f"client {line.number} is one member too many", place)
            return
        self._numbers.add(line.number)
        self._members.append(line)

    def _open(self) -> None:
        first = self._first
        if self._opened or first is None:
            return
        self._opened = True
        place = Place(1, 0)
        if (got := len(self._members)) != first.members:
            self._wrong(SESSION, f"expected {first.members} members, got {got}", place)
        self.session = open_session(first, self._members, place, self.findings)
        if self.session is not None:
            self.talk = Conversation(self.session, self.findings)

    def _wrong(self, check: str, details: str, place: object = None) -> None:
        self.findings.add(check, details, place)
