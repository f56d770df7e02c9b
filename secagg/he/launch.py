"""The first file that a worker process runs, by path.

It builds the package's name without running the package's own __init__, which would load drivers
and protocols that a worker has no use for, and hands over to `secagg.he.worker`.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType


def main() -> None:
    """Arguments: the package's directory, the compiled module or "", where the libraries are."""
    package, native, *places = sys.argv[1:]
    stub = ModuleType("secagg")
    stub.__path__ = [package, *([os.path.dirname(native)] if native else [])]
    sys.modules["secagg"] = stub
    sys.path += places
    from secagg.he import worker

    worker.serve()


if __name__ == "__main__":
    main()
