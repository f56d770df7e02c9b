"""The rounds of level `malicious` on the complete graph as a small machine.

Read it in this order: `Rules` are the checks, `requests` is all that the server can make a client
do, `carry_out` is what a client does with its disk and its network, `successors` is one step of the
whole. In `exploration`, `violations` is what must never happen, and `explore` visits every state
that any server can bring about.

The server is the network. It may keep every message for ever, deliver any message that was ever
sent to anyone as often as it likes, tell every client something else, and kill and restart clients
whenever it wants. It cannot sign for honest clients or open what is sealed between them: so what it
can say is limited by what honest clients have sent, and by what the corrupt ones will sign, which
is everything. What it has seen it keeps, so leaving a message out is the same as being slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import combinations
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
