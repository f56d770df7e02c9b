"""Where the code checks something, and how the source reads without that check.

A site is a condition that leads to a refusal, a call that does nothing but refuse, or the place
where a failure becomes an error of its own name. It has a stable name: file, function and the words
of the check, no line number.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parent.parent
MASKING = "secagg/protocols/_masking"
AUTHENTICATED = f"{MASKING}/authenticated"
CHECKED: Final = (
    *(
        f"{AUTHENTICATED}/{name}.py"
        for name in (
            "client",
            "server",
            "ring",
            "dealt",
            "messages",
            "statements",
            "traffic",
            "enrolled",
        )
    ),
    *(
        f"{MASKING}/{name}.py"
        for name in ("checks", "neighbourhood", "keyring", "recovery", "total")
    ),
    *(
        f"secagg/protocol/{name}.py"
        for name in ("policy", "interface", "identity", "cohort", "beacon")
    ),
    *(f"secagg/ledger/{name}.py" for name in ("ledger", "keeper")),
    *(f"secagg/crypto/{name}.py" for name in ("signing", "merkle", "shamir", "agreement", "aead")),
)
"""The files that level `malicious` rests on."""

_REFUSING: Final = re.compile(r"_?(check|verify|admit|read|decode)(_|$)")
"""Calls whose result is not used, so that they can do nothing but refuse."""

_FAILURES: Final = {"Fail", "_too_few", "_too_few_advertised"}


@dataclass(frozen=True)
class Site:
    """One check.

    Attributes:
        file: from the root of the repository.
        function: in which it is, with its class.
        check: in words: the code of the condition or call, and the error.
        line: where it begins, from 1.
        start: where what is replaced begins, in characters of the file.
        end: where it ends.
        without: what stands there instead.
    """

    file: str
    function: str
    check: str
    line: int
    start: int
    end: int
    without: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.function}: {self.check}"

    def removed_from(self, source: str) -> str:
        """The source without this check. It is still Python."""
        changed = source[: self.start] + self.without + source[self.end :]
        ast.parse(changed)
        return changed


def sites_in(file: str) -> list[Site]:
    """All checks of a file, from the top."""
    source = (ROOT / file).read_text()
    return sites_of(file, source)


def sites_of(file: str, source: str) -> list[Site]:
    """All checks of a source, from the top; equal ones in one function are numbered."""
    finder = _Finder(file, source)
    finder.visit(ast.parse(source))
    seen: Counter[str] = Counter()
    numbered = []
    for site in sorted(finder.found, key=lambda site: site.start):
        seen[site.name] += 1
        if (number := seen[site.name]) > 1:
            site = Site(**{**vars(site), "check": f"{site.check} ({number})"})
        numbered.append(site)
    return numbered


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str, source: str) -> None:
        self.found: list[Site] = []
        self._file = file
        self._source = source
        # Offsets are bytes of a line, so the source has to be read as bytes.
        self._lines = [line.encode() for line in source.splitlines(keepends=True)]
        self._within: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node)

    def visit_If(self, node: ast.If) -> None:
        if (outcome := _refusal(node.body)) is not None:
            for part, neutral in _parts(node.test, "False"):
                whole = f"if {_words(node.test)}: {outcome}"
                check = whole if part is node.test else f"{whole}, its part {_words(part)}"
                self._add(check, part, _never(part, neutral))
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value
        if isinstance(call, ast.Call) and _REFUSING.match(_called(call)):
            self._add(_words(call), node, "pass")
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        for handler in node.handlers:
            outcome = _refusal(handler.body)
            if outcome is not None:
                without = "raise" if _leads_on(node.body) else "pass"
                self._add(f"except {_words(handler.type)}: {outcome}", handler.body, without)
        self.generic_visit(node)

    def _enter(self, node: ast.ClassDef | ast.FunctionDef) -> None:
        self._within.append(node.name)
        self.generic_visit(node)
        self._within.pop()

    def _add(self, check: str, replaced: ast.AST | Sequence[ast.AST], without: str) -> None:
        nodes = list(replaced) if isinstance(replaced, Sequence) else [replaced]
        first, last = nodes[0], nodes[-1]
        self.found.append(
            Site(
                file=self._file,
                function=".".join(self._within) or "module",
                check=check,
                line=first.lineno,  # type: ignore[attr-defined]
                start=self._offset(first.lineno, first.col_offset),  # type: ignore[attr-defined]
                end=self._offset(last.end_lineno, last.end_col_offset),  # type: ignore[attr-defined]
                without=without,
            )
        )

    def _offset(self, line: int, column: int) -> int:
        before = b"".join(self._lines[: line - 1]) + self._lines[line - 1][:column]
        return len(before.decode())


def _refusal(body: list[ast.stmt]) -> str | None:
    """What a branch does that does nothing but refuse, in words; else None."""
    last = body[-1]
    if isinstance(last, ast.Raise) and last.exc is not None:
        return _raised(last)
    if len(body) == 1 and _words(last) == "return False":
        return "return False"
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield):
            given = statement.value.value
            if isinstance(given, ast.Call) and _called(given) in _FAILURES:
                return "fail"
    return None


def _parts(test: ast.expr, neutral: str) -> Iterator[tuple[ast.expr, str]]:
    """The conditions of which one is enough to refuse, with what each is when it never refuses."""
    joined = ast.Or if neutral == "False" else ast.And
    if isinstance(test, ast.BoolOp) and isinstance(test.op, joined):
        for value in test.values:
            yield from _parts(value, neutral)
    elif (
        isinstance(test, ast.UnaryOp)
        and isinstance(test.op, ast.Not)
        and isinstance(test.operand, ast.BoolOp)
    ):
        yield from _parts(test.operand, "True" if neutral == "False" else "False")
    else:
        yield test, neutral


def _never(part: ast.expr, neutral: str) -> str:
    """In place of a condition; what it calls is called, and names that it binds are bound."""
    if not any(isinstance(node, ast.NamedExpr | ast.Call) for node in ast.walk(part)):
        return neutral
    return f"(({ast.unparse(part)}) {'and False' if neutral == 'False' else 'or True'})"


def _leads_on(body: list[ast.stmt]) -> bool:
    """Whether what follows needs what the block of a `try` makes, and cannot go on without."""
    return any(
        isinstance(node, ast.Return | ast.Assign | ast.AnnAssign)
        for statement in body
        for node in ast.walk(statement)
    )


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _raised(statement: ast.Raise) -> str:
    raised = statement.exc
    return f"raise {_words(raised.func if isinstance(raised, ast.Call) else raised)}"


def _words(node: ast.AST | None) -> str:
    return "" if node is None else " ".join(ast.unparse(node).split())
