"""The `secagg` command: finds the verb, and turns every way to end into its exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final

import click

from secagg.cli.exits import Exit
from secagg.errors import ParameterError, RoundFailed, SecaggError

VERBS: Final = {
    "attest": "The measurement that clients expect of a SIMULATED enclave.",
    "audit": "Try to break a protocol, a transcript or a foreign implementation; says what it saw.",
    "compare": "Train once under every protocol and compare what it costs.",
    "doctor": "What this machine can run, and how to get what is missing.",
    "keygen": "Draw a long-term key pair.",
    "protocols": "What every protocol promises and sends.",
    "roster": "Who takes part: make, sign, show and verify a federation's roster.",
    "simulate": "Whole rounds at scale, with clients that vanish, and a check of every sum.",
    "speed": "How fast the kernels are, next to what this machine can do at best.",
    "verify": "A session's public record and clients' receipts, verified offline.",
}
"""Each lives in the module secagg.cli.<verb> as `command`."""


class Commands(click.Group):
    """Imports a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"secagg.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(VERBS.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and exit with a code of `Exit`."""
        words = list(sys.argv[1:] if args is None else args)
        extra.setdefault("obj", words)
        run = partial(super().main, words, prog_name, complete_var, False, **extra)
        return sys.exit(_code(run)) if standalone_mode else run()


def _code(call: Callable[[], Any]) -> int:
    try:
        code = call()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return Exit.INTERRUPTED
    except ParameterError as error:
        _say(str(error))
        return Exit.USAGE
    except RoundFailed as error:
        _say(str(error))
        return Exit.ABORTED
    except SecaggError as error:
        _say(str(error))
        return Exit.UNDECIDED
    except Exception:  # a defect of ours is not a finding
        traceback.print_exc()
        return Exit.UNDECIDED
    return code if isinstance(code, int) else Exit.DONE


def _say(text: str) -> None:
    click.echo(f"secagg: {text}", err=True)


EPILOG: Final = (
    "Exit codes: 0 done, 1 a finding, 2 usage, 3 could not be decided, 4 a round aborted as the"
    " protocol requires, 130 interrupted. Data go to stdout, talk to stderr; NO_COLOR is honoured."
)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="secagg", prog_name="secagg")
def main() -> None:
    """Secure aggregation for federated learning: the server learns the sum, and only the sum."""
