"""SecAgg: pairwise and self masks over the complete graph (Bonawitz et al., CCS 2017).

| round | client sends | server answers |
|---|---|---|
| advertise | two public keys | the keys of the cohort |
| share | shares of both seeds, sealed for each neighbour | the shares dealt to the client |
| mask | the masked vector | the survivors |
| unmask | one share for each dealer | |

At level `curious` the server follows the protocol: keys are not authenticated, and the survivors
that it names are believed. Privacy holds as long as fewer than `threshold` clients collude with
it; that is more than half of the cohort and more than the planned number.

At level `malicious` the server may lie. There is one more round, before the last, in which the
survivors sign who they are: docs/malicious.md has every message, signature and check. Privacy holds
against the planned number of colluders, 2 threshold > clients + colluders.
"""

from __future__ import annotations

from typing import Final

from secagg.protocol import (
    Adversary,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Identity,
    Level,
    Offering,
    Party,
    Protocol,
    Session,
    Task,
    Traffic,
    Validity,
)
from secagg.protocols._masking.authenticated import traffic as authenticated
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.enrolled import enrolled_party
from secagg.protocols._masking.authenticated.server import AuthenticatedServer
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.plan import (
    TRAFFIC_FORMULA,
    MaskingPlan,
    complete_plan,
    traffic,
)
from secagg.protocols._masking.server import MaskingServer
from secagg.types import PartyId, Rng, Role


class SecAgg(Protocol):
    """Masking in which everyone is everyone's neighbour."""

    name = "secagg"
    title = "pairwise masks, complete graph (Bonawitz et al. 2017)"
    version = 1
    levels = {
        Level.CURIOUS: Offering(
            guarantees=Guarantees(
                adversary=Adversary.CURIOUS_SERVER,
                collusion=Collusion.PLANNED_CLIENTS,
                dropouts=Dropouts.PLANNED,
                exactness=Exactness.EXACT,
                validity=Validity.UNCHECKED,
                evidence=Evidence.PROVED,
                source="Bonawitz et al., CCS 2017, section 6",
            ),
            roles={Role.CLIENT: MaskingClient, Role.SERVER: MaskingServer},
            traffic_formula=TRAFFIC_FORMULA,
        ),
        Level.MALICIOUS: Offering(
            guarantees=Guarantees(
                adversary=Adversary.LYING_SERVER,
                collusion=Collusion.PLANNED_CLIENTS,
                dropouts=Dropouts.PLANNED,
                exactness=Exactness.EXACT,
                validity=Validity.UNCHECKED,
                evidence=Evidence.PROVED,
                source="Bonawitz et al., CCS 2017, section 6, active adversaries",
            ),
            roles={Role.CLIENT: AuthenticatedClient, Role.SERVER: AuthenticatedServer},
            traffic_formula=authenticated.TRAFFIC_FORMULA,
            identified=True,
        ),
    }

    def plan(self, task: Task) -> MaskingPlan:
        """The threshold for the complete graph.

        Raises:
            ParameterError: dropouts and colluders that no threshold withstands together.
        """
        self.guarantees(task.level)
        return complete_plan(self.name, self.version, task)

    def traffic(self, plan: MaskingPlan) -> Traffic:  # type: ignore[override]
        """As the offering's `traffic_formula`."""
        if plan.task.level is Level.MALICIOUS:
            return authenticated.traffic(plan)
        return traffic(plan)

    def identified_party(
        self, session: Session, me: PartyId, rng: Rng, identity: Identity
    ) -> Party:
        """A party of level `malicious`."""
        return enrolled_party(self.at(session.plan.task.level).roles, session, me, rng, identity)


PROTOCOL: Final = SecAgg()
