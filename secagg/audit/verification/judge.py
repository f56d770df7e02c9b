"""`verify`: a record, a stream of lines, against what the verifier believes and clients kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import msgspec

from secagg.audit.verification import conversation as talk
from secagg.audit.verification.conversation import Conversation
from secagg.audit.verification.opening import SESSION, Anchor, judge_roster, open_session
from secagg.audit.verification.receipts import Logged, ReceiptJudge
from secagg.audit.verification.verdicts import Findings, Standing, Verdict, uncheckable
from secagg.crypto import signing
from secagg.crypto.merkle import root_of_path
from secagg.enrolment import fingerprint
from secagg.errors import RecordRefused, VerificationError
from secagg.protocol import Session
from secagg.record.frontier import Frontier
from secagg.record.lines import (
    HEAD_CONTEXT,
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
from secagg.record.reader import Place, PlacedLine, read_record
from secagg.record.receipt import Receipt
from secagg.record.recorder import head_statement

LOG: Final = "log"
HEAD: Final = "signature of the server"
RESULT: Final = "result"
INCLUSION: Final = "inclusion"

BEYOND: Final = (
    ("sum", "masked vectors are added up and forgotten: only their digests are here"),
    ("completeness", "a server may leave out what it likes; receipts show some of that"),
    ("absence of the excluded", "that clients not in the sum really dropped is the server's word"),
    (
        "no other queries",
        "shares may have gone another way, and other sessions have records of their own",
    ),
    ("kinds of shares", "which share an answer has of whom is in its body, which is not public"),
    ("inputs", "what a client masked is known to nobody else"),
    ("time", "nothing here says when the session was"),
    (
        "people",
        "one person may have several keys in a roster: that is for its authority to rule out",
    ),
)
"""What no record can show, and why."""

BEACON: Final = (
    "beacon",
    "that the value was said by a beacon, and when, is not looked at: the graph follows from it",
)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That a line is in the log: RFC 9162, section 2.1.3.

    Attributes:
        client: whose message.
        message: its type.
        sha256: of its frame.
        line: of the record, from 1.
        index: of the leaf, from 0.
        size: leaves in all.
        leaf: its hash.
        path: the audit path, from the leaf's sibling up.
    """

    client: int
    message: str
    sha256: str
    line: int
    index: int
    size: int
    leaf: str
    path: list[str]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """All that a verification found.

    Attributes:
        session: the id, if the record has one that follows from its fields.
        protocol: by name.
        job: of the session.
        training_round: of the job.
        sha256: of the whole record.
        bytes: of it.
        lines: of it.
        root: of the tree over all lines but the last.
        outcome: by the record's word; nothing if it has none.
        verdicts: one or more for each question.
        proofs: of the messages of clients whose receipts were given.
    """

    session: str | None
    protocol: str
    job: str
    training_round: int
    sha256: str
    bytes: int
    lines: int
    root: str
    outcome: str | None
    verdicts: list[Verdict]
    proofs: list[Proof]

    @property
    def holds(self) -> bool:
        """Whether everything that could be checked is as it should be."""
        return all(verdict.holds is not False for verdict in self.verdicts)


def verify(file: BinaryIO, anchor: Anchor, receipts: Sequence[Receipt] = ()) -> Verification:
    """Judge a record.

    Args:
        file: the record, read once, as a stream.
        anchor: what the verifier believes.
        receipts: of clients of the same session.

    Raises:
        RecordRefused: it cannot be read to its end: the place is named. Nothing is said of it then.
    """
    case = _Case(anchor, receipts)
    for placed in read_record(file):
        case.take(placed)
    return case.close()


class _Case:
    """A record as far as it was read."""

    def __init__(self, anchor: Anchor, receipts: Sequence[Receipt]) -> None:
        self._anchor, self._receipts = anchor, receipts
        self._findings = Findings()
        self._kept_by = {receipt.client for receipt in receipts}
        self._state, self._size = hashlib.sha256(), 0
        self._tree, self._lines = Frontier(), 0
        self._previous, self._kind, self._place = NOTHING_BEFORE, 0, Place(1, 0)
        self._first: SessionLine | None = None
        self._members: list[MemberLine] = []
        self._numbers: set[int] = set()
        self._opened = False
        self._session: Session | None = None
        self._talk: Conversation | None = None
        self._noted: set[tuple[type[Line], int]] = set()
        self._log: dict[tuple[int, str], Logged] = {}
        self._end: EndLine | None = None
        self._head: HeadLine | None = None

    def take(self, placed: PlacedLine) -> None:
        """The next line."""
        place, data, line = placed
        self._state.update(data + b"\n")
        self._size += len(data) + 1
        self._lines, self._place = self._lines + 1, place
        if line.previous != self._previous:
            self._wrong(
                LOG, f"the line before has digest {self._previous}, not {line.previous}", place
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

    def close(self) -> Verification:
        """The verdicts, after the last line.

        Raises:
            RecordRefused: the head of the log is missing.
        """
        head, first, size = self._head, self._first, self._tree.size
        if head is None or first is None:
            raise RecordRefused(f"truncated: no head after {self._lines} lines", self._place)
        root, paths = self._tree.close()
        if (head.size, head.root) != (size, root.hex()):
            self._wrong(
                LOG,
                f"{size} lines have root {root.hex()}, the head says {head.size} and {head.root}",
                self._place,
            )
        if self._end is None:
            self._wrong(talk.ORDER, "no line says what the session came to", self._place)
        proofs = [
            _proof(number, message, logged, paths[logged.leaf_index], size)
            for (number, message), logged in sorted(self._log.items())
            if logged.leaf_index in paths
        ]
        return Verification(
            session=None if self._session is None else self._session.id.hex(),
            protocol=first.protocol,
            job=first.job,
            training_round=first.training_round,
            sha256=self._state.hexdigest(),
            bytes=self._size,
            lines=self._lines,
            root=root.hex(),
            outcome=None if self._end is None else self._end.outcome,
            verdicts=list(self._verdicts(head, root, proofs)),
            proofs=proofs,
        )

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
                self._log[line.client, kind_of(line)] = logged
            if self._talk is not None:
                self._talk.take(line, place)
        elif isinstance(line, EndLine):
            self._end = line
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
        self._session = open_session(first, self._members, place, self._findings)
        if self._session is not None:
            self._talk = Conversation(self._session, self._findings)

    # What it comes to.

    def _verdicts(self, head: HeadLine, root: bytes, proofs: list[Proof]) -> Iterator[Verdict]:
        found = self._findings
        yield from found.verdicts(
            LOG,
            Standing.CONSISTENT,
            f"{self._tree.size} lines, each names the one before, under root {root.hex()}",
        )
        session, said = self._session, self._talk
        if session is None or said is None:
            yield from found.verdicts(talk.ORDER, Standing.CONSISTENT, "as the protocol has it")
            yield from found.verdicts(SESSION, Standing.CONSISTENT, "nothing was said in it")
            return
        roster = judge_roster(self._anchor, session)
        anchored = roster.standing is Standing.PROVED and roster.holds is True
        backed = Standing.PROVED if anchored else Standing.CONSISTENT
        self._check_outcome(said)
        yield roster
        yield from self._of_messages(session, said, backed)
        yield from self._of_server(head, root, session)
        if self._receipts:
            judge = ReceiptJudge(session, said, self._log, found)
            yield from judge.judge(self._receipts, backed)
            yield from self._of_inclusion(root, proofs)
        else:
            yield uncheckable("one log", "no receipts were given: of two logs this may be one")
        for check, reason in BEYOND:
            yield uncheckable(check, reason)
        if said.on_a_ring:
            yield uncheckable(*BEACON)

    def _of_messages(
        self, session: Session, said: Conversation, backed: Standing
    ) -> Iterator[Verdict]:
        found, plan = self._findings, said.plan
        # By signing survivors a client signs transcript, root and session.
        agreed = backed if len(said.signed) >= plan.threshold else Standing.CONSISTENT
        signed, survivors = len(said.signed), said.survivors.hex()
        rows = (
            (talk.ORDER, Standing.CONSISTENT, "one message of a kind for each client, in phases"),
            (
                SESSION,
                backed if said.keys else Standing.CONSISTENT,
                f"plan, roster, job, round, model and nonce give {session.id.hex()}",
            ),
            (
                talk.KEYS,
                backed,
                f"{len(said.keys)} clients signed their keys for this session and model",
            ),
            (talk.COHORT, agreed, f"these keys have root {said.cohort_root.hex() or 'not made'}"),
            (talk.SHARES, backed, f"{len(said.dealers)} clients signed what they dealt"),
            (talk.VECTORS, backed, f"{len(said.senders)} clients signed their vectors"),
            (talk.SURVIVORS, agreed, f"the lists that were shown give {survivors or 'nothing'}"),
            (
                talk.AGREEMENT,
                backed,
                f"{signed} of {len(said.senders)} survivors signed {survivors or 'nothing'};"
                f" {plan.threshold} are needed{' in each neighbourhood' * said.on_a_ring}",
            ),
            (
                talk.QUORUMS,
                Standing.CONSISTENT,
                f"{len(said.shown)} clients were shown {plan.threshold} signatures on it, with"
                " their own",
            ),
            (talk.ANSWERS, backed, f"{len(said.answered)} clients signed an answer about it"),
            (talk.FRAMES, Standing.CONSISTENT, "messages that are public as a whole, made again"),
        )
        for check, standing, holding in rows:
            yield from found.verdicts(check, standing, holding)

    def _check_outcome(self, said: Conversation) -> None:
        """A sum was released only over enough clients that agreed."""
        end, plan = self._end, said.plan
        if end is None or end.outcome != "released":
            return
        for check, what, number, needed in (
            (talk.KEYS, "advertised keys", len(said.keys), plan.smallest_cohort),
            (talk.VECTORS, "are in the sum", len(said.senders), plan.minimum),
            (talk.AGREEMENT, "signed the survivors", len(said.signed), plan.threshold),
            (talk.ANSWERS, "answered", len(said.answered), plan.threshold),
        ):
            if number < needed:
                self._wrong(
                    check, f"a sum was released, {number} clients {what}, {needed} are needed"
                )
        if not end.result:
            self._wrong(talk.ORDER, "a sum was released, and nothing is committed to")

    def _of_server(self, head: HeadLine, root: bytes, session: Session) -> Iterator[Verdict]:
        signed = self._judge_head(head, root, session)
        yield signed
        end = self._end
        if end is None or end.outcome != "released":
            reason = "nothing" if end is None else end.reason
            yield uncheckable(RESULT, f"no sum was released, the server says: {reason}")
        elif signed.standing is Standing.PROVED and signed.holds:
            yield Verdict(
                check=RESULT,
                standing=Standing.PROVED,
                holds=True,
                details=f"the server signed the commitment {end.result} to its sum",
            )
        else:
            yield uncheckable(RESULT, f"{end.result} commits whoever made this record to a sum")

    def _judge_head(self, head: HeadLine, root: bytes, session: Session) -> Verdict:
        believed = self._anchor.server
        standing = Standing.CONSISTENT if believed is None else Standing.PROVED
        if not head.signature and believed is None:
            return uncheckable(
                HEAD, "no server signed this record: nothing that it says is its word"
            )
        holds, details = True, f"{fingerprint(bytes.fromhex(head.server))} signed the head"
        if believed is not None and head.server != believed.hex():
            holds, details = (
                False,
                f"expected the key {believed.hex()}, got {head.server or 'none'}",
            )
        else:
            try:
                signing.verify(
                    bytes.fromhex(head.server),
                    bytes.fromhex(head.signature),
                    HEAD_CONTEXT,
                    head_statement(session.id, self._tree.size, root),
                )
            except VerificationError as error:
                holds, details = False, str(error)
        place = None if holds else str(self._place)
        return Verdict(check=HEAD, standing=standing, holds=holds, details=details, place=place)

    def _of_inclusion(self, root: bytes, proofs: list[Proof]) -> Iterator[Verdict]:
        for proof in proofs:
            logged = self._log[proof.client, proof.message]
            path = bytes.fromhex("".join(proof.path))
            if root_of_path(logged.leaf, proof.index, proof.size, path) != root:
                self._wrong(INCLUSION, f"no path from leaf {proof.index} to the root", logged.place)
        yield from self._findings.verdicts(
            INCLUSION,
            Standing.CONSISTENT,
            f"{len(proofs)} messages of clients with receipts are leaves under the root",
        )

    def _wrong(self, check: str, details: str, place: object = None) -> None:
        self._findings.add(check, details, place)


def _proof(number: int, message: str, logged: Logged, path: bytes, size: int) -> Proof:
    return Proof(
        client=number,
        message=message,
        sha256=logged.line.sha256,
        line=logged.place.line,
        index=logged.leaf_index,
        size=size,
        leaf=leaf_hash(logged.leaf).hex(),
        path=[path[start : start + 32].hex() for start in range(0, len(path), 32)],
    )
