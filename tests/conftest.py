from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Deterministic in CI: a failure there is a failure everywhere. The machine is slow at times.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")

ADAPTERS = Path(__file__).parent / "adapters"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--framework",
        metavar="NAME",
        help="run tests/adapters/NAME, in the environment with that framework, and nothing else",
    )


def pytest_configure(config: pytest.Config) -> None:
    framework: str | None = config.getoption("--framework")
    if framework is None:
        named = [Path(argument.split("::")[0]).resolve() for argument in config.args]
        if any(path.is_relative_to(ADAPTERS) for path in named):
            raise pytest.UsageError(f"give --framework NAME for what is below {ADAPTERS}")
    elif not (ADAPTERS / framework).is_dir():
        raise pytest.UsageError(f"--framework {framework}: there is no {ADAPTERS / framework}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Each adapter's tests need what the main environment has not; a run is for one of the two.

    Nothing here asks whether a framework is installed: where it is missing, its tests fail.
    """
    framework: str | None = config.getoption("--framework")
    if framework is None:
        return True if collection_path == ADAPTERS else None
    wanted = ADAPTERS / framework
    inside = collection_path.is_relative_to(wanted) or wanted.is_relative_to(collection_path)
    return None if inside else True
