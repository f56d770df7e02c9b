from __future__ import annotations

import os

import pytest
from conformance.scenario import Offered, chosen_names


@pytest.fixture(scope="session", params=chosen_names(os.environ.get("SECAGG_CONFORMANCE")))
def offered(request: pytest.FixtureRequest) -> Offered:
    """Every protocol at every level in turn, or those named in SECAGG_CONFORMANCE."""
    return Offered.named(request.param)


@pytest.fixture(scope="session")
def offered_name(offered: Offered) -> str:
    """Its name, for Hypothesis tests (a name prints better than an object)."""
    return str(offered)
