#!/usr/bin/env bash
# Are there known vulnerabilities in the packages that are installed here? Asks the database of the Python Packaging
# Advisory, so it needs a network, and is no part of the tests. Status 1: some are known; 2: the database was not reached.
#
#   bash scripts/audit.sh [options of pip-audit]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${PYTHON:-}" ] || source scripts/setup.sh

"$PYTHON" -m pip_audit --version >/dev/null 2>&1 || {
    echo "audit: installing pip-audit into this environment"
    "$PYTHON" -m pip install --disable-pip-version-check --quiet "pip-audit>=2.7" || {
        echo "audit: pip-audit is not installed and could not be fetched: nothing was checked" >&2
        exit 2
    }
}
report="$(mktemp)"
trap 'rm -f "$report"' EXIT
status=0
"$PYTHON" -m pip_audit --progress-spinner off --skip-editable --timeout 30 "$@" >"$report" 2>&1 || status=$?
cat "$report"
if [ "$status" -ne 0 ] && ! grep -q "known vulnerabilit" "$report"; then
    echo "audit: the database of advisories could not be reached: nothing was checked" >&2
    exit 2
fi
exit "$status"
