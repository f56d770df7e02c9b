"""What must never happen in the rounds of `survivor_agreement`, looked for in every state.

Cryptography is ideal here: `threshold` shares of one kind are that secret, fewer are nothing; two
clients share a mask unless one of their mask seeds is known or one of them is corrupt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from oracles.survivor_agreement import (
    NEW,
    NOBODY,
    Clients,
    Record,
    Setting,
    State,
    Step,
    digest,
    successors,
)

EXPOSED = "both kinds of share of one honest client, enough of each"
ISOLATED = "a sum over some of the honest survivors without the others"
DISAGREED = "two survivor digests, or two answers about different survivors"
REPEATED = "two masked vectors, signatures or answers of one client"
LATE = "something released after an abort"


class Seen(NamedTuple):
    """What the server has got by a state.

    Attributes:
        self_holders: for each honest client, who gave a share of its self-mask seed.
        mask_holders: the same for the seed of its masks with others.
        vectors: the U2 under which each honest client masked, for those that sent.

    """

    self_holders: tuple[Clients, ...]
    mask_holders: tuple[Clients, ...]
    vectors: dict[int, Clients]


def seen(sent: tuple[frozenset[Record], ...], setting: Setting) -> Seen:
    self_holders = [set[int]() for _ in sent]
    mask_holders = [set[int]() for _ in sent]
    vectors: dict[int, Clients] = {}
    for sender, messages in enumerate(sent):
        for message in messages:
            if message.step is Step.SHARED:
                # What is sealed for the corrupt, or under keys of the server's own, is open.
                opened = message.keys - {sender} if message.forged else NOBODY
                opened |= message.keys & setting.colluders
                self_holders[sender] |= opened
                mask_holders[sender] |= opened
            if message.step is Step.MASKED:
                vectors[sender] = message.dealers
            if message.step is Step.ANSWERED:
                dealers, survivors = message.told
                for dealer in message.dealers & frozenset(range(setting.honest)):
                    if dealer in survivors:
                        self_holders[dealer].add(sender)
                    elif dealer in dealers:
                        mask_holders[dealer].add(sender)
    return Seen(tuple(map(frozenset, self_holders)), tuple(map(frozenset, mask_holders)), vectors)


def readable_groups(view: Seen, setting: Setting) -> set[Clients]:
    """The smallest groups of honest clients whose sum the server can read.

    A vector holds a mask with each honest client of its U2, and those of which neither mask seed
    is known stay in the way. The mask of u with v goes away only if v is in the group as well and
    masked with u, for then it cancels. And the self mask of everyone in the group must be known.
    """
    honest = range(setting.honest)
    opened = {v for v in honest if len(view.mask_holders[v]) >= setting.threshold}
    bare = {v for v in view.vectors if len(view.self_holders[v]) >= setting.threshold}
    in_the_way = {
        u: {v for v in dealers if v in honest and v != u and not {u, v} & opened}
        for u, dealers in view.vectors.items()
    }
    found = set()
    for first in bare:
        group, fresh = set[int](), {first}
        while fresh and fresh <= bare:
            group |= fresh
            fresh = {v for u in fresh for v in in_the_way[u]} - group
        if not fresh and all(u in in_the_way[v] for u in group for v in in_the_way[u]):
            found.add(frozenset(group))
    return found


def violations(sent: tuple[frozenset[Record], ...], setting: Setting) -> frozenset[str]:
    """What must never happen and has, by all that the honest clients ever sent."""
    found = set()
    view = seen(sent, setting)
    enough = setting.threshold
    if any(
        len(view.self_holders[v]) >= enough and len(view.mask_holders[v]) >= enough
        for v in range(setting.honest)
    ):
        found.add(EXPOSED)
    signed = [{digest(m, setting) for m in ms if m.step is Step.SIGNED} for ms in sent]
    agreed = {
        one
        for one in set[tuple[Clients, Clients, Clients]]().union(*signed)
        if sum(one in theirs for theirs in signed) + setting.corrupt >= enough
    }
    answered = {(m.keys, m.told) for ms in sent for m in ms if m.step is Step.ANSWERED}
    if len(agreed) > 1 or len(answered) > 1:
        found.add(DISAGREED)
    survivors = {one[2] - setting.colluders for one in agreed}
    if readable_groups(view, setting) - survivors:
        found.add(ISOLATED)
    for messages in sent:
        steps = [message.step for message in messages]
        if any(steps.count(step) > 1 for step in (Step.MASKED, Step.SIGNED, Step.ANSWERED)):
            found.add(REPEATED)
    return frozenset(found)


def released_late(before: State, after: State) -> bool:
    """Whether a client sent something new although it had said that it gave up."""
    return any(
        new.sent != old.sent and any(message.step is Step.ABORTED for message in old.sent)
        for old, new in zip(before, after, strict=True)
    )


class Outcome(NamedTuple):
    """What an exploration found.

    Attributes:
        states: how many were visited.
        transitions: how many steps between them.
        sent: all that the clients have sent, in each state.
        found: for each violation, the shortest way to it.

    """

    states: int
    transitions: int
    sent: frozenset[tuple[frozenset[Record], ...]]
    found: dict[str, tuple[State, ...]]


def explore(setting: Setting, *, until: str | None = None) -> Outcome:
    """Visit every state, breadth first. What follows a violation is not visited.

    Args:
        setting: who takes part, and under which rules.
        until: end when this violation is found.

    """
    first = (NEW,) * setting.honest
    before: dict[State, State | None] = {first: None}
    known = {tuple(one.sent for one in first): frozenset[str]()}
    found: dict[str, tuple[State, ...]] = {}
    queue = deque([first])
    transitions = 0
    while queue and until not in found:
        state = queue.popleft()
        for after in successors(state, setting):
            transitions += 1
            bad = {LATE} if released_late(state, after) else set()
            if after in before and not bad:
                continue
            before.setdefault(after, state)
            sent = tuple(one.sent for one in after)
            if sent not in known:
                known[sent] = violations(sent, setting)
            bad |= known[sent]
            for kind in bad - found.keys():
                found[kind] = (*_way(before, state), after)
            if not bad:
                queue.append(after)
    return Outcome(len(before), transitions, frozenset(known), found)


def _way(before: dict[State, State | None], state: State) -> tuple[State, ...]:
    way: list[State] = []
    place: State | None = state
    while place is not None:
        way.append(place)
        place = before[place]
    return tuple(reversed(way))


def story(way: tuple[State, ...]) -> Iterator[str]:
    """A way in words, one line for each step."""
    for number, (old, new) in enumerate(pairwise(way), start=1):
        for me, (was, is_) in enumerate(zip(old, new, strict=True)):
            if was == is_:
                continue
            for message in is_.sent - was.sent:
                yield f"{number}. client {me} sent {_words(message)}"
            if is_.memory != was.memory and is_.memory not in is_.sent - was.sent:
                yield f"{number}. client {me} restarts and knows {_words(is_.memory)}"


def _words(record: Record) -> str:
    words = record.step.name.lower()
    if record.step is Step.SHARED:
        words += f" U1={sorted(record.keys)}{' with false keys' if record.forged else ''}"
    if record.step is Step.MASKED:
        words += f" U2={sorted(record.dealers)}"
    if record.step in (Step.SIGNED, Step.ANSWERED):
        dealers, survivors = record.told
        words += f" U2={sorted(dealers)} U3={sorted(survivors)}"
    return words
