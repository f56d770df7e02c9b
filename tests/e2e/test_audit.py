"""`secagg audit` as people and their tools use it: exit codes, files, and the page in a browser."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from html import escape
from pathlib import Path

import pytest

BROWSER = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
DESKTOP, PHONE = (1280, 900), (390, 844)


def secagg(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "secagg.cli", *words],
        text=True,
        check=False,
        capture_output=True,
        timeout=300,
    )


def test_level_malicious_ends_with_0(tmp_path: Path) -> None:
    xml = tmp_path / "out.xml"
    words = ("--protocol", "secagg", "--level", "malicious", "--junit", str(xml))
    done = secagg("audit", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    suite = ElementTree.parse(xml).getroot()[0]  # noqa: S314 - our own
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert int(suite.get("tests", "0")) > 30


def test_level_curious_shows_what_is_outside_and_a_gate_ends_with_1() -> None:
    done = secagg("audit", "-q", "--protocol", "secagg", "--level", "curious", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["audit"]["summary"]["beyond"]
    gate = secagg("audit", "-q", "--protocol", "secagg", "--policy", "malicious", "--hits")
    assert gate.returncode == 1
    assert "findings: claims.adversary" in gate.stdout


@pytest.mark.parametrize("name", ["bfv", "ckks", "enclave"])
def test_the_others_keep_their_own_guarantees(name: str) -> None:
    assert secagg("audit", "-q", "--protocol", name).returncode == 0


def shown(page: str, size: tuple[int, int], folder: Path) -> tuple[int, int, int]:
    """Widths of the content and of the window, and how many results can be opened.

    The page is put into a frame of this size: a headless browser's own window has a least width.
    """
    inside = page.replace('http-equiv="Content-Security-Policy"', 'name="was-the-policy"')
    width, height = size
    outside = folder / "frame.html"
    outside.write_text(
        f'<!DOCTYPE html><title>none</title><iframe width="{width}" height="{height}"'
        f' style="border:0" srcdoc="{escape(inside)}"></iframe><script>'
        'const frame = document.querySelector("iframe");'
        "frame.onload = () => { const inner = frame.contentDocument;"
        "document.title = [inner.documentElement.scrollWidth, frame.contentWindow.innerWidth,"
        'inner.querySelectorAll("details").length].join(" "); };</script>'
    )
    address = outside.as_uri()
    command = [*BROWSER, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000"]
    done = subprocess.run(  # noqa: S603
        [*command, "--dump-dom", address], text=True, check=True, capture_output=True, timeout=120
    )
    found = re.search(r"<title>(\d+) (\d+) (\d+)</title>", done.stdout)
    assert found is not None, done.stdout[:200] + done.stderr[-500:]
    content, window, results = map(int, found.groups())
    return content, window, results


def test_the_page_renders_at_desktop_and_phone_width(tmp_path: Path) -> None:
    path = tmp_path / "audit.html"
    done = secagg(
        "audit", "-q", "--protocol", "secagg", "--policy", "malicious", "--html", str(path)
    )
    assert done.returncode == 1
    page = path.read_text()
    for size in (DESKTOP, PHONE):
        content, window, results = shown(page, size, tmp_path)
        assert window == size[0]
        assert content <= window
        assert results == page.count("<details>") > 30
    too_wide = page.replace("<main>", '<main><div style="width:2000px">x</div>')
    content, window, _ = shown(too_wide, PHONE, tmp_path)
    assert content > window


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_is_painted(tmp_path: Path, size: tuple[int, int]) -> None:
    path, picture = tmp_path / "audit.html", tmp_path / "audit.png"
    words = ("--protocol", "plain", "--check", "vectors", "--html", str(path))
    assert secagg("audit", "-q", *words).returncode == 0
    width, height = max(size[0], 500), size[1]
    command = [*BROWSER, f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}"]
    subprocess.run(  # noqa: S603
        [*command, f"--window-size={width},{height}", path.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (width, height)
    pixels, place = b"", 8
    while place < len(data):
        size_, kind = struct.unpack(">I4s", data[place : place + 8])
        if kind == b"IDAT":
            pixels += data[place + 8 : place + 8 + size_]
        place += 12 + size_
    # A page on which nothing was painted has a handful of different bytes.
    assert len(set(zlib.decompress(pixels))) > 30


def test_an_adapter_that_hangs_is_undecided() -> None:
    words = ("--adapter", "unit.audit.misbehaving:Hangs", "--timeout", "3", "--check", "exactness")
    folder = str(Path(__file__).parents[1])
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "secagg.cli", "audit", "-q", *words],
        text=True,
        check=False,
        capture_output=True,
        timeout=120,
        env={"PYTHONPATH": folder},
    )
    assert done.returncode == 3, done.stderr
    assert "within 3 seconds" in done.stdout


def test_constant_time_of_the_checkout() -> None:
    source = str(Path(__file__).parents[2])
    words = ("--protocol", "plain", "--check", "native", "--source", source, "--format", "json")
    done = secagg("audit", "-q", *words)
    found = {one["id"]: one for one in json.loads(done.stdout)["audit"]["results"]}
    assert found["native.provenance"]["verdict"] == "pass"
    # Without its tools it is inconclusive, on a developer's machine; CI has them.
    tools = all(map(shutil.which, ("cmake", "cc", "valgrind")))
    expected = ("pass", 0) if tools else ("inconclusive", 3)
    assert (found["native.constant-time"]["verdict"], done.returncode) == expected, found
