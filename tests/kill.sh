#!/usr/bin/env bash
# Kills training at its renames, fsyncs, unlinks, mkdirs and writes, one kill a run, resumes each run with
# `--resume auto`, and compares the last checkpoint with that of a run that nobody killed, and the log.
#
#   BIN=target/release/dp-sims tests/kill.sh [KILLS]
#
# KILLS (default 20) is how many places of each call are tried, spread evenly over a run. Needs strace.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tiny.sh
kills=${1:-20}
export RAYON_NUM_THREADS=1
train() { "$BIN" train quickstart "${tiny[@]}" --steps 4 --set run.checkpoint_every=1 \
    --set run.keep_checkpoints=2 --set run.preview_every=2 "$@"; }

train --out "$scratch/whole" >/dev/null
# Groups of calls that do the same on different machines.
groups=(rename,renameat,renameat2 fsync,fdatasync unlink,unlinkat,rmdir mkdir,mkdirat write,pwrite64)
killed=0
for group in "${groups[@]}"; do
    calls=$(sed 's/[^,]*/?&/g' <<<"$group")
    rm -rf "$scratch/run"
    strace -f -qq -o "$scratch/trace" -e "trace=$calls" -e signal=none \
        "$BIN" train quickstart "${tiny[@]}" --steps 4 --set run.checkpoint_every=1 \
        --set run.keep_checkpoints=2 --set run.preview_every=2 --out "$scratch/run" >/dev/null
    # Calls are counted by thread: most are those of the thread that trains.
    count=$(awk '{print $1}' "$scratch/trace" | sort | uniq -c | sort -rn | awk 'NR == 1 {print $1}')
    hits=0
    for ((k = 0; k < kills; k++)); do
        at=$((1 + k * count / kills))
        if ((k > 0 && at == 1 + (k - 1) * count / kills)); then continue; fi
        rm -rf "$scratch/run"
        status=0
        { strace -f -qq -o /dev/null -e "trace=$calls" -e signal=none \
            -e "inject=$calls:signal=KILL:when=$at" \
            "$BIN" train quickstart "${tiny[@]}" --steps 4 --set run.checkpoint_every=1 \
            --set run.keep_checkpoints=2 --set run.preview_every=2 --out "$scratch/run" \
            >/dev/null 2>&1; } 2>/dev/null || status=$?
        # A thread that makes fewer calls is not killed.
        test "$status" = 0 || hits=$((hits + 1))
        train --out "$scratch/run" --resume auto >"$scratch/out" 2>&1 || {
            echo "call $at of $group: cannot be resumed"; cat "$scratch/out"; exit 1; }
        for file in "$scratch"/whole/checkpoints/step-000004/*.safetensors; do
            cmp "$file" "$scratch/run/checkpoints/step-000004/${file##*/}"
        done
        steps=$(sed 's/.*"step":\([0-9]*\),"total.*/\1/' "$scratch/run/log.jsonl" | tr '\n' ' ')
        test "$steps" = "1 2 3 4 " || { echo "call $at of $group: the log has steps $steps"; exit 1; }
    done
    echo "$group: $count calls, killed at $hits of them"
    killed=$((killed + hits))
done
echo "$killed kills, every run resumed to the same bytes"
