"""Exchanges: what a grid does in the place of sending messages that are to be protected.

The clients are greeted, do their work and keep the results; a session adds them up; and each reply
is the mean.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from flwr.app import Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid

from secagg import __version__
from secagg.adapters.flower import words
from secagg.adapters.flower.decryptor import DecryptorLink
from secagg.adapters.flower.form import Form, in_words
from secagg.adapters.flower.post import Clock, Post
from secagg.adapters.flower.session import Conduct
from secagg.adapters.flower.settings import Settings
from secagg.crypto.rng import SystemRng
from secagg.endpoint import Invitation, Mean
from secagg.errors import (
    InputError,
    LocalProtocolError,
    ParameterError,
    RoundFailed,
    SecaggError,
)
from secagg.protocol import Level, Protocol, Roster
from secagg.types import PartyId, client

JOB_BYTES: Final = 8
_LOG: Final = logging.getLogger("secagg.flower")


@dataclass(frozen=True)
class Exchange:
    """What came of one protected exchange.

    Attributes:
        number: of the exchange, 1 and up.
        kind: the type of its messages.
        included: the nodes in the sum, ascending.
        left_out: the others, and why.
        weight: the examples in the sum.
    """

    number: int
    kind: str
    included: tuple[int, ...]
    left_out: dict[int, str] = field(default_factory=dict)
    weight: int = 0


class Exchanges:
    """The exchanges of one grid, one after the other: one job, to the clients' ledgers.

    Attributes:
        last: what came of the last one; None before the first.
    """

    def __init__(
        self,
        grid: Grid,
        protocol: Protocol,
        level: Level,
        settings: Settings,
        roster: Roster | None,
        decryptor: DecryptorLink | None,
        clock: Clock,
    ) -> None:
        """Nothing is sent yet."""
        self._grid = grid
        self._protocol = protocol
        self._level = level
        self._settings = settings
        self._roster = roster
        self._decryptor = decryptor
        self._clock = clock
        self._job = f"flower {SystemRng().bytes(JOB_BYTES).hex()}"
        self._numbers: dict[int, int] = {}
        self._known: dict[int, int] = {}
        self._exchanges = 0
        self.last: Exchange | None = None

    def hold(self, messages: list[Message], timeout: float | None) -> list[Message]:
        """One exchange: a reply to each message, the mean or an error.

        Args:
            messages: to different nodes, alike but for the node; at least one.
            timeout: seconds for the clients' own work.

        Raises:
            RoundFailed, ParameterError, InputError: as `SecureGrid.send_and_receive`.
        """
        by_node = _alike(messages)
        self._exchanges += 1
        kind = messages[0].metadata.message_type
        reasons: dict[int, str] = {}
        post = Post(self._grid, messages[0], self._clock)
        try:
            self._greet(by_node, post, reasons)
            forms, digest = self._work(by_node, post, timeout, reasons)
            form = _agreed(forms, reasons)
            nodes = {
                client(self._known[node]): node for node in sorted(forms) if node not in reasons
            }
            mean = self._add_up(form, digest, nodes, post, reasons)
        except (RoundFailed, InputError) as error:
            self._note(kind, (), by_node, reasons, 0)
            if self._settings.failed_rounds == "raise":
                raise
            _LOG.warning("exchange %d has no sum: %s", self._exchanges, error)
            return [_failed(m, reasons.get(n, in_words(error))) for n, m in by_node.items()]
        included = tuple(sorted(nodes[party] for party in mean.included))
        for node in by_node:
            if node not in included:
                reasons.setdefault(node, "it did not answer in time")
        self._note(kind, included, by_node, reasons, mean.weight)
        weights = _shared_out(mean.weight, len(included))
        contents = form.replies(mean.values, weights, self._settings.limits)
        by_included = dict(zip(included, contents, strict=True))
        return [
            Message(by_included[node], reply_to=message)
            if node in by_included
            else _failed(message, reasons[node])
            for node, message in by_node.items()
        ]

    def _greet(self, by_node: dict[int, Message], post: Post, reasons: dict[int, str]) -> None:
        """Whoever has not said it: has it the mod? No model is sent to a client that has not."""
        for node in by_node:
            if node in self._known:
                continue
            number = None
            if self._roster is None:
                number = self._numbers.setdefault(node, len(self._numbers))
            hello = words.Hello(__version__, self._job, self._protocol.name, self._level, number)
            post.put(node, words.pack(hello))
        for node, reply in post.collect(self._settings.phase_seconds):
            if reply.has_error():
                reasons[node] = (
                    f"{reply.error.reason} (if it has no mod: ClientApp(mods=[secagg_mod(...)]))"
                )
                continue
            try:
                word, _ = words.unpack(reply.content)
                if not isinstance(word, words.Welcome):
                    raise ParameterError(f"expected a Welcome, got {type(word).__name__}")
                if word.release != __version__:
                    raise ParameterError(
                        f"expected secagg {__version__} there as here, got {word.release}: install"
                        " the same release on the server and on every client"
                    )
                self._admit(node, word.number)
            except (SecaggError, ValueError) as error:
                reasons[node] = (
                    f"no answer of secagg's mod: {error} (ClientApp(mods=[secagg_mod(...)]))"
                )
        for node in by_node:
            if node not in self._known:
                reasons.setdefault(node, "it did not say hello in time")

    def _admit(self, node: int, number: int) -> None:
        if self._roster is not None:
            if client(number) not in self._roster.clients:
                raise ParameterError(f"client {number} is not in the roster")
            taken = {n: other for other, n in self._known.items()}
            if taken.get(number, node) != node:
                raise ParameterError(f"client {number} is node {taken[number]} already")
        elif number != self._numbers[node]:
            raise ParameterError(f"expected client {self._numbers[node]}, got client {number}")
        self._known[node] = number

    def _work(
        self,
        by_node: dict[int, Message],
        post: Post,
        timeout: float | None,
        reasons: dict[int, str],
    ) -> tuple[dict[int, Form], bytes]:
        """The forms of what the clients came to, and the digest of what they were sent."""
        word = words.Work(self._job, self._exchanges, *self._settings.limits)
        digest = b""
        for node, message in by_node.items():
            if node in reasons:
                continue
            # The same records in all of them, and never the strategy's own: it shares one.
            content = RecordDict(dict(message.content) | dict(words.pack(word)))
            digest = digest or words.digest_of(content)
            post.put(node, content)
        forms = {}
        for node, reply in post.collect(timeout):
            try:
                if reply.has_error():
                    raise RoundFailed(reply.error.reason or f"error {reply.error.code}")
                said, _ = words.unpack(reply.content)
                if not isinstance(said, words.Worked):
                    raise ParameterError(f"expected Worked, got {type(said).__name__}")
                forms[node] = said.form
            except (SecaggError, ValueError) as error:
                reasons[node] = str(error)
                # It may have been restarted: it is asked again who it is.
                self._known.pop(node, None)
        for node in by_node:
            if node not in forms:
                reasons.setdefault(node, "its work was not done in time")
        if not forms:
            first = next(iter(reasons.items()), None)
            raise RoundFailed(
                "no client has results"
                + ("" if first is None else f"; node {first[0]}: {first[1]}")
            )
        return forms, digest

    def _add_up(
        self,
        form: Form,
        digest: bytes,
        nodes: dict[PartyId, int],
        post: Post,
        reasons: dict[int, str],
    ) -> Mean:
        settings, layout = self._settings, form.layout
        nodes = dict(sorted(nodes.items(), key=lambda each: each[0].number))
        if len(nodes) < settings.min_clients:
            why = "; ".join(f"node {node}: {reason}" for node, reason in list(reasons.items())[:5])
            raise RoundFailed(
                f"expected results of at least {settings.min_clients} clients, got {len(nodes)}"
                + (f" ({why})" if why else "")
            )
        invitation = Invitation.fresh(
            self._protocol.name,
            settings.codec(layout.length),
            tuple(nodes),
            SystemRng(),
            model=digest,
            layout=layout,
            job=self._job,
            training_round=self._exchanges,
            roster=self._roster,
            level=self._level,
            min_clients=settings.min_clients,
            corrupt=settings.corrupt,
            dropout=settings.dropout,
            sigma=settings.sigma,
        )
        conduct = Conduct(
            invitation,
            nodes,
            post,
            self._clock,
            settings.phase_seconds,
            self._roster,
            self._decryptor,
        )
        try:
            return conduct.run()
        except LocalProtocolError:
            raise
        except SecaggError as error:
            # A client that cheats may end a round by another error, which names it.
            said = str(error) if isinstance(error, RoundFailed) else in_words(error)
            why = "; ".join(f"node {n}: {r}" for n, r in list(conduct.reasons.items())[:5])
            raise RoundFailed(said + (f" ({why})" if why else "")) from error
        finally:
            reasons |= conduct.refusals | conduct.reasons
            for node in conduct.reasons:
                self._known.pop(node, None)

    def _note(
        self,
        kind: str,
        included: tuple[int, ...],
        by_node: dict[int, Message],
        reasons: dict[int, str],
        weight: int,
    ) -> None:
        left_out = {node: reasons.get(node, "") for node in by_node if node not in included}
        for node, reason in left_out.items():
            _LOG.warning("exchange %d (%s): node %d: %s", self._exchanges, kind, node, reason)
        self.last = Exchange(self._exchanges, kind, included, left_out, weight)


def _alike(messages: list[Message]) -> dict[int, Message]:
    """By node.

    Raises:
        InputError: a node twice, or contents or types that differ: one sum is over one model.
    """
    by_node = {message.metadata.dst_node_id: message for message in messages}
    if len(by_node) != len(messages):
        raise InputError("expected one message to a node, got two")
    types = {message.metadata.message_type for message in messages}
    first = messages[0].content
    digests = {words.digest_of(m.content) for m in messages if m.content is not first}
    if len(types) > 1 or len(digests | {words.digest_of(first)}) > 1:
        raise InputError(
            "the messages of one exchange differ: a sum is over clients that were sent the same"
            " model and configuration"
        )
    if words.RECORD in first or words.FRAMES in first:
        raise InputError(f"records {words.RECORD!r} and {words.FRAMES!r} are secagg's own")
    return by_node


def _agreed(forms: dict[int, Form], reasons: dict[int, str]) -> Form:
    """The form that most clients have; the others are left out, and told how they differ."""
    form, _ = Counter(forms[node] for node in sorted(forms)).most_common(1)[0]
    for node, other in forms.items():
        if difference := form.differs(other):
            reasons[node] = f"its results differ from those of most clients: {difference}"
    return form


def _shared_out(weight: int, count: int) -> list[int]:
    """Whole numbers that add up to the weight, as equal as can be."""
    share, rest = divmod(weight, count)
    return [share + (place < rest) for place in range(count)]


def _failed(message: Message, reason: str) -> Message:
    return Message(Error(ErrorCode.MOD_FAILED_PRECONDITION, reason), reply_to=message)
