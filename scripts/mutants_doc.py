"""Write results/mutants.json into docs/mutants.md, between its markers.

With --check it only says whether the document shows what the result says, and whether the result
has every check that is in the code, each noticed by a test or excused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from check_sites import CHECKED, ROOT, sites_in
from mutants import EQUIVALENT, RESULT, TIME_LIMIT

DOCUMENT = ROOT / "docs" / "mutants.md"
START = "<!-- checks: scripts/mutants_doc.py writes this from results/mutants.json -->\n"
END = "<!-- end of checks -->\n"

Facts = dict[str, Any]


def wrong(facts: Facts) -> Iterator[str]:
    """What the result lacks, or has too much of, in words."""
    for file in CHECKED:
        rows = {row["name"]: row for row in facts["files"].get(file, {"checks": []})["checks"]}
        names = [site.name for site in sites_in(file)]
        for name in names:
            if name not in rows:
                yield f"not in the result: {name}"
            elif rows[name]["equivalent"] != EQUIVALENT.get(name):
                yield f"excused otherwise in the result: {name}"
            elif not rows[name]["noticed_by"] and name not in EQUIVALENT:
                yield f"noticed by no test: {name}"
        for name, row in rows.items():
            if name not in names:
                yield f"no longer in the code: {name}"
            elif row["noticed_by"] not in (None, TIME_LIMIT) and not test_exists(row["noticed_by"]):
                yield f"no longer noticed by {row['noticed_by']}: {name}"
    for name in EQUIVALENT.keys() - {site.name for file in CHECKED for site in sites_in(file)}:
        yield f"excused, and no longer in the code: {name}"


def test_exists(test: str) -> bool:
    """Whether the function of this name is still in the file."""
    file, function = test.split("::")[:2]
    path = Path(ROOT / file)
    return path.is_file() and f"def {function.split('[')[0]}(" in path.read_text()


def code(words: str) -> str:
    """As code in a cell of a table."""
    return f"`{words}`".replace("|", "\\|")


def row(name: str, noticed: str) -> str:
    _, function, check = name.split(":", 2)
    return f"| {code(function)} | {code(check.strip())} | {noticed} |"


def shown(test: str) -> str:
    """A test without its folder, which is the same for most."""
    return test if test == TIME_LIMIT else code(test.removeprefix("tests/"))


def page(facts: Facts) -> Iterator[str]:
    rows = [row for file in CHECKED for row in facts["files"][file]["checks"]]
    excused = [row for row in rows if row["equivalent"]]
    late = sum(row["noticed_by"] == TIME_LIMIT for row in rows)
    yield (
        f"{len(rows)} checks were taken out, one at a time; {len(rows) - len(excused)} times a test"
        f" failed ({late} of them by exceeding {facts['seconds_for_a_run_of_tests']} s),"
        f" {len(excused)} checks are excused."
    )
    for file in CHECKED:
        if not (here := facts["files"][file]["checks"]):
            continue
        yield ""
        yield f"### {file.removeprefix('secagg/')}"
        yield ""
        yield f"At {(facts['files'][file]['commit'] or '')[:12]}."
        yield ""
        yield "| in | check | noticed by |"
        yield "|---|---|---|"
        for one in here:
            noticed = (
                shown(one["noticed_by"]) if one["noticed_by"] else f"nobody: {one['equivalent']}"
            )
            yield row(one["name"], noticed)


def main() -> int:
    facts: Facts = json.loads(RESULT.read_text())
    text = DOCUMENT.read_text()
    before, rest = text.split(START)
    _, after = rest.split(END)
    lines = "\n".join(page(facts))
    new = f"{before}{START}\n{lines}\n\n{END}{after}"
    if "--check" in sys.argv:
        faults = [*wrong(facts), *(["docs/mutants.md shows another result"] if new != text else [])]
        print(*faults, sep="\n")
        return int(bool(faults))
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
