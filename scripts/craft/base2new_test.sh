#!/usr/bin/env bash
# Test on the new classes what base2new_train.sh learned: bash scripts/craft/base2new_test.sh caltech101 1

set -euo pipefail
arguments='DATASET SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 2 ] || usage
phase base2new test_new "$1" "$2" "${SHOTS:-16}" "${@:3}"
