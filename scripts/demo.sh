#!/usr/bin/env bash
# The demonstration: base-to-new on scikit-learn's handwritten digits with the embedded backbone, three trainers and
# three seeds, ending in a table. Needs nothing but this repository, and once it is set up no network; a second call
# finds everything done.
#
#   bash scripts/demo.sh [options of craft sweep]
#
# OUTPUT=folder changes where results go (output).

set -euo pipefail
case "${1:-}" in
-h | --help)
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh ""

output="${OUTPUT:-output}"
trainers="ZeroshotCLIP CoOp CoOpCraft"
echo "demo: digits 0-4 are learned from 16 images each, 5-9 are new; the backbone is a toy, for demonstration only"
export CRAFT_OFFLINE=1 # what follows reaches no other machine, and is refused if it tries
status=0
"$PYTHON" -m craft sweep run base2new --output "$output" --trainers $trainers --datasets digits --seeds 1 2 3 \
    --jobs "${CRAFT_JOBS:-2}" "$@" || status=$?
[ "$status" -le 1 ] || exit "$status"
echo
"$PYTHON" -m craft results table "$output" --protocol base2new || status=$?
exit "$status"
