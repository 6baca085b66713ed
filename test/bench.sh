#!/bin/sh
# bench.sh: the main loads against Weir, stock nsqd and the server that does nothing, in turn; medians and ratios of one run.
# Wants bin/weir and bin/stock/nsqd. LOADS: names of `weir bench list`. ROUNDS: how often, default 3. Loopback only; data in a
# temporary directory that is deleted.
set -eu
LOADS=${LOADS:-pub_1c_sync,pub_50c_sync,pub_1c_w100,pub_8c_w100,mpub200_4c,mpub200_4c_w8,sub_1c,e2e_mpub200_2x2,e2e_mpub200_ch10,lat10k_default,lat1k_default}
ROUNDS=${ROUNDS:-3} TCP=127.0.0.1:${PORT:-14950} HTTP=127.0.0.1:$((${PORT:-14950} + 1))
dir=$(mktemp -d) server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

measure() { # measure TAG HTTP COMMAND…: start the server, run all loads, stop it
	tag=$1 http=$2; shift 2
	mkdir -p "$dir/data"
	"$@" >"$dir/log" 2>&1 & server=$!
	sleep 2
	echo "$tag" >&2
	for load in $(echo "$LOADS" | tr , ' '); do
		[ "$tag" != null ] || case $load in pub_*|mpub*) ;; *) continue ;; esac
		bin/weir bench run "$load" --json --nsqd-tcp-address=$TCP --nsqd-http-address="$http" 2>>"$dir/errors" |
			sed "s/^{/$tag /" >>"$dir/results" || true
	done
	kill "$server"; wait "$server" || true
	server=
	rm -rf "$dir/data"
}

for round in $(seq "$ROUNDS"); do
	echo "round $round" >&2
	for sync in always os; do
		measure "weir-$sync" $HTTP bin/weir serve --data-path="$dir/data" --sync=$sync --tcp-address=$TCP --http-address=$HTTP
	done
	measure nsqd-memory $HTTP bin/stock/nsqd -data-path="$dir/data" -mem-queue-size=3000000 -tcp-address=$TCP -http-address=$HTTP
	measure nsqd-sync1 $HTTP bin/stock/nsqd -data-path="$dir/data" -mem-queue-size=0 -sync-every=1 -tcp-address=$TCP -http-address=$HTTP
	measure null "" bin/weir bench null --nsqd-tcp-address=$TCP
done
cat "$dir/errors" >&2

# A line holds the tag, then the JSON of the run. Latency loads are told by the p50 of deliveries in µs, lower is better.
awk '
function field(name) { return match($0, "\"" name "\":[0-9.e+]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : 0 }
{
	match($0, /"load":"[^"]*"/); l = substr($0, RSTART + 8, RLENGTH - 9)
	v = field("delivery_rate"); if (v == 0) v = field("publish_rate")
	if (l ~ /^lat/ && match($0, /"deliveries":\{"count":[0-9]+,"p50":[0-9.]+/)) { v = substr($0, RSTART, RLENGTH); sub(/.*:/, "", v) }
	if (!(l in seen)) { seen[l] = 1; loads[++n] = l }
	k = l SUBSEP $1; value[k, ++count[k]] = v + 0
}
function median(k,   i, j, t, c) {
	c = count[k]; for (i = 1; i <= c; i++) sorted[i] = value[k, i]
	for (i = 2; i <= c; i++) for (j = i; j > 1 && sorted[j] < sorted[j-1]; j--) { t = sorted[j]; sorted[j] = sorted[j-1]; sorted[j-1] = t }
	return c ? sorted[int((c + 1) / 2)] : 0
}
END {
	m = split("weir-always weir-os nsqd-memory nsqd-sync1 null", tags, " ")
	printf "| load |"; for (i = 1; i <= m; i++) printf " %s |", tags[i]; printf "\n|---|"; for (i = 1; i <= m; i++) printf "---|"; print ""
	for (j = 1; j <= n; j++) {
		base = median(loads[j] SUBSEP "nsqd-memory"); printf "| %s |", loads[j]
		for (i = 1; i <= m; i++) { v = median(loads[j] SUBSEP tags[i]); if (v) printf " %.0f (%.2f) |", v, base ? v / base : 0; else printf " – |" }
		print ""
	}
	print "Median of the runs: messages/s, deliveries/s, or for lat* the p50 in µs; in brackets the ratio to nsqd-memory."
}' "$dir/results"

if command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null; then
	for fsync in always everysec; do
		mkdir -p "$dir/redis"
		redis-server --port 14960 --bind 127.0.0.1 --dir "$dir/redis" --save "" --appendonly yes --appendfsync $fsync >/dev/null & server=$!
		sleep 1
		for shape in "-c 1 -n 20000" "-c 50 -n 100000" "-c 50 -P 20 -n 500000"; do
			echo "Redis streams, appendfsync $fsync, redis-benchmark $shape:"
			redis-benchmark -p 14960 $shape -q XADD s '*' f "$(printf %0200d 0)" | tr '\r' '\n' | tail -n 1
		done
		kill "$server"; wait "$server" || true
		server=; rm -rf "$dir/redis"
	done
else
	echo "Redis: skipped, redis-server or redis-benchmark is not installed"
fi
