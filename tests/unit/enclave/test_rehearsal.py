"""The rehearsal: a round of all parties, with what an enclave's process loads and nothing else."""

from __future__ import annotations

import pytest

from secagg import kernels
from secagg.enclave.rehearsal import rehearse
from secagg.kernels import buffers
from secagg.types import Ring


def test_no_buffer_of_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[int, list[object]] = {}
    monkeypatch.setattr(buffers, "_kept", kept)
    monkeypatch.setattr(buffers, "LEAST_KEPT", 1)
    rehearse()
    assert not kept
    kernels.unpack(bytes(8), Ring(32), 2)  # this one lends
    assert kept
