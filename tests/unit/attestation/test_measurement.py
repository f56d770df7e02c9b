from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import secagg
from secagg.attestation import describe_measurement, measure, measure_installed
from secagg.attestation.measurement import native_module, reachable_modules
from secagg.errors import UnavailableError

PACKAGE = Path(secagg.__file__).parent


def test_what_the_enclave_can_reach_is_measured_and_drivers_are_not() -> None:
    modules = reachable_modules(PACKAGE)
    assert {
        "enclave/launch.py",
        "enclave/child.py",
        "enclave/confinement.py",
        "protocols/enclave.py",
        "protocols/_enclave/__init__.py",
        "protocols/_enclave/client.py",
        "protocols/_enclave/messages.py",
        "protocols/_enclave/party.py",
        "protocols/_enclave/statements.py",
        "protocol/party.py",
        "crypto/hpke.py",
        "kernels/native.py",
        "wire.py",
        "errors.py",
    } <= set(modules)
    assert "__init__.py" not in modules
    assert not [path for path in modules if path.startswith(("runner/", "codec/", "cli/"))]


def test_every_part_has_a_name_and_counts() -> None:
    found = measure_installed()
    names = [name for name, _ in found.parts]
    assert len(set(names)) == len(names)
    assert {"settings", "distribution numpy", "distribution cryptography"} <= set(names)
    assert ("native" in names) == (native_module() is not None)
    assert found.value == measure().value
    for position in range(len(found.parts)):
        fewer = type(found)(found.parts[:position] + found.parts[position + 1 :])
        assert fewer.value != found.value


def test_the_printed_value_says_simulated() -> None:
    label, value = describe_measurement()[0]
    assert label == "SIMULATED measurement"
    assert value == measure_installed().value.hex()


def test_one_byte_of_the_compiled_module_counts(tmp_path: Path) -> None:
    module = native_module()
    if module is None:  # a build without it has nothing here to measure
        return
    changed = bytearray(module.read_bytes())
    changed[len(changed) // 2] ^= 1
    other = tmp_path / module.name
    other.write_bytes(bytes(changed))
    assert measure(native=other).value != measure_installed().value


def test_a_module_that_is_missing_or_broken_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "secagg"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "wire.py").write_text("def broken(:\n")
    with pytest.raises(UnavailableError, match=r"cannot measure wire\.py"):
        measure(copy)
    shutil.rmtree(copy / "enclave")
    with pytest.raises(UnavailableError, match="cannot measure"):
        measure(copy)
