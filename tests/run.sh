#!/usr/bin/env bash
# Runs the tests of the workspace, those of wgpu included where there is a driver (a software one does).
#
#   tests/run.sh [ARGUMENTS OF cargo test]
set -euo pipefail
cd "$(dirname "$0")/.."

features=(--features distributed)
if [ "$(uname)" = Darwin ] || compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null ||
    compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null; then
    echo "tests on wgpu: run"
    # Without autotune: a software driver would spend its time on kernels to choose from.
    features=(--no-default-features --features flex,model,wgpu,distributed,serve)
else
    echo "tests on wgpu: SKIPPED, no Vulkan driver (on Debian: mesa-vulkan-drivers)"
fi
exec cargo test --workspace "${features[@]}" "$@"
