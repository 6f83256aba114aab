#!/usr/bin/env bash
# Cuts the network between the processes of a run: all end within a minute, with exit code 1 and the reason.
#
#   tests/network.sh PROGRAM
#
# Makes two hosts of its own, in network namespaces, which takes root and `ip` (Debian: iproute2).
set -euo pipefail
program=$(realpath "${1:-target/release/dp-sims}")

if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null || ! ip netns add "dp-sims-$$" 2>/dev/null; then
    echo "a network that is cut: SKIPPED, needs root, ip and network namespaces"
    exit 0
fi
ip netns delete "dp-sims-$$"

tmp=$(mktemp -d)
hosts=("dp-sims-$$-a" "dp-sims-$$-b")
end() {
    jobs -p | xargs -r kill -9 2>/dev/null || true
    for host in "${hosts[@]}"; do ip netns delete "$host" 2>/dev/null || true; done
    rm -rf "$tmp"
}
trap end EXIT

for host in "${hosts[@]}"; do ip netns add "$host"; done
ip link add veth-a netns "${hosts[0]}" type veth peer name veth-b netns "${hosts[1]}"
for index in 0 1; do
    letter=$([ "$index" = 0 ] && echo a || echo b)
    ip -n "${hosts[$index]}" address add "10.77.0.$((index + 1))/24" dev "veth-$letter"
    ip -n "${hosts[$index]}" link set "veth-$letter" up
    ip -n "${hosts[$index]}" link set lo up
done

# on HOST COMMAND...: in the place of the shell, so that its process is that of the command.
on() {
    local host=$1
    shift
    exec ip netns exec "${hosts[$host]}" env DP_SIMS_TOKEN=word "$@"
}

on 0 "$program" orchestrator --listen 10.77.0.1:29500 >"$tmp/orchestrator" 2>&1 &
for node in 0 1; do
    on "$node" "$program" train quickstart --no-tui --backend flex --steps 100000 --out "$tmp/run" \
        --set data.scenes=64 --set data.height=32 --set data.width=32 --set run.checkpoint_every=2 \
        --set run.total_batch=2 --orchestrator 10.77.0.1:29500 --nodes 2 --node-rank "$node" \
        >"$tmp/output-$node" 2>&1 &
    processes[node]=$!
done

for _ in $(seq 600); do
    [ -e "$tmp/run/checkpoints/step-000004" ] && break
    sleep 0.1
done
test -e "$tmp/run/checkpoints/step-000004" || { cat "$tmp"/output-*; exit 1; }

ip -n "${hosts[1]}" link set veth-b down
cut=$SECONDS
for node in 0 1; do
    code=0
    wait "${processes[$node]}" || code=$?
    seconds=$((SECONDS - cut))
    reason=$(grep '^error' "$tmp/output-$node" || true)
    echo "node $node: exit code $code after $seconds s: $reason"
    # One message, which names the other.
    test "$code" = 1 && test "$seconds" -le 60 && test "$(grep -c '^error' "$tmp/output-$node")" = 1 &&
        grep -q "^error.*node $((1 - node))" "$tmp/output-$node" ||
        { cat "$tmp/output-$node"; exit 1; }
done
