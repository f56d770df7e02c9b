"""One self-contained page: no script, no font, no request to anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Final

from secagg.audit.report import Audited
from secagg.audit.reports.pictures import address_of
from secagg.audit.verdicts import Measure, Result, Verdict

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --open: #b26a00; --good: #2e7d32;
  --mute: #777; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) minmax(0, 1fr);
  gap: .2rem 1rem; margin: .5rem 0; }
dt { color: var(--mute); }
dd { margin: 0; }
.sum { display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; margin: 1rem 0; list-style: none; }
.sum li { border: 1px solid var(--line); border-radius: .4rem; padding: .3rem .7rem; }
details { border-top: 1px solid var(--line); }
summary { cursor: pointer; display: grid; grid-template-columns: 9rem 13rem minmax(0, 1fr);
  gap: 0 1rem; padding: .35rem 0; align-items: baseline; }
.v { font-weight: 600; }
.fail { color: var(--bad); } .inconclusive { color: var(--open); } .pass { color: var(--good); }
.not-applicable, .beyond { color: var(--mute); }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; max-width: 100%; }
figure img { width: 8rem; max-width: 100%; image-rendering: pixelated;
  border: 1px solid var(--line); }
figcaption { color: var(--mute); font-size: .9em; max-width: 16rem; }
code { font: .9em ui-monospace, monospace; }
@media (max-width: 40rem) { dl, summary { grid-template-columns: minmax(0, 1fr); }
  dt { margin-top: .4rem; } }
"""

HEADINGS: Final[tuple[tuple[str, Callable[[Result], bool]], ...]] = (
    ("Findings", lambda one: one.finding),
    ("Could not be decided", lambda one: one.undecided),
    ("Gets through, outside the guarantee", lambda one: one.beyond),
    (
        "Failures that the policy waives",
        lambda one: one.let_pass,
    ),
    ("Tried, and held", lambda one: one.verdict is Verdict.PASS),
)


def render(audit: Audited, stamp: str) -> str:
    """The page.

    Args:
        audit: the record.
        stamp: which version made it, and when.
    """
    target, summary = audit.target, audit.summary
    shown: set[str] = set()
    sections = []
    for heading, belongs in HEADINGS:
        ones = [one for one in audit.results if one.id not in shown and belongs(one)]
        shown |= {one.id for one in ones}
        if ones:
            sections.append(_section(heading, ones))
    rest = [one for one in audit.results if one.id not in shown]
    if rest:
        sections.append(_section("Not applicable, or not asked for", rest))
    counts = "".join(
        f'<li><span class="v {kind}">{count}</span> {escape(words)}</li>'
        for words, kind, count in (
            ("findings", "fail", len(summary.findings)),
            ("could not be decided", "inconclusive", len(summary.undecided)),
            ("get through, outside the guarantee", "beyond", len(summary.beyond)),
            ("held", "pass", summary.verdicts[Verdict.PASS]),
            ("not applicable", "beyond", summary.verdicts[Verdict.NOT_APPLICABLE]),
        )
    )
    promises = (
        "<p>It promises nothing.</p>"
        if target.promises is None
        else _pairs((field, f"{one.name}: {one.meaning}") for field, one in target.promises.items())
    )
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta http-equiv="Content-Security-Policy"',
            " content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n",
            f"<title>secagg audit: {escape(target.name)}</title>\n<style>{STYLE}</style>\n",
            "</head>\n<body>\n<main>\n",
            f"<h1>{escape(target.name)}</h1>\n<p>{escape(target.title)}</p>\n",
            f"<p>{escape(_outcome(audit))}</p>\n<p>{escape(audit.disclaimer)}</p>\n",
            f'<ul class="sum">{counts}</ul>\n',
            *sections,
            f"<h2>What it promises</h2>\n{promises}",
            f"<h2>What was demanded</h2>\n{_policy(audit)}",
            "<h2>Roles (ISO/IEC 4922-1)</h2>\n",
            _pairs(target.roles.items()),
            "<h2>Fields of NIST SP 800-226</h2>\n",
            _pairs(_fields(audit)),
            f"<h2>How it was held</h2>\n{_pairs(_held(audit))}",
            f"<p>{escape(stamp)}</p>\n</main>\n</body>\n</html>\n",
        )
    )


def _outcome(audit: Audited) -> str:
    summary = audit.summary
    if summary.findings:
        return f"{len(summary.findings)} findings; exit code {summary.exit_code}."
    if summary.undecided:
        return (
            f"No finding, but {len(summary.undecided)} checks could not be decided; exit code"
            f" {summary.exit_code}."
        )
    return f"No finding; exit code {summary.exit_code}."


def _section(heading: str, ones: list[Result]) -> str:
    return f"<h2>{escape(heading)}</h2>\n" + "".join(_details(one) for one in ones)


def _details(one: Result) -> str:
    kind = "beyond" if one.beyond else str(one.verdict)
    word = "gets through" if one.beyond else "waived" if one.let_pass else str(one.verdict)
    rows = [
        ("claim", one.claim),
        ("method", one.method),
        ("severity", str(one.severity)),
        ("scope", str(one.scope)),
        *([("source", one.source)] if one.source else []),
        *([("waived", one.waived)] if one.waived else []),
        *(_measured(one.measure) if one.measure is not None else []),
        ("seconds", f"{one.seconds:g}"),
    ]
    return (
        f'<details><summary><span class="v {escape(kind)}">{escape(word)}</span>'
        f"<code>{escape(one.id)}</code><span>{escape(one.evidence)}</span></summary>\n"
        f"{_pairs(rows)}{_pictures(one)}</details>\n"
    )


def _pictures(one: Result) -> str:
    shown = ((picture.title, address_of(picture.pgm)) for picture in one.pictures)
    return "".join(
        f'<figure><img src="{address}" alt="{escape(title)}"><figcaption>{escape(title)}'
        "</figcaption></figure>\n"
        for title, address in shown
        if address is not None
    )


def _measured(measure: Measure) -> list[tuple[str, str]]:
    side = "below" if measure.below else "above"
    return [
        (measure.statistic, f"{measure.value:.6g}, alarm {side} {measure.threshold:.6g}"),
        ("false alarms", f"{measure.false_alarm:g} at most, from {measure.samples} values"),
    ]


def _policy(audit: Audited) -> str:
    policy = audit.policy
    if policy is None:
        return "<p>No more than it promises.</p>"
    fields = {
        name: getattr(policy, name)
        for name in ("about", "adversary", "collusion", "dropouts", "exactness", "validity")
    }
    rows = [(name, str(value)) for name, value in fields.items() if value]
    rows += [("evidence", policy.evidence)] if policy.evidence else []
    rows += [("checks that must pass", ", ".join(policy.require))] if policy.require else []
    return _pairs(rows)


def _fields(audit: Audited) -> list[tuple[str, str]]:
    privacy = audit.privacy
    return [(name.replace("_", " "), getattr(privacy, name)) for name in privacy.__struct_fields__]


def _held(audit: Audited) -> list[tuple[str, str]]:
    return [
        ("clients", str(audit.clients)),
        *audit.target.sessions.items(),
        ("seeds", f"{audit.seeds} from {audit.seed}"),
        ("false alarms", f"{audit.false_alarm:g} for each statistical check, all seeds together"),
    ]


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    made = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in rows
    )
    return f"<dl>{made}</dl>\n"
