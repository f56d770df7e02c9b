"""`secagg keygen` and `secagg roster`, from keys to a roster that a client believes."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner
from unit.cli.conftest import Invoke

from secagg import enrolment
from secagg.cli import main, output
from secagg.cli import roster as listing
from secagg.cli.exits import Exit
from secagg.errors import FileRefused
from secagg.types import client

DAY = 86_400
REAL_TIME = time.time


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def roster(invoke: Invoke, folder: Path) -> Path:
    """A signed roster of three clients, with its keys beside it."""
    succeed(invoke, "keygen", "--role", "authority")
    succeed(invoke, "keygen", "--role", "server")
    for name in ("north", "south", "west"):
        succeed(invoke, "keygen", "-o", f"{name}.key")
    succeed(invoke, "roster", "new", "--federation", "hospitals", "-o", "r1")
    keys = [f"{name}.key.pub" for name in ("north", "south", "west")]
    succeed(invoke, "roster", "add", "r1", *keys)
    succeed(
        invoke, "roster", "sign", "r1", "--key", "authority.key", "--server-key", "server.key.pub"
    )
    return folder / "r1"


def succeed(invoke: Invoke, *words: str) -> str:
    result = invoke(*words)
    assert result.exit_code == Exit.DONE, result.output
    return str(result.stdout)


def verify(invoke: Invoke, *words: str, path: str = "r1") -> tuple[int, str]:
    result = invoke("roster", "verify", path, "--authority", "authority.key.pub", *words)
    return result.exit_code, result.output


def read(invoke: Invoke, *words: str) -> listing.Document:
    text = succeed(invoke, "roster", *words, "--format", "json")
    return msgspec.json.decode(text, type=listing.Document)


def at(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    now = REAL_TIME() + days * DAY
    monkeypatch.setattr(time, "time", lambda: now)


def test_keygen_writes_two_files_and_prints_the_public_line(invoke: Invoke, folder: Path) -> None:
    line = succeed(invoke, "keygen", "-o", "north.key")
    assert line == Path("north.key.pub").read_text()
    public = enrolment.PublicKey.parse(line)
    assert (public.role, public.name) == ("client", "north")
    assert stat.S_IMODE(Path("north.key").stat().st_mode) == 0o600
    assert enrolment.load(folder / "north.key").public == public
    line = succeed(invoke, "keygen", "--role", "authority", "--name", "board")
    assert enrolment.PublicKey.parse(line).name == "board"
    assert Path("authority.key").exists()
    again = invoke("keygen", "-o", "north.key")
    assert again.exit_code == Exit.UNDECIDED
    assert "not overwritten" in again.stderr
    assert invoke("keygen", "-o", "x.key", "--name", "two words").exit_code == Exit.USAGE
    assert not Path("x.key").exists()


def test_keygen_asks_for_a_passphrase_and_never_takes_one_as_a_word(folder: Path) -> None:
    typed = "correct horse\ncorrect horse\n"
    result = CliRunner().invoke(main, ["keygen", "-o", "a.key", "--passphrase"], input=typed)
    assert result.exit_code == Exit.DONE, result.output
    assert "horse" not in result.output
    assert enrolment.is_protected(folder / "a.key")
    words = ["keygen", "-o", "b.key", "--passphrase", "correct horse"]
    assert CliRunner().invoke(main, words).exit_code == Exit.USAGE
    assert not Path("b.key").exists()


def test_a_passphrase_from_a_file(invoke: Invoke, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text("open sesame\n")
    secret.chmod(0o644)
    words = ("keygen", "--role", "authority", "--passphrase-file", "secret")
    refused = invoke(*words)
    assert refused.exit_code == Exit.UNDECIDED
    assert "chmod 600" in refused.stderr
    assert "sesame" not in refused.output
    secret.chmod(0o600)
    assert invoke(*words, "--passphrase").exit_code == Exit.USAGE
    succeed(invoke, *words)
    with pytest.raises(FileRefused, match="none was given"):
        enrolment.load(folder / "authority.key")
    enrolment.load(folder / "authority.key", enrolment.read_passphrase(secret))


def test_a_protected_authority_signs_when_its_passphrase_is_typed(
    invoke: Invoke, folder: Path
) -> None:
    (folder / "secret").write_text("open sesame\n")
    (folder / "secret").chmod(0o600)
    succeed(invoke, "keygen", "--role", "authority", "--passphrase-file", "secret")
    succeed(invoke, "keygen", "-o", "north.key")
    succeed(invoke, "roster", "new", "--federation", "hospitals", "-o", "r1")
    succeed(invoke, "roster", "add", "r1", "north.key.pub")
    sign = ["roster", "sign", "r1", "--key", "authority.key"]
    wrong = CliRunner().invoke(main, sign, input="open says me\n")
    assert wrong.exit_code == Exit.UNDECIDED
    assert "wrong passphrase" in wrong.output
    assert "sesame" not in wrong.output
    done = CliRunner().invoke(main, sign, input="open sesame\n")
    assert done.exit_code == Exit.DONE, done.output
    assert "sesame" not in done.output
    succeed(invoke, *sign, "--passphrase-file", "secret")


def test_a_roster_is_made_signed_and_believed(invoke: Invoke, roster: Path) -> None:
    document = read(invoke, "verify", "r1", "--authority", "authority.key.pub")
    assert document.verified
    assert (document.federation, document.epoch) == ("hospitals", 1)
    assert [(row.number, row.name, row.revoked) for row in document.rows] == [
        (0, "north", False),
        (1, "south", False),
        (2, "west", False),
    ]
    authority = enrolment.load_public(roster.parent / "authority.key.pub")
    found = enrolment.verify(roster.read_bytes(), authority.key, at=int(time.time()))
    assert found.clients == (client(0), client(1), client(2))
    assert document.digest == found.digest.hex()
    assert document.authority == authority.fingerprint
    for name, row in zip(("north", "south", "west"), document.rows, strict=True):
        public = enrolment.load_public(roster.parent / f"{name}.key.pub")
        assert (row.key, row.fingerprint) == (public.key.hex(), public.fingerprint)
    for words in (
        ("--federation", "hospitals"),
        ("--at-least-epoch", "1"),
        ("--member", "south.key.pub"),
        ("--server-key", "server.key.pub"),
        ("--previous", "r1"),
    ):
        assert verify(invoke, *words)[0] == Exit.DONE


def test_revoking_makes_the_next_epoch(invoke: Invoke, roster: Path) -> None:
    Path("first").write_bytes(roster.read_bytes())
    succeed(invoke, "roster", "revoke", "r1", "south")
    code, text = verify(invoke)
    assert (code, "unsigned roster" in text) == (Exit.FINDING, True)
    draft = read(invoke, "show", "r1")
    assert (draft.epoch, draft.authority, draft.digest, draft.not_after) == (2, None, None, None)
    assert not draft.verified
    succeed(invoke, "keygen", "-o", "east.key")
    succeed(invoke, "roster", "add", "r1", "east.key.pub")
    succeed(invoke, "roster", "sign", "r1", "--key", "authority.key", "--previous", "first")
    document = read(invoke, "verify", "r1", "--authority", "authority.key.pub")
    assert document.epoch == 2
    assert [(row.number, row.name) for row in document.rows if not row.revoked] == [
        (0, "north"),
        (2, "west"),
        (3, "east"),
    ]
    code, text = verify(invoke, "--member", "south.key.pub")
    assert (code, "revoked identity" in text) == (Exit.FINDING, True)
    code, text = verify(invoke, "--at-least-epoch", "2", path="first")
    assert (code, "older roster" in text) == (Exit.FINDING, True)
    code, text = verify(invoke, "--previous", "r1", path="first")
    assert (code, "older roster" in text) == (Exit.FINDING, True)
    # Signed again, it is another epoch.
    succeed(invoke, "roster", "sign", "r1", "--key", "authority.key")
    assert read(invoke, "show", "r1").epoch == 3


def test_what_is_refused_is_a_finding_that_says_why(
    invoke: Invoke, roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(invoke, "keygen", "-o", "stranger.key")
    succeed(invoke, "keygen", "--role", "authority", "-o", "other.key")
    for words, reason in (
        (("--federation", "banks"), "another federation"),
        (("--member", "stranger.key.pub"), "unknown identity"),
        (("--server-key", "authority.key.pub"), "the authority is the server"),
    ):
        code, text = verify(invoke, *words)
        assert code == Exit.FINDING
        assert reason in text
    other = invoke("roster", "verify", "r1", "--authority", "other.key.pub")
    assert (other.exit_code, other.stdout) == (Exit.FINDING, "")
    assert "another authority" in other.stderr
    good = roster.read_bytes()
    roster.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert verify(invoke)[0] == Exit.FINDING
    roster.write_bytes(good[:-1])
    code, text = verify(invoke)
    assert (code, "malformed roster" in text) == (Exit.FINDING, True)
    # Without a question there is no finding: what cannot be read cannot be shown.
    assert invoke("roster", "show", "r1").exit_code == Exit.UNDECIDED
    roster.write_bytes(good)
    at(monkeypatch, days=89)
    assert verify(invoke)[0] == Exit.DONE
    at(monkeypatch, days=91)
    code, text = verify(invoke)
    assert (code, "expired roster" in text) == (Exit.FINDING, True)
    at(monkeypatch, days=-1)
    code, text = verify(invoke)
    assert (code, "not yet valid" in text) == (Exit.FINDING, True)


def test_whose_keys_are_taken_for_what(invoke: Invoke, roster: Path) -> None:
    before = roster.read_bytes()
    for words, reason in (
        (("add", "r1", "authority.key.pub"), "expected a client's key, got authority"),
        (("add", "r1", "north.key.pub"), "client 0 has this key"),
        (("revoke", "r1", "nobody"), "no client of this name"),
        (("sign", "r1", "--key", "north.key"), "expected an authority's key, got a client's"),
        (
            ("sign", "r1", "--key", "authority.key", "--server-key", "authority.key.pub"),
            "the authority's key is the server's",
        ),
        (("verify", "r1", "--authority", "north.key.pub"), "expected an authority's key"),
        (("new", "--federation", "two words", "-o", "r2"), "federation's name"),
    ):
        result = invoke("roster", *words)
        assert result.exit_code == Exit.USAGE, result.output
        assert reason in result.stderr
    assert roster.read_bytes() == before
    again = invoke("roster", "new", "--federation", "hospitals", "-o", "r1")
    assert (again.exit_code, "not overwritten" in again.stderr) == (Exit.UNDECIDED, True)
    assert roster.read_bytes() == before


def test_an_epoch_is_signed_once_if_the_last_one_is_at_hand(invoke: Invoke, roster: Path) -> None:
    succeed(invoke, "roster", "new", "--federation", "hospitals", "-o", "rival")
    succeed(invoke, "roster", "add", "rival", *(f"{n}.key.pub" for n in ("north", "south", "west")))
    words = ("roster", "sign", "rival", "--key", "authority.key")
    refused = invoke(*words, "--previous", "r1")
    assert refused.exit_code == Exit.USAGE
    assert "epoch 1 is signed already" in refused.stderr
    succeed(invoke, "roster", "revoke", "rival", "west")
    refused = invoke(*words, "--previous", "r1")
    assert refused.exit_code == Exit.UNDECIDED
    assert "epoch 1 was seen with other entries" in refused.stderr
    assert enrolment.inspect(Path("rival").read_bytes())[1] == b""


@pytest.mark.parametrize("format_", output.FORMATS)
def test_every_format_names_every_client(invoke: Invoke, roster: Path, format_: str) -> None:
    for name in ("north", "south", "west"):
        assert name in succeed(invoke, "roster", "show", "r1", "--format", format_)
    if format_ in ("table", "md"):
        assert "NOT VERIFIED" in succeed(invoke, "roster", "show", "r1", "--format", format_)


def test_missing_files_are_named(invoke: Invoke, folder: Path) -> None:
    result = invoke("roster", "show", "nothing")
    assert result.exit_code == Exit.UNDECIDED
    assert "nothing: no such file" in result.stderr
    assert os.listdir(folder) == []
    assert isinstance(listing.command, click.Group)
    assert sorted(listing.command.commands) == ["add", "new", "revoke", "show", "sign", "verify"]


def test_the_documents_commands_do_what_it_says(invoke: Invoke, folder: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "roster.md").read_text().replace("\\\n", " ")
    lines = [line.partition("#")[0].split() for line in text.splitlines() if line[:4] == "    "]
    commands = [words for words in lines if words and words[0] in ("secagg", "cp")]
    assert len(commands) == 12
    for name in ("south", "west"):
        succeed(invoke, "keygen", "-o", f"{name}.key")
    for program, *words in commands:
        if program == "cp":
            Path(words[1]).write_bytes(Path(words[0]).read_bytes())
        else:
            succeed(invoke, *(word for word in words if word != "--passphrase"))
    assert {reason.name for reason in enrolment.Reason} <= set(re.findall(r"`([A-Z_]+)`", text))
