"""The comparison of protocols: one training, whose updates go through every one of them.

Every protocol gets the same updates of the same clients in the same codec and loses the same
clients, so differences are the protocols' alone. The clients train on the mean in double precision
over those that stay, whatever the protocols make of it. Above level `curious` a protocol that
offers more there is run at `curious` as well, so that the two can be compared.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec
import numpy as np

from fl import sampling
from fl.contender import Contender, Offer, RoundRecord, client_steps, without_sum
from fl.isolated import IsolatedRole
from fl.results import (
    ABORTED,
    NOT_OFFERED,
    REFUSED,
    UNAVAILABLE,
    WRONG,
    Average,
    Comparison,
    Learned,
    Row,
    Settings,
)
from fl.workload import RandomVectors, Training, Vector, Workload
from secagg import protocols
from secagg.codec import Codec
from secagg.errors import ParameterError, UnavailableError
from secagg.he import workers
from secagg.protocol import (
    Adversary,
    Collusion,
    Evidence,
    Guarantees,
    Level,
    Plan,
    Protocol,
    Task,
    model_digest,
)
from secagg.types import Ring, client

CLIP: Final = 2.0
"""The bound on a coordinate of an update; the data sets here stay far below it."""

SPLITS: Final = {"opt": 10}
"""Data so small that one split says little, with the number of splits to average over."""

Notify: TypeAlias = Callable[[str], None]
"""Called before each of `steps` steps with what it is."""


def compare(settings: Settings, notify: Notify = lambda _: None) -> Comparison:
    """Train and aggregate; `Row` says what comes out.

    Raises:
        ParameterError: settings that no protocol could follow, or an unknown protocol.
        UnavailableError: the data or a package for training is missing.
        InputError: a training diverged.
    """
    with ExitStack() as processes:
        return _compare(settings, notify, processes)


def steps(settings: Settings) -> int:
    """How many steps of progress the comparison reports."""
    return settings.splits * settings.rounds * (1 + len(_contestants(settings)))


def _contestants(settings: Settings) -> list[tuple[str, Level]]:
    """Every protocol at the level asked for, and at `curious` if it offers less there."""
    chosen = []
    for name in settings.protocols:
        chosen.append((name, settings.level))
        try:
            levels = protocols.get(name).levels
        except UnavailableError:
            continue
        here = levels.get(settings.level)
        if here is None or (here.guarantees.experimental and not settings.experimental):
            continue
        if levels.get(Level.CURIOUS) != here:
            chosen.append((name, Level.CURIOUS))
    return chosen


def _compare(settings: Settings, notify: Notify, processes: ExitStack) -> Comparison:
    entries = [
        _Entry(name, level, settings.experimental, processes)
        for name, level in _contestants(settings)
    ]
    federated: list[float | None] = []
    pooled: list[float | None] = []
    first: Workload | None = None
    # Only homomorphic protocols use worker processes; nothing starts before one does.
    several = workers.processes(settings.workers) if settings.workers > 1 else nullcontext()
    with several:
        for seed in settings.seeds:
            workload = _workload(settings, seed)
            first = first or workload
            pooled.append(workload.pooled)
            federated.append(_run_split(settings, seed, workload, entries, notify))
    assert first is not None  # noqa: S101
    lost = lost_count(settings.lose, first.clients)
    for entry in entries:
        entry.summarise(settings.splits, first.length, lost)
    return Comparison(
        data=first.source,
        training=Learned(
            clients=first.clients,
            length=first.length,
            lost=lost,
            metric=first.metric,
            federated=_mean(federated),
            federated_by_split=_known(federated),
            pooled=_mean(pooled),
            pooled_by_split=_known(pooled),
        ),
        rows=[entry.row for entry in entries],
    )


def lost_count(fraction: Decimal, clients: int) -> int:
    """How many clients vanish: the fraction of them, rounded down."""
    return int(fraction * clients)


def choose_lost(count: int, clients: int, seed: int, training_round: int) -> list[int]:
    """The clients that vanish in a round, in the order in which the phases are dealt to them."""
    draws = sampling.stream("lost", seed, training_round)
    return [int(number) for number in sampling.permutation(draws, clients)[:count]]


def trusts(guarantees: Guarantees, plan: Plan) -> str:
    """Whom the users of this protocol must trust, in words."""
    server = {
        Adversary.TRUSTED_SERVER: "the server, with every input",
        Adversary.CURIOUS_SERVER: "the server to follow the protocol",
        Adversary.LYING_SERVER: "no server",
    }.get(guarantees.adversary, guarantees.adversary.meaning)
    words = [server]
    if guarantees.adversary is not Adversary.TRUSTED_SERVER:
        if guarantees.collusion is Collusion.NOBODY or not plan.corrupt:
            words.append("nobody to collude")
        else:
            words.append(f"at most {_plural(plan.corrupt, 'client')} to collude")
        if guarantees.evidence is not Evidence.PROVED:
            words.append(guarantees.evidence.meaning)
    return "; ".join(words)


def describe(guarantees: Guarantees) -> dict[str, str]:
    """Every promise by kind, in words, with its source."""
    kinds = ("adversary", "collusion", "dropouts", "exactness", "validity", "evidence")
    return {kind: getattr(guarantees, kind).meaning for kind in kinds} | {
        "source": guarantees.source
    }


class _Entry:
    """One protocol at one level over all splits.

    Its isolated role, if any, is in one process for all of them.
    """

    def __init__(self, name: str, level: Level, experimental: bool, processes: ExitStack) -> None:
        self.row = Row(protocol=name, level=level)
        self.protocol: Protocol | None = None
        self.contender: Contender | None = None
        self._processes = processes
        self._isolated: IsolatedRole | None = None
        self._differences: list[float] = []
        self._from_staying: list[float] = []
        try:
            self.protocol = protocols.get(name)
        except UnavailableError as error:
            self.row.status, self.row.reason = UNAVAILABLE, str(error)
        else:
            self.row.title = self.protocol.title
            if level not in self.protocol.levels:
                offered = ", ".join(self.protocol.levels)
                self.row.status, self.row.reason = NOT_OFFERED, f"it offers level {offered}"
            elif self.protocol.guarantees(level).experimental and not experimental:
                self.row.status = NOT_OFFERED
                self.row.reason = f"experimental at level {level}: name it with --protocols"

    @property
    def name(self) -> str:
        """The protocol, with the level if that is not the plainest."""
        level = self.row.level
        return self.row.protocol if level is Level.CURIOUS else f"{self.row.protocol} {level}"

    def enter(self, task: Task, start: Vector) -> None:
        """Plan for a split, unless the protocol is out already."""
        self.contender = None
        if self.protocol is None or self.row.status in (REFUSED, NOT_OFFERED, UNAVAILABLE):
            return
        task = msgspec.structs.replace(task, level=self.row.level)
        try:
            contender = Contender(self.protocol, task, start)
            if self.protocol.isolated and self._isolated is None:
                self._isolated = IsolatedRole(self._processes)
        except ParameterError as error:
            self.row.status, self.row.reason = REFUSED, str(error)
            return
        except UnavailableError as error:
            self.row.status, self.row.reason = UNAVAILABLE, str(error)
            return
        self.contender = contender
        guarantees = self.protocol.guarantees(task.level)
        self.row.plan = dict(self.contender.plan.describe())
        self.row.guarantees = describe(guarantees)
        self.row.trusts = trusts(guarantees, self.contender.plan)
        self.row.claims_exact = self.contender.claims_exact
        self.row.planned_dropouts = self.contender.plan.dropouts

    def play(self, offer: Offer) -> None:
        """One round."""
        if self.contender is None:
            return
        draws = sampling.stream(f"run {self.name}", offer.seed, offer.training_round)
        try:
            host = None if self._isolated is None else self._isolated.host
        except UnavailableError as error:
            record = without_sum(offer, str(error))
        else:
            record = self.contender.play(offer, draws, host)
        self.row.rounds.append(record)

    def evaluate(self, workload: Workload, baseline: float | None) -> None:
        """After the last round of a split; a model that missed a round is not the protocol's."""
        if self.contender is None or any(record.failure for record in self.row.rounds):
            return
        metric = workload.evaluate(self.contender.model)
        shadow = workload.evaluate(self.contender.shadow)
        if metric is not None and shadow is not None and baseline is not None:
            self.row.metric_by_split.append(metric)
            self._differences.append(metric - shadow)
            self._from_staying.append(metric - baseline)

    def summarise(self, splits: int, length: int, lost: int) -> None:
        """Fill the row from its rounds."""
        row = self.row
        if self._isolated is not None:
            row.isolation = self._isolated.description
        if self.protocol is not None and row.status != NOT_OFFERED:
            messages = client_steps(self.protocol, row.level)
            row.lost_after = [len(range(after, lost, messages)) for after in range(messages)]
        done = [record for record in row.rounds if record.failure is None]
        row.rounds_done = len(done)
        if done:
            _summarise_rounds(row, done, length)
        failed = [record for record in row.rounds if record.failure is not None]
        if failed:
            row.status = ABORTED
            row.reason = f"{len(failed)} of {len(row.rounds)} rounds: {failed[0].failure}"
        elif len(row.metric_by_split) == splits:
            row.metric = _mean(row.metric_by_split)
            row.difference = _mean(self._differences)
            row.difference_from_staying = _mean(self._from_staying)
        accused = [text for record in done for text in record.accused]
        if accused:
            row.status, row.reason = WRONG, f"an honest party was accused: {accused[0]}"
        if row.claims_exact and row.exact is False:
            row.status, row.reason = WRONG, "it promises exact sums and gave others"


def _run_split(
    settings: Settings, seed: int, workload: Workload, entries: Sequence[_Entry], notify: Notify
) -> float | None:
    """Train once; returns the metric of averaging in double precision."""
    codec = Codec(length=workload.length, clip=CLIP, max_weight=workload.max_weight)
    task = Task(
        clients=tuple(client(number) for number in range(workload.clients)),
        length=codec.vector_length,
        bound=codec.bound,
        corrupt=settings.corrupt,
        dropout=settings.dropout,
    )
    for entry in entries:
        entry.enter(task, workload.start())
    if all(entry.contender is None for entry in entries):
        return None
    ring = Ring.for_sum(workload.clients, codec.bound)
    lost = lost_count(settings.lose, workload.clients)
    current, baseline = workload.start(), workload.start()
    for training_round in range(settings.rounds):
        where = f"seed {seed}, round {training_round + 1} of {settings.rounds}"
        notify(f"{where}: training")
        offer = Offer(
            seed=seed,
            training_round=training_round,
            contributions=workload.contributions(training_round),
            losses=choose_lost(lost, workload.clients, seed, training_round),
            codec=codec,
            model_digest=_model_digest(current, workload.recipe),
        )
        for entry in entries:
            notify(f"{where}: {entry.name}")
            entry.play(offer)
        mean = offer.float_mean(offer.staying)
        current = current + mean
        baseline = baseline + offer.exact_mean(offer.staying, ring)
        workload.advance(mean)
    metric = workload.evaluate(baseline)
    for entry in entries:
        entry.evaluate(workload, metric)
    return workload.evaluate(current)


def _workload(settings: Settings, seed: int) -> Workload:
    if settings.length is not None:
        return RandomVectors(settings.length, settings.clients, seed)
    return Training(settings.data, settings.clients, seed)


def _model_digest(model: Vector, recipe: str) -> bytes:
    return model_digest(np.ascontiguousarray(model, "<f8").tobytes(), recipe.encode())


def _summarise_rounds(row: Row, done: Sequence[RoundRecord], length: int) -> None:
    row.exact = all(record.exact for record in done)
    row.max_error = max(_known([record.max_error for record in done]))
    row.error_bound = max(_known([record.error_bound for record in done]))
    row.saturated = sum(record.saturated for record in done)
    row.client_cpu_seconds = _average([record.client_cpu_seconds for record in done])
    row.server_cpu_seconds = _average([record.server_cpu_seconds for record in done])
    for role in sorted({role for record in done for role in record.role_cpu_seconds}):
        average = _average([record.role_cpu_seconds.get(role) for record in done])
        if average is not None:
            row.role_cpu_seconds[role] = average
    row.bytes_up = _mean([record.bytes_up for record in done])
    row.bytes_down = _mean([record.bytes_down for record in done])
    row.expansion = None if row.bytes_up is None else row.bytes_up / (4 * length)
    row.survived_dropouts = max(record.lost for record in done)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return statistics.fmean(known) if known else None


def _average(values: Sequence[float | None]) -> Average | None:
    known = _known(values)
    return Average(statistics.fmean(known), statistics.pstdev(known)) if known else None


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
