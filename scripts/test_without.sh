#!/usr/bin/env bash
# Golden, backbone, trainer, loading, run and plain-path tests with each optimisation switched off, and with all off
# (craft/common/switches.py): every one is exact, so they hold without it. Takes a quarter of an hour. Arguments are
# the names to switch off; without any, each in turn and then all.
#
#   bash scripts/test_without.sh
#   bash scripts/test_without.sh packing all

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${PYTHON:-}" ] || source scripts/setup.sh test

if [ $# -eq 0 ]; then
    set -- $("$PYTHON" -c 'from craft.common.switches import OPTIMISATIONS; print(*OPTIMISATIONS, "all")')
fi
failed=()
for name in "$@"; do
    echo "== without $name"
    CRAFT_WITHOUT="$name" OMP_NUM_THREADS=1 "$PYTHON" -m pytest -q -n "${CRAFT_TEST_PROCESSES:-2}" tests/test_golden.py \
        tests/craft/clip tests/craft/runs tests/trainers tests/datasets/test_loading.py tests/lab/bench/test_plain_path.py ||
        failed+=("$name")
done
[ ${#failed[@]} -eq 0 ] || {
    echo "fails without: ${failed[*]}" >&2
    exit 1
}
echo "the numbers are the same without each of: $*"
