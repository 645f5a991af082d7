#!/bin/sh
# All tests. Those of whole stacks mostly wait, so they run beside the others; what they say comes at the end.
set -u
cd "$(dirname "$0")/.."

said=$(mktemp)
trap 'rm -f "$said"' EXIT
.venv/bin/pytest tests/integration -o cache_dir=.pytest_cache/integration >"$said" 2>&1 &
stacks=$!
trap 'kill -INT $stacks 2>/dev/null' INT TERM
.venv/bin/pytest tests --ignore=tests/integration
units_failed=$?
wait $stacks
stacks_failed=$?
cat "$said"
[ $units_failed -eq 0 ] && [ $stacks_failed -eq 0 ]
