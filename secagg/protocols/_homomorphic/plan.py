"""The plan of homomorphic aggregation, and what it costs a client."""

from __future__ import annotations

from typing import Final

from secagg.he.contexts import context_size
from secagg.he.lattice import SECURITY_BITS
from secagg.he.parameters import Layout
from secagg.protocol import Plan, Task, Traffic
from secagg.protocols._homomorphic.messages import DIGEST_BYTES
from secagg.types import DECRYPTOR, SERVER, PartyId, Ring
from secagg.wire import frame_size

TRAFFIC_FORMULA: Final = (
    "up: 95 + c m N w / 4, with c = ceil((d + 1) / values per ciphertext), m primes of w bits and"
    " ring degree N; down: 61 + (3, or 5 from 2^16 bytes) + 41 + N (m w + p) / 4, with p the bits"
    " of the special prime"
)


class HomomorphicPlan(Plan, frozen=True, kw_only=True, array_like=True):
    """A plan with the encryption's parameters.

    Attributes:
        layout: parameters, and how vectors become ciphertexts.
    """

    layout: Layout

    @property
    def parties(self) -> tuple[PartyId, ...]:
        """The clients, the server, and the decryptor."""
        return (*self.task.clients, SERVER, DECRYPTOR)

    @property
    def error_bound(self) -> int:
        """The largest |error| of one element of the released sum, in units of the ring."""
        return self.layout.error_bound

    @property
    def mean_error_bound(self) -> float:
        """The largest error of the mean over all clients, relative to the bound on an element."""
        return self.layout.mean_error_bound

    @property
    def suite(self) -> str:
        """The scheme, and the security of its parameters in bits."""
        return f"{self.protocol.upper()}-{SECURITY_BITS}"

    def describe(self) -> tuple[tuple[str, str], ...]:
        """The parameters by name."""
        lattice, layout = self.layout.lattice, self.layout
        widths = " + ".join(str(prime.bit_length()) for prime in lattice.key_primes)
        packing = f"{lattice.slots} slots of {layout.values_per_slot} values"
        rows = [
            ("ring degree", str(lattice.degree)),
            ("coefficient modulus", f"{widths} bits, {SECURITY_BITS}-bit security"),
            ("ciphertexts", f"{layout.chunks} of {lattice.ciphertext_bytes} bytes, {packing}"),
        ]
        if lattice.plain_modulus:
            rows.append(("plain modulus", f"{lattice.plain_modulus.bit_length()} bits"))
        if lattice.scale_bits:
            rows.append(("scale", f"2^{lattice.scale_bits}"))
        if self.error_bound:
            rows.append(("largest error of the sum", f"{self.error_bound} units"))
        return (*super().describe(), *rows)


def homomorphic_plan(name: str, version: int, task: Task, layout: Layout) -> HomomorphicPlan:
    """The plan of a task with a derived layout. No collusion is withstood."""
    return HomomorphicPlan(
        protocol=name,
        version=version,
        task=task,
        ring=Ring.for_sum(len(task.clients), task.bound),
        minimum=task.min_clients,
        corrupt=0,
        dropouts=len(task.clients) - task.min_clients,
        layout=layout,
    )


def traffic(plan: HomomorphicPlan) -> Traffic:
    """As `TRAFFIC_FORMULA`."""
    return Traffic(
        up=frame_size((DIGEST_BYTES,), plan.layout.upload_bytes),
        down=frame_size((context_size(plan.layout.lattice),)),
    )
