"""The plan of pairwise masking, and what both sides derive from it in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from secagg.crypto import kdf
from secagg.crypto.digest import digest
from secagg.crypto.merkle import merkle_root
from secagg.crypto.prg import mask_stream
from secagg.crypto.shamir import SHARE_BYTES
from secagg.errors import ParameterError
from secagg.kernels import MaskStream
from secagg.protocol import Level, Plan, Session, Task, Traffic
from secagg.protocol.cohort import bitmap_size
from secagg.protocols._masking.messages import (
    INDEX_BYTES,
    KEY_BYTES,
    SEALED_SHARES_BYTES,
)
from secagg.protocols._masking.parameters import (
    GraphParameters,
    Server,
    complete_graph_parameters,
    secagg_plus_parameters,
)
from secagg.types import PartyId, Ring, Secret, client
from secagg.wire import frame_size

GRAPH_SEED_BYTES: Final = 32

TRAFFIC_FORMULA: Final = (
    "with m neighbours (n - 1 in the complete graph), B(x) = x + 2, 3 or 5 (a byte string's"
    " header for x < 256, < 65536, more), v = ceil(n / 8) and g = 0 (complete graph) or 32:"
    " up: 129 + (61 + 34 + B(108 m)) + (61 + ceil(d b / 8)) + (61 + B(40 (m + 1)));"
    " down: (61 + B(v) + 34 + B(g) + B(4 m) + B(64 m)) + (61 + B(4 m) + B(108 m)) + (61 + B(v))"
)


class MaskingPlan(Plan, frozen=True, kw_only=True, array_like=True):
    """What SecAgg and SecAgg+ agree on beyond the plan of every protocol.

    Attributes:
        complete: whether everyone is everyone's neighbour.
        degree: neighbours of a client, itself not counted.
        threshold: shares needed to rebuild a secret.
        smallest_cohort: with fewer clients than this at the start, the round is not begun.
        mask_key_bits: of the AES-CTR streams, 128 or 256.
        corrupt_neighbours: no client has more corrupt neighbours, but with the probability granted.
    """

    complete: bool
    degree: int
    threshold: int
    smallest_cohort: int
    mask_key_bits: int
    corrupt_neighbours: int

    @property
    def honest_lower_bound(self) -> int:
        """Honest inputs in a released sum, at least; on the ring by a sketch.

        There a lying server can have clients that are far apart believe in different survivors,
        and leave out others in each neighbourhood. Of the neighbours of an honest client in the
        sum, at least threshold - 1 - corrupt_neighbours of the degree - corrupt_neighbours honest
        ones are in it too, and then that part of all honest ones: of a closed neighbourhood, as
        security design, section 2, has it, it is a little less on some rings (decision 26).
        """
        honest = self.minimum - self.corrupt
        if self.complete or self.task.level is Level.CURIOUS:
            return honest
        near = self.threshold - 1 - self.corrupt_neighbours
        return honest * near // (self.degree - self.corrupt_neighbours)

    @property
    def suite(self) -> str:
        """Key agreement, key derivation, the cipher of the shares, the cipher of the masks."""
        return f"X25519/HKDF-SHA256/AES-256-GCM/AES-{self.mask_key_bits}-CTR"

    @property
    def mask_strength(self) -> int:
        """Key bits of the AES-CTR streams."""
        return self.mask_key_bits

    def describe(self) -> tuple[tuple[str, str], ...]:
        """The parameters by name."""
        graph = "complete" if self.complete else f"{self.degree}-regular ring"
        honest = (("honest in a sum", f"{self.honest_lower_bound} clients or more"),)
        return (
            *super().describe(),
            *(() if self.task.level is Level.CURIOUS else honest),
            ("neighbour graph", graph),
            ("threshold", f"{self.threshold} of {self.degree + 1}"),
            ("mask cipher", f"AES-{self.mask_key_bits}-CTR"),
        )


def complete_plan(protocol: str, version: int, task: Task) -> MaskingPlan:
    """A plan on the complete graph, with the threshold of architecture decision 12.

    Raises:
        ParameterError: no threshold withstands the colluders and survives the dropouts, or a sum
            might hold fewer than two honest inputs.
    """
    found = complete_graph_parameters(
        len(task.clients), task.corrupt, task.dropout, _server_model(task.level)
    )
    return _plan(protocol, version, task, found)


def sparse_plan(protocol: str, version: int, task: Task) -> MaskingPlan:
    """A plan on the ring graph; for small cohorts on the complete graph.

    A round starts with no fewer clients than may be left at its end, and the sum holds no fewer:
    with more lost, neither connectivity nor the thresholds are what was computed.

    Raises:
        ParameterError: as `complete_plan`, or no degree will do.
    """
    found = secagg_plus_parameters(
        len(task.clients),
        task.corrupt,
        task.dropout,
        task.sigma,
        task.eta,
        _server_model(task.level),
        smallest=len(task.clients) - task.dropout_count,
    )
    return _plan(protocol, version, task, found)


def _server_model(level: Level) -> Server:
    return "curious" if level is Level.CURIOUS else "malicious"


def _plan(protocol: str, version: int, task: Task, found: GraphParameters) -> MaskingPlan:
    survivors = len(task.clients) - task.dropout_count
    floor = found.threshold if found.complete else survivors
    minimum = max(task.min_clients, floor)
    if minimum > survivors:
        raise ParameterError(
            f"min_clients = {task.min_clients} of {len(task.clients)} clients, but only {survivors}"
            f" are sure to stay when {task.dropout_count} may drop out: lower dropout or"
            " min_clients, or enrol more clients"
        )
    plan = MaskingPlan(
        protocol=protocol,
        version=version,
        task=task,
        ring=Ring.for_sum(len(task.clients), task.bound),
        minimum=minimum,
        corrupt=task.corrupt_count,
        dropouts=task.dropout_count,
        complete=found.complete,
        degree=found.degree,
        threshold=found.threshold,
        smallest_cohort=minimum,
        mask_key_bits=mask_key_bits(task.level),
        corrupt_neighbours=found.corrupt_neighbours,
    )
    if plan.honest_lower_bound < 2:
        raise ParameterError(
            f"a sum of {minimum} clients, {task.corrupt_count} of them corrupt, hides no honest"
            " input behind another: raise min_clients, or ask for corrupt = 0 by name"
        )
    return plan


def mask_key_bits(level: Level) -> int:
    """AES-128 at `curious`, AES-256 at `malicious`."""
    return 128 if level is Level.CURIOUS else 256


def traffic(plan: Plan) -> Traffic:
    """A client's bytes in a round without dropouts; `TRAFFIC_FORMULA` in words."""
    assert isinstance(plan, MaskingPlan)  # noqa: S101
    neighbours = plan.degree
    bitmap = bitmap_size(plan.task.clients)
    sealed = SEALED_SHARES_BYTES * neighbours
    up = (
        frame_size((KEY_BYTES, KEY_BYTES))
        + frame_size((KEY_BYTES, sealed))
        + frame_size((), plan.ring.packed_size(plan.task.length))
        + frame_size((SHARE_BYTES * (neighbours + 1),))
    )
    seed = 0 if plan.complete else GRAPH_SEED_BYTES
    numbers = INDEX_BYTES * neighbours
    down = (
        frame_size((bitmap, KEY_BYTES, seed, numbers, 2 * KEY_BYTES * neighbours))
        + frame_size((numbers, sealed))
        + frame_size((bitmap,))
    )
    return Traffic(up, down)


def cohort_root(keys: Sequence[tuple[int, bytes, bytes]]) -> bytes:
    """The Merkle root over (roster index, channel key, mask key), ascending by index."""
    return merkle_root(
        [number.to_bytes(4, "big") + channel + mask for number, channel, mask in keys]
    )


def transcript(session: Session, root: bytes, graph_seed: bytes) -> bytes:
    """What every key and ciphertext from round 1 on is bound to (security design, H1)."""
    return digest("transcript", session.id, root, graph_seed)


def mask_keypair_seed(session: Session, mask_seed: Secret, owner: PartyId) -> Secret:
    """The X25519 seed of a client's mask key, from the 32-byte seed that is shared."""
    return kdf.derive(
        mask_seed, context=session.id, purpose=kdf.Purpose.MASK_KEYPAIR, parties=(owner,)
    )


def self_mask_commitment(transcript_digest: bytes, seed: Secret, owner: PartyId) -> bytes:
    """The commitment to a self-mask seed: a PRF output, hiding because the seed is uniform."""
    return kdf.derive(
        seed, context=transcript_digest, purpose=kdf.Purpose.COMMITMENT, parties=(owner,)
    ).reveal()


def self_mask(
    plan: MaskingPlan, transcript_digest: bytes, seed: Secret, owner: PartyId, sign: int
) -> MaskStream:
    """The mask that a client adds for itself."""
    return mask_stream(
        seed,
        context=transcript_digest,
        purpose=kdf.Purpose.SELF_MASK,
        parties=(owner,),
        protocol=plan.protocol,
        ring=plan.ring,
        length=plan.task.length,
        key_bits=plan.mask_key_bits,
        sign=sign,
    )


def pair_mask(
    plan: MaskingPlan,
    transcript_digest: bytes,
    agreed: Secret,
    me: tuple[int, bytes],
    peer: tuple[int, bytes],
    sign: int,
) -> MaskStream:
    """The mask that two clients share, as the client `me` adds it (sign +1) or it is removed (-1).

    Args:
        plan: of the session.
        transcript_digest: of the session.
        agreed: the X25519 secret of the two mask keys.
        me: roster index and mask public key of the client whose vector carries the mask.
        peer: the same of the other.
        sign: +1 to mask, -1 to undo.
    """
    (low, low_key), (high, high_key) = sorted((me, peer))
    return mask_stream(
        agreed,
        context=transcript_digest,
        purpose=kdf.Purpose.PAIR_MASK,
        parties=(client(low), client(high)),
        protocol=plan.protocol,
        ring=plan.ring,
        length=plan.task.length,
        key_bits=plan.mask_key_bits,
        sign=sign if me[0] > peer[0] else -sign,
        details=(low_key, high_key),
    )
