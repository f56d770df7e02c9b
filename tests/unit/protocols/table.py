"""All parties of one session at one table: every message waits until the test hands it over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import pytest
from conformance.scenario import Offered, Scenario

from secagg.errors import DecodeError, LocalProtocolError, RemoteProtocolError
from secagg.protocol import (
    FAILED,
    Accuse,
    BeaconHead,
    BeaconValue,
    Deadline,
    Done,
    Effect,
    Fail,
    Input,
    Party,
    Send,
)
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.server import AuthenticatedServer
from secagg.types import SERVER, PartyId, RingVector, client
from secagg.wire import Envelope, Message

_M = TypeVar("_M", bound=Message)

TASK = {"corrupt": "0.1", "dropout": "0.2"}
"""Of five clients one may be corrupt and one may vanish: threshold and minimum are four."""


@dataclass
class Waiting:
    """A message that was sent and not yet handed over."""

    message: Any
    sender: PartyId
    recipient: PartyId


class Table:
    """The parties, what they said, and what came of it.

    Attributes:
        waiting: what was sent and not handed over, oldest first.
        accused: whom the server named, with the error.
        failures: of each party that failed, how.
        total: the sum, once there is one.
        included: over whom.
        refused: what could not even be opened.
        beacon_round: the newest of the SIMULATED beacon.
        relay: what arrives in place of a message; everything, as it was, by default.
    """

    def __init__(
        self,
        name: str | Offered = "secagg-malicious",
        count: int = 5,
        seed: int = 1,
        **task: Any,
    ) -> None:
        offered = Offered.named(name) if isinstance(name, str) else name
        self.scenario = Scenario(offered, count, {**TASK, **task}, seed)
        self.parties: dict[PartyId, Party] = {
            who: self.scenario.party(who) for who in self.scenario.plan.parties
        }
        self.waiting: list[Waiting] = []
        self.accused: list[tuple[PartyId, Exception]] = []
        self.failures: dict[PartyId, Fail] = {}
        self.total: RingVector | None = None
        self.included: tuple[PartyId, ...] = ()
        self.refused: list[Exception] = []
        self.beacon_round = 1
        self.relay: Callable[[Waiting], Iterable[Waiting]] = lambda one: (one,)
        self._parked: list[Waiting] = []

    @property
    def plan(self) -> Any:
        return self.scenario.plan

    @property
    def server(self) -> AuthenticatedServer:
        party = self.parties[SERVER]
        assert isinstance(party, AuthenticatedServer)
        return party

    def client(self, number: int) -> AuthenticatedClient:
        party = self.parties[client(number)]
        assert isinstance(party, AuthenticatedClient)
        return party

    def sign(self, number: int, context: str, statement: bytes) -> bytes:
        """What only this client can sign: for tests in which it is corrupt."""
        return self.client(number).signing_key.sign(context, statement)

    def start(self, but: Iterable[int] = ()) -> Table:
        """Start everybody, but those that never come, and give the inputs."""
        absent = {client(number) for number in but}
        for who, party in self.parties.items():
            if who not in absent:
                self._act(who, party.start())
        for who, vector in self.scenario.inputs.items():
            if who not in absent:
                self._act(who, self.parties[who].handle(Input(vector), who))
        return self

    def until(self, kind: type[Message]) -> Table:
        """Hand over everything before the messages of this kind, until all of these wait."""
        while not any(type(one.message) is kind for one in self.waiting):
            if self.waiting:
                self.hand_over()
            else:
                self.expire()
        return self

    def take(self, kind: type[_M], number: int) -> _M:
        """Take the one waiting message of this kind from or to a client off the table."""
        (found,) = [
            one
            for one in self.waiting
            if type(one.message) is kind and client(number) in (one.sender, one.recipient)
        ]
        self.waiting.remove(found)
        message: _M = found.message
        return message

    def drop(self, kind: type[Message], *numbers: int) -> Table:
        """These clients' messages of this kind never arrive."""
        for number in numbers:
            self.take(kind, number)
        return self

    def hand_over(self, which: Callable[[Waiting], bool] = lambda one: True) -> None:
        """Deliver all that waits now and is meant."""
        now = [one for one in self.waiting if which(one)]
        self.waiting = [one for one in self.waiting if one not in now]
        for one in now:
            self.deliver(one.message, one.sender, one.recipient)

    def deliver(self, message: Message, sender: PartyId, recipient: PartyId) -> list[Effect]:
        """Hand one message over; what came of it at once, but for what is to be remembered."""
        party = self.parties[recipient]
        envelope = Envelope(self.scenario.session.id, sender, recipient, message)
        try:
            message = party.open(party.table.encode(envelope), sender)
        except DecodeError as error:
            self.refused.append(error)
            return []
        fate = party.when(message, sender)
        if fate == "early":
            self._parked.append(Waiting(message, sender, recipient))
        if fate != "now":
            return []
        effects = self._act(recipient, party.handle(message, sender))
        self.waiting[:0], self._parked = self._parked, []
        return effects

    def expire(self) -> list[Effect]:
        """The server waits no longer."""
        return self._act(SERVER, self.server.handle(Deadline(self.server.phase), SERVER))

    def finish(self) -> Table:
        """Deliver everything, and let deadlines pass until the server has ended."""
        while not self.server.ended:
            if self.waiting:
                self.hand_over()
            else:
                self.expire()
        return self

    def check_sum(self, *numbers: int) -> None:
        """The sum is over exactly these clients, and exact."""
        assert self.failures.get(SERVER) is None, self.failures[SERVER].reason
        assert self.included == tuple(client(number) for number in numbers)
        assert self.total is not None
        assert (self.total == self.scenario.expected(self.included)).all()

    def _act(self, who: PartyId, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            match effect:
                case Send(to=to, message=message):
                    assert who not in self.failures
                    self.waiting += self.relay(Waiting(message, who, to))
                case Accuse(culprit=culprit, error=error):
                    self.accused.append((culprit, error))
                case Fail():
                    self.failures[who] = effect
                case Done(total=total, included=included) if total is not None:
                    self.total, self.included = total, included
        known = [effect for effect in effects if isinstance(effect, Send | Accuse | Fail | Done)]
        return known + self._read_beacon(self.parties[who])

    def _read_beacon(self, party: Party) -> list[Effect]:
        """Give the party what it wants of the beacon; a round passes when its value is read."""
        assert self.scenario.identities is not None
        beacon = self.scenario.identities.beacon
        assert beacon is not None
        if party.wants(BeaconHead):
            return self._act(party.me, party.handle(BeaconHead(self.beacon_round), party.me))
        if party.wants(BeaconValue):
            number = party.beacon_round
            self.beacon_round = max(self.beacon_round, number)
            value = BeaconValue(number, beacon.value(number))
            return self._act(party.me, party.handle(value, party.me))
        return []


def changed(message: _M, **fields: bytes) -> _M:
    """The message with other fields."""
    values = {name: getattr(message, name) for name in message.__struct_fields__}
    assert fields.keys() <= values.keys()
    return type(message)(**{**values, **fields})


def flipped(data: bytes, place: int = 0) -> bytes:
    """One bit changed, in the byte at this place."""
    bits = bytearray(data)
    bits[place] ^= 1
    return bytes(bits)


def replaced(column: bytes, size: int, place: int, row: bytes) -> bytes:
    """A column with another row at this place."""
    assert len(row) == size
    assert 0 <= place < len(column) // size
    return column[: size * place] + row + column[size * (place + 1) :]


def bits(table: Table, *numbers: int) -> bytes:
    return encode_bitmap(table.plan.task.clients, numbers)


def refuse(
    table: Table,
    message: Message,
    error: type[RemoteProtocolError],
    words: str,
    culprit: PartyId = SERVER,
) -> None:
    """Client 0 refuses this message, names who is to blame, and is no more."""
    party = table.client(0)
    assert party._drawn is not None
    keyring = party._drawn
    held = [keyring.mask_seed, keyring.self_seed, party._seed]
    held += [*keyring._channels.values(), *party._openings.values()]
    assert all(held)
    (fail,) = table.deliver(message, SERVER, party.me)
    assert isinstance(fail, Fail)
    assert type(fail.error) is error, fail.error
    assert fail.error.culprit == culprit
    assert words in fail.reason
    # Nothing is left to send, nor to send it with.
    assert party.phase == FAILED
    assert not any(held)
    assert not party._openings
    assert not keyring._channels
    assert not hasattr(keyring, "_mask_key")
    assert not hasattr(keyring, "_channel_key")
    assert party._input is None
    assert not table.deliver(message, SERVER, party.me)
    assert party.when(Deadline("agree"), party.me) == "late"
    with pytest.raises(LocalProtocolError):
        party.handle(message, SERVER)


def assert_refused(table: Table, message: Message, error: type, words: str, who: int = 2) -> None:
    """The server ignores it and names its sender."""
    phase = table.server.phase
    (accusation,) = table.deliver(message, client(who), SERVER)
    assert isinstance(accusation, Accuse)
    assert accusation.culprit == client(who)
    assert type(accusation.error) is error, accusation.error
    assert isinstance(accusation.error, RemoteProtocolError)
    assert accusation.error.culprit == client(who)
    assert words in accusation.error.reason, accusation.error.reason
    assert table.server.phase == phase


Case: TypeAlias = tuple[Callable[[Table, Any], Message], type[RemoteProtocolError], str]
"""How a message is changed, the error by which it is refused, and what that says."""
