from __future__ import annotations

from dataclasses import replace

import pytest
from conformance.scenario import Scenario
from unit.ledger.world import DEVICE, VICTIM, Claiming, keeper, opened, owner_of, scenario

from secagg import protocols
from secagg.crypto.rng import SystemRng, seeded
from secagg.crypto.signing import SigningKey
from secagg.errors import (
    LedgerUnavailable,
    LocalProtocolError,
    ModelMismatch,
    ParameterError,
    PolicyError,
    SessionRefused,
)
from secagg.ledger import Keeper, Ledger, MemoryStorage
from secagg.protocol import (
    Admission,
    ClientPolicy,
    Identity,
    Input,
    Protocol,
    Send,
    Session,
)
from secagg.types import Secret, client

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


def sessions(count: int, training_round: int = 0) -> list[Session]:
    """Sessions of one training round, as a server that asks again makes them."""
    rng = seeded(5)
    return [Session.fresh(OF.plan, rng, training_round=training_round) for _ in range(count)]


def kept(
    ledger: Ledger,
    session: Session,
    policy: ClientPolicy | None = None,
    identity: Identity | None = None,
    protocol: Protocol = OF.protocol,
) -> Keeper:
    accepting = ClientPolicy.accepting(session.plan)
    return Keeper(ledger, protocol, session, VICTIM, SystemRng(), policy or accepting, identity)


def test_against_a_lying_server_the_keeper_is_what_lets_a_client_speak() -> None:
    protocol, own = Claiming(), Identity(model_digest=SESSION.model_digest)
    policy = ClientPolicy.accepting(OF.plan)
    with pytest.raises(LocalProtocolError, match="open session"):
        protocol.party(SESSION, VICTIM, SystemRng(), policy, own)
    storage = created()
    ledger = opened(storage, SESSION)
    first = kept(ledger, SESSION, identity=own, protocol=protocol)
    assert ledger.knows(SESSION.id)
    words = [first.party.seal(e).join() for e in first.begin() if isinstance(e, Send)]
    ledger.reopen()
    # An admission that came from elsewhere makes no difference: the ledger's is what counts.
    stale = replace(own, admission=Admission(bytes(32), "another", 9))
    again = kept(ledger, SESSION, identity=stale, protocol=protocol)
    assert words == [again.party.seal(e).join() for e in again.begin() if isinstance(e, Send)]


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_where_the_policy_allows_fewer_sessions_it_is_the_policy_that_refuses(cap: int) -> None:
    """Given up, so that nothing but their number speaks against the next one."""
    ledger = opened(created(), SESSION, cap=5)
    policy = ClientPolicy(min_clients=2, corrupt=0, sessions_per_round=cap)
    *allowed, surplus = sessions(cap + 1, training_round=7)
    for session in allowed:
        kept(ledger, session, policy).give_up()
    with pytest.raises(
        PolicyError, match=f"at most {cap} is demanded, number {cap + 1} of round 7"
    ):
        kept(ledger, surplus, policy)
    assert not ledger.knows(surplus.id)
    assert ledger.opened(7) == cap
    (other,) = sessions(1, training_round=8)
    kept(ledger, other, policy)


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_where_the_ledger_allows_fewer_sessions_it_is_the_ledger_that_refuses(cap: int) -> None:
    ledger = opened(created(), SESSION, cap=cap)
    policy = ClientPolicy(min_clients=2, corrupt=0, sessions_per_round=5)
    *allowed, surplus = sessions(cap + 1)
    for session in allowed:
        kept(ledger, session, policy).give_up()
    with pytest.raises(SessionRefused, match=f"at most {cap} sessions in training round 0"):
        kept(ledger, surplus, policy)
    assert not ledger.knows(surplus.id)


def test_a_session_that_is_open_is_taken_up_whatever_their_number() -> None:
    """Else the last one allowed could not be restored."""
    ledger = opened(created(), SESSION)
    policy = ClientPolicy(min_clients=2, corrupt=0)
    kept(ledger, SESSION, policy).begin()
    ledger.reopen()
    assert kept(ledger, SESSION, policy).begin()


def test_another_model_opens_nothing() -> None:
    ledger = opened(created(), SESSION)
    with pytest.raises(ModelMismatch):
        kept(ledger, SESSION, identity=Identity(model_digest=b"m" * 32))
    assert not ledger.knows(SESSION.id)
    assert ledger.opened(SESSION.training_round) == 0


def test_another_key_than_the_rosters_opens_nothing() -> None:
    """A client that is set up wrongly has not used up its round."""
    of = Scenario(protocols.get("enclave"), 4)
    own = of.identity(VICTIM)
    assert own is not None
    ledger = opened(created(of.session), of.session)
    policy = ClientPolicy.accepting(of.plan)
    wrong = replace(own, key=SigningKey(Secret(bytes(32))))
    for identity, match in ((wrong, "roster has another key"), (None, "signing key, and a policy")):
        with pytest.raises(ParameterError, match=match):
            Keeper(ledger, of.protocol, of.session, VICTIM, SystemRng(), policy, identity)
    assert not ledger.knows(of.session.id)
    assert Keeper(ledger, of.protocol, of.session, VICTIM, SystemRng(), policy, own).begin() == []


def test_a_party_whose_session_could_not_be_opened_says_nothing() -> None:
    ledger = opened(created(), SESSION)
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="open it again"):
        kept(ledger, SESSION)
