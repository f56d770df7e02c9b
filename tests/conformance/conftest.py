from __future__ import annotations

import os

import pytest
from conformance.scenario import chosen_names

from secagg import protocols
from secagg.protocol import Protocol


@pytest.fixture(scope="session", params=chosen_names(os.environ.get("SECAGG_CONFORMANCE")))
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Every protocol in turn, or those named in SECAGG_CONFORMANCE."""
    return protocols.get(request.param)


@pytest.fixture(scope="session")
def protocol_name(protocol: Protocol) -> str:
    """Its name, for Hypothesis tests (a name prints better than an object)."""
    return protocol.name
