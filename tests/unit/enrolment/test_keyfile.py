"""Keys in files: who may read them, and what is refused. No message holds a secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from secagg import enrolment
from secagg.crypto import signing
from secagg.crypto.rng import seeded
from secagg.enrolment import KeyRole, public_path
from secagg.errors import FileRefused, ParameterError
from secagg.types import Secret

PASSPHRASE = b"correct horse battery staple"
SEED = seeded(7).bytes(32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.mkdir(mode=0o700)
    return made


def drawn(folder: Path, passphrase: bytes | None = None, seed: int = 7) -> Path:
    path = folder / "site.key"
    secret = Secret(passphrase) if passphrase is not None else None
    enrolment.create(path, KeyRole.CLIENT, "site", seeded(seed), secret)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_a_key_comes_back_from_a_file_that_nobody_else_reads(
    folder: Path, passphrase: bytes | None, mask: int
) -> None:
    before = os.umask(mask)
    try:
        path = drawn(folder, passphrase)
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(public_path(path)) == 0o644
    pair = enrolment.load(path, Secret(passphrase) if passphrase is not None else None)
    assert pair.public == enrolment.load_public(public_path(path))
    assert (pair.public.role, pair.public.name) == (KeyRole.CLIENT, "site")
    assert pair.public.key == signing.SigningKey(Secret(SEED)).public
    signing.verify(pair.public.key, pair.key.sign("test", b"said"), "test", b"said")
    assert enrolment.is_protected(path) == (passphrase is not None)
    assert SEED.hex() not in repr(pair)


def test_a_passphrase_encrypts_and_its_absence_does_not(folder: Path) -> None:
    plain = drawn(folder)
    key = serialization.load_pem_private_key(plain.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    assert key.private_bytes_raw() == SEED
    plain.unlink()
    public_path(plain).unlink()
    protected = drawn(folder, PASSPHRASE)
    assert b"ENCRYPTED" in protected.read_bytes()
    with pytest.raises(TypeError):
        serialization.load_pem_private_key(protected.read_bytes(), None)


def test_nothing_is_overwritten(folder: Path) -> None:
    path = drawn(folder)
    before = path.read_bytes(), public_path(path).read_bytes()
    for victim in (path, public_path(path)):
        other = public_path(path) if victim is path else path
        saved = other.read_bytes()
        other.unlink()
        with pytest.raises(FileRefused, match="there is a file already"):
            drawn(folder, seed=8)
        assert not other.exists()
        other.write_bytes(saved)
        other.chmod(0o600 if other is path else 0o644)
    assert (path.read_bytes(), public_path(path).read_bytes()) == before


def test_a_link_is_not_followed_when_a_key_is_made(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    (folder / "site.key").symlink_to(elsewhere)
    with pytest.raises(FileRefused, match="there is a file already"):
        drawn(folder)
    assert not elsewhere.exists()
    (folder / "site.key").unlink()
    public_path(folder / "site.key").symlink_to(elsewhere)
    with pytest.raises(FileRefused, match=r"site\.key\.pub: there is a file already"):
        drawn(folder)
    # The private half goes with it.
    assert not (folder / "site.key").exists()


@pytest.mark.parametrize("others", [0o640, 0o604, 0o620, 0o602, 0o610, 0o677])
def test_a_key_that_others_may_read_is_refused(folder: Path, others: int) -> None:
    path = drawn(folder)
    path.chmod(others)
    for use in (enrolment.load, enrolment.is_protected):
        with pytest.raises(FileRefused, match=f"mode {others:04o}.*chmod 600") as refused:
            use(path)
        assert refused.value.path == str(path)


@pytest.mark.parametrize("others", [0o770, 0o707, 0o777])
def test_a_folder_where_others_may_write_is_refused(folder: Path, others: int) -> None:
    path = drawn(folder)
    folder.chmod(others)
    with pytest.raises(FileRefused, match="others may replace files here"):
        enrolment.load(path)
    with pytest.raises(FileRefused, match="others may replace files here"):
        enrolment.create(folder / "new.key", KeyRole.CLIENT, "new", seeded(1))
    assert not (folder / "new.key").exists()
    folder.chmod(others | stat.S_ISVTX)
    enrolment.load(path)


def test_a_file_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = drawn(folder)
    status = path.stat()
    values = list(status)
    values[stat.ST_UID] = os.geteuid() + 1
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result(values))
    with pytest.raises(FileRefused, match="belongs to user"):
        enrolment.load(path)


def test_what_is_no_plain_file_is_refused_and_never_waited_for(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(FileRefused, match="plain file"):
        enrolment.load(pipe)
    with pytest.raises(FileRefused, match="plain file"):
        enrolment.load(folder)
    with pytest.raises(FileRefused, match="no such file"):
        enrolment.load(folder / "nothing")
    with pytest.raises(FileRefused, match="no such file"):
        enrolment.load(folder / "nowhere" / "nothing")


@pytest.mark.parametrize(
    ("stored", "given", "reason"),
    [
        (None, b"one", "nothing protects it"),
        (PASSPHRASE, None, "none was given"),
        (PASSPHRASE, PASSPHRASE + b"!", "wrong passphrase"),
    ],
)
def test_wrong_passphrases(
    folder: Path, stored: bytes | None, given: bytes | None, reason: str
) -> None:
    path = drawn(folder, stored)
    with pytest.raises(FileRefused, match=reason) as refused:
        enrolment.load(path, Secret(given) if given is not None else None)
    assert "horse" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_empty_passphrases_are_refused(folder: Path) -> None:
    with pytest.raises(ParameterError, match="at least one character"):
        drawn(folder, b"")
    assert not list(folder.iterdir())


def test_both_files_must_be_of_one_key(folder: Path, tmp_path: Path) -> None:
    path = drawn(folder)
    elsewhere = tmp_path / "other"
    elsewhere.mkdir(mode=0o700)
    other = drawn(elsewhere, seed=8)
    public_path(path).write_bytes(public_path(other).read_bytes())
    with pytest.raises(FileRefused, match="not the private half"):
        enrolment.load(path)
    public_path(path).unlink()
    with pytest.raises(FileRefused, match=r"site\.key\.pub: no such file"):
        enrolment.load(path)
    public_path(path).write_bytes(b"\xff")
    with pytest.raises(FileRefused, match="ASCII"):
        enrolment.load(path)
    public_path(path).write_bytes(b"a" * 257)
    with pytest.raises(FileRefused, match="at most 256 bytes"):
        enrolment.load(path)
    public_path(path).write_bytes(b"a line\n")
    with pytest.raises(FileRefused, match="a public key is one line"):
        enrolment.load(path)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_damaged_private_file_is_refused_or_is_the_same_key(
    folder: Path, passphrase: bytes | None
) -> None:
    """PEM tolerates some white space, and PKCS #8 encryption authenticates nothing."""
    path = drawn(folder, passphrase)
    good = path.read_bytes()
    secret = Secret(passphrase) if passphrase is not None else None
    expected = enrolment.load(path, secret).key.public
    refused = 0
    # Under a passphrase every attempt derives a key, so only some places are tried.
    for place in range(0, len(good), 1 if passphrase is None else 9):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        try:
            assert enrolment.load(path, secret).key.public == expected
        except FileRefused:
            refused += 1
    assert refused > 10


def test_other_keys_are_refused(folder: Path) -> None:
    path = folder / "site.key"
    path.touch(mode=0o600)
    path.write_bytes(
        X25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(FileRefused, match="expected an Ed25519 key, got X25519"):
        enrolment.load(path)
    path.write_bytes(b"-" * 4097)
    with pytest.raises(FileRefused, match="at most 4096 bytes"):
        enrolment.load(path)
    path.write_bytes(b"")
    with pytest.raises(FileRefused, match="not a private key"):
        enrolment.load(path)


@pytest.mark.parametrize("data", [b"open sesame", b"open sesame\n", b"open sesame\r\n"])
def test_passphrases_from_files(folder: Path, data: bytes) -> None:
    path = folder / "passphrase"
    path.touch(mode=0o600)
    path.write_bytes(data)
    assert enrolment.read_passphrase(path) == Secret(b"open sesame")
    path.chmod(0o644)
    with pytest.raises(FileRefused, match="chmod 600"):
        enrolment.read_passphrase(path)


@pytest.mark.parametrize("data", [b"", b"\n", b"one\ntwo\n", b"\r\n"])
def test_files_without_one_line_are_refused(folder: Path, data: bytes) -> None:
    path = folder / "passphrase"
    path.touch(mode=0o600)
    path.write_bytes(data)
    with pytest.raises(FileRefused, match="one line"):
        enrolment.read_passphrase(path)


def test_a_failed_write_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FileRefused, match="no space left"):
        drawn(folder)
    assert not list(folder.iterdir())


def test_replacing_keeps_the_old_bytes_if_it_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "roster"
    enrolment.write_new(path, b"old")
    with pytest.raises(FileRefused, match="there is a file already"):
        enrolment.write_new(path, b"new")
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        broken.setattr(Path, "replace", fail)
        with pytest.raises(FileRefused, match="input/output error"):
            enrolment.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(folder.iterdir()) == [path]
    enrolment.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(folder.iterdir()) == [path]
