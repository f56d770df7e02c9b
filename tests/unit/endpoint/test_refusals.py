"""What an endpoint refuses before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from unit.endpoint.federation import (
    CONFIGURATION,
    LENGTH,
    MODEL,
    Channel,
    Federation,
)

from secagg.codec import Layout
from secagg.crypto.rng import SystemRng
from secagg.crypto.signing import SigningKey
from secagg.endpoint import (
    Endpoint,
    Invitation,
    MemoryRecords,
    ServerEndpoint,
)
from secagg.endpoint.timing import Timer
from secagg.errors import (
    DecodeError,
    InputError,
    LocalProtocolError,
    ModelMismatch,
    ParameterError,
    PolicyError,
    SecaggError,
    SessionRefused,
)
from secagg.ledger import Ledger, MemoryStorage, Owner
from secagg.protocol import ClientPolicy, Identity, Level
from secagg.types import DECRYPTOR, SERVER, PartyId, Secret, client

FEDERATION = Federation("secagg")
MALICIOUS = Federation("secagg", Level.MALICIOUS)
WHO = client(1)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"update": np.zeros(LENGTH + 1, np.float32)}, InputError, "shape"),
        ({"update": np.zeros(LENGTH)}, InputError, "float32"),
        ({"update": np.full(LENGTH, np.nan, np.float32)}, InputError, "expected a finite number"),
        ({"update": {"w": np.zeros(LENGTH, np.float32)}}, InputError, "expected a flat vector"),
        ({"update": None}, InputError, "got None in a session that never started here"),
        ({"weight": 0}, InputError, r"weight in 1\.\.100"),
        ({"weight": 101}, InputError, r"weight in 1\.\.100"),
        ({"weight": 1.5}, InputError, "weight is an integer"),
        ({"model": b"another model"}, ModelMismatch, "the session is for"),
        ({"configuration": b"another"}, ModelMismatch, "the session is for"),
        ({"policy": ClientPolicy(min_clients=6)}, PolicyError, "^min_clients: "),
        ({"policy": ClientPolicy(corrupt=4)}, PolicyError, "^corrupt: "),
        ({"policy": ClientPolicy(protocols=frozenset({"bfv"}))}, PolicyError, "^protocols: "),
        ({"policy": ClientPolicy(least_epoch=1)}, PolicyError, "^least_epoch: "),
        ({"policy": MALICIOUS.policy}, PolicyError, "^level: "),
        ({"me": client(5)}, LocalProtocolError, "client 5 has no part in this session"),
        ({"me": SERVER}, LocalProtocolError, "server 0 is no client"),
        ({"invitation": b"come"}, DecodeError, "not an invitation"),
        ({"patience": 0}, ParameterError, "positive number of seconds"),
        ({"patience": {"advertise": 1.0}}, ParameterError, "a deadline for each of"),
    ],
)
def test_of_a_client(changes: dict[str, Any], error: type[SecaggError], words: str) -> None:
    """And its ledger is as it was: the same session is not lost to it."""
    with FEDERATION.ledger(WHO) as ledger:
        with pytest.raises(error, match=words):
            FEDERATION.client(WHO, ledger, **changes)
        assert ledger.opened(0) == 0
        FEDERATION.client(WHO, ledger).start(0.0)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"roster": None}, ParameterError, "a roster that was verified here"),
        ({"identity": None}, ParameterError, "needs a signing key"),
        (
            {"identity": Identity(key=SigningKey(Secret(bytes(32))))},
            ParameterError,
            "the roster has another key of client 1",
        ),
        (
            {"policy": msgspec.structs.replace(MALICIOUS.policy, authority=bytes(32))},
            PolicyError,
            "^authority: ",
        ),
        (
            {"policy": msgspec.structs.replace(MALICIOUS.policy, least_epoch=4)},
            PolicyError,
            "^least_epoch: ",
        ),
        ({"model": b"another model"}, ModelMismatch, "the session is for"),
    ],
)
def test_of_a_client_at_malicious(
    changes: dict[str, Any], error: type[SecaggError], words: str
) -> None:
    with MALICIOUS.ledger(WHO) as ledger:
        with pytest.raises(error, match=words):
            MALICIOUS.client(WHO, ledger, **changes)
        assert ledger.opened(0) == 0


def test_no_ledger_where_a_lying_server_is_withstood() -> None:
    with pytest.raises(LocalProtocolError, match="answers only what its ledger has opened"):
        MALICIOUS.client(WHO, ledger=None)


def test_a_server_that_says_another_model_digest_to_one_client() -> None:
    """The client computes it itself: nothing in the invitation is believed."""
    lie = msgspec.structs.replace(FEDERATION.invitation, model_digest=bytes(32))
    with pytest.raises(ModelMismatch):
        FEDERATION.client(WHO, invitation=lie.encoded)


def test_a_server_that_gives_one_client_another_codec() -> None:
    """Scaled up while all others are scaled down, its vector would be read off the sum."""
    invitation = FEDERATION.invitation
    codec = msgspec.structs.replace(invitation.codec, clip=1.0, fraction_bits=23)
    assert codec.bound == invitation.codec.bound
    lie = msgspec.structs.replace(invitation, codec=codec)
    with pytest.raises(ModelMismatch):
        FEDERATION.client(WHO, invitation=lie.encoded)


def test_a_second_session_of_a_training_round() -> None:
    with FEDERATION.ledger(WHO) as ledger:
        FEDERATION.client(WHO, ledger)
        with pytest.raises(PolicyError, match=r"^sessions_per_round: "):
            FEDERATION.client(WHO, ledger, invitation=FEDERATION.invite().encoded)
        later = FEDERATION.invite(training_round=1)
        FEDERATION.client(WHO, ledger, invitation=later.encoded)


def test_a_session_that_was_given_up() -> None:
    with FEDERATION.ledger(WHO) as ledger:
        end = FEDERATION.client(WHO, ledger)
        end.start(0.0)
        end.give_up()
        assert end.done
        with pytest.raises(SecaggError, match="client 1 gave up"):
            end.check()
        end.give_up()
        assert end.receive(SERVER, b"", 1.0) == []
        with pytest.raises(SessionRefused, match="was given up"):
            FEDERATION.client(WHO, ledger)


def test_without_a_ledger_it_can_be_given_up_too() -> None:
    end = FEDERATION.client(WHO)
    end.start(0.0)
    end.give_up()
    assert end.phase == "failed"


def test_who_is_done_does_not_give_up() -> None:
    federation = Federation("secagg", Level.MALICIOUS)
    channel = Channel(federation.everybody()).run()
    end = channel.ends[WHO]
    end.give_up()  # type: ignore[attr-defined]
    end.check()  # type: ignore[attr-defined]


def test_the_ledger_of_another_client_or_job() -> None:
    for owner in (
        Owner.of(FEDERATION.invitation.agree(None)[1], client(2)),
        Owner.of(FEDERATION.invite(job="another").agree(None)[1], WHO),
    ):
        storage, device = MemoryStorage(), Secret(bytes(32))
        Ledger.create(storage, owner, device, SystemRng())
        ledger = Ledger.open(storage, owner, device, SystemRng(), sessions_per_round=1)
        with ledger, pytest.raises(LocalProtocolError, match="expected the ledger of"):
            FEDERATION.client(WHO, ledger)


def test_no_beacon_where_one_is_read() -> None:
    federation = Federation("secagg_plus", Level.MALICIOUS)
    with pytest.raises(ParameterError, match="needs a public beacon for client 1 to read"):
        federation.client(WHO, beacon=None)
    with pytest.raises(ParameterError, match="needs a public beacon for server 0 to read"):
        ServerEndpoint(federation.invitation, deadlines=1.0, roster=federation.roster)
    believed = federation.identities[WHO]
    assert believed is not None
    with pytest.raises(ParameterError, match="needs a public beacon to believe"):
        federation.client(WHO, identity=replace(believed, beacon=None))


def test_of_a_server() -> None:
    invitation = FEDERATION.invitation
    with pytest.raises(LocalProtocolError, match="client 1 is a client"):
        ServerEndpoint(invitation, deadlines=1.0, me=WHO)
    with pytest.raises(LocalProtocolError, match="decryptor 0 has no part"):
        ServerEndpoint(invitation, deadlines=1.0, me=DECRYPTOR)
    with pytest.raises(ParameterError, match="a deadline for each of advertise, share"):
        ServerEndpoint(invitation, deadlines={"advertise": 1.0})
    with pytest.raises(ParameterError, match="would hold its secret key"):
        ServerEndpoint(
            Federation("bfv").invitation, deadlines=1.0, me=DECRYPTOR, records=MemoryRecords()
        )
    with pytest.raises(ParameterError, match="a roster that was verified here"):
        ServerEndpoint(MALICIOUS.invitation, deadlines=1.0)


def test_a_protocol_that_needs_a_process_of_its_own() -> None:
    federation = Federation("secagg")
    invitation = Invitation.fresh(
        "enclave",
        federation.codec,
        federation.clients,
        SystemRng(),
        model=MODEL,
        roster=MALICIOUS.roster,
        min_clients=2,
    )
    with pytest.raises(ParameterError, match=r"enclave is driven by secagg\.run only"):
        ServerEndpoint(invitation, deadlines=1.0, roster=MALICIOUS.roster)
    with pytest.raises(ParameterError, match=r"enclave is driven by secagg\.run only"):
        federation.client(
            WHO, invitation=invitation.encoded, roster=MALICIOUS.roster, configuration=b""
        )


def test_a_role_that_keeps_no_memory_and_a_ledger() -> None:
    federation = Federation("bfv")
    with pytest.raises(LocalProtocolError, match="keeps its state in memory only"):
        federation.client(WHO, federation.ledger(WHO))


def test_layouts() -> None:
    federation = Federation("secagg")
    tensors = {"w": np.full((2, 2), 0.5, np.float32), "n": np.zeros(1, np.int64)}
    federation.invitation = federation.invite(layout=Layout.of(tensors))
    with pytest.raises(InputError, match=r"missing \['n'\]"):
        federation.client(WHO, update={"w": tensors["w"]})
    with pytest.raises(InputError, match=r"expected tensor 'w' .float32, shape .2, 2.., got"):
        federation.client(WHO, update=tensors | {"w": np.zeros((4, 1), np.float32)})
    with pytest.raises(InputError, match=r"expected tensor 'w' .float32.*float16"):
        federation.client(WHO, update=tensors | {"w": np.zeros((2, 2), np.float16)})
    with pytest.raises(InputError, match="expected a mapping of 2 tensors, got ndarray"):
        federation.client(WHO)
    ends: dict[PartyId, Endpoint] = {SERVER: federation.server()} | {
        who: federation.client(who, update=tensors) for who in federation.clients
    }
    server = Channel(ends).run().ends[SERVER]
    assert isinstance(server, ServerEndpoint)
    mean = server.result().values
    assert np.allclose(mean["w"], 0.5)
    assert mean["w"].shape == (2, 2)
    assert mean["n"].dtype == np.int64


def test_coordinates_beyond_the_clip_are_counted() -> None:
    update = np.array([5.0, -5.0, 1.0, 2.0, 0.0], dtype=np.float32)
    assert FEDERATION.client(WHO, update=update).saturated == 2


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_deadlines_that_are_none(seconds: float) -> None:
    with pytest.raises(ParameterError, match="phase b: expected a positive number"):
        Timer({"a": 1.0, "b": seconds}, ("a", "b"))
    with pytest.raises(ParameterError, match="got a, c"):
        Timer({"a": 1.0, "c": 1.0}, ("a", "b"))
    with pytest.raises(ParameterError, match="got none"):
        Timer({}, ("a", "b"))


def test_the_configuration_is_not_needed() -> None:
    federation = Federation("secagg")
    federation.invitation = federation.invite(configuration=b"")
    assert federation.client(WHO, configuration=b"").phase
    with pytest.raises(ModelMismatch):
        federation.client(WHO, configuration=CONFIGURATION)
