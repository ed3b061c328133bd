#!/usr/bin/env bash
# Group robustness: worst-group accuracy on Waterbirds and CelebA.
# On the embedded digits: bash scripts/group_robustness.sh - "CoOp CoOpCraft" digits_groups

set -euo pipefail
protocol=group_robustness
example='/data "CoOp CoOpCraft" "waterbirds celeba"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
