"""Examining the engine from outside: attacks, with what their adversary has and nothing else."""
