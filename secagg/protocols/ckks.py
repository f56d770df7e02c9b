"""Approximate sums under CKKS encryption; a decryptor holds the key.

Cheon, Kim, Kim, Song, ASIACRYPT 2017, as Microsoft SEAL implements it. Roles and rounds are those
of `bfv`, and so are the claims: the server and the clients follow the protocol, server and
decryptor do not share what they see. The released sum is rounded to whole units and differs from
the true one by at most `plan.error_bound`. There is no noise flooding: what is released may depend
on the noise, and somebody who held the ciphertexts, the key's noise in the result, and could ask
often would learn the key (Li, Micciancio, EUROCRYPT 2021). Here half a unit is at least 16 typical
standard deviations of that noise, one sum is opened per key, and that is a heuristic, no proof.
"""

from __future__ import annotations

from typing import Final

from secagg.he import seal
from secagg.he.parameters import derive_ckks
from secagg.protocol import (
    Adversary,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Level,
    Offering,
    Protocol,
    Task,
    Traffic,
    Validity,
)
from secagg.protocols._homomorphic.client import HomomorphicClient
from secagg.protocols._homomorphic.decryptor import Decryptor
from secagg.protocols._homomorphic.plan import (
    TRAFFIC_FORMULA,
    HomomorphicPlan,
    homomorphic_plan,
    traffic,
)
from secagg.protocols._homomorphic.server import HomomorphicServer
from secagg.types import Role

seal.require()


class Ckks(Protocol):
    """Approximate homomorphic sums."""

    name = "ckks"
    title = "homomorphic encryption, approximate (CKKS)"
    version = 1
    levels = {
        Level.CURIOUS: Offering(
            guarantees=Guarantees(
                adversary=Adversary.CURIOUS_SERVER,
                collusion=Collusion.NOBODY,
                dropouts=Dropouts.ANY,
                exactness=Exactness.BOUNDED_ERROR,
                validity=Validity.UNCHECKED,
                evidence=Evidence.SKETCH,
                source=(
                    "IND-CPA of CKKS under ring-LWE (Cheon et al. 2017), parameters by the"
                    " HomomorphicEncryption.org standard; no noise flooding: the result may depend"
                    " on the noise; honest clients; server and decryptor do not collude"
                ),
            ),
            roles={
                Role.CLIENT: HomomorphicClient,
                Role.SERVER: HomomorphicServer,
                Role.DECRYPTOR: Decryptor,
            },
            traffic_formula=TRAFFIC_FORMULA,
        )
    }

    def plan(self, task: Task) -> HomomorphicPlan:
        """The parameters with the smallest ciphertexts.

        Raises:
            ParameterError: no parameters at 128-bit security keep the error small enough.
        """
        self.guarantees(task.level)
        layout = derive_ckks(len(task.clients), task.bound, task.length)
        return homomorphic_plan(self.name, self.version, task, layout)

    def traffic(self, plan: HomomorphicPlan) -> Traffic:  # type: ignore[override]
        """As the offering's `traffic_formula`."""
        return traffic(plan)


PROTOCOL: Final = Ckks()
