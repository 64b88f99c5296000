#!/bin/sh
# The part of `make install` that Meson does not know: the kernel.
set -eu
build=$1
dir=$2/libexec/microsandbox
mkdir -p "$dir"
install -m 0644 "$(readlink -f "$build/vmlinux")" "$dir/vmlinux"
install -m 0644 "$build/cmdline" "$dir/cmdline"
