#!/usr/bin/env bash
# Base-to-new: train on half of the classes, test on both halves, harmonic mean. Without datasets: the eleven benchmarks.

set -euo pipefail
protocol=base2new
example='/data "CoOp CoOpCraft" "caltech101 dtd" "1 2 3"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
