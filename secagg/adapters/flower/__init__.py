"""Secure aggregation for Flower's Message API: a grid for the server, a mod for the clients.

    strategy.start(grid=SecureGrid(grid), initial_arrays=arrays)    # server
    app = ClientApp(mods=[secagg_mod()])                            # client

Any strategy that averages works unchanged: docs/flower.md.
"""

from secagg.errors import UnavailableError

try:
    import flwr  # noqa: F401
except ImportError:
    raise UnavailableError(
        "secagg.adapters.flower needs Flower, which is not installed: pip install 'secagg[flower]'"
    ) from None

from secagg.adapters.flower.decryptor import (
    DecryptorLink,
    RemoteDecryptor,
    SimulatedDecryptor,
    serve_decryptor,
)
from secagg.adapters.flower.exchange import Exchange
from secagg.adapters.flower.grid import SecureGrid
from secagg.adapters.flower.mod import SecaggMod, secagg_mod
from secagg.adapters.flower.settings import Settings

__all__ = [
    "DecryptorLink",
    "Exchange",
    "RemoteDecryptor",
    "SecaggMod",
    "SecureGrid",
    "Settings",
    "SimulatedDecryptor",
    "secagg_mod",
    "serve_decryptor",
]
