"""What happened to a party before it died, for whoever was to witness it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from secagg.errors import DecodeError, LocalProtocolError
from secagg.protocol import Party, Record
from secagg.protocol.memory import START, Memory
from secagg.record import Witness
from secagg.types import Rng


class _Seed:
    """The seed of a remembered start, in place of fresh randomness."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def bytes(self, count: int) -> bytes:
        if count != len(self._seed):
            raise DecodeError(f"expected a seed of {count} bytes, got {len(self._seed)}")
        return self._seed


def tell(witness: Witness, make: Callable[[Rng], Party], records: Sequence[Record]) -> None:
    """Let everything that was remembered happen again, to a party that says nothing to anybody.

    Args:
        witness: who is told.
        make: a fresh party of the session, with this randomness.
        records: of a party that has not ended.

    Raises:
        LocalProtocolError: it has ended: its messages were deleted then.
        DecodeError: not the records of this party.
    """
    if records[-1].final:
        raise LocalProtocolError(
            "this session is over, and what is left of it is its last word: nothing can be told of"
            " its messages any more"
        )
    party = make(_Seed(b""))
    memory = Memory(party.session, party.me, party.table)
    party = make(_Seed(memory.read(records[0]).body))
    try:
        for record in records:
            head = memory.read(record)
            if head.type == START:
                witness.happened(None, party.me, party.start())
            else:
                event, sender = memory.event(head, record.tail)
                witness.happened(event, sender, party.handle(event, sender))
    finally:
        party.abandon()
