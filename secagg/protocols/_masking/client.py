"""The client of pairwise masking (Bonawitz et al. 2017, figure 4; Bell et al. 2020 for the graph).

Two masks hide a vector. One per pair of neighbours, from a key that both agree on: these cancel in
the sum. One of the client's own: without it, a client declared lost whose vector still arrives
would be exposed. The seeds of both are shared among the neighbours, and of each client the server
is told one or the other, never both.
"""

from __future__ import annotations

from typing import Final

from secagg import kernels
from secagg.crypto import shamir
from secagg.errors import (
    DecodeError,
    RemoteProtocolError,
    ShareBindingError,
    VerificationError,
)
from secagg.protocol import Done, Effects, Input, Party, Send, Session, on
from secagg.protocols._masking import checks
from secagg.protocols._masking.keyring import Keyring, PublicKeys
from secagg.protocols._masking.messages import (
    SEALED_SHARES_BYTES,
    TABLE,
    AdvertiseKeys,
    KeyBook,
    MaskedVector,
    ShareBundle,
    ShareKeys,
    UnmaskRequest,
    UnmaskShares,
)
from secagg.protocols._masking.plan import (
    MaskingPlan,
    cohort_root,
    self_mask_commitment,
    transcript,
)
from secagg.types import SERVER, PartyId, RingVector, Rng, Secret, client

PHASES: Final = ("advertise", "share", "mask", "unmask")


class MaskingClient(Party):
    """advertise: keys sent; share: shares sent; mask: needs its input; unmask: vector sent."""

    phases = PHASES
    table = TABLE
    plan: MaskingPlan

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._input: RingVector | None = None
        self._drawn: Keyring | None = None
        self._transcript = b""
        self._cohort = b""  # a bitmap: as a set of numbers it would be what takes most memory
        self._neighbours: dict[int, PublicKeys] = {}
        # Dealer to its (mask seed, self seed) shares, as bytes; the client's own among them.
        self._shares: dict[int, Secret] = {}

    def begin(self) -> Effects:
        """Round 0: advertise two fresh public keys."""
        self._drawn = Keyring(self.session, self.me, self.rng)
        yield Send(SERVER, AdvertiseKeys(*self._keys.public))

    @on(KeyBook, "advertise")
    def deal_shares(self, message: KeyBook, sender: PartyId) -> Effects:
        """Round 1: check the cohort and the keys, then deal shares of both seeds."""
        neighbours = self._checked_book(message, sender)
        self._transcript = transcript(self.session, message.cohort_root, message.graph_seed)
        keys = self._keys
        keys.meet(neighbours, self._transcript)
        holders = sorted((*neighbours, self.me.number))
        shares = shamir.split(
            (keys.mask_seed, keys.self_seed), self.plan.threshold, holders, self.rng
        )
        rows = {
            holder: shamir.encode_shares(shares[:, position])
            for position, holder in enumerate(holders)
        }
        kernels.wipe(shares)
        sealed = [keys.seal(client(n), rows[n], self.rng) for n in sorted(neighbours)]
        commitment = self_mask_commitment(self._transcript, keys.self_seed, self.me)
        self._cohort, self._neighbours = message.cohort, neighbours
        self._shares = {self.me.number: Secret(rows[self.me.number])}
        self.advance("share")
        yield Send(SERVER, ShareKeys(commitment, b"".join(sealed)))

    @on(ShareBundle, "share")
    def accept_shares(self, message: ShareBundle, sender: PartyId) -> Effects:
        """Round 1, answer: open what the neighbours dealt; these are the masking partners."""
        dealers = checks.check_dealers(self.plan, self._neighbours, message.dealers, sender)
        sealed = checks.read_rows(
            message.sealed, SEALED_SHARES_BYTES, len(dealers), "sealed shares", sender
        )
        opened = {
            dealer: self._open_shares(client(dealer), row)
            for dealer, row in zip(dealers, sealed, strict=True)
        }
        self._shares.update(opened)
        self.advance("mask")
        return self._send_masked() if self._input is not None else ()

    @on(Input, "advertise", "share", "mask")
    def take_input(self, event: Input, sender: PartyId) -> Effects:
        """Keep the vector, or mask it at once if the partners are known."""
        self._input = event.vector
        return self._send_masked() if self.phase == "mask" else ()

    @on(UnmaskRequest, "unmask")
    def reveal_shares(self, message: UnmaskRequest, sender: PartyId) -> Effects:
        """Round 3: of every dealer one share, of the kind that its fate calls for."""
        included = checks.check_survivors(
            self.plan,
            self.me,
            message.included,
            self._cohort,
            self._neighbours,
            self._shares,
            sender,
        )
        revealed = []
        for dealer in sorted(self._shares):
            both = self._shares[dealer].reveal()
            mask_share, self_share = both[: shamir.SHARE_BYTES], both[shamir.SHARE_BYTES :]
            revealed.append(self_share if dealer in included else mask_share)
        yield Send(SERVER, UnmaskShares(b"".join(revealed)))
        yield Done()

    def forget(self) -> None:
        """Wipe seeds and shares."""
        if self._drawn is not None:
            self._drawn.wipe()
        for shares in self._shares.values():
            shares.wipe()
        self._shares.clear()
        self._input = None

    @property
    def _keys(self) -> Keyring:
        assert self._drawn is not None  # noqa: S101
        return self._drawn

    def _checked_book(self, book: KeyBook, sender: PartyId) -> dict[int, PublicKeys]:
        plan, mine = self.plan, self._keys.public
        numbers = checks.check_cohort(plan, self.me, book.cohort, book.neighbours, sender)
        checks.check_graph_seed(plan, book.graph_seed, sender)
        neighbours = checks.check_keys(mine, numbers, book.keys, sender)
        if plan.complete:
            everyone = sorted((*neighbours.items(), (self.me.number, mine)))
            if cohort_root([(number, *keys) for number, keys in everyone]) != book.cohort_root:
                raise RemoteProtocolError(sender, "the cohort root is not over the keys that came")
        return neighbours

    def _open_shares(self, dealer: PartyId, sealed: bytes) -> Secret:
        try:
            shares = self._keys.open(dealer, sealed)
            shamir.decode_shares(shares.reveal())
        except (VerificationError, DecodeError) as error:
            raise ShareBindingError(dealer, str(error)) from None
        if len(shares) != 2 * shamir.SHARE_BYTES:
            raise ShareBindingError(dealer, f"expected two shares, got {len(shares)} bytes")
        return shares

    def _send_masked(self) -> Effects:
        vector = self._input
        assert vector is not None  # noqa: S101
        streams = self._keys.masks(self._shares.keys() - {self.me.number})
        packed = kernels.pack_masked(vector, streams, self.plan.ring)
        self._input = None
        self.advance("unmask")
        yield Send(SERVER, MaskedVector(packed))
