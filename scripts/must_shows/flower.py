"""Milestone 5: embedding, and the backend for Flower."""

from __future__ import annotations

from must_shows.step import BIN, ROOT, Step

ENVIRONMENT = ".venv-flower-app"
PYTHON = str(ROOT / ENVIRONMENT / "bin" / "python")
CHECKS = (PYTHON, "scripts/flower_checks.py", ENVIRONMENT)


def transports(step: Step) -> None:
    """The README's loops, over asyncio and over pipes between processes."""
    step.run(
        str(BIN / "pytest"),
        "-q",
        "tests/e2e/test_endpoint_asyncio.py",
        "tests/e2e/test_endpoint_pipes.py",
    )


def quickstart(step: Step) -> None:
    """FedAvg with ten clients on real data, plain and secured, and one lost at each phase."""
    step.run("make", "flower-setup")
    text = step.run(PYTHON, "examples/flower_quickstart/run.py", capture=True)
    print(text)
    step.expect(text.rstrip().endswith("as expected"), "another end")
    step.facts["quickstart"] = [line.strip() for line in text.splitlines() if line.strip()]


def side_by_side(step: Step) -> None:
    """Next to Flower's own SecAgg+: its failures, absent here; seconds and bytes of one app."""
    step.run(*CHECKS, "-q", "-k", "rival or beside or table")
    step.run(str(BIN / "python"), "benchmarks/flower_adapter.py", "--dropout", "0.1")
    step.run(
        *(str(BIN / "python"), "benchmarks/flower_adapter.py", "--neighbours", "complete"),
        *("--clients", "20", "--length", "100000", "--dropout", "0.1"),
    )


def strategies(step: Step) -> None:
    """FedAvg, FedProx, FedAdam and others, unchanged, give what they give without."""
    step.run(*CHECKS, "-q", "-k", "test_strategies or test_run_simulation or test_flwr_run")
