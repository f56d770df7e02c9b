"""One bad dealer or holder, or a few: who is named, and that the sum is exact or is none."""

from __future__ import annotations

import pytest
from unit.protocols import corrupt
from unit.protocols.corrupt import another_salt, another_share, no_share, off_the_polynomial
from unit.protocols.table import Table, changed, flipped, refuse

from secagg.errors import (
    InconsistentShares,
    ShareBindingError,
    ShareDisputed,
    WrongShare,
)
from secagg.protocols._masking.authenticated.messages import (
    OPENING_BYTES,
    CommittedBundle,
    CommittedShares,
    SignedAnswer,
    SignedKeys,
    SignedVector,
    SurvivorSignature,
)
from secagg.types import SERVER, PartyId, client
from secagg.wire import Message

DEALER = 3
VICTIM = 1
BAD_DEALINGS = [
    "garbage",
    "mask share",
    "mask salt",
    "self share",
    "self salt",
    "mask commitment",
    "self commitment",
    "mask share not canonical",
    "self share not canonical",
]


def deal_badly(
    patch: pytest.MonkeyPatch, table: Table, how: str, dealer: int, *holders: int
) -> None:
    """In one of the ways above; each is signed by the dealer."""
    places = {"mask share": 0, "mask salt": 40, "self share": 56, "self salt": 96}
    match how:
        case "garbage":
            corrupt.seal_garbage(patch, table, dealer, holders)
        case "mask commitment" | "self commitment":
            half = int(how == "self commitment")
            corrupt.commit_otherwise(patch, table, dealer, holders, half)
        case "mask share not canonical":
            corrupt.deal_otherwise(patch, table, dealer, holders, no_share)
        case "self share not canonical":
            start = OPENING_BYTES
            corrupt.deal_otherwise(
                patch, table, dealer, holders, lambda both: both[:start] + no_share(both[start:])
            )
        case _:
            place = places[how]
            corrupt.seal_otherwise(patch, table, dealer, holders, lambda both: flipped(both, place))


def begun(count: int = 5) -> Table:
    """Keys are sent; nobody has dealt."""
    return Table(count=count).start().until(SignedKeys)


def disputes(table: Table) -> set[tuple[PartyId, PartyId]]:
    """Dealer and holder of each pair that is named."""
    pairs = [
        (culprit, error.holder)
        for culprit, error in table.accused
        if isinstance(error, ShareDisputed) and error.culprit == culprit
    ]
    assert len(pairs) == len(table.accused)
    assert len(set(pairs)) == len(pairs)
    return set(pairs)


@pytest.mark.parametrize("how", BAD_DEALINGS)
def test_a_bad_dealer_is_named_and_the_sum_is_exact(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays in the round: its vector is masked as all are, and others hold good shares."""
    table = begun()
    deal_badly(monkeypatch, table, how, DEALER, VICTIM)
    table.finish().check_sum(0, 1, 2, 3, 4)
    assert disputes(table) == {(client(DEALER), client(VICTIM))}
    assert table.failures == {}


@pytest.mark.parametrize("how", ["garbage", "mask share", "self commitment"])
def test_a_bad_dealer_may_vanish_as_well(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of seven five hold good shares of its mask seed, which is the threshold."""
    table = begun(7)
    deal_badly(monkeypatch, table, how, DEALER, VICTIM)
    table.until(SignedVector).drop(SignedVector, DEALER)
    table.finish().check_sum(0, 1, 2, 4, 5, 6)
    assert disputes(table) == {(client(DEALER), client(VICTIM))}


@pytest.mark.parametrize("how", ["garbage", "self share"])
def test_too_many_bad_shares_end_the_round(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five holders three have good shares, of a threshold of four."""
    table = begun()
    deal_badly(monkeypatch, table, how, DEALER, 0, 1)
    assert_no_sum(table.finish(), "3 of 5 clients sent the shares of some client, 4 are needed")
    assert disputes(table) == {(client(DEALER), client(0)), (client(DEALER), client(1))}


def assert_no_sum(table: Table, words: str) -> None:
    """A clean failure: no sum, the reason, and nothing that is left of the shares."""
    assert table.total is None
    assert table.included == ()
    assert words in table.failures[SERVER].reason
    assert table.server._recovery is None or not len(table.server._recovery)


@pytest.mark.parametrize("field", ["paths", "seed_commitments", "signatures", "commitments"])
def test_a_bad_dealer_is_no_excuse_for_the_server(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who relays bad shares shows that their dealer signed them, or is blamed itself."""
    table = begun()
    deal_badly(monkeypatch, table, "garbage", DEALER, 0)
    bundle = table.until(CommittedBundle).take(CommittedBundle, 0)
    column = getattr(bundle, field)
    row = len(column) // 4
    lie = changed(bundle, **{field: flipped(column, row * (DEALER - 1))})
    refuse(table, lie, ShareBindingError, "the shares of client 3 are not what it dealt")


def test_shares_that_were_dealt_to_another_are_the_servers_lie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of client 3's row for client 1, its path included: another place in its tree."""
    table = begun()
    deal_badly(monkeypatch, table, "garbage", DEALER, 0, 1)
    table.until(CommittedBundle)
    mine, other = table.take(CommittedBundle, 0), table.take(CommittedBundle, 1)
    rows = {}
    for field in ("sealed", "commitments", "paths"):
        size = len(getattr(mine, field)) // 4
        # Dealer 3 is in place 2 of both.
        row = getattr(other, field)[2 * size : 3 * size]
        rows[field] = getattr(mine, field)[: 2 * size] + row + getattr(mine, field)[3 * size :]
    refuse(table, changed(mine, **rows), ShareBindingError, "client 3 are not what it dealt")


# Holders.


@pytest.mark.parametrize("change", [another_share, another_salt, no_share])
@pytest.mark.parametrize("owner", [2, VICTIM])
def test_a_wrong_share_counts_as_missing_and_its_holder_is_named(
    change: corrupt.Change, owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another's secret or of its own."""
    table = begun()
    corrupt.answer_otherwise(monkeypatch, table, VICTIM, [owner], change)
    table.finish().check_sum(0, 1, 2, 3, 4)
    ((culprit, error),) = table.accused
    assert culprit == client(VICTIM)
    assert type(error) is WrongShare
    assert error.culprit == client(VICTIM)
    assert f"its share of client {owner} was not dealt so" in error.reason


@pytest.mark.parametrize("vanishes", [False, True])
def test_a_dealers_own_share_that_is_none_counts_as_missing(
    vanishes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but the dealer sees it before it answers, and it opens its commitment."""
    table = begun()
    deal_badly(monkeypatch, table, "self share not canonical", DEALER, DEALER)
    table.until(SignedAnswer)
    if vanishes:
        table.drop(SignedAnswer, DEALER)
    table.finish().check_sum(0, 1, 2, 3, 4)
    expected = [] if vanishes else [(client(DEALER), WrongShare)]
    assert [(culprit, type(error)) for culprit, error in table.accused] == expected


def test_the_other_kind_of_share_is_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    table = begun()
    table.until(CommittedBundle).hand_over()
    party = table.client(VICTIM)
    mask_share = party._openings[2].reveal()[:OPENING_BYTES]
    corrupt.answer_otherwise(monkeypatch, table, VICTIM, [2], lambda opening: mask_share)
    table.finish().check_sum(0, 1, 2, 3, 4)
    ((_, error),) = table.accused
    assert type(error) is WrongShare


def test_wrong_shares_of_a_client_that_vanished(monkeypatch: pytest.MonkeyPatch) -> None:
    table = begun(7)
    corrupt.answer_otherwise(monkeypatch, table, VICTIM, [DEALER], another_share)
    table.until(SignedVector).drop(SignedVector, DEALER)
    table.finish().check_sum(0, 1, 2, 4, 5, 6)
    assert [type(error) for _, error in table.accused] == [WrongShare]


def test_too_many_wrong_shares_end_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    table = begun()
    for holder in (0, 1):
        corrupt.answer_otherwise(monkeypatch, table, holder, [2], another_share)
    assert_no_sum(table.finish(), "3 of 5 clients sent the shares of some client, 4 are needed")
    assert [culprit for culprit, _ in table.accused] == [client(0), client(1)]


def test_wrong_shares_of_different_secrets_add_up_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each secret misses one share, and each is rebuilt from four others."""
    table = begun()
    for holder in range(5):
        owner = (holder + 1) % 5
        corrupt.answer_otherwise(monkeypatch, table, holder, [owner], another_share)
    table.finish().check_sum(0, 1, 2, 3, 4)
    assert len(table.accused) == 5


@pytest.mark.parametrize("dealers", [[0], [0, 2, 3, 4]])
def test_false_complaints_name_a_pair_and_change_no_sum(
    dealers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = begun()
    corrupt.complain_of(monkeypatch, table, VICTIM, dealers)
    table.finish().check_sum(0, 1, 2, 3, 4)
    assert disputes(table) == {(client(dealer), client(VICTIM)) for dealer in dealers}


def test_too_many_false_complaints_end_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    table = begun()
    for holder in (0, 1):
        corrupt.complain_of(monkeypatch, table, holder, [2])
    assert_no_sum(table.finish(), "3 of 5 clients sent the shares of some client, 4 are needed")
    assert disputes(table) == {(client(2), client(0)), (client(2), client(1))}


# Dealers whose every share is as committed.


def assert_dealer_named(table: Table, words: str) -> None:
    assert_no_sum(table, words)
    ((culprit, error),) = table.accused
    assert culprit == client(DEALER)
    assert type(error) is InconsistentShares
    assert error.culprit == client(DEALER)
    assert table.failures[SERVER].error is error


def test_another_self_seed_names_its_dealer(monkeypatch: pytest.MonkeyPatch) -> None:
    table = begun()
    corrupt.share_another_secret(monkeypatch, table, DEALER, "self_seed")
    assert_dealer_named(table.finish(), "the rebuilt self-mask seed is not the committed one")


def test_another_mask_seed_names_its_dealer_if_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = begun()
    corrupt.share_another_secret(monkeypatch, table, DEALER, "mask_seed")
    table.until(SignedVector).drop(SignedVector, DEALER)
    assert_dealer_named(table.finish(), "the rebuilt mask key is not the advertised one")


def test_another_mask_seed_that_nobody_needs_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = begun()
    corrupt.share_another_secret(monkeypatch, table, DEALER, "mask_seed")
    table.finish().check_sum(0, 1, 2, 3, 4)
    assert table.accused == []


@pytest.mark.parametrize("vanishes", [False, True])
def test_shares_of_no_secret_name_their_dealer(
    vanishes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even next to others that are rebuilt from the same holders."""
    table = begun()
    corrupt.deal_otherwise(monkeypatch, table, DEALER, [VICTIM], off_the_polynomial)
    if vanishes:
        table.until(SignedVector).drop(SignedVector, DEALER)
    assert_dealer_named(table.finish(), "the secret of client 3")


# Clients that stop.


STEPS: list[type[Message]] = [
    SignedKeys,
    CommittedShares,
    SignedVector,
    SurvivorSignature,
    SignedAnswer,
]


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("lost", [(4,), (0,)])
def test_exactly_the_threshold_is_left(kind: type[Message], lost: tuple[int, ...]) -> None:
    """Who is lost after its vector came is in the sum all the same."""
    table = Table().start().until(kind).drop(kind, *lost).finish()
    delivered = STEPS.index(kind) > STEPS.index(SignedVector)
    table.check_sum(*(n for n in range(5) if delivered or n not in lost))
    assert table.accused == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (SignedKeys, "phase advertise: 3 of 5 clients advertised keys, 4 are needed"),
        (CommittedShares, "phase share: 3 of 5 clients dealt shares, 4 are needed"),
        (SignedVector, "phase mask: 3 of 5 clients delivered vectors, 4 are needed"),
        (
            SurvivorSignature,
            "phase agree: 0 of 5 clients have enough neighbours that signed the survivors, 4 are",
        ),
        (SignedAnswer, "phase unmask: 3 of 5 clients sent the shares of some client, 4 are"),
    ],
)
def test_one_fewer_is_too_few(kind: type[Message], words: str) -> None:
    table = Table().start().until(kind).drop(kind, 1, 2).finish()
    assert_no_sum(table, words)
    assert table.accused == []


def test_clients_lost_in_every_step() -> None:
    """Of eleven clients 0 and 1 vanish before their vectors, 2 and 3 after."""
    table = Table(count=11, dropout="0.3", corrupt="0").start()
    table.until(CommittedShares).drop(CommittedShares, 0)
    table.until(SignedVector).drop(SignedVector, 1)
    table.until(SurvivorSignature).drop(SurvivorSignature, 2)
    table.until(SignedAnswer).drop(SignedAnswer, 3)
    table.finish().check_sum(*range(2, 11))
    assert table.accused == []
