#!/usr/bin/env bash
# Trains a tiny model for many steps with a checkpoint every ten, and sees that memory and files do not
# grow, that the log is whole and that everything stays finite.
#
#   BIN=target/release/dp-sims tests/soak.sh [STEPS]      (default 1000, a few minutes; needs python3)
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tiny.sh
steps=${1:-1000}
"$BIN" train quickstart "${tiny[@]}" --steps "$steps" --set run.checkpoint_every=10 \
    --set run.preview_every=100 --out "$scratch/run" | tail -1
python3 - "$scratch/run" "$steps" <<'PYTHON'
import json, os, sys

run, steps = sys.argv[1], int(sys.argv[2])
lines = [json.loads(line) for line in open(f"{run}/log.jsonl")]
assert [line["step"] for line in lines] == list(range(1, steps + 1)), "the log has other steps"
assert all(value is not None for line in lines for value in line["losses"].values()), "not finite"
# What is allocated once is there after a fifth of the run.
early, late = (max(line["memory_bytes"] for line in part) for part in
               (lines[steps // 10:steps // 5], lines[-steps // 10:]))
assert late <= 1.05 * early + 4e6, f"memory grew from {early} to {late} bytes"
kept = sorted(name for name in os.listdir(f"{run}/checkpoints") if name != ".newest")
assert len(kept) == 3 and kept[-1] == f"step-{steps:06}", kept
print(f"{steps} steps, memory {early / 1e6:.0f} MB early and {late / 1e6:.0f} MB late, {len(kept)} checkpoints")
PYTHON
