#!/bin/sh
# Installs what Debian 12 or 13 needs to build, test, analyze or package lakefuse.
#
#   packaging/deps.sh [build] [test] [analyze] [deb]   (build when none is named)
#
# Does nothing, and needs no network and no root, when everything is there.
set -eu

build="gcc make pkg-config libfuse3-dev fuse3 libcurl4-openssl-dev libssl-dev
	libsqlite3-dev libjansson-dev libyaml-dev libmicrohttpd-dev libisal-dev
	libexpat1-dev zlib1g-dev uthash-dev ca-certificates"
test="libcmocka-dev python3 python3-venv attr procps psmisc util-linux"
analyze="clang clang-format clang-tidy cppcheck shellcheck"
deb="debhelper dpkg-dev"

installed() {
	# pkg-config is a name that another package may provide.
	[ "$1" = pkg-config ] && command -v pkg-config >/dev/null && return 0
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed
}

missing=
for level in "${@:-build}"; do
	case $level in
	build) wanted=$build ;;
	test) wanted=$test ;;
	analyze) wanted=$analyze ;;
	deb) wanted=$deb ;;
	*)
		echo "deps.sh: no level '$level': give build, test, analyze or deb" >&2
		exit 2
		;;
	esac
	for package in $wanted; do
		installed "$package" || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps.sh: this is no Debian; install what these are called here:$missing" >&2
	exit 1
fi

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps.sh: run as root: apt-get install$missing" >&2
		exit 1
	fi
	sudo="sudo"
fi

install() {
	# Words are wanted here.
	# shellcheck disable=SC2086
	$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends $missing
}

echo "deps.sh: installing$missing"
# The lists may be absent or old; a fresh machine has none.
install || {
	$sudo apt-get update
	install
}
