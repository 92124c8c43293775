#!/usr/bin/env bash
# Two groups of tests at a time: those that wait for a clock, and at low priority, in the time that these leave, those that
# only compute. Arguments go to pytest; where they leave nothing of one group, the other one counts.
#
#   tools/test.sh PYTHON MARKS [ARGUMENTS]
set -uo pipefail
set -m # what runs beside others takes signals as it does alone
pytest=("$1" -m pytest --ignore=tests/train -m)
marks=$2
shift 2
none=5 # what pytest says where it found no test

log=$(mktemp)
beside=(nice -n 19)
if [ -n "${BESIDE_LOCK:-}" ]; then beside+=(flock "$BESIDE_LOCK"); fi # other such groups may be at work
"${beside[@]}" "${pytest[@]}" "computes and $marks" -o cache_dir=.pytest_cache/computes "$@" > "$log" 2>&1 &
group=$!
trap 'kill -- -"$group" 2> /dev/null; rm -f "$log"' EXIT
"${pytest[@]}" "not computes and $marks" "$@"
code=$?
wait "$group"
beside_code=$?
cat "$log"
if ((beside_code == none)); then exit "$code"; fi
if ((code == none || code == 0)); then exit "$beside_code"; fi
exit "$code"
