#!/usr/bin/env bash
# Set up, lint, check types, test, and build the documentation. Further arguments go to pytest; slow tests have their own command:
#
#   bash scripts/test.sh
#   bash scripts/test.sh -m slow

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh test,docs,app,onnx,openclip

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
bash scripts/types.sh
# One thread a process: the tests are many small computations, and run side by side.
OMP_NUM_THREADS=1 "$PYTHON" -m pytest -n "${CRAFT_TEST_PROCESSES:-2}" "$@"
