"""What server and clients agree on before anything is sent, as bytes that travel with the model.

A client believes none of it. It derives the plan again, holds it against its own policy and
roster, and computes the model's digest over the bytes that it received. Codec and layout are
covered by that digest: a server that scaled one client's vector up and all others' down could read
that one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypedDict, Unpack, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from secagg import protocols
from secagg.codec import Codec, Layout, TensorSpec
from secagg.crypto.digest import DIGEST_BYTES, join_framed
from secagg.errors import DecodeError, InputError, ParameterError, PolicyError
from secagg.protocol import Level, Protocol, Roster, Session, Task, model_digest
from secagg.protocol.task import MAX_LENGTH
from secagg.types import PartyId, Rng

FORMAT: Final = "secagg invitation 1"
MAX_INVITATION_BYTES: Final = 1 << 24
MAX_TENSORS: Final = 1 << 16
MAX_DECIMAL_PLACES: Final = 18
"""Of a fraction in the task: with more, exact arithmetic on it is slow enough to hang a client."""

DType = Literal[
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
_Digest = Annotated[bytes, msgspec.Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
_Counter = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Side = Annotated[int, msgspec.Meta(ge=0, le=MAX_LENGTH)]


class Requirements(TypedDict, total=False):
    """What a task may demand beside its clients and vectors; the defaults are `Task`'s."""

    min_clients: int
    level: Level
    corrupt: Decimal
    dropout: Decimal
    sigma: int
    eta: int


class Tensor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One tensor of an update: a `TensorSpec` that travels."""

    name: Annotated[str, msgspec.Meta(max_length=512)]
    shape: Annotated[tuple[_Side, ...], msgspec.Meta(max_length=32)]
    dtype: DType

    @property
    def size(self) -> int:
        """How many coordinates it fills, exact: a product of numpy's integers could wrap."""
        return math.prod(self.shape)


class Invitation(
    msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True
):
    """One session, as the server offers it.

    Attributes:
        format: says what this is.
        protocol: its name.
        version: of its messages.
        task: what the plan is derived from.
        codec: how updates become vectors.
        tensors: the layout of an update that is a mapping of tensors; none for a flat vector.
        epoch: of the roster.
        roster: its digest.
        members: the clients of an unsigned roster; none if a client brings one that it verified.
        job: the training job.
        training_round: of the job.
        model_digest: over the model, its configuration, the codec and the tensors.
        nonce: 32 fresh bytes of the server.

    Raises:
        ParameterError: on construction, for parts that contradict each other.
    """

    format: Literal["secagg invitation 1"]
    protocol: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    version: _Counter
    task: Task
    codec: Codec
    tensors: Annotated[tuple[Tensor, ...], msgspec.Meta(max_length=MAX_TENSORS)]
    epoch: _Counter
    roster: _Digest
    members: tuple[PartyId, ...]
    job: Annotated[str, msgspec.Meta(max_length=256)]
    training_round: _Counter
    model_digest: _Digest
    nonce: _Digest

    def __post_init__(self) -> None:
        task, codec = self.task, self.codec
        if (task.length, task.bound) != (codec.vector_length, codec.bound):
            raise ParameterError(
                f"expected vectors of {codec.vector_length} elements up to {codec.bound}, as the"
                f" codec makes them, got {task.length} up to {task.bound}"
            )
        for fraction in (task.corrupt, task.dropout):
            if int(fraction.as_tuple().exponent) < -MAX_DECIMAL_PLACES:
                raise ParameterError(f"a fraction has at most {MAX_DECIMAL_PLACES} decimal places")
        if self.tensors:
            size = sum(tensor.size for tensor in self.tensors)
            if size != codec.length:
                raise ParameterError(f"expected tensors of {codec.length} elements, got {size}")
            _layout(self.tensors)

    @classmethod
    def fresh(
        cls,
        protocol: str,
        codec: Codec,
        clients: Sequence[PartyId],
        rng: Rng,
        *,
        model: bytes,
        configuration: bytes = b"",
        layout: Layout | None = None,
        job: str = "job",
        training_round: int = 0,
        roster: Roster | None = None,
        **requirements: Unpack[Requirements],
    ) -> Invitation:
        """A new session.

        Args:
            protocol: its name.
            codec: how updates become vectors.
            clients: who may take part, ascending.
            rng: for the nonce.
            model: the bytes that every client is sent and trains.
            configuration: of the training, as every client is sent it.
            layout: of updates that are mappings of tensors; None for flat vectors.
            job: the training job.
            training_round: of the job.
            roster: signed, with keys, where the protocol needs them; by default the clients.
            requirements: of the plan.

        Raises:
            ParameterError: the protocol refuses the task, or the parts contradict each other.
            InputError: a layout with a type that does not travel.
            UnavailableError: the protocol needs a package that is not installed.
        """
        codec = _with_floats(codec)
        task = Task(
            clients=tuple(clients), length=codec.vector_length, bound=codec.bound, **requirements
        )
        tensors = () if layout is None else tuple(map(_tensor, layout.specs))
        known = roster if roster is not None else Roster(0, task.clients)
        invitation = cls(
            format=FORMAT,
            protocol=protocol,
            version=protocols.get(protocol).version,
            task=task,
            codec=codec,
            tensors=tensors,
            epoch=known.epoch,
            roster=known.digest,
            members=() if known.keys else known.clients,
            job=job,
            training_round=training_round,
            model_digest=_digest(codec, tensors, model, configuration),
            nonce=rng.bytes(DIGEST_BYTES),
        )
        # What clients would refuse is refused here, before it is sent to anybody.
        cls.decode(invitation.encoded).agree(roster)
        return invitation

    @property
    def encoded(self) -> bytes:
        """The one encoding."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Invitation:
        """The inverse of `encoded`.

        Raises:
            DecodeError: too long, or not the canonical encoding of an invitation.
        """
        if len(data) > MAX_INVITATION_BYTES:
            raise DecodeError(
                f"an invitation has at most {MAX_INVITATION_BYTES} bytes, {len(data)} came"
            )
        try:
            invitation = _DECODER.decode(data)
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            raise DecodeError(f"not an invitation: {error}") from None
        if invitation.encoded != data:
            raise DecodeError("not the canonical encoding of an invitation")
        return invitation

    def digest_of(self, model: bytes, configuration: bytes) -> bytes:
        """The digest of a model as it was received, with this codec and layout."""
        return _digest(self.codec, self.tensors, model, configuration)

    def agree(self, roster: Roster | None) -> tuple[Protocol, Session]:
        """The protocol, and the session that follows from this invitation.

        Args:
            roster: that the party verified itself; None for the members named here.

        Raises:
            PolicyError: for another roster than this party's.
            ParameterError: no such protocol, another version of it, a task that it refuses, or
                neither members nor a roster.
            UnavailableError: the protocol needs a package that is not installed.
        """
        protocol = protocols.get(self.protocol)
        if self.version != protocol.version:
            raise ParameterError(
                f"expected version {protocol.version} of {self.protocol}, got version"
                f" {self.version}: both sides need the same release"
            )
        if roster is None:
            if not self.members:
                raise ParameterError("expected a roster that was verified here, got none")
            roster = Roster(self.epoch, self.members)
        if (roster.epoch, roster.digest) != (self.epoch, self.roster):
            raise PolicyError(
                "roster", _roster(roster.epoch, roster.digest), _roster(self.epoch, self.roster)
            )
        return protocol, Session(
            plan=protocol.plan(self.task),
            roster=roster,
            job=self.job,
            training_round=self.training_round,
            model_digest=self.model_digest,
            nonce=self.nonce,
        )

    def flattened(self, update: Any) -> npt.NDArray[np.float32]:
        """A client's update as the codec takes it.

        Raises:
            InputError: a mapping where a vector is expected or the reverse, or as
                `Layout.flatten`.
        """
        if isinstance(update, Mapping):
            if not self.tensors:
                raise InputError("expected a flat vector, got a mapping of tensors")
            return _layout(self.tensors).flatten(update)
        if self.tensors:
            raise InputError(
                f"expected a mapping of {len(self.tensors)} tensors, got {type(update).__name__}"
            )
        vector: npt.NDArray[np.float32] = update
        return vector

    def shaped(self, mean: npt.NDArray[np.float64]) -> Any:
        """A mean in the shape of the updates.

        Raises:
            InputError: a value that its tensor's type does not hold.
        """
        return _layout(self.tensors).unflatten(mean) if self.tensors else mean


def _with_floats(codec: Codec) -> Codec:
    """The same, with floats where integers were given for them: they are encoded differently."""
    norm = None if codec.norm is None else float(codec.norm)
    return msgspec.structs.replace(codec, clip=float(codec.clip), norm=norm)


def _tensor(spec: TensorSpec) -> Tensor:
    name = spec.dtype.name
    if name not in get_args(DType):
        raise InputError(f"{spec}: expected a type of {', '.join(get_args(DType))}")
    return msgspec.convert((spec.name, spec.shape, name), Tensor)


def _layout(tensors: Sequence[Tensor]) -> Layout:
    return Layout(tuple(TensorSpec(t.name, t.shape, np.dtype(t.dtype)) for t in tensors))


def _digest(codec: Codec, tensors: Sequence[Tensor], model: bytes, configuration: bytes) -> bytes:
    form = _ENCODER.encode((codec, tuple(tensors)))
    return model_digest(model, join_framed(form, configuration))


def _roster(epoch: int, digest: bytes) -> str:
    return f"epoch {epoch} with digest {digest[:8].hex()}..."


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Invitation)
