#!/usr/bin/env bash
# Train on the base classes and test on them: bash scripts/craft/base2new_train.sh caltech101 1

set -euo pipefail
arguments='DATASET SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 2 ] || usage
phase base2new train_base "$1" "$2" "${SHOTS:-16}" "${@:3}"
