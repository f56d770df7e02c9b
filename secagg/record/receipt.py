"""What a client keeps of a session, signed: what it sent, what it was shown, what it agreed to.

A receipt is the client's own word, under the key that the roster has of it. Next to a record it
tells whether its messages are in there; next to another client's receipt, whether both were told
the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from secagg import protocols
from secagg.crypto.digest import digest
from secagg.crypto.signing import SIGNATURE_BYTES, SigningKey
from secagg.errors import LocalProtocolError, ParameterError, RecordRefused
from secagg.protocol import Done, Effect, Event, Fail, Send, Session
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    CohortRoot,
    CommittedShares,
    SignedKeyBook,
    SurvivorList,
    SurvivorQuorum,
    SurvivorSignature,
)
from secagg.protocols._masking.messages import decode_numbers
from secagg.protocols._masking.plan import transcript as transcript_of
from secagg.record.lines import (
    Bitmap,
    Digest,
    NoKey,
    NoSignature,
    Number,
    Signature,
    encode,
    printable,
)
from secagg.record.published import frame_digest, is_recorded
from secagg.types import PartyId, Role
from secagg.wire import Envelope, Message

FORMAT: Final = "secagg receipt 1"
CONTEXT: Final = "receipt of a session"
MAX_RECEIPT_BYTES: Final = 1 << 24
MAX_SIGNERS: Final = 1 << 16


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that the client sent or received.

    Attributes:
        message: the name of its type.
        sha256: of the whole frame.
    """

    message: Annotated[str, Meta(max_length=64)]
    sha256: Digest


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One client's receipt of one session. Bytes are lower-case hexadecimal.

    Attributes:
        format: says what this is.
        session: the id of the session.
        client: whose receipt it is.
        outcome: whether the client did its part, or ended before.
        cohort_root: over the keys on which the client went on; nothing if it did not come so far.
        graph_seed: from which the graph was drawn; nothing for the complete graph.
        transcript: of the session, by the client's own computation.
        dealt: of the survivors that it signed, who dealt shares; nothing if it signed none.
        included: of the survivors that it signed, whose vectors are in the sum.
        survivors: the digest that it signed.
        signers: whose signatures on that digest it was shown, ascending; it counted them.
        signatures: theirs.
        sent: its own messages, in order.
        received: what the server sent to it, in order.
        signature: by the client's key over all of the above.
    """

    format: Literal["secagg receipt 1"]
    session: Digest
    client: Number
    outcome: Literal["done", "failed"]
    cohort_root: NoKey
    graph_seed: NoKey
    transcript: NoKey
    dealt: Bitmap
    included: Bitmap
    survivors: NoKey
    signers: Annotated[tuple[Number, ...], Meta(max_length=MAX_SIGNERS)]
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=MAX_SIGNERS)]
    sent: Annotated[tuple[Seen, ...], Meta(max_length=16)]
    received: Annotated[tuple[Seen, ...], Meta(max_length=16)]
    signature: NoSignature

    @property
    def statement(self) -> bytes:
        """What the signature is over: 32 bytes."""
        return digest("receipt", encode(msgspec.structs.replace(self, signature="")))

    @property
    def encoded(self) -> bytes:
        """The one encoding, with the end of its line."""
        return encode(self) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """The inverse of `encoded`. The signature is not verified.

        Raises:
            RecordRefused: too long, of another version, or not canonical.
        """
        if len(data) > MAX_RECEIPT_BYTES:
            raise RecordRefused(
                f"a receipt has at most {MAX_RECEIPT_BYTES} bytes, {len(data)} came"
            )
        try:
            receipt = _DECODER.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise RecordRefused(f"not a receipt: {printable(str(error))}") from None
        if receipt.encoded != data:
            raise RecordRefused("not the canonical encoding of a receipt")
        if len(receipt.signers) != len(receipt.signatures):
            raise RecordRefused("a receipt has one signature for each signer")
        if len(receipt.signature) != 2 * SIGNATURE_BYTES:
            raise RecordRefused("nobody has signed this receipt")
        return receipt


_DECODER: Final = msgspec.json.Decoder(Receipt)


class ReceiptBook:
    """Takes note of what happens to one client in one session, and makes the receipt of it.

    Raises:
        ParameterError: a protocol or level at which clients sign nothing.
    """

    def __init__(self, session: Session, me: PartyId) -> None:
        name, level = session.plan.protocol, session.plan.task.level
        if not is_recorded(session):
            raise ParameterError(f"{name} at level {level} leaves nothing to keep a receipt of")
        self._session, self._me = session, me
        self._table = protocols.get(name).at(level).table
        self._noted: set[tuple[int, PartyId]] = set()
        self._sent: list[Seen] = []
        self._received: list[Seen] = []
        self._outcome: Literal["done", "failed"] = "failed"
        self._beacon_round = b""
        self._book: SignedKeyBook | None = None
        self._list: SurvivorList | None = None
        self._quorum: SurvivorQuorum | None = None

    def happened(self, event: Event | None, sender: PartyId, effects: Iterable[Effect]) -> None:
        """As `Witness.happened`. What the client refused is noted too, as received."""
        effects = tuple(effects)
        failed = any(isinstance(effect, Fail) for effect in effects)
        if isinstance(event, Message) and sender.role is Role.SERVER:
            self._see(event, sender, self._me, self._received)
            if isinstance(event, CohortRoot) and not failed:
                self._beacon_round = event.beacon_round
        for effect in effects:
            match effect:
                case Send(to=to, message=message):
                    self._see(message, self._me, to, self._sent)
                    self._agree(message, event)
                case Done():
                    self._outcome = "done"
                    if isinstance(event, SurvivorQuorum):
                        self._quorum = event

    def receipt(self, key: SigningKey) -> Receipt:
        """The receipt, signed.

        Args:
            key: the client's, as the roster has it.

        Raises:
            LocalProtocolError: another key.
        """
        if key.public != self._session.keys.get(self._me):
            raise LocalProtocolError(f"the roster has another key of {self._me}")
        book, listed, quorum = self._book, self._list, self._quorum
        seed = b"" if book is None else self._graph_seed(book)
        transcript = b"" if book is None else transcript_of(self._session, book.cohort_root, seed)
        survivors = (
            b""
            if listed is None
            else statements.survivor_digest(transcript, listed.dealt, listed.included)
        )
        signatures = b"" if quorum is None else quorum.signatures
        unsigned = Receipt(
            format="secagg receipt 1",
            session=self._session.id.hex(),
            client=self._me.number,
            outcome=self._outcome,
            cohort_root="" if book is None else book.cohort_root.hex(),
            graph_seed=seed.hex(),
            transcript=transcript.hex(),
            dealt="" if listed is None else listed.dealt.hex(),
            included="" if listed is None else listed.included.hex(),
            survivors=survivors.hex(),
            signers=() if quorum is None else decode_numbers(quorum.signers),
            signatures=tuple(
                signatures[start : start + SIGNATURE_BYTES].hex()
                for start in range(0, len(signatures), SIGNATURE_BYTES)
            ),
            sent=tuple(self._sent),
            received=tuple(self._received),
            signature="",
        )
        signature = key.sign(CONTEXT, unsigned.statement).hex()
        return msgspec.structs.replace(unsigned, signature=signature)

    def _agree(self, said: Message, event: Event | None) -> None:
        """What a message says yes to: by dealing shares to the keys, by signing to the list."""
        match said, event:
            case CommittedShares(), SignedKeyBook():
                self._book = event
            case SurvivorSignature(), SurvivorList():
                self._list = event

    def _graph_seed(self, book: SignedKeyBook) -> bytes:
        if not self._beacon_round:
            return b""
        return statements.graph_seed(
            self._session.id, book.cohort, book.cohort_root, self._beacon_round, book.beacon
        )

    def _see(self, message: Message, sender: PartyId, to: PartyId, seen: list[Seen]) -> None:
        peer = to if sender == self._me else sender
        if (message.KIND, peer) in self._noted:
            return
        self._noted.add((message.KIND, peer))
        frame = self._table.encode(Envelope(self._session.id, sender, to, message))
        seen.append(Seen(message=type(message).__name__, sha256=frame_digest(frame).hex()))
