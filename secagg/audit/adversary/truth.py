"""The one place where what was recovered is compared with what honest clients put in.

An attack gives what it made of the messages, and is told whether that is right. It is never told
what would have been.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from secagg import kernels
from secagg.audit.adversary.network import Network
from secagg.types import RingVector, client


def recovered(network: Network, number: int, vector: RingVector) -> bool:
    """Whether a vector is this client's input, bit for bit."""
    return recovered_sum(network, (number,), vector)


def recovered_sum(network: Network, numbers: Collection[int], vector: RingVector) -> bool:
    """Whether a vector is the sum of these clients' inputs, bit for bit."""
    return _equal(vector, _sum(network, numbers))


def recovered_difference(first: Network, second: Network, number: int, vector: RingVector) -> bool:
    """Whether a vector is what a client put into one session less what it put into another."""
    difference = _sum(first, (number,))
    kernels.ring_subtract(difference, _sum(second, (number,)))
    kernels.ring_reduce(difference, first.plan.ring)
    return _equal(vector, difference)


def exact(network: Network) -> bool:
    """Whether a sum was released, and is that of the inputs of those whom it includes."""
    if network.total is None:
        return False
    return recovered_sum(network, [who.number for who in network.included], network.total)


def _sum(network: Network, numbers: Collection[int]) -> RingVector:
    ring = network.plan.ring
    total = np.zeros(network.plan.task.length, dtype=ring.dtype)
    for number in numbers:
        kernels.ring_add(total, network._inputs[client(number)])
    kernels.ring_reduce(total, ring)
    return total


def _equal(first: RingVector, second: RingVector) -> bool:
    return first.dtype == second.dtype and bool(np.array_equal(first, second))
