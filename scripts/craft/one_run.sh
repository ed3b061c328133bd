# Shared by the one-run scripts, which `source` it: where things are, and CoOp's way of changing them.
#
# Set by the environment: DATA (folder of the data sets), TRAINER, CFG (yaml of the trainer; empty: the embedded
# default's), BACKBONE, OUTPUT, PYTHON, SOURCE (data set that cross-dataset prompts are learned on).

[ -z "${DATA:-}" ] || DATA="$(cd "$DATA" && pwd)"
script="$(cd "$(dirname "$0")" && pwd)/$(basename "$0")"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
DATA="${DATA:-}" TRAINER="${TRAINER:-CoOpCraft}" OUTPUT="${OUTPUT:-output}" SOURCE="${SOURCE:-imagenet}"
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python
    [ -x .venv/bin/python ] && [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && PYTHON=.venv/bin/python
fi

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    echo "usage: [DATA=folder] [TRAINER=$TRAINER] [CFG=yaml] bash scripts/craft/$(basename "$0") $arguments [KEY VALUE ...]" >&2
    exit 2
}

# phase PROTOCOL PHASE DATASET SEED SHOTS [KEY VALUE ...]: the one run, as the sweep of the protocol would do it.
phase() {
    local protocol="$1" phase="$2" dataset="$3" seed="$4" shots="$5"
    shift 5
    local arguments=(--output "$OUTPUT" --trainers "$TRAINER" --datasets "$dataset" --seeds "$seed" --shots "$shots")
    arguments+=(--phases "$phase" --source "$SOURCE")
    [ -z "$DATA" ] || arguments+=(--root "$DATA")
    [ -z "${CFG:-}" ] || arguments+=(--config "$CFG")
    [ -z "${BACKBONE:-}" ] || arguments+=(--backbone "$BACKBONE")
    local command
    command="$("$PYTHON" -m craft sweep show "$protocol" "${arguments[@]}" "$@")"
    echo "$command"
    # `show` quotes for a shell; the word python stands for the interpreter chosen here.
    eval "\"\$PYTHON\" ${command#python }"
}
