#!/usr/bin/env bash
# Make a virtual environment with the package (editable), its extras and the development tools.
# torch first and pinned: anything else that wants torch would otherwise choose the build.
set -euo pipefail
venv=$1
"${PYTHON:-python3.11}" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" --upgrade "pip>=25.1"
"${pip[@]}" "torch==2.13.0"
# A file rebuilt within a second of its predecessor would otherwise be taken for the same.
CMAKE_INSTALL_ALWAYS=1 "${pip[@]}" --editable ".[fl]" --group dev
