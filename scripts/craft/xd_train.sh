#!/usr/bin/env bash
# Train on ImageNet (SOURCE=... changes that) for the other data sets: bash scripts/craft/xd_train.sh 1

set -euo pipefail
arguments='SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 1 ] || usage
phase cross_dataset train "$SOURCE" "$1" "${SHOTS:-16}" "${@:2}"
