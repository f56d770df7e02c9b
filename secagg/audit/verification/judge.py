"""`verify`: a record, a stream of lines, against what the verifier believes and clients kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO, Final

import msgspec

from secagg.audit.verification import conversation as talk
from secagg.audit.verification.case import LOG, Case
from secagg.audit.verification.conversation import Conversation
from secagg.audit.verification.heads import judge_heads, judge_server
from secagg.audit.verification.opening import SESSION, Anchor, judge_roster
from secagg.audit.verification.receipts import Logged, ReceiptJudge
from secagg.audit.verification.verdicts import Standing, Verdict, uncheckable
from secagg.crypto.merkle import root_of_path
from secagg.protocol import Session
from secagg.record.lines import (
    HeadLine,
    leaf_hash,
)
from secagg.record.reader import read_record
from secagg.record.receipt import Receipt

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


def verify(
    file: BinaryIO,
    anchor: Anchor,
    receipts: Sequence[Receipt] = (),
    heads: Sequence[HeadLine] = (),
) -> Verification:
    """Judge a record.

    Args:
        file: the record, read once, as a stream.
        anchor: what the verifier believes.
        receipts: of clients of the same session.
        heads: of records of the same session that somebody kept.

    Raises:
        RecordRefused: it cannot be read to its end: the place is named. Nothing is said of it then.
    """
    case = Case({receipt.client for receipt in receipts})
    for placed in read_record(file):
        case.take(placed)
    return _Judge(case, anchor, receipts, heads).verification()


class _Judge:
    """What a record comes to.

    Args:
        case: read to its end.
        anchor: what the verifier believes.
        receipts: of clients.
        heads: that somebody kept.
    """

    def __init__(
        self, case: Case, anchor: Anchor, receipts: Sequence[Receipt], heads: Sequence[HeadLine]
    ) -> None:
        self._case, self._anchor = case, anchor
        self._receipts, self._heads = receipts, heads
        self._closed, self._findings = case.close(), case.findings

    def verification(self) -> Verification:
        """All that was found."""
        case, (first, _, size, root, paths) = self._case, self._closed
        proofs = [
            _proof(number, message, logged, paths[logged.leaf_index], size)
            for (number, message), logged in sorted(case.log.items())
        ]
        return Verification(
            session=None if case.session is None else case.session.id.hex(),
            protocol=first.protocol,
            job=first.job,
            training_round=first.training_round,
            sha256=case.sha256,
            bytes=case.size,
            lines=case.lines,
            root=root.hex(),
            outcome=None if case.end is None else case.end.outcome,
            verdicts=list(self._verdicts(proofs)),
            proofs=proofs,
        )

    def _verdicts(self, proofs: list[Proof]) -> Iterator[Verdict]:
        found, (_, head, size, root, _) = self._findings, self._closed
        yield from found.verdicts(
            LOG,
            Standing.CONSISTENT,
            f"{size} lines, each names the one before, under root {root.hex()}",
        )
        session, said = self._case.session, self._case.talk
        if session is None or said is None:
            yield from found.verdicts(talk.ORDER, Standing.CONSISTENT, "as the protocol has it")
            yield from found.verdicts(SESSION, Standing.CONSISTENT, "nothing was said in it")
            return
        roster = judge_roster(self._anchor, session)
        anchored = roster.standing is Standing.PROVED and roster.holds is True
        backed = Standing.PROVED if anchored else Standing.CONSISTENT
        self._check_outcome(said)
        if head.session != session.id.hex():
            self._wrong(talk.ORDER, f"the head is of session {head.session}", self._case.place)
        yield roster
        yield from self._of_messages(session, said, backed)
        made = msgspec.structs.replace(head, session=session.id.hex(), size=size, root=root.hex())
        yield from judge_server(self._anchor.server, made, self._case.place, self._case.end)
        yield from judge_heads(self._anchor.server, made, self._heads)
        if self._receipts:
            judge = ReceiptJudge(session, said, self._case.log, found)
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
        for check, standing, holding in (
            (talk.ORDER, Standing.CONSISTENT, "one message of a kind for each client, in phases"),
            (talk.FRAMES, Standing.CONSISTENT, "messages that are public as a whole, made again"),
            (
                SESSION,
                backed if said.authentic else Standing.CONSISTENT,
                f"plan, roster, job, round, model and nonce give {session.id.hex()}",
            ),
        ):
            yield from found.verdicts(check, standing, holding)
        rows: tuple[tuple[str, Collection[object], Standing, str], ...] = (
            (
                talk.KEYS,
                said.keys,
                backed,
                f"{len(said.keys)} clients signed their keys for this session and model",
            ),
            (
                talk.COHORT,
                said.cohort_root,
                agreed,
                f"these keys have the root {said.cohort_root.hex()}",
            ),
            (
                talk.SHARES,
                said.dealers,
                backed,
                f"{len(said.dealers)} clients signed what they dealt",
            ),
            (
                talk.VECTORS,
                said.senders,
                backed,
                f"{len(said.senders)} clients signed their masked vectors",
            ),
            (
                talk.SURVIVORS,
                said.survivors,
                agreed,
                f"the lists that clients were shown give {survivors}",
            ),
            (
                talk.AGREEMENT,
                said.signed,
                backed,
                f"{signed} of {len(said.senders)} survivors signed {survivors};"
                f" {plan.threshold} are needed{' in each neighbourhood' * said.on_a_ring}",
            ),
            (
                talk.QUORUMS,
                said.shown,
                Standing.CONSISTENT,
                f"{len(said.shown)} clients were shown {plan.threshold} signatures on it, with"
                " their own",
            ),
            (
                talk.ANSWERS,
                said.answered,
                backed,
                f"{len(said.answered)} clients signed an answer about it",
            ),
        )
        for check, reached, standing, holding in rows:
            if reached or found.count[check]:
                yield from found.verdicts(check, standing, holding)
            else:
                yield uncheckable(check, "by this record the session ended before")

    def _check_outcome(self, said: Conversation) -> None:
        """A sum was released only over enough clients that agreed."""
        end, plan = self._case.end, said.plan
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

    def _of_inclusion(self, root: bytes, proofs: list[Proof]) -> Iterator[Verdict]:
        for proof in proofs:
            logged = self._case.log[proof.client, proof.message]
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
