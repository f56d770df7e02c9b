"""What NVIDIA FLARE's homomorphic encryption puts on the wire, measured by its own classes.

    python benchmarks/rivals/nvflare_he.py

Makes a virtual environment of its own (.venv-nvflare; nvflare pins packages that ours does not) and
runs itself there: `HEBuilder` makes the context with its defaults, `HEModelEncryptor` encrypts, and
the message is what its serializer `fobs` makes of it. One flat vector of a million values, and a
model of 81 tensors (27 convolutions of 3 x 3, each with two batch norm vectors). Writes
results/rival-nvflare-he.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("nvflare==2.9.0", "tenseal==0.3.18")


def shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """The models, as tensor names and shapes."""
    layers: dict[str, tuple[int, ...]] = {}
    for stage, width in enumerate((20, 40, 80)):
        for layer in range(9):
            name = f"stage{stage}.{layer}"
            layers[f"{name}.conv"] = (width, width, 3, 3)
            layers[f"{name}.norm.weight"] = layers[f"{name}.norm.bias"] = (width,)
    assert len(layers) == 81
    return {"flat": {"flat": (1_000_000,)}, "81 tensors": layers}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", action="store_true", help="measure, in an nvflare environment")
    if parser.parse_args().inside:
        print(json.dumps([_measured(name, model) for name, model in shapes().items()]))
        return 0
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import record
    from rivals.environment import python_with

    inside = [python_with("nvflare", PACKAGES), __file__, "--inside"]
    done = subprocess.run(inside, check=True, capture_output=True, text=True)  # noqa: S603
    rows = json.loads(done.stdout.splitlines()[-1])
    for row in rows:
        print(
            f"{row['model']}: {row['tensors']} tensors, {row['values']} values,"
            f" {row['bytes']} bytes, {row['ratio']:.1f} x float32, {row['seconds']} s;"
            f" context {row['context_bytes']} bytes, with a secret key: {row['secret_inside']}"
        )
    path = record.write("rival-nvflare-he", {"packages": PACKAGES, "rows": rows}, ())
    print(path.relative_to(ROOT))
    return 0


def _measured(name: str, model: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    import logging
    from importlib import import_module

    import numpy as np

    logging.disable(logging.CRITICAL)
    tenseal = import_module("tenseal")
    dxo_module = import_module("nvflare.apis.dxo")
    context_class = import_module("nvflare.apis.fl_context").FLContext
    fobs = import_module("nvflare.fuel.utils.fobs")
    encryptor_class = import_module("nvflare.app_opt.he.model_encryptor").HEModelEncryptor
    builder = import_module("nvflare.lighter.impl.he").HEBuilder()
    builder.initialize(None, None)
    serialized = builder.get_serialized_context(is_client=True)

    encryptor = encryptor_class(weigh_by_local_iter=False)
    encryptor.tenseal_context = tenseal.context_from(serialized)
    encryptor.encrypt_layers = [True]  # what its handler of START_RUN sets for "all layers"
    fl_context = context_class()
    fl_context.set_peer_context(context_class())
    generator = np.random.default_rng(1)
    data = {key: generator.standard_normal(shape, np.float32) for key, shape in model.items()}
    values = sum(array.size for array in data.values())
    dxo = dxo_module.DXO(dxo_module.DataKind.WEIGHT_DIFF, data=data)
    began = time.monotonic()
    message = fobs.dumps(encryptor.process_dxo(dxo, None, fl_context).to_shareable())
    return {
        "model": name,
        "tensors": len(model),
        "values": values,
        "bytes": len(message),
        "ratio": len(message) / (4 * values),
        "context_bytes": len(serialized),
        "secret_inside": encryptor.tenseal_context.is_private(),
        "seconds": round(time.monotonic() - began, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
