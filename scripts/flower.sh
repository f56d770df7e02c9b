#!/usr/bin/env bash
# Make a virtual environment with the package (editable) and Flower, to test and run the adapter.
# Apart from the main one, because Flower pins what the main one leaves open.
# torch first and pinned, as in setup.sh: anything else that wants it would choose the build.
set -euo pipefail
venv=$1
"${PYTHON:-python3.11}" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" --upgrade "pip>=25.1"
"${pip[@]}" "torch==2.13.0"
CMAKE_INSTALL_ALWAYS=1 "${pip[@]}" --editable ".[fl,flower,he]" --group flower
