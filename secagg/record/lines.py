"""The lines of a record: one structure for each kind, and the one encoding of each.

Bytes are lower-case hexadecimal. `previous` is the leaf hash of the line before in the Merkle
tree, SHA-256 over a zero byte and the line without its end; of the first line it is 64 zeros. A
line about a message has the client that sent or received it, its size and SHA-256 as a whole frame,
and of its fields those that are public.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from secagg.types import Role

FORMAT: Final = "secagg record 1"
MAX_LINE_BYTES: Final = 1 << 20
"""Of a line with its end. Two bitmaps over the largest roster fill half of it."""

MAX_MEMBERS: Final = 1 << 20
MAX_REASON: Final = 300
MAX_SHOWN: Final = 400
NOTHING_BEFORE: Final = "00" * 32

_Hexadecimal = r"\A([0-9a-f]{2})*\Z"
Digest = Annotated[str, Meta(pattern=_Hexadecimal, min_length=64, max_length=64)]
Key = Digest
Signature = Annotated[str, Meta(pattern=_Hexadecimal, min_length=128, max_length=128)]
NoKey = Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z", max_length=64)]
NoSignature = Annotated[str, Meta(pattern=r"\A([0-9a-f]{128})?\Z", max_length=128)]
Bitmap = Annotated[str, Meta(pattern=_Hexadecimal, max_length=MAX_MEMBERS // 4)]
Value = Annotated[str, Meta(pattern=_Hexadecimal, max_length=2048)]
BeaconRound = Annotated[str, Meta(pattern=_Hexadecimal, min_length=16, max_length=16)]
Number = Annotated[int, Meta(ge=0, lt=MAX_MEMBERS)]
Counter = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Fraction = Annotated[str, Meta(pattern=r"\A(0|0\.[0-9]{1,18})\Z")]
"""A decimal in [0, 1). With more places, exact arithmetic on it could be made to take for ever."""


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", forbid_unknown_fields=True):
    """Any line."""

    previous: Digest


class SessionLine(Line, frozen=True, kw_only=True, tag="session"):
    """The first line: what was agreed before anything was sent.

    Attributes:
        format: says what this is.
        protocol: its name.
        version: of its messages.
        length: elements of each vector.
        bound: of every element.
        min_clients: of the task, as `level`, `corrupt`, `dropout`, `sigma` and `eta`.
        plan: digest of the plan that follows from the task.
        epoch: of the roster.
        authority: its public key, if the roster is signed.
        members: of the roster, each on a line of its own, next.
        roster: its digest.
        job: the training job.
        training_round: of the job.
        model_digest: over model and configuration.
        nonce: of the server.
        session: the id that follows from all of these.
    """

    format: str
    protocol: Annotated[str, Meta(max_length=64)]
    version: Counter
    length: Counter
    bound: Counter
    min_clients: Counter
    level: Annotated[str, Meta(max_length=16)]
    corrupt: Fraction
    dropout: Fraction
    sigma: Counter
    eta: Counter
    plan: Digest
    epoch: Counter
    authority: NoKey
    members: Annotated[int, Meta(ge=1, le=MAX_MEMBERS)]
    roster: Digest
    job: Annotated[str, Meta(max_length=256)]
    training_round: Counter
    model_digest: Digest
    nonce: Digest
    session: Digest


class MemberLine(Line, frozen=True, kw_only=True, tag="member"):
    """A client of the roster, and whether the task names it."""

    number: Number
    key: Key
    invited: bool


class MessageLine(Line, frozen=True, kw_only=True):
    """A message: of whom or to whom, and what it was as a frame.

    Attributes:
        SENDER: who sends such messages.
    """

    SENDER: ClassVar[Role] = Role.SERVER

    client: Number
    size: Counter
    sha256: Digest


class KeysLine(MessageLine, frozen=True, kw_only=True, tag="SignedKeys"):
    """Two public keys, signed."""

    SENDER = Role.CLIENT
    model_digest: Digest
    channel_key: Key
    mask_key: Key
    signature: Signature


class RootLine(MessageLine, frozen=True, kw_only=True, tag="CohortRoot"):
    """The cohort and its root, before the graph is known."""

    cohort: Bitmap
    cohort_root: Digest
    beacon_round: BeaconRound


class RootSignatureLine(MessageLine, frozen=True, kw_only=True, tag="CohortSignature"):
    """A client's signature on cohort, root and round."""

    SENDER = Role.CLIENT
    signature: Signature


class BookLine(MessageLine, frozen=True, kw_only=True, tag="SignedKeyBook"):
    """The cohort as it is shown with its keys."""

    cohort: Bitmap
    cohort_root: Digest
    beacon: Value


class SharesLine(MessageLine, frozen=True, kw_only=True, tag="CommittedShares"):
    """What a dealer signed: a commitment to a seed, and a root over shares that are not here."""

    SENDER = Role.CLIENT
    commitment: Digest
    root: Digest
    signature: Signature


class BundleLine(MessageLine, frozen=True, kw_only=True, tag="CommittedBundle"):
    """Sealed shares, of which nothing is here."""


class VectorLine(MessageLine, frozen=True, kw_only=True, tag="SignedVector"):
    """The digest of a masked vector, and of whom its sender complains; signed."""

    SENDER = Role.CLIENT
    complaints: Annotated[tuple[Number, ...], Meta(max_length=1 << 16)]
    vector: Digest
    signature: Signature


class SurvivorsLine(MessageLine, frozen=True, kw_only=True, tag="SurvivorList"):
    """Who dealt shares, and whose vectors are in the sum."""

    dealt: Bitmap
    included: Bitmap


class SurvivorSignatureLine(MessageLine, frozen=True, kw_only=True, tag="SurvivorSignature"):
    """A client's signature on one list of survivors."""

    SENDER = Role.CLIENT
    signature: Signature


class QuorumLine(MessageLine, frozen=True, kw_only=True, tag="SurvivorQuorum"):
    """Whose signatures a client was shown."""

    signers: Annotated[tuple[Number, ...], Meta(max_length=1 << 16)]


class AnswerLine(MessageLine, frozen=True, kw_only=True, tag="SignedAnswer"):
    """The digest of the shares that a client revealed, signed."""

    SENDER = Role.CLIENT
    openings: Digest
    signature: Signature


class EndLine(Line, frozen=True, kw_only=True, tag="end"):
    """What it came to, by the server's word.

    Attributes:
        outcome: whether a sum was released.
        reason: why not, or nothing.
        result: a commitment to the sum, or nothing.
    """

    outcome: Literal["released", "failed"]
    reason: Annotated[str, Meta(max_length=MAX_REASON)]
    result: NoKey


class HeadLine(Line, frozen=True, kw_only=True, tag="head"):
    """The last line: the head of the log, over all lines before it.

    Alone it is enough to notice, later, that there is another record of the session.

    Attributes:
        session: the id of the session.
        size: how many these are.
        root: the Merkle root over them.
        server: the public key of the server, if it has one.
        signature: by that key, over session, size and root.
    """

    session: Digest
    size: Counter
    root: Digest
    server: NoKey
    signature: NoSignature


Upward: TypeAlias = (
    KeysLine | RootSignatureLine | SharesLine | VectorLine | SurvivorSignatureLine | AnswerLine
)
Downward: TypeAlias = RootLine | BookLine | BundleLine | SurvivorsLine | QuorumLine
AnyLine: TypeAlias = SessionLine | MemberLine | Upward | Downward | EndLine | HeadLine

ORDER: Final[tuple[type[Line], ...]] = (
    SessionLine,
    MemberLine,
    KeysLine,
    RootLine,
    RootSignatureLine,
    BookLine,
    SharesLine,
    BundleLine,
    VectorLine,
    SurvivorsLine,
    SurvivorSignatureLine,
    QuorumLine,
    AnswerLine,
    EndLine,
    HeadLine,
)
"""Lines of a kind come before all of the next: the server takes no message out of its phase."""

HEAD_CONTEXT: Final = "head of a record"

_ENCODER: Final = msgspec.json.Encoder()


def encode(line: msgspec.Struct) -> bytes:
    """The one encoding of a line, without its end."""
    return _ENCODER.encode(line)


def leaf_hash(line: bytes) -> bytes:
    """The hash of an encoded line as a leaf of the tree (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + line).digest()


def printable(text: str) -> str:
    """Words of strangers on one line, for people: no control characters, and not without end."""
    shown = text[:MAX_SHOWN]
    plain = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
    return plain + "..." * (len(text) > MAX_SHOWN)


def kind_of(line: Line | type[Line]) -> str:
    """The name of a kind of line: for messages that of the message."""
    return str(line.__struct_config__.tag)
