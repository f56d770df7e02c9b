"""A13: the server gives the victim a model of its own.

tests/attacks/test_a13_other_model.py has the checks that stop it.
"""

from __future__ import annotations

from secagg.audit.adversary import exact, recovered_sum
from secagg.audit.attacks.attack import Attack, Outcome, commonest
from secagg.audit.attacks.scene import Scene
from secagg.errors import ModelMismatch, RemoteProtocolError
from secagg.protocol import Adversary, Level, Protocol, model_digest
from secagg.types import Rng

VICTIM = 3
MODEL, CONFIGURATION = b"layer 1, layer 2", b"rate 0.1"
OURS = model_digest(MODEL, CONFIGURATION)
CHOSEN = ((b"layer 1, layer !", CONFIGURATION), (MODEL, b"rate 9.9"))


class OtherModel(Attack):
    """Another model, and then another configuration, in the session of all; then one of its own."""

    id = "A13"
    title = "the server gives the victim a model, or a configuration, of its own"
    goal = "an update on the chosen model in the sum of the others, who all have another one"
    source = "Pasquini et al., CCS 2022"
    fails_from = Adversary.TRUSTED_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Each variant. At a level that withstands a lying server also in a session of its own."""
        tried, refusal = 0, ""
        lying = protocol.guarantees(level).adversary.at_least(Adversary.LYING_SERVER)
        for received in CHOSEN:
            for own_session in (False, True) if lying else (False,):
                tried += 1
                digest = {VICTIM: model_digest(*received)}
                shown = digest if own_session else None
                taken, by = self.mount(Scene(protocol, level, rng, model=OURS), digest, shown)
                refusal = refusal or by
                if taken:
                    where = "a session of its own" if own_session else "the session of all"
                    return Outcome.reached(f"the victim's update on it is in the sum, in {where}")
        return Outcome.stopped(refusal, f"the victim took part in none of {tried} variants")

    def mount(
        self, scene: Scene, received: dict[int, bytes], shown: dict[int, bytes] | None
    ) -> tuple[bool, str]:
        """Whether the victim's update is in the sum of all, and else why it is not."""
        try:
            if shown is None:
                network = scene.network(received={**received})
            else:
                network = scene.network(shown=shown)
            network.run()
        except (ModelMismatch, RemoteProtocolError) as error:
            return False, Outcome.stopped(error, "").stopped_by
        everybody = range(len(network.clients))
        if network.total is None or not recovered_sum(network, everybody, network.total):
            return False, commonest(network.failures.values()) or "another sum"
        return exact(network), ""
