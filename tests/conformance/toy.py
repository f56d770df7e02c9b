"""A toy: two servers that must not talk to each other, as a protocol in one file.

A client sends its vector under one mask to the server and the mask's seed to a helper; the two
agree on whom they both heard and the helper tells the sum of the masks. It exists to show that a
protocol with a third role needs nothing but its file and its name. The helper keeps its state in
memory only. It is not secure against anything but a reader of one of the two links.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec
import numpy as np

from secagg import kernels
from secagg.crypto.kdf import Purpose
from secagg.crypto.prg import mask_stream
from secagg.errors import RemoteProtocolError
from secagg.protocol import (
    Adversary,
    Collusion,
    Deadline,
    Done,
    Dropouts,
    Effects,
    Evidence,
    Exactness,
    Fail,
    Guarantees,
    Input,
    Level,
    Offering,
    Party,
    Plan,
    Protocol,
    Send,
    Session,
    Task,
    Traffic,
    Validity,
    on,
)
from secagg.types import SERVER, PartyId, Ring, RingVector, Rng, Role, Secret, client
from secagg.wire import Message, MessageTable, Tail, frame_size

HELPER: Final = PartyId(Role.HELPER, 0)
Word = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Numbers = Annotated[bytes, msgspec.Meta(max_length=1 << 22)]


class Masked(Message, frozen=True):
    """Client to server: the vector under its mask."""

    KIND = 1
    SENDER = Role.CLIENT
    tail: Tail


class Seed(Message, frozen=True):
    """Client to helper: the mask's seed and its digest."""

    KIND = 2
    SENDER = Role.CLIENT
    seed: Word
    check: Word


class Heard(Message, frozen=True):
    """Helper to server: whose seeds came."""

    KIND = 3
    SENDER = Role.HELPER
    clients: Numbers


class Ask(Message, frozen=True):
    """Server to helper: whose masks to add."""

    KIND = 4
    SENDER = Role.SERVER
    clients: Numbers


class Masks(Message, frozen=True):
    """Helper to server: the sum of the masks of these clients."""

    KIND = 5
    SENDER = Role.HELPER
    clients: Numbers
    tail: Tail


TABLE: Final = MessageTable((Masked, Seed, Heard, Ask, Masks))


class ToyPlan(Plan, frozen=True, kw_only=True, array_like=True):
    """A plan with a third role."""

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """The clients and both servers."""
        return (*self.task.clients, SERVER, HELPER)


def mask_into(total: RingVector, session: Session, owner: PartyId, seed: Secret, sign: int) -> None:
    """Add a client's mask to a vector, or subtract it."""
    plan = session.plan
    stream = mask_stream(
        seed,
        context=session.id,
        purpose=Purpose.SELF_MASK,
        parties=(owner,),
        protocol=plan.protocol,
        ring=plan.ring,
        length=plan.task.length,
        key_bits=128,
        sign=sign,
    )
    kernels.apply_masks(total, [stream])


def encode(numbers: set[int]) -> bytes:
    """A set of clients as ascending u32."""
    return np.array(sorted(numbers), dtype="<u4").tobytes()


def decode(column: bytes, sender: PartyId) -> set[int]:
    """The inverse of encode."""
    if len(column) % 4:
        raise RemoteProtocolError(sender, "expected whole numbers")
    return set(np.frombuffer(column, dtype="<u4").tolist())


class Client(Party):
    """Sends one thing to each server."""

    phases = ("upload",)
    table = TABLE

    @on(Input, "upload")
    def upload(self, event: Input, sender: PartyId) -> Effects:
        """Mask and send."""
        seed = Secret(self.rng.bytes(32))
        masked = np.array(event.vector)
        mask_into(masked, self.session, self.me, seed, +1)
        yield Send(SERVER, Masked(memoryview(kernels.pack(masked, self.plan.ring))))
        yield Send(HELPER, Seed(seed.reveal(), hashlib.sha256(seed.reveal()).digest()))
        yield Done()


class Helper(Party):
    """Knows the masks and none of the vectors."""

    phases = ("collect", "open")
    table = TABLE
    tolerant = True
    restorable = False

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._seeds: dict[int, Secret] = {}

    @on(Seed, "collect")
    def keep(self, message: Seed, sender: PartyId) -> Effects:
        """Keep a seed."""
        if hashlib.sha256(message.seed).digest() != message.check:
            raise RemoteProtocolError(sender, "expected a seed that fits its digest")
        self._seeds[sender.number] = Secret(message.seed)
        return self._close() if len(self._seeds) == len(self.plan.task.clients) else ()

    @on(Deadline, "collect")
    def close(self, event: Deadline, sender: PartyId) -> Effects:
        """Whoever has not sent a seed will not."""
        return self._close()

    def _close(self) -> Effects:
        self.advance("open")
        yield Send(SERVER, Heard(encode(set(self._seeds))))

    @on(Ask, "open")
    def tell(self, message: Ask, sender: PartyId) -> Effects:
        """Add up the masks that are asked for, once."""
        asked = decode(message.clients, sender)
        if not asked <= self._seeds.keys() or len(asked) < self.plan.minimum:
            raise RemoteProtocolError(sender, "expected enough clients, all of whom I heard")
        total = np.zeros(self.plan.task.length, dtype=self.plan.ring.dtype)
        for number in asked:
            mask_into(total, self.session, client(number), self._seeds[number], +1)
        packed = memoryview(kernels.pack(total, self.plan.ring))
        yield Send(SERVER, Masks(encode(asked), packed))
        yield Done()


class Server(Party):
    """Knows the masked vectors and none of the masks."""

    phases = ("collect", "agree", "open")
    table = TABLE
    tolerant = True

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._vectors: dict[int, RingVector] = {}
        self._included: set[int] = set()

    def _unpacked(self, tail: memoryview, sender: PartyId) -> RingVector:
        ring, length = self.plan.ring, self.plan.task.length
        if tail.nbytes != ring.packed_size(length):
            raise RemoteProtocolError(sender, f"expected {ring.packed_size(length)} bytes")
        return kernels.unpack(tail, ring, length)

    @on(Masked, "collect")
    def keep(self, message: Masked, sender: PartyId) -> Effects:
        """Keep a vector until it is known whose mask the helper has."""
        self._vectors[sender.number] = self._unpacked(message.tail, sender)
        return self._close() if len(self._vectors) == len(self.plan.task.clients) else ()

    @on(Deadline, "collect")
    def close(self, event: Deadline, sender: PartyId) -> Effects:
        """Whoever has not delivered will not."""
        return self._close()

    def _close(self) -> Effects:
        if len(self._vectors) < self.plan.minimum:
            yield self._too_few(len(self._vectors))
        else:
            self.advance("agree")

    @on(Heard, "agree")
    def agree(self, message: Heard, sender: PartyId) -> Effects:
        """The sum is over those whom both servers heard."""
        self._included = decode(message.clients, sender) & self._vectors.keys()
        if len(self._included) < self.plan.minimum:
            yield self._too_few(len(self._included))
            return
        self.advance("open")
        yield Send(HELPER, Ask(encode(self._included)))

    @on(Masks, "open")
    def unmask(self, message: Masks, sender: PartyId) -> Effects:
        """Add the vectors, take the masks off."""
        if decode(message.clients, sender) != self._included:
            raise RemoteProtocolError(sender, "expected the masks of those I asked for")
        masks = self._unpacked(message.tail, sender)
        total = np.zeros(self.plan.task.length, dtype=self.plan.ring.dtype)
        for number in self._included:
            kernels.ring_add(total, self._vectors[number])
        kernels.ring_subtract(total, masks)
        kernels.ring_reduce(total, self.plan.ring)
        yield Done(total, tuple(client(number) for number in sorted(self._included)))

    def _too_few(self, got: int) -> Fail:
        return Fail(f"{got} clients were heard by both, {self.plan.minimum} are needed")


class Toy(Protocol):
    """Two servers, one of which forgets everything when it dies."""

    name = "toy"
    title = "a toy with two servers"
    version = 1
    levels = {
        Level.CURIOUS: Offering(
            guarantees=Guarantees(
                adversary=Adversary.CURIOUS_SERVER,
                collusion=Collusion.NOBODY,
                dropouts=Dropouts.ANY,
                exactness=Exactness.EXACT,
                validity=Validity.UNCHECKED,
                evidence=Evidence.SKETCH,
                source="a test",
            ),
            roles={Role.CLIENT: Client, Role.SERVER: Server, Role.HELPER: Helper},
            traffic_formula="up: (61 + ceil(d b / 8)) + 129; down: 0",
        )
    }

    def plan(self, task: Task) -> ToyPlan:
        """No parameters but the ring."""
        self.guarantees(task.level)
        return ToyPlan(
            protocol=self.name,
            version=self.version,
            task=task,
            ring=Ring.for_sum(len(task.clients), task.bound),
            minimum=task.min_clients,
            corrupt=0,
            dropouts=len(task.clients) - task.min_clients,
        )

    def traffic(self, plan: Plan) -> Traffic:
        """Two messages up, nothing down."""
        vector = plan.ring.packed_size(plan.task.length)
        return Traffic(up=frame_size((), vector) + frame_size((32, 32)), down=0)


PROTOCOL: Final = Toy()
