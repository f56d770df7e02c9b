"""A simulated round as a recipe: every process that takes part derives the same round from it.

Nothing of it is secret. A seed that travels and can be guessed makes keys that can be guessed: fit
for synthetic inputs, and for nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt

from secagg import protocols
from secagg.crypto.digest import digest, encode_party
from secagg.crypto.rng import SEED_BYTES, StreamRng
from secagg.errors import InputError
from secagg.protocol import (
    ClientPolicy,
    Identities,
    Plan,
    Protocol,
    Session,
    SimulatedBeacon,
    Task,
)
from secagg.runner.seat import Seat
from secagg.types import PartyId, Ring, RingVector

Word = Annotated[bytes, msgspec.Meta(min_length=SEED_BYTES, max_length=SEED_BYTES)]
Values = npt.NDArray[np.int64]

_STEP: Final = 1 << 16
"""Elements that are drawn at a time."""


class Recipe(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A round of synthetic inputs.

    Attributes:
        protocol: its name.
        task: with the clients and the bound on their inputs.
        seed: decides keys, nonces and inputs.
        number: of the session, from 0; each has keys and inputs of its own.
        lost: clients that vanish, with the number of messages that each still sends.
        measurement: of the SIMULATED enclave's code, where the protocol has one; else empty.
    """

    protocol: str
    task: Task
    seed: Word
    number: int
    lost: tuple[tuple[PartyId, int], ...]
    measurement: Annotated[bytes, msgspec.Meta(max_length=SEED_BYTES)]

    def stream(self, purpose: str, *parts: bytes) -> StreamRng:
        """The randomness of this round for one purpose."""
        number = self.number.to_bytes(8, "big")
        return StreamRng(digest(f"simulated {purpose}", self.seed, number, *parts))


class Staging:
    """A recipe, carried out as far as all processes must agree.

    Raises:
        ParameterError: no such protocol, or it refuses the task.
        UnavailableError: the protocol needs a package that is not installed.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.protocol: Protocol = protocols.get(recipe.protocol)
        self.plan: Plan = self.protocol.plan(recipe.task)
        identities = None
        if self.protocol.at(recipe.task.level).identified:
            draws = recipe.stream("identities")
            identities = Identities.drawn(self.plan, draws, recipe.measurement)
        self.session = Session.fresh(
            self.plan,
            recipe.stream("session"),
            job="simulation",
            training_round=recipe.number,
            roster=None if identities is None else identities.roster,
        )
        self._identities = identities

    @property
    def beacon(self) -> SimulatedBeacon | None:
        """The public randomness that all parties believe, where they are identified."""
        return None if self._identities is None else self._identities.beacon

    @property
    def largest_message(self) -> int:
        """Bytes of the largest message from or to a client, at most."""
        return max(self.protocol.traffic(self.plan))

    def seats(self, parties: Iterable[PartyId]) -> Iterator[Seat]:
        """Seats of some of the parties. Each draws from a stream of its own, wherever it lives."""
        policy = ClientPolicy.accepting(self.plan)
        lost = dict(self.recipe.lost)
        for party in parties:
            yield Seat(
                self.protocol,
                self.session,
                party,
                self.recipe.stream("party", encode_party(party)),
                policy,
                lost.get(party),
                set(),
                None if self._identities is None else self._identities.of.get(party),
            )

    def inputs(self, clients: Collection[PartyId]) -> SyntheticInputs:
        """The inputs of some of the clients."""
        return SyntheticInputs(self.recipe, self.plan.ring, clients)


class SyntheticInputs(Mapping[PartyId, RingVector]):
    """Integers within the bound, drawn anew from the recipe whenever they are asked for.

    The first is the bound and the last minus the bound, so that sums reach the ends of the ring.

    Attributes:
        given: SHA-256 of every vector that was asked for, by client.
    """

    def __init__(self, recipe: Recipe, ring: Ring, clients: Collection[PartyId]) -> None:
        self._recipe = recipe
        self._ring = ring
        self._clients = clients
        self.given: dict[PartyId, bytes] = {}

    def __getitem__(self, party: PartyId) -> RingVector:
        vector = in_ring(self._values(party), self._ring)
        self.given[party] = hashlib.sha256(vector.data).digest()
        return vector

    def __iter__(self) -> Iterator[PartyId]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)

    def expected(self, included: Iterable[PartyId], given: Mapping[PartyId, bytes]) -> RingVector:
        """The sum over these clients, in the ring: added up as plain integers, by no protocol.

        Args:
            included: the clients.
            given: SHA-256 of what each was given, wherever it lived.

        Raises:
            InputError: a client was given something else than its input.
        """
        total = np.zeros(self._recipe.task.length, dtype=np.int64)
        for party in included:
            values = self._values(party)
            if hashlib.sha256(in_ring(values, self._ring).data).digest() != given.get(party):
                raise InputError(f"{party} was not given the input that the recipe says")
            total += values
        return in_ring(total, self._ring)

    def _values(self, party: PartyId) -> Values:
        task = self._recipe.task
        stream = self._recipe.stream("input", encode_party(party))
        values = np.empty(task.length, dtype=np.int64)
        for begin in range(0, task.length, _STEP):
            part = values[begin : begin + _STEP]
            words = np.frombuffer(stream.bytes(8 * len(part)), dtype="<u8")
            part[:] = words % np.uint64(2 * task.bound + 1)
            part -= task.bound
        values[0], values[-1] = task.bound, -task.bound
        return values


def in_ring(values: Values, ring: Ring) -> RingVector:
    """Signed integers as elements of the ring."""
    return (values.view(np.uint64) & np.uint64(ring.mask)).astype(ring.dtype)
