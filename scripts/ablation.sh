#!/usr/bin/env bash
# Ablation: host, + static, + stochastic, + both, + MMD, + all, as differences to the host. Trainers are hosts.

set -euo pipefail
protocol=ablation
example='- "CoOp MaPLe" digits_shift "1 2 3"'
source "$(dirname "${BASH_SOURCE[0]}")/protocol.sh"
run_protocol "$@"
