from __future__ import annotations

import pytest
from unit.ledger.world import DEVICE, VICTIM, keeper, opened, owner_of, scenario

from secagg.crypto.rng import SystemRng
from secagg.errors import LocalProtocolError, PolicyError, SessionRefused
from secagg.ledger import Keeper, Ledger, MemoryStorage
from secagg.protocol import ClientPolicy, Input, Send, Session
from secagg.types import client

OF = scenario()
SESSION = OF.session


def created(session: Session = SESSION) -> MemoryStorage:
    storage = MemoryStorage()
    Ledger.create(storage, owner_of(session), DEVICE, SystemRng())
    return storage


def test_a_keeper_restores_what_it_opened_and_says_the_same() -> None:
    storage = created()
    ledger = opened(storage, SESSION)
    first = keeper(ledger, OF)
    words = [first.party.seal(e).join() for e in first.begin() if isinstance(e, Send)]
    ledger.close()
    again = keeper(opened(storage, SESSION), OF)
    assert words == [again.party.seal(e).join() for e in again.begin() if isinstance(e, Send)]
    assert len(words) == 1


def test_two_keepers_of_one_session_cannot_part_ways() -> None:
    """Whoever is second to have a record made durable is refused, and is no more."""
    ledger = opened(created(), SESSION)
    one = keeper(ledger, OF)
    one.begin()
    two = keeper(ledger, OF)
    two.begin()
    vector = OF.inputs[VICTIM]
    one.handle(Input(vector), VICTIM)
    with pytest.raises(SessionRefused, match="expected record 2, got record 1"):
        two.handle(Input(vector + vector.dtype.type(0)), VICTIM)
    assert two.party.ended
    assert not one.party.ended


def test_a_keeper_that_gives_up_leaves_nothing_to_restore() -> None:
    storage = created()
    ledger = opened(storage, SESSION)
    one = keeper(ledger, OF)
    one.begin()
    one.give_up()
    assert one.party.ended
    assert storage.stored == {}
    with pytest.raises(SessionRefused, match="was given up"):
        keeper(ledger, OF)


def test_a_keeper_wants_its_owners_ledger_and_a_plan_above_its_policy() -> None:
    ledger = opened(created(), SESSION)
    policy = ClientPolicy.accepting(OF.plan)
    with pytest.raises(LocalProtocolError, match="expected the ledger of"):
        Keeper(ledger, OF.protocol, SESSION, client(2), SystemRng(), policy)
    strict = ClientPolicy(min_clients=100)
    with pytest.raises(PolicyError, match="min_clients"):
        Keeper(ledger, OF.protocol, SESSION, VICTIM, SystemRng(), strict)
    assert not ledger.knows(SESSION.id)


def test_a_party_that_remembers_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened again it would be a fresh party: a second participation in one session."""
    ledger = opened(created(), SESSION)
    monkeypatch.setattr(type(OF.party(VICTIM)), "restorable", False)
    with pytest.raises(LocalProtocolError, match="a ledger cannot help"):
        keeper(ledger, OF)
    assert not ledger.knows(SESSION.id)
