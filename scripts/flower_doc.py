"""Write the tables of results/flower-adapter-*.json into docs/flower-secaggplus.md.

With --check it only says whether the document shows what the results say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "flower-secaggplus.md"
RESULTS = ("flower-adapter-k21", "flower-adapter-complete")
START = "<!-- side by side: scripts/flower_doc.py writes this from results/ -->\n"
END = "<!-- end of side by side -->\n"


def figure(value: float) -> str:
    """Three digits, and spaces between thousands."""
    if value >= 1000:
        return f"{round(value):,}".replace(",", " ")
    return f"{value:.3g}"


def section(name: str) -> Iterator[str]:
    facts: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text())
    settings = facts["settings"]
    clients, length = settings["clients"], figure(settings["length"])
    graph = settings["neighbours"]
    shares = "all clients" if graph == "complete" else f"{graph} shares of a secret"
    yield f"**{clients} clients, {length} elements, {shares}, {facts['lost']} lost**"
    plan = ", ".join(f"{key} {value}" for key, value in facts["plan"].items())
    yield f"(here `{facts['protocol']}`: {plan}; medians of {settings['repeats']} rounds"
    yield f"each; kernels {facts['kernel']}, level {facts['level']}):"
    yield ""
    yield "| | here | Flower's own | ratio |"
    yield "|---|---|---|---|"
    above = ""
    for row in facts["rows"]:
        here, there = figure(row["ours"]), figure(row["rival"])
        # A part of the line above it is set in.
        name = row["name"] if row["name"] == row["name"].strip() else f"{above},{row['name'][1:]}"
        yield f"| {name} | {here} | {there} | {row['ratio']:.2f} |"
        above = row["name"]
    yield ""


def rendered() -> str:
    text = DOCUMENT.read_text()
    if text.count(START) != 1 or text.count(END) != 1:
        raise SystemExit(f"{DOCUMENT.name}: expected each marker once")
    head, rest = text.split(START)
    _, tail = rest.split(END)
    lines = [line for name in RESULTS for line in section(name)]
    return head + START + "\n" + "\n".join(lines) + END + tail


def main() -> int:
    text = rendered()
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(text)
    elif text != DOCUMENT.read_text():
        print(f"{DOCUMENT.relative_to(ROOT)} is not what the results say: run {sys.argv[0]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
