"""The client's side: a mod that lets nothing out but what a session of its own protects.

It stands between Flower and the app's functions. `Work` runs the app's function and keeps what
comes of it; `Step` takes the kept results into a session, and that session further. Everything else
that would make the app train or evaluate is refused.
"""

from __future__ import annotations

import copy
import time
from contextlib import ExitStack
from hashlib import sha256
from typing import Final

import msgspec
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable
from flwr.common.constant import ErrorCode

from secagg import __version__, protocols
from secagg.adapters.flower import node, words
from secagg.adapters.flower.form import Limits, in_words, results_of
from secagg.adapters.flower.settings import require_messages_alone
from secagg.adapters.flower.state import ClientState, FolderState, RecordState, Results
from secagg.crypto.digest import encode_party
from secagg.endpoint import ClientEndpoint, Outgoing
from secagg.endpoint.invitation import Tensor
from secagg.errors import (
    DecodeError,
    ParameterError,
    PolicyError,
    RoundFailed,
    SecaggError,
)
from secagg.ledger import Ledger, Owner
from secagg.protocol import Adversary, ClientPolicy, Collusion, Identity, Level
from secagg.types import SERVER, PartyId, Role, client

PATIENCE_SECONDS: Final = 1e9
"""A client is made anew for every message, so that it cannot measure how long it waits: that is
Flower's to do, by the time to live of its messages."""


def secagg_mod(
    protocol: str = "secagg",
    level: Level | str = Level.CURIOUS,
    *,
    policy: ClientPolicy | None = None,
) -> SecaggMod:
    """A mod for `ClientApp(mods=[...])`.

    Args:
        protocol: the one that this client takes part in.
        level: the server that must be withstood.
        policy: what the client demands; by default the level, this protocol and nothing less, three
            clients, and one that colludes where the protocol withstands any. At level `malicious`
            the authority is the node's own, whatever the policy says.

    Raises:
        ParameterError: no such protocol, or not at this level.
    """
    return SecaggMod(protocol, Level(level), policy)


class SecaggMod:
    """A client's mod. Use `secagg_mod`."""

    def __init__(self, protocol: str, level: Level, policy: ClientPolicy | None) -> None:
        self._protocol = protocols.get(protocol)
        self._level = level
        require_messages_alone(self._protocol, level)
        offering = self._protocol.at(level)
        self._restorable = offering.roles[Role.CLIENT].restorable
        claims = offering.guarantees
        self._policy = policy or ClientPolicy(
            corrupt=0 if claims.collusion is Collusion.NOBODY else 1,
            protocols=frozenset({protocol}),
            trusted_server=claims.adversary is Adversary.TRUSTED_SERVER,
        )

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        """Flower's `Mod`.

        Raises:
            PolicyError: a message that would send this client's results in the clear.
            DecodeError, ParameterError: words that are not understood, or of another release.
        """
        kind = message.metadata.message_type.split(".")[0]
        spoken = words.RECORD in message.content
        if kind not in words.PROTECTED:
            if spoken:
                raise DecodeError(f"a word of secagg in a {kind!r} message, where none belongs")
            return call_next(message, context)
        if not spoken:
            raise PolicyError(
                "grid",
                "an exchange that a SecureGrid protects",
                f"a plain {kind!r} message (on the server: SecureGrid(grid, ...))",
            )
        word, frames = words.unpack(message.content)
        match word:
            case words.Hello() | words.Step():
                pass
            case words.Work():
                if frames:
                    raise DecodeError("expected no messages of the protocol beside the work")
            case _:
                raise DecodeError(f"expected a server's word, got {type(word).__name__}")
        try:
            match word:
                case words.Hello():
                    content = self._welcome(word, context)
                case words.Work():
                    reply = self._work(word, message, context, call_next)
                    if isinstance(reply, Message):
                        return reply
                    content = reply
                case _:
                    content = self._step(word, frames, context)
        except SecaggError as error:
            # Flower drops what was kept when a client raises; keys that were erased stay erased.
            reason = in_words(error)
            return Message(Error(ErrorCode.MOD_FAILED_PRECONDITION, reason), reply_to=message)
        return Message(content, reply_to=message)

    def _welcome(self, word: words.Hello, context: Context) -> RecordDict:
        if (word.protocol, word.level) != (self._protocol.name, self._level):
            raise PolicyError(
                "protocol",
                f"{self._protocol.name} at level {self._level}",
                f"{word.protocol} at level {word.level}",
            )
        if word.release != __version__:
            raise ParameterError(
                f"expected secagg {__version__}, as here, got {word.release}: install the same"
                " release on the server and on every client"
            )
        own = self._own(context)
        number = own.enrolled.me.number if own.enrolled else word.number
        if number is None:
            raise DecodeError("expected this client's number, got none")
        if self._restorable:
            own.state.begin(own.owner(client(number), word.job))
        return words.pack(words.Welcome(__version__, number))

    def _work(
        self, word: words.Work, message: Message, context: Context, call_next: ClientAppCallable
    ) -> RecordDict | Message:
        limits = Limits(
            word.weighted_by,
            word.clip,
            word.max_weight,
            word.metric_bound,
            word.saturate,
            word.grid,
        )
        limits.check()
        digest = words.digest_of(message.content)
        plain = copy.copy(message)
        plain.content = words.without_words(message.content)
        reply = call_next(plain, context)
        if reply.has_error():
            return reply
        results = results_of(reply.content, limits)
        layout = results.form.layout
        kept = Results(
            word.job,
            word.exchange,
            digest,
            results.weight,
            tuple(Tensor(s.name, s.shape, s.dtype.name) for s in layout.specs),  # type: ignore[arg-type]
        )
        # What cannot be added up is refused here, before anybody waits for it.
        vector = layout.flatten(results.tensors)
        self._own(context).state.put(kept, vector)
        return words.pack(words.Worked(results.form))

    def _step(self, word: words.Step, frames: list[bytes], context: Context) -> RecordDict:
        own, me = self._own(context), client(word.number)
        if own.enrolled and own.enrolled.me != me:
            raise PolicyError("number", f"{own.enrolled.me}, by the roster", str(me))
        kept = own.state.get(word.job)
        if kept is None:
            raise RoundFailed("no results are kept here for this session: restarted since?")
        results, vector = kept
        invitation, went_on = sha256(word.invitation).digest(), bool(results.invitation)
        if went_on and results.invitation != invitation:
            raise PolicyError("session", "one session for these results", "a second one")
        if went_on and not self._restorable:
            raise RoundFailed("these results were given away, and cannot be given again")
        with ExitStack() as stack:
            ledger = self._ledger(own, me, word.job)
            if ledger is not None:
                stack.enter_context(ledger)
                if not went_on:
                    # An earlier session that never ended: nobody will be answered in it now.
                    for earlier in ledger.running:
                        ledger.give_up(earlier)
            endpoint = ClientEndpoint(
                word.invitation,
                me,
                None if vector is None else results.layout.unflatten(vector),
                results.weight,
                model=results.model_digest,
                policy=own.policy,
                patience=PATIENCE_SECONDS,
                ledger=ledger,
                roster=own.enrolled.roster if own.enrolled else None,
                identity=Identity(key=own.enrolled.pair.key) if own.enrolled else None,
            )
            results = msgspec.structs.replace(results, invitation=invitation)
            if not self._restorable:
                # What could not be said again word for word is said once.
                own.state.put(results, None)
            elif not went_on:
                own.state.put(results, vector)
            said = _said(endpoint, frames, went_on=went_on)
            if vector is not None and self._restorable and not endpoint.needs_update:
                own.state.put(results, None)
            if endpoint.failure is not None:
                endpoint.give_up()
                raise endpoint.failure
        return words.pack(words.Stepped(), said)

    def _own(self, context: Context) -> _Own:
        return _Own(self._level, self._policy, context)

    def _ledger(self, own: _Own, me: PartyId, job: str) -> Ledger | None:
        if not self._restorable:
            return None
        return own.state.ledger(own.owner(me, job), own.policy.sessions_per_round)


class _Own:
    """What a client has of its own, for one message: nothing here comes from the server."""

    def __init__(self, level: Level, policy: ClientPolicy, context: Context) -> None:
        device = node.device_key(context)
        self.enrolled: node.Enrolled | None = None
        self.policy = policy
        self.state: ClientState
        if level is Level.MALICIOUS:
            self.enrolled = node.enrolled(context, policy.least_epoch)
            self.policy = msgspec.structs.replace(
                policy, level=level, authority=self.enrolled.roster.authority
            )
            self.state = FolderState(self.enrolled.folder, device)
        else:
            self.state = RecordState(context.state, device)

    def owner(self, me: PartyId, job: str) -> Owner:
        """Whose ledger it keeps."""
        name = self.enrolled.pair.public.key if self.enrolled else encode_party(me)
        return Owner(name, job)


def _said(endpoint: ClientEndpoint, frames: list[bytes], *, went_on: bool) -> list[bytes]:
    """What a client says to these messages.

    One that went on from an earlier message repeats its last word first. The server has it, unless
    nothing new follows: then it was asked again.
    """
    now = time.monotonic()
    repeated = _drained(endpoint, endpoint.start(now), now)
    said = [] if went_on else repeated
    for frame in frames:
        said += _drained(endpoint, endpoint.receive(SERVER, frame, now), now)
    return [each.data for each in said or repeated]


def _drained(endpoint: ClientEndpoint, said: list[Outgoing], now: float) -> list[Outgoing]:
    while endpoint.wait(now) == 0:
        said += endpoint.tick(now)
    return said
