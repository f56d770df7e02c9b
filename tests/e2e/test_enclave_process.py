"""The enclave in its own process: the sum, its death at every step, its walls, its measurement."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance.scenario import Scenario

import secagg
from secagg import protocols
from secagg.attestation import Reason, measure, measure_installed
from secagg.attestation.measurement import reachable_modules
from secagg.crypto.rng import SystemRng
from secagg.enclave import channel
from secagg.errors import (
    EnclaveLost,
    EvidenceRefused,
    LocalProtocolError,
    SealBindingError,
    UnavailableError,
)
from secagg.protocol import FAILED, Accuse, Deadline, Fail, Identities, Level
from secagg.protocols._enclave.messages import Attestation
from secagg.runner import EnclaveHost, Faults, Outcome
from secagg.types import ENCLAVE, PartyId, Role, client
from secagg.wire import Frame

PROTOCOL = protocols.get("enclave")
PACKAGE = Path(secagg.__file__).parent


class World(Scenario):
    """A scenario at the time of the processes' clock."""

    def _identities(self) -> Identities:
        now = int(time.time())
        return Identities.drawn(self.plan, self.rng, measure_installed().value, now)


def world(count: int = 3, seed: int = 1, **task: Any) -> World:
    return World(PROTOCOL, count, {"dropout": "0.25", **task}, seed=seed)


@pytest.fixture
def host() -> Iterator[EnclaveHost]:
    with EnclaveHost.launch(timeout=60) as running:
        yield running


def run(scene: World, host: EnclaveHost, faults: Faults | None = None) -> Outcome:
    from secagg.runner import run as drive

    return drive(
        PROTOCOL,
        scene.session,
        scene.inputs,
        scene.rng,
        faults,
        identities=scene.identities,
        host=host,
    )


def test_the_sum_is_that_of_plain_and_the_work_is_the_enclaves(host: EnclaveHost) -> None:
    scene = world(length=1000)
    outcome = run(scene, host)
    assert outcome.failure is None
    assert outcome.included == scene.plan.task.clients
    plain = Scenario(protocols.get("plain"), 3, {"length": 1000})
    plain.values, plain.inputs = scene.values, scene.inputs
    np.testing.assert_array_equal(outcome.sum(), plain.run().sum())
    np.testing.assert_array_equal(outcome.sum(), scene.expected(outcome.included))
    traffic = PROTOCOL.traffic(scene.plan)
    report = outcome.parties[client(0)]
    assert (report.sent, report.received) == (traffic.up, traffic.down)


def test_a_session_is_charged_for_what_the_process_spent_in_it(host: EnclaveHost) -> None:
    """And for nothing else: not the start of the process, not an earlier session."""
    started = host.cpu_seconds
    assert started == host.ready.cpu_seconds > 0.05  # it has measured itself and played a round
    for seed, length in ((1, 100_000), (2, 10), (3, 10), (4, 100_000)):
        before = host.cpu_seconds
        outcome = run(world(seed=seed, length=length), host)
        assert outcome.failure is None
        spent = host.cpu_seconds - before
        assert spent > 0
        # The rest is the host's own: it carries frames.
        assert spent <= outcome.cpu_seconds(Role.ENCLAVE) < spent + started


def test_one_process_serves_sessions_one_after_the_other(host: EnclaveHost) -> None:
    """Even after one that failed; each with other keys, and none of them twice."""
    announced: list[bytes] = []

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        if sender == ENCLAVE and recipient == client(0):
            announced.append(frame.join())
        return frame

    pid = host.pid
    scenes = [world(seed=seed) for seed in (1, 2, 3)]
    for scene in scenes:
        too_few = {client(0): 1, client(1): 0, client(2): 0} if scene is scenes[1] else {}
        outcome = run(scene, host, Faults(lost=too_few, tamper=watch))
        if too_few:
            assert outcome.error is None
            assert "1 of 3 clients delivered, 2 are needed" in (outcome.failure or "")
        else:
            np.testing.assert_array_equal(outcome.sum(), scene.expected(outcome.included))
    shown = [
        message
        for message in (
            PROTOCOL.at(Level.CURIOUS).table.decode(Frame.split(data)).message for data in announced
        )
        if isinstance(message, Attestation)
    ]
    assert len({message.sealing_key for message in shown}) == 3
    assert len({message.record_key for message in shown}) == 3
    for scene in scenes:
        with pytest.raises(LocalProtocolError, match="opened before"):
            run(scene, host)
    assert host.alive
    assert host.pid == pid
    fourth = world(seed=4)
    np.testing.assert_array_equal(run(fourth, host).sum(), fourth.expected(fourth.inputs))


def test_run_draws_identities_when_none_are_given(host: EnclaveHost) -> None:
    from secagg.protocol import Session
    from secagg.runner import run as drive

    scene = world()
    session = Session.fresh(scene.plan, scene.rng)
    outcome = drive(PROTOCOL, session, scene.inputs, scene.rng, host=host)
    np.testing.assert_array_equal(outcome.sum(), scene.expected(outcome.included))


def test_too_few_clients_and_dropouts(host: EnclaveHost) -> None:
    scene = world(4, min_clients=3)
    outcome = run(scene, host, Faults(lost={client(0): 0, client(2): 0}))
    assert outcome.total is None
    assert "2 of 4 clients delivered, 3 are needed" in (outcome.failure or "")


@pytest.mark.parametrize("step", range(-1, 6))
def test_killed_at_any_step_the_round_is_lost(host: EnclaveHost, step: int) -> None:
    """Of three announcements and three uploads of the second session; -1 is before it is opened."""
    former = world(seed=7)
    np.testing.assert_array_equal(run(former, host).sum(), former.expected(former.inputs))
    scene = world()
    sent = 0
    frames: list[tuple[bytes, PartyId]] = []

    def kill(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        nonlocal sent
        if sent == step:
            os.kill(host.pid, signal.SIGKILL)
        sent += 1
        if recipient == ENCLAVE:
            frames.append((frame.join(), sender))
        return frame

    if step < 0:
        os.kill(host.pid, signal.SIGKILL)
    outcome = run(scene, host, Faults(tamper=kill))
    assert outcome.total is None
    assert not outcome.included
    assert "lost" in (outcome.failure or "")
    assert "stay sealed" in (outcome.failure or "")
    assert outcome.parties[ENCLAVE].phase == FAILED
    with pytest.raises(EnclaveLost, match="another launch"):
        outcome.sum()
    # It serves no further session, and says so.
    assert not host.alive
    next_one = run(world(seed=8), host)
    assert isinstance(next_one.error, EnclaveLost)
    assert "exit status -9" in (next_one.failure or "")
    assert not next_one.included
    # Another process has other keys: what was sent to the dead one opens nowhere.
    with EnclaveHost.launch(timeout=60) as second:
        party = second.party(PROTOCOL, scene.session, ENCLAVE, SystemRng())
        party.start()
        for data, sender in frames:
            (effect,) = party.handle(party.open(Frame.split(data), sender), sender)
            assert isinstance(effect, Accuse)
            assert isinstance(effect.error, SealBindingError)
        (failure,) = party.handle(Deadline("collect"), ENCLAVE)
        assert isinstance(failure, Fail)


def test_a_process_that_hangs_is_given_up() -> None:
    with EnclaveHost.launch(timeout=5) as host:
        host._socket.settimeout(0.5)
        os.kill(host.pid, signal.SIGSTOP)
        began = time.monotonic()
        outcome = run(world(), host)
        assert outcome.total is None
        assert "lost" in (outcome.failure or "")
        assert time.monotonic() - began < 20


def test_a_simulated_kill_loses_it_too(host: EnclaveHost) -> None:
    outcome = run(world(), host, Faults(kills={ENCLAVE: (2,)}))
    assert outcome.total is None
    assert "memory only" in (outcome.failure or "")


def test_nonsense_from_the_host_changes_nothing_or_ends_it(host: EnclaveHost) -> None:
    scene = world()
    this = scene.session.id
    with pytest.raises(LocalProtocolError, match="not open here"):
        host.ask(channel.Start(this))
    party = host.party(PROTOCOL, scene.session, ENCLAVE, SystemRng())
    with pytest.raises(LocalProtocolError, match="opened before"):
        host.party(PROTOCOL, scene.session, ENCLAVE, SystemRng())
    party.start()
    with pytest.raises(LocalProtocolError, match="nothing was offered"):
        host.ask(channel.Proceed(this))
    for frame in (b"x", b"SAGG" + bytes(56), bytes(200)):
        with pytest.raises(LocalProtocolError):
            host.ask(channel.Offer(this, client(0), frame, ""))
    host._socket.sendall((5).to_bytes(8, "big") + b"\xff" * 5)
    with pytest.raises(EnclaveLost):
        host.ask(channel.Start(this))
    assert not host.alive


def test_a_party_whose_session_was_followed_by_another_is_told(host: EnclaveHost) -> None:
    former = host.party(PROTOCOL, world(seed=1).session, ENCLAVE, SystemRng())
    former.start()
    later = host.party(PROTOCOL, world(seed=2).session, ENCLAVE, SystemRng())
    with pytest.raises(LocalProtocolError, match="not open here"):
        former.handle(Deadline("collect"), ENCLAVE)
    with pytest.raises(LocalProtocolError, match="not open here"):
        former.start()
    assert later.start()
    (failure,) = later.handle(Deadline("collect"), ENCLAVE)
    assert isinstance(failure, Fail)
    assert "0 of 3" in failure.reason
    # Over here too: what comes now comes late, and nobody has to ask the process.
    host.close()
    assert later.when(Deadline("collect"), ENCLAVE) == "late"


def test_an_announced_length_beyond_the_cap_ends_it(host: EnclaveHost) -> None:
    host._socket.sendall(b"\xff" * 8)
    with pytest.raises(EnclaveLost):
        host.ask(channel.Start(bytes(32)))


def test_it_has_nothing_but_its_channel(host: EnclaveHost) -> None:
    try:
        assert os.listdir(f"/proc/{host.pid}/fd") == ["0"]
        assert Path(f"/proc/{host.pid}/environ").read_bytes() == b""
    except PermissionError:  # it is closed to its own user; then its own word below is all there is
        assert os.geteuid() != 0
    names = {guard.name: guard for guard in host.ready.safeguards}
    assert set(names) == {
        *("environment", "descriptors", "memory", "limits", "inspection", "network"),
    }
    for name in ("environment", "descriptors", "limits", "inspection"):
        assert names[name].held, str(names[name])
    status = Path(f"/proc/{host.pid}/status").read_text()
    assert ("Seccomp:\t2" in status) == names["network"].held
    locked = int(next(r for r in status.splitlines() if r.startswith("VmLck")).split()[1])
    assert (locked > 0) == names["memory"].held
    assert host.status[0] == "SIMULATED enclave"
    assert all(
        ("NO," in line) != guard.held
        for line, guard in zip(host.status[1:], host.ready.safeguards, strict=True)
    )


def copy_of_the_package(folder: Path) -> Path:
    """Without the compiled module, which an installed package has inside: there is one to load."""
    copy = folder / "secagg"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "_native*.so"))
    return copy


def flip_a_comment(path: Path) -> None:
    """One byte, in a comment or docstring where the module has one, so that it still runs."""
    data = bytearray(path.read_bytes())
    position = data.find(b'"""') + 3
    while not chr(data[position]).islower():
        position += 1
    data[position] ^= 0x20
    path.write_bytes(bytes(data))


def test_one_byte_of_any_loaded_module_changes_the_measurement(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    value = measure_installed().value
    assert measure(copy).value == value
    for path in reachable_modules(copy):
        original = (copy / path).read_bytes()
        if not original:
            continue
        flip_a_comment(copy / path)
        assert measure(copy).value != value, path
        (copy / path).write_bytes(original)
    assert measure(copy).value == value


@pytest.mark.parametrize("path", ["protocols/enclave.py", "kernels/__init__.py", "wire.py"])
def test_clients_refuse_an_enclave_with_one_byte_changed(tmp_path: Path, path: str) -> None:
    copy = copy_of_the_package(tmp_path)
    flip_a_comment(copy / path)
    with EnclaveHost.launch(copy, timeout=60) as host:
        assert host.ready.measurement != measure_installed().value
        outcome = run(world(), host)
    assert outcome.total is None
    for who in (client(0), client(1), client(2)):
        assert outcome.parties[who].sent == 0
    for culprit, error in outcome.accused:
        assert culprit == ENCLAVE
        assert isinstance(error, EvidenceRefused)
        assert error.why == Reason.WRONG_MEASUREMENT
    assert len(outcome.accused) == 3


def test_it_refuses_to_run_with_code_that_was_not_measured(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    child = copy / "enclave" / "rehearsal.py"
    hidden = "\n__import__('importlib').import_module('secagg.' + 'transcript')\n"
    child.write_text(child.read_text() + hidden)
    with pytest.raises(UnavailableError, match=r"not measured.*secagg\.transcript"):
        EnclaveHost.launch(copy, timeout=60)


def test_a_copy_that_does_not_start_is_reported(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    (copy / "enclave" / "child.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(UnavailableError, match="did not start"):
        EnclaveHost.launch(copy, timeout=60)
