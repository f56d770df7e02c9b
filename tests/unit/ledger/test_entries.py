from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.ledger.world import DEVICE, KeptVictim, World, keeper, opened, owner_of, scenario

from secagg.crypto.rng import SystemRng, seeded
from secagg.errors import LedgerCorrupt, LedgerError, LedgerForeign, LedgerMissing
from secagg.ledger import Ledger, MemoryStorage
from secagg.ledger.entries import Chain, Opened, Owner, Recorded
from secagg.types import Secret

OF = scenario()
SESSION = OF.session


def used() -> MemoryStorage:
    """A ledger with one answered session, one given up, and one that is running."""
    storage = MemoryStorage()
    Ledger.create(storage, owner_of(SESSION), DEVICE, SystemRng())
    ledger = opened(storage, SESSION)
    World(lambda: KeptVictim(keeper(ledger, OF)), OF).run()
    ledger.open_session(b"g" * 32, 1)
    ledger.give_up(b"g" * 32)
    ledger.open_session(b"r" * 32, 2)
    ledger.close()
    return storage


USED = used()
_, LOG = Chain.read(USED.log, owner_of(SESSION), DEVICE, "log")


def on(log: bytes, mark: bytes = USED.mark) -> Ledger:
    storage = MemoryStorage()
    storage.create(log, mark)
    return opened(storage, SESSION)


def test_the_unchanged_ledger_opens() -> None:
    ledger = on(USED.log)
    assert ledger.answered(0)
    assert not ledger.answered(1)
    assert ledger.knows(b"r" * 32)
    assert len(LOG.entries) == 9
    assert not LOG.torn


def place(offset: int) -> int | None:
    """The number of the entry that holds this byte; None for the header."""
    holding = [n for n, placed in enumerate(LOG.entries) if placed.offset <= offset < placed.end]
    return holding[0] if holding else None


@pytest.mark.parametrize("bit", [1, 0x80])
def test_every_byte_changed_is_refused_and_its_entry_named(bit: int) -> None:
    for offset in range(len(USED.log)):
        changed = bytearray(USED.log)
        changed[offset] ^= bit
        with pytest.raises((LedgerCorrupt, LedgerForeign)) as caught:
            on(bytes(changed))
        number = place(offset)
        assert caught.value.entry == number
        assert caught.value.offset == (0 if number is None else LOG.entries[number].offset)
        assert f"byte {caught.value.offset}" in str(caught.value)


@given(st.data())
def test_any_splice_is_refused(data: st.DataObject) -> None:
    """Cut out, repeated, swapped or replaced: what is not the same bytes does not open."""
    size = len(USED.log)
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start, size))
    put = data.draw(st.binary(max_size=80) | st.just(USED.log[start:end] * 2))
    spliced = USED.log[:start] + put + USED.log[end:]
    if spliced == USED.log or (len(spliced) > size and spliced.startswith(USED.log)):
        return
    with pytest.raises(LedgerError):
        on(spliced)


def test_entries_left_out_repeated_or_swapped_are_refused() -> None:
    pieces = [USED.log[placed.offset : placed.end] for placed in LOG.entries]
    head = USED.log[: LOG.entries[0].offset]
    for number in range(len(pieces) - 1):
        left_out = pieces[:number] + pieces[number + 1 :]
        repeated = pieces[: number + 1] + pieces[number:]
        swapped = [*pieces]
        swapped[number], swapped[number + 1] = swapped[number + 1], swapped[number]
        for other, first_bad in ((left_out, number), (repeated, number + 1), (swapped, number)):
            with pytest.raises(LedgerCorrupt) as caught:
                on(head + b"".join(other))
            assert caught.value.entry == first_bad


def test_a_ledger_cut_short_anywhere_is_refused() -> None:
    """The mark tells how far it had come: a missing end is no crash."""
    for size in range(len(USED.log)):
        with pytest.raises(LedgerCorrupt) as caught:
            on(USED.log[:size])
        assert caught.value.place == "memory"
    with pytest.raises(LedgerCorrupt, match="the mark tells of 9 entries, 8 are here") as caught:
        on(USED.log[:-1])
    assert (caught.value.entry, caught.value.offset) == (8, LOG.entries[8].offset)


def test_only_an_append_that_was_interrupted_is_taken_for_one() -> None:
    """Anything from one byte to all but one after the marked entries is cut off, and no more."""
    chain, log = Chain.read(USED.log, owner_of(SESSION), DEVICE, "log")
    data, link = chain.entry(log.link(9), Opened(b"n" * 32, 3))
    for size in range(1, len(data)):
        storage = MemoryStorage()
        storage.create(USED.log + data[:size], USED.mark)
        assert not opened(storage, SESSION).knows(b"n" * 32)
        assert storage.log == USED.log
    whole = MemoryStorage()
    whole.create(USED.log + data, USED.mark)
    assert opened(whole, SESSION).knows(b"n" * 32)
    assert whole.mark == chain.mark(10, link)
    more, _ = chain.entry(link, Opened(b"m" * 32, 4))
    for size in range(1, len(more) + 1):
        with pytest.raises(LedgerCorrupt, match="the mark is old") as caught:
            on(USED.log + data + more[:size])
        assert caught.value.entry == 9


def test_an_entry_that_cannot_follow_is_refused() -> None:
    """Even with good links: a record of a session that was never opened, or out of turn."""
    chain, log = Chain.read(USED.log, owner_of(SESSION), DEVICE, "log")
    for entry in (
        Recorded(b"n" * 32, 0, bytes(32)),
        Recorded(b"r" * 32, 1, bytes(32)),
        Recorded(SESSION.id, 5, bytes(32)),
        Opened(SESSION.id, 9),
    ):
        data, _ = chain.entry(log.link(9), entry)
        with pytest.raises(LedgerCorrupt, match="cannot follow") as caught:
            on(USED.log + data)
        assert (caught.value.entry, caught.value.offset) == (9, len(USED.log))


def test_every_byte_of_the_mark_counts() -> None:
    for offset in range(len(USED.mark)):
        changed = bytearray(USED.mark)
        changed[offset] ^= 1
        with pytest.raises(LedgerCorrupt, match="memory, mark"):
            on(USED.log, bytes(changed))
    with pytest.raises(LedgerCorrupt, match="expected 77 bytes, got 76"):
        on(USED.log, USED.mark[:-1])
    with pytest.raises(LedgerMissing, match="no mark"):
        on(USED.log, b"")


def test_the_mark_of_another_ledger_or_course_is_refused() -> None:
    owner = owner_of(SESSION)
    log, mark = Chain.begun(owner, DEVICE, seeded(9))
    with pytest.raises(LedgerCorrupt, match="not the mark of this ledger"):
        on(USED.log, mark)
    # Two courses of one ledger, as after a rollback of the log alone.
    chain, read = Chain.read(log, owner, DEVICE, "log")
    one, _ = chain.entry(read.first, Opened(b"1" * 32, 0))
    _, other = chain.entry(read.first, Opened(b"2" * 32, 0))
    on(log + one, chain.mark(0, read.first))
    with pytest.raises(LedgerCorrupt, match="another course"):
        on(log + one, chain.mark(1, other))


def test_whoever_lacks_the_devices_key_cannot_write_an_entry() -> None:
    """The links are keyed: an edit with its hashes made right is an edit."""
    forger = Chain(Secret(bytes(32)))
    data, _ = forger.entry(LOG.link(9), Opened(b"n" * 32, 3))
    with pytest.raises(LedgerCorrupt, match="length was changed"):
        on(USED.log + data)


def test_a_header_is_bound_to_owner_and_device() -> None:
    owner = owner_of(SESSION)
    log, _ = Chain.begun(owner, DEVICE, seeded(9))
    Chain.read(log, owner, DEVICE, "log")
    with pytest.raises(LedgerForeign, match="another device"):
        Chain.read(log, owner, Secret(b"d" * 32), "log")
    with pytest.raises(LedgerForeign, match="in job 'other', got that of"):
        Chain.read(log, Owner(owner.name, "other"), DEVICE, "log")
    assert DEVICE.reveal() not in log
