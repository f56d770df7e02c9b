"""A client's secrets in one session: two key pairs, the seeds of its masks, its channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from secagg.crypto import aead, kdf
from secagg.crypto.agreement import PrivateKey
from secagg.errors import InvalidKey, VerificationError
from secagg.kernels import MaskStream
from secagg.protocol import Session
from secagg.protocols._masking.messages import KEY_BYTES
from secagg.protocols._masking.plan import MaskingPlan, mask_keypair_seed, pair_mask, self_mask
from secagg.types import PartyId, Rng, Secret, client

SHARE_STEP: Final = "share keys"


class PublicKeys(NamedTuple):
    """What a client advertises: X25519 public keys, 32 bytes each."""

    channel: bytes
    mask: bytes


class Keyring:
    """Drawn when the client begins; bound to the cohort by `meet`; wiped when it ends.

    Attributes:
        mask_seed: from which the mask key pair follows; shared.
        self_seed: of the client's own mask; shared.
        public: what to advertise.
    """

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        assert isinstance(session.plan, MaskingPlan)  # noqa: S101
        self._plan = session.plan
        self._me = me
        channel_seed = Secret(rng.bytes(KEY_BYTES))
        self.mask_seed = Secret(rng.bytes(KEY_BYTES))
        self.self_seed = Secret(rng.bytes(KEY_BYTES))
        self._channel_key = PrivateKey(channel_seed)
        self._mask_key = PrivateKey(mask_keypair_seed(session, self.mask_seed, me))
        self.public = PublicKeys(self._channel_key.public, self._mask_key.public)
        self._transcript = b""
        self._neighbours: Mapping[int, PublicKeys] = {}
        # By neighbour, one agreement for both directions: it costs more than what is done with it.
        self._channels: dict[int, Secret] = {}

    def meet(self, neighbours: Mapping[int, PublicKeys], transcript: bytes) -> None:
        """Bind everything that follows to these keys and this transcript.

        Raises:
            InvalidKey: no agreement is possible with a neighbour's channel key.
        """
        self._neighbours, self._transcript = neighbours, transcript
        for number in sorted(neighbours):
            key = neighbours[number].channel
            self._channels[number] = self._agree(self._channel_key, key, client(number))

    def seal(self, holder: PartyId, plaintext: bytes, rng: Rng) -> bytes:
        """What only this neighbour can open, and only as mine, in this session and step."""
        key, place = self._channel(self._me, holder), self._place(self._me, holder)
        return aead.seal(key, plaintext, place, rng)

    def open(self, dealer: PartyId, sealed: bytes) -> Secret:
        """What a neighbour sealed for me.

        Raises:
            VerificationError: it did not.
        """
        key, place = self._channel(dealer, self._me), self._place(dealer, self._me)
        return aead.open_sealed(key, sealed, place)

    def masks(self, partners: Iterable[int]) -> list[MaskStream]:
        """My own mask, and those that I share with these neighbours.

        Raises:
            InvalidKey: no agreement is possible with a partner's mask key.
        """
        plan, me = self._plan, (self._me.number, self.public.mask)
        streams = [self_mask(plan, self._transcript, self.self_seed, self._me, +1)]
        for number in sorted(partners):
            public = self._neighbours[number].mask
            agreed = self._agree(self._mask_key, public, client(number))
            streams.append(pair_mask(plan, self._transcript, agreed, me, (number, public), +1))
        return streams

    def wipe(self) -> None:
        """Overwrite the seeds and the agreed secrets."""
        for secret in (self.mask_seed, self.self_seed, *self._channels.values()):
            secret.wipe()
        self._channels.clear()
        del self._channel_key, self._mask_key

    def __repr__(self) -> str:
        return "Keyring(...)"

    def _channel(self, sender: PartyId, receiver: PartyId) -> Secret:
        """The key for one direction of the channel with a neighbour."""
        peer = receiver if sender == self._me else sender
        return kdf.derive(
            self._channels[peer.number],
            context=self._transcript,
            purpose=kdf.Purpose.CHANNEL,
            parties=(sender, receiver),
        )

    def _place(self, sender: PartyId, receiver: PartyId) -> bytes:
        return aead.associated_data(
            self._plan.protocol, self._transcript, SHARE_STEP, sender, receiver
        )

    def _agree(self, key: PrivateKey, public: bytes, peer: PartyId) -> Secret:
        try:
            return key.agree(public)
        except VerificationError as error:
            raise InvalidKey(peer, str(error)) from None
