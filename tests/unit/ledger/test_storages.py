"""What every store must offer, whatever it keeps its bytes in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from unit.ledger.world import (
    DEVICE,
    Crash,
    KeptVictim,
    World,
    keeper,
    opened,
    owner_of,
    scenario,
)

from secagg.crypto.rng import SystemRng
from secagg.errors import (
    LedgerBusy,
    LedgerCorrupt,
    LedgerError,
    LedgerMissing,
    SessionLost,
    SessionRefused,
)
from secagg.ledger import FileStorage, Ledger, MemoryStorage, SqliteStorage, Storage
from secagg.ledger.storage import KEY

OF = scenario()
SESSION = OF.session
ONE, TWO = bytes(32), bytes((7,)) * 32


@pytest.fixture(params=["memory", "files", "sqlite"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage]:
    """Another process's view of the same place."""
    memory = MemoryStorage()
    kinds: dict[str, Callable[[], Storage]] = {
        "memory": lambda: memory,
        "files": lambda: FileStorage(tmp_path / "ledger"),
        "sqlite": lambda: SqliteStorage(tmp_path / "ledger.db"),
    }
    return kinds[request.param]


@pytest.fixture
def storage(again: Callable[[], Storage]) -> Storage:
    storage = again()
    storage.create(b"log", b"mark")
    assert storage.load() == (b"log", b"mark")
    return storage


def contents(storage: Storage) -> dict[bytes, dict[str, bytes | None]]:
    return {
        session: {name: storage.get(session, name) for name in storage.items(session)}
        for session in storage.sessions()
    }


def test_created_once_and_loaded_by_one(again: Callable[[], Storage]) -> None:
    with pytest.raises(LedgerMissing):
        again().load()
    storage = again()
    storage.create(b"log", b"mark")
    with pytest.raises(LedgerError, match="already"):
        again().create(b"other", b"mark")
    assert storage.load() == (b"log", b"mark")
    with pytest.raises(LedgerBusy):
        again().load()
    with pytest.raises(LedgerBusy):
        storage.load()
    storage.close()
    storage.close()
    other = again()
    assert other.load() == (b"log", b"mark")
    other.close()


def test_the_log_grows_and_is_cut_at_any_byte(
    storage: Storage, again: Callable[[], Storage]
) -> None:
    whole = b"log"
    for piece in (b"1", b"22", b"333", b""):
        storage.append(piece)
        whole += piece
    for size in range(len(whole), -1, -1):
        storage.cut(size)
        storage.close()
        storage = again()
        assert storage.load() == (whole[:size], b"mark")
    storage.append(b"more")
    storage.cut(3)
    storage.append(b"!")
    storage.close()
    assert again().load() == (b"mor!", b"mark")


def test_the_mark_is_replaced(storage: Storage, again: Callable[[], Storage]) -> None:
    for mark in (b"another", b"", b"x" * 1000):
        storage.replace_mark(mark)
    storage.close()
    assert again().load() == (b"log", b"x" * 1000)


def test_items_are_replaced_found_and_erased(
    storage: Storage, again: Callable[[], Storage]
) -> None:
    assert contents(storage) == {}
    assert storage.get(ONE, "000000") is None
    assert storage.get(ONE, KEY) is None
    large = bytes(range(256)) * 4096
    for session, name, data in (
        (ONE, KEY, b"k" * 32),
        (ONE, "000000", b"old and longer"),
        (ONE, "000000", b"new"),
        (ONE, "answer", bytearray(large)),
        (TWO, KEY, b"l" * 32),
        (TWO, KEY, b"shorter"),
        (TWO, "000000", b""),
    ):
        storage.put(session, name, data)
    expected: dict[bytes, dict[str, bytes | None]] = {
        ONE: {KEY: b"k" * 32, "000000": b"new", "answer": large},
        TWO: {KEY: b"shorter", "000000": b""},
    }
    assert contents(storage) == expected
    storage.close()
    storage = again()
    storage.load()
    assert contents(storage) == expected
    storage.erase(ONE, keep=("answer",))
    assert contents(storage) == expected | {ONE: {"answer": large}}
    storage.erase(ONE)
    storage.erase(ONE)
    storage.close()
    storage = again()
    storage.load()
    assert contents(storage) == {TWO: expected[TWO]}


class Dying:
    """Any store, in a process that dies before or after the change numbered `fuse`."""

    def __init__(self, inner: Storage, fuse: int = -1, *, after: bool = False) -> None:
        self.inner, self.fuse, self.after = inner, fuse, after
        self.changes = 0

    @property
    def place(self) -> str:
        return self.inner.place

    def create(self, log: bytes, mark: bytes) -> None:
        self.inner.create(log, mark)

    def load(self) -> tuple[bytes, bytes]:
        return self.inner.load()

    def append(self, data: bytes) -> None:
        self._change(lambda: self.inner.append(data))

    def cut(self, size: int) -> None:
        self._change(lambda: self.inner.cut(size))

    def replace_mark(self, mark: bytes) -> None:
        self._change(lambda: self.inner.replace_mark(mark))

    def sessions(self) -> Collection[bytes]:
        return self.inner.sessions()

    def items(self, session: bytes) -> Collection[str]:
        return self.inner.items(session)

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        self._change(lambda: self.inner.put(session, name, data))

    def get(self, session: bytes, name: str) -> bytes | None:
        return self.inner.get(session, name)

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        self._change(lambda: self.inner.erase(session, keep))

    def close(self) -> None:
        self.inner.close()

    def _change(self, change: Callable[[], None]) -> None:
        dies = self.changes == self.fuse
        self.changes += 1
        if not dies or self.after:
            change()
        if dies:
            self.inner.close()
            raise Crash


# Opening, four records, the answer: three changes each; then the erasure.
CHANGES = 6 * 3 + 1


def created(again: Callable[[], Storage]) -> None:
    Ledger.create(again(), owner_of(SESSION), DEVICE, SystemRng())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fuse", range(CHANGES))
def test_a_client_killed_at_any_change_says_the_same_again(
    fuse: int, after: bool, again: Callable[[], Storage]
) -> None:
    created(again)
    fuses = iter((fuse, -1))
    ledgers: list[Ledger] = []

    def make() -> KeptVictim:
        ledgers.append(opened(Dying(again(), next(fuses), after=after), SESSION))
        return KeptVictim(keeper(ledgers[-1], OF))

    world = World(make, OF)
    world.run()
    assert world.crashes == 1
    world.check()
    ledgers[-1].close()
    storage = again()
    storage.load()
    # No key and no record of it is left.
    assert {session: set(found) for session, found in contents(storage).items()} == {
        SESSION.id: {"answer"}
    }


def test_a_session_is_opened_once_and_one_answer_given(again: Callable[[], Storage]) -> None:
    created(again)
    dying = Dying(again())
    with opened(dying, SESSION) as ledger:
        world = World(lambda: KeptVictim(keeper(ledger, OF)), OF)
        world.run()
        world.check()
    assert dying.changes == CHANGES
    with opened(again(), SESSION, cap=2) as ledger:
        assert ledger.answered(0)
        with pytest.raises(SessionRefused, match="opened before"):
            ledger.open_session(SESSION.id, 0)
        with pytest.raises(SessionRefused, match="was answered"):
            ledger.open_session(ONE, 0)


def test_without_its_key_a_session_is_lost(again: Callable[[], Storage]) -> None:
    created(again)
    with opened(again(), SESSION) as ledger:
        keeper(ledger, OF).begin()
    storage = again()
    storage.load()
    storage.erase(SESSION.id, keep=set(storage.items(SESSION.id)) - {KEY})
    storage.close()
    with opened(again(), SESSION) as ledger, pytest.raises(SessionLost, match="got none"):
        keeper(ledger, OF)


def test_a_changed_log_is_refused(again: Callable[[], Storage]) -> None:
    created(again)
    with opened(again(), SESSION) as ledger:
        ledger.open_session(SESSION.id, 0)
    storage = again()
    log, _ = storage.load()
    storage.cut(len(log) - 1)
    storage.append(bytes((log[-1] ^ 1,)))
    storage.close()
    with pytest.raises(LedgerCorrupt, match="entry 0, byte"):
        opened(again(), SESSION)
