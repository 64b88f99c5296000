#!/bin/sh
# Install the Debian packages that are missing, by group: build, run, test.
# Quick when nothing is missing; asks for root only when something is.
set -eu

build="gcc make pkg-config meson ninja-build musl-tools python3
	libcurl4-openssl-dev libssl-dev libjansson-dev libyaml-dev
	libnghttp2-dev libzstd-dev libisal-dev zlib1g-dev
	libsqlite3-dev libcmocka-dev libseccomp-dev
	flex bison bc libelf-dev xz-utils cpio"
run="qemu-system-x86 e2fsprogs busybox-static ca-certificates"
test="clang clang-format python3-pytest docker-registry skopeo umoci
	mmdebstrap erofs-utils attr apache2-utils tmux libcap2-bin
	zsh fish mandoc dropbear-bin openssh-client qemu-utils
	iproute2 iputils-ping iperf3 bind9-dnsutils tcpdump socat netcat-openbsd
	nginx-light nghttp2-client nghttp2-server python3-h2 python3-hpack
	passt slirp4netns curl wget
	iputils-arping iputils-tracepath traceroute ndisc6 hping3
	python3-scapy dnsmasq-base unbound dante-server microsocks tinyproxy
	openssh-server openssl zstd patchelf python3-venv ruby ruby-dev ruby-minitest python3-requests python3-httpx python3-websockets"

installed() {
	dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null |
		grep -q '^.i'
}

# libFuzzer and the sanitizers' runtime are packaged by clang's version.
clang_runtime() {
	v=$(clang --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
	[ -z "$v" ] || echo "libclang-rt-$v-dev"
}

# Programs that many hosts have from elsewhere.
unless_there() {
	command -v "$1" >/dev/null || echo "$2"
}

apt() {
	if [ "$(id -u)" -eq 0 ]; then
		env DEBIAN_FRONTEND=noninteractive "$@"
	elif command -v sudo >/dev/null; then
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	else
		echo "deps: root is needed for: $*" >&2
		exit 1
	fi
}

install_missing() {
	missing=
	for p in "$@"; do
		installed "$p" || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "deps: install the counterparts of:$missing" >&2
		exit 1
	fi
	echo "deps: installing$missing" >&2
	[ -n "${updated-}" ] || apt apt-get update -qq
	updated=1
	# shellcheck disable=SC2086
	apt apt-get install -y -qq --no-install-recommends $missing >&2
}

for group in "$@"; do
	case $group in
	build) install_missing $build ;;
	run) install_missing $run ;;
	test)
		install_missing $test
		install_missing $(clang_runtime)
		# shellcheck disable=SC2046
		install_missing $(unless_there node nodejs) $(unless_there npm npm) \
			$(unless_there go golang-go)
		;;
	*)
		echo "deps: no such group: $group" >&2
		exit 2
		;;
	esac
done
