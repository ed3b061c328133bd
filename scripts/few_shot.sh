#!/usr/bin/env bash
# Few-shot: all classes from 1, 2, 4, 8 and 16 images each. Without datasets: the eleven benchmarks.

set -euo pipefail
protocol=few_shot
example='/data "PromptSRC PromptSRCCraft" "caltech101" "1 2 3" --shots "1 4 16"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
