"""scripts/mutants.py notices that tests fail, and its page what the result lacks."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = "secagg/crypto/merkle.py"
ITS_TESTS = ("tests/unit/crypto/test_merkle.py",)
OTHER_TESTS = ("tests/unit/crypto/test_signing.py",)


@pytest.fixture(scope="module")
def tree(mutants: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return mutants.Tree(tmp_path_factory.mktemp("tree").resolve())


def test_a_check_that_is_gone_is_noticed_by_its_tests_only(tree: Any) -> None:
    site = tree.sites(FILE)[0]
    by = tree.noticed(site, ITS_TESTS)
    assert by == f"{ITS_TESTS[0]}::test_a_path_of_another_length_is_refused"
    assert tree.noticed(site, OTHER_TESTS) is None
    # What was taken out is back.
    tree.check_passing(ITS_TESTS)


def test_the_test_that_noticed_last_time_is_asked_first(
    tree: Any, mutants: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tree.sites(FILE)[0]
    asked: list[tuple[str, ...]] = []

    def noticed(site: Any, tests: tuple[str, ...]) -> str | None:
        asked.append(tests)
        return "a test" if tests == ITS_TESTS else None

    monkeypatch.setattr(tree, "noticed", noticed)
    last = f"{OTHER_TESTS[0]}::test_x"
    assert mutants.noticed_by(tree, site, last) == "a test"
    assert asked == [(last,), ITS_TESTS]


def test_tests_that_run_too_long_have_noticed_something(
    tree: Any, mutants: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "LIMIT", 0.01)
    assert tree.noticed(tree.sites(FILE)[0], ITS_TESTS) == mutants.TIME_LIMIT


def test_what_cannot_be_run_is_no_result(tree: Any) -> None:
    with pytest.raises(SystemExit, match="could not be run"):
        tree.noticed(tree.sites(FILE)[0], ("tests/unit/crypto/no_such_test.py",))
    with pytest.raises(SystemExit, match="fail with all checks in"):
        tree.check_passing(("tests/unit/crypto/no_such_test.py",))


def test_every_file_has_tests_that_concern_it(mutants: ModuleType) -> None:
    for file in mutants.CHECKED:
        runs = list(mutants.concerning(file))
        assert len(runs) > 2
        for tests in runs:
            assert all((mutants.ROOT / test).exists() for test in tests), tests


def test_the_page_shows_the_result_and_nothing_is_missing(page: ModuleType) -> None:
    facts = json.loads(page.RESULT.read_text())
    assert list(page.wrong(facts)) == []
    document = Path(page.DOCUMENT).read_text()
    assert "\n".join(page.page(facts)) in document


@pytest.mark.parametrize("way", ["missing", "unnoticed", "left over", "test gone", "excused"])
def test_what_is_wrong_is_said(page: ModuleType, way: str) -> None:
    facts = copy.deepcopy(json.loads(page.RESULT.read_text()))
    rows = facts["files"][FILE]["checks"]
    name = rows[0]["name"]
    match way:
        case "missing":
            rows.pop(0)
            expected = f"not in the result: {name}"
        case "unnoticed":
            rows[0]["noticed_by"] = None
            expected = f"noticed by no test: {name}"
        case "left over":
            rows.append({"name": "x.py:f: if a", "noticed_by": None, "equivalent": None})
            expected = "no longer in the code: x.py:f: if a"
        case "test gone":
            rows[0]["noticed_by"] = f"{ITS_TESTS[0]}::test_gone"
            expected = f"no longer noticed by {ITS_TESTS[0]}::test_gone: {name}"
        case _:
            rows[0]["equivalent"] = "because"
            expected = f"excused otherwise in the result: {name}"
    assert expected in list(page.wrong(facts))
