#!/usr/bin/env bash
# Groups of tests at a time: those of the studio, those that wait for a clock otherwise, and at low priority, in the time
# that these leave, those that only compute. Those that bear no company come last. Arguments go to pytest; a group of which
# they leave nothing does not count.
#
#   tools/test.sh PYTHON MARKS [ARGUMENTS]
set -uo pipefail
set -m # what runs beside others takes signals as it does alone
pytest=("$1" -m pytest --ignore=tests/train)
marks=$2
shift 2
none=5 # what pytest says where it found no test

logs=$(mktemp -d)
groups=()
trap '((${#groups[@]})) && kill -- "${groups[@]/#/-}" 2> /dev/null; rm -rf "$logs"' EXIT

# beside NAME MARKS COMMAND...: a group of its own, whose words come when all are done
beside() {
	local name=$1 which=$2
	shift 2
	"$@" -m "$which and not alone and $marks" -o "cache_dir=.pytest_cache/$name" > "$logs/$name" 2>&1 &
	groups+=("$!")
}

beside computes "computes" nice -n 10 "${pytest[@]}" "$@"
clocked="not computes and not alone and $marks"
if [[ $marks != "slow"* ]]; then # of slow ones alone there are too few
	beside studio "studio and not computes" "${pytest[@]}" "$@"
	clocked="not studio and $clocked"
fi
"${pytest[@]}" -m "$clocked" "$@"
codes=("$?")
for group in "${groups[@]}"; do
	wait "$group"
	codes+=("$?")
done
cat "$logs"/*
"${pytest[@]}" -m "alone and $marks" "$@"
codes+=("$?")
code=$none
for each in "${codes[@]}"; do
	if ((each != none && (code == none || code == 0))); then code=$each; fi
done
exit "$code"
