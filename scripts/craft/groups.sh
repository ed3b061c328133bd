#!/usr/bin/env bash
# Worst-group accuracy: bash scripts/craft/groups.sh waterbirds 1

set -euo pipefail
arguments='DATASET SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 2 ] || usage
phase group_robustness group_robustness "$1" "$2" "${SHOTS:-16}" "${@:3}"
