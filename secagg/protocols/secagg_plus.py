"""SecAgg+: pairwise and self masks over a sparse ring graph (Bell et al., CCS 2020).

The rounds are those of SecAgg; a client masks and shares with its neighbours only. The graph is
drawn by the server after the keys are fixed.

| round | client sends | server answers |
|---|---|---|
| advertise | two public keys | the keys of the cohort |
| share | shares of both seeds, sealed for each neighbour | the shares dealt to the client |
| mask | the masked vector | the survivors |
| unmask | one share for each dealer | |

Level `malicious` is EXPERIMENTAL: the graph comes from a public beacon after the keys are fixed,
keys are signed and survivors agreed on (docs/malicious.md). Nobody gets it without naming it.

At level `curious` the server follows the protocol: it draws the graph at random, keys are not
authenticated, and the survivors that it names are believed. Degree and threshold are computed
exactly for the planned colluders and dropouts, with failure probability 2**-sigma for privacy.
Small cohorts get the complete graph.
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
from secagg.protocols._masking.authenticated.enrolled import enrolled_party
from secagg.protocols._masking.authenticated.ring import RingClient, RingServer
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.plan import (
    TRAFFIC_FORMULA,
    MaskingPlan,
    sparse_plan,
    traffic,
)
from secagg.protocols._masking.server import MaskingServer
from secagg.types import PartyId, Rng, Role


class SecAggPlus(Protocol):
    """Masking in which a client has O(log n) neighbours."""

    name = "secagg_plus"
    title = "pairwise masks, sparse graph (Bell et al. 2020)"
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
                source="Bell et al., CCS 2020, semi-honest",
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
                evidence=Evidence.SKETCH,
                source="EXPERIMENTAL: a sketch after Bell et al., CCS 2020; docs/malicious.md",
            ),
            roles={Role.CLIENT: RingClient, Role.SERVER: RingServer},
            traffic_formula=authenticated.RING_TRAFFIC_FORMULA,
            identified=True,
        ),
    }

    def plan(self, task: Task) -> MaskingPlan:
        """Degree and threshold, exact for these dropouts and colluders.

        Raises:
            ParameterError: no degree and threshold will do; the message says which bound failed.
        """
        self.guarantees(task.level)
        return sparse_plan(self.name, self.version, task)

    def traffic(self, plan: MaskingPlan) -> Traffic:  # type: ignore[override]
        """As the offering's `traffic_formula`."""
        if plan.task.level is Level.MALICIOUS:
            return authenticated.ring_traffic(plan)
        return traffic(plan)

    def identified_party(
        self, session: Session, me: PartyId, rng: Rng, identity: Identity
    ) -> Party:
        """A party of level `malicious`."""
        return enrolled_party(self.at(session.plan.task.level).roles, session, me, rng, identity)


PROTOCOL: Final = SecAggPlus()
