"""Every test of the kernels runs at every level that this machine has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from secagg import kernels


@pytest.fixture(params=kernels.levels(), autouse=True, scope="module")
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    name: str = request.param
    with kernels.using_level(name):
        yield name
