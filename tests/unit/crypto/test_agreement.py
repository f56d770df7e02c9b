from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from secagg.crypto.agreement import PrivateKey, check_public_key
from secagg.errors import VerificationError
from secagg.types import Secret

VECTORS = Path(__file__).parents[2] / "vectors"


def wycheproof() -> list[dict[str, Any]]:
    groups = json.loads((VECTORS / "wycheproof" / "x25519_test.json").read_text())["testGroups"]
    return [test for group in groups for test in group["tests"]]


def test_the_check_refuses_what_agreement_refuses() -> None:
    """Five canonical encodings are of low order, and the vectors hold them all."""
    key = PrivateKey(Secret(bytes(range(32))))
    refused = 0
    for test in wycheproof():
        public = bytes.fromhex(test["public"])
        if int.from_bytes(public, "little") < 2**255 - 19:
            refused += _refuses(check_public_key, public)
            assert _refuses(check_public_key, public) == _refuses(key.agree, public)
    assert refused > 5
    distinct = {
        int.from_bytes(bytes.fromhex(test["public"]), "little")
        for test in wycheproof()
        if _refuses(check_public_key, bytes.fromhex(test["public"]))
    }
    assert len([u for u in distinct if u < 2**255 - 19]) == 5


def _refuses(check: Any, public: bytes) -> bool:
    try:
        check(public)
    except VerificationError:
        return True
    return False


def test_rfc_7748_vectors() -> None:
    text = (VECTORS / "rfc7748-x25519" / "rfc7748.txt").read_text()
    cases = re.findall(r"INPUT_SCALAR = (\w+)\nINPUT_U = (\w+)\nOUTPUT_U = (\w+)", text)
    assert len(cases) >= 2
    for scalar, point, shared in cases:
        key = PrivateKey(Secret(bytes.fromhex(scalar)))
        u = bytearray.fromhex(point)
        u[31] &= 0x7F  # the RFC's decoding; here a set top bit is refused
        assert key.agree(bytes(u)).reveal().hex() == shared


def test_rfc_7748_iterated() -> None:
    vector = json.loads((VECTORS / "rfc7748-x25519" / "iterated.json").read_text())
    scalar = point = bytes.fromhex(vector["start_k_and_u"])
    for count in range(1, 1001):
        shared = PrivateKey(Secret(scalar)).agree(point).reveal()
        scalar, point = shared, scalar
        if count == 1:
            assert shared.hex() == vector["after_1"]
    assert shared.hex() == vector["after_1000"]


def test_wycheproof() -> None:
    """Every vector agrees, but low-order points and second encodings of a point are refused."""
    low_order = aliases = 0
    for test in wycheproof():
        key = PrivateKey(Secret(bytes.fromhex(test["private"])))
        public = bytes.fromhex(test["public"])
        assert test["result"] in ("valid", "acceptable")
        alias = int.from_bytes(public, "little") >= 2**255 - 19
        if alias or int(test["shared"], 16) == 0:
            aliases += alias
            low_order += int(test["shared"], 16) == 0
            for refuse in (key.agree, check_public_key):
                with pytest.raises(VerificationError, match="alias" if alias else "low order"):
                    refuse(public)
        else:
            check_public_key(public)
            assert key.agree(public).reveal().hex() == test["shared"]
    assert low_order == 31
    assert aliases == 29


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(VerificationError, match=f"32 bytes, got {size}"):
        check_public_key(bytes(size))
    with pytest.raises(VerificationError, match=f"32 bytes, got {size}"):
        PrivateKey(Secret(bytes(range(32)))).agree(bytes(size))


def test_both_ends_agree() -> None:
    first, second = PrivateKey(Secret(bytes(range(32)))), PrivateKey(Secret(bytes(range(1, 33))))
    assert first.agree(second.public) == second.agree(first.public)
    assert repr(first) == "PrivateKey(...)"
