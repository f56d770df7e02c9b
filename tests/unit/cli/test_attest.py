from __future__ import annotations

import msgspec
from click.testing import CliRunner

from secagg.attestation import measure_installed
from secagg.cli import attest, main


def test_the_expected_value_is_printed_and_labelled() -> None:
    table = CliRunner().invoke(main, ["attest", "measure"])
    assert table.exit_code == 0, table.output
    assert "SIMULATED" in table.stdout
    assert measure_installed().value.hex() in table.stdout
    assert "protocols/enclave.py" in table.stdout
    assert "protocols/_enclave/party.py" in table.stdout


def test_it_is_read_by_machines() -> None:
    result = CliRunner().invoke(main, ["attest", "measure", "--format", "json"])
    assert result.exit_code == 0, result.output
    document = msgspec.json.decode(result.stdout, type=attest.Document)
    assert document.measurement == measure_installed().value.hex()
    assert document.evidence == "SIMULATED"
    assert document.rows[0].part == "SIMULATED measurement"


def test_alone_it_says_what_there_is() -> None:
    result = CliRunner().invoke(main, ["attest", "--help"])
    assert result.exit_code == 0
    assert "measure" in result.stdout
