#!/usr/bin/env bash
# The service with its core compiled, in a folder of its own: compile.sh PYTHON FOLDER
# Without a C compiler, or where it fails, the folder holds the sources: slower, and otherwise the same.
set -euo pipefail
python=$1 folder=$2
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
rm -rf "$folder"

build() { "$python" -m hatchling build --target wheel --directory "$wheels" >"$wheels/log" 2>&1; }

if ! command -v "${CC:-cc}" >/dev/null; then
    echo "no C compiler here (apt-get install gcc python3-dev): the core stays Python" >&2
    build
elif ! MAILFAULT_COMPILE=1 build; then
    tail -n 20 "$wheels/log" >&2
    echo "the core does not compile here: it stays Python" >&2
    build
fi
"$python" -m pip --disable-pip-version-check install --quiet --no-index --no-deps \
    --target "$folder" "$wheels"/*.whl
