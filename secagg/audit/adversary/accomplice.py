"""A client of pairwise masking that the adversary has corrupted: its keys and its shares."""

from __future__ import annotations

from collections.abc import Callable

from secagg.audit.adversary.dialect import Row, commit, dialect_of, rows_of
from secagg.audit.adversary.network import Network
from secagg.crypto import aead
from secagg.crypto.rng import seeded
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    CommittedShares,
    SignedKeys,
)
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.keyring import Keyring, PublicKeys
from secagg.protocols._masking.messages import AdvertiseKeys
from secagg.types import Secret, client
from secagg.wire import Message


class Accomplice:
    """What a client knows, and what can be said in its name.

    Args:
        network: on which it is declared corrupt by this.
        number: its roster index.
    """

    def __init__(self, network: Network, number: int) -> None:
        party = network.corrupt(client(number))
        assert isinstance(party, MaskingClient | AuthenticatedClient)  # noqa: S101
        self.number = number
        self._party = party
        self._dialect = dialect_of(network.plan)

    @property
    def keys(self) -> Keyring:
        """Its secrets of this session, until it has ended."""
        return self._party._keys

    def shares(self) -> dict[int, tuple[Row, Row]]:
        """For each dealer the shares of its mask seed and of its self seed."""
        party = self._party
        held = party._shares if isinstance(party, MaskingClient) else party._openings
        return {dealer: self._dialect.pair(both.reveal()) for dealer, both in held.items()}

    def agree(self, mask_key: bytes) -> Secret:
        """Its pair secret with whoever has this mask key."""
        return self.keys._mask_key.agree(mask_key)

    def agree_channel(self, channel_key: bytes) -> Secret:
        """Its channel secret with whoever has this channel key."""
        return self.keys._channel_key.agree(channel_key)

    def advertise(self, channel: bytes | None = None, mask: bytes | None = None) -> Message:
        """Have it believe that its keys are others, and say so, signed where that is asked for."""
        party, own = self._party, self.keys.public
        self.keys.public = keys = PublicKeys(channel or own.channel, mask or own.mask)
        if isinstance(party, MaskingClient):
            return AdvertiseKeys(*keys)
        model = party.session.model_digest
        statement = statements.keys_statement(party.session.id, party.me, model, keys)
        signature = party.signing_key.sign(statements.KEYS, statement)
        party._leaf = statements.keys_leaf(party.me, keys, signature)
        return SignedKeys(model, *keys, signature)

    def deal(
        self,
        message: CommittedShares,
        change: Callable[[int, bytes], bytes],
        *,
        committed: bool = True,
    ) -> CommittedShares:
        """Deal otherwise than it did, signed.

        Args:
            message: what it dealt.
            change: from a holder and what was sealed for it to what is sealed instead.
            committed: whether the commitments are to what is dealt now; else they stay.
        """
        party = self._party
        assert isinstance(party, AuthenticatedClient)  # noqa: S101
        keys, transcript = self.keys, party._transcript
        near = sorted(party._neighbours)
        holders = sorted((*near, self.number))
        rows = dict(zip(near, self._dialect.rows(message.sealed), strict=True))
        pairs = dict(zip(holders, rows_of(message.commitments, COMMITMENT_PAIR_BYTES), strict=True))
        for number in near:
            channel = keys._channel(party.me, client(number))
            place = keys._place(party.me, client(number))
            both = change(number, aead.open_sealed(channel, rows[number], place).reveal())
            rows[number] = keys.seal(client(number), both, seeded(number))
            if committed:
                pairs[number] = commit(self._dialect, transcript, both, party.me, client(number))
        sealed, commitments = [rows[number] for number in near], b"".join(pairs.values())
        root = statements.share_tree(party.me, holders, sealed, commitments).root
        statement = statements.shares_statement(transcript, party.me, message.commitment, root)
        signature = self.sign(statements.SHARES, statement)
        return CommittedShares(message.commitment, b"".join(sealed), commitments, signature)

    def sign(self, context: str, statement: bytes) -> bytes:
        """Its signature on anything."""
        assert isinstance(self._party, AuthenticatedClient)  # noqa: S101
        return self._party.signing_key.sign(context, statement)
