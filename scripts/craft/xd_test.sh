#!/usr/bin/env bash
# Test on another data set what xd_train.sh learned: bash scripts/craft/xd_test.sh dtd 1

set -euo pipefail
arguments='DATASET SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 2 ] || usage
phase cross_dataset test "$1" "$2" "${SHOTS:-16}" "${@:3}"
