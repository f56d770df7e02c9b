"""A recipe leads to the same round everywhere, and its inputs add up to what it says."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import pytest

from secagg import protocols
from secagg.attestation import measure_installed
from secagg.errors import InputError
from secagg.protocol import Identities, Level, Task
from secagg.runner.recipe import Recipe, Staging, in_ring
from secagg.types import ENCLAVE, Ring, client

CLIENTS = tuple(client(number) for number in range(5))


def recipe(**changes: Any) -> Recipe:
    length, bound = changes.pop("length", 7), changes.pop("bound", 100)
    task = Task(clients=CLIENTS, length=length, bound=bound)
    given = Recipe("plain", task, bytes(32), 0, (), b"")
    return msgspec.structs.replace(given, **changes)


def signed(vector: Any, ring: Ring) -> list[int]:
    half = 1 << (ring.bits - 1)
    return [(int(value) + half) % (1 << ring.bits) - half for value in vector]


@pytest.mark.parametrize(("length", "bound"), [(1, 1), (2, 5), (7, 100), (70_000, (1 << 40) - 1)])
def test_inputs_stay_within_the_bound_and_reach_it(length: int, bound: int) -> None:
    staging = Staging(recipe(length=length, bound=bound))
    inputs = staging.inputs(CLIENTS)
    assert (len(inputs), tuple(inputs)) == (5, CLIENTS)
    for party in CLIENTS:
        staging.plan.check_input(inputs[party])
        values = signed(inputs[party], staging.plan.ring)
        assert len(values) == length
        assert values[-1] == -bound
        assert length == 1 or values[0] == bound
        assert all(-bound <= value <= bound for value in values)
    if length == 70_000:
        # Not one stream over again, and of both signs.
        assert len(set(values)) > 69_000
        assert 0.45 < np.mean(np.array(values) > 0) < 0.55


def test_the_sum_is_that_of_the_chosen_inputs() -> None:
    staging = Staging(recipe())
    inputs = staging.inputs(CLIENTS)
    ring = staging.plan.ring
    chosen = (client(0), client(3))
    expected = np.sum([signed(inputs[party], ring) for party in chosen], axis=0)
    total = staging.inputs(()).expected(chosen, inputs.given)
    assert signed(total, ring) == expected.tolist()
    assert signed(total, ring)[0] == 200
    assert inputs.given[client(3)] == hashlib.sha256(inputs[client(3)].tobytes()).digest()


def test_another_input_than_the_recipes_is_refused() -> None:
    staging = Staging(recipe())
    inputs = staging.inputs(CLIENTS)
    assert inputs[client(1)].any()
    with pytest.raises(InputError, match="client 2 was not given the input"):
        inputs.expected((client(1), client(2)), inputs.given)
    with pytest.raises(InputError, match="client 1 was not given the input"):
        inputs.expected((client(1),), {client(1): bytes(32)})


def test_every_input_depends_on_seed_session_and_client() -> None:
    one, other, later = (
        Staging(recipe(**changes)).inputs(CLIENTS)
        for changes in ({}, {"seed": b"\x01" * 32}, {"number": 1})
    )
    vectors = [one[client(0)], one[client(1)], other[client(0)], later[client(0)]]
    assert len({vector.tobytes() for vector in vectors}) == 4
    np.testing.assert_array_equal(one[client(1)], Staging(recipe()).inputs(())[client(1)])


@pytest.mark.parametrize("bits", [1, 16, 17, 33, 64])
def test_signed_integers_in_the_ring(bits: int) -> None:
    ring = Ring(bits)
    values = np.array([0, -1, (1 << (bits - 1)) - 1, -(1 << (bits - 1))], dtype=np.int64)
    got = in_ring(values, ring)
    assert got.dtype == ring.dtype
    assert got.tolist() == [value % (1 << bits) for value in values.tolist()]


@pytest.mark.parametrize("name", protocols.names())
def test_all_processes_derive_the_same_session_and_keys(name: str) -> None:
    """Two stagings stand for two processes: their parties say the same first words."""
    measurement = (
        measure_installed().value if protocols.get(name).at(Level.CURIOUS).identified else b""
    )
    stagings = [Staging(recipe(protocol=name, measurement=measurement)) for _ in range(2)]
    assert stagings[0].session.id == stagings[1].session.id
    other = Staging(recipe(protocol=name, measurement=measurement, number=1))
    assert other.session.id != stagings[0].session.id
    said = []
    for staging in (*stagings, other):
        (seat,) = staging.seats([CLIENTS[2]])
        said.append([seat.party.table.body(e.message) for e in sends(seat.party.start())])
    assert said[0] == said[1]
    assert said[0] != said[2] or not said[0]


def sends(effects: list[Any]) -> list[Any]:
    return [effect for effect in effects if hasattr(effect, "message")]


def test_identities_are_the_same_wherever_they_are_drawn() -> None:
    measurement = measure_installed().value
    staging = Staging(recipe(protocol="enclave", measurement=measurement))
    identities = Identities.drawn(staging.plan, staging.recipe.stream("identities"), measurement)
    assert staging.session.roster == identities.roster
    (seat,) = staging.seats([ENCLAVE])
    assert seat.identity is not None
    assert seat.identity.platform is not None
    assert seat.identity.platform.measurement == measurement


def test_losses_belong_to_their_clients() -> None:
    staging = Staging(recipe(lost=((client(3), 0), (client(1), 2))))
    lifetimes = {seat.me: seat.lifetime for seat in staging.seats(staging.plan.parties)}
    lost = {party: life for party, life in lifetimes.items() if life is not None}
    assert lost == {client(3): 0, client(1): 2}


def test_a_recipe_travels_unchanged() -> None:
    given = recipe(lost=((client(3), 0),), measurement=b"m" * 32)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(given), type=Recipe) == given
    for flaw in ({"seed": bytes(31)}, {"measurement": bytes(33)}):
        wrong = msgspec.msgpack.encode(msgspec.structs.replace(given, **flaw))
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(wrong, type=Recipe)
