"""`secagg keygen`: a long-term key pair in two files."""

from __future__ import annotations

from pathlib import Path

import click

from secagg import enrolment
from secagg.cli import options
from secagg.cli.exits import Exit
from secagg.crypto.rng import SystemRng
from secagg.enrolment import KeyRole


@click.command()
@click.option(
    "--role",
    type=click.Choice([str(role) for role in KeyRole]),
    default=str(KeyRole.CLIENT),
    show_default=True,
    help="What the key is for. An authority signs rosters, and is not the server.",
)
@click.option("--name", help="Whose key it is.  [default: the name of the file without its suffix]")
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of the private key; the public one goes beside it, with .pub behind its name."
    "  [default: ROLE.key]",
)
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase that protects the file.")
@options.passphrase_file
def command(
    *,
    role: str,
    name: str | None,
    path: Path | None,
    passphrase: bool,
    passphrase_file: Path | None,
) -> Exit:
    """Draw an Ed25519 key pair and print the public half.

    The private file can be read by its owner only, and nothing is ever overwritten. What is printed
    goes to whoever keeps the roster; compare the fingerprint over another channel.
    """
    path = path or Path(f"{role}.key")
    secret = options.new_passphrase(passphrase, passphrase_file)
    public = enrolment.create(path, KeyRole(role), name or path.stem, SystemRng(), secret)
    click.echo(public.line, nl=False)
    return Exit.DONE
