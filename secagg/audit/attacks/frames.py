"""A17: whoever carries the messages reads the vectors in them.

tests/attacks/test_a17_server_reads_frames.py has the statistics of what is read.
"""

from __future__ import annotations

from secagg.audit.adversary import carried, exact
from secagg.audit.attacks.attack import Attack, Outcome, masks
from secagg.audit.attacks.scene import Scene
from secagg.protocol import Adversary, Level, Protocol
from secagg.types import Rng, Role


class Frames(Attack):
    """Every frame of every client is searched for the vector of every client."""

    id = "A17"
    title = "whoever carries the messages reads the vectors in them"
    goal = "a client's input, bit for bit"
    source = "FATE, secure_aggregation_helper, and OpenFL, crypto.py: what their masks leave"
    fails_from = Adversary.CURIOUS_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """An honest round, then a search."""
        network = Scene(protocol, level, rng).network()
        network.run()
        said = [one for one in network.seen if one.sender.role is Role.CLIENT]
        sent = [(one.sender.number, one.frame.join()) for one in said]
        numbers = [who.number for who in network.clients]
        read = [n for n in numbers if any(carried(network, n, data) for _, data in sent)]
        size = sum(len(data) for _, data in sent)
        evidence = (
            f"{len(read)} of {len(numbers)} inputs stand in {len(sent)} frames of {size} bytes;"
            f" sum right: {exact(network)}"
        )
        hidden_by = "masks" if masks(protocol, level) else "encryption"
        return Outcome.of(bool(read), hidden_by, evidence)
