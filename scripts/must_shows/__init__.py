"""What each milestone must show, as steps that scripts/acceptance.py runs and records."""

from __future__ import annotations

from collections.abc import Callable

from must_shows import audit, backends, demo, flower, lying_server, speed
from must_shows.step import Step

MILESTONES: dict[int, tuple[Callable[[Step], None], ...]] = {
    1: (demo.fresh_clone, demo.hospitals, demo.losses, demo.parameters, demo.extension),
    2: (
        backends.six_rows,
        backends.fashion,
        backends.ciphertext_bytes,
        backends.worst_case_noise,
        backends.two_workers,
        backends.enclave_proofs,
    ),
    3: (speed.kernel_speed, speed.flower, speed.bonawitz, speed.at_scale, speed.every_mask),
    4: (
        lying_server.attacks,
        lying_server.mutants,
        lying_server.planner,
        lying_server.lying_server,
        lying_server.cost,
    ),
    5: (flower.transports, flower.quickstart, flower.side_by_side, flower.strategies),
    6: (
        audit.verdicts,
        audit.weakened,
        audit.foreign,
        audit.false_alarms,
        audit.edited_records,
    ),
}
