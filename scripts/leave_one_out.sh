#!/usr/bin/env bash
# Leave one domain out: train on all domains of a data set but one, test on that one; each in turn.
# On the embedded digits: bash scripts/leave_one_out.sh - "CoOp CoOpCraft" digits_shift

set -euo pipefail
protocol=leave_one_out
example='/data "CoOp CoOpCraft CoOpCraftOOD" "pacs office_home"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
