#!/usr/bin/env bash
# Check types (mypy) over craft/ and the folders that are parts of it. Further arguments go to mypy.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/layout.sh
status=0
MYPYPATH="$CRAFT_LAYOUT" "${PYTHON:-python}" -m mypy --config-file pyproject.toml --cache-dir .mypy_cache "$@" |
    sed -E 's#^(.*/)?\.layout/craft/##' || status=$?
exit "$status"
