"""A protocol of this library as the subject of an audit: sessions as its server sees them.

The sessions are those of `secagg.runner.run`, with everybody honest; what crosses the network is
read on its way. Questions that only a lying server asks go through `secagg.audit.adversary`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np

from secagg import kernels
from secagg.attestation import measure_installed
from secagg.audit.adversary import Network, ServerView, ask, without_questions
from secagg.audit.subject import (
    ROLES,
    Answer,
    Facts,
    Moment,
    Numbers,
    Question,
    Request,
    Subject,
    Values,
)
from secagg.codec import Codec
from secagg.crypto import kdf
from secagg.crypto.aead import NONCE_BYTES
from secagg.crypto.prg import mask_stream
from secagg.crypto.rng import SEED_BYTES, StreamRng
from secagg.errors import (
    CannotTell,
    DecodeError,
    DoesNotArise,
    InputError,
    ParameterError,
    SecaggError,
)
from secagg.protocol import Identities, Level, Plan, Protocol, Session, Task
from secagg.protocols._masking.messages import SEALED_SHARES_BYTES
from secagg.protocols._masking.plan import MaskingPlan
from secagg.runner import Faults, run
from secagg.types import PartyId, Ring, RingVector, Role, Secret, client
from secagg.wire import Envelope, Frame, Message

CORRUPT: Final = Decimal("0.05")
DROPOUT: Final = Decimal("0.25")
DROPOUT_OF_MANY: Final = Decimal("0.05")
MANY: Final = 40
"""From here on 0.05 of the clients are two, as many as an audit loses, and graphs can be sparse."""
LEAST_TOKEN: Final = 12
"""Bytes of what may never repeat: a shorter field can repeat by chance."""

PUBLIC_FIELDS: Final = frozenset(
    ("model_digest", "context_digest", "cohort", "included", "complaints", "dealt")
)
"""Fields of client messages that say the same in every session, rightly."""


class Sent(NamedTuple):
    """A message on its way."""

    sender: PartyId
    recipient: PartyId
    message: Message
    size: int


class ProtocolSubject(Subject):
    """One protocol at one level.

    Raises:
        ParameterError: the protocol does not offer the level.
    """

    kind = "protocol"

    def __init__(self, protocol: Protocol, level: Level) -> None:
        self.protocol, self.level = protocol, level
        self.offering = protocol.at(level)
        self.guarantees = self.offering.guarantees
        self.name = f"{protocol.name} at level {level}"
        self.title = protocol.title
        others = [role.name.lower() for role in self.offering.roles if role is not Role.CLIENT]
        self.roles = dict(ROLES) | {
            "computing parties": ", ".join(("clients", *others)),
            "result parties": others[0],
        }
        uploads = [m for m in self.offering.messages if m.SENDER is Role.CLIENT]
        self._upload = next(m for m in uploads if "tail" in m.__struct_fields__)
        self._before = uploads.index(self._upload)

    def plan(self, clients: int, length: int, bound: int) -> Plan:
        """The plan of an audit's sessions.

        Raises:
            CannotTell: there is none for these clients.
        """
        members = tuple(client(number) for number in range(clients))
        try:
            return self.protocol.plan(
                Task(
                    clients=members,
                    length=length,
                    bound=bound,
                    level=self.level,
                    corrupt=CORRUPT,
                    dropout=DROPOUT if clients < MANY else DROPOUT_OF_MANY,
                    min_clients=3,
                )
            )
        except ParameterError as error:
            raise CannotTell(f"no plan for {clients} clients: {error}") from None

    def identities(self, session: Session, rng: StreamRng) -> tuple[Session, Identities | None]:
        """The session with a roster of signing keys, and everybody's own, where they need any."""
        if not self.offering.identified:
            return session, None
        drawn = Identities.drawn(
            session.plan, rng, measure_installed().value, model_digest=session.model_digest
        )
        return replace(session, roster=drawn.roster), drawn

    def session(self, request: Request) -> Facts:
        """As `Subject.session`; the ring is exact for protocols whose plan derives it."""
        bound = max(1, bound_for(request.bits, request.clients))
        bound = max(bound, int(np.abs(request.inputs).max(initial=0)))
        plan = self.plan(request.clients, request.inputs.shape[1], bound)
        return self.hold(plan, request)

    def hold(self, plan: Plan, request: Request) -> Facts:
        """A session with this plan.

        Raises:
            InputError: an input beyond the plan's bound.
        """
        rng = StreamRng(request.seed)
        seen: list[Sent] = []
        table = self.offering.table

        def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
            envelope: Envelope = table.decode(frame)
            seen.append(Sent(sender, recipient, envelope.message, frame.size))
            return frame

        session = Session.fresh(plan, rng)
        session, identities = self.identities(session, rng)
        lost = {client(number): self._sent_until(moment) for number, moment in request.lost.items()}
        inputs = {
            client(number): to_ring(row, plan.ring) for number, row in enumerate(request.inputs)
        }
        outcome = run(
            self.protocol,
            session,
            inputs,
            rng,
            Faults(lost=lost, tamper=watch),
            identities=identities,
        )
        return Facts(
            **self._vectors(plan, seen),
            total=None if outcome.total is None else from_ring(outcome.total, plan.ring),
            included=tuple(party.number for party in outcome.included),
            failure=outcome.failure or "",
            error_bound=plan.error_bound,
            sizes=_sizes(seen),
            tokens=_tokens(seen),
            clear={},
            key_holders=_key_holders(plan, seen),
            largest=plan.task.bound,
        )

    def _sent_until(self, moment: Moment) -> int:
        """How many messages a client sends that vanishes then."""
        if moment == "before sharing keys":
            return min(1, self._before)
        return self._before + (moment == "after upload")

    def _vectors(self, plan: Plan, seen: Sequence[Sent]) -> dict[str, Any]:
        """The uploads: of the ring where they are, else of bytes where those are uniform."""
        ordered = sorted(one for one in seen if isinstance(one.message, self._upload))
        tails = [one.message.tail for one in ordered]  # type: ignore[attr-defined]
        length = plan.task.length
        if plan.suite.startswith("HPKE"):
            rows = [np.frombuffer(tail, dtype=np.uint8) for tail in tails]
            return {"bits": 8, "masked": np.stack(rows), "aligned": False}
        if all(tail.nbytes == plan.ring.packed_size(length) for tail in tails):
            rows = [kernels.unpack(tail, plan.ring, length) for tail in tails]
            return {"bits": plan.ring.bits, "masked": np.stack(rows) if rows else None}
        return {}

    def described(self, clients: int) -> Mapping[str, str]:
        """The parameters of a plan for so many clients, by name."""
        return dict(self.plan(clients, 1, bound_for(8, clients) or 1).describe())

    def smallest_sum(self, clients: int) -> int:
        """As the plan has it."""
        return self.plan(clients, 1, 1).minimum

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        """Self masks, as `secagg.crypto.prg` and the kernels make them."""
        ring, rows = Ring(bits), []
        for stream in self._self_masks(count, length, ring, StreamRng(seed)):
            vector: RingVector = np.zeros(length, dtype=ring.dtype)
            kernels.apply_masks(vector, [stream])
            kernels.ring_reduce(vector, ring)
            rows.append(vector)
        return np.stack(rows)

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        """What the cipher of self masks is given: its key."""
        streams = self._self_masks(count, 1, Ring(8), StreamRng(bytes(SEED_BYTES)))
        return {"keys of masks": tuple(bytes(stream.key) for stream in streams)}

    def _self_masks(
        self, count: int, length: int, ring: Ring, rng: StreamRng
    ) -> Iterator[kernels.MaskStream]:
        plan = self.plan(8, length, 1)
        if not isinstance(plan, MaskingPlan):
            raise DoesNotArise(f"{self.protocol.name} has no masks")
        for number in range(count):
            yield mask_stream(
                Secret(rng.bytes(SEED_BYTES)),
                context=rng.bytes(32),
                purpose=kdf.Purpose.SELF_MASK,
                parties=(client(number),),
                protocol=plan.protocol,
                ring=ring,
                length=length,
                key_bits=plan.mask_key_bits,
                sign=1,
            )

    def takes_not_a_number(self) -> bool:
        """By the codec, through which every update goes."""
        codec = Codec(length=2, clip=1.0, fraction_bits=8, max_weight=1)
        update = np.array([0.0, np.nan], dtype=np.float32)
        try:
            codec.encode(update, 1, Ring.for_sum(8, codec.bound))
        except InputError:
            return False
        return True

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """By asking on a network that the adversary runs, one question after the other."""
        network = self.network(clients)
        return tuple(self._answer(network, question) for question in questions)

    def network(self, clients: int, length: int = 1, seed: bytes = bytes(32)) -> Network:
        """A session up to where survivors are asked for.

        Raises:
            DoesNotArise: this protocol has no such question.
        """
        plan = self.plan(clients, length, 1)
        if not isinstance(plan, MaskingPlan):
            raise DoesNotArise(f"{self.protocol.name} asks its clients for no shares")
        rng = StreamRng(seed)
        session, identities = self.identities(Session.fresh(plan, rng), rng)
        zeros = {who: np.zeros(length, dtype=plan.ring.dtype) for who in plan.task.clients}
        network = Network(
            self.protocol, session, zeros, rng, without_questions, identities=identities
        )
        network.run()
        return network

    def _answer(self, network: Network, question: Question) -> Answer:
        before = {
            (owner, kind)
            for kind, owners in ServerView.of(network).shares.items()
            for owner, holders in owners.items()
            if 0 in holders
        }
        said = len(list(network.said(client(0))))
        everybody = range(len(network.clients))
        told = {number: question.alive for number in everybody if number in question.alive}
        told[0] = question.alive
        try:
            ask(network, told, padded=False)
        except SecaggError:
            return None
        if len(list(network.said(client(0)))) == said:
            return None
        after = {
            (owner, kind)
            for kind, owners in ServerView.of(network).shares.items()
            for owner, holders in owners.items()
            if 0 in holders
        }
        return tuple(sorted(after - before)) or None

    def seed_bits(self) -> Mapping[str, int]:
        """The seeds behind masks, and the key of the cipher that expands or hides."""
        plan = self.plan(8, 1, 1)
        found = {"a party's randomness": 8 * SEED_BYTES}
        if plan.mask_strength is not None:
            found["the cipher of the masks"] = plan.mask_strength
        return found


def _key_holders(plan: Plan, seen: Sequence[Sent]) -> tuple[str, ...] | None:
    """Who was sent a context, or a whole key, that opens ciphertexts; the decryptor made it."""
    contexts = [one for one in seen if "context" in one.message.__struct_fields__]
    if not contexts:
        return None
    from secagg.he.contexts import PublicContext
    from secagg.protocols._homomorphic.plan import HomomorphicPlan

    assert isinstance(plan, HomomorphicPlan)  # noqa: S101
    holders = {Role.DECRYPTOR.name.lower()}
    for one in contexts:
        try:
            PublicContext.parse(one.message.context, plan.layout.lattice)  # type: ignore[attr-defined]
        except DecodeError:
            holders.add(one.recipient.role.name.lower())
    return tuple(sorted(holders))


def bound_for(bits: int, clients: int) -> int:
    """The largest bound with which so many clients' sums need a ring of so many bits."""
    return ((1 << bits) - 1) // (2 * clients)


def to_ring(values: Values, ring: Ring) -> RingVector:
    """Signed integers as elements of the ring."""
    return (values.astype(np.uint64) & np.uint64(ring.mask)).astype(ring.dtype)


def from_ring(vector: RingVector, ring: Ring) -> Values:
    """The signed integers that these elements stand for."""
    lifted = vector.astype(np.uint64)
    if ring.bits < 64:
        negative = lifted >> np.uint64(ring.bits - 1) & np.uint64(1)
        lifted = lifted - negative * np.uint64(1 << ring.bits)
    return lifted.view(np.int64)


def _of_clients(seen: Iterable[Sent]) -> list[Sent]:
    return [one for one in seen if one.sender.role is Role.CLIENT]


def _sizes(seen: Sequence[Sent]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[Sent]] = {}
    for one in _of_clients(seen):
        found.setdefault(type(one.message).__name__, []).append(one)
    return {
        name: tuple(one.size for one in sorted(ones, key=lambda one: one.sender))
        for name, ones in found.items()
    }


def _tokens(seen: Sequence[Sent]) -> dict[str, tuple[bytes, ...]]:
    """Every field of a client's messages, its vector's as a digest, and nonces of sealed rows."""
    found: dict[str, list[bytes]] = {}
    for one in _of_clients(seen):
        name = type(one.message).__name__
        for part in one.message.__struct_fields__:
            value = getattr(one.message, part)
            if part in PUBLIC_FIELDS:
                continue
            if part == "tail":
                value = hashlib.sha256(value).digest()
            if isinstance(value, bytes) and len(value) >= LEAST_TOKEN:
                found.setdefault(f"{name}.{part}", []).append(value)
            if part == "sealed" and isinstance(value, bytes):
                found.setdefault("nonces of sealed shares", []).extend(_nonces(name, value))
    return {name: tuple(values) for name, values in found.items()}


def _nonces(message: str, column: bytes) -> list[bytes]:
    from secagg.protocols._masking.authenticated.messages import SEALED_OPENINGS_BYTES

    row = SEALED_SHARES_BYTES if message == "ShareKeys" else SEALED_OPENINGS_BYTES
    return [column[start : start + NONCE_BYTES] for start in range(0, len(column), row)]
