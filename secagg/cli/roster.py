"""`secagg roster`: from public keys to a roster that clients believe."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from secagg import enrolment
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Build
from secagg.enrolment import MAX_ROSTER_BYTES, fingerprint
from secagg.enrolment import Document as Contents
from secagg.errors import ParameterError, RosterRefused

SCHEMA: Final = "secagg.roster/1"
ROW_SCHEMA: Final = "secagg.roster.row/1"
DAY_SECONDS: Final = 86_400


class Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """One entry.

    Attributes:
        number: the party number.
        name: for people.
        fingerprint: of the key.
        key: in hexadecimal.
        revoked: whether it may no longer take part.
    """

    number: int
    name: str
    fingerprint: str
    key: str
    revoked: bool


class Document(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The whole answer.

    Attributes:
        verified: whether the signature, the time and what else was asked for were checked.
        authority: the fingerprint of the key that signed, or None for a draft.
        not_before: in UTC, or None for a draft.
        not_after: likewise.
        digest: of what sessions name, in hexadecimal; None for a draft.
    """

    secagg: Build
    started: str
    argv: list[str]
    verified: bool
    federation: str
    epoch: int
    authority: str | None
    not_before: str | None
    not_after: str | None
    digest: str | None
    rows: list[Row]


_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_roster: Final = click.argument("roster", metavar="ROSTER", type=_FILE)
_server: Final = click.option(
    "--server-key", type=_FILE, help="The server's public key: the authority's must be another."
)
_previous: Final = click.option(
    "--previous", type=_FILE, help="An earlier roster that this one must follow from."
)


@click.group()
def command() -> None:
    """Rosters: who takes part in a federation, signed by an authority that is not the server."""


@command.command()
@click.option("--federation", required=True, help="Whose roster it is.")
@click.option("-o", "--output", "path", type=_FILE, required=True, help="The new file.")
def new(*, federation: str, path: Path) -> Exit:
    """Begin the draft of a roster without clients."""
    contents = Contents.empty(federation)
    enrolment.write_new(path, enrolment.draft(contents))
    _report_change(path, contents)
    return Exit.DONE


@command.command()
@_roster
@click.argument("keys", metavar="KEY.pub...", type=_FILE, nargs=-1, required=True)
def add(*, roster: Path, keys: tuple[Path, ...]) -> Exit:
    """Add clients by their public keys.

    A signed roster becomes the draft of the next epoch.
    """
    added = [enrolment.load_public(key) for key in keys]
    _change(roster, lambda contents: contents.adding(added))
    return Exit.DONE


@command.command()
@_roster
@click.argument("who", metavar="NAME|FINGERPRINT...", nargs=-1, required=True)
def revoke(*, roster: Path, who: tuple[str, ...]) -> Exit:
    """Revoke clients, for good. Their numbers are never used again.

    A signed roster becomes the draft of the next epoch.
    """
    _change(roster, lambda contents: contents.revoking(who))
    return Exit.DONE


@command.command()
@_roster
@click.option("--key", type=_FILE, required=True, help="The authority's private key.")
@options.passphrase_file
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="For how long it is valid, from now.",
)
@_server
@_previous
def sign(
    *,
    roster: Path,
    key: Path,
    passphrase_file: Path | None,
    days: int,
    server_key: Path | None,
    previous: Path | None,
) -> Exit:
    """Sign a draft. Whatever is signed already is signed anew, with another validity.

    Read what `secagg roster show` prints first: whoever is in it takes part.
    """
    contents, claimed = _read(roster)
    if claimed:
        contents = contents.following()
    if previous is not None:
        earlier, _ = _read(previous)
        enrolment.check_successor(earlier, contents)
        if contents.epoch == earlier.epoch:
            raise ParameterError(f"epoch {earlier.epoch} is signed already: {previous}")
    pair = enrolment.load(key, options.passphrase_for(key, passphrase_file))
    if pair.public.role is not enrolment.KeyRole.AUTHORITY:
        raise ParameterError(f"{key}: expected an authority's key, got a {pair.public.role}'s")
    now = _now()
    signed = enrolment.sign(
        contents,
        pair.key,
        not_before=now,
        not_after=now + days * DAY_SECONDS,
        server=_public(server_key),
    )
    enrolment.replace(roster, signed)
    output.say(f"signed by {pair.public.fingerprint}, valid for {days} days")
    _report_change(roster, contents)
    return Exit.DONE


@command.command()
@_roster
@options.output
@click.pass_obj
def show(argv: list[str], *, roster: Path, target: output.Target) -> Exit:
    """Print what a roster says. Nothing is verified."""
    contents, authority = _read(roster)
    output.write(_report(argv, contents, authority, verified=False), target)
    return Exit.DONE


@command.command()
@_roster
@click.option("--authority", type=_FILE, required=True, help="The public key to believe.")
@click.option("--federation", help="Whose roster it must be.")
@click.option(
    "--at-least-epoch", type=click.IntRange(min=0), default=0, help="The newest epoch seen so far."
)
@click.option("--member", type=_FILE, help="A public key that must be in it and not revoked.")
@_server
@_previous
@options.output
@click.pass_obj
def verify(
    argv: list[str],
    *,
    roster: Path,
    authority: Path,
    federation: str | None,
    at_least_epoch: int,
    member: Path | None,
    server_key: Path | None,
    previous: Path | None,
    target: output.Target,
) -> Exit:
    """Verify a roster as a client does, by this machine's clock.

    Ends with 1 if it is refused, and says why.
    """
    data = enrolment.read_public(roster, MAX_ROSTER_BYTES)
    key = enrolment.load_public(authority)
    if key.role is not enrolment.KeyRole.AUTHORITY:
        raise ParameterError(f"{authority}: expected an authority's key, got a {key.role}'s")
    wanted = enrolment.load_public(member) if member is not None else None
    server = _public(server_key)
    earlier = _read(previous)[0] if previous is not None else None
    try:
        enrolment.verify(
            data,
            key.key,
            at=_now(),
            at_least_epoch=at_least_epoch,
            federation=federation,
            server=server,
            previous=earlier,
        )
        contents, _ = enrolment.inspect(data)
        if wanted is not None:
            contents.party_of(wanted.key)
    except RosterRefused as refusal:
        output.say(f"{roster}: {refusal}")
        return Exit.FINDING
    output.write(_report(argv, contents, key.key, verified=True), target)
    return Exit.DONE


def _now() -> int:
    return int(time.time())


def _read(path: Path) -> tuple[Contents, bytes]:
    return enrolment.inspect(enrolment.read_public(path, MAX_ROSTER_BYTES))


def _public(path: Path | None) -> bytes | None:
    return enrolment.load_public(path).key if path is not None else None


def _change(path: Path, change: Callable[[Contents], Contents]) -> None:
    contents, authority = _read(path)
    contents = change(contents.following() if authority else contents)
    enrolment.replace(path, enrolment.draft(contents))
    _report_change(path, contents)


def _report_change(path: Path, contents: Contents) -> None:
    output.say(
        f"{path}: {contents.federation}, epoch {contents.epoch}, {len(contents.members)} clients,"
        f" {len(contents.entries) - len(contents.members)} revoked"
    )


def _report(
    argv: Sequence[str], contents: Contents, authority: bytes, *, verified: bool
) -> output.Report:
    rows = [
        Row(
            number=entry.number,
            name=entry.name,
            fingerprint=fingerprint(entry.key),
            key=entry.key.hex(),
            revoked=entry.revoked,
        )
        for entry in contents.entries
    ]
    signed = bool(authority)
    document = Document(
        secagg=machine.build(),
        started=machine.now(),
        argv=["secagg", *argv],
        verified=verified,
        federation=contents.federation,
        epoch=contents.epoch,
        authority=fingerprint(authority) if signed else None,
        not_before=_date(contents.not_before) if signed else None,
        not_after=_date(contents.not_after) if signed else None,
        digest=contents.roster(authority).digest.hex() if signed else None,
        rows=rows,
    )
    flat: list[dict[str, Any]] = [msgspec.structs.asdict(row) for row in rows]
    column = output.Column
    return output.Report(
        document=document,
        lines=rows,
        columns=[
            column("number", "client", number=True),
            column("name", "name"),
            column("fingerprint", "fingerprint"),
            column("key", "key", hidden=True),
            column("revoked", "revoked", lambda revoked: "revoked" if revoked else "no"),
        ],
        rows=flat,
        title=f"{contents.federation}, epoch {contents.epoch}",
        notes=_notes(document),
    )


def _notes(document: Document) -> list[str]:
    if document.authority is None:
        return ["A draft: nobody has signed it."]
    verdict = "Verified" if document.verified else "NOT VERIFIED here"
    return [
        f"{verdict}: signed by {document.authority}, valid from {document.not_before} to"
        f" {document.not_after}."
    ]


def _date(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError):  # what nobody verified may name any second
        return f"second {seconds}"
