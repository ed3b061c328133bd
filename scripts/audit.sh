#!/usr/bin/env bash
# Are vulnerabilities known of the packages that are installed here? Asks the Python Packaging Advisory Database through
# pip-audit, so it needs a network, and is no part of the tests. Status 1: some are known; 2: packages were not checked.
#
#   bash scripts/audit.sh [options of pip-audit]      e.g. --vulnerability-service osv

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${PYTHON:-}" ] || source scripts/setup.sh audit

found="$(mktemp)"
trap 'rm -f "$found"' EXIT
"$PYTHON" -m pip_audit --progress-spinner off --skip-editable --timeout 30 --format json --output "$found" "$@" || true
"$PYTHON" - "$found" <<'END'
import json, sys

text = open(sys.argv[1], encoding="utf-8").read()
if not text.strip():
    print("audit: NOTHING was checked: pip-audit could not reach the database, or is not installed", file=sys.stderr)
    sys.exit(2)
packages = json.loads(text)["dependencies"]
skipped = [one["name"] for one in packages if "skip_reason" in one]
bad = [(one, fault) for one in packages for fault in one.get("vulns", ())]
for one, fault in bad:
    fixed = ", ".join(fault.get("fix_versions", ())) or "no version yet"
    print(f"{one['name']} {one['version']}: {fault['id']}, mended in {fixed}")
checked = len(packages) - len(skipped)
print(f"audit: {checked} of {len(packages)} packages checked, {len(bad)} known vulnerabilities")
if bad:
    sys.exit(1)
if not checked:
    print("audit: NOTHING was checked: the database was not reached, or knows none of these packages", file=sys.stderr)
if skipped:
    print(f"audit: not checked: {', '.join(skipped)}", file=sys.stderr)
    own = {"dassl-craft", "craft"}
    sys.exit(2 if set(skipped) - own else 0)
END
