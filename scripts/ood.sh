#!/usr/bin/env bash
# Out of distribution: labelled ImageNet, unlabelled images of V2, Sketch, A or R, test on that one.
# On the embedded digits: bash scripts/ood.sh - "CoOp CoOpCraftOOD" digits_shift

set -euo pipefail
protocol=ood
example='/data "MaPLe MaPLeCraftOOD" "imagenet_ood:v2 imagenet_ood:r"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
