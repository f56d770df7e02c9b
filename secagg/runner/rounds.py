"""Simulated rounds, each with its sum checked.

The expected sum is added up here from the recipe, as plain integers over the clients that are said
to be included; those must be exactly the clients whose vectors were sent.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from itertools import cycle
from typing import Any, TypeAlias

import msgspec
import numpy as np

from secagg import protocols
from secagg.attestation import measure_installed
from secagg.crypto.rng import SEED_BYTES, uniform_below
from secagg.errors import InputError, ParameterError
from secagg.protocol import DONE as ENDED
from secagg.protocol import Exactness, Level, Plan, Protocol
from secagg.runner import resident
from secagg.runner.crew import launched
from secagg.runner.crowd import Played, play
from secagg.runner.outcome import Outcome
from secagg.runner.recipe import Recipe
from secagg.runner.results import ABORTED, SPREAD, WRONG, Row, Settings, Simulation
from secagg.types import PartyId, Ring, RingVector, Role

Notify: TypeAlias = Callable[[int, str, int], None]
"""Called with the session, the name of a message, and how many of them have come."""


def simulate(settings: Settings, notify: Notify = lambda *_: None) -> Simulation:
    """Run the sessions.

    Raises:
        ParameterError: the protocol refuses the task, or its clients have no such phase.
        UnavailableError: the protocol needs a package that is not installed.
        WorkerLost: a worker died, hung or spoke nonsense.
    """
    protocol, task = protocols.get(settings.protocol), settings.task
    plan = protocol.plan(task)
    after = lost_after(protocol, task.level, settings.lost_at)
    seed = settings.seed.to_bytes(SEED_BYTES, "big")
    measurement = measure_installed().value if protocol.at(task.level).identified else b""
    start = resident.resident_bytes()
    rows = []
    with launched(min(settings.workers, settings.clients)) as crew:
        for session in range(settings.sessions):
            recipe = Recipe(settings.protocol, task, seed, session, (), measurement)
            lost = dict(zip(choose(recipe, settings.lost), cycle(after), strict=False))
            recipe = msgspec.structs.replace(recipe, lost=tuple(lost.items()))
            played = play(recipe, crew, settings.threads, partial(notify, session))
            rows.append(judged(played, start))
    return Simulation(
        plan=dict(plan.describe()),
        planned_dropouts=plan.dropouts,
        start_bytes=start,
        rows=rows,
    )


def lost_after(protocol: Protocol, level: Level, phase: str) -> list[int]:
    """How many messages the clients that vanish still send, one after the other.

    A client that vanishes in a phase does not send the message of that phase, or, in a silent one,
    the next; where there are more phases than messages, it does not send its last.

    Raises:
        ParameterError: the protocol's clients have no such phase.
    """
    offering = protocol.at(level)
    steps = sum(message.SENDER is Role.CLIENT for message in offering.messages)
    if phase == SPREAD:
        return list(range(steps))
    role = offering.roles[Role.CLIENT]
    phases = role.phases
    if phase not in phases:
        raise ParameterError(
            f"a client of {protocol.name} goes through {', '.join(phases)}, or vanishes in phases"
            f" that are {SPREAD}; got {phase!r}"
        )
    before = phases[: phases.index(phase)]
    return [min(sum(one not in role.silent for one in before), steps - 1)]


def choose(recipe: Recipe, count: int) -> list[PartyId]:
    """So many of the clients, at random."""
    clients, draws = list(recipe.task.clients), recipe.stream("losses")
    for place in range(count):
        other = place + uniform_below(draws, len(clients) - place)
        clients[place], clients[other] = clients[other], clients[place]
    return clients[:count]


def judged(played: Played, start_bytes: int) -> Row:
    """What is to be said of a round."""
    staging, outcome = played.staging, played.outcome
    plan, lost = staging.plan, dict(staging.recipe.lost)
    exactness = staging.protocol.guarantees(plan.task.level).exactness
    cpu: dict[str, float] = {}
    for party, report in outcome.parties.items():
        if party.role is not Role.CLIENT:
            role = party.role.name.lower()
            cpu[role] = cpu.get(role, 0.0) + report.cpu_seconds
    # The first that is no client adds the vectors.
    adds = next(party for party in plan.parties if party.role is not Role.CLIENT)
    row = Row(
        session=staging.recipe.number,
        lost=len(lost),
        included=len(outcome.included),
        lost_but_included=len(lost.keys() & set(outcome.included)),
        claims_exact=exactness is Exactness.EXACT,
        error_bound=plan.error_bound,
        wall_seconds=played.wall_seconds,
        server_cpu_seconds=cpu.pop(adds.role.name.lower()),
        role_cpu_seconds=cpu,
        server_peak_bytes=played.peak_bytes,
        server_growth_bytes=played.peak_bytes - start_bytes,
        worker_peak_bytes=played.worker_peak_bytes,
        **_of_clients(played),
    )
    return msgspec.structs.replace(row, **_verdict(played))


def largest_error(total: RingVector, expected: RingVector, ring: Ring) -> int:
    """The largest difference of two elements, as signed numbers."""
    mask = ring.dtype.type(ring.mask)
    return int(np.minimum((total - expected) & mask, (expected - total) & mask).max())


def _verdict(played: Played) -> dict[str, Any]:
    """The fields of a row that say whether all is right."""
    staging, outcome = played.staging, played.outcome
    plan, lost = staging.plan, dict(staging.recipe.lost)
    if outcome.accused:
        culprit, why = outcome.accused[0]
        return {"status": WRONG, "reason": f"an honest party was accused: {culprit}: {why}"}
    if outcome.total is None:
        beyond = len(lost) > plan.dropouts
        return {
            "status": ABORTED if beyond else WRONG,
            "reason": outcome.failure or "no party released a sum",
        }
    delivered = _delivered(staging.protocol, plan, lost)
    if outcome.included != delivered:
        strange = sorted(set(outcome.included) ^ set(delivered))
        return {"status": WRONG, "reason": f"not the clients that sent vectors: {strange[0]}"}
    stranded = [
        party for party in plan.task.clients if party not in lost and not _ended(outcome, party)
    ]
    if stranded:
        failure = outcome.parties[stranded[0]].failure
        return {"status": WRONG, "reason": f"{stranded[0]} stayed and did not finish: {failure}"}
    try:
        expected = staging.inputs(()).expected(outcome.included, played.given)
    except InputError as mistake:
        return {"status": WRONG, "reason": str(mistake)}
    error = largest_error(outcome.total, expected, plan.ring)
    facts: dict[str, Any] = {
        "exact": error == 0,
        "max_error": error,
        "sum_sha256": hashlib.sha256(outcome.total.data).hexdigest(),
    }
    if error > plan.error_bound:
        facts |= {
            "status": WRONG,
            "reason": f"off by {error}, at most {plan.error_bound} is promised",
        }
    return facts


def _delivered(protocol: Protocol, plan: Plan, lost: Mapping[PartyId, int]) -> tuple[PartyId, ...]:
    """The clients whose vectors are sent: the one message of a client with a tail."""
    messages = protocol.at(plan.task.level).messages
    sent = [message for message in messages if message.SENDER is Role.CLIENT]
    place = next(at for at, message in enumerate(sent) if "tail" in message.__struct_fields__)
    return tuple(party for party in plan.task.clients if lost.get(party, place + 1) > place)


def _ended(outcome: Outcome, party: PartyId) -> bool:
    return outcome.parties[party].phase == ENDED


def _of_clients(played: Played) -> dict[str, Any]:
    """The fields of a row about the clients that finished."""
    lost = dict(played.staging.recipe.lost)
    reports = [
        report
        for party, report in played.outcome.parties.items()
        if party.role is Role.CLIENT and party not in lost and _ended(played.outcome, party)
    ]
    if not reports:
        return {}
    return {
        "client_cpu_seconds_median": statistics.median(r.cpu_seconds for r in reports),
        "client_cpu_seconds_max": max(r.cpu_seconds for r in reports),
        "bytes_up": statistics.median(r.sent for r in reports),
        "bytes_down": statistics.median(r.received for r in reports),
    }
