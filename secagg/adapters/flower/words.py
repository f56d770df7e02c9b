"""What grid and mod say to each other, as records of Flower's messages.

    ConfigRecord "secagg":          version, body       one word, MessagePack
    ArrayRecord  "secagg.frames":   "0", "1", ...       messages of the protocol, as they are

All of it travels in messages of the type that is protected, because Flower runs a client's mods for
registered types only. The model travels beside the word `Work`, in the strategy's own records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import msgspec
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from secagg.adapters.flower.form import Form
from secagg.crypto.digest import join_framed
from secagg.endpoint import MAX_INVITATION_BYTES
from secagg.errors import DecodeError, ParameterError
from secagg.protocol import Level

VERSION: Final = 1
"""Of these words. Both sides need the same one."""

RECORD: Final = "secagg"
FRAMES: Final = "secagg.frames"
PROTECTED: Final = ("train", "evaluate")
"""The kinds of messages whose replies are added up and never sent in the clear."""

MAX_FRAMES: Final = 64
_FRAME_TYPE: Final = "secagg.frame"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 20)]
_Count = Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)]


class _Word(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The base of all words."""


class Hello(_Word, frozen=True, tag="hello"):
    """Server to client, before it is sent any model: to learn whether there is a mod.

    `number` is the client's in this job; none where a signed roster says it.
    """

    release: _Name
    job: _Name
    protocol: _Name
    level: Level
    number: _Number | None


class Welcome(_Word, frozen=True, tag="welcome"):
    """Client to server: here is one. `number` is its own in the job."""

    release: _Name
    number: _Number


class Work(_Word, frozen=True, tag="work"):
    """Server to client, with the strategy's records: do your work, and keep what comes of it.

    `exchange` counts what the grid protects, 1 and up: the training round of the session. The rest
    is how the results are going to be encoded, and is covered by the model's digest.
    """

    job: _Name
    exchange: _Count
    weighted_by: _Name
    clip: float
    max_weight: _Count
    metric_bound: float
    saturate: bool
    grid: float


class Worked(_Word, frozen=True, tag="worked"):
    """Client to server: it is done, and this is what the results look like, without any value."""

    form: Form


class Step(_Word, frozen=True, tag="step"):
    """Server to client, with messages of the protocol: go on with this session."""

    job: _Name
    number: _Number
    invitation: Annotated[bytes, msgspec.Meta(max_length=MAX_INVITATION_BYTES)]


class Stepped(_Word, frozen=True, tag="stepped"):
    """Client to server, with messages of the protocol."""


Word: TypeAlias = Hello | Welcome | Work | Worked | Step | Stepped

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Word]] = msgspec.msgpack.Decoder(Word)


def pack(word: Word, frames: Sequence[bytes] = ()) -> RecordDict:
    """A word, and messages of the protocol, as records."""
    body = _ENCODER.encode(word)
    records = RecordDict({RECORD: ConfigRecord({"version": VERSION, "body": body})})
    if frames:
        # An array is cut into chunks on its way, a value of a ConfigRecord is not.
        records[FRAMES] = ArrayRecord(
            {
                str(number): Array("uint8", (len(frame),), _FRAME_TYPE, frame)
                for number, frame in enumerate(frames)
            }
        )
    return records


def unpack(records: RecordDict) -> tuple[Word, list[bytes]]:
    """The word in these records, and the messages of the protocol beside it.

    Raises:
        DecodeError: no word, or none that is understood.
        ParameterError: one of another version.
    """
    record = records.get(RECORD)
    if not isinstance(record, ConfigRecord):
        raise DecodeError(f"expected a ConfigRecord {RECORD!r}, got none")
    version, body = record.get("version"), record.get("body")
    if version != VERSION:
        raise ParameterError(
            f"expected version {VERSION} of secagg's words for Flower, got {version!r}: install the"
            " same release of secagg on the server and on every client"
        )
    if set(record) != {"version", "body"} or not isinstance(body, bytes):
        raise DecodeError(f"expected version and body in {RECORD!r}, got {sorted(record)}")
    try:
        word = _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecodeError(f"not a word of secagg: {error}") from None
    return word, _frames(records)


def without_words(records: RecordDict) -> RecordDict:
    """The strategy's own records."""
    return RecordDict({k: v for k, v in records.items() if k not in (RECORD, FRAMES)})


def digest_of(records: RecordDict) -> bytes:
    """32 bytes over everything in a message: model, configuration and the word beside them.

    It is the same over what was sent and what came. The order of records and entries counts.

    Raises:
        DecodeError: a record of a kind that is not known here.
    """
    state = hashlib.sha256()
    for name, record in records.items():
        match record:
            case ArrayRecord():
                state.update(join_framed(b"arrays", name.encode()))
                for key, array in record.items():
                    head = _ENCODER.encode((key, array.dtype, array.shape, array.stype))
                    state.update(join_framed(head, len(array.data).to_bytes(8, "big")))
                    state.update(array.data)
            case MetricRecord():
                body = _ENCODER.encode(list(record.items()))
                state.update(join_framed(b"metrics", name.encode(), body))
            case ConfigRecord():
                body = _ENCODER.encode([(k, _typed(v)) for k, v in record.items()])
                state.update(join_framed(b"configuration", name.encode(), body))
            case _:
                raise DecodeError(f"record {name!r} is a {type(record).__name__}, not known here")
    return state.digest()


def _typed(value: object) -> object:
    """Bytes and text have one shape each, so that none can stand for the other."""
    if isinstance(value, bytes):
        return {"bytes": value}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    return value


def _frames(records: RecordDict) -> list[bytes]:
    if FRAMES not in records:
        return []
    record = records[FRAMES]
    if not isinstance(record, ArrayRecord) or len(record) > MAX_FRAMES:
        raise DecodeError(f"expected an ArrayRecord of at most {MAX_FRAMES} messages in {FRAMES!r}")
    if list(record) != [str(number) for number in range(len(record))]:
        raise DecodeError(f"expected messages 0, 1, ... in {FRAMES!r}, got {list(record)[:3]}")
    return [bytes(array.data) for array in record.values()]
