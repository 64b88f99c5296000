#!/bin/sh
# Put the guest kernel (built once, cached) and its command line into the
# build folder, where msb looks for them.
set -eu
build=$1
top=$(cd "$(dirname "$0")/.." && pwd)
kernel=$("$top/kernel/build.sh" ${KERNEL_SOURCE:+--source "$KERNEL_SOURCE"})
if [ "$(readlink "$build/vmlinux" 2>/dev/null)" != "$kernel" ]; then
	ln -sfn "$kernel" "$build/vmlinux"
fi
cmp -s "$top/kernel/cmdline" "$build/cmdline" ||
	cp "$top/kernel/cmdline" "$build/cmdline"
