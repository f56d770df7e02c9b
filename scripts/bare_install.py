"""Run by CI in an environment with the wheel and no extras: it works, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import secagg
from secagg import kernels
from secagg.errors import UnavailableError

EXTRAS = {"bfv": "he", "ckks": "he"}


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"not as expected: {what}")


def missing(name: str) -> None:
    """A protocol whose extra is absent says which."""
    try:
        secagg.protocols.get(name)
    except UnavailableError as error:
        expect(f"secagg[{EXTRAS[name]}]" in str(error), str(error))
    else:
        raise SystemExit(f"expected {name} to be unavailable here")


def main() -> None:
    expect("site-packages" in secagg.__file__, secagg.__file__)
    expect(kernels.native_available(), "the native core")
    rng = secagg.seeded(1)
    clients = tuple(secagg.client(number) for number in range(5))
    for name in secagg.protocols.names():
        if name in EXTRAS:
            missing(name)
            continue
        protocol = secagg.protocols.get(name)
        plan = protocol.plan(secagg.Task(clients=clients, length=4, bound=10))
        ones = {party: np.ones(4, dtype=plan.ring.dtype) for party in clients}
        outcome = secagg.run(protocol, secagg.Session.fresh(plan, rng), ones, rng)
        expect(outcome.sum().tolist() == [5] * 4, name)
    try:
        import fl.rounds  # noqa: F401
    except UnavailableError as error:
        expect("secagg[fl]" in str(error), str(error))
    else:
        raise SystemExit("expected torch to be absent here")
    script = Path(sys.executable).parent / "secagg"
    done = subprocess.run([script, "compare"], capture_output=True, text=True, check=False)
    expect(done.returncode == 3 and "secagg[fl]" in done.stderr, done.stderr)
    small = ("simulate", "--clients", "5", "--length", "4", "--workers", "2")
    audit = ("audit", "-q", "--protocol", "secagg", "--level", "malicious")
    for words in (("protocols",), ("doctor",), small, audit):
        subprocess.run([script, *words], check=True, stdout=subprocess.DEVNULL)
    print("the bare wheel works and names the extra that it lacks")


if __name__ == "__main__":
    main()
