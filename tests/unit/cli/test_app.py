"""Every way to end has its exit code; help needs nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest
from unit.cli.conftest import Invoke

import fl.compare
from secagg.cli import app
from secagg.cli.exits import Exit
from secagg.errors import DecodeError, InputError, ParameterError, RoundFailed, UnavailableError


def test_help_lists_the_verbs_and_the_exit_codes(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for verb in app.VERBS:
        assert verb in result.stdout
    assert "4 a round" in result.stdout
    for verb in app.VERBS:
        assert invoke(verb, "--help").exit_code == 0


def test_version(invoke: Invoke) -> None:
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("secagg, version ")


@pytest.mark.parametrize("words", [("nonsense",), ("compare", "--nonsense"), ("--nonsense",)])
def test_what_does_not_exist_is_usage(invoke: Invoke, words: tuple[str, ...]) -> None:
    result = invoke(*words)
    assert result.exit_code == Exit.USAGE
    assert not result.stdout
    assert "nonsense" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("such and such"), Exit.USAGE),
        (UnavailableError("such and such"), Exit.UNDECIDED),
        (DecodeError("such and such"), Exit.UNDECIDED),
        (InputError("such and such"), Exit.UNDECIDED),
        (RoundFailed("such and such"), Exit.ABORTED),
        (ZeroDivisionError("such and such"), Exit.UNDECIDED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
    ],
)
def test_errors_have_codes(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: Exit
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(fl.compare, "compare", fail)
    result = invoke("compare", "--length", "5", "-q")
    assert result.exit_code == code
    assert not result.stdout
    assert ("interrupted" if code == Exit.INTERRUPTED else "such and such") in result.stderr
    # Only a defect of ours shows where it happened.
    assert ("Traceback" in result.stderr) is isinstance(error, ZeroDivisionError)


def test_embedders_get_the_exception_and_the_value() -> None:
    assert app.main.main(["protocols"], standalone_mode=False) == Exit.DONE
    with pytest.raises(ParameterError):
        app.main.main(["compare", "--length", "5", "--clients", "1", "-q"], standalone_mode=False)


def test_help_imports_no_training() -> None:
    script = (
        "import sys; from secagg.cli import main\n"
        "main(['compare', '--help'], standalone_mode=False)\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
