#!/usr/bin/env bash
# Train and test with few images of all classes: bash scripts/craft/few_shot.sh caltech101 4 1

set -euo pipefail
arguments='DATASET SHOTS SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 3 ] || usage
phase few_shot few_shot "$1" "$3" "$2" "${@:4}"
