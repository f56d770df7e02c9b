"""What a client is told of who is in a sum, before it helps to release it."""

from __future__ import annotations

from secagg.errors import DecodeError
from secagg.ledger import Taken
from secagg.protocol import Event, Session
from secagg.protocol.cohort import decode_bitmap
from secagg.protocols._masking.authenticated.messages import SurvivorList
from secagg.protocols._masking.messages import UnmaskRequest
from secagg.types import client


def named_in(event: Event, session: Session) -> Taken | None:
    """The sum that a server asks a client to help with, or to sign; None for any other event.

    Only with pairwise masking is a client told before the sum is released. A list that cannot be
    read, or names nobody, is left to the party to refuse.
    """
    if not isinstance(event, UnmaskRequest | SurvivorList):
        return None
    try:
        numbers = decode_bitmap(session.plan.task.clients, event.included)
    except DecodeError:
        return None
    return Taken.of(session, map(client, numbers)) if numbers else None
