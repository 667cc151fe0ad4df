#!/usr/bin/env bash
# Make a virtual environment with everything the Makefile's targets need, from the hashed lock.
# Usage: ./install.sh .venv      PYTHON=python3.12 ./install.sh .venv picks an interpreter.
set -euo pipefail
venv=$1

is_usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if is_usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "mailfault needs Python 3.11 or later; set PYTHON=/path/to/python3" >&2
    exit 1
}

# Debian and Ubuntu split venv's ensurepip off the interpreter.
install_venv_module() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
    else
        echo "this Python cannot make virtual environments: apt-get install python3-venv" >&2
        exit 1
    fi
}

python=$(find_python)
"$python" -c 'import ensurepip' 2>/dev/null || install_venv_module
if [ ! -x "$venv/bin/python" ] || ! is_usable "$venv/bin/python"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --require-hashes --requirement requirements/dev.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-deps --no-build-isolation --editable .
