"""Write the table of results/compare-digits.json into the README, between its two markers.

With --check it only says whether the README shows what the result says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from secagg.cli.compare import Document, markdown

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "results" / "compare-digits.json"
START = "<!-- table: scripts/readme_table.py writes this from results/compare-digits.json -->\n"
END = "<!-- end of table -->\n"


def main() -> int:
    document = msgspec.json.decode(RESULT.read_bytes(), type=Document)
    machine, load = document.machine, document.load
    origin = (
        f"`{' '.join(document.argv)}` on {machine.cpu}, {machine.cores} cores, Python"
        f" {machine.python}, kernels {machine.kernel}, load {load.before[0]:.2f} before and"
        f" {load.after[0]:.2f} after, level {document.settings.level}.\n"
    )
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split(START)
    _, after = rest.split(END)
    new = f"{before}{START}\n{markdown(document)}\n{origin}\n{END}{after}"
    if "--check" in sys.argv:
        return int(new != text)
    readme.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
