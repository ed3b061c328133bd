#!/usr/bin/env bash
# Check types (mypy) over craft/ and the folders that are parts of it. Type checkers do not follow a package's path, so the
# rooms are laid out by links as pip would install them. Further arguments go to mypy.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
layout="$(mktemp -d)"
trap 'rm -rf "$layout"' EXIT
mkdir "$layout/craft"
for path in "$PWD"/craft/* "$PWD"/anchors "$PWD"/bundled "$PWD"/datasets "$PWD"/lab "$PWD"/trainers; do
    ln -s "$path" "$layout/craft/"
done
status=0
MYPYPATH="$layout" "${PYTHON:-python}" -m mypy --config-file pyproject.toml --cache-dir .mypy_cache "$@" |
    sed "s#.*$(basename "$layout")/craft/##" || status=$?
exit "$status"
