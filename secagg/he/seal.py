"""Microsoft SEAL through TenSEAL's bindings: keys, encryption, decryption. The one importer.

`tenseal.sealapi` is used rather than TenSEAL's vectors: coefficients can be packed at their own
width, keys can be drawn from a seed, and nothing is printed.

Randomness. A key is a function of seeds that the caller draws. Encryption takes SEAL's own
randomness: the kernel's, expanded by SEAL's generator, fresh at every operation. Encryption could
be seeded only through a SEAL context made for that one ciphertext, since a seeded context starts
its generator anew at every operation; a context costs 20 encryptions, most of it in a hardware
generator that all cores share (docs/decisions/0006). A seeded context is therefore made for one
operation and dropped (`_seeded`): a second operation would repeat the first one's randomness.

TenSEAL holds Python's global lock: use processes (`secagg.he.workers`) to use more than one core.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from secagg.errors import DecodeError, ParameterError, UnavailableError
from secagg.he.lattice import Lattice

SEED_BYTES: Final = 64

Words: TypeAlias = npt.NDArray[np.uint64]
Slots: TypeAlias = npt.NDArray[np.uint64] | npt.NDArray[np.complex128]

_HEADER: Final = struct.Struct("<HBBBBHQ")
_ARRAY: Final = struct.Struct("<HBBBBHQQ")
_MEMBERS: Final = struct.Struct("<4QBQQQdQ")
_MAGIC: Final = 0xA15E


def require() -> Any:
    """TenSEAL's bindings of SEAL.

    Raises:
        UnavailableError: TenSEAL is not installed.
    """
    try:
        from tenseal import sealapi
    except ImportError:
        raise UnavailableError(
            "homomorphic encryption needs TenSEAL: pip install 'secagg[he]'"
        ) from None
    return sealapi


def public_key(lattice: Lattice, key_seed: bytes, public_seed: bytes) -> Words:
    """The residues of the public key (b, a), in SEAL's order, that belongs to a secret key.

    Args:
        lattice: the parameters.
        key_seed: 64 bytes from which the secret key is drawn.
        public_seed: 64 other bytes, for a and the error.
    """
    seal = require()
    if key_seed == public_seed:
        raise ParameterError("expected two different seeds: `a` would reveal the secret key")
    key = seal.PublicKey()
    generator = seal.KeyGenerator(_seeded(lattice, public_seed), _secret_key(lattice, key_seed))
    generator.create_public_key(key)
    return _words(key.data(), 2 * len(lattice.key_primes) * lattice.degree)


def encrypt(lattice: Lattice, key: Any, slots: Slots) -> Words:
    """The residues of one fresh ciphertext.

    Args:
        lattice: the parameters.
        key: from `load_public_key`.
        slots: one number per slot; uint64 below the plain modulus (BFV) or complex (CKKS).
    """
    seal = require()
    plaintext, ciphertext = seal.Plaintext(), seal.Ciphertext()
    encoder = _encoder(lattice)
    if lattice.scheme == "bfv":
        encoder.encode(slots.tolist(), plaintext)
    else:
        encoder.encode(slots.tolist(), float(1 << lattice.scale_bits), plaintext)
    seal.Encryptor(_context(lattice), key).encrypt(plaintext, ciphertext)
    return _words(ciphertext, lattice.residues)


def decryptor(lattice: Lattice, key_seed: bytes | bytearray | memoryview) -> Any:
    """SEAL's object for a secret key, which it clears from its memory when the object goes."""
    return require().Decryptor(_context(lattice), _secret_key(lattice, key_seed))


def decrypt(lattice: Lattice, decryptor: Any, residues: Words) -> Slots:
    """The slots of one ciphertext; whether they mean anything is up to the noise bound.

    Args:
        lattice: the parameters.
        decryptor: from `decryptor`.
        residues: of the ciphertext.

    Raises:
        DecodeError: not a ciphertext of these parameters.
    """
    seal = require()
    context = _context(lattice)
    ciphertext, plaintext = seal.Ciphertext(), seal.Plaintext()
    blob = _serialised(
        context.first_parms_id(),
        lattice,
        lattice.data_primes,
        residues,
        ntt=lattice.scheme == "ckks",
        scale=float(1 << lattice.scale_bits),
    )
    _load(ciphertext, context, blob)
    decryptor.decrypt(ciphertext, plaintext)
    encoder = _encoder(lattice)
    if lattice.scheme == "bfv":
        return np.array(encoder.decode_uint64(plaintext), dtype=np.uint64)
    return np.array(encoder.decode_complex(plaintext), dtype=np.complex128)


def load_public_key(lattice: Lattice, residues: Words) -> Any:
    """SEAL's object for a public key.

    Raises:
        DecodeError: not a public key of these parameters.
    """
    key = require().PublicKey()
    context = _context(lattice)
    identifier = context.key_parms_id()
    _load(key, context, _serialised(identifier, lattice, lattice.key_primes, residues, ntt=True))
    return key


def _parameters(lattice: Lattice) -> Any:
    seal = require()
    kinds = seal.SCHEME_TYPE
    parameters = seal.EncryptionParameters(kinds.BFV if lattice.scheme == "bfv" else kinds.CKKS)
    parameters.set_poly_modulus_degree(lattice.degree)
    parameters.set_coeff_modulus([seal.Modulus(prime) for prime in lattice.key_primes])
    if lattice.plain_modulus:
        parameters.set_plain_modulus(lattice.plain_modulus)
    return parameters


def _made(lattice: Lattice, parameters: Any) -> Any:
    seal = require()
    context = seal.SEALContext(parameters, False, seal.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise ParameterError(f"SEAL refuses {lattice}: {context.parameters_error_message()}")
    return context


@lru_cache(maxsize=8)
def _context(lattice: Lattice) -> Any:
    """A context whose randomness, where an operation needs any, is SEAL's own."""
    return _made(lattice, _parameters(lattice))


def _seeded(lattice: Lattice, seed: bytes | bytearray | memoryview) -> Any:
    """A context for one random operation, whose randomness is a function of the seed."""
    if len(seed) != SEED_BYTES:
        raise ParameterError(f"a seed has {SEED_BYTES} bytes, got {len(seed)}")
    parameters = _parameters(lattice)
    words = list(struct.unpack("<8Q", seed))
    parameters.set_random_generator(require().Blake2xbPRNGFactory(words))
    return _made(lattice, parameters)


@lru_cache(maxsize=8)
def _encoder(lattice: Lattice) -> Any:
    seal = require()
    kind = seal.BatchEncoder if lattice.scheme == "bfv" else seal.CKKSEncoder
    return kind(_context(lattice))


def _secret_key(lattice: Lattice, key_seed: bytes | bytearray | memoryview) -> Any:
    return require().KeyGenerator(_seeded(lattice, key_seed)).secret_key()


def _words(ciphertext: Any, count: int) -> Words:
    return np.fromiter(map(ciphertext.__getitem__, range(count)), dtype=np.uint64, count=count)


@contextmanager
def _memory_file() -> Iterator[tuple[int, str]]:
    """An anonymous file in memory: the bindings read and write files only."""
    descriptor = os.memfd_create("secagg-he")
    try:
        yield descriptor, f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _load(target: Any, context: Any, blob: bytes) -> None:
    with _memory_file() as (descriptor, path):
        os.pwrite(descriptor, blob, 0)
        try:
            target.load(context, path)
        except (RuntimeError, ValueError) as error:
            raise DecodeError(f"SEAL refuses it: {error}") from None


@lru_cache(maxsize=1)
def _version() -> tuple[int, int]:
    """SEAL's version, from the header of something that it wrote."""
    with _memory_file() as (descriptor, path):
        require().Modulus(3).save(path)
        _, _, major, minor, *_ = _HEADER.unpack(os.pread(descriptor, _HEADER.size, 0))
    return major, minor


def _serialised(
    identifier: list[int],
    lattice: Lattice,
    primes: tuple[int, ...],
    residues: Words,
    *,
    ntt: bool,
    scale: float = 1.0,
) -> bytes:
    """SEAL's encoding of two polynomials, uncompressed (`Ciphertext::save_members`)."""
    data = residues.astype("<u8", copy=False).tobytes()
    array_size = _ARRAY.size + len(data)
    total = _HEADER.size + _MEMBERS.size + array_size
    version = _version()
    return b"".join(
        (
            _HEADER.pack(_MAGIC, _HEADER.size, *version, 0, 0, total),
            _MEMBERS.pack(*identifier, ntt, 2, lattice.degree, len(primes), scale, 1),
            _ARRAY.pack(_MAGIC, _HEADER.size, *version, 0, 0, array_size, residues.size),
            data,
        )
    )
