"""Make the known answers of our own that `secagg audit` ships: Shamir sharing, and SecAgg's masks.

Writes secagg/audit/vectors/shamir.json and secagg.json; with --check it only compares. The answers
are this library's; tests/unit/audit/test_vectors.py computes them anew in plain Python.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from secagg import kernels
from secagg.crypto import kdf, shamir
from secagg.crypto.agreement import PrivateKey
from secagg.crypto.prg import mask_stream
from secagg.crypto.rng import StreamRng
from secagg.types import Ring, Secret, client

FOLDER = Path(__file__).parents[1] / "secagg" / "audit" / "vectors"
LENGTH = 9


def seed(text: str) -> bytes:
    """32 bytes that everybody can make again."""
    return hashlib.sha256(f"secagg audit vectors: {text}".encode()).digest()


def shamir_vectors() -> list[dict[str, Any]]:
    """Secrets, among them the edges of the limbs, and all their shares."""
    found = []
    secrets = {
        "zeros": bytes(32),
        "ones": b"\xff" * 32,
        "hash": seed("secret"),
    }
    for name, secret in secrets.items():
        for threshold, holders in ((1, (0,)), (2, (0, 1, 2)), (5, (1, 3, 4, 7, 9, 1_048_575))):
            rng = StreamRng(seed(f"shamir {name} {threshold}"))
            shares = shamir.split([Secret(secret)], threshold, holders, rng)[0]
            found.append(
                {
                    "secret": secret.hex(),
                    "threshold": threshold,
                    "holders": list(holders),
                    "shares": [shamir.encode_shares(share[None]).hex() for share in shares],
                }
            )
    return found


def secagg_vectors() -> list[dict[str, Any]]:
    """Two clients' masks from their seeds: key pairs, agreed secret, streams, masked vectors."""
    found = []
    for key_bits in (128, 256):
        for bits in (8, 20, 32, 61):
            found.append(secagg_vector(key_bits, bits))
    return found


def secagg_vector(key_bits: int, bits: int) -> dict[str, Any]:
    """One of them: clients 2 and 5 of a session."""
    session, transcript, ring = seed("session"), seed("transcript"), Ring(bits)
    numbers = (2, 5)
    mask_seeds = {n: Secret(seed(f"mask seed {n} {bits}")) for n in numbers}
    self_seeds = {n: Secret(seed(f"self seed {n} {bits}")) for n in numbers}
    keys = {
        n: PrivateKey(
            kdf.derive(
                mask_seeds[n],
                context=session,
                purpose=kdf.Purpose.MASK_KEYPAIR,
                parties=(client(n),),
            )
        )
        for n in numbers
    }
    common = {
        "context": transcript,
        "protocol": "secagg",
        "ring": ring,
        "length": LENGTH,
        "key_bits": key_bits,
    }
    low, high = numbers
    agreed = keys[low].agree(keys[high].public)
    vectors, masked = {}, {}
    for n in numbers:
        peer = high if n == low else low
        vector = np.array(
            [
                int.from_bytes(seed(f"input {n} {j}")[:8], "little") & ring.mask
                for j in range(LENGTH)
            ],
            dtype=ring.dtype,
        )
        vectors[n] = [int(value) for value in vector]
        streams = [
            mask_stream(
                self_seeds[n],
                purpose=kdf.Purpose.SELF_MASK,
                parties=(client(n),),
                sign=1,
                **common,  # type: ignore[arg-type]
            ),
            mask_stream(
                agreed,
                purpose=kdf.Purpose.PAIR_MASK,
                parties=(client(low), client(high)),
                details=(keys[low].public, keys[high].public),
                sign=1 if n > peer else -1,
                **common,  # type: ignore[arg-type]
            ),
        ]
        kernels.apply_masks(vector, streams)
        kernels.ring_reduce(vector, ring)
        masked[n] = [int(value) for value in vector]
    return {
        "key_bits": key_bits,
        "ring_bits": bits,
        "session": session.hex(),
        "transcript": transcript.hex(),
        "clients": [
            {
                "number": n,
                "mask_seed": mask_seeds[n].reveal().hex(),
                "self_seed": self_seeds[n].reveal().hex(),
                "mask_public": keys[n].public.hex(),
                "input": vectors[n],
                "masked": masked[n],
            }
            for n in numbers
        ],
        "agreed": agreed.reveal().hex(),
    }


def main() -> int:
    made = {"shamir.json": shamir_vectors(), "secagg.json": secagg_vectors()}
    stale = []
    for name, content in made.items():
        text = json.dumps(content, indent=1) + "\n"
        path = FOLDER / name
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                stale.append(name)
        else:
            path.write_text(text)
    if stale:
        print(f"not what this script makes: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
