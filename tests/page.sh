#!/usr/bin/env bash
# Checks the page of `dp-sims serve`: types, format, logic, and the page in a browser, against a mock server and
# against the program.
#
#   tests/page.sh PROGRAM
#
# Needs Node 20.19 with npm, and Chromium for the browser.
set -euo pipefail
program=$(realpath "${1:-target/release/dp-sims}")
cd "$(dirname "$0")/../src/serve/page"

if ! command -v npm >/dev/null; then
    echo "the page of the server: SKIPPED, needs npm"
    exit 0
fi
npm ci --no-audit --no-fund --loglevel=error
npm run check
npm test
if [ ! -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
    echo "the page in a browser: SKIPPED, needs Chromium"
    exit 0
fi
npm run e2e

output=$(mktemp)
"$program" serve --bind 127.0.0.1:0 >"$output" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$output"' EXIT
for _ in $(seq 100); do
    grep -q 'http://' "$output" && break
    sleep 0.1
done
DP_SIMS_PAGE_URL=$(grep -om1 'http://[0-9.:]*' "$output")/ npm run e2e
