#!/usr/bin/env bash
# Boots the guest kernel under emulation with an init that tries what the sandbox needs (bench/check.c): file systems,
# namespaces, cgroups, sockets, netfilter, BPF, io_uring, ... Prints a line for each; fails when one fails.
# Then lets init end, and expects the panic message on the console and the end of QEMU.
#
#   check.sh [-k VMLINUX] [-s CPUS]
set -euo pipefail
export LC_ALL=C
here=$(cd "${BASH_SOURCE[0]%/*}" 2>/dev/null && pwd) || here=$PWD
kernel='' cpus=2
while getopts k:s:h opt; do
    case $opt in k) kernel=$OPTARG ;; s) cpus=$OPTARG ;; *) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;; esac
done
if [ -z "$kernel" ]; then kernel=$("$here/build.sh"); fi
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
# shellcheck source=bench/lib.sh
. "$here/bench/lib.sh"
"${CC:-gcc}" -O1 -static -o "$tmp/init" "$here/bench/check.c" -lrt
initramfs "$tmp/init" "$tmp/initramfs.cpio"
line="console=ttyS0 $(<"$here/cmdline")"; line+=$(tsc_word "$line")

disks=()
if command -v mkfs.ext4 >/dev/null; then
    truncate -s 64M "$tmp/ext4"; mkfs.ext4 -q "$tmp/ext4"
    disks+=(-drive "if=none,id=a,format=raw,file=$tmp/ext4" -device virtio-blk-device,drive=a)
    if command -v mkfs.erofs >/dev/null; then
        mkdir "$tmp/tree"; echo hello >"$tmp/tree/file"; mkfs.erofs "$tmp/erofs" "$tmp/tree" >/dev/null 2>&1
        disks+=(-drive "if=none,id=b,format=raw,readonly=on,file=$tmp/erofs" -device virtio-blk-device,drive=b)
    fi
fi
boot() {
    timeout 60 "${QEMU:-qemu-system-x86_64}" -M microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,auto-kernel-cmdline=on,memory-backend=mem \
        -accel tcg -cpu max -m 512 -smp "$cpus" -nodefaults -no-user-config -no-reboot -nographic \
        -global virtio-mmio.force-legacy=false -object memory-backend-memfd,id=mem,size=512M,share=on \
        -kernel "$kernel" -initrd "$tmp/initramfs.cpio" -append "$line $1" -serial stdio </dev/null \
        -device virtio-rng-device -device virtio-balloon-device,free-page-reporting=on -device virtio-serial-device \
        -netdev user,id=n -device virtio-net-device,netdev=n ${disks[@]+"${disks[@]}"}
}
boot '' >"$tmp/out" || { cat "$tmp/out"; echo "check: QEMU failed or did not end" >&2; exit 1; }
cat "$tmp/out"
grep -q '^CHECK-END 0 failed' "$tmp/out"
boot check.panic >"$tmp/out" || { cat "$tmp/out"; echo "check: QEMU did not end after a panic" >&2; exit 1; }
grep 'Kernel panic' "$tmp/out" || { echo "check: no panic message on the console" >&2; exit 1; }
