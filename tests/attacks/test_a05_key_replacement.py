"""A5: the server puts keys of its own into the key book.

Adversary: a server that lies about keys.
Seen: the frames of one client.
Goal: the client's input, bit for bit, without a single other client.
Protection: at level `malicious` keys signed under identities that the server cannot make up:
`UnauthenticatedKey`. At level `curious` none: it promises nothing against this server, its
guarantee says so (`Adversary.CURIOUS_SERVER`), and the goal is reached.
Levels: malicious. Not covered at curious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import MALICIOUS, network_of

from secagg.audit.adversary import Seen, all_but, impersonate, own_keys, recovered, rows_of
from secagg.errors import UnauthenticatedKey
from secagg.protocol import Adversary
from secagg.protocols._masking.authenticated.messages import (
    CommittedShares,
    SignedKeyBook,
    SignedKeys,
)
from secagg.types import client
from secagg.wire import Message

VICTIM = client(2)


@pytest.mark.parametrize("scene", ["secagg 7 curious", "secagg_plus 7 curious"])
def test_a_server_that_replaces_keys_opens_an_input_at_curious(scene: str) -> None:
    network = network_of(scene, present=[VICTIM])
    claim = network.protocol.guarantees(network.plan.task.level).adversary
    assert claim is Adversary.CURIOUS_SERVER
    found = impersonate(network, VICTIM, all_but(network, VICTIM))
    assert recovered(network, VICTIM.number, found)


def test_without_signatures_it_does_at_malicious(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "signed keys")
    network = network_of(MALICIOUS, present=[VICTIM])
    found = impersonate(network, VICTIM, all_but(network, VICTIM))
    assert recovered(network, VICTIM.number, found)


def test_with_them_the_key_book_is_refused() -> None:
    network = network_of(MALICIOUS, present=[VICTIM])
    with pytest.raises(UnauthenticatedKey):
        impersonate(network, VICTIM, all_but(network, VICTIM))


@pytest.mark.parametrize("forgery", ["other keys", "another session", "exchanged"])
def test_a_signature_of_something_else_does_not_help(forgery: str) -> None:
    """The client whose keys are replaced did sign: other keys, elsewhere, or for itself only."""
    earlier = network_of(MALICIOUS, seed=2)
    earlier.run()
    (old,) = (m for m in earlier.said(client(5)) if isinstance(m, SignedKeys))

    def relay(seen: Seen) -> Message:
        book = seen.message
        if not isinstance(book, SignedKeyBook) or seen.recipient != VICTIM:
            return book
        keys, signatures = rows_of(book.keys, 64), rows_of(book.signatures, 64)
        # The victim's neighbours are 0, 1, 3, 4, 5, 6: clients 4 and 5 are in places 3 and 4.
        if forgery == "exchanged":
            keys[3], keys[4] = keys[4], keys[3]
            signatures[3], signatures[4] = signatures[4], signatures[3]
        elif forgery == "another session":
            keys[4], signatures[4] = old.channel_key + old.mask_key, old.signature
        else:
            keys[4] = own_keys(5).channel_key + own_keys(5).mask_key
        return SignedKeyBook(
            cohort=book.cohort,
            cohort_root=book.cohort_root,
            beacon=book.beacon,
            neighbours=book.neighbours,
            keys=b"".join(keys),
            models=book.models,
            signatures=b"".join(signatures),
            paths=book.paths,
        )

    network = network_of(MALICIOUS, relay)
    network.run()
    assert isinstance(network.failures[VICTIM].error, UnauthenticatedKey)
    assert not any(isinstance(m, CommittedShares) for m in network.said(VICTIM))
