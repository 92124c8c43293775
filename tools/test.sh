#!/usr/bin/env bash
# Groups of tests at a time: those of the studio, those that wait for a clock otherwise, and at low priority, in the time
# that these leave, those that only compute. Those that bear no company come last. Arguments go to pytest; a group of which
# they leave nothing does not count.
#
# The first two run in real time, on cores that others use, too: what failed there is tried once more when all is done, up
# to three tests of both, and named loudly where it passes then (CONTRIBUTING.md).
#
#   tools/test.sh PYTHON MARKS [ARGUMENTS]
set -uo pipefail
set -m # what runs beside others takes signals as it does alone
python=$1
marks=$2
shift 2
pytest=("$python" -m pytest --ignore=tests/train)
none=5 # what pytest says where it found no test

logs=$(mktemp -d)
mkdir "$logs/failed"
declare -A groups=() codes=()
trap '((${#groups[@]})) && kill -- "${groups[@]/#/-}" 2> /dev/null; rm -rf "$logs"' EXIT

# beside NAME MARKS COMMAND...: a group of its own, whose words come when all are done
beside() {
	local name=$1 which=$2
	shift 2
	"$@" -m "$which and not alone and $marks" -o "cache_dir=.pytest_cache/$name" > "$logs/$name.log" 2>&1 &
	groups[$name]=$!
}

# live NAME: what tells its failures
live() { telling=(-p tools.failed_tests --failed-to "$logs/failed/$1"); }

clocked="not computes and not alone and $marks"
if [[ $marks != "slow"* ]]; then # of slow ones alone there are too few
	live studio
	beside studio "studio and not computes" "${pytest[@]}" "${telling[@]}" "$@"
	clocked="not studio and $clocked"
fi
beside computes "computes" nice -n 10 "${pytest[@]}" "$@"
live clocked
"${pytest[@]}" "${telling[@]}" -m "$clocked" "$@"
codes[clocked]=$?
for name in "${!groups[@]}"; do
	wait "${groups[$name]}"
	codes[$name]=$?
done
cat "$logs"/*.log
"${pytest[@]}" -m "alone and $marks" "$@"
codes[alone]=$?
if [[ -n $(ls "$logs/failed") ]] && "$python" -m tools.failed_tests "$logs/failed" "${pytest[@]}"; then
	for path in "$logs"/failed/*; do codes[${path##*/}]=0; done
fi
code=$none
for each in "${codes[@]}"; do
	if ((each != none && (code == none || code == 0))); then code=$each; fi
done
exit "$code"
