from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from fl.results import Row
from secagg.cli import compare, main
from secagg.cli.exits import Exit

Invoke = Callable[..., Result]

SMALL = ("compare", "-q", "--length", "40", "--rounds", "2")

TRAINING = ("fl.pytorch", "fl.model", "fl.train", "fl.rounds")


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command line in this process, without the caller's preferences."""
    for variable in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "SECAGG_FASHION_MNIST"):
        monkeypatch.delenv(variable, raising=False)

    def call(*words: str) -> Result:
        result = CliRunner().invoke(main, list(words))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return call


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation without the extra `fl`."""
    import fl

    for name in TRAINING:
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delattr(fl, name.removeprefix("fl."), raising=False)
    missing: Any = None
    monkeypatch.setitem(sys.modules, "torch", missing)


def read(invoke: Invoke, *words: str, code: Exit = Exit.DONE) -> compare.Document:
    result = invoke(*SMALL, *words, "--format", "json")
    assert result.exit_code == code, result.stderr
    return msgspec.json.decode(result.stdout, type=compare.Document)


def by_name(document: compare.Document) -> dict[str, Row]:
    return {row.protocol: row for row in document.rows}
