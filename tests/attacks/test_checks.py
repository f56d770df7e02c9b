"""The list of checks follows the code: each is where it is said to be, and some attack needs it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from attacks.checks import CHECKS, Refusal, found, silenced, without

from secagg.errors import CohortTooSmall
from secagg.protocols._masking import checks


def names_in(path: Path) -> set[str]:
    """All strings of a module."""
    tree = ast.parse(path.read_text())
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_check_is_taken_out_by_an_attack() -> None:
    modules = [p for p in Path(__file__).parent.glob("test_*.py") if p.name != Path(__file__).name]
    used = set().union(*map(names_in, modules))
    assert not CHECKS.keys() - used


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_is_where_it_is_said_to_be(name: str) -> None:
    assert CHECKS[name]
    for place in CHECKS[name]:
        function = found(place.where)
        if isinstance(place, Refusal):
            assert callable(silenced(function, [place.words]))
        else:
            assert place.by(function) is not function


def test_words_that_are_in_no_refusal_or_in_two_are_an_error() -> None:
    with pytest.raises(AssertionError, match="0 times"):
        silenced(checks.check_size, ["there are no such words"])
    with pytest.raises(AssertionError, match="2 times"):
        silenced(checks.check_survivors, ["CohortTooSmall"])


def test_one_refusal_is_taken_out_and_the_others_stay() -> None:
    twice = silenced(checks.check_survivors, ["a sum over at least"])
    assert "a sum over at least" not in twice.silenced_source
    assert "survivors in my neighbourhood" in twice.silenced_source


def test_what_is_taken_out_is_back_after_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: [found(place.where) for place in CHECKS[name]] for name in CHECKS}
    without(monkeypatch, *CHECKS)
    assert all(
        found(place.where) is not old
        for name, places in CHECKS.items()
        for place, old in zip(places, before[name], strict=True)
    )
    monkeypatch.undo()
    assert before == {name: [found(place.where) for place in CHECKS[name]] for name in CHECKS}
    assert CohortTooSmall.__name__ in checks.check_size.__code__.co_names
