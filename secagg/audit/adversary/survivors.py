"""Telling clients who survived, each its own story, and getting from them what can be got."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from secagg.audit.adversary.accomplice import Accomplice
from secagg.audit.adversary.network import Network, Seen
from secagg.audit.adversary.view import ServerView
from secagg.protocol import Fail, Level
from secagg.protocol.cohort import decode_bitmap, encode_bitmap
from secagg.protocols._masking.authenticated.messages import SurvivorList, SurvivorQuorum
from secagg.protocols._masking.authenticated.statements import SURVIVORS, survivor_digest
from secagg.protocols._masking.messages import UnmaskRequest, encode_numbers
from secagg.types import client
from secagg.wire import Message


def without_questions(seen: Seen) -> Message | None:
    """The relay of a server that asks nobody about survivors, or asks later and otherwise."""
    asking = UnmaskRequest | SurvivorList | SurvivorQuorum
    return None if isinstance(seen.message, asking) else seen.message


def ask(
    network: Network,
    told: Mapping[int, Collection[int]],
    *,
    dealt: Collection[int] | None = None,
    accomplices: Collection[Accomplice] = (),
    padded: bool = True,
) -> dict[int, Fail]:
    """Ask each client about its own list of survivors.

    At level `malicious` that takes two messages. Each client is shown the best quorum that there
    is: signatures on its own list first, of corrupt clients on whatever it takes, and then, if it
    is to be padded, of others on other lists, as far as the client does not refuse their names.

    Args:
        network: on which nobody was asked before.
        told: by client the survivors that it is told.
        dealt: who is said to have dealt shares; by default whoever did.
        accomplices: who sign any list.
        padded: whether a quorum that is too small is filled up.

    Returns:
        Who refused.
    """
    clients, view = network.clients, ServerView.of(network)
    if network.plan.task.level is not Level.MALICIOUS:
        for number, included in told.items():
            network.tell(client(number), UnmaskRequest(encode_bitmap(clients, included)))
    else:
        bitmap = encode_bitmap(clients, view.sealed if dealt is None else dealt)
        for number, included in told.items():
            network.tell(client(number), SurvivorList(bitmap, encode_bitmap(clients, included)))
        view = ServerView.of(network)
        for number in told:
            if client(number) not in network.failures:
                show_quorum(network, view, number, accomplices, padded=padded)
    failed = {who.number: fail for who, fail in network.failures.items() if who in clients}
    return {number: fail for number, fail in failed.items() if number in told}


def show_quorum(
    network: Network,
    view: ServerView,
    number: int,
    accomplices: Collection[Accomplice] = (),
    *,
    padded: bool = True,
) -> None:
    """Show a client the best quorum on the list that it was told last, as `ask` does."""
    own = view.survivors[number]
    assert isinstance(own, SurvivorList)  # noqa: S101
    digest = survivor_digest(view.transcript, own.dealt, own.included)
    bought = {one.number: one.sign(SURVIVORS, digest) for one in accomplices}
    named = decode_bitmap(network.clients, own.included)
    possible = [n for n in view.neighbours[number] if n in named]
    agreeing = [n for n in possible if n in view.signatures and view.survivors[n] == own]
    order = [*agreeing, *bought, *(view.signatures if padded else ())]
    signers = sorted([n for n in dict.fromkeys(order) if n in possible][: view.plan.threshold - 1])
    signatures = view.signatures | bought
    column = b"".join(signatures[n] for n in signers)
    network.tell(client(number), SurvivorQuorum(encode_numbers(signers), column))
