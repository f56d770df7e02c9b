"""A31: secrets that end up in a log.

It reads no message: it prints everything that a debugger could, at every step of a round with
errors in it, and searches what was printed for everything that is secret. So it is not held to what
an adversary on the network sees. tests/attacks/test_a31_secrets_in_text.py has the redaction out.
"""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from secagg.audit.adversary import Network, Seen
from secagg.audit.attacks.attack import Attack, Outcome
from secagg.audit.attacks.scene import Scene
from secagg.audit.leaks import reachable, shows, shows_numbers
from secagg.errors import InputError, SecaggError
from secagg.protocol import Adversary, Effect, Input, Level, Protocol
from secagg.types import PartyId, Rng, Secret, client
from secagg.wire import Message

WHO = 1
"""Whose vector and secrets are looked for: those of all who hold one are of the same kinds."""

COUNT = 4
SHORTEST = 16
"""Bytes of a secret that is looked for."""

LENGTH = 17


class SecretsInText(Attack):
    """A round with every object printed, one client lost and one input refused."""

    id = "A31"
    title = "secrets that end up in a log"
    goal = "eight bytes in a row of a secret, or four numbers of an input, in what is printed"
    # A vector is a numpy array: whoever dumps the attributes of a party that has one sees it.
    source = "FedML prints masks and self seeds"
    fails_from = Adversary.TRUSTED_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """A round in which everything is printed; then the search."""
        values = [rng.bytes(2)[0] * 3 + 101 for _ in range(LENGTH)]
        scene = Scene(protocol, level, rng, COUNT, values={WHO: values}, corrupt="0")
        with everything_logged() as log:
            printed = Printed(scene.network(losing_one))
            printed.finish()
            refused = scene.network(values={WHO: [1 << 12] * LENGTH})
            try:
                refused.run()
            except InputError as error:
                printed.lines.update(traceback.format_exception(error))
            printed.note(refused.failures, refused.accused)
        text = "\n".join([*sorted(printed.lines), log.getvalue()])
        dumped = "\n".join([text, *sorted(printed.dumps)])
        shown = sum(shows(dumped, secret) for secret in printed.secrets)
        numbers = shows_numbers(text, values)
        evidence = (
            f"{shown} of {len(printed.secrets)} secrets in {len(dumped)} characters; input in the"
            f" {len(text)} that are no dump of attributes: {numbers}"
        )
        return Outcome.of(bool(shown or numbers), "objects that print no content", evidence)


def losing_one(seen: Seen) -> Message | None:
    """The relay that loses the last client's vector, so that accusations and failures come."""
    lost = seen.frame.tail.nbytes and seen.sender == client(COUNT - 1)
    return None if lost else seen.message


class Printed:
    """A network whose every step is printed.

    Attributes:
        lines: what was printed by repr and by text, each once.
        dumps: the attributes of every object, as `vars` gives them.
        secrets: the content of all that is a `Secret`, of whoever has it, at any step.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.lines: set[str] = set()
        self.dumps: set[str] = set()
        self.secrets: set[bytes] = set()
        act = network._act

        def printed(who: PartyId, effects: list[Effect]) -> None:
            self.note(network._seats[who], effects)
            act(who, effects)
            self.note(network._seats[who])

        network._act = printed  # type: ignore[method-assign]

    def finish(self) -> None:
        """The round, and what is left of it."""
        self.note(*map(Input, self.network._inputs.values()))
        try:
            self.network.finish()
        except SecaggError as error:
            self.lines.update(traceback.format_exception(error))
        self.note(self.network.failures, self.network.accused, self.network.seen)

    def note(self, *roots: object) -> None:
        """Print what hangs on these, by repr, by text and by what `vars` says."""
        for item in reachable(list(roots)):
            if isinstance(item, Secret) and len(item) >= SHORTEST:
                self.secrets.add(item.reveal())
            if type(item).__module__.startswith(("secagg.", "msgspec")):
                self.lines.add(f"{item!r} {item}")
                self.dumps.add(repr(getattr(item, "__dict__", "")))


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """What anybody logs, at the lowest level."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
