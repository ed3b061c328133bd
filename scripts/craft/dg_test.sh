#!/usr/bin/env bash
# Test on a variant of ImageNet what xd_train.sh learned: bash scripts/craft/dg_test.sh imagenet_a 1

set -euo pipefail
arguments='DATASET SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 2 ] || usage
phase domain_generalization test "$1" "$2" "${SHOTS:-16}" "${@:3}"
