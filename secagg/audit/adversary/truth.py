"""The one place where what was recovered is compared with what honest clients put in.

An attack gives what it made of the messages, and is told whether that is right. It is never told
what would have been. Right is bit for bit, but for approximate sums: there it is up to the error
that the plan states, for each sum that went into it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from secagg import kernels
from secagg.audit.adversary.network import Network
from secagg.types import RingVector, client


def recovered(network: Network, number: int, vector: RingVector) -> bool:
    """Whether a vector is this client's input."""
    return recovered_sum(network, (number,), vector)


def recovered_sum(network: Network, numbers: Collection[int], vector: RingVector) -> bool:
    """Whether a vector is the sum of these clients' inputs."""
    return _equal(network, vector, _sum(network, numbers))


def recovered_part(
    network: Network, number: int, places: Sequence[int], values: RingVector
) -> bool:
    """Whether these are a client's values in some coordinates; at least one, given by its index."""
    return bool(places) and _equal(network, values, _sum(network, (number,))[list(places)])


def recovered_difference(first: Network, second: Network, number: int, vector: RingVector) -> bool:
    """Whether a vector is what a client put into one session less what it put into another."""
    difference = _sum(first, (number,))
    kernels.ring_subtract(difference, _sum(second, (number,)))
    kernels.ring_reduce(difference, first.plan.ring)
    return _equal(first, vector, difference)


def recovered_from_two(network: Network, number: int, vector: RingVector) -> bool:
    """Whether a vector that was made of two sums is this client's input."""
    return _equal(network, vector, _sum(network, (number,)), sums=2)


def exact(network: Network) -> bool:
    """Whether a sum was released, and is that of the inputs of those whom it includes."""
    if network.total is None:
        return False
    return recovered_sum(network, [who.number for who in network.included], network.total)


def carried(network: Network, number: int, data: bytes) -> bool:
    """Whether a client's input stands in some bytes as it is, packed in the ring."""
    packed = kernels.pack(_sum(network, (number,)), network.plan.ring)
    return bytes(packed) in data


def _sum(network: Network, numbers: Collection[int]) -> RingVector:
    ring = network.plan.ring
    total = np.zeros(network.plan.task.length, dtype=ring.dtype)
    for number in numbers:
        kernels.ring_add(total, network._inputs[client(number)])
    kernels.ring_reduce(total, ring)
    return total


def _equal(network: Network, first: RingVector, second: RingVector, sums: int = 1) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    ring, allowed = network.plan.ring, sums * network.plan.error_bound
    if not allowed:
        return bool(np.array_equal(first, second))
    apart = (first - second + ring.dtype.type(allowed)) & ring.dtype.type(ring.mask)
    return bool(np.all(apart <= 2 * allowed))
