"""A20: shares of an earlier session are replayed in a later one.

Adversary: a server that puts old ciphertexts into new frames, the session id rewritten; clients
whose channel keys live longer than a session (this library's do not: it makes the attack harder to
stop, and the same in all tests here).
Seen: the frames of both sessions.
Goal: an old input, bit for bit. In the old session the victim survived, so its holders gave shares
of its self seed. In the new one it is lost, and of what is taken for its new shares the holders
give the other kind.
Protection: the transcript is in the channel key and in the associated data: `ShareBindingError`.
At level `malicious` it is in the commitment to each share as well. A frame replayed as it was is
refused before that: `WrongSession`.
Levels: curious, malicious.
"""

from __future__ import annotations

import pytest
from attacks.checks import without
from attacks.scenes import COMPLETE, MALICIOUS, network_of

from secagg.audit.adversary import Network, ServerView, recovered
from secagg.audit.attacks.replayed_shares import VICTIM, opened, replay
from secagg.errors import ShareBindingError, WrongSession
from secagg.types import SERVER, client

KEY, DATA = "transcript in the channel key", "transcript in the associated data"
COMMITMENT = "transcript in the share commitments"


@pytest.fixture(autouse=True)
def _long_lived_channel_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "fresh channel keys")


def two_sessions(scene: str) -> tuple[Network, Network]:
    """An honest one, and one into which the shares that the victim dealt in the first are put."""
    old, new = network_of(scene, seed=1), network_of(scene, seed=2)
    replay(old, new)
    return old, new


# On the ring the second session has another graph, in which few of the old holders are neighbours.


@pytest.mark.parametrize("scene", COMPLETE)
def test_without_the_transcript_an_old_input_is_opened(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, KEY, DATA, COMMITMENT)
    old, new = two_sessions(scene)
    assert recovered(old, VICTIM, opened(old, new).open_vector(VICTIM))


@pytest.mark.parametrize("scene", COMPLETE)
@pytest.mark.parametrize("out", [(), (KEY, COMMITMENT), (DATA, COMMITMENT)])
def test_with_it_old_shares_do_not_open(
    scene: str, out: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *out)
    refused(scene)


def test_at_malicious_the_commitment_alone_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, KEY, DATA)
    refused(MALICIOUS)


@pytest.mark.parametrize("scene", COMPLETE)
def test_channel_keys_that_end_with_the_session_suffice_as_well(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they do in this library: here they do not live on, and the transcript is nowhere."""
    monkeypatch.undo()
    without(monkeypatch, KEY, DATA, COMMITMENT)
    refused(scene)


def refused(scene: str) -> None:
    _, new = two_sessions(scene)
    for holder in set(new.clients) - {client(VICTIM)}:
        error = new.failures[holder].error
        assert isinstance(error, ShareBindingError)
        # Where dealers sign what they deal, it is plain that the server lies.
        assert error.culprit == (SERVER if scene == MALICIOUS else client(VICTIM))
    assert not ServerView.of(new).shares["mask"]


@pytest.mark.parametrize("scene", COMPLETE)
def test_a_frame_replayed_as_it_was_is_refused(scene: str) -> None:
    old, new = two_sessions(scene)
    for seen in old.seen:
        with pytest.raises(WrongSession):
            new.parties[seen.recipient].open(seen.frame, seen.sender)
