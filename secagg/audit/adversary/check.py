"""Whether the source of an attack keeps to what its adversary has.

An adversary has the bytes of messages, public parameters and functions, and the state of parties
that it declared corrupt. So an attack imports the harness, the messages, public cryptography and
arithmetic, and test tools; it touches no name with a leading underscore but on what
`Network.corrupt` gave it; and it uses nothing that would get around that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from secagg.errors import AttackCheats

IMPORTS: Final = (
    "__future__",
    "abc",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "math",
    "typing",
    "numpy",
    "pytest",
    "secagg.audit.adversary",
    "secagg.crypto",
    "secagg.errors",
    "secagg.kernels",
    "secagg.protocol.cohort",
    "secagg.protocols._masking.authenticated.messages",
    "secagg.protocols._masking.authenticated.statements",
    "secagg.protocols._masking.messages",
    "secagg.protocols._masking.plan",
    "secagg.types",
    "secagg.wire",
)
"""Modules that an attack may import, with what is below them."""

VOCABULARY: Final = frozenset(
    (
        "Accuse",
        "Adversary",
        "ClientPolicy",
        "Deadline",
        "Done",
        "Fail",
        "Level",
        "Protocol",
        "Send",
        "Validity",
        "model_digest",
    )
)
"""What an attack may import from `secagg.protocol`: words and values, no state."""

EVASIONS: Final = frozenset(
    (
        "__import__",
        "compile",
        "delattr",
        "eval",
        "exec",
        "getattr",
        "globals",
        "locals",
        "object",
        "open",
        "setattr",
        "vars",
    )
)
"""Built-in functions with which any state can be reached, or any source be run."""


@dataclass(frozen=True)
class Finding:
    """One place in an attack's source.

    Attributes:
        source: the file, or whatever the source was called.
        line: from 1.
        what: is done there that the adversary cannot do.
    """

    source: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.what}"


def findings(text: str, name: str, own: Iterable[str] = ()) -> list[Finding]:
    """All places where a source does more than its adversary can.

    Args:
        text: the Python source.
        name: by which to call it.
        own: further modules that it may import: those that set its scene.

    Raises:
        SyntaxError: it is no Python.
    """
    tree = ast.parse(text)
    allowed = (*IMPORTS, *own)
    corrupt = _corrupt_names(tree)
    found: list[Finding] = []
    for node in ast.walk(tree):
        found += (
            Finding(name, node.lineno, what)  # type: ignore[attr-defined]
            for what in _offences(node, allowed, corrupt)
        )
    return sorted(found, key=lambda finding: finding.line)


def check(paths: Iterable[Path], own: Iterable[str] = ()) -> None:
    """Refuse attacks that use more than their adversary has.

    Raises:
        AttackCheats: with all findings.
        OSError: a file cannot be read.
    """
    own = tuple(own)
    found = [str(one) for path in paths for one in findings(path.read_text(), path.name, own)]
    if found:
        raise AttackCheats(tuple(found))


def _offences(node: ast.AST, allowed: tuple[str, ...], corrupt: frozenset[str]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            for name in names:
                if not _within(name.name, allowed):
                    yield f"imports {name.name}"
        case ast.ImportFrom(module=module, names=names, level=level):
            for name in names:
                full = f"{module}.{name.name}"
                known = module == "secagg.protocol" and name.name in VOCABULARY
                if level or not (known or _within(module or "", allowed) or full in allowed):
                    yield f"imports {full}"
        case ast.Attribute(attr=attribute, value=value):
            if attribute.startswith("_") and not _is_corrupt(value, corrupt):
                yield f"touches {attribute} of {ast.unparse(value)}"
        case ast.Name(id=name) if name in EVASIONS:
            yield f"uses {name}"


def _within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in allowed)


def _corrupt_names(tree: ast.AST) -> frozenset[str]:
    """Names that are never given anything but what `corrupt` returns."""
    targets = {
        id(node.targets[0]): node.targets[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and _is_corrupt(node.value, frozenset())
    }
    names = {target.id for target in targets.values() if isinstance(target, ast.Name)}
    others = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name)
        and not isinstance(node.ctx, ast.Load)
        and id(node) not in targets
    }
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return frozenset(names - others - arguments)


def _is_corrupt(value: ast.expr, corrupt: frozenset[str]) -> bool:
    """Whether an expression is a corrupt party, or a part of one."""
    match value:
        case ast.Call(func=ast.Attribute(attr="corrupt")):
            return True
        case ast.Name(id=name):
            return name in corrupt
        case ast.Attribute(value=inner) | ast.Subscript(value=inner):
            return _is_corrupt(inner, corrupt)
    return False
