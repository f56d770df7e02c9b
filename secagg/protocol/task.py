"""What is agreed before anything is sent: the task, the plan, and the session.

A `Plan` is a pure function of a `Task`. A `Session` adds what is fresh: which roster, job,
training round and model, and a nonce. Its digest, the session id, is in every message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Final, TypeVar

import msgspec
import numpy as np

from secagg import kernels
from secagg.crypto.digest import DIGEST_BYTES, digest, encode_party
from secagg.crypto.signing import PUBLIC_KEY_BYTES
from secagg.errors import InputError, ModelMismatch, ParameterError
from secagg.protocol.guarantees import Level
from secagg.types import SERVER, PartyId, Ring, RingVector, Rng, Role

MAX_LENGTH: Final = 1 << 34
NO_MODEL: Final = digest("no model")
"""In place of a model's digest where nothing is trained: tests, measurements."""

_ROSTER_LIMIT: Final = 1 << 20

_Value = TypeVar("_Value", bound=msgspec.Struct)


class Task(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """What the caller wants: the sum of the clients' vectors.

    Attributes:
        clients: who may take part, ascending by roster index.
        length: elements of each vector.
        bound: every |element| is at most this; comes from the codec.
        min_clients: with fewer than this in the sum, nothing is released.
        level: the server that must be withstood.
        corrupt: fraction of the clients that may collude with the server, an exact decimal;
            "0" asks by name for a plan that withstands nobody.
        dropout: fraction of the clients that may vanish at any moment, an exact decimal.
        sigma: statistical security bits of the neighbour graph, per session.
        eta: correctness bits: a round with no more than the planned dropouts fails with
            probability at most 2**-eta.

    Raises:
        ParameterError: on construction, for any value that no plan could honour.
    """

    clients: tuple[PartyId, ...]
    length: int
    bound: int
    min_clients: int = 3
    level: Level = Level.CURIOUS
    corrupt: Decimal = Decimal("0.1")
    dropout: Decimal = Decimal("0.1")
    sigma: int = 40
    eta: int = 20

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "corrupt", _fraction("corrupt", self.corrupt))
        msgspec.structs.force_setattr(self, "dropout", _fraction("dropout", self.dropout))
        _check_clients(self.clients)
        count = len(self.clients)
        if not 1 <= self.length <= MAX_LENGTH:
            raise ParameterError(f"a vector has 1 to {MAX_LENGTH} elements, got {self.length}")
        if self.bound < 1:
            raise ParameterError(f"the bound on an element is at least 1, got {self.bound}")
        if self.min_clients < 2:
            raise ParameterError(
                f"min_clients is at least 2 (a sum of one is that one's input), got"
                f" {self.min_clients}"
            )
        if count < self.min_clients:
            raise ParameterError(
                f"expected a cohort of at least min_clients = {self.min_clients}, got {count}"
            )
        for name, value in (("sigma", self.sigma), ("eta", self.eta)):
            if not 1 <= value <= 128:
                raise ParameterError(f"{name} lies in 1..128 bits, got {value}")

    @property
    def corrupt_count(self) -> int:
        """Clients assumed to collude: at least 1, unless `corrupt` is 0 by name."""
        return max(1, _ceiling(self.corrupt, len(self.clients))) if self.corrupt else 0

    @property
    def dropout_count(self) -> int:
        """Clients that may vanish."""
        return _ceiling(self.dropout, len(self.clients))


def _fraction(name: str, value: object) -> Decimal:
    if isinstance(value, float):
        raise ParameterError(f"{name} must be an exact decimal such as '0.1', got a float")
    try:
        fraction = Decimal(value)  # type: ignore[arg-type]
    except (InvalidOperation, TypeError, ValueError):
        raise ParameterError(f"{name} must be a decimal such as '0.1', got {value!r}") from None
    if not (fraction.is_finite() and 0 <= fraction < 1):
        raise ParameterError(f"{name} is a fraction in [0, 1), got {value}")
    return fraction.normalize() + 0  # one representation of each value; no negative zero


def _ceiling(fraction: Decimal, count: int) -> int:
    numerator, denominator = fraction.as_integer_ratio()
    return -(-numerator * count // denominator)


def _check_clients(clients: tuple[PartyId, ...]) -> None:
    if not clients:
        raise ParameterError("expected at least two clients, got none")
    previous = -1
    for party in clients:
        if party.role is not Role.CLIENT:
            raise ParameterError(f"expected clients only, got {party}")
        if not previous < party.number < _ROSTER_LIMIT:
            raise ParameterError(
                f"roster indices ascend within 0..{_ROSTER_LIMIT - 1}, got {party.number} after"
                f" {previous}"
            )
        previous = party.number


class Plan(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What all parties must agree on. Protocols subclass it to add their own parameters.

    Attributes:
        protocol: the protocol's name.
        version: the protocol's wire version.
        task: what was asked for.
        ring: in which no honest sum can wrap.
        minimum: the smallest set of clients over which a sum is released.
        corrupt: how many colluding clients are withstood.
        dropouts: how many vanishing clients are withstood.
    """

    protocol: str
    version: int
    task: Task
    ring: Ring
    minimum: int
    corrupt: int
    dropouts: int

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """Everybody: the clients, then the others. Protocols with more roles override this."""
        return (*self.task.clients, SERVER)

    @property
    def error_bound(self) -> int:
        """The largest |error| of an element of a released sum; 0 unless the protocol says more."""
        return 0

    @property
    def suite(self) -> str:
        """The primitives behind a client's secrecy, by the name that policies use."""
        return "none"

    @property
    def mask_strength(self) -> int | None:
        """Key bits of the cipher that expands masks; None without masks."""
        return None

    @property
    def honest_lower_bound(self) -> int:
        """Honest inputs that are certainly in a released sum."""
        return self.minimum - self.corrupt

    @property
    def digest(self) -> bytes:
        """32 bytes over everything in the plan."""
        return digest("plan", msgspec.msgpack.encode(self))

    def check_input(self, vector: RingVector) -> None:
        """Refuse what is no client's vector under this plan.

        Raises:
            InputError: another type, shape or lane, or an element outside the ring or the bound.
        """
        ring, length = self.ring, self.task.length
        if not isinstance(vector, np.ndarray) or vector.dtype != ring.dtype:
            got = getattr(vector, "dtype", type(vector).__name__)
            raise InputError(f"expected a vector of {ring.dtype} lanes, got {got}")
        if vector.shape != (length,) or not vector.flags.c_contiguous:
            raise InputError(
                f"expected a contiguous vector of shape ({length},), got {vector.shape}"
            )
        # As signed numbers the elements must lie within the bound, or the sum could wrap.
        bound = self.task.bound
        if not kernels.within(vector, ring, bound):
            raise InputError(
                f"expected elements of a ring of {ring.bits} bits, in -{bound}..{bound}; larger"
                " ones came"
            )

    def describe(self) -> tuple[tuple[str, str], ...]:
        """The parameters by name, for tables and logs."""
        return (
            ("ring", f"2^{self.ring.bits}"),
            ("smallest sum", f"{self.minimum} clients"),
            ("withstands", f"{self.corrupt} colluding clients"),
            ("tolerates", f"{self.dropouts} dropouts"),
        )


class Roster(msgspec.Struct, frozen=True, array_like=True):
    """Who exists: the parties by roster index, in a numbered epoch.

    Attributes:
        epoch: raised with every change.
        clients: by roster index.
        keys: each client's public signing key, or none where no protocol needs them.
        authority: the public key by which this party verified the roster, or nothing if it is
            unsigned. It comes from the party's own verification, never from the server's word.

    Raises:
        ParameterError: an epoch out of range, others than clients ascending by roster index, or
            keys that are not one of 32 bytes for each client, all distinct, or an authority that is
            none or is among the clients.
    """

    epoch: int
    clients: tuple[PartyId, ...]
    keys: tuple[bytes, ...] = ()
    authority: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.epoch < 1 << 63:
            raise ParameterError(f"an epoch lies in 0..2**63-1, got {self.epoch}")
        _check_clients(self.clients)
        if not self.keys:
            if self.authority:
                raise ParameterError("an authority signs keys; this roster has none")
            return
        if len(self.keys) != len(self.clients):
            raise ParameterError(
                f"expected a key for each of {len(self.clients)} clients, got {len(self.keys)}"
            )
        if any(len(key) != PUBLIC_KEY_BYTES for key in self.keys):
            raise ParameterError(f"a signing key has {PUBLIC_KEY_BYTES} bytes")
        if len(set(self.keys)) != len(self.keys):
            raise ParameterError("expected distinct keys, got one twice: one client as two")
        if self.authority and len(self.authority) != PUBLIC_KEY_BYTES:
            raise ParameterError(f"an authority's key has {PUBLIC_KEY_BYTES} bytes")
        if self.authority in self.keys:
            raise ParameterError("the authority's key is also a client's")

    @property
    def digest(self) -> bytes:
        """32 bytes over epoch and members, and their keys and the authority if there are any."""
        members = b"".join(encode_party(party) for party in self.clients)
        keys = (b"".join(self.keys),) if self.keys else ()
        authority = (self.authority,) if self.authority else ()
        return digest("roster", self.epoch.to_bytes(8, "big"), members, *keys, *authority)

    def key_of(self, party: PartyId) -> bytes:
        """A client's public key.

        Raises:
            ParameterError: it is not in the roster, or the roster has no keys.
        """
        try:
            return self.keys[self.clients.index(party)]
        except (ValueError, IndexError):
            raise ParameterError(f"the roster has no key of {party}") from None


def model_digest(model: bytes, configuration: bytes) -> bytes:
    """32 bytes over a model and its fit configuration, as the exact bytes received.

    A client computes it before it decodes either, so that neither can differ between clients of
    one session without a `ModelMismatch`.
    """
    return digest("model", model, configuration)


@dataclass(frozen=True)
class Session:
    """One run of a plan, made unique by a fresh nonce.

    Attributes:
        plan: what all agreed on.
        roster: who exists.
        job: the name of the training job.
        training_round: the job's round that this session serves.
        model_digest: 32 bytes over the model and configuration that the clients train.
        nonce: 32 fresh bytes from the server.

    Raises:
        ParameterError: a digest or nonce of another length, or a client outside the roster.
    """

    plan: Plan
    roster: Roster
    job: str
    training_round: int
    model_digest: bytes
    nonce: bytes

    def __post_init__(self) -> None:
        for name, value in (("model_digest", self.model_digest), ("nonce", self.nonce)):
            if len(value) != DIGEST_BYTES:
                raise ParameterError(f"{name} has {DIGEST_BYTES} bytes, got {len(value)}")
        if not 0 <= self.training_round < 1 << 63:
            raise ParameterError(f"a training round is not negative, got {self.training_round}")
        outsiders = set(self.plan.task.clients) - set(self.roster.clients)
        if outsiders:
            raise ParameterError(f"not in the roster: {', '.join(map(str, sorted(outsiders)))}")

    @classmethod
    def fresh(
        cls,
        plan: Plan,
        rng: Rng,
        *,
        job: str = "job",
        training_round: int = 0,
        model_digest: bytes = NO_MODEL,
        roster: Roster | None = None,
    ) -> Session:
        """A session with a nonce drawn from `rng`; the roster defaults to the plan's clients."""
        return cls(
            plan=plan,
            roster=roster if roster is not None else Roster(0, plan.task.clients),
            job=job,
            training_round=training_round,
            model_digest=model_digest,
            nonce=rng.bytes(DIGEST_BYTES),
        )

    def check_model(self, own: bytes) -> None:
        """Refuse a session for another model than the one with this digest.

        Raises:
            ModelMismatch: the digests differ.
        """
        if own != self.model_digest:
            raise ModelMismatch(own, self.model_digest)

    @cached_property
    def members(self) -> frozenset[PartyId]:
        """Everybody who has a part in this session."""
        return frozenset(self.plan.parties)

    @cached_property
    def keys(self) -> Mapping[PartyId, bytes]:
        """The roster's public signing keys by client; nothing where the roster has none."""
        return dict(zip(self.roster.clients, self.roster.keys, strict=False))

    @cached_property
    def id(self) -> bytes:
        """The session id: known before round 0, bound into every message and key."""
        return self.id_for_model(self.model_digest)

    def id_for_model(self, model: bytes) -> bytes:
        """The id that this session would have for another model, all else being equal."""
        return digest(
            "session",
            self.plan.digest,
            self.roster.digest,
            self.job.encode(),
            self.training_round.to_bytes(8, "big"),
            model,
            self.nonce,
        )
