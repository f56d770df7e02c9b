"""The command line. Commands are imported when they run, so `secagg --help` needs none of them."""

from secagg.cli.app import main

__all__ = ["main"]
