"""Exact sums under BFV encryption; a decryptor holds the key.

Fan, Vercauteren, "Somewhat practical fully homomorphic encryption", 2012, as Microsoft SEAL
implements it. The server and the clients follow the protocol, and the server and the decryptor do
not share what they see: then the server learns the sum, the decryptor the sum. A server that
deviates can have one client's ciphertext opened, or the key (docs/he.md).

| round | from | to | what |
|---|---|---|---|
| setup | decryptor | server, clients | a fresh public context |
| upload | client | server | the encrypted vector |
| open | server | decryptor | the sum of the ciphertexts, and over whom |
| open | decryptor | server | the sum of the vectors |
"""

from __future__ import annotations

from typing import Final

from secagg.he import seal
from secagg.he.parameters import derive_bfv
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


class Bfv(Protocol):
    """Exact homomorphic sums."""

    name = "bfv"
    title = "homomorphic encryption, exact (BFV)"
    version = 1
    levels = {
        Level.CURIOUS: Offering(
            guarantees=Guarantees(
                adversary=Adversary.CURIOUS_SERVER,
                collusion=Collusion.NOBODY,
                dropouts=Dropouts.ANY,
                exactness=Exactness.EXACT,
                validity=Validity.UNCHECKED,
                evidence=Evidence.PROVED,
                source=(
                    "IND-CPA of BFV under ring-LWE (Fan, Vercauteren 2012), parameters by the"
                    " HomomorphicEncryption.org standard; honest clients; server and decryptor do"
                    " not collude"
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
            ParameterError: no parameters at 128-bit security add the vectors exactly.
        """
        self.guarantees(task.level)
        layout = derive_bfv(len(task.clients), task.bound, task.length)
        return homomorphic_plan(self.name, self.version, task, layout)

    def traffic(self, plan: HomomorphicPlan) -> Traffic:  # type: ignore[override]
        """As the offering's `traffic_formula`."""
        return traffic(plan)


PROTOCOL: Final = Bfv()
