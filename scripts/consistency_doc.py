"""Write the tables of results/isolation.json into docs/consistency.md, each between its markers.

With --check it only says whether the document shows what the result says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "consistency.md"
RESULT = ROOT / "results" / "isolation.json"
START = "<!-- {}: scripts/consistency_doc.py writes this from results/isolation.json -->\n"
END = "<!-- end of {} -->\n"

Facts = dict[str, Any]


def number(count: int) -> str:
    """With spaces between the thousands, from five digits on."""
    return f"{count:,}".replace(",", " ") if count >= 10_000 else str(count)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def groups(row: Facts) -> tuple[str, str]:
    """On how many graphs somebody was isolated, and the smallest groups."""
    found = [group for group in row["groups"] if group is not None]
    middle = f"{min(found)}, {median(found):g}, {max(found)}" if found else ""
    return f"{len(found)} of {len(row['groups'])}", middle


def without_acknowledgements(facts: Facts) -> Iterator[str]:
    searched = {
        (row["clients"], row["degree"], row["threshold"]): groups(row)
        for row in facts["without_acknowledgements_5_percent"]
    }
    rows = []
    for row in facts["without_acknowledgements_nobody_corrupt"]:
        key = (row["clients"], row["degree"], row["threshold"])
        alone = "nobody" if row["group"] is None else str(row["group"])
        clients = number(key[0]) + (", complete graph" if key[1] == key[0] - 1 else "")
        rows.append((clients, f"{key[1]}, {key[2]}", alone, *searched.pop(key, ("", ""))))
    if searched:
        raise SystemExit(f"searched with corrupt clients, but not without: {sorted(searched)}")
    yield from table(
        (
            "clients",
            "degree, threshold",
            "nobody corrupt",
            "5 % corrupt: graphs with isolation",
            "smallest group: least, median, most",
        ),
        rows,
    )


def with_acknowledgements(facts: Facts) -> Iterator[str]:
    rows = (
        (
            number(row["clients"]),
            row["gamma_and_delta"],
            number(row["present"]),
            f"{row['degree']}, {row['threshold']}",
            number(row["corrupt"]),
            f"{row['fullest_window']} of {row['tolerated']}",
            number(row["windows"]),
            number(row["gaps"]),
        )
        for row in facts["with_acknowledgements"]
    )
    yield from table(
        (
            "clients",
            "gamma, delta",
            "in the round",
            "degree, threshold",
            "corrupt",
            "fullest window, of w",
            "windows",
            "gaps",
        ),
        rows,
    )


def origin(facts: Facts) -> Iterator[str]:
    machine, versions, settings = facts["machine"], facts["versions"], facts["settings"]
    yield (
        f"`{' '.join(facts['argv'])}`, which {'passed' if facts['passed'] else 'FAILED'}:"
        f" {settings['graphs']} graphs of each kind; at {(facts['secagg']['commit'] or '')[:12]},"
    )
    yield (
        f"{facts['started'][:10]}, on {machine['cpu']}, Python {machine['python']},"
        f" numpy {versions['numpy']}, scipy {versions['scipy']}."
    )


def main() -> int:
    facts: Facts = json.loads(RESULT.read_text())
    text = new = DOCUMENT.read_text()
    for block in (without_acknowledgements, with_acknowledgements, origin):
        name = block.__name__.replace("_", " ")
        before, rest = new.split(START.format(name))
        _, after = rest.split(END.format(name))
        lines = "\n".join(block(facts))
        new = f"{before}{START.format(name)}\n{lines}\n\n{END.format(name)}{after}"
    if "--check" in sys.argv:
        return int(new != text)
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
