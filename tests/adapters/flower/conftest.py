from __future__ import annotations

from pathlib import Path

import pytest

IGNORED = (
    # Flower asks for a Typer that asks for what Click is about to drop.
    "ignore:'click.* is deprecated and will be removed in Click 9.0:DeprecationWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    """Every other warning is an error, as in the main run."""
    for warning in IGNORED:
        config.addinivalue_line("filterwarnings", warning)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this device's key is put; not where the developer's own lies."""
    home = tmp_path / "state home"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home
