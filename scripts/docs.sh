#!/usr/bin/env bash
# Build the documentation as a site in site/. Further arguments go to mkdocs.
#
#   bash scripts/docs.sh                   build; a dead link, or a page that no menu names, is an error
#   bash scripts/docs.sh serve             show it on this machine, and again whenever a page is saved

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${PYTHON:-}" ] || source scripts/setup.sh test,docs
source scripts/layout.sh
[ $# -gt 0 ] || set -- build --quiet
action="$1"
shift
NO_MKDOCS_2_WARNING=1 "$PYTHON" -m mkdocs "$action" --strict "$@"
