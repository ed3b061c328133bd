#!/usr/bin/env bash
# Make the Python environment that every other script uses, and say what is done. Fast when it is already there.
#
#   source scripts/setup.sh      from another script: leaves $PYTHON set
#   bash scripts/setup.sh        by hand
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

# The stamp holds the requirements that were installed last; it is written only after pip succeeded.
stamp="$environment/.craft-requirements"
if ! cmp -s "$CRAFT_HOME/requirements.txt" "$stamp"; then
    echo "setup: installing requirements.txt into $environment (the first time this fetches PyTorch: some minutes)"
    "$PYTHON" -m pip install --disable-pip-version-check --quiet -r "$CRAFT_HOME/requirements.txt"
    cp "$CRAFT_HOME/requirements.txt" "$stamp"
else
    echo "setup: environment $environment is ready"
fi
