#!/usr/bin/env bash
# Looks for undefined behaviour in the modules that have unsafe code; `bash tests/unsafe.sh`. Miri takes half a
# minute, valgrind long for the convolutions: UNSAFE_TESTS=attention, say, runs a part.
#
# 1. Miri interprets backends/cpu/src/blank.rs, the memory that is written before it is read, on which all
#    of `backends/cpu` stands. Needs `rustup component add miri rust-src --toolchain nightly`.
# 2. Valgrind runs the tests of `backends/cpu` as they are compiled, with the processor's vectors and
#    threads, and looks for reads and writes outside of allocated memory. What is unwritten holds NaN in
#    tests, which they find themselves. Needs `valgrind`.
#
# What is missing is said and left out; with neither the script fails.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
ran=0

if cargo +nightly miri --version > "$place/version" 2>&1; then
    mkdir "$place/src"
    cat > "$place/Cargo.toml" <<END
[package]
name = "blank"
version = "0.0.0"
edition = "2024"
[workspace]
END
    cat > "$place/src/lib.rs" <<END
#![allow(dead_code)]
#[path = "$repository/backends/cpu/src/blank.rs"]
mod blank;
END
    echo "== Miri $(cat "$place/version"): backends/cpu/src/blank.rs"
    for flags in "" "-Zmiri-tree-borrows" "-Zmiri-many-seeds=0..8"; do
        (cd "$place" && MIRIFLAGS="$flags" cargo +nightly miri test --quiet)
    done
    ran=1
else
    echo "left out: Miri is not installed"
fi

if command -v valgrind > /dev/null; then
    echo "== valgrind: tests of backends/cpu"
    # The same command as for all tests: another one would compile burn again.
    binary=$(cargo test --workspace --lib --no-run --message-format json 2> /dev/null |
        grep '"name":"dp_sims_cpu"' | grep -o '"executable":"[^"]*"' | cut -d '"' -f 4 | tail -1)
    RAYON_NUM_THREADS=2 valgrind --quiet --error-exitcode=3 --undef-value-errors=no \
        "$binary" --test-threads 1 ${UNSAFE_TESTS:-}
    ran=1
else
    echo "left out: valgrind is not installed"
fi

if [ "$ran" = 0 ]; then
    echo "nothing could be run" >&2
    exit 1
fi
