"""Flower's own SecAgg+ as the target of an audit, as it is released and with its defaults.

    secagg audit --adapter secagg.adapters.flower.audited:FlowerSecAggPlus

What it answers is what Flower's code did in this process. Integers become coordinates on the grid
of Flower's quantisation, one step each, so that its rounding changes none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar, Final, cast

import numpy as np
from flwr.app import ConfigRecord
from flwr.common import bytes_to_ndarray
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import decrypt, generate_shared_key
from flwr.common.secure_aggregation.secaggplus_constants import Key, Stage
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen,
    share_keys_plaintext_separate,
)
from flwr.common.serde import recorddict_to_proto
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.supercore.primitives.asymmetric import (
    bytes_to_public_key,
    generate_key_pairs,
    public_key_to_bytes,
)

from secagg.adapters.flower.secaggplus import NODES, Round
from secagg.audit.foreign import ForeignImplementation
from secagg.audit.subject import Answer, Facts, Lie, Numbers, Question, Request, Values
from secagg.crypto.rng import SEED_BYTES, StreamRng, SystemRng
from secagg.errors import CannotTell
from secagg.protocol import (
    Adversary,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Validity,
)

DEFAULTS: Final = SecAggPlusWorkflow(1.0, 1.0)
"""Users have to give the numbers of shares, and nothing else."""

RING_BITS: Final = DEFAULTS.modulus_range.bit_length() - 1
STEP: Final = 2 * DEFAULTS.clipping_range / DEFAULTS.quantization_range
EXAMPLES: Final = int(DEFAULTS.max_weight)
"""Of every client, unless the audit names them: with as many, the weight changes no coordinate."""

SHARES: Final = 1.0
THRESHOLD: Final = 2 / 3
"""Everybody deals a share to everybody, and two thirds of them rebuild a secret."""

LARGEST: Final = 2.0**62

CLIENTS: Final = 4
"""In rounds of which one client is looked at."""

SECRETS: Final = ("sk1", "sk2", "rd_seed")
"""In a client's state: two private keys, and the seed of its own mask."""

_STAGES: Final = {
    "before sharing keys": Stage.SHARE_KEYS,
    "before upload": Stage.COLLECT_MASKED_VECTORS,
    "after upload": Stage.UNMASK,
}


class FlowerSecAggPlus(ForeignImplementation):
    """`SecAggPlusWorkflow` and `secaggplus_mod`."""

    name = "Flower 1.41.0 SecAgg+"
    title = "SecAggPlusWorkflow and secaggplus_mod, as released, with the defaults"
    guarantees: ClassVar[Guarantees | None] = Guarantees(
        # Its documentation says that the server opens the aggregate and can inspect no update of
        # a single client, and names no adversary: the weaker reading is a server that follows the
        # protocol. Of coalitions it says nothing.
        adversary=Adversary.CURIOUS_SERVER,
        collusion=Collusion.NOBODY,
        # Robust to dropouts, to a degree that the numbers of shares set.
        dropouts=Dropouts.PLANNED,
        exactness=Exactness.BOUNDED_ERROR,
        validity=Validity.UNCHECKED,
        evidence=Evidence.NONE,
        source="Flower 1.41.0, the pages on SecAggPlusWorkflow and Secure Aggregation Protocols",
    )

    def session(self, request: Request) -> Facts:
        """A round with the default ring, of 32 bits, unless a narrower one holds a coordinate."""
        held = _round(request.inputs, request.weights, _ring_bits(request.bits))
        held.lost = {number: _STAGES[moment] for number, moment in request.lost.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            # A sum of weights that wraps to zero divides by it.
            mean = held.run()
        included = tuple(sorted(held.sent.get(Stage.COLLECT_MASKED_VECTORS, ())))
        facts = Facts(
            bits=_ring_bits(request.bits),
            masked=np.stack([_masked(held, number) for number in included]) if included else None,
            # What lies between two steps is rounded to one of them: a step for each client.
            error_bound=request.clients,
            sizes=_sizes(held),
            tokens=_tokens(held),
            clear=_clear(held),
            largest=DEFAULTS.quantization_range // 2,
            kept=_kept(held),
        )
        if mean is None:
            raised = ", ".join(sorted({repr(error) for error in held.errors})) or "nothing"
            return replace(facts, failure=f"the strategy got no result; clients raised {raised}")
        if request.weights:
            return replace(facts, failure="the mean is weighted: no sum of the inputs follows")
        # Whatever a strategy is given counts as released: infinities and NaN as well.
        finite = np.nan_to_num(mean * (len(included) / STEP), posinf=LARGEST, neginf=-LARGEST)
        total = np.rint(finite).astype(np.int64)
        return replace(facts, total=total, included=included)

    def smallest_sum(self, clients: int) -> int:
        """The threshold that the workflow names to clients."""
        held = _round(np.zeros((clients, 1), dtype=np.int64))
        held.lost = dict.fromkeys(range(clients), Stage.SHARE_KEYS)
        held.run()
        return cast(int, held.asked[Stage.SETUP][0][Key.THRESHOLD])

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        """By Flower's generator, from seeds of 32 bytes as those of its self masks are."""
        rng = StreamRng(seed)
        rows = [
            pseudo_rand_gen(rng.bytes(SEED_BYTES), 1 << bits, [(length,)])[0] for _ in range(count)
        ]
        return np.stack(rows)

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """Of the mod, with all vectors in and nobody asked yet."""
        held = _round(np.zeros((clients, 1), dtype=np.int64))
        held.lost = dict.fromkeys(range(clients), Stage.UNMASK)
        held.run()
        return tuple(_answer(held, question) for question in questions)

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        """What Flower's generator starts from: four bytes, whatever it is given.

        Given are keys as two clients agree on them, and 32 random bytes, as a client draws its own.
        """
        private, _ = generate_key_pairs()
        agreed = [generate_shared_key(private, generate_key_pairs()[1]) for _ in range(count)]
        drawn = [SystemRng().bytes(SEED_BYTES) for _ in range(count)]
        return {
            "pairwise masks": tuple(map(_folded, agreed)),
            "self masks": tuple(map(_folded, drawn)),
        }

    def believes(self, lie: Lie) -> bool:
        """Whether client 0 goes on, and what it then sends is of use to the liar."""
        match lie:
            case "other keys":
                return _deals_to_strangers()
            case "threshold of one":
                return _deals_whole_secrets()
            case "ring of one bit":
                return _uploads_bits()

    def takes_not_a_number(self) -> bool:
        """In a round of three, of which one has NaN in it."""
        held = _round(np.zeros((3, 2), dtype=np.int64))
        held.updates[1][0] = np.nan
        with np.errstate(invalid="ignore"):
            mean = held.run()
        return mean is not None and 1 in held.sent[Stage.COLLECT_MASKED_VECTORS]


def _folded(seed: bytes) -> bytes:
    """The four bytes that make the same mask.

    Raises:
        CannotTell: they make another one.
    """
    words = np.frombuffer(seed, dtype="<u4")
    folded = int(np.bitwise_xor.reduce(words)).to_bytes(4, "little")
    (mask,), (same,) = (pseudo_rand_gen(one, 1 << RING_BITS, [(16,)]) for one in (seed, folded))
    if not np.array_equal(mask, same):
        raise CannotTell("masks do not follow from the exclusive or of a seed's words")
    return folded


def _told(stage: str, key: str, value: int) -> Round:
    """A round in which client 0 is told this at a stage, up to the vectors."""

    def tell(number: int, configs: ConfigRecord) -> None:
        if number == 0:
            configs[key] = value

    held = _round(np.zeros((CLIENTS, 4), dtype=np.int64))
    held.tamper = {stage: tell}
    held.lost = dict.fromkeys(range(CLIENTS), Stage.UNMASK)
    held.run()
    return held


def _deals_whole_secrets() -> bool:
    held = _told(Stage.SETUP, Key.THRESHOLD, 1)
    if 0 not in held.sent.get(Stage.SHARE_KEYS, ()):
        return False
    state = held.state_of(0)
    shares = cast(list[bytes], state["rd_seed_share_dict:V"])
    return combine_shares(shares[:1]) == state["rd_seed"]


def _uploads_bits() -> bool:
    held = _told(Stage.SETUP, Key.MOD_RANGE, 2)
    uploads = held.sent.get(Stage.COLLECT_MASKED_VECTORS, ())
    return 0 in uploads and int(_masked(held, 0).max()) < 2


def _deals_to_strangers() -> bool:
    """Whether a server with keys of its own opens the shares, and from them the client's seed."""
    own = {
        NODES + number: (generate_key_pairs(), generate_key_pairs()) for number in range(CLIENTS)
    }

    def swap(number: int, configs: ConfigRecord) -> None:
        for name in list(configs):
            if number == 0 and name not in (Key.STAGE, str(NODES)):
                configs[name] = [public_key_to_bytes(public) for _, public in own[int(name)]]

    held = _round(np.zeros((CLIENTS, 1), dtype=np.int64))
    held.tamper = {Stage.SHARE_KEYS: swap}
    held.lost = dict.fromkeys(range(CLIENTS), Stage.COLLECT_MASKED_VECTORS)
    held.run()
    if 0 not in held.sent.get(Stage.SHARE_KEYS, ()):
        return False
    answer = held.configs(Stage.SHARE_KEYS, 0)
    theirs = bytes_to_public_key(cast(bytes, held.configs(Stage.SETUP, 0)[Key.PUBLIC_KEY_2]))
    nodes, rows = cast(Any, answer[Key.DESTINATION_LIST]), cast(Any, answer[Key.CIPHERTEXT_LIST])
    opened = [
        share_keys_plaintext_separate(decrypt(generate_shared_key(own[node][1][0], theirs), row))
        for node, row in zip(nodes, rows, strict=True)
    ]
    return combine_shares([share for _, _, share, _ in opened]) == held.state_of(0)["rd_seed"]


def _kept(held: Round) -> tuple[str, ...] | None:
    """Private keys and seeds in the clients' states; None if the round did not end."""
    if held.mean is None:
        return None
    states = [held.state_of(number) for number in held.sent[Stage.UNMASK]]
    return tuple(name for name in SECRETS if any(state.get(name) for state in states))


def _ring_bits(asked: int) -> int:
    """The ring that was asked for, if Flower's workflow takes it with its quantisation."""
    narrowest = DEFAULTS.quantization_range.bit_length()
    return asked if narrowest <= asked <= RING_BITS else RING_BITS


def _round(inputs: Values, weights: Sequence[int] = (), bits: int = RING_BITS) -> Round:
    return Round(
        updates=[row * STEP for row in inputs],
        examples=weights or (EXAMPLES,) * len(inputs),
        shares=SHARES,
        threshold=THRESHOLD,
        options={"modulus_range": 1 << bits},
    )


def _masked(held: Round, number: int) -> Numbers:
    """A client's masked coordinates; before them it sends its masked weight."""
    arrays = cast(
        list[bytes], held.configs(Stage.COLLECT_MASKED_VECTORS, number)[Key.MASKED_PARAMETERS]
    )
    return bytes_to_ndarray(arrays[1])


def _sizes(held: Round) -> Mapping[str, tuple[int, ...]]:
    """Bytes of the records as Flower's transport encodes them."""
    return {
        stage: tuple(
            recorddict_to_proto(content).ByteSize() for _, content in sorted(answers.items())
        )
        for stage, answers in held.sent.items()
    }


def _tokens(held: Round) -> Mapping[str, tuple[bytes, ...]]:
    """Public keys and sealed shares."""
    keys, sealed = held.sent.get(Stage.SETUP, ()), held.sent.get(Stage.SHARE_KEYS, ())
    found = {
        name: tuple(cast(bytes, held.configs(Stage.SETUP, number)[name]) for number in keys)
        for name in (Key.PUBLIC_KEY_1, Key.PUBLIC_KEY_2)
    }
    rows = [
        cast(list[bytes], held.configs(Stage.SHARE_KEYS, number)[Key.CIPHERTEXT_LIST])
        for number in sealed
    ]
    return found | {Key.CIPHERTEXT_LIST: tuple(chain.from_iterable(rows))}


def _clear(held: Round) -> Mapping[str, tuple[float, ...]]:
    """Every number in a metric record beside a masked vector."""
    found: dict[str, list[float]] = {}
    for _, content in sorted(held.sent.get(Stage.COLLECT_MASKED_VECTORS, {}).items()):
        for record in content.metric_records.values():
            for name, value in record.items():
                found.setdefault(name, []).append(float(cast(float, value)))
    return {name: tuple(values) for name, values in found.items()}


def _answer(held: Round, question: Question) -> Answer:
    """The shares that client 0 gives, told apart by what it keeps of each; None if it raises."""
    configs: dict[str, Any] = {
        Key.STAGE: Stage.UNMASK,
        Key.ACTIVE_NODE_ID_LIST: [NODES + number for number in question.alive],
        Key.DEAD_NODE_ID_LIST: [NODES + number for number in question.dropped],
    }
    try:
        answer = held.ask(0, configs)
    except Exception:  # the mod has no errors of its own: it refuses by raising any
        return None
    state, given = held.state_of(0), []
    nodes, shares = cast(Any, answer[Key.NODE_ID_LIST]), cast(Any, answer[Key.SHARE_LIST])
    for node, share in zip(nodes, shares, strict=True):
        for kind, kept in (("self", "rd_seed_share_dict"), ("mask", "sk1_share_dict")):
            owners, theirs = cast(Any, state[f"{kept}:K"]), cast(Any, state[f"{kept}:V"])
            if dict(zip(owners, theirs, strict=True)).get(node) == share:
                given.append((node - NODES, kind))
    return tuple(given)
