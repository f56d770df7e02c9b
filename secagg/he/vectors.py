"""Vectors to slots and back, ciphertexts to bytes and back, and sums of ciphertexts.

Adding ciphertexts is adding their coefficients modulo the primes, which is what SEAL's
`Evaluator::add` does; here it happens on the packed form, so that a server needs no SEAL objects
and keeps one running sum per chunk.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from secagg import kernels
from secagg.errors import DecodeError
from secagg.he.lattice import Lattice
from secagg.he.parameters import COUNTER, Layout
from secagg.he.seal import Slots, Words


def slots_of(values: npt.NDArray[np.int64], layout: Layout) -> Slots:
    """All slots of a vector and its counter, one row per ciphertext.

    Args:
        values: shape (length,), within the bound.
        layout: how to pack them.
    """
    fields = layout.values_per_slot
    padded = np.zeros(layout.chunks * layout.lattice.slots * fields, dtype=np.int64)
    padded[: layout.length] = values
    padded[layout.length] = layout.bound
    used = layout.length + COUNTER
    if layout.lattice.scheme == "ckks":
        pairs = padded.astype(np.float64).reshape(layout.chunks, -1, fields)
        return pairs[:, :, 0] + 1j * pairs[:, :, 1]
    padded[:used] += layout.bound
    digits = padded.astype(np.uint64).reshape(layout.chunks, -1, fields)
    powers = np.array([layout.base**field for field in range(fields)], dtype=np.uint64)
    return digits @ powers


def values_of(slots: Slots, layout: Layout, added: int) -> npt.NDArray[np.int64]:
    """The sum of `added` vectors from the slots of their sum.

    Args:
        slots: as from `slots_of`.
        layout: how they are packed.
        added: how many vectors the sum should hold.

    Raises:
        DecodeError: the counter tells another number, or slots hold what no honest sum can.
    """
    used = layout.length + COUNTER
    largest = added * layout.bound
    if layout.lattice.scheme == "ckks":
        pairs = np.stack([slots.real, slots.imag], axis=-1).reshape(-1)[:used]
        if not bool(np.all(np.abs(pairs) <= largest + layout.error_bound + 1)):
            raise DecodeError("the sum of the ciphertexts is out of range")
        values = np.clip(np.rint(pairs).astype(np.int64), -largest, largest)
    else:
        values = _digits(slots, layout).reshape(-1)[:used].astype(np.int64) - largest
        if bool(np.any(values > largest)):
            raise DecodeError("the sum of the ciphertexts is out of range")
    if abs(int(values[-1]) - largest) > min(layout.error_bound, layout.bound // 2):
        raise DecodeError(f"the ciphertexts are not a sum over {added} clients")
    return values[:-COUNTER]


def _digits(slots: Slots, layout: Layout) -> npt.NDArray[np.uint64]:
    rest = slots.astype(np.uint64)
    digits = np.empty((*rest.shape, layout.values_per_slot), dtype=np.uint64)
    base = np.uint64(layout.base)
    for field in range(layout.values_per_slot - 1):
        rest, digits[..., field] = np.divmod(rest, base)
    digits[..., -1] = rest
    return digits


def pack(residues: Words, lattice: Lattice) -> bytes:
    """Residues of ciphertexts at their own width."""
    ring = lattice.residue_ring
    return bytes(kernels.pack(np.ascontiguousarray(residues.astype(ring.dtype)), ring))


def unpack(packed: memoryview, layout: Layout) -> Words:
    """The residues of all ciphertexts of a vector, flat.

    Raises:
        DecodeError: not of this layout's size, or not below their primes.
    """
    if packed.nbytes != layout.upload_bytes:
        raise DecodeError(
            f"expected ciphertexts of {layout.upload_bytes} bytes, got {packed.nbytes}"
        )
    lattice = layout.lattice
    flat = kernels.unpack(packed, lattice.residue_ring, layout.chunks * lattice.residues)
    residues = flat.astype(np.uint64, copy=False)
    rows = residues.reshape(-1, len(lattice.data_primes), lattice.degree)
    for position, prime in enumerate(lattice.data_primes):
        if bool(np.any(rows[:, position] >= np.uint64(prime))):
            raise DecodeError("expected ciphertexts whose residues lie below their primes")
    return residues


def add(total: Words, residues: Words, layout: Layout) -> None:
    """Add ciphertexts into running sums, in place."""
    lattice = layout.lattice
    shape = (-1, len(lattice.data_primes), lattice.degree)
    sums, rows = total.reshape(shape), residues.reshape(shape)
    for position, prime in enumerate(lattice.data_primes):
        row = sums[:, position]
        row += rows[:, position]
        np.minimum(row, row - np.uint64(prime), out=row)  # below the prime, or wrapped: larger
