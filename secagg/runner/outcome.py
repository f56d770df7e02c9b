"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from secagg.errors import RoundFailed, SecaggError
from secagg.types import PartyId, RingVector, Role


@dataclass
class PartyReport:
    """One party's share of a run.

    Attributes:
        phase: where it ended.
        cpu_seconds: of the thread, in decoding, handling and encoding, and in the client's ledger.
        sent: bytes on the wire.
        received: bytes on the wire, late and refused messages included.
        messages: sent.
        effects: carried out.
        late: messages that came too late, or a second time.
        refused: what could not be opened, with the reason.
        failure: why it failed, if it did.
        refusal: the same as an error, if it was the client's own ledger that kept it out or stopped
            it: a client that is refused sends nothing more, and to the others it is a dropout.
    """

    phase: str = ""
    cpu_seconds: float = 0.0
    sent: int = 0
    received: int = 0
    messages: int = 0
    effects: int = 0
    late: int = 0
    refused: list[SecaggError] = field(default_factory=list)
    failure: str | None = None
    refusal: SecaggError | None = None


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        total: the sum in the ring, or None if the round failed.
        included: the clients in the sum, ascending.
        failure: why there is no sum.
        error: the same as an error of its own kind, where there is one, such as `EnclaveLost`.
        accused: peers that broke the rules, with the error.
        parties: every party's report.
    """

    total: RingVector | None = None
    included: tuple[PartyId, ...] = ()
    failure: str | None = None
    error: RoundFailed | None = None
    accused: list[tuple[PartyId, SecaggError]] = field(default_factory=list)
    parties: dict[PartyId, PartyReport] = field(default_factory=dict)

    def sum(self) -> RingVector:
        """The sum.

        Raises:
            RoundFailed: there is none.
        """
        if self.total is None:
            raise self.error or RoundFailed(self.failure or "no party released a sum")
        return self.total

    def cpu_seconds(self, role: Role) -> float:
        """CPU seconds of all parties of a role."""
        return sum(r.cpu_seconds for party, r in self.parties.items() if party.role is role)
