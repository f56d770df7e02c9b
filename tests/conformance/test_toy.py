"""A protocol is one file and one name: a toy, so added, passes everything and shows everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import secagg
from secagg import kernels, protocols

HERE = Path(__file__).parent
TESTS = HERE.parent


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the toy's file and the toy's name in it, nothing else changed."""
    root = tmp_path_factory.mktemp("with_toy")
    source = Path(secagg.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, root / "secagg", ignore=ignore)
    import fl

    shutil.copytree(Path(fl.__file__).parent, root / "fl", ignore=ignore)
    if kernels.native_available():
        from secagg import _native

        module = Path(_native.__file__)
        shutil.copy(module, root / "secagg" / module.name)
    shutil.copy(HERE / "toy.py", root / "secagg" / "protocols" / "toy.py")
    names = root / "secagg" / "protocols" / "__init__.py"
    before = names.read_text()
    after = before.replace('"secagg_plus"', '"secagg_plus", "toy"')
    assert after != before
    names.write_text(after)
    return root


def python(tree: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copied tree; -S keeps an editable install from shadowing it."""
    packages = sysconfig.get_paths()["purelib"]
    environment = {**os.environ, **variables, "PYTHONPATH": f"{tree}{os.pathsep}{packages}"}
    return subprocess.run(  # noqa: S603
        [sys.executable, "-S", *arguments],
        env=environment,
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_toy_is_not_shipped() -> None:
    assert "toy" not in protocols.names()


def test_the_toy_passes_the_conformance_suite(tree: Path) -> None:
    suite = [
        *("-m", "pytest", "-v", "-p", "no:cacheprovider"),
        *("-c", str(TESTS.parent / "pyproject.toml"), "--rootdir", str(TESTS.parent)),
        *("--deselect", "tests/conformance/test_toy.py", str(HERE)),
    ]
    done = python(tree, *suite, SECAGG_CONFORMANCE="toy")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = [line for line in done.stdout.splitlines() if "PASSED" in line and "[toy" in line]
    assert len(passed) > 50
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_the_toy_shows_in_the_commands(tree: Path) -> None:
    listed = python(tree, "-m", "secagg.cli", "protocols", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    assert '"toy"' in listed.stdout
    compared = python(
        tree,
        *("-m", "secagg.cli", "compare", "--protocols", "plain,toy", "--clients", "5"),
        *("--rounds", "1", "--format", "json"),
    )
    assert compared.returncode == 0, compared.stderr
    assert '"toy"' in compared.stdout
