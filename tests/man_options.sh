#!/bin/sh
# The man page of lake.yaml and `lakefuse mount --help` name the same settings.
#
#   tests/man_options.sh BINARY
set -eu
cd "$(dirname "$0")/.."

binary=${1:-build/release/lakefuse}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$binary" mount --help | sed -n 's/^  \([][a-z_.]*\)=.*/\1/p' |
	sort -u >"$dir/help"
# In the page a setting is a tagged paragraph: .B key=VALUE
sed -n 's/^\.B \([][a-z_.]*\)=.*/\1/p' docs/man/lake.yaml.5 |
	sort -u >"$dir/man"

[ -s "$dir/help" ] || {
	echo "$binary mount --help lists no settings"
	exit 1
}
diff -u "$dir/help" "$dir/man" || {
	echo "docs/man/lake.yaml.5 and the settings' table differ: - only in --help, + only in the page"
	exit 1
}
