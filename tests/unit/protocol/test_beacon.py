"""A public beacon: whose values are believed, and what a driver may say that it read."""

from __future__ import annotations

import pytest

from secagg.crypto.signing import SIGNATURE_BYTES, SigningKey
from secagg.errors import LocalProtocolError, VerificationError
from secagg.protocol import BeaconHead, BeaconValue, SignedBeacon, SimulatedBeacon
from secagg.protocol.beacon import VALUE_BYTES
from secagg.protocol.effects import LARGEST_ROUND
from secagg.types import Secret

KEY = SigningKey(Secret(bytes(range(32))))
BEACON = SimulatedBeacon(KEY)
OTHER = SimulatedBeacon(SigningKey(Secret(bytes(32))))


@pytest.mark.parametrize("number", [0, 1, 2**32, LARGEST_ROUND])
def test_a_value_is_of_one_round_and_one_beacon(number: int) -> None:
    value = BEACON.value(number)
    assert value == BEACON.value(number)
    assert len(value) == SimulatedBeacon.SIZE == SIGNATURE_BYTES <= VALUE_BYTES
    BEACON.public.check(number, value)
    for wrong in (number ^ 1, number ^ 2**40):
        assert BEACON.value(wrong) != value
        with pytest.raises(VerificationError):
            BEACON.public.check(wrong, value)
    with pytest.raises(VerificationError):
        OTHER.public.check(number, value)
    with pytest.raises(VerificationError):
        BEACON.public.check(number, OTHER.value(number))


def test_no_bit_of_a_value_can_be_changed() -> None:
    """Nor the second half by the group's order, which would make another value of one round."""
    value = BEACON.value(7)
    for place in range(8 * len(value)):
        changed = bytearray(value)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(VerificationError):
            BEACON.check(7, bytes(changed))
    for length in (0, 32, 63):
        with pytest.raises(VerificationError):
            BEACON.check(7, value[:length])
    with pytest.raises(VerificationError):
        BEACON.check(7, value + b"\0")
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(value[32:], "little") + order
    with pytest.raises(VerificationError):
        BEACON.check(7, value[:32] + scalar.to_bytes(32, "little"))


def test_what_a_client_signs_is_no_value() -> None:
    """A beacon's values have a context of their own."""
    for context in ("masking cohort", "masking keys"):
        with pytest.raises(VerificationError):
            SignedBeacon(KEY.public).check(7, KEY.sign(context, (7).to_bytes(8, "big")))


@pytest.mark.parametrize("number", [-1, LARGEST_ROUND + 1, 2**64])
def test_numbers_that_no_round_has(number: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"a round lies in 0.*got {number}"):
        BeaconHead(number)
    with pytest.raises(LocalProtocolError, match=f"a round lies in 0.*got {number}"):
        BeaconValue(number, b"")


def test_values_that_no_beacon_has() -> None:
    assert BeaconValue(0, bytes(VALUE_BYTES)).round == 0
    with pytest.raises(LocalProtocolError, match="at most 96 bytes, got 97"):
        BeaconValue(0, bytes(VALUE_BYTES + 1))


def test_values_are_not_printed() -> None:
    assert b"secret".hex() not in repr(BeaconValue(3, b"secret"))
    assert "secret" not in repr(BeaconValue(3, b"secret"))
    assert repr(BeaconHead(3)) == "BeaconHead(round=3)"
