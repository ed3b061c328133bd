#!/usr/bin/env bash
# Labelled source, unlabelled target: TRAINER=MaPLeCraftOOD bash scripts/craft/ood.sh imagenet_ood:r 1

set -euo pipefail
arguments='DATASET[:TARGET] SEED'
source "$(dirname "${BASH_SOURCE[0]}")/one_run.sh"
[ $# -ge 2 ] || usage
phase ood ood "$1" "$2" "${SHOTS:-16}" "${@:3}"
