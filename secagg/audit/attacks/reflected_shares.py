"""A4: a client gets its own ciphertexts back, as if its neighbours had sent them.

tests/attacks/test_a04_reflected_shares.py has the checks that stop it, and what each alone does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from secagg.audit.adversary import Accomplice, Network, Row, Seen, ServerView, recovered
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene
from secagg.errors import ParameterError, VerificationError
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    CommittedBundle,
    CommittedShares,
    SignedVector,
    SurvivorList,
)
from secagg.protocols._masking.messages import (
    MaskedVector,
    ShareBundle,
    UnmaskRequest,
    decode_numbers,
)
from secagg.types import Rng, client
from secagg.wire import Message

VICTIM, CORRUPT, LOST = 0, 3, (4, 5, 6)
MANY_LOST: Mapping[str, Any] = {"corrupt": "0.1", "dropout": "0.42"}
"""Settings of a task in which three of seven may be lost, and one corrupt."""


class ReflectedShares(OnMasks):
    """Three clients are lost where the plan allows it, else one."""

    id = "A4"
    title = "a client gets its own ciphertexts back, as if its neighbours had sent them"
    goal = "the victim takes its own shares for others', and gives both kinds of them away"
    source = "Bonawitz et al., CCS 2017: both names under the encryption of shares"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "shares to be sent back"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Reflect, and open the victim with what it gave away."""
        lost: tuple[int, ...] = LOST
        try:
            network = Scene(protocol, level, rng, **MANY_LOST).network()
        except ParameterError:
            network, lost = Scene(protocol, level, rng).network(), LOST[-1:]
        dealt = reflect(network, lost)
        by = commonest(network.failures.values())
        evidence = f"{len(lost)} lost clients' shares replaced by the victim's own"
        try:
            right = opened(network, dealt, lost)
        except (VerificationError, KeyError, IndexError) as error:
            return Outcome.stopped(by or error, f"{evidence}; the victim gave none of them away")
        return Outcome.of(right, by or "another vector", f"{evidence}; input equal: {right}")


def reflect(network: Network, lost: Collection[int] = LOST) -> list[Row]:
    """The round; what the corrupt client was dealt of the victim's mask seed."""
    dealt: list[Row] = []

    def relay(seen: Seen) -> Message | None:
        message = seen.message
        if isinstance(message, MaskedVector | SignedVector) and seen.sender.number in lost:
            return None
        if isinstance(message, UnmaskRequest | SurvivorList) and seen.recipient == client(CORRUPT):
            held = Accomplice(network, CORRUPT).shares()
            dealt.extend(held[VICTIM][:1] if VICTIM in held else ())
        if seen.recipient != client(VICTIM):
            return message
        if not isinstance(message, ShareBundle | CommittedBundle):
            return message
        view = ServerView.of(network)
        own, dealers = view.sealed[VICTIM], decode_numbers(message.dealers)
        rows = zip(dealers, view.dialect.rows(message.sealed), strict=True)
        sealed = b"".join(own[dealer] if dealer in lost else row for dealer, row in rows)
        if isinstance(message, ShareBundle):
            return ShareBundle(message.dealers, sealed)
        return CommittedBundle(
            message.dealers,
            sealed,
            _reflected_commitments(network, dealers, message.commitments, lost),
            message.seed_commitments,
            message.paths,
            message.signatures,
        )

    network.relay = relay
    network.finish()
    return dealt


def _reflected_commitments(
    network: Network, dealers: tuple[int, ...], honest: bytes, lost: Collection[int]
) -> bytes:
    """The victim's own, where the ciphertexts are."""
    size = COMMITMENT_PAIR_BYTES
    (shares,) = (m for m in network.said(client(VICTIM)) if isinstance(m, CommittedShares))
    # The victim's closed neighbourhood is everybody, so a holder's place is its number.
    own = {n: shares.commitments[size * n : size * (n + 1)] for n in dealers}
    rows = [honest[start : start + size] for start in range(0, len(honest), size)]
    return b"".join(
        own[dealer] if dealer in lost else row for dealer, row in zip(dealers, rows, strict=True)
    )


def opened(network: Network, dealt: list[Row], lost: Collection[int] = LOST) -> bool:
    """Whether what was given away as the lost clients' opens the victim.

    Raises:
        VerificationError, KeyError, IndexError: shares are missing.
    """
    view = ServerView.of(network)
    for number in lost:  # named as the lost client's, in truth the victim's, dealt to that client
        view.learn("mask", VICTIM, number, view.shares["mask"][number][VICTIM])
    view.learn("mask", VICTIM, CORRUPT, dealt[0])
    return recovered(network, VICTIM, view.open_vector(VICTIM))
