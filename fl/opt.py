"""The Obstetrics and Periodontal Therapy trial: four hospitals, a regression task.

The target is the mean pocket depth (mm) at visit 5, from what was known at the start of the trial;
women who missed visit 5 are left out. Each hospital is a client. Source, licence and citation:
fl/datasets/README.md.

Standardisation is what a federation can do without showing anybody's rows: every hospital computes,
for each column, how many values it has, their sum and the sum of their squares over its training
rows; the totals (one secure sum before the first round) give the mean and the deviation that all
use. A missing value becomes the mean, that is 0. The target is centred, not scaled, in the same
way. The simulation adds these vectors in the clear.
"""

from __future__ import annotations

import csv
import hashlib
import io
from importlib import resources
from typing import Final

import numpy as np
import numpy.typing as npt

from fl import sampling
from fl.federation import Examples, Federation
from secagg.errors import DecodeError, ParameterError

HOSPITALS: Final = ("NY", "MN", "KY", "MS")
SHA256: Final = "3c955a6f66c13c39bc7f626314ff2ebf21e41a10331cb2946069d95296539edf"
TEST_FRACTION: Final = 0.25
TARGET: Final = "visit5_pocket_depth"

Table = npt.NDArray[np.float64]


def load(clients: int | None, seed: int) -> Federation:
    """The four hospitals; a quarter of each hospital's rows is held out, by seed.

    Inputs are 31 standardised columns, targets millimetres above the training mean.

    Raises:
        ParameterError: a number of clients other than 4.
        DecodeError: the file is not the one that its checksum names.
    """
    if clients not in (None, len(HOSPITALS)):
        raise ParameterError(f"opt has exactly {len(HOSPITALS)} hospitals, got {clients} clients")
    raw = resources.files("fl").joinpath("datasets/opt.csv").read_bytes()
    hospitals, columns, targets = parse(raw)
    train_rows, test_rows = [], []
    for number, hospital in enumerate(HOSPITALS):
        source = sampling.stream("opt", seed, number)
        train, test = sampling.held_out(
            source, np.flatnonzero(hospitals == hospital), TEST_FRACTION
        )
        train_rows.append(train)
        test_rows.append(test)
    mean, deviation = pooled_scale([moments(columns[rows]) for rows in train_rows])
    centre, _ = pooled_scale([moments(targets[rows]) for rows in train_rows])

    def examples(rows: sampling.Rows) -> Examples:
        inputs = standardise(columns[rows], mean, deviation)
        return Examples(inputs, (targets[rows] - centre).astype(np.float32).ravel())

    return Federation(
        name="opt",
        kind="regression",
        clients=tuple(examples(rows) for rows in train_rows),
        test=examples(np.concatenate(test_rows)),
        classes=0,
        source=f"OPT trial (medicaldata::opt), by hospital {', '.join(HOSPITALS)};"
        f" 25% of each for the test, seed {seed}",
        checksum=SHA256,
    )


def parse(raw: bytes) -> tuple[npt.NDArray[np.str_], Table, Table]:
    """(hospital, columns with NaN where missing, target as a column) of those seen at visit 5.

    Raises:
        DecodeError: the bytes do not have the expected SHA-256.
    """
    came = hashlib.sha256(raw).hexdigest()
    if came != SHA256:
        raise DecodeError(f"opt.csv has SHA-256 {came}, expected {SHA256}")
    rows = [row for row in csv.DictReader(io.StringIO(raw.decode())) if row[TARGET]]
    return (
        np.array([row["clinic"] for row in rows]),
        np.array([_columns(row) for row in rows]),
        np.array([[float(row[TARGET])] for row in rows]),
    )


def _columns(row: dict[str, str]) -> list[float]:
    numbers = {
        name: float(text) if text else float("nan")
        for name, text in row.items()
        if name not in ("clinic", "education", TARGET)
    }
    if numbers["previous_pregnancy"] == 0:
        numbers["previous_pregnancies"] = 0.0
    schooling = row["education"]
    return [*numbers.values(), schooling == "1", schooling == "2", not row["bmi"]]


def moments(table: Table) -> npt.NDArray[np.float64]:
    """(count, sum, sum of squares) of the values present: shape (3, columns), what is added up."""
    present = np.isfinite(table)
    values = np.where(present, table, 0.0)
    return np.stack([present.sum(axis=0), values.sum(axis=0), np.square(values).sum(axis=0)])


def pooled_scale(parts: list[npt.NDArray[np.float64]]) -> tuple[Table, Table]:
    """(mean, standard deviation) of each column from the hospitals' moments.

    A constant column keeps its scale: its deviation is given as 1.
    """
    count, total, squares = np.sum(parts, axis=0)
    mean = total / count
    variance = squares / count - np.square(mean)
    return mean, np.sqrt(np.where(variance > 1e-12, variance, 1.0))


def standardise(table: Table, mean: Table, deviation: Table) -> npt.NDArray[np.float32]:
    """Columns with mean 0 and deviation 1; what is missing becomes the mean."""
    scaled = (table - mean) / deviation
    return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)
