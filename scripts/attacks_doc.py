"""Write the table of attacks into docs/attacks.md, from what the modules of tests/attacks say.

With --check it only says whether the document shows what the modules say.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
MODULES = ROOT / "tests" / "attacks"
DOCUMENT = ROOT / "docs" / "attacks.md"
START = "<!-- table: scripts/attacks_doc.py writes this from tests/attacks -->\n"
END = "<!-- end of table -->\n"
FIELDS = ("Adversary", "Goal", "Protection", "Levels")


class Attack(NamedTuple):
    """What a module says of itself. Texts are first sentences."""

    ids: str
    title: str
    adversary: str
    goal: str
    protection: str
    levels: str
    module: str


def attacks() -> list[Attack]:
    """All attacks: those with a number first, by number."""
    found = [read(path) for path in MODULES.glob("test_*.py") if path.name not in OTHERS]
    return sorted(found, key=lambda attack: (order(attack.ids), attack.module))


OTHERS = ("test_catalogue.py", "test_checks.py", "test_rules.py")
"""What is in the folder and is no attack."""


def order(ids: str) -> tuple[int, str]:
    number = re.match(r"A(\d+)", ids)
    return (int(number[1]), "") if number else (1000, ids)


def read(path: Path) -> Attack:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    title, _, rest = text.partition("\n")
    ids, separator, name = title.partition(": ")
    if not separator:
        raise SystemExit(f"{path.name}: expected 'A1: what happens.' in the first line")
    adversary, goal, protection, levels = (first_sentence(path, rest, one) for one in FIELDS)
    return Attack(ids, name.rstrip("."), adversary, goal, protection, levels, path.name)


def first_sentence(path: Path, text: str, field: str) -> str:
    found = re.search(rf"^{field}: (.*?)(?=^[A-Z][a-z]+( [a-z]+)?: |\n\n|\Z)", text, re.M | re.S)
    if found is None:
        raise SystemExit(f"{path.name}: expected a line that begins with '{field}:'")
    joined = " ".join(found[1].split())
    if field == "Levels":
        return joined.rstrip(".")
    return re.split(r"(?<=[a-z`)])\. ", joined)[0].rstrip(".")


def table() -> Iterator[str]:
    yield "| id | attack | adversary | goal | protection | levels | test |"
    yield "|---|---|---|---|---|---|---|"
    for attack in attacks():
        link = f"[{attack.module[5:-3]}](../tests/attacks/{attack.module})"
        cells = (*attack[:-1], link)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> int:
    text = DOCUMENT.read_text()
    before, rest = text.split(START)
    _, after = rest.split(END)
    lines = "\n".join(table())
    new = f"{before}{START}\n{lines}\n\n{END}{after}"
    if "--check" in sys.argv:
        if new != text:
            print(f"{DOCUMENT} is not what the modules say: python scripts/attacks_doc.py")
        return int(new != text)
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
