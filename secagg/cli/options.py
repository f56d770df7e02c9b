"""The one vocabulary of options: every verb takes its options from here."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from secagg.cli.output import FORMATS, Target
from secagg.protocol import Level
from secagg.types import Secret

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Fraction(click.ParamType[Decimal]):
    """An exact decimal in [0, 1)."""

    name = "fraction"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """Parse; never by way of a float."""
        try:
            fraction = Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            self.fail(f"{value!r} is not a decimal such as 0.1", param, ctx)
        if not (fraction.is_finite() and 0 <= fraction < 1):
            self.fail(f"{value} is not in [0, 1)", param, ctx)
        return fraction


FRACTION: Final = Fraction()


def _names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Split at commas, drop repetitions, refuse what does not exist."""
    from secagg import protocols

    known = protocols.names()
    chosen = tuple(dict.fromkeys(n for words in value for n in words.split(",") if n))
    if unknown := [name for name in chosen if name not in known]:
        raise click.BadParameter(
            f"no such protocol: {', '.join(unknown)}; there are {', '.join(known)}", ctx, param
        )
    return chosen


def _name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    chosen = _names(ctx, param, (value,))
    if len(chosen) != 1:
        raise click.BadParameter(f"expected one protocol, got {len(chosen)}", ctx, param)
    return chosen[0]


chosen_protocols = click.option(
    "--protocols",
    "--protocol",
    "names",
    multiple=True,
    metavar="NAME,...",
    callback=_names,
    help="Which protocols; may be repeated.  [default: all]",
)
clients = click.option(
    "--clients", type=click.IntRange(min=1), help="How many.  [default: 10; opt: its 4 hospitals]"
)
length = click.option(
    "--length",
    type=click.IntRange(min=1),
    help="Random vectors of this length instead of a training: costs only, no data needed.",
)
dropout = click.option(
    "--dropout",
    type=FRACTION,
    default="0.1",
    show_default=True,
    help="Fraction of the clients that the plan must be able to lose.",
)
lose = click.option(
    "--lose",
    type=FRACTION,
    help="Fraction of the clients that really vanish in a round, rounded down, spread over all"
    " phases.  [default: that of --dropout]",
)
corrupt = click.option(
    "--corrupt",
    type=FRACTION,
    default="0.1",
    show_default=True,
    help="Fraction of the clients that may collude with the server; 0 asks for no protection"
    " against collusion.",
)
level = click.option(
    "--level",
    type=click.Choice([str(level) for level in Level]),
    default=str(Level.CURIOUS),
    show_default=True,
    help="The server that must be withstood.",
)
dataset = click.option(
    "--data",
    metavar="digits|opt|fashion-mnist|PATH",
    help="What is trained on; PATH is a folder with the IDX files of an MNIST-like set."
    "  [default: digits]",
)
rounds = click.option(
    "--rounds", type=click.IntRange(min=1), default=10, show_default=True, help="Training rounds."
)
seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides splits, training, losses and, in these simulations only, the keys.",
)
splits = click.option(
    "--splits",
    type=click.IntRange(min=1),
    help="Repeat on this many random splits, with seeds counted up, and average."
    "  [default: 1; opt: 10]",
)
workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    help="Processes that encrypt and decrypt for bfv and ckks.  [default: 1, this one]",
)
protocol = click.option(
    "--protocol",
    "name",
    default="secagg_plus",
    show_default=True,
    callback=_name,
    help="Which one.",
)
cohort = click.option(
    "--clients", type=click.IntRange(min=1), default=100, show_default=True, help="How many."
)
vector_length = click.option(
    "--length",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Elements of every client's vector.",
)
bits = click.option(
    "--bits",
    type=click.IntRange(min=2, max=63),
    help="Inputs are signed integers of so many bits.  [default: 16]",
)
bound = click.option(
    "--bound",
    type=click.IntRange(min=1),
    help="Inputs are integers of at most this magnitude, in place of --bits.",
)
lost_at = click.option(
    "--lost-at",
    default="spread",
    show_default=True,
    metavar="PHASE|spread",
    help="The client's phase in which those that vanish do so, or all phases alike.",
)
workers_of_clients = click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes in which the clients live; 0 for this one."
    "  [default: one less than the usable CPUs, but 1]",
)
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads of the kernels, in every process.",
)
sessions = click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Rounds, one after the other, each with keys and inputs of its own.",
)
audited_protocol = click.option(
    "--protocol",
    "name",
    metavar="NAME",
    callback=lambda ctx, param, value: value if value is None else _name(ctx, param, value),
    help="Audit this protocol.",
)
audited_level = click.option(
    "--level",
    type=click.Choice([str(level) for level in Level]),
    help="Of the protocol: the server that must be withstood.  [default: curious]",
)


def written(*names: str, metavar: str = "FILE", text: str) -> Callable[[_Function], _Function]:
    """An option for a file that is written beside the answer."""
    return click.option(
        *names,
        type=click.Path(path_type=Path, dir_okay=False, writable=True),
        metavar=metavar,
        callback=_target,
        help=text,
    )


quiet = click.option("-q", "--quiet", is_flag=True, help="No talk on stderr but errors.")


passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the passphrase from this file of one line, which only its owner may read.",
)


def new_passphrase(ask: bool, path: Path | None) -> Secret | None:
    """The passphrase for a new file: typed twice, or from a file, or none.

    Raises:
        FileRefused: the file is missing or others may read it.
    """
    from secagg.enrolment import read_passphrase

    if ask and path is not None:
        raise click.UsageError("--passphrase asks, --passphrase-file reads: not both")
    if path is not None:
        return read_passphrase(path)
    return _typed(confirm=True) if ask else None


def passphrase_for(key: Path, path: Path | None) -> Secret | None:
    """The passphrase of a file that is there: from a file, else typed if one is needed.

    Raises:
        FileRefused: a file is missing or others may read it.
    """
    from secagg.enrolment import is_protected, read_passphrase

    if path is not None:
        return read_passphrase(path)
    return _typed(confirm=False) if is_protected(key) else None


def _typed(confirm: bool) -> Secret:
    text = click.prompt("passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    return Secret(text.encode())


def _target(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and not value.parent.is_dir():
        raise click.BadParameter(f"there is no folder {value.parent}", ctx, param)
    return value


def output(function: _Function) -> _Function:
    """Add `--format` and `-o`, and pass them on as one `target`."""

    @wraps(function)
    def wrapper(*args: Any, format_: str | None, path: Path | None, **kwargs: Any) -> Any:
        return function(*args, target=Target.of(format_, path), **kwargs)

    wrapped: Any = wrapper
    for option in (_format, _path):
        wrapped = option(wrapped)
    return cast(_Function, wrapped)


_format = click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="[default: by the suffix of -o, else table]",
)
_path = click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    callback=_target,
    help="Write to this file instead of stdout.",
)
