"""Parties of level `malicious`, with what they bring along."""

from __future__ import annotations

from collections.abc import Mapping

from secagg.errors import ParameterError
from secagg.protocol import Identity, Party, Session
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.ring import RingClient, RingServer
from secagg.types import PartyId, Rng, Role


def enrolled_party(
    roles: Mapping[Role, type[Party]],
    session: Session,
    me: PartyId,
    rng: Rng,
    identity: Identity,
) -> Party:
    """A client with its signing key, or the server, which has none.

    Raises:
        ParameterError: the roster has no keys, the client's key is not the roster's, or a party has
            no beacon where one is needed.
    """
    if not session.keys:
        raise ParameterError(f"{session.plan.protocol} needs a roster with the clients' keys")
    party = roles[me.role](session, me, rng)
    if isinstance(party, AuthenticatedClient):
        if identity.key is None:
            raise ParameterError(f"{me} needs a signing key")
        if identity.key.public != session.keys.get(me):
            raise ParameterError(f"the roster has another key of {me}")
        party.signing_key = identity.key
    if isinstance(party, RingClient | RingServer):
        if identity.beacon is None:
            raise ParameterError(f"{me} needs a public beacon to believe")
        party.beacon = identity.beacon
    return party
