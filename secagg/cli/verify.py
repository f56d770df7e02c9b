"""`secagg verify`: a session's public record, offline, by whoever has it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from secagg import enrolment
from secagg.audit.verification import (
    Anchor,
    Proof,
    Verdict,
    Verification,
    decode_head,
    sign_statement,
)
from secagg.audit.verification import verify as judge
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Build
from secagg.enrolment import MAX_ROSTER_BYTES, KeyRole, PublicKey
from secagg.errors import FileRefused, ParameterError, RecordRefused
from secagg.record import MAX_RECEIPT_BYTES, HeadLine, Receipt, printable

SCHEMA: Final = "secagg.verify/1"
ROW_SCHEMA: Final = "secagg.verify.row/1"

_Decoded = TypeVar("_Decoded")

_FILE = click.Path(path_type=Path, dir_okay=False)
_ANSWERS: Final = {True: "holds", False: "FAILS", None: "-"}


class Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """One verdict.

    Attributes:
        check: what was asked.
        answer: holds, FAILS, or - where there is no answer.
        standing: what the answer is worth.
        details: why.
        place: the line or receipt that is wrong.
    """

    check: str
    answer: str
    standing: str
    details: str
    place: str | None


class Document(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The whole answer; the fields of a `Verification`, and the build that made it."""

    secagg: Build
    started: str
    argv: list[str]
    record: str
    sha256: str
    bytes: int
    lines: int
    root: str
    session: str | None
    protocol: str
    job: str
    training_round: int
    outcome: str | None
    holds: bool
    rows: list[Row]
    proofs: list[Proof]


@click.command()
@click.argument("record", type=_FILE)
@click.option("--roster", type=_FILE, help="The signed roster of the session's epoch.")
@click.option("--authority", type=_FILE, help="The public key whose rosters you believe.")
@click.option("--server-key", type=_FILE, help="The server's public key, if it signs records.")
@click.option(
    "--receipt",
    "receipts",
    type=_FILE,
    multiple=True,
    help="A client's receipt; may be repeated. Two show whether both were told the same.",
)
@click.option(
    "--head",
    "heads",
    type=_FILE,
    multiple=True,
    help="The last line of a record of this session that somebody kept; may be repeated.",
)
@click.option(
    "--statement", type=_FILE, help="Write the result here as a signed in-toto statement."
)
@click.option("--key", type=_FILE, help="Your private key, of the role auditor.")
@options.passphrase_file
@options.output
@click.pass_obj
def command(
    argv: list[str],
    *,
    record: Path,
    roster: Path | None,
    authority: Path | None,
    server_key: Path | None,
    receipts: tuple[Path, ...],
    heads: tuple[Path, ...],
    statement: Path | None,
    key: Path | None,
    passphrase_file: Path | None,
    target: output.Target,
) -> Exit:
    """Verify the public RECORD of a session at level malicious.

    Nothing is sent anywhere. Without --roster and --authority nothing is proved to anybody:
    whoever made the record could have drawn all keys in it. Each verdict says what it is worth;
    what no record can show is listed too.

    Ends with 1 if something that was checked is wrong, and with 3 if the record cannot be read to
    its end: then nothing is said of it.
    """
    if (statement is None) != (key is None):
        raise click.UsageError("--statement and --key belong together")
    anchor = Anchor(
        roster=None if roster is None else enrolment.read_public(roster, MAX_ROSTER_BYTES),
        authority=_public(authority, KeyRole.AUTHORITY),
        server=_public(server_key, KeyRole.SERVER),
    )
    # Before a long file is read, not after.
    pair = None
    if key is not None:
        pair = enrolment.load(key, options.passphrase_for(key, passphrase_file))
        _check_role(key, pair.public, KeyRole.AUDITOR)
    decoded = [_decoded(path, Receipt.decode) for path in receipts]
    kept = [_decoded(path, decode_head) for path in heads]
    verification = _judge(record, anchor, decoded, kept)
    output.write(_report(argv, record, verification), target)
    if statement is not None and pair is not None:
        subjects = {str(record): verification.sha256} | _digests([*receipts, *heads])
        configuration = _digests([path for path in (roster, authority, server_key) if path])
        envelope = sign_statement(verification, subjects, configuration, pair.key)
        enrolment.replace(statement, envelope)
        output.say(f"signed by {pair.public.fingerprint}, written to {statement}")
    return Exit.DONE if verification.holds else Exit.FINDING


def _judge(
    record: Path, anchor: Anchor, receipts: Sequence[Receipt], heads: Sequence[HeadLine]
) -> Verification:
    try:
        with record.open("rb") as file:
            return judge(file, anchor, receipts, heads)
    except OSError as error:
        raise FileRefused(record, (error.strerror or "it cannot be read").lower()) from None
    except RecordRefused as refusal:
        raise RecordRefused(f"{record}: {refusal}") from None


def _public(path: Path | None, role: KeyRole) -> bytes | None:
    if path is None:
        return None
    public = enrolment.load_public(path)
    _check_role(path, public, role)
    return public.key


def _check_role(path: Path, public: PublicKey, role: KeyRole) -> None:
    if public.role is not role:
        raise ParameterError(f"{path}: expected a key for the role {role}, got {public.role}")


def _decoded(path: Path, decode: Callable[[bytes], _Decoded]) -> _Decoded:
    try:
        return decode(enrolment.read_public(path, MAX_RECEIPT_BYTES))
    except RecordRefused as refusal:
        raise RecordRefused(f"{path}: {refusal}") from None


def _digests(paths: Sequence[Path]) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(enrolment.read_public(path, MAX_ROSTER_BYTES)).hexdigest()
        for path in paths
    }


def _row(verdict: Verdict) -> Row:
    return Row(
        check=verdict.check,
        answer=_ANSWERS[verdict.holds],
        standing=str(verdict.standing),
        details=verdict.details,
        place=verdict.place,
    )


def _report(argv: Sequence[str], record: Path, found: Verification) -> output.Report:
    rows = [_row(verdict) for verdict in found.verdicts]
    document = Document(
        secagg=machine.build(),
        started=machine.now(),
        argv=["secagg", *argv],
        record=str(record),
        sha256=found.sha256,
        bytes=found.bytes,
        lines=found.lines,
        root=found.root,
        session=found.session,
        protocol=found.protocol,
        job=found.job,
        training_round=found.training_round,
        outcome=found.outcome,
        holds=found.holds,
        rows=rows,
        proofs=found.proofs,
    )
    flat: list[dict[str, Any]] = [msgspec.structs.asdict(row) for row in rows]
    column = output.Column
    return output.Report(
        document=document,
        lines=rows,
        columns=[
            column("check", "check"),
            column("answer", "answer"),
            column("standing", "worth"),
            column("place", "place", widest=40),
            column("details", "details", widest=100),
        ],
        rows=flat,
        title=f"{record}: {found.protocol}, round {found.training_round} of job"
        f" {printable(found.job)}",
        notes=[_note(found)],
    )


def _note(found: Verification) -> str:
    if found.holds:
        return "Everything that could be checked holds. What could not be is listed."
    return "FINDINGS: see the lines that say FAILS."
