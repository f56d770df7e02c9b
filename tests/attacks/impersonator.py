"""A server that stands in for all neighbours of one client, which talks to nobody else.

It needs, for each neighbour, two keys to name in the key book and the secret that the client will
agree on over the channel key. Where these come from is what the attacks differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attacks.adversary import Seen, plan_of
from attacks.server_view import ServerView
from conformance.scenario import Scenario

from secagg.crypto import aead, kdf, shamir
from secagg.crypto.agreement import PrivateKey
from secagg.crypto.rng import seeded
from secagg.protocol import Effect, Fail, Input, Send
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.keyring import SHARE_STEP
from secagg.protocols._masking.messages import (
    KeyBook,
    ShareBundle,
    encode_numbers,
)
from secagg.protocols._masking.plan import MaskingPlan, cohort_root
from secagg.types import SERVER, PartyId, RingVector, Secret, client
from secagg.wire import Message


@dataclass(frozen=True)
class Mask:
    """What the client takes for a neighbour: two public keys, and how to agree on the first."""

    channel_key: bytes
    mask_key: bytes
    agree: Callable[[bytes], Secret]


def own_keys(number: int) -> Mask:
    """Keys that the adversary made for this neighbour."""
    channel, mask = (PrivateKey(Secret(bytes((number, kind)) * 16)) for kind in (1, 2))
    return Mask(channel.public, mask.public, channel.agree)


def cohort_of(scenario: Scenario, victim: PartyId) -> list[int]:
    """Everybody but the victim."""
    return [who.number for who in scenario.plan.task.clients if who != victim]


def impersonate(
    scenario: Scenario,
    victim: PartyId,
    masks: Mapping[int, Mask],
    believed: MaskingPlan | None = None,
) -> RingVector:
    """The victim's input, from its own frames.

    Args:
        scenario: on the complete graph.
        victim: an honest client.
        masks: who it takes part with, by roster index.
        believed: the plan by which the victim checks; by default the session's.

    Raises:
        RemoteProtocolError: what the victim refused.
    """
    session, plan, numbers = scenario.session, plan_of(scenario.session), sorted(masks)
    party = scenario.party(victim)
    party.plan = believed or plan
    seen: list[Seen] = []

    def note(effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Fail(error=error) if error is not None:
                    raise error
                case Send(message=message):
                    seen.append(Seen(party.seal(effect), victim, SERVER, message))

    def tell(message: Message) -> ServerView:
        frame = party.seal(Send(victim, message))
        seen.append(Seen(frame, SERVER, victim, message))
        note(party.handle(message, SERVER))
        return view()

    def view() -> ServerView:
        found = ServerView(session, seen)
        found.keys |= {n: (mask.channel_key, mask.mask_key) for n, mask in masks.items()}
        return found

    note(party.start())
    note(party.handle(Input(scenario.inputs[victim]), victim))
    keys = view().keys
    book = KeyBook(
        cohort=encode_bitmap(plan.task.clients, keys),
        cohort_root=cohort_root([(n, *keys[n]) for n in sorted(keys)]),
        graph_seed=b"",
        neighbours=encode_numbers(numbers),
        keys=b"".join(key for n in numbers for key in keys[n]),
    )
    dealt = tell(book)

    def channel(number: int, sender: PartyId, receiver: PartyId) -> tuple[Secret, bytes]:
        key = kdf.derive(
            masks[number].agree(keys[victim.number][0]),
            context=dealt.transcript,
            purpose=kdf.Purpose.CHANNEL,
            parties=(sender, receiver),
        )
        place = (plan.protocol, dealt.transcript, SHARE_STEP, sender, receiver)
        return key, aead.associated_data(*place)

    # What the victim dealt is opened, and for want of other shares it is dealt the same ones.
    rows: dict[int, bytes] = {}
    sealed = []
    for number in numbers:
        key, place = channel(number, victim, client(number))
        opened = aead.open_sealed(key, dealt.sealed[victim.number][number], place)
        rows[number] = opened.reveal()
        key, place = channel(number, client(number), victim)
        sealed.append(aead.seal(key, rows[number], place, seeded(number)))
    masked = tell(ShareBundle(encode_numbers(numbers), b"".join(sealed)))
    for number, both in rows.items():
        mask_row, self_row = shamir.decode_shares(both)
        masked.learn("mask", victim.number, number, mask_row)
        masked.learn("self", victim.number, number, self_row)
    return masked.open_vector(victim.number)
