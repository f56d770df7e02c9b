"""Takes out each check that level `malicious` rests on, one at a time, and runs the tests.

    python scripts/mutants.py
    python scripts/mutants.py --only secagg/protocols/_masking/checks.py
    python scripts/mutants.py --write

What is taken out is in `check_sites`. It happens in a copy of the tree, in which each run of the
tests is a process of its own; a run ends with its first failure. First comes the test that noticed
the same last time, then the unit tests of the file, the attacks, and the conformance suite of
secagg. Ends with 0 only if every check that is taken out is noticed, or is in EQUIVALENT.
--write puts the result into results/mutants.json, from which scripts/mutants_doc.py writes
docs/mutants.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from check_sites import CHECKED, ROOT, Site, sites_of

from secagg import _native  # noqa: TID251
from secagg.cli import machine

RESULT: Final = ROOT / "results" / "mutants.json"
LIMIT: Final = 300
"""Seconds for one run of some tests. What runs longer has noticed something."""

TIME_LIMIT: Final = "the time limit"

EQUIVALENT: Final[dict[str, str]] = {}
"""Checks that no test can miss, by name, with the reason. Each is kept for another reason."""

# The module that the tests import has to be the copy's, compiled part included, not the checkout's
# that is installed in place.
SITE_CUSTOMIZE: Final = """import sys
sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
"""

_UNIT: Final = "tests/unit"
_LATER: Final = (("tests/attacks",), ("tests/conformance",))
_MASKED: Final = (
    "checks",
    "neighbourhood",
    "keyring",
    "authenticated_keys",
    "authenticated_client",
    "authenticated_server",
    "authenticated_blame",
    "ring",
    "ring_books",
    "ring_server",
    "ring_rounds",
    "verification_counts",
    "authenticated_garbled",
)
_MOST_LIKELY: Final = {
    "checks": ("checks",),
    "neighbourhood": ("neighbourhood",),
    "client": ("authenticated_keys", "authenticated_client", "ring_books"),
    "server": ("authenticated_keys", "authenticated_server", "authenticated_blame"),
    "ring": ("ring", "ring_books", "ring_server", "ring_rounds"),
    "enrolled": ("authenticated_keys", "ring"),
    "statements": ("authenticated_keys", "authenticated_blame"),
    "keyring": ("keyring",),
    "total": ("authenticated_server",),
    "recovery": ("authenticated_blame",),
}
"""For a module of masking, the tests that are most likely to notice."""


def concerning(file: str) -> Iterator[tuple[str, ...]]:
    """The tests to run without a check of this file, the quickest to notice first."""
    folder, name = str(Path(file).parent), Path(file).stem
    if folder == "secagg/crypto":
        yield (f"{_UNIT}/crypto/test_{name}.py",)
    elif folder == "secagg/ledger":
        yield tuple(f"{_UNIT}/ledger/test_{n}.py" for n in ("ledger", "keeper"))
        yield (f"{_UNIT}/ledger", f"{_UNIT}/runner/test_ledgers.py")
    elif folder == "secagg/protocol":
        yield (f"{_UNIT}/protocol",)
    elif name in _MOST_LIKELY:
        yield masked(_MOST_LIKELY[name])
    if folder != "secagg/ledger":
        yield masked(_MASKED)
    yield from _LATER


def masked(names: Sequence[str]) -> tuple[str, ...]:
    """These tests of masking."""
    return tuple(f"{_UNIT}/protocols/test_{name}.py" for name in names)


def git(*words: str) -> str:
    """What git says about the checkout."""
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def commit() -> str:
    """What the copy is made of; the result, and the page made from it, do not count as changes."""
    written = [f":!{RESULT.relative_to(ROOT)}", ":!docs/mutants.md"]
    changes = git("status", "--porcelain", "--", ".", *written)
    return git("rev-parse", "HEAD").strip() + ("+changes" if changes else "")


class NotRun(SystemExit):
    """Tests that neither passed nor failed."""


class Tree:
    """A copy of the checkout, as it is, in which one file at a time is another."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._passing: set[tuple[str, ...]] = set()
        listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        shutil.copy2(str(_native.__file__), root / "secagg")
        (root / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
        imported = self._run("-c", "import secagg, secagg._native as n; print(n.__file__)").stdout
        if Path(imported.strip()).parent.parent != root:
            raise SystemExit(f"the copy imports {imported.strip()}")

    def sites(self, file: str) -> list[Site]:
        """The checks of a file as it was copied."""
        return sites_of(file, (self._root / file).read_text())

    def check_passing(self, tests: tuple[str, ...]) -> None:
        """These pass as long as nothing is taken out. The run also leaves them compiled."""
        if tests in self._passing:
            return
        done = self._pytest(tests, None, PYTHONDONTWRITEBYTECODE="")
        if done.returncode != 0:
            raise SystemExit(f"these fail with all checks in:\n{done.stdout[-4000:]}")
        self._passing.add(tests)

    def noticed(self, site: Site, tests: tuple[str, ...]) -> str | None:
        """The first of these tests that fails without this check, or None."""
        path = self._root / site.file
        source = path.read_text()
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()
        path.write_text(site.removed_from(source))
        try:
            return self._failure(tests)
        finally:
            path.write_text(source)

    def _failure(self, tests: Sequence[str]) -> str | None:
        try:
            done = self._pytest(tests, LIMIT, PYTHONDONTWRITEBYTECODE="1")
        except subprocess.TimeoutExpired:
            return TIME_LIMIT
        if done.returncode == 0:
            return None
        found = re.search(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
        if done.returncode != 1 or found is None or "::" not in found[1]:
            raise NotRun(f"the tests could not be run:\n{done.stdout[-4000:]}{done.stderr}")
        return found[1]

    def _pytest(
        self, tests: Sequence[str], limit: int | None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        words = ("-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider")
        return self._run(*words, *tests, limit=limit, **variables)

    def _run(
        self, *words: str, limit: int | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        settings = {"PYTHONPATH": str(self._root), "CI": "true", "SECAGG_CONFORMANCE": "secagg"}
        return subprocess.run(
            [sys.executable, *words],
            cwd=self._root,
            env={**os.environ, **settings, **variables},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )


def known(result: dict[str, Any]) -> dict[str, str]:
    """Which test noticed what, last time."""
    rows = (row for facts in result.get("files", {}).values() for row in facts["checks"])
    return {row["name"]: row["noticed_by"] for row in rows if row["noticed_by"]}


def noticed_by(tree: Tree, site: Site, last: str | None, unit_only: bool = False) -> str | None:
    """The test that notices that a check is out; first the one that did the last time is asked."""
    if last is not None and (ROOT / last.split("::")[0]).exists():
        # It may have another name by now.
        with suppress(NotRun):
            if (by := tree.noticed(site, (last,))) is not None:
                return by
    for tests in concerning(site.file):
        if unit_only and tests in _LATER:
            continue
        tree.check_passing(tests)
        by = tree.noticed(site, tests)
        if by is not None:
            return by
    return None


def results_of(
    tree: Tree, file: str, before: dict[str, str], unit_only: bool
) -> list[dict[str, Any]]:
    """For each check of a file, what happened without it."""
    rows = []
    for site in tree.sites(file):
        reason = EQUIVALENT.get(site.name)
        by = None
        if reason is None:
            by = noticed_by(tree, site, before.get(site.name), unit_only)
        print(f"{site.file}:{site.line}: {site.check}", flush=True)
        print(f"    {by or reason or 'NOT NOTICED'}", flush=True)
        rows.append({"name": site.name, "noticed_by": by, "equivalent": reason})
    return rows


def write(files: dict[str, Any], started: str, words: Sequence[str]) -> None:
    """Keep the result, in the order of the files."""
    document = {
        "schema": "secagg.mutants/1",
        "machine": msgspec.to_builtins(machine.machine()),
        "versions": machine.versions(),
        "started": started,
        "argv": ["python", "scripts/mutants.py", *words],
        "seconds_for_a_run_of_tests": LIMIT,
        "files": {file: files[file] for file in CHECKED if file in files},
    }
    RESULT.write_text(json.dumps(document, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="take out each check, and run the tests")
    parser.add_argument("--only", action="append", choices=CHECKED, metavar="FILE")
    parser.add_argument("--unit", action="store_true", help="ask the unit tests only")
    parser.add_argument("--write", action="store_true", help=f"to {RESULT.relative_to(ROOT)}")
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(words)
    result: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    before = known(result)
    files = options.only or CHECKED
    at, started = commit(), machine.now()
    os.nice(10)
    done: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="secagg-mutants-") as folder:
        tree = Tree(Path(folder).resolve())
        for file in files:
            rows = results_of(tree, file, before, options.unit)
            done[file] = {"commit": at, "checks": rows}
            if options.write:
                # After every file, for it takes long.
                write({**result.get("files", {}), **done}, started, words)
    survivors = [
        row["name"]
        for facts in done.values()
        for row in facts["checks"]
        if not row["noticed_by"] and not row["equivalent"]
    ]
    count = sum(len(facts["checks"]) for facts in done.values())
    print(f"{count} checks taken out in turn, {len(survivors)} not noticed")
    print(*survivors, sep="\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
