"""A5, A22, A25: the server stands in for all neighbours of one client.

They differ in the keys that it names: its own, keys of low order, or one key in all places.
tests/attacks has the checks that stop each: test_a05, test_a22 and test_a25.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace

from secagg.audit.adversary import (
    Accomplice,
    Mask,
    Seen,
    all_but,
    exact,
    impersonate,
    own_keys,
    recovered,
)
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene
from secagg.errors import SecaggError
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocols._masking.authenticated.messages import SignedKeys
from secagg.protocols._masking.messages import AdvertiseKeys
from secagg.types import Rng, Secret, client
from secagg.wire import Message

PRIME = 2**255 - 19
ORDER_EIGHT = 0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F
LOW_ORDER = [u.to_bytes(32, "little") for u in (0, 1, PRIME - 1, ORDER_EIGHT, PRIME, PRIME + 1)]
VICTIM = client(2)
CORRUPT = client(4)


class Impersonating(OnMasks):
    """The victim meets nobody but the server, under the names of all others."""

    needs = "key book to be written"

    @abstractmethod
    def masks(self, numbers: Collection[int]) -> Mapping[int, Mask]:
        """Who the victim takes part with."""

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Play everybody else, and open the victim's shares."""
        network = Scene(protocol, level, rng).network(present=[VICTIM])
        masks = self.masks(all_but(network, VICTIM))
        evidence = f"a key book with {len(masks)} keys of the server's choosing"
        try:
            found = impersonate(network, VICTIM, masks)
        except SecaggError as error:
            return Outcome.stopped(error, f"{evidence} was refused")
        right = recovered(network, VICTIM.number, found)
        return Outcome.of(right, "another vector", f"{evidence}; input equal: {right}")


class KeyReplacement(Impersonating):
    """With keys of its own."""

    id = "A5"
    title = "the server puts keys of its own into the key book"
    goal = "the client's input, bit for bit, without a single other client"
    source = "Bonawitz et al., CCS 2017, active adversaries: signed keys"
    fails_from = Adversary.LYING_SERVER

    def masks(self, numbers: Collection[int]) -> Mapping[int, Mask]:
        """Made by the server."""
        return {number: own_keys(number) for number in numbers}


class LowOrderKeys(Impersonating):
    """With keys that agree on zeros; and a corrupt client that advertises one."""

    id = "A22"
    title = "public keys of low order, with which every agreement gives the same known secret"
    goal = "the victim's input; of a corrupt client, to end the round for everybody"
    source = "RFC 7748, section 6"
    fails_from = Adversary.CURIOUS_SERVER

    def masks(self, numbers: Collection[int]) -> Mapping[int, Mask]:
        """Distinct channel keys of low order."""
        return low_order_channels(numbers)

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Both attacks. The first counts if it succeeds, else the second is made."""
        first = super().run(protocol, level, rng)
        if first.succeeded:
            return first
        network = Scene(protocol, level, rng).network()

        def advertise(seen: Seen) -> Message:
            if seen.sender != CORRUPT or not isinstance(seen.message, AdvertiseKeys | SignedKeys):
                return seen.message
            return Accomplice(network, CORRUPT.number).advertise(channel=LOW_ORDER[3])

        network.relay = advertise
        network.finish()
        evidence = (
            f"{first.evidence} ({first.stopped_by}); a corrupt client's key: sum of the"
            f" {len(network.included)} others right: {exact(network)}"
        )
        named = commonest(network.accused) or commonest(network.failures.values())
        return Outcome.of(not exact(network), named or "another sum", evidence)


class RepeatedKeys(Impersonating):
    """With the keys of its one corrupt client in all places."""

    id = "A25"
    title = "one key in several places of a key book"
    goal = "the victim's input: one corrupt client is dealt as many shares as the threshold"
    source = "Bell et al., CCS 2020: a neighbourhood of the server's choosing"
    fails_from = Adversary.CURIOUS_SERVER

    def masks(self, numbers: Collection[int]) -> Mapping[int, Mask]:
        """One of them for all."""
        return dict.fromkeys(numbers, own_keys(CORRUPT.number))


def low_order_channels(numbers: Collection[int]) -> dict[int, Mask]:
    """Distinct channel keys that agree on zeros with anybody; the mask keys are ordinary."""
    return {
        number: replace(own_keys(number), channel_key=low, agree=lambda _: Secret(bytes(32)))
        for number, low in zip(numbers, LOW_ORDER, strict=True)
    }
