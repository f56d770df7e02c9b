"""`secagg protocols`: what every protocol promises and sends, from the classes themselves."""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec

from secagg import protocols
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Build
from secagg.errors import UnavailableError
from secagg.protocol import Level, Offering, Protocol
from secagg.types import Role

SCHEMA: Final = "secagg.protocols/1"
ROW_SCHEMA: Final = "secagg.protocols.row/1"

KINDS: Final = ("adversary", "collusion", "dropouts", "exactness", "validity", "evidence")


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """A claim: its name, and what it means."""

    name: str
    meaning: str


class Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """One protocol at one level.

    Attributes:
        protocol: its name.
        title: its title.
        version: of its wire messages.
        level: the server that it defends against; None if the protocol is unavailable.
        adversary: the worst server withstood.
        collusion: who may pool what they saw.
        dropouts: who may vanish.
        exactness: of the sum.
        validity: what is known of one client's input.
        evidence: what stands behind the claim.
        source: the publication.
        client_messages: what a client sends in a round.
        server_messages: what the others send, mostly to it.
        traffic: the formula for a client's bytes.
        unavailable: why it cannot be used here, or None.
    """

    protocol: str
    title: str | None = None
    version: int | None = None
    level: str | None = None
    adversary: Promise | None = None
    collusion: Promise | None = None
    dropouts: Promise | None = None
    exactness: Promise | None = None
    validity: Promise | None = None
    evidence: Promise | None = None
    source: str | None = None
    client_messages: list[str] = []
    server_messages: list[str] = []
    traffic: str | None = None
    unavailable: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The whole answer."""

    secagg: Build
    started: str
    argv: list[str]
    rows: list[Row]


@click.command()
@options.chosen_protocols
@options.output
@click.pass_obj
def command(argv: list[str], *, names: tuple[str, ...], target: output.Target) -> Exit:
    """List the protocols with their promises, messages and traffic.

    Nothing here is written by hand: it is read from the classes.
    """
    rows = [row for name in names or protocols.names() for row in _rows(name)]
    document = Document(
        secagg=machine.build(),
        started=machine.now(),
        argv=["secagg", *argv],
        rows=rows,
    )
    report = output.Report(
        document=document,
        lines=rows,
        columns=_columns(),
        rows=[_flat(row) for row in rows],
        notes=_notes(rows),
    )
    output.write(report, target)
    missing = any(row.unavailable for row in rows)
    return Exit.UNDECIDED if names and missing else Exit.DONE


def _rows(name: str) -> list[Row]:
    try:
        protocol = protocols.get(name)
    except UnavailableError as error:
        return [Row(protocol=name, unavailable=str(error))]
    return [_row(protocol, level, offering) for level, offering in protocol.levels.items()]


def _row(protocol: Protocol, level: Level, offering: Offering) -> Row:
    claims: dict[str, Any] = {}
    promised = offering.guarantees
    for kind in KINDS:
        claim = getattr(promised, kind)
        name = claim.name.lower().replace("_", " ")
        claims[kind] = Promise(name=name, meaning=claim.meaning)
    from_client = [m.__name__ for m in offering.messages if m.SENDER is Role.CLIENT]
    from_others = [m.__name__ for m in offering.messages if m.SENDER is not Role.CLIENT]
    return Row(
        protocol=protocol.name,
        title=protocol.title,
        version=protocol.version,
        level=str(level),
        **claims,
        source=promised.source,
        client_messages=from_client,
        server_messages=from_others,
        traffic=offering.traffic_formula,
    )


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = msgspec.structs.asdict(row)
    for kind in KINDS:
        flat[kind] = flat[kind] and flat[kind].name
    return flat | {"rounds": len(row.client_messages) or None}


def _columns() -> list[output.Column]:
    column = output.Column
    return [
        column("protocol", "protocol"),
        column("level", "level"),
        column("adversary", "withstands", widest=16),
        column("collusion", "colluding", widest=16),
        column("dropouts", "dropouts"),
        column("exactness", "sum", widest=14),
        column("validity", "inputs", widest=16),
        column("evidence", "evidence"),
        column("rounds", "rounds", number=True),
        column("source", "source", widest=32),
        column("title", "title", hidden=True),
        column("version", "version", hidden=True),
        column("traffic", "traffic", hidden=True),
        column("unavailable", "unavailable", hidden=True),
    ]


def _notes(rows: list[Row]) -> list[str]:
    described: dict[str, str] = {}
    for row in rows:
        text = (
            f"unavailable: {row.unavailable}"
            if row.unavailable
            else f"{row.title}\n  a client sends {', '.join(row.client_messages)}\n"
            f"  bytes of a client and round: {row.traffic}"
        )
        levels = [r.level for r in rows if r.protocol == row.protocol and r.traffic == row.traffic]
        which = "" if row.unavailable else f" ({', '.join(str(level) for level in levels)})"
        described[row.protocol + which] = f"{row.protocol}{which}: {text}"
    return list(described.values())
