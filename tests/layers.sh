#!/bin/sh
# Holds every #include "..." against the layers: a file includes its own folder,
# or the face of a folder below it, or anything of base/.  The face of a folder
# is DIR/DIR.h, and for fs/ its control socket as well.
set -eu
cd "$(dirname "$0")/.."

below() {
	case $1 in
	cli) echo "fs cache meta sites serve" ;;
	fs) echo "cache meta sites" ;;
	cache | meta) echo "sites" ;;
	*) echo "" ;;
	esac
}

face() {
	case $1 in
	fs) echo "fs/(fs|control)[.]h" ;;
	*) echo "$1/$1[.]h" ;;
	esac
}

bad=$(
	for dir in cli fs cache meta sites serve base; do
		[ -d "$dir" ] || continue
		allowed="^($dir/|base/"
		for d in $(below "$dir"); do
			allowed="$allowed|$(face "$d")\$"
		done
		grep -rHoE '^ *# *include +"[^"]+' --include='*.[ch]' "$dir" |
			awk -F'"' -v ok="$allowed)" '$2 !~ ok { print }' || true
	done
)
[ -z "$bad" ] || {
	printf 'includes against the layers:\n%s\n' "$bad" >&2
	exit 1
}
