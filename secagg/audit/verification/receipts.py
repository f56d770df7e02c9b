"""Clients' receipts: beside the record, and beside each other. Only the latter show a split log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from secagg.audit.verification.conversation import Conversation
from secagg.audit.verification.verdicts import Findings, Standing, Verdict
from secagg.crypto import signing
from secagg.errors import VerificationError
from secagg.protocol import Session
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.plan import transcript
from secagg.record import lines
from secagg.record.lines import MessageLine, kind_of
from secagg.record.reader import Place
from secagg.record.receipt import CONTEXT, Receipt
from secagg.types import client

RECEIPTS: Final = "receipts"
SPLIT: Final = "one log"
DOUBLE: Final = "one signature each"

_UPWARD: Final = frozenset(
    kind_of(kind)
    for kind in (
        lines.KeysLine,
        lines.RootSignatureLine,
        lines.SharesLine,
        lines.VectorLine,
        lines.SurvivorSignatureLine,
        lines.AnswerLine,
    )
)


class Logged(NamedTuple):
    """A message of a client with a receipt, as the record has it."""

    line: MessageLine
    place: Place
    leaf_index: int
    leaf: bytes


Log = Mapping[tuple[int, str], Logged]


class ReceiptJudge:
    """Receipts of one session.

    Args:
        session: of the record.
        conversation: all of it.
        log: the messages of the clients with receipts.
        findings: where to put what is wrong.
    """

    def __init__(
        self, session: Session, conversation: Conversation, log: Log, findings: Findings
    ) -> None:
        self._session, self._conversation = session, conversation
        self._log, self._findings = log, findings
        self._survivors: dict[int, dict[bytes, str]] = {}
        self._missing: list[str] = []

    def judge(self, receipts: Sequence[Receipt], backed: Standing) -> Iterator[Verdict]:
        """All verdicts about these.

        Args:
            receipts: decoded; nothing else of them was looked at.
            backed: what a signature by a roster key is worth here.
        """
        signed = [receipt for receipt in receipts if self._check_signed(receipt)]
        for receipt in signed:
            self._check_record(receipt)
        self._check_each_other(signed)
        self._check_double()
        found, clients = self._findings, len({receipt.client for receipt in signed})
        yield from found.verdicts(
            RECEIPTS,
            backed,
            f"{clients} clients signed that they sent and saw what this record has",
        )
        if self._missing:
            yield Verdict(
                check="messages left out",
                standing=Standing.UNCHECKABLE,
                holds=None,
                details=f"{', '.join(self._missing)} not in this record: late, refused or left out",
            )
        if clients > 1 or found.count[SPLIT]:
            yield from found.verdicts(
                SPLIT, backed, f"{clients} clients agree on cohort, transcript and survivors"
            )
        else:
            yield Verdict(
                check=SPLIT,
                standing=Standing.UNCHECKABLE,
                holds=None,
                details="receipts of two clients show whether both were told the same; there are"
                f" those of {clients}",
            )
        if found.count[DOUBLE]:
            yield from found.verdicts(DOUBLE, backed, "")

    def _check_signed(self, receipt: Receipt) -> bool:
        """The client signed it, for this session, and what it names comes out of what it saw."""
        who, session = client(receipt.client), self._session
        name = f"receipt of {who}"
        if receipt.session != session.id.hex():
            self._wrong(
                RECEIPTS, f"it is of session {receipt.session}, not of {session.id.hex()}", name
            )
            return False
        try:
            signing.verify(
                session.keys.get(who, b""),
                bytes.fromhex(receipt.signature),
                CONTEXT,
                receipt.statement,
            )
        except VerificationError as error:
            self._wrong(RECEIPTS, f"{error}: its statement is {receipt.statement.hex()}", name)
            return False
        root, seed = bytes.fromhex(receipt.cohort_root), bytes.fromhex(receipt.graph_seed)
        found = transcript(session, root, seed).hex() if root else ""
        if receipt.transcript != found:
            self._wrong(
                RECEIPTS, f"transcript: its root gives {found}, not {receipt.transcript}", name
            )
            return False
        digest = b""
        if receipt.survivors:
            digest = statements.survivor_digest(
                bytes.fromhex(found),
                bytes.fromhex(receipt.dealt),
                bytes.fromhex(receipt.included),
            )
        if receipt.survivors != digest.hex():
            self._wrong(
                RECEIPTS, f"survivors: its lists give {digest.hex()}, not {receipt.survivors}", name
            )
            return False
        if digest:
            self._survivors.setdefault(receipt.client, {})[digest] = name
        self._check_shown(receipt, digest, name)
        return True

    def _check_shown(self, receipt: Receipt, digest: bytes, name: str) -> None:
        for number, signature in zip(receipt.signers, receipt.signatures, strict=True):
            try:
                statements.check_signature(
                    self._session,
                    client(number),
                    bytes.fromhex(signature),
                    statements.SURVIVORS,
                    digest,
                )
            except (VerificationError, KeyError):
                self._wrong(
                    RECEIPTS, f"it holds no signature of client {number} on {digest.hex()}", name
                )
            else:
                self._survivors.setdefault(number, {}).setdefault(digest, name)

    def _check_record(self, receipt: Receipt) -> None:
        """What the client sent and saw is what the record says."""
        name, said = f"receipt of client {receipt.client}", self._conversation
        for what, own, digest in (
            ("cohort root", receipt.cohort_root, said.cohort_root),
            ("transcript", receipt.transcript, said.transcript),
            ("survivors", receipt.survivors, said.survivors),
        ):
            if own and own != digest.hex():
                self._wrong(
                    RECEIPTS, f"{what}: it has {own}, the record {digest.hex() or 'nothing'}", name
                )
        seen = {one.message: one.sha256 for one in (*receipt.sent, *receipt.received)}
        for message, sha256 in seen.items():
            logged = self._log.get((receipt.client, message))
            if logged is None and message in _UPWARD:
                self._missing.append(f"{message} {sha256[:16]}... of client {receipt.client}")
            elif logged is None:
                self._wrong(
                    RECEIPTS, f"the server sent it {message} {sha256}, which is left out", name
                )
            elif logged.line.sha256 != sha256:
                self._wrong(
                    RECEIPTS,
                    f"{message}: it has {sha256}, {logged.place} of the record has"
                    f" {logged.line.sha256}",
                    name,
                )
        for (number, message), extra in self._log.items():
            if number == receipt.client and message in _UPWARD and message not in seen:
                self._wrong(
                    RECEIPTS,
                    f"it knows of no {message}, {extra.place} of the record has one",
                    name,
                )

    def _check_each_other(self, receipts: Sequence[Receipt]) -> None:
        for what in ("cohort_root", "transcript", "survivors"):
            first: dict[str, int] = {}
            for receipt in receipts:
                value: str = getattr(receipt, what)
                if value:
                    first.setdefault(value, receipt.client)
            (value, who), *others = first.items() or [("", 0)]
            for other, whose in others:
                self._wrong(
                    SPLIT,
                    f"{what.replace('_', ' ')}: client {who} has {value}, client {whose} has"
                    f" {other}: they were told different things, or one of them lies",
                    f"receipts of client {who} and client {whose}",
                )

    def _check_double(self) -> None:
        digest = self._conversation.survivors
        for number in self._conversation.signed:
            self._survivors.setdefault(number, {})[digest] = "the record"
        for number, digests in sorted(self._survivors.items()):
            (one, where), *others = digests.items()
            for other, elsewhere in others:
                self._wrong(
                    DOUBLE,
                    f"client {number} signed two lists of survivors: {one.hex()} in {where},"
                    f" {other.hex()} in {elsewhere}",
                    f"client {number}",
                )

    def _wrong(self, check: str, details: str, place: object) -> None:
        self._findings.add(check, details, place)
