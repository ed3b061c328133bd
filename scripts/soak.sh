#!/usr/bin/env bash
# What the project is put through at length: kills, damaged files, full disks, many processes, malformed command lines,
# fuzzed files. Ends with a table of outcomes, and with status 1 where one of them was wrong (docs/reliability.md).
#
#   bash scripts/soak.sh --short           a few of everything, in a minute or so
#   bash scripts/soak.sh                   all of it: hours; its counts go to docs/soak.json and into the page
#   bash scripts/soak.sh --only kills      python -m tests.soak --help says more

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${PYTHON:-}" ] || source scripts/setup.sh test

[ $# -eq 0 ] || exec "$PYTHON" -m tests.soak "$@"
status=0
"$PYTHON" -m tests.soak --json docs/soak.json || status=$?
"$PYTHON" -m tests.soak.report docs/soak.json --write
exit "$status"
