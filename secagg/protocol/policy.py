"""A client's own floor. The server's numbers are checked against it, never the other way round."""

from __future__ import annotations

import msgspec

from secagg.crypto.signing import PUBLIC_KEY_BYTES
from secagg.errors import ParameterError, PolicyError
from secagg.protocol.guarantees import Adversary, Guarantees, Level
from secagg.protocol.task import Plan, Roster, Session


class ClientPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a client demands, on its own disk.

    Attributes:
        level: the least level accepted.
        min_clients: the smallest released sum accepted.
        corrupt: the least number of colluding clients that a plan must withstand.
        sigma: the least statistical security of a plan, in bits.
        protocols: the protocols accepted; None for any but those whose claim against a lying server
            has no published proof: these have to be named.
        trusted_server: whether protocols are accepted in which the server sees every input.
        suites: the suites accepted, by `Plan.suite`; None for any.
        mask_key_bits: the least key size of the cipher that expands masks: 128 or 256.
        authority: the public key that must have signed the roster; None for any roster, which
            level `malicious` does not allow.
        least_epoch: the oldest roster accepted. Raised to every epoch that the client has seen.
        sessions_per_round: how many sessions of one training round of a job may be opened. A ledger
            answers one of them at most.

    Raises:
        ParameterError: on construction, for a value that no policy can have, or for level
            `malicious` without an authority.
    """

    level: Level = Level.CURIOUS
    min_clients: int = 3
    corrupt: int = 1
    sigma: int = 40
    protocols: frozenset[str] | None = None
    trusted_server: bool = False
    suites: frozenset[str] | None = None
    mask_key_bits: int = 128
    authority: bytes | None = None
    least_epoch: int = 0
    sessions_per_round: int = 1

    def __post_init__(self) -> None:
        if self.authority is not None and len(self.authority) != PUBLIC_KEY_BYTES:
            raise ParameterError(
                f"authority: expected a key of {PUBLIC_KEY_BYTES} bytes, got {len(self.authority)}"
            )
        if self.level is Level.MALICIOUS and self.authority is None:
            raise ParameterError(
                "authority: level malicious needs the public key of the roster's authority; whoever"
                " else writes the roster chooses the clients"
            )
        if self.sessions_per_round < 1:
            raise ParameterError(
                f"sessions_per_round: expected at least 1, got {self.sessions_per_round}"
            )
        if self.mask_key_bits not in (128, 256):
            raise ParameterError(f"mask_key_bits: expected 128 or 256, got {self.mask_key_bits}")

    def admit(self, plan: Plan, guarantees: Guarantees) -> None:
        """Refuse a plan that offers less than this floor.

        Raises:
            PolicyError: naming the field, what is demanded and what is offered.
        """
        levels = list(Level)
        if levels.index(plan.task.level) < levels.index(self.level):
            raise PolicyError("level", self.level, plan.task.level)
        if plan.minimum < self.min_clients:
            raise PolicyError("min_clients", self.min_clients, plan.minimum)
        if plan.corrupt < self.corrupt:
            raise PolicyError("corrupt", f"withstanding {self.corrupt}", plan.corrupt)
        if plan.task.sigma < self.sigma:
            raise PolicyError("sigma", f"{self.sigma} bits", f"{plan.task.sigma} bits")
        if self.protocols is not None and plan.protocol not in self.protocols:
            raise PolicyError("protocols", f"one of {sorted(self.protocols)}", repr(plan.protocol))
        if guarantees.experimental and self.protocols is None:
            raise PolicyError(
                "protocols",
                "a published proof against a lying server, or the protocol's acceptance by name,",
                f"{plan.protocol!r} with {guarantees.evidence.meaning}",
            )
        if not self.trusted_server and guarantees.adversary is Adversary.TRUSTED_SERVER:
            raise PolicyError(
                "trusted_server",
                "a server that does not see every input",
                f"{plan.protocol!r}, where it does and which must be accepted by name,",
            )
        if self.suites is not None and plan.suite not in self.suites:
            raise PolicyError("suites", f"one of {sorted(self.suites)}", repr(plan.suite))
        strength = plan.mask_strength
        if strength is not None and strength < self.mask_key_bits:
            raise PolicyError("mask_key_bits", f"{self.mask_key_bits} bits", f"{strength} bits")

    def admit_roster(self, roster: Roster) -> None:
        """Refuse a roster of another authority, or an old one.

        Raises:
            PolicyError: naming the field, what is demanded and what is offered.
        """
        if self.authority is not None and roster.authority != self.authority:
            offered = (
                f"one by {_short(roster.authority)}" if roster.authority else "an unsigned one"
            )
            raise PolicyError("authority", f"a roster by {_short(self.authority)}", offered)
        if roster.epoch < self.least_epoch:
            raise PolicyError("least_epoch", f"epoch {self.least_epoch}", f"epoch {roster.epoch}")

    def admit_session(self, session: Session, opened: int) -> None:
        """Refuse one session too many for the same training round, or a roster as above.

        Every restart of a round is a fresh draw for a server that looks for a bad one, and two
        answered sessions of one round release the difference of their sums.

        Args:
            session: about to be opened.
            opened: how many other sessions of its job and training round this client has opened,
                whatever became of them, by its ledger.

        Raises:
            PolicyError: naming the field, what is demanded and what is offered.
        """
        self.admit_roster(session.roster)
        if opened >= self.sessions_per_round:
            raise PolicyError(
                "sessions_per_round",
                f"at most {self.sessions_per_round}",
                f"number {opened + 1} of round {session.training_round} of job {session.job!r}",
            )

    @classmethod
    def accepting(cls, plan: Plan, roster: Roster | None = None) -> ClientPolicy:
        """The policy of a caller who wrote plan and roster itself, as in a simulation.

        Without a roster that an authority signed it does not demand level `malicious`; it accepts
        the plan all the same.
        """
        authority = (roster.authority or None) if roster is not None else None
        return cls(
            level=plan.task.level if authority is not None else Level.CURIOUS,
            min_clients=plan.minimum,
            corrupt=plan.corrupt,
            sigma=plan.task.sigma,
            protocols=frozenset({plan.protocol}),
            trusted_server=True,
            authority=authority,
        )


def _short(key: bytes) -> str:
    return f"{key[:8].hex()}..."
