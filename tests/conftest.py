from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Deterministic in CI: a failure there is a failure everywhere. The machine is slow at times.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")
