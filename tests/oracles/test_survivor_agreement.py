"""The model of the complete-graph rounds: safe with all checks, and not without any one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from oracles.exploration import (
    DISAGREED,
    EXPOSED,
    ISOLATED,
    LATE,
    REPEATED,
    explore,
    readable_groups,
    seen,
    story,
    violations,
)
from oracles.survivor_agreement import (
    NEW,
    Clients,
    Record,
    Rules,
    Setting,
    State,
    Step,
    carry_out,
    heard,
    requests,
    restarted,
)

ALL_CHECKS = Rules()

# Clients, of them corrupt, and the smallest threshold with 2 t > n + C; the states are counted so
# that a change which makes the exploration smaller is noticed.
SETTINGS = [
    (Setting(3, 0, threshold=2), 29_332),
    (Setting(2, 1, threshold=3), 118),
    (Setting(4, 0, threshold=3, every_stop=False), 23_718),
    (Setting(3, 1, threshold=3), 64_594),
]


@pytest.mark.parametrize(("setting", "states"), SETTINGS)
def test_no_server_brings_about_a_violation(setting: Setting, states: int) -> None:
    outcome = explore(setting)
    print(f"{setting}: {outcome.states} states, {outcome.transitions} transitions")
    assert outcome.found == {}
    # The exploration is worth nothing if clients get stuck early.
    honest = range(setting.honest)
    assert any(
        all(steps_of(sent[me])[-1] is Step.ANSWERED for me in honest) for sent in outcome.sent
    )
    assert outcome.states == states


def steps_of(sent: frozenset[Record]) -> list[Step]:
    return sorted(message.step for message in sent) or [Step.NOTHING]


@pytest.mark.parametrize("setting", [setting for setting, _ in SETTINGS if setting.every_stop])
def test_stops_give_the_server_nothing(setting: Setting) -> None:
    """What `every_stop` leaves out where it is off, shown where it is on."""
    every = explore(setting)
    fewer = explore(setting._replace(every_stop=False))
    assert fewer.states < every.states
    assert fewer.sent == {
        tuple(frozenset(m for m in ms if m.step is not Step.ABORTED) for ms in sent)
        for sent in every.sent
    }


@pytest.mark.parametrize(
    "setting",
    [
        Setting(3, 0, threshold=1),
        Setting(2, 1, threshold=2, every_stop=False),
    ],
)
def test_a_threshold_of_half_is_too_small(setting: Setting) -> None:
    # With 2 t = n + C two sets of t signers need not have an honest client in common.
    assert DISAGREED in explore(setting, until=DISAGREED).found


class Removal(NamedTuple):
    rules: Rules
    setting: Setting
    consequence: str


FOUR = Setting(3, 1, threshold=3, every_stop=False)
REMOVALS = [
    Removal(ALL_CHECKS._replace(signed_keys=False), Setting(3, 0, 2), EXPOSED),
    Removal(ALL_CHECKS._replace(own_dealers=False), FOUR, ISOLATED),
    Removal(ALL_CHECKS._replace(digest_has_dealers=False), FOUR, DISAGREED),
    Removal(ALL_CHECKS._replace(sign_once=False), Setting(3, 0, 2), REPEATED),
    Removal(ALL_CHECKS._replace(quorum=False), Setting(3, 0, 2), DISAGREED),
    Removal(ALL_CHECKS._replace(ledger=False), Setting(3, 0, 2), REPEATED),
    Removal(ALL_CHECKS._replace(ledger=False), Setting(3, 0, 2), LATE),
    Removal(ALL_CHECKS._replace(write_first=False), Setting(3, 0, 2), REPEATED),
    Removal(ALL_CHECKS._replace(abort_is_final=False), Setting(3, 0, 2), LATE),
]


def removed(rules: Rules) -> str:
    return " ".join(name for name in Rules._fields if not getattr(rules, name))


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removed(removal.rules))
def test_every_check_is_needed(removal: Removal) -> None:
    setting = removal.setting._replace(rules=removal.rules)
    outcome = explore(setting, until=removal.consequence)
    assert removal.consequence in outcome.found
    way = outcome.found[removal.consequence]
    print(*story(way), sep="\n")
    # Each step of the way was possible, and only the last one is a violation.
    assert way[0] == (NEW,) * removal.setting.honest
    for state in way[:-1]:
        sent = tuple(one.sent for one in state)
        assert not violations(sent, setting)


def test_answering_once_is_implied_by_signing_once() -> None:
    # An answer is to the digest that was signed, so a second one is the first one again.
    setting = Setting(3, 0, threshold=2, rules=ALL_CHECKS._replace(answer_once=False))
    assert explore(setting).found == {}


# --- what the server gains in the end, step by step ----------------------------------------------


Request = tuple[int, Record | None]
"""What a client is made to do; None kills and restarts it."""


def all_masked(setting: Setting) -> tuple[State, Record]:
    """After three honest rounds: the state, and what every client knows."""
    everybody = frozenset(range(setting.honest + setting.corrupt))
    masked = Record(Step.MASKED, everybody, dealers=everybody)
    way = [*before_masking(setting), *((me, masked) for me in range(setting.honest))]
    return follow((NEW,) * setting.honest, setting, way), masked


def before_masking(setting: Setting) -> list[Request]:
    everybody = frozenset(range(setting.honest + setting.corrupt))
    rounds = (Record(Step.ADVERTISED), Record(Step.SHARED, everybody))
    return [(me, record) for record in rounds for me in range(setting.honest)]


def follow(state: State, setting: Setting, way: Sequence[Request]) -> State:
    """The state after all of it; fails where a client refuses."""
    for me, after in way:
        if after is None:
            new = restarted(state[me])
        else:
            possible = requests(state[me].memory, me, heard(state, me, setting), setting)
            assert after in possible, f"client {me} refuses {after}"
            new = next(carry_out(state[me], after, setting))
        state = (*state[:me], new, *state[me + 1 :])
    return state


def believing(
    masked: Record, *survivors: int, told: Clients | None = None
) -> tuple[Record, Record]:
    """Signing and answering about these survivors, and the U2 that is told: one's own."""
    both = told or masked.dealers, frozenset(survivors)
    return (
        masked._replace(step=Step.SIGNED, told=both),
        masked._replace(step=Step.ANSWERED, told=both),
    )


def consequences(state: State, setting: Setting) -> frozenset[str]:
    return violations(tuple(one.sent for one in state), setting)


FIVE = Setting(5, 0, threshold=3)
# Each client's story: of 0, 1 and those that it is told are dead.
STORIES = {0: (0, 1, 2), 1: (0, 1, 4), 2: (0, 1, 2), 3: (0, 1, 3), 4: (0, 1, 4)}


def test_without_the_quorum_two_of_five_are_read() -> None:
    setting = FIVE._replace(rules=ALL_CHECKS._replace(quorum=False))
    state, masked = all_masked(setting)
    way: list[Request] = []
    for me, survivors in STORIES.items():
        signed, answered = believing(masked, *survivors)
        way += [(me, signed), (me, answered)]
    assert ISOLATED in consequences(follow(state, setting, way), setting)
    assert EXPOSED not in consequences(follow(state, setting, way), setting)
    with pytest.raises(AssertionError, match="client 0 refuses"):
        follow(state, FIVE, way)


def test_without_signing_once_two_of_five_are_read() -> None:
    setting = FIVE._replace(rules=ALL_CHECKS._replace(sign_once=False))
    state, masked = all_masked(setting)
    way: list[Request] = []
    # Clients 0 and 1 sign every story: each has a quorum of three.
    for other in (3, 2, 4):
        signed, answered = believing(masked, 0, 1, other)
        way += [(0, signed), (1, signed), (other, signed), (other, answered)]
    for me in (0, 1):
        signed, answered = believing(masked, *STORIES[me])
        way += [(me, signed), (me, answered)]
    assert ISOLATED in consequences(follow(state, setting, way), setting)
    with pytest.raises(AssertionError, match="refuses"):
        follow(state, FIVE, way)


@pytest.mark.parametrize("compares", [False, True])
def test_without_comparing_dealers_an_input_is_read(compares: bool) -> None:
    rules = ALL_CHECKS._replace(own_dealers=compares)
    setting = Setting(3, 1, threshold=3, rules=rules)
    everybody = frozenset(range(4))
    # Client 0 gets no shares of client 1, so its vector has no mask with client 1.
    thinned = {0: everybody - {1}, 1: everybody, 2: everybody}
    masked = {
        me: Record(Step.MASKED, everybody, dealers=dealers) for me, dealers in thinned.items()
    }
    state = follow((NEW,) * 3, setting, [*before_masking(setting), *masked.items()])
    # Client 2 is declared dead. It and the corrupt client were all that hid client 0.
    way: list[Request] = []
    for step in (0, 1):
        way += [(me, believing(masked[me], 0, 1, 3, told=everybody)[step]) for me in (0, 1)]
    if compares:
        with pytest.raises(AssertionError, match="client 0 refuses"):
            follow(state, setting, way)
    else:
        state = follow(state, setting, way)
        view = seen(tuple(one.sent for one in state), setting)
        assert readable_groups(view, setting) == {frozenset({0})}
        assert consequences(state, setting) == {ISOLATED}


@pytest.mark.parametrize("remembers", [False, True])
def test_without_the_ledger_a_restart_opens_an_input(remembers: bool) -> None:
    rules = ALL_CHECKS._replace(ledger=remembers)
    setting = Setting(3, 0, threshold=2, rules=rules)
    state, masked = all_masked(setting)
    way: list[Request] = []
    for survivors in ((0, 1, 2), (0, 1)):
        signed, answered = believing(masked, *survivors)
        way += [(0, signed), (1, signed), (0, answered), (1, answered), (0, None), (1, None)]
    if remembers:
        with pytest.raises(AssertionError, match="client 0 refuses"):
            follow(state, setting, way)
    else:
        assert EXPOSED in consequences(follow(state, setting, way), setting)


def test_without_signing_and_answering_once_an_input_is_opened() -> None:
    rules = ALL_CHECKS._replace(sign_once=False, answer_once=False)
    setting = Setting(3, 0, threshold=2, rules=rules)
    state, masked = all_masked(setting)
    way: list[Request] = []
    for survivors in ((0, 1, 2), (0, 1)):
        signed, answered = believing(masked, *survivors)
        way += [(0, signed), (1, signed), (0, answered), (1, answered)]
    assert EXPOSED in consequences(follow(state, setting, way), setting)


def test_with_half_as_threshold_four_clients_split_in_two() -> None:
    setting = Setting(4, 0, threshold=2)
    state, masked = all_masked(setting)
    halves = ((0, 1), (2, 3))
    way = [(me, believing(masked, *half)[0]) for half in halves for me in half]
    assert consequences(follow(state, setting, way), setting) == {DISAGREED}


def test_an_honest_round_is_no_violation() -> None:
    for setting, _ in SETTINGS:
        state, masked = all_masked(setting)
        everybody = sorted(masked.keys)
        signed, answered = believing(masked, *everybody)
        honest = range(setting.honest)
        way: list[Request] = [*((me, signed) for me in honest), *((me, answered) for me in honest)]
        assert not consequences(follow(state, setting, way), setting)
