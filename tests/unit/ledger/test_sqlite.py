"""What the store in an SQLite file promises beyond what every store does."""

from __future__ import annotations

import os
import sqlite3
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
)
from secagg.ledger import Ledger, SqliteStorage
from secagg.ledger.database import Database
from secagg.ledger.storage import KEY

OF = scenario()
SESSION = OF.session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    Ledger.create(SqliteStorage(path), owner_of(SESSION), DEVICE, SystemRng())
    return path


def open_at(path: Path) -> Ledger:
    return opened(SqliteStorage(path), SESSION)


def test_the_key_is_never_in_the_database_and_is_overwritten(path: Path, tmp_path: Path) -> None:
    seen = b""
    with open_at(path) as ledger:
        world = World(lambda: KeptVictim(keeper(ledger, OF)), OF)
        world.hold = 6
        world.run()
        key = path.with_name("state.db.keys") / SESSION.id.hex()
        secret = key.read_bytes()
        assert len(secret) == 32
        os.link(key, tmp_path / "same")
        seen += path.read_bytes()
        world.deliver(world.told[-1])
        assert not key.exists()
        # A second name for the same file shows what is left of it.
        assert (tmp_path / "same").read_bytes() == bytes(32)
        seen += path.read_bytes()
    assert secret not in seen + path.read_bytes()


def test_a_key_that_is_replaced_is_overwritten_first(path: Path, tmp_path: Path) -> None:
    storage = SqliteStorage(path)
    storage.load()
    storage.put(bytes(32), KEY, b"a" * 32)
    os.link(path.with_name("state.db.keys") / bytes(32).hex(), tmp_path / "same")
    storage.put(bytes(32), KEY, b"b" * 32)
    assert (tmp_path / "same").read_bytes() == bytes(32)
    assert storage.get(bytes(32), KEY) == b"b" * 32


def test_only_the_owner_may_read(path: Path) -> None:
    modes: set[int] = set()
    with open_at(path) as ledger:
        keeper(ledger, OF).begin()
        for found in path.parent.rglob("*"):
            allowed = 0o700 if found.is_dir() else 0o600
            assert stat.S_IMODE(found.stat().st_mode) == allowed, found
            modes.add(allowed)
    assert modes == {0o600, 0o700}
    keys = path.with_name("state.db.keys")
    for place, tight in ((path, 0o600), (keys, 0o700)):
        place.chmod(tight | 0o040)
        with pytest.raises(LedgerUnavailable, match="only its owner may have access"):
            open_at(path)
        place.chmod(tight)
    open_at(path).close()


def test_commits_are_flushed_and_so_is_the_directory(path: Path) -> None:
    """EXTRA is 3; with less, a power cut can undo what was committed last."""
    database = Database(path)
    database.open()
    assert database.rows("PRAGMA synchronous", cells=(int,)) == [(3,)]
    assert database.rows("PRAGMA journal_mode", cells=(str,)) == [("delete",)]
    assert database.rows("PRAGMA secure_delete", cells=(int,)) == [(1,)]
    database.close()


def test_a_change_is_whole_or_not_at_all(path: Path) -> None:
    database = Database(path)
    database.open()
    with pytest.raises(LedgerUnavailable, match="no such table"):
        database.change(
            ("INSERT INTO items VALUES (?, 'name', ?)", (bytes(32), b"data")),
            ("INSERT INTO absent VALUES (1)", ()),
        )
    assert database.rows("SELECT name FROM items", cells=(str,)) == []
    database.change(("INSERT INTO items VALUES (?, 'name', ?)", (bytes(32), b"data")))
    assert database.rows("SELECT name FROM items", cells=(str,)) == [("name",)]
    database.close()


def test_what_is_no_database(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerCorrupt, match=r"state\.db: file is not a database"):
        open_at(path)
    path.write_bytes(whole)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM mark")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerMissing, match="there is no mark"):
        open_at(path)
    with pytest.raises(LedgerError, match="there is a file already"):
        SqliteStorage(path).create(b"", b"")
    with pytest.raises(LedgerMissing, match=r"none\.db"):
        opened(SqliteStorage(tmp_path / "none.db"), SESSION)
    assert not (tmp_path / "none.db").exists()


def test_a_piece_of_the_log_that_is_missing(path: Path) -> None:
    with open_at(path) as ledger:
        ledger.open_session(SESSION.id, 0)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM log WHERE start = 0")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerCorrupt, match="expected the log to go on at byte 0"):
        open_at(path)


@pytest.mark.parametrize("name", ["notes", "AB" * 32, " " + "ab" * 32, "ab" * 31 + "a b"])
def test_what_is_no_session_among_the_keys(path: Path, name: str) -> None:
    (path.with_name("state.db.keys") / name).write_text("mine")
    with pytest.raises(LedgerCorrupt, match="expected session ids"):
        open_at(path)


@pytest.mark.parametrize(
    ("table", "column"), [("log", "data"), ("mark", "data"), ("items", "session"), ("log", "start")]
)
def test_a_table_with_cells_of_another_type(path: Path, table: str, column: str) -> None:
    """Ours are strict; one that somebody put in their place need not be."""
    SqliteStorage(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"CREATE TABLE loose AS SELECT * FROM {table}")  # noqa: S608
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"ALTER TABLE loose RENAME TO {table}")
    if table == "items":
        connection.execute("INSERT INTO items VALUES (x'00', 'name', x'00')")
    connection.execute(f"UPDATE {table} SET {column} = 'text'")  # noqa: S608
    connection.close()
    with pytest.raises(LedgerCorrupt, match=r"expected rows of .*, got .*str"):
        open_at(path)


def test_a_complaint_that_is_no_text(path: Path) -> None:
    """SQLite quotes the schema in its error, and its bytes may be no UTF-8."""
    data = bytearray(path.read_bytes())
    place = data.index(b"CREATE TABLE items")
    data[place + 2] = 0xBC
    path.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match=r"no text|malformed"):
        open_at(path)


SECOND = """
import sys
from pathlib import Path
from secagg.errors import LedgerBusy
from secagg.ledger import SqliteStorage
try:
    SqliteStorage(Path(sys.argv[1])).load()
except LedgerBusy as error:
    print("busy:", error)
else:
    print("loaded")
"""


def test_two_processes(path: Path) -> None:
    def other() -> str:
        command = [sys.executable, "-c", SECOND, str(path)]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    with open_at(path):
        assert other() == f"busy: {path}: another process has it open\n"
    assert other() == "loaded\n"


def test_a_fork_does_not_write_to_the_ledger_of_its_parent(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_at(path) as ledger, monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        with pytest.raises(LedgerBusy):
            ledger.open_session(SESSION.id, 0)
    keys = path.with_name("state.db.keys")
    assert not list(keys.iterdir())
    with open_at(path) as ledger:
        assert ledger.knows(SESSION.id) is False
        ledger.open_session(SESSION.id, 0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with pytest.raises(LedgerBusy):
                ledger.give_up(SESSION.id)
        storage = SqliteStorage(path)
        with pytest.raises(LedgerUnavailable, match="it is not open"):
            storage.erase(SESSION.id)
        assert [each.name for each in keys.iterdir()] == [SESSION.id.hex()]


def test_keys_that_others_may_read_from_the_beginning(tmp_path: Path) -> None:
    keys = tmp_path / "new.db.keys"
    keys.mkdir(mode=0o755)
    with pytest.raises(LedgerUnavailable, match="its mode is 755"):
        SqliteStorage(tmp_path / "new.db").create(b"log", b"mark")
    assert not (tmp_path / "new.db").exists()
