"""Driving parties: `run` puts all of a session's parties into this process."""

from secagg.runner.faults import Faults, InOrder, Schedule
from secagg.runner.isolation import EnclaveHost
from secagg.runner.outcome import Outcome, PartyReport
from secagg.runner.simulation import run

__all__ = ["EnclaveHost", "Faults", "InOrder", "Outcome", "PartyReport", "Schedule", "run"]
