#!/usr/bin/env bash
# Domain generalisation: train on ImageNet, test on V2, Sketch, A and R; shares its training with cross_dataset.sh.

set -euo pipefail
protocol=domain_generalization
example='/data "MaPLe MaPLeCraft"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
