"""The first file that an enclave's process runs, by path, under the measured interpreter flags.

It builds the package's name without running the package's own __init__, which would load drivers
that an enclave has no use for, and hands over to `secagg.enclave.child`.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType


def main() -> None:
    """Arguments: the package's directory, the compiled module or "", where the libraries are."""
    for descriptor in (1, 2):
        os.close(descriptor)
    package, native, *places = sys.argv[1:]
    stub = ModuleType("secagg")
    stub.__path__ = [package, *([os.path.dirname(native)] if native else [])]
    sys.modules["secagg"] = stub
    sys.path += places
    from secagg.enclave import child

    child.serve(package, native, places)


if __name__ == "__main__":
    main()
