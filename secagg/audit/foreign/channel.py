"""What goes between an audit and an adapter's process: questions, and answers as plain values.

Nothing is trusted: an answer is decoded strictly, and what has another form is no answer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np

from secagg.audit.subject import Facts, Lie, Moment, Numbers, Question, Request
from secagg.errors import AdapterFailed

MAX_BYTES: Final = 1 << 28
MAX_REASON: Final = 1000
_WORD_BYTES: Final = 8
LENGTH: Final = struct.Struct(">I")

Text = Annotated[str, msgspec.Meta(max_length=MAX_REASON)]
Kind: TypeAlias = Literal["<i8", "<u8", "<u4", "<u2", "|u1", "<f4", "<f8"]


class Strict(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A message without room for more."""


class Array(Strict, frozen=True):
    """A numpy array of one or two dimensions."""

    dtype: Kind
    shape: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, max_length=2)]
    data: bytes


class Hold(Strict, frozen=True, tag="session"):
    """`ForeignImplementation.session`."""

    inputs: Array
    bits: int
    seed: bytes
    lost: dict[int, Moment]
    weights: tuple[int, ...]


class Smallest(Strict, frozen=True, tag="smallest_sum"):
    """`ForeignImplementation.smallest_sum`."""

    clients: int


class Streams(Strict, frozen=True, tag="streams"):
    """`ForeignImplementation.streams`."""

    count: int
    length: int
    bits: int
    seed: bytes


class Answers(Strict, frozen=True, tag="answers"):
    """`ForeignImplementation.answers`."""

    clients: int
    questions: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


class Seeds(Strict, frozen=True, tag="seed_bits"):
    """`ForeignImplementation.seed_bits`."""


class Samples(Strict, frozen=True, tag="seeds"):
    """`ForeignImplementation.seeds`."""

    count: int


class Believes(Strict, frozen=True, tag="believes"):
    """`ForeignImplementation.believes`."""

    lie: Lie


class NotANumber(Strict, frozen=True, tag="takes_not_a_number"):
    """`ForeignImplementation.takes_not_a_number`."""


Ask: TypeAlias = Hold | Smallest | Streams | Answers | Seeds | Samples | Believes | NotANumber


class Ready(Strict, frozen=True, tag="ready"):
    """The first word: who the adapter says it is; guarantees by the words of policies."""

    name: Text
    title: Text
    guarantees: dict[str, str] | None


class Held(Strict, frozen=True, tag="held"):
    """`Facts`."""

    bits: Annotated[int, msgspec.Meta(ge=1, le=64)] | None
    masked: Array | None
    aligned: bool
    total: Array | None
    included: tuple[int, ...]
    failure: Text
    error_bound: Annotated[int, msgspec.Meta(ge=0)]
    sizes: dict[str, tuple[int, ...]] | None
    tokens: dict[str, tuple[bytes, ...]] | None
    clear: dict[str, tuple[float, ...]] | None
    key_holders: tuple[str, ...] | None
    largest: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] | None = None
    kept: tuple[str, ...] | None = None


class Number(Strict, frozen=True, tag="number"):
    """A count."""

    value: int


class Rows(Strict, frozen=True, tag="rows"):
    """Masks."""

    values: Array


class Given(Strict, frozen=True, tag="given"):
    """A client's answers."""

    answers: tuple[tuple[tuple[int, Literal["self", "mask"]], ...] | None, ...]


class Bits(Strict, frozen=True, tag="bits"):
    """Lengths of seeds."""

    seeds: dict[str, int]


class Sampled(Strict, frozen=True, tag="sampled"):
    """Seeds."""

    seeds: dict[str, tuple[bytes, ...]]


class Truth(Strict, frozen=True, tag="truth"):
    """Yes or no."""

    value: bool


class Refused(Strict, frozen=True, tag="refused"):
    """It says that it cannot tell."""

    reason: Text


class Broken(Strict, frozen=True, tag="broken"):
    """It ended with an exception, or answered what is no answer."""

    reason: Text


Reply: TypeAlias = Ready | Held | Number | Rows | Given | Bits | Sampled | Truth | Refused | Broken

_ENCODER: Final = msgspec.msgpack.Encoder()
_ASKS: Final[msgspec.msgpack.Decoder[Ask]] = msgspec.msgpack.Decoder(Ask)
_REPLIES: Final[msgspec.msgpack.Decoder[Reply]] = msgspec.msgpack.Decoder(Reply)


def frame(message: Ask | Reply) -> bytes:
    """A message with its length.

    Raises:
        AdapterFailed: it is too large.
    """
    body = _ENCODER.encode(message)
    if len(body) > MAX_BYTES:
        raise AdapterFailed(f"an answer has at most {MAX_BYTES} bytes, got {len(body)}")
    return LENGTH.pack(len(body)) + body


def read_ask(read: Callable[[int], bytes]) -> Ask:
    """The next question. `read` gives exactly so many bytes."""
    return _ASKS.decode(read(*LENGTH.unpack(read(LENGTH.size))))


def read_reply(read: Callable[[int], bytes]) -> Reply:
    """The next answer.

    Raises:
        AdapterFailed: it is none.
    """
    (size,) = LENGTH.unpack(read(LENGTH.size))
    if size > MAX_BYTES:
        raise AdapterFailed(f"an answer has at most {MAX_BYTES} bytes, {size} announced")
    try:
        return _REPLIES.decode(read(size))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AdapterFailed(f"the adapter's process spoke nonsense: {error}") from None


def array(values: Numbers) -> Array:
    """An array as a message.

    Raises:
        TypeError: numbers of another kind, or more than two dimensions.
        AdapterFailed: too many.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise TypeError(f"expected an array of numbers, got {type(values).__name__}")
    if values.ndim not in (1, 2):
        raise TypeError(f"expected one or two dimensions, got {values.ndim}")
    if values.size * _WORD_BYTES > MAX_BYTES:
        raise AdapterFailed(f"an answer has at most {MAX_BYTES} bytes, got {values.size} numbers")
    plain = values
    if plain.dtype.kind == "i":
        plain = plain.astype("<i8")
    kind: Any = plain.dtype.newbyteorder("<").str if plain.dtype.itemsize > 1 else "|u1"
    made = np.ascontiguousarray(plain.astype(kind))
    return Array(kind, made.shape, made.tobytes())


def numbers(message: Array) -> Numbers:
    """The inverse.

    Raises:
        AdapterFailed: the bytes are not those of the shape, or not all are finite.
    """
    kind, size = np.dtype(message.dtype), 1
    for extent in message.shape:
        size *= extent
    # Of nothing there are shapes that no array has: no extent is larger than all of the bytes.
    impossible = min(message.shape) < 0 or max(message.shape) > MAX_BYTES
    if impossible or size * kind.itemsize != len(message.data):
        raise AdapterFailed(f"{len(message.data)} bytes are no array of shape {message.shape}")
    values = np.frombuffer(message.data, dtype=kind).reshape(message.shape)
    if kind.kind == "f" and not bool(np.all(np.isfinite(values))):
        raise AdapterFailed("an array has numbers that are not finite")
    return values


def hold(request: Request) -> Hold:
    """A request as a message."""
    return Hold(
        array(request.inputs), request.bits, request.seed, dict(request.lost), request.weights
    )


def request_of(message: Hold) -> Request:
    """The inverse."""
    return Request(
        inputs=numbers(message.inputs),
        bits=message.bits,
        seed=message.seed,
        lost=message.lost,
        weights=message.weights,
    )


def questions_of(message: Answers) -> tuple[Question, ...]:
    """The questions in it."""
    return tuple(Question(alive, dropped) for alive, dropped in message.questions)


def held(facts: Facts) -> Held:
    """Facts as a message.

    Raises:
        TypeError: they are none.
    """
    if not isinstance(facts, Facts):
        raise TypeError(f"expected Facts, got {type(facts).__name__}")
    return Held(
        bits=facts.bits,
        masked=None if facts.masked is None else array(facts.masked),
        aligned=facts.aligned,
        total=None if facts.total is None else array(facts.total),
        included=tuple(int(number) for number in facts.included),
        failure=str(facts.failure)[:MAX_REASON],
        error_bound=facts.error_bound,
        sizes=_plain(facts.sizes, int),
        tokens=_plain(facts.tokens, bytes),
        clear=_plain(facts.clear, float),
        key_holders=None if facts.key_holders is None else tuple(facts.key_holders),
        largest=facts.largest,
        kept=None if facts.kept is None else tuple(map(str, facts.kept)),
    )


def _plain(found: Any, kind: Callable[[Any], Any]) -> Any:
    if found is None:
        return None
    return {str(name): tuple(kind(value) for value in values) for name, values in found.items()}


def facts_of(message: Held, request: Request) -> Facts:
    """The inverse, held against what was asked.

    Raises:
        AdapterFailed: they cannot be facts about such a session.
    """
    clients, length = request.inputs.shape
    total = None if message.total is None else numbers(message.total)
    if total is not None and (total.shape != (length,) or total.dtype.kind != "i"):
        raise AdapterFailed(
            f"expected a sum of {length} signed integers, got {total.dtype} of shape {total.shape}"
        )
    masked = None if message.masked is None else numbers(message.masked)
    if masked is not None and (masked.ndim != 2 or not masked.size or len(masked) > clients):
        raise AdapterFailed(f"expected a row for each of {clients} clients, got {masked.shape}")
    if masked is not None and message.aligned and masked.shape[1] != length:
        raise AdapterFailed(f"expected rows of {length} elements, got {masked.shape[1]}")
    if not set(message.included) <= set(range(clients)):
        raise AdapterFailed(f"a sum of clients {message.included}, where there are {clients}")
    if total is not None and not message.included:
        raise AdapterFailed("a sum of nobody")
    return Facts(
        bits=message.bits,
        masked=masked,
        aligned=message.aligned,
        total=total,
        included=message.included,
        failure=message.failure,
        error_bound=message.error_bound,
        sizes=message.sizes,
        tokens=message.tokens,
        clear=message.clear,
        key_holders=message.key_holders,
        largest=message.largest,
        kept=message.kept,
    )
