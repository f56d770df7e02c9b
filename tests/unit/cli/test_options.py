from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click
import pytest
from unit.cli.conftest import Invoke

from secagg.cli.exits import Exit
from secagg.cli.options import FRACTION
from secagg.cli.output import Target


@pytest.mark.parametrize("text", ["0", "0.1", "0.30", "1e-3"])
def test_a_fraction_is_an_exact_decimal(text: str) -> None:
    assert FRACTION.convert(text, None, None) == Decimal(text)


@pytest.mark.parametrize("text", ["1", "-0.1", "1.5", "nan", "inf", "a third", "1/3", ""])
def test_other_fractions_are_usage(invoke: Invoke, text: str) -> None:
    with pytest.raises(click.BadParameter):
        FRACTION.convert(text, None, None)
    for option in ("--dropout", "--lose", "--corrupt"):
        result = invoke("compare", "--length", "5", f"{option}={text}")
        assert result.exit_code == Exit.USAGE
        assert option in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--protocols", "nonsense"),
        ("--protocols", "plain,nonsense"),
        ("--clients", "0"),
        ("--clients", "2"),
        ("--length", "0"),
        ("--rounds", "0"),
        ("--splits", "0"),
        ("--seed", "-1"),
        ("--level", "nice"),
        ("--format", "xml"),
        ("--data", "nonsense"),
        ("--data", "opt", "--clients", "5"),
        ("--data", "opt", "--length", "5"),
        ("-o", "no/such/folder/report.json"),
        ("-o", "."),
    ],
)
def test_bad_values_are_usage(invoke: Invoke, words: tuple[str, ...]) -> None:
    first = () if "--data" in words or "--length" in words else ("--length", "5")
    result = invoke("compare", "-q", *first, *words)
    assert result.exit_code == Exit.USAGE
    assert result.stderr
    assert not result.stdout


def test_a_bad_name_is_answered_with_the_good_ones(invoke: Invoke) -> None:
    result = invoke("protocols", "--protocol", "nonsense")
    assert result.exit_code == Exit.USAGE
    assert "plain, secagg" in result.stderr


def test_names_come_in_many_forms_and_count_once(invoke: Invoke) -> None:
    words = ("--protocols", "secagg,plain", "--protocol", "plain", "--protocol", "secagg")
    result = invoke("protocols", *words, "--format", "csv")
    names = [line.split(",")[0] for line in result.stdout.splitlines()[1:]]
    assert list(dict.fromkeys(names)) == ["secagg", "plain"]


@pytest.mark.parametrize(
    ("format_", "path", "expected"),
    [
        (None, None, "table"),
        ("csv", None, "csv"),
        (None, "a.json", "json"),
        (None, "a.md", "md"),
        (None, "a.txt", "table"),
        (None, "a", "table"),
        ("json", "a.csv", "json"),
    ],
)
def test_the_format_follows_the_suffix(
    format_: str | None, path: str | None, expected: str
) -> None:
    assert Target.of(format_, Path(path) if path else None).format == expected
