#!/usr/bin/env bash
# Reads damaged files: runs every fuzz target from seeds that the program's own writers make, and stops at
# the first input that makes a reader panic, hang, take too much memory or break a promise.
#
#   tests/fuzz/run.sh [RUNS] [TARGET...]     (default 20000 runs of every target)
#
# Needs cargo-fuzz (`cargo install cargo-fuzz --locked`) and a C++ compiler; a stable toolchain does,
# because no sanitizer is used: all of the project's own code but a few modules is safe Rust. Variables:
#   DP_SIMS_FUZZ_CORPUS   folder that keeps what is found between runs (default: thrown away)
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-20000}
shift || true

host=$(rustc -vV | sed -n 's/^host: //p')
cargo fuzz build --fuzz-dir tests/fuzz --sanitizer none --target "$host"
programs=${CARGO_TARGET_DIR:-tests/fuzz/target}/$host/release
if [ $# = 0 ]; then
    mapfile -t targets < <(cargo fuzz list --fuzz-dir tests/fuzz)
    set -- "${targets[@]}"
fi

# Every run writes its input to a file: in memory where there is such a place.
scratch=$(mktemp -d -p "$(test -w /dev/shm && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$scratch"' EXIT
export DP_SIMS_FUZZ_SCRATCH=$scratch
corpora=${DP_SIMS_FUZZ_CORPUS:-$scratch/corpora}
artifacts=tests/fuzz/artifacts
mkdir -p "$artifacts"

printf '%-12s %9s %8s %8s %7s\n' target runs seconds runs/s cov
for target; do
    mkdir -p "$corpora/$target"
    log=$scratch/$target.log
    if ! DP_SIMS_FUZZ_SEEDS=$scratch/seeds/$target "$programs/$target" >"$log" 2>&1; then
        tail -40 "$log" >&2
        echo "$target failed to make its seeds" >&2
        exit 1
    fi
    begin=$(date +%s.%N)
    status=0
    "$programs/$target" -runs="$runs" -seed=1 -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$artifacts/$target-" \
        "$corpora/$target" "$scratch/seeds/$target" >"$log" 2>&1 || status=$?
    seconds=$(awk "BEGIN { print $(date +%s.%N) - $begin }")
    if [ "$status" != 0 ]; then
        tail -40 "$log" >&2
        # The last line that names a file is that of the input.
        echo "$target failed: $(grep -o "$artifacts/[^ ]*" "$log" | tail -1)" >&2
        exit 1
    fi
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
    awk -v target="$target" -v runs="$executed" -v seconds="$seconds" -v coverage="${coverage#cov: }" \
        'BEGIN { printf "%-12s %9d %8.1f %8.0f %7d\n", target, runs, seconds, runs / seconds, coverage }'
    rm -rf "$scratch/dp-sims-fuzz-"*
done
