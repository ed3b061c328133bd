# Shared by the scripts of the protocols, which `source` it after setting `protocol` (craft sweep list) and
# `example`. Takes DATA "trainers" "datasets" "seeds" and whatever follows, runs the sweep, and prints its table.

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    echo "usage: bash $0 DATA \"trainers\" [\"datasets\"] [\"seeds\"] [options of craft sweep] [KEY VALUE ...]" >&2
    echo "  e.g. bash $0 $example" >&2
    echo "  DATA: folder of the data sets, or - for those made on this machine (digits, digits_shift, digits_groups)" >&2
    echo "  OUTPUT=folder changes where results go (output), PYTHON the interpreter" >&2
    exit 2
}

run_protocol() {
    [ $# -ge 2 ] || usage
    case "$1" in -h | --help) usage ;; esac
    local data="$1" trainers="$2" datasets="${3:-}" seeds="${4:-1 2 3}"
    shift $(($# < 4 ? $# : 4))
    [ "$data" = "-" ] || [ -d "$data" ] || { echo "$0: no such folder: $data" >&2; usage; }
    [ "$data" = "-" ] || data="$(cd "$data" && pwd)"
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    if [ -z "${PYTHON:-}" ]; then
        PYTHON=python
        [ -x .venv/bin/python ] && [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && PYTHON=.venv/bin/python
    fi
    local arguments=(--output "${OUTPUT:-output}" --trainers "$trainers" --seeds "$seeds")
    [ "$data" = "-" ] || arguments+=(--root "$data")
    [ -z "$datasets" ] || arguments+=(--datasets "$datasets")
    local status=0
    "$PYTHON" -m craft sweep run "$protocol" "${arguments[@]}" "$@" || status=$?
    [ "$status" -le 1 ] || exit "$status"
    "$PYTHON" -m craft results table "${OUTPUT:-output}" --protocol "$protocol" || status=$?
    exit "$status"
}
