#!/bin/sh
# Runs unit test programs, all of them, and says at the end which failed.
# UNIT_TIMEOUT: seconds one program may take.
set -u

failed=
n=0
for program in "$@"; do
	n=$((n + 1))
	printf '== %s\n' "$program"
	timeout "${UNIT_TIMEOUT:-120}" "$program" 2>&1
	rc=$?
	[ $rc = 0 ] || failed="$failed
  $program (exit $rc)"
done
if [ -n "$failed" ]; then
	printf '\n%d unit test programs run; FAILED:%s\n' "$n" "$failed"
	exit 1
fi
printf '\n%d unit test programs run, all passed\n' "$n"
