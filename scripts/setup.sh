#!/usr/bin/env bash
# Make the Python environment that every other script uses, and say what is done. Fast when it is already there.
#
#   source scripts/setup.sh [test,docs]    from another script: leaves $PYTHON set
#   bash scripts/setup.sh [test,docs]      by hand; test and docs are what the tests and the documentation need
#
# An active virtual environment (or conda environment) is used as it is; otherwise .venv is made in the repository.
# Needs Python >= 3.10 and pip. CRAFT_PYTHON chooses the interpreter that makes the environment.

set -euo pipefail
CRAFT_HOME="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

if [ -n "${VIRTUAL_ENV:-}" ]; then
    environment="$VIRTUAL_ENV"
elif [ -n "${CONDA_PREFIX:-}" ]; then
    environment="$CONDA_PREFIX"
else
    environment="$CRAFT_HOME/.venv"
    if [ ! -x "$environment/bin/python" ]; then
        base="${CRAFT_PYTHON:-python3}"
        "$base" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
            echo "setup: $base is older than Python 3.10; set CRAFT_PYTHON to a newer one" >&2
            exit 1
        }
        echo "setup: making a virtual environment in .venv"
        "$base" -m venv "$environment"
    fi
fi
PYTHON="$environment/bin/python"
[ -x "$PYTHON" ] || PYTHON="$(command -v python3)"
export PYTHON

# The project itself is installed too (editable), so that the command `craft` is there. A stamp, one for each choice of
# extras, holds what was asked for; it is written only after pip succeeded. With extras there is all that is needed without.
extras="${1:-}"
stamp="$environment/.craft-installed${extras:+-$extras}"
wanted="$(cat "$CRAFT_HOME/requirements.txt" "$CRAFT_HOME/pyproject.toml")"
ready=""
for known in "$stamp" ${extras:-"$environment"/.craft-installed*}; do
    [ -f "$known" ] && [ "$wanted" = "$(cat "$known")" ] && ready=1
done
if [ -z "$ready" ]; then
    echo "setup: installing Craft and what it needs into $environment (the first time this fetches PyTorch: some minutes)"
    "$PYTHON" -m pip install --disable-pip-version-check --quiet --editable "$CRAFT_HOME${extras:+[$extras]}"
    printf '%s\n' "$wanted" >"$stamp"
else
    echo "setup: environment $environment is ready"
fi
