"""`secagg audit`: try to break a target, and say what held, what did not, and what is not known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from secagg.audit.engine import chosen, hold, with_only_hits
from secagg.audit.foreign import AdapterSubject
from secagg.audit.policy import CLAIMS, Policy
from secagg.audit.registry import CLIENTS, Check, Settings
from secagg.audit.report import Audited, audited
from secagg.audit.reports import html, junit, sarif
from secagg.audit.statistics import FALSE_ALARM
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Measure, Result, Severity
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Circumstances
from secagg.errors import ParameterError
from secagg.protocol import Level

SCHEMA: Final = "secagg.audit/1"
ROW_SCHEMA: Final = "secagg.audit.result/1"
LIST_SCHEMA: Final = "secagg.audit.checks/1"
CHECK_SCHEMA: Final = "secagg.audit.check/1"
MOST_SEEDS: Final = 10_000


class Row(Result, frozen=True, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """One result, as a line of its own."""


class Document(Circumstances, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The whole answer.

    Attributes:
        audit: all of it but where and when.
    """

    audit: Audited


class Listed(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=CHECK_SCHEMA):
    """A check in the list: its fields are those of `secagg.audit.registry.Check`."""

    id: str
    group: str
    claim: str
    method: str
    source: str
    severity: Severity
    targets: list[str]
    statistical: bool


class Listing(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=LIST_SCHEMA):
    """All checks."""

    secagg: machine.Build
    checks: list[Listed]


@click.command()
@options.audited_protocol
@options.audited_level
@click.option(
    "--transcript",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Audit the messages noted in this file of JSON lines.",
)
@click.option("--adapter", metavar="MODULE:CLASS", help="Audit a foreign implementation.")
@click.option("--policy", metavar="FILE|LEVEL", help="Demand this besides what is promised.")
@options.written("--make-policy", text="Write a policy that demands what is promised and held now.")
@click.option(
    "--fail-on",
    type=click.Choice([str(severity) for severity in Severity]),
    help="The least severity of a failure that counts.  [default: that of the policy, else low]",
)
@click.option(
    "--check", "words", multiple=True, metavar="ID|GROUP", help="Only these; may be repeated."
)
@click.option("--list", "listing", is_flag=True, help="List the checks, and hold none.")
@click.option("--explain", metavar="ID", help="Explain one check, and hold none.")
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    default=1,
    show_default=True,
    help="Repeat what is random with so many seeds; the rate of false alarms stays the same.",
)
@options.seed
@click.option(
    "--clients",
    type=click.IntRange(min=4, max=1000),
    default=CLIENTS,
    show_default=True,
    help="In every session.",
)
@click.option(
    "--source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="The checkout that this installation is from: for provenance and constant time.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=3600),
    default=60.0,
    show_default=True,
    help="Seconds that an adapter may take for one answer.",
)
@click.option("--hits", is_flag=True, help="Show failures and what is undecided only.")
@options.written("--junit", text="Write JUnit XML here as well.")
@options.written("--sarif", text="Write the findings as SARIF 2.1.0 here as well.")
@options.written("--html", "page", text="Write one self-contained page here as well.")
@options.quiet
@options.output
@click.pass_obj
def command(
    argv: list[str],
    *,
    name: str | None,
    level: str | None,
    transcript: Path | None,
    adapter: str | None,
    policy: str | None,
    make_policy: Path | None,
    fail_on: str | None,
    words: tuple[str, ...],
    listing: bool,
    explain: str | None,
    seeds: int,
    seed: int,
    clients: int,
    source: Path | None,
    timeout: float,
    hits: bool,
    junit: Path | None,
    sarif: Path | None,
    page: Path | None,
    quiet: bool,
    target: output.Target,
) -> Exit:
    """Try to break one target, and say what held, what did not, and what could not be checked.

    An audit does not prove. Every check has a claim, a method, evidence and a verdict; a failure
    counts if the target promises what the check is about, or the policy demands it. What gets
    through where nothing is promised is shown as outside the guarantee.

    Ends with 0 if nothing that counts failed, with 1 if something did, and with 3 if something
    that was promised or demanded could not be decided.
    """
    from secagg.audit.checks import CHECKS

    if listing or explain is not None:
        if listing and explain is not None:
            raise click.UsageError("--list or --explain: not both")
        explained = CHECKS if explain is None else chosen(CHECKS, (explain,), "protocol")
        return _told(explained, target)
    _check_target(name, level, transcript, adapter)
    settings = Settings(seed=seed, seeds=seeds, clients=clients, source=source, timeout=timeout)
    demanded = Policy.found(policy) if policy is not None else None
    if demanded is not None:
        demanded.check(CHECKS)
    began = machine.begin()
    subject = _subject(name, level, transcript, adapter, settings)
    try:
        checks = chosen(CHECKS, words, subject.kind)
        with output.progress(len(checks), quiet) as notify:
            results = hold(subject, checks, settings, demanded, notify)
        least = Severity(fail_on) if fail_on else (demanded and demanded.fail_on) or Severity.LOW
        if words and "claims" not in words:
            results = [one for one in results if one.group != "claims" or one.finding]
        found = audited(subject, settings, demanded, least, results)
    finally:
        subject.close()
    document = Document(**began.circumstances(argv), audit=found)
    _write_beside(document, junit, sarif, page)
    if make_policy is not None:
        made = Policy.made(subject.name, subject.guarantees, results)
        _write(make_policy, made.encode())
    _answer(document, hits, target)
    return Exit(found.summary.exit_code)


def _check_target(
    name: str | None, level: str | None, transcript: Path | None, adapter: str | None
) -> None:
    given = [one for one in (name, transcript, adapter) if one is not None]
    if len(given) != 1:
        raise click.UsageError(
            "expected one target: --protocol NAME, --transcript PATH or --adapter MODULE:CLASS;"
            f" got {len(given)}"
        )
    if adapter is not None and not all(adapter.partition(":")):
        raise click.UsageError(f"--adapter: expected MODULE:CLASS, got {adapter!r}")
    if level is not None and name is None:
        raise click.UsageError("--level is of a protocol; to demand a level, use --policy")


def _subject(
    name: str | None,
    level: str | None,
    transcript: Path | None,
    adapter: str | None,
    settings: Settings,
) -> Subject:
    if adapter is not None:
        return AdapterSubject(adapter, settings.timeout)
    if transcript is not None:
        from secagg.audit.recorded import TranscriptSubject

        return TranscriptSubject(transcript)
    from secagg import protocols
    from secagg.audit.library import ProtocolSubject

    assert name is not None  # noqa: S101
    return ProtocolSubject(protocols.get(name), Level(level or Level.CURIOUS))


def _write_beside(
    document: Document, xml: Path | None, findings: Path | None, page: Path | None
) -> None:
    audit, build = document.audit, document.secagg
    version = build.version + (f" ({build.commit})" if build.commit else "")
    if xml is not None:
        _write(xml, junit.render(audit))
    if findings is not None:
        _write(findings, sarif.render(audit, version))
    if page is not None:
        stamp = f"secagg {version}, {document.started}"
        _write(page, html.render(audit, stamp))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"{path}: {error.strerror}") from None
    output.say(f"written to {path}")


def _answer(document: Document, hits: bool, target: output.Target) -> None:
    audit = document.audit
    shown = with_only_hits(audit.results) if hits else audit.results
    rows = [Row(**{f: getattr(one, f) for f in Result.__struct_fields__}) for one in shown]
    if hits:
        audit = msgspec.structs.replace(audit, results=shown)
    report = output.Report(
        document=msgspec.structs.replace(document, audit=audit),
        lines=rows,
        columns=_columns(),
        rows=[_flat(one) for one in shown],
        title=f"audit of {audit.target.name}: {audit.target.title}",
        notes=_notes(audit),
    )
    try:
        output.write(report, target)
    except OSError as error:
        raise ParameterError(f"{target.path}: {error.strerror}") from None


def _flat(one: Result) -> dict[str, Any]:
    flat = {name: getattr(one, name) for name in Result.__struct_fields__}
    measure = flat.pop("measure")
    verdict = "gets through" if one.beyond else "waived" if one.let_pass else str(one.verdict)
    return flat | {
        "shown": verdict,
        "statistic": measure,
        "value": measure and measure.value,
        "threshold": measure and measure.threshold,
        "false_alarm": measure and measure.false_alarm,
    }


def _columns() -> list[output.Column]:
    column = output.Column
    return [
        column("id", "check"),
        column("shown", "verdict"),
        column("severity", "severity"),
        column("scope", "scope"),
        column("statistic", "statistic", show=_measured, widest=24),
        column("evidence", "evidence", widest=64),
        *(
            column(key, key, hidden=True)
            for key in (
                *("verdict", "group", "claim", "method", "source", "waived", "seconds"),
                *("value", "threshold", "false_alarm"),
            )
        ),
    ]


def _measured(measure: Measure) -> str:
    side = "<" if measure.below else ">"
    return f"{measure.value:.5g}, alarm {side} {measure.threshold:.5g} ({measure.false_alarm:g})"


def _notes(audit: Audited) -> list[str]:
    summary = audit.summary
    counts = ", ".join(f"{count} {verdict}" for verdict, count in summary.verdicts.items())
    sessions = ", ".join(f"{name} {value}" for name, value in audit.target.sessions.items())
    held = f"sessions of {audit.clients} clients" + (f": {sessions}" if sessions else "")
    notes = [
        f"\n{audit.disclaimer}",
        *([held] if audit.target.kind != "transcript" else []),
        counts,
    ]
    for text, ids in (
        ("findings", summary.findings),
        ("could not be decided", summary.undecided),
        ("gets through, outside the guarantee", summary.beyond),
        ("waived by the policy", list(summary.waived)),
    ):
        if ids:
            notes.append(f"{text}: {', '.join(ids)}")
    return notes


def _told(checks: Sequence[Check], target: output.Target) -> Exit:
    """The list, or a few of it."""
    listed = [
        Listed(
            id=one.id,
            group=one.group,
            claim=one.claim,
            method=one.method,
            source=one.source,
            severity=one.severity,
            targets=sorted(one.kinds),
            statistical=one.statistical,
        )
        for one in checks
    ]
    column = output.Column
    report = output.Report(
        document=Listing(secagg=machine.build(), checks=listed),
        lines=listed,
        columns=[
            column("id", "check"),
            column("severity", "severity"),
            column("targets", "targets", show=", ".join),
            column("claim", "claim", widest=48),
            column("method", "method", widest=48),
            column("source", "source", widest=24),
            column("statistical", "statistical", show=output.yes, hidden=True),
        ],
        rows=[msgspec.structs.asdict(one) for one in listed],
        notes=[
            *("\nEvery audit also compares the claims: ", ", ".join(f"claims.{f}" for f in CLAIMS)),
            f"Statistical checks raise a false alarm with probability {FALSE_ALARM:g} at most:",
            ", ".join(one.id for one in listed if one.statistical),
        ],
    )
    output.write(report, target)
    return Exit.DONE
