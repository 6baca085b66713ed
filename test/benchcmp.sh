#!/bin/sh
# benchcmp.sh BASE: the Go benchmarks of this tree against those of the commit BASE, in turn, compared by benchstat.
# PACKAGES: default ./internal/... COUNT: runs of each, default 6. BENCHTIME: of each run, default 200ms. GO, BENCHSTAT.
set -eu
base=$(git rev-parse --verify "$1^{commit}") go=${GO:-go} dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/base" 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
git worktree add --detach "$dir/base" "$base" >/dev/null
run() { $go test -run '^$' -bench "${BENCH:-.}" -benchmem -benchtime "${BENCHTIME:-200ms}" ${PACKAGES:-./internal/...}; }
for i in $(seq "${COUNT:-6}"); do
	echo "run $i" >&2
	(cd "$dir/base" && run) >>"$dir/base.txt"
	run >>"$dir/this.txt"
done
$go run "$BENCHSTAT" "$1=$dir/base.txt" "this=$dir/this.txt"
