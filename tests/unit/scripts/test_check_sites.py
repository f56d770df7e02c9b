"""Which checks scripts/check_sites.py finds in a source, and what is left without each."""

from __future__ import annotations

import textwrap
from types import ModuleType

import pytest


def without(sites: ModuleType, source: str) -> dict[str, str]:
    """Check to the lines that are left otherwise without it."""
    source = textwrap.dedent(source)
    found = {}
    for site in sites.sites_of("x.py", source):
        changed = site.removed_from(source)
        kept = source.splitlines()
        found[site.check] = "; ".join(
            line.strip() for line in changed.splitlines() if line not in kept
        )
        assert site.name == f"x.py:{site.function}: {site.check}"
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if a:\n    raise E(1)\n", {"if a: raise E": "if False:"}),
        ("if a:\n    x = 1\n    raise E\n", {"if a: raise E": "if False:"}),
        ("if a:\n    raise\n", {}),
        ("if a:\n    x = 1\n", {}),
        (
            "if a:\n    x = 1\nelif b:\n    raise E\nelse:\n    x = 2\n",
            {"if b: raise E": "elif False:"},
        ),
        (
            "if a or not b:\n    raise E\n",
            {
                "if a or not b: raise E, its part a": "if False or not b:",
                "if a or not b: raise E, its part not b": "if a or False:",
            },
        ),
        (
            "if not (a and b):\n    raise E\n",
            {
                "if not (a and b): raise E, its part a": "if not (True and b):",
                "if not (a and b): raise E, its part b": "if not (a and True):",
            },
        ),
        ("if a and b:\n    raise E\n", {"if a and b: raise E": "if False:"}),
        (
            "if not self._fix(a):\n    raise E\n",
            {"if not self._fix(a): raise E": "if ((not self._fix(a)) and False):"},
        ),
        (
            "if not (f(a) and b):\n    raise E\n",
            {
                "if not (f(a) and b): raise E, its part f(a)": "if not (((f(a)) or True) and b):",
                "if not (f(a) and b): raise E, its part b": "if not (f(a) and True):",
            },
        ),
        (
            "if (n := f()) < 2:\n    raise E\n",
            {"if (n := f()) < 2: raise E": "if (((n := f()) < 2) and False):"},
        ),
        (
            "def f():\n    if a:\n        yield Fail('é')\n        return\n    yield 1\n",
            {"if a: fail": "if False:"},
        ),
        ("def f():\n    if a:\n        return False\n", {"if a: return False": "if False:"}),
        ("def f():\n    if a:\n        return True\n", {}),
        (
            "é = 'é'; self._check(é,\n    2)\nx = 1\n",
            {"self._check(é, 2)": "é = 'é'; pass"},
        ),
        ("checks.read_rows(a, 1)\n", {"checks.read_rows(a, 1)": "pass"}),
        ("rows = checks.read_rows(a, 1)\nprint(rows)\nchecked(a)\n", {}),
        (
            "try:\n    verify(a)\nexcept V as error:\n    raise E(error) from None\n",
            {"verify(a)": "pass", "except V: raise E": "pass"},
        ),
        (
            "try:\n    a = f()\nexcept V as error:\n    raise E(error) from None\n",
            {"except V: raise E": "raise"},
        ),
        ("try:\n    a = f()\nexcept BaseException:\n    stop()\n    raise\n", {}),
        (
            "def f():\n    try:\n        check(a)\n    except (V, D):\n        return False\n",
            {"check(a)": "pass", "except (V, D): return False": "pass"},
        ),
    ],
)
def test_what_is_a_check(sites: ModuleType, source: str, expected: dict[str, str]) -> None:
    assert without(sites, source) == expected


def test_equal_checks_are_numbered_and_functions_named(sites: ModuleType) -> None:
    source = """
        class A:
            def f(self):
                check(a)
                check(a)
            def g(self):
                check(a)
        check(a)
    """
    found = [(s.function, s.check, s.line) for s in sites.sites_of("x.py", textwrap.dedent(source))]
    assert found == [
        ("A.f", "check(a)", 4),
        ("A.f", "check(a) (2)", 5),
        ("A.g", "check(a)", 7),
        ("module", "check(a)", 8),
    ]


def test_every_file_is_there_and_every_name_once(sites: ModuleType) -> None:
    names = [site.name for file in sites.CHECKED for site in sites.sites_in(file)]
    assert len(names) == len(set(names)) > 150
    for file in sites.CHECKED:
        source = (sites.ROOT / file).read_text()
        for site in sites.sites_in(file):
            assert site.removed_from(source) != source
