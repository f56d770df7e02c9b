"""The rounds of level `malicious` on the complete graph as a small machine, explored exhaustively.

Read it in this order: `Rules` are the checks, `requests` is all that the server can make a client
do, `carry_out` is what a client does with its disk and its network, `violations` is what must never
happen. `explore` visits every state that any server can bring about.

The server is the network. It may keep every message for ever, deliver any message that was ever
sent to anyone as often as it likes, tell every client something else, and kill and restart clients
whenever it wants. It cannot sign for honest clients or open what is sealed between them: so what it
can say is limited by what honest clients have sent, and by what the corrupt ones will sign, which
is everything. What it has seen it keeps, so leaving a message out is the same as being slow.

Cryptography is ideal here: `threshold` shares of one kind are that secret, fewer are nothing; two
clients share a mask unless one of their mask seeds is known or one of them is corrupt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import combinations, pairwise
from typing import NamedTuple, TypeAlias

Clients: TypeAlias = frozenset[int]
NOBODY: Clients = frozenset()


class Rules(NamedTuple):
    """The checks. Each can be taken out, to see what it is good for.

    Attributes:
        signed_keys: a client takes keys of others only under their signatures.
        own_dealers: the U2 that the server tells is the client's own.
        digest_has_dealers: the survivor digest covers U2, not only U3.
        sign_once: a client signs one survivor digest.
        quorum: it answers only with `threshold` signatures on its own digest, its own included.
        answer_once: having answered, it neither signs nor answers again.
        ledger: signature, answer and abort are written to the disk.
        write_first: and are there before anything is sent.
        abort_is_final: nothing is done after an abort.

    """

    signed_keys: bool = True
    own_dealers: bool = True
    digest_has_dealers: bool = True
    sign_once: bool = True
    quorum: bool = True
    answer_once: bool = True
    ledger: bool = True
    write_first: bool = True
    abort_is_final: bool = True


class Setting(NamedTuple):
    """Clients 0 to honest - 1 are honest, those above are corrupt.

    Attributes:
        honest: how many.
        corrupt: how many.
        threshold: of the secret sharing and of the quorum.
        rules: the checks.
        every_stop: visit also the states that give the server nothing: a client that has written
            but not sent, which the server could as well not have listened to, and one that has
            given up, which it could as well not have asked again. They multiply the states.

    """

    honest: int
    corrupt: int
    threshold: int
    rules: Rules = Rules()
    every_stop: bool = True

    @property
    def colluders(self) -> Clients:
        return frozenset(range(self.honest, self.honest + self.corrupt))


class Step(IntEnum):
    """The last thing that a client did."""

    NOTHING = 0
    ADVERTISED = 1
    SHARED = 2
    MASKED = 3
    SIGNED = 4
    ANSWERED = 5
    ABORTED = 6


class Record(NamedTuple):
    """What a client knows of its session; it has this in memory and in its ledger.

    Attributes:
        step: the last thing done.
        keys: U1, those whose signed keys it was shown. All later messages are bound to it.
        forged: the server has put keys of its own in place of all the others'.
        dealers: U2, those whose shares it has.
        told: the U2 and U3 that the server told it and that it signed.

    """

    step: Step = Step.NOTHING
    keys: Clients = NOBODY
    forged: bool = False
    dealers: Clients = NOBODY
    told: tuple[Clients, Clients] = (NOBODY, NOBODY)


@dataclass(frozen=True, eq=False, slots=True)
class Client:
    """One honest client. Two that are alike are one object, see `client`.

    Attributes:
        memory: what the running process knows; lost when it is killed.
        ledger: what is on the disk.
        sent: a record for each message that ever left, equal to what the client then knew.

    """

    memory: Record
    ledger: Record
    sent: frozenset[Record]


@cache
def client(memory: Record, ledger: Record, sent: frozenset[Record]) -> Client:
    """The one object, so that states are compared quickly."""
    return Client(memory, ledger, sent)


NEW = client(Record(), Record(), frozenset())

State: TypeAlias = tuple[Client, ...]


@cache
def groups(of: Clients, around: Clients, least: int) -> tuple[Clients, ...]:
    """The subsets of `of` with all of `around` and at least `least` members."""
    rest = sorted(of - around)
    return tuple(
        around | frozenset(chosen)
        for size in range(len(rest) + 1)
        for chosen in combinations(rest, size)
        if around <= of and len(around) + size >= least
    )


def heard(state: State, me: int, setting: Setting) -> Clients:
    """Whose messages for the next step of `me` the server has, its own colluders included."""
    now = state[me].memory
    match now.step:
        case Step.ADVERTISED:
            return setting.colluders | _who(state, lambda m: m.step is Step.ADVERTISED)
        case Step.SHARED if now.forged:
            return now.keys
        case Step.SHARED:
            # A ciphertext opens only for those who were shown the same keys as its dealer.
            shares = Record(Step.SHARED, now.keys)
            return (setting.colluders & now.keys) | _who(state, lambda m: m == shares)
        case Step.SIGNED:
            mine = digest(now, setting)
            return (
                frozenset((me,))
                | setting.colluders
                | _who(state, lambda m: m.step is Step.SIGNED and digest(m, setting) == mine)
            )
    return NOBODY


def _who(state: State, such: Callable[[Record], bool]) -> Clients:
    """Those who sent such a message."""
    return frozenset(number for number, one in enumerate(state) if any(map(such, one.sent)))


def digest(record: Record, setting: Setting) -> tuple[Clients, Clients, Clients]:
    """What a client signs. Bound to U1, as everything after the first round is."""
    dealers, survivors = record.told
    return record.keys, dealers if setting.rules.digest_has_dealers else NOBODY, survivors


def requests(now: Record, me: int, others: Clients, setting: Setting) -> Iterator[Record]:
    """All that the server can make an honest client do next: what it will then know.

    Args:
        now: what it knows.
        me: its number.
        others: see `heard`.
        setting: with the checks.

    """
    rules, least, myself = setting.rules, setting.threshold, frozenset((me,))
    everybody = frozenset(range(setting.honest)) | setting.colluders
    if now.step is Step.NOTHING:
        yield Record(Step.ADVERTISED)
    if now.step is Step.ADVERTISED:
        for keys in groups(others, myself, least):
            yield Record(Step.SHARED, keys)
        if not rules.signed_keys:
            yield Record(Step.SHARED, everybody, forged=True)
    if now.step is Step.SHARED:
        for dealers in groups(others, myself, least):
            yield now._replace(step=Step.MASKED, dealers=dealers)
    if (
        now.step is Step.MASKED
        or (now.step is Step.SIGNED and not rules.sign_once)
        or (now.step is Step.ANSWERED and not rules.sign_once and not rules.answer_once)
    ):
        named = (now.dealers,) if rules.own_dealers else groups(everybody, NOBODY, least)
        for told_dealers in named:
            for survivors in groups(told_dealers, myself, least):
                yield now._replace(step=Step.SIGNED, told=(told_dealers, survivors))
    if now.step is Step.SIGNED and (len(others) >= least or not rules.quorum):
        yield now._replace(step=Step.ANSWERED)
    if setting.every_stop and now.step not in (Step.NOTHING, Step.ABORTED):
        yield Record(Step.ABORTED)  # any bad message will do


def carry_out(one: Client, after: Record, setting: Setting) -> Iterator[Client]:
    """Write, then send; and killed between the two, and restarted from the disk.

    Killed before the first of the two, nothing has happened. Killed after the second, it is
    restarted by `restarted`.
    """
    rules, sent = setting.rules, one.sent | {after}
    if after.step is Step.ABORTED and not rules.abort_is_final:
        yield client(one.memory, one.ledger, sent)
        return
    written = after if rules.ledger or after.step <= Step.MASKED else one.ledger
    yield client(after, written, sent)
    if after.step is Step.ABORTED:
        return
    if not rules.write_first:
        yield client(one.ledger, one.ledger, sent)
    elif setting.every_stop:
        yield client(written, written, one.sent)


def restarted(one: Client) -> Client:
    """Killed and restored from the disk."""
    return client(one.ledger, one.ledger, one.sent)


def resent(one: Client) -> Client:
    """What was written but not sent goes out before anything else is done."""
    return client(one.memory, one.ledger, one.sent | {one.memory})


@cache
def outcomes(one: Client, me: int, others: Clients, setting: Setting) -> frozenset[Client]:
    """What can become of a client in one step."""
    found = {restarted(one)}
    if one.memory.step is Step.NOTHING or one.memory in one.sent:
        for after in requests(one.memory, me, others, setting):
            found.update(carry_out(one, after, setting))
    else:
        found.add(resent(one))
    return frozenset(found - {one})


def successors(state: State, setting: Setting) -> Iterator[State]:
    """Every state one step away."""
    for me, one in enumerate(state):
        for outcome in outcomes(one, me, heard(state, me, setting), setting):
            yield (*state[:me], outcome, *state[me + 1 :])


# --- what must never happen -----------------------------------------------------------------------

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


# --- the exploration ------------------------------------------------------------------------------


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
