#!/bin/sh
# Every test that docs/CONSISTENCY.md names as a promise's keeper has to exist.
set -eu
cd "$(dirname "$0")/.."

rooms='base|sites|cache|meta|fs|serve'
missing=$(
	grep -oE "\`test_[a-z0-9_]+\`" docs/CONSISTENCY.md | tr -d "\`" |
		sort -u | while read -r name; do
			grep -rqw "def $name" tests/mount || echo "$name"
		done
	grep -oE "\`($rooms)_[a-z0-9_]+: [a-z0-9_]+\`" docs/CONSISTENCY.md |
		tr -d "\`:" | sort -u | while read -r file name; do
		grep -qsw "$name" "tests/unit/$file.c" || echo "$file: $name"
	done
)
[ -z "$missing" ] || {
	printf 'docs/CONSISTENCY.md names tests that are not there:\n%s\n' \
		"$missing" >&2
	exit 1
}
