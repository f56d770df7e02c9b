"""A client's bytes at level `malicious`."""

from __future__ import annotations

from typing import Final

from secagg.crypto.digest import DIGEST_BYTES
from secagg.crypto.merkle import padded_count, path_size
from secagg.crypto.signing import SIGNATURE_BYTES
from secagg.protocol import SimulatedBeacon, Traffic
from secagg.protocol.cohort import bitmap_size
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    OPENING_BYTES,
    ROUND_BYTES,
    SEALED_OPENINGS_BYTES,
)
from secagg.protocols._masking.messages import INDEX_BYTES, KEY_BYTES
from secagg.protocols._masking.plan import MaskingPlan
from secagg.wire import frame_size

TRAFFIC_FORMULA: Final = (
    "on the complete graph, with m = n - 1 neighbours, threshold t, B(x) = x + 2, 3 or 5 (a byte"
    " string's header for x < 256, < 65536, more), v = ceil(n / 8), p = 32 ceil(log2 n):"
    " up: 229 + (61 + 34 + B(140 m) + B(64 n) + 66) + (61 + 2 + 66 + ceil(d b / 8)) + 127"
    " + (61 + B(56 n) + 66);"
    " down: (61 + B(v) + 34 + 2 + B(4 m) + B(64 m) + B(32 m) + B(64 m) + 2)"
    " + (61 + B(4 m) + B(140 m) + B(64 m) + B(32 m) + B(p m) + B(64 m)) + (61 + 2 B(v))"
    " + (61 + B(4 (t - 1)) + B(64 (t - 1)))"
)


RING_TRAFFIC_FORMULA: Final = (
    "as secagg at this level with m neighbours and n = m + 1 holders; and with h = 32 ceil(log2 of"
    " the cohort) and g bytes of the beacon's value (64 of the SIMULATED one): up: + 127;"
    " down: + (61 + B(v) + 34 + B(h) + 10) + B(g) - 2, and on a sparse graph + B(h (m + 1)) - 2"
)


def traffic(plan: MaskingPlan) -> Traffic:
    """A client's bytes in a round without dropouts; `TRAFFIC_FORMULA` in words."""
    return _traffic(plan, 0, 0)


def ring_traffic(plan: MaskingPlan) -> Traffic:
    """A client's bytes in a round without dropouts; `RING_TRAFFIC_FORMULA` in words."""
    cohort = len(plan.task.clients)
    path = path_size(0, padded_count(cohort))
    paths = 0 if plan.degree >= cohort - 1 else path * (plan.degree + 1)
    up, down = _traffic(plan, SimulatedBeacon.SIZE, paths)
    bitmap = bitmap_size(plan.task.clients)
    return Traffic(
        up + frame_size((SIGNATURE_BYTES,)),
        down + frame_size((bitmap, DIGEST_BYTES, path, ROUND_BYTES)),
    )


def _traffic(plan: MaskingPlan, beacon: int, paths: int) -> Traffic:
    near = plan.degree
    holders = near + 1
    bitmap = bitmap_size(plan.task.clients)
    numbers = INDEX_BYTES * near
    up = (
        frame_size((DIGEST_BYTES, KEY_BYTES, KEY_BYTES, SIGNATURE_BYTES))
        + frame_size(
            (
                DIGEST_BYTES,
                SEALED_OPENINGS_BYTES * near,
                COMMITMENT_PAIR_BYTES * holders,
                SIGNATURE_BYTES,
            )
        )
        + frame_size((0, SIGNATURE_BYTES), plan.ring.packed_size(plan.task.length))
        + frame_size((SIGNATURE_BYTES,))
        + frame_size((OPENING_BYTES * holders, SIGNATURE_BYTES))
    )
    signers = plan.threshold - 1
    down = (
        frame_size(
            (
                bitmap,
                DIGEST_BYTES,
                beacon,
                numbers,
                2 * KEY_BYTES * near,
                DIGEST_BYTES * near,
                SIGNATURE_BYTES * near,
                paths,
            )
        )
        + frame_size(
            (
                numbers,
                SEALED_OPENINGS_BYTES * near,
                COMMITMENT_PAIR_BYTES * near,
                DIGEST_BYTES * near,
                near * path_size(0, padded_count(holders)),
                SIGNATURE_BYTES * near,
            )
        )
        + frame_size((bitmap, bitmap))
        + frame_size((INDEX_BYTES * signers, SIGNATURE_BYTES * signers))
    )
    return Traffic(up, down)
