"""JUnit, SARIF and the page, with results that try to break out of them."""

from __future__ import annotations

import base64
import json
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from html.parser import HTMLParser
from typing import Any

import msgspec

from secagg.audit.report import Audited, Privacy, Target, summed
from secagg.audit.reports import html, junit, sarif
from secagg.audit.verdicts import Measure, Picture, Result, Scope, Severity, Verdict

EVIL = "</script><script>alert(1)</script>&\"']]>\x00\x1b <img src=x onerror=y>"


def result(id_: str, verdict: Verdict, scope: Scope = Scope.PROMISED, **more: Any) -> Result:
    return Result(
        id=id_,
        group=id_.partition(".")[0],
        claim=f"claim {EVIL}",
        method=f"method {EVIL}",
        source=f"source {EVIL}",
        severity=Severity.HIGH,
        scope=scope,
        verdict=verdict,
        evidence=f"evidence of {id_} {EVIL}",
        seconds=0.5,
        **more,
    )


MEASURE = Measure(
    statistic="chi", value=9.5, threshold=5.25, false_alarm=1e-6, samples=7, below=True
)
RESULTS = [
    result("a.passed", Verdict.PASS, measure=MEASURE),
    result("a.failed", Verdict.FAIL, measure=MEASURE),
    result("a.beyond", Verdict.FAIL, Scope.OUTSIDE),
    result("a.waived", Verdict.FAIL, waived="known"),
    result("b.open", Verdict.INCONCLUSIVE),
    result("b.open-beyond", Verdict.INCONCLUSIVE, Scope.OUTSIDE),
    result("b.beside", Verdict.NOT_APPLICABLE),
]
PICTURES = (
    Picture(f"a digit {EVIL}", b"P5 3 2 255\n" + bytes((0, 64, 128, 10, 13, 255))),
    Picture("too short", b"P5 3 2 255\n\0"),
    Picture("no picture", EVIL.encode()),
    Picture("too large", b"P5 99999 99999 255\n"),
    Picture("empty", b"P5 0 0 255\n"),
)


def record(results: list[Result]) -> Audited:
    return Audited(
        disclaimer="it does not prove",
        target=Target(
            kind="adapter", name=f"name {EVIL}", title=EVIL, promises=None, roles={"input": EVIL}
        ),
        policy=None,
        seed=0,
        seeds=1,
        clients=8,
        false_alarm=1e-6,
        summary=summed(results, Severity.LOW),
        privacy=Privacy(**dict.fromkeys(Privacy.__struct_fields__, EVIL)),
        results=results,
    )


AUDIT = record(RESULTS)


def test_junit_counts_and_says_what_happened() -> None:
    root = ElementTree.fromstring(junit.render(AUDIT).encode())  # noqa: S314 - our own
    (suite,) = root
    for element in (root, suite):
        counts = {name: element.get(name) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "7", "failures": "1", "errors": "1", "skipped": "4"}
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {
        "a.passed": ["system-out"],
        "a.failed": ["failure"],
        "a.beyond": ["skipped"],
        "a.waived": ["skipped"],
        "b.open": ["error"],
        "b.open-beyond": ["skipped"],
        "b.beside": ["skipped"],
    }
    (failure,) = suite.iter("failure")
    assert "<script>alert(1)</script>" in str(failure.get("message"))
    skipped = {case.get("name"): case[0].get("message") or "" for case in suite}
    assert skipped["a.beyond"].startswith("outside the guarantee")
    assert skipped["a.waived"].startswith("waived: known")
    assert not {"\x00", "\x1b"} & set(junit.render(AUDIT))


# What the schema of SARIF 2.1.0 (OASIS, 2020) allows and requires of the objects used here.
class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """An object with `additionalProperties` false."""


class Text(Strict):
    text: str


class Configuration(Strict):
    level: str


class Rule(Strict):
    id: str
    short_description: Text
    full_description: Text
    default_configuration: Configuration
    properties: dict[str, Any]


class Driver(Strict):
    name: str
    version: str
    rules: list[Rule]


class Tool(Strict):
    driver: Driver


class Invocation(Strict):
    execution_successful: bool
    exit_code: int
    exit_code_description: str


class Logical(Strict):
    name: str
    fully_qualified_name: str


class Location(Strict):
    logical_locations: list[Logical]


class Found(Strict):
    rule_id: str
    rule_index: int
    level: str
    message: Text
    locations: list[Location]
    properties: dict[str, Any]


class Run(Strict):
    tool: Tool
    invocations: list[Invocation]
    results: list[Found]
    column_kind: str


class Log(msgspec.Struct, forbid_unknown_fields=True):
    schema: str = msgspec.field(name="$schema")
    version: str
    runs: list[Run]


def test_sarif_has_findings_only_in_the_form_of_its_schema() -> None:
    text = sarif.render(AUDIT, "1.0")
    log = msgspec.json.decode(text, type=Log)
    assert log.version == "2.1.0"
    (run,) = log.runs
    assert [found.rule_id for found in run.results] == ["a.failed"]
    assert [rule.id for rule in run.tool.driver.rules] == ["a.failed"]
    for found in run.results:
        assert run.tool.driver.rules[found.rule_index].id == found.rule_id
        assert found.level in ("none", "note", "warning", "error")
        assert found.properties["measure"]["threshold"] == 5.25
    assert run.column_kind in ("utf16CodeUnits", "unicodeCodePoints")
    assert run.invocations[0].exit_code == 1


def test_sarif_without_findings() -> None:
    log = json.loads(sarif.render(record(RESULTS[:1]), "1.0"))
    assert log["runs"][0]["results"] == []
    assert log["runs"][0]["tool"]["driver"]["rules"] == []


class Page(HTMLParser):
    """Tags with their attributes, and the text of every section."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self._heading, self._inside = "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "h2" and data.strip():
            self._heading = data.strip()
        else:
            self.sections[self._heading] = self.sections.get(self._heading, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def test_the_page_escapes_everything_and_asks_nobody() -> None:
    text = html.render(AUDIT, EVIL)
    page = Page()
    page.feed(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "a", "form", "base"}
    for _, attributes in page.tags:
        assert not {"src", "href", "onerror", "style"} & set(attributes)
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text
    text.encode()


def test_pictures_are_in_the_page_itself() -> None:
    text = html.render(record([result("a.beyond", Verdict.FAIL, pictures=PICTURES)]), "stamp")
    page = Page()
    page.feed(text)
    (image,) = (attributes for tag, attributes in page.tags if tag == "img")
    assert image["alt"] == PICTURES[0].title
    prefix, _, encoded = str(image["src"]).partition(",")
    assert prefix == "data:image/png;base64"
    png, place, chunks = base64.b64decode(encoded), 8, {}
    while place < len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 4 : place + 8 + size]
        assert struct.unpack(">I", png[place + 8 + size : place + 12 + size])[0] == zlib.crc32(body)
        chunks[kind] = body[4:]
        place += 12 + size
    assert struct.unpack(">IIB", chunks[b"IHDR"][:9]) == (3, 2, 8)
    assert zlib.decompress(chunks[b"IDAT"]) == bytes((0, 0, 64, 128, 0, 10, 13, 255))


def test_every_result_is_in_one_section_of_the_page() -> None:
    page = Page()
    page.feed(html.render(AUDIT, "stamp"))
    sections = {
        "Findings": ["a.failed"],
        "Could not be decided": ["b.open"],
        "Gets through, outside the guarantee": ["a.beyond"],
        "Failures that the policy waives": ["a.waived"],
        "Tried, and held": ["a.passed"],
        "Not applicable, or not asked for": ["b.open-beyond", "b.beside"],
    }
    for heading, ids in sections.items():
        shown = [one.id for one in RESULTS if f"evidence of {one.id} " in page.sections[heading]]
        assert shown == ids
    assert "alarm below 5.25" in page.sections["Findings"]
    assert "Fields of NIST SP 800-226" in page.sections
    assert "Roles (ISO/IEC 4922-1)" in page.sections
