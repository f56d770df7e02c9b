"""Which level runs, how it is forced, and what happens where the compiled module is missing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from secagg import kernels
from secagg.errors import UnavailableError
from secagg.kernels.backend import Status

ROOT = Path(__file__).parents[3]


def run(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    kept = {name: value for name, value in os.environ.items() if name != "SECAGG_CPU"}
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


WITHOUT_NATIVE = "import sys; sys.modules['secagg._native'] = None\n"
SHOW = "from secagg import kernels; print(kernels.level())"
CATCH = """
from secagg import errors, kernels
import numpy as np
try:
    kernels.ring_add(np.zeros(1, dtype=np.uint32), np.zeros(1, dtype=np.uint32))
except errors.UnavailableError as error:
    print(error)
kernels.select_level("reference")
print(kernels.level())
"""


def test_the_level_in_use_is_the_one_selected(level: str) -> None:
    assert kernels.level() == level
    assert level in kernels.levels()
    assert kernels.mask_level()


def test_the_ladder_begins_with_the_reference() -> None:
    ladder = ("reference", "portable", "aesni", "vaes", "armv8")
    assert kernels.levels()[0] == "reference"
    assert list(kernels.levels()) == sorted(kernels.levels(), key=ladder.index)


def test_the_compiled_module_is_here() -> None:
    """A test run without it would prove nothing about it."""
    assert kernels.native_available(), kernels.native_missing()
    assert kernels.native_missing() is None
    assert "portable" in kernels.levels()


def test_unknown_levels_are_refused_and_change_nothing(level: str) -> None:
    with pytest.raises(UnavailableError, match=r"'abacus' .* expected one of reference, portable"):
        kernels.select_level("abacus")
    with pytest.raises(UnavailableError), kernels.using_level("abacus"):
        pass
    assert kernels.level() == level


def test_the_levels_of_another_instruction_set_are_refused() -> None:
    x86, arm = {"aesni", "vaes"}, {"armv8"}
    assert not (x86 & set(kernels.levels()) and arm & set(kernels.levels()))
    foreign = "armv8" if platform.machine() in ("x86_64", "AMD64") else "vaes"
    with pytest.raises(UnavailableError, match=f"'{foreign}' .* this CPU or this build"):
        kernels.select_level(foreign)


def test_using_level_goes_back_after_an_error(level: str) -> None:
    with pytest.raises(ZeroDivisionError), kernels.using_level("reference"):
        print(1 // 0)
    assert kernels.level() == level


def test_the_best_level_is_the_default() -> None:
    assert run(SHOW) == kernels.levels()[-1]
    assert run(SHOW, SECAGG_CPU="") == kernels.levels()[-1]


def test_the_environment_forces_a_level(level: str) -> None:
    assert run(SHOW, SECAGG_CPU=level) == level


def test_the_environment_is_not_overruled_silently() -> None:
    refused, chosen = run(CATCH, SECAGG_CPU="abacus").splitlines()
    assert "'abacus' (from SECAGG_CPU or select_level) is not available" in refused
    assert chosen == "reference"


def test_without_the_compiled_module_the_reference_runs() -> None:
    code = WITHOUT_NATIVE + SHOW + "; print(kernels.levels(), kernels.native_available())"
    assert run(code).splitlines() == ["reference", "('reference',) False"]
    refused, _ = run(WITHOUT_NATIVE + CATCH, SECAGG_CPU="portable").splitlines()
    assert "the compiled module could not be imported" in refused


def test_the_stub_and_the_status_codes_follow_the_header() -> None:
    header = (ROOT / "csrc" / "secagg.h").read_text()
    declared = set(re.findall(r"\b(secagg_[a-z0-9_]+)\(", header.split("[cdef begin]")[1]))
    once = {name for name in declared if not re.search(r"_u(16|32|64)$", name)}
    stub = (ROOT / "secagg" / "_native.pyi").read_text()
    assert set(re.findall(r"def (secagg_[a-z0-9_]+)\(", stub)) == once
    for lane in (16, 32, 64):
        assert {re.sub(r"_u\d+$", "", name) for name in declared - once} == {
            name.removesuffix(f"_u{lane}") for name in declared if name.endswith(f"_u{lane}")
        }
    codes = dict(re.findall(r"SECAGG_([A-Z_]+) = (-?\d+)", header))
    assert codes == {status.name: str(int(status)) for status in Status}
