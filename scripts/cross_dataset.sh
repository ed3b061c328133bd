#!/usr/bin/env bash
# Cross-dataset: train on ImageNet (--source changes that), test on ten other data sets.

set -euo pipefail
protocol=cross_dataset
example='/data "MaPLe MaPLeCraft"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
