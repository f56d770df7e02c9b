"""A30: the decryptor is asked twice, about two sets of clients.

Adversary: a server that asks again; with it, once, whoever can copy a decryptor.
Seen: the uploads, and the sums that are opened.
Goal: the victim's input, as the difference of two sums.
Protection: a decryptor answers once, and erases its key in the same step: asked again it is over,
be it restored from its records or not (`LocalProtocolError`, late).
Not covered: a decryptor that was copied while it had its key. Asked about other clients the copy
answers as well, and the goal is reached.
Levels: curious, the only one of bfv and ckks.
"""

from __future__ import annotations

import pytest
from attacks.scenes import mounted, network_of

from secagg.audit.adversary import recovered_from_two
from secagg.audit.attacks.homomorphic import VICTIM, answered, difference, without_victim
from secagg.audit.attacks.mask_reuse import repeated
from secagg.types import DECRYPTOR, SERVER

NAMES = ("bfv", "ckks")


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_of_the_decryptor_answers_about_others(name: str) -> None:
    """Taken out: that there is one decryptor with one life. A copy of it has the same key."""
    network = network_of(f"{name} 5 curious", entropy=repeated)
    network.run()
    copy = network_of(f"{name} 5 curious", entropy=repeated, present=[DECRYPTOR])
    copy.begin()
    answer = answered(copy.parties[DECRYPTOR].handle(without_victim(network), SERVER))
    assert recovered_from_two(network, VICTIM, difference(network, answer))


@pytest.mark.parametrize("name", NAMES)
def test_one_decryptor_answers_once_killed_or_not(name: str) -> None:
    outcome = mounted("A30", f"{name} curious")
    assert not outcome.succeeded
    assert outcome.stopped_by == "LocalProtocolError"
    assert outcome.evidence.startswith("2 of 2 second questions refused")
