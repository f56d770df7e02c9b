from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from unit.ledger.world import DEVICE, KeptVictim, World, keeper, opened, owner_of, scenario

from secagg.crypto.rng import SystemRng
from secagg.errors import (
    LedgerBusy,
    LedgerCorrupt,
    LedgerError,
    LedgerMissing,
    LedgerUnavailable,
    SessionLost,
)
from secagg.ledger import FileStorage, Ledger, create_device_key, load_device_key
from secagg.ledger.storage import KEY

OF = scenario()
SESSION = OF.session


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    Ledger.create(FileStorage(path), owner_of(SESSION), DEVICE, SystemRng())
    return path


def open_at(path: Path) -> Ledger:
    return opened(FileStorage(path), SESSION)


def session_files(root: Path) -> set[str]:
    return {path.name for path in (root / "sessions" / SESSION.id.hex()).iterdir()}


def test_a_session_through_files(root: Path) -> None:
    with open_at(root) as ledger:
        world = World(lambda: KeptVictim(keeper(ledger, OF)), OF)
        world.hold = 6
        world.run()
        assert session_files(root) == {"key", *(f"{n:06d}" for n in range(4))}
        world.deliver(world.told[-1])
        assert session_files(root) == {"answer"}
    with open_at(root) as ledger:
        assert ledger.answered(0)
        (record,) = ledger.records(SESSION.id)
        assert record.final


def test_only_the_owner_may_read(root: Path) -> None:
    with open_at(root) as ledger:
        keeper(ledger, OF).begin()
        for path in (root, *root.rglob("*")):
            allowed = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == allowed, path
    root.chmod(0o750)
    with pytest.raises(LedgerUnavailable, match="its mode is 750"):
        open_at(root)


def test_the_key_is_overwritten_in_place_before_it_is_removed(root: Path, tmp_path: Path) -> None:
    """A second name for the same file shows what is left of it."""
    with open_at(root) as ledger:
        ledger.open_session(SESSION.id, 0)
        key = root / "sessions" / SESSION.id.hex() / KEY
        assert key.read_bytes() != bytes(32)
        os.link(key, tmp_path / "same")
        ledger.give_up(SESSION.id)
        assert not key.exists()
        assert (tmp_path / "same").read_bytes() == bytes(32)


def test_every_change_is_flushed_with_its_directory(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    name = SESSION.id.hex()
    with open_at(root) as ledger:
        ledger.open_session(SESSION.id, 0)
        commit = ["log", "mark.new", "ledger"]
        assert flushed == ["sessions", "key", name, *commit]
        flushed.clear()
        ledger.give_up(SESSION.id)
        assert flushed == [*commit, "key", name, name, "sessions"]


def test_nobody_elses_ledger_is_replaced(root: Path) -> None:
    before = (root / "log").read_bytes()
    with pytest.raises(LedgerError, match="a ledger already"):
        Ledger.create(FileStorage(root), owner_of(SESSION), DEVICE, SystemRng())
    (root / "log").unlink()
    with pytest.raises(LedgerError, match="a ledger already"):
        Ledger.create(FileStorage(root), owner_of(SESSION), DEVICE, SystemRng())
    assert before
    assert [path.name for path in root.parent.iterdir()] == ["ledger"]


@pytest.mark.parametrize("name", ["log", "mark", "sessions", ""])
def test_what_is_missing_is_named(root: Path, name: str) -> None:
    path = root / name
    path.rename(root.parent / "moved")
    with pytest.raises(LedgerMissing) as caught:
        open_at(root)
    assert str(root) in caught.value.place


def test_what_cannot_be_read_is_named(root: Path) -> None:
    """A directory or a link in a file's place: neither is followed, both are named."""
    for name in ("log", "mark"):
        moved = root.parent / name
        (root / name).rename(moved)
        (root / name).symlink_to(moved)
        with pytest.raises(LedgerUnavailable) as caught:
            open_at(root)
        assert caught.value.place == str(root / name)
        (root / name).unlink()
        (root / name).mkdir()
        with pytest.raises(LedgerUnavailable) as caught:
            open_at(root)
        assert caught.value.place == str(root / name)
        (root / name).rmdir()
        moved.rename(root / name)
    open_at(root).close()


def test_a_changed_file_is_named_with_entry_and_byte(root: Path) -> None:
    with open_at(root) as ledger:
        ledger.open_session(SESSION.id, 0)
    log = root / "log"
    data = bytearray(log.read_bytes())
    data[-1] ^= 1
    log.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match=r"log, entry 0, byte \d+: the entry was changed"):
        open_at(root)
    data[-1] ^= 1
    log.write_bytes(data)
    # Hexadecimal digits, but not the one way to write them.
    for name in ("notes", "AB" * 32, " " + "ab" * 32):
        (root / "sessions" / name).mkdir()
        with pytest.raises(LedgerCorrupt, match="expected session ids"):
            open_at(root)
        (root / "sessions" / name).rmdir()


def test_a_missing_session_key_is_named(root: Path) -> None:
    with open_at(root) as ledger:
        keeper(ledger, OF).begin()
    (root / "sessions" / SESSION.id.hex() / KEY).unlink()
    with open_at(root) as ledger, pytest.raises(SessionLost, match="got none"):
        keeper(ledger, OF)


def test_a_full_disk_stops_the_ledger(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_at(root)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LedgerUnavailable, match="No space left on device"):
            ledger.open_session(SESSION.id, 0)
    with pytest.raises(LedgerUnavailable, match="open it again"):
        ledger.open_session(SESSION.id, 0)
    ledger.close()
    with open_at(root) as again:
        again.open_session(SESSION.id, 0)


def test_one_opening_at_a_time_in_one_process(root: Path) -> None:
    with open_at(root), pytest.raises(LedgerBusy, match="another process has it open"):
        open_at(root)
    open_at(root).close()


SECOND = """
import sys
from pathlib import Path
from secagg.errors import LedgerBusy
from secagg.ledger import FileStorage
storage = FileStorage(Path(sys.argv[1]))
try:
    storage.load()
except LedgerBusy as error:
    print("busy:", error)
else:
    print("loaded")
"""


def test_two_processes(root: Path) -> None:
    def other() -> str:
        command = [sys.executable, "-c", SECOND, str(root)]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    with open_at(root):
        assert other() == f"busy: {root / 'log'}: another process has it open\n"
    assert other() == "loaded\n"


def test_a_fork_does_not_write_to_the_ledger_of_its_parent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_at(root) as ledger, monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(LedgerBusy):
            ledger.open_session(SESSION.id, 0)
    assert open_at(root).knows(SESSION.id) is False


def test_the_devices_key(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    with pytest.raises(LedgerMissing, match=r"device\.key: there is no such file"):
        load_device_key(path)
    key = create_device_key(path, SystemRng())
    assert len(key) == 32
    assert load_device_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(LedgerError, match="there is a key already"):
        create_device_key(path, SystemRng())
    assert load_device_key(path) == key
    path.chmod(0o640)
    with pytest.raises(LedgerUnavailable, match="its mode is 640"):
        load_device_key(path)
    path.chmod(0o600)
    path.write_bytes(key.reveal()[:-1])
    with pytest.raises(LedgerCorrupt, match="expected a key of 32 bytes, got 31"):
        load_device_key(path)
