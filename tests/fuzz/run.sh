#!/bin/bash
# Build each target of targets.txt, replay its corpus, fuzz it N seconds.
# Usage: run.sh [seconds [target...]]. Last line: "N passed, N failed".
set -u
seconds=${1:-10}
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
out=$(realpath -m "${FUZZ_DIR:-build/fuzz}")
mkdir -p "$out/crashes"
flags=(-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
	-g -O1 -D_GNU_SOURCE -DMSB_VERSION='"fuzz"' -DMSB_FUZZ -std=gnu17
	-Isrc -Iinclude -Itests/unit)

# A target is built anew when one of its sources or any header changed.
build() {
	local name=$1 key
	shift
	key=$({ echo "${flags[@]}" "$@"; cat "tests/fuzz/fuzz_$name.c" \
		$(printf '%s\n' "$@" | grep -v '^-'); cat src/*/*.h; } |
		sha256sum | cut -c1-16)
	[ -x "$out/$name.$key" ] && return 0
	find "$out" -maxdepth 1 -name "$name.*" -delete
	clang "${flags[@]}" "tests/fuzz/fuzz_$name.c" "$@" -o "$out/$name.$key"
}

program() {
	find "$out" -maxdepth 1 -name "$1.*" -type f -executable
}

fuzz() {
	local name=$1 log=$out/$1.log corpus=tests/fuzz/corpus/$1
	local found=$out/corpus-$1
	mkdir -p "$found"
	"$(program "$name")" -runs=0 "$corpus" >"$log" 2>&1 &&
		"$(program "$name")" -max_total_time="$seconds" -timeout=30 \
			-rss_limit_mb=2048 -print_final_stats=1 \
			-artifact_prefix="$out/crashes/$name-" \
			"$found" "$corpus" >>"$log" 2>&1
}

passed=0 failed=0 pids=()
one() {
	local name=$1
	shift
	if ! build "$name" "$@"; then
		echo "FAILED  $name: does not compile"
		return 1
	fi
	if ! fuzz "$name"; then
		echo "FAILED  $name: $(grep -m1 -E 'ERROR|SUMMARY|error' \
			"$out/$name.log")"
		echo "        $(ls -t "$out/crashes/$name-"* 2>/dev/null |
			head -1 | sed "s|^|reproduce: $(program "$name") |")"
		return 1
	fi
	echo "ok      $name: $(ls "tests/fuzz/corpus/$name" | wc -l) seeds," \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' \
			"$out/$name.log") runs in $seconds s"
}

while read -r name sources; do
	case $name in '' | '#'*) continue ;; esac
	if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qx "$name"; then
		continue
	fi
	# shellcheck disable=SC2086
	one "$name" $sources </dev/null &
	pids+=($!)
	if [ ${#pids[@]} -ge 2 ]; then
		if wait "${pids[0]}"; then ((passed++)); else ((failed++)); fi
		pids=("${pids[@]:1}")
	fi
done <tests/fuzz/targets.txt
for pid in ${pids[@]+"${pids[@]}"}; do
	if wait "$pid"; then ((passed++)); else ((failed++)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
