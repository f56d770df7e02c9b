"""HE1: a server that lies about what a homomorphic sum covers.

Adversary: a server that sends the decryptor a ciphertext of its own choosing.
Seen: the uploads, and what the decryptor opens.
Goal: one client's vector. It is reached.
Protection: none. The attacks are why bfv and ckks claim an honest-but-curious server and honest
clients, and nothing more (docs/he.md).
Levels: not covered at curious, the only one.
"""

from __future__ import annotations

import numpy as np
import pytest
from conformance.scenario import Scenario
from unit.he.cases import times
from unit.protocols.test_homomorphic import asked

from secagg import kernels, protocols
from secagg.he import vectors
from secagg.protocol import Adversary, Collusion, Input, Level, Send
from secagg.protocols._homomorphic.messages import OpenedSum, OpenSum, RelayContext, Upload
from secagg.types import SERVER, client


@pytest.mark.parametrize("name", ["bfv", "ckks"])
def test_a_lying_server_has_one_client_opened(name: str) -> None:
    """It sends one victim's ciphertext three times over as "the sum of three": the counter fits."""
    run = Scenario(protocols.get(name), 3)
    decryptor, question = asked(run)
    assert decryptor._secret is not None
    victim = run.party(client(1))
    victim.start()
    victim.handle(Input(run.inputs[client(1)]), client(1))
    context = decryptor._secret.public.encoded
    effects = victim.handle(RelayContext(context), SERVER)
    (upload,) = [e.message for e in effects if isinstance(e, Send)]
    assert isinstance(upload, Upload)
    layout = decryptor.plan.layout
    tripled = times(vectors.unpack(upload.tail, layout), 3, layout)
    forged = OpenSum(
        question.context_digest,
        question.included,
        memoryview(vectors.pack(tripled, layout.lattice)),
    )
    (answer,) = [e.message for e in decryptor.handle(forged, SERVER) if isinstance(e, Send)]
    assert isinstance(answer, OpenedSum)
    total = kernels.unpack(answer.tail, run.plan.ring, run.plan.task.length)
    values = kernels.decode_signed(total, run.plan.ring)
    np.testing.assert_array_equal(values // 3, run.values[client(1)])


@pytest.mark.parametrize("name", ["bfv", "ckks"])
def test_the_claims_say_so(name: str) -> None:
    guarantees = protocols.get(name).guarantees(Level.CURIOUS)
    assert guarantees.adversary is Adversary.CURIOUS_SERVER
    assert guarantees.collusion is Collusion.NOBODY
    assert list(protocols.get(name).levels) == [Level.CURIOUS]
    assert "honest clients" in guarantees.source
    assert "do not collude" in guarantees.source
