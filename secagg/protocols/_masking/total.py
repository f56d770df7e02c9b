"""The sum of masked vectors: each is added as it comes and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from secagg import kernels
from secagg.errors import DecodeError, RemoteProtocolError
from secagg.kernels import MaskStream
from secagg.protocol import Plan
from secagg.types import PartyId, RingVector

ADDED_TOGETHER: Final = 4
"""Vectors that the kernel adds in one pass over the total."""


class Total:
    """A running sum in the plan's ring. A few vectors wait for each other, to be added together."""

    def __init__(self, plan: Plan) -> None:
        self._ring, self._length = plan.ring, plan.task.length
        self._sum: RingVector = kernels.aligned(self._length, self._ring.dtype)
        self._sum.fill(0)
        self._waiting: list[memoryview] = []

    def check(self, packed: memoryview, sender: PartyId) -> None:
        """Refuse what is no packed vector.

        Raises:
            RemoteProtocolError: another size, or bits beyond the last element.
        """
        expected = self._ring.packed_size(self._length)
        if packed.nbytes != expected:
            raise RemoteProtocolError(
                sender, f"expected a vector of {expected} bytes, got {packed.nbytes}"
            )
        try:
            kernels.check_packed(packed, self._ring, self._length)
        except DecodeError as error:
            raise RemoteProtocolError(sender, str(error)) from None

    def add(self, packed: memoryview) -> None:
        """Add a vector that was checked."""
        self._waiting.append(packed)
        if len(self._waiting) == ADDED_TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Add those that wait."""
        kernels.sum_packed(self._sum, self._waiting, self._ring)
        self._waiting.clear()

    def without(self, masks: Sequence[MaskStream]) -> RingVector:
        """The sum, reduced, when these masks are taken off."""
        self.settle()
        kernels.apply_masks(self._sum, masks)
        kernels.ring_reduce(self._sum, self._ring)
        return self._sum

    def drop(self) -> None:
        """Forget the vectors that wait."""
        self._waiting.clear()
