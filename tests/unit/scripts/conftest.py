from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


def imported(name: str) -> Iterator[ModuleType]:
    """A script as a module, with those that it imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module(name)


@pytest.fixture(scope="session")
def sites() -> Iterator[ModuleType]:
    yield from imported("check_sites")


@pytest.fixture(scope="session")
def mutants() -> Iterator[ModuleType]:
    yield from imported("mutants")


@pytest.fixture(scope="session")
def page() -> Iterator[ModuleType]:
    yield from imported("mutants_doc")


@pytest.fixture(scope="session")
def alarms() -> Iterator[ModuleType]:
    yield from imported("audit_false_alarms")
