#!/usr/bin/env bash
# Boots the guest kernel under QEMU's emulation with a one-file initramfs, N times, and prints how long it takes
# from the start of QEMU to the first line that init writes, and to the end of QEMU.
#
#   measure.sh [-n N] [-k VMLINUX] [-c CPU] [-m MiB] [-s CPUS] [-M MACHINE-OPTIONS] [-p] [-v] [EXTRA KERNEL WORDS...]
#
#   -n N        runs (default 10)            -k FILE  kernel (default: what build.sh gives)
#   -c CPU      CPU model (default max)      -m MiB   memory (default 512)       -s CPUS  vCPUs (default 1)
#   -M OPTIONS  more of QEMU's -M options    -p       private memory instead of a shared memfd
#   -C LINE     kernel command line instead of ./cmdline (tsc_khz= is added unless some tsc_...= word is there)
#   -v          show the guest's messages of each run
# Words after "--" go to QEMU itself.
set -euo pipefail
export LC_ALL=C
here=$(cd "${BASH_SOURCE[0]%/*}" 2>/dev/null && pwd) || here=$PWD

runs=10 kernel='' cpu=max mem=512 cpus=1 machine='' shared=1 verbose=0 line="console=ttyS0 $(<"$here/cmdline")"
while getopts n:k:c:m:s:M:C:pvh opt; do
    case $opt in
        n) runs=$OPTARG ;; k) kernel=$OPTARG ;; c) cpu=$OPTARG ;; m) mem=$OPTARG ;; s) cpus=$OPTARG ;;
        M) machine=,$OPTARG ;; C) line=$OPTARG ;; p) shared=0 ;; v) verbose=1 ;;
        h) sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
words=() more=()
while [ $# -gt 0 ]; do
    if [ "$1" = -- ]; then shift; more=("$@"); break; fi
    words+=("$1"); shift
done
if [ -z "$kernel" ]; then kernel=$("$here/build.sh"); fi

tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
"${CC:-gcc}" -Os -static -nostdlib -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie -no-pie \
    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-s -o "$tmp/init" "$here/bench/init.c"

# shellcheck source=bench/lib.sh
. "$here/bench/lib.sh"
initramfs "$tmp/init" "$tmp/initramfs.cpio"
line+=$(tsc_word "$line ${words[*]:-}")

qemu=("${QEMU:-qemu-system-x86_64}" -M "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,auto-kernel-cmdline=on$machine"
    -accel tcg -cpu "$cpu" -m "$mem" -smp "$cpus" -nodefaults -no-user-config -no-reboot -nographic
    -global virtio-mmio.force-legacy=false -kernel "$kernel" -initrd "$tmp/initramfs.cpio"
    -append "$line${words[*]:+ ${words[*]}}" -serial stdio)
if [ "$shared" = 1 ]; then
    qemu+=(-object "memory-backend-memfd,id=mem,size=${mem}M,share=on" -machine memory-backend=mem)
fi
qemu+=(${more[@]+"${more[@]}"})

mkfifo "$tmp/out"
init=() end=()
for ((i = 0; i < runs; i++)); do
    t=$EPOCHREALTIME
    "${qemu[@]}" </dev/null >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    seen=
    while IFS= read -r text; do
        u=$EPOCHREALTIME
        if [[ $text == MSB-INIT* ]]; then seen=$u; elif [ "$verbose" = 1 ]; then printf '%s\n' "$text"; fi
    done <"$tmp/out"
    wait "$pid" || true
    u=$EPOCHREALTIME
    if [ -z "$seen" ]; then cat "$tmp/err" >&2; echo "measure: init did not run (try -v)" >&2; exit 1; fi
    t=$((${t%.*} * 1000000 + 10#${t#*.}))
    init+=($((${seen%.*} * 1000000 + 10#${seen#*.} - t)))
    end+=($((${u%.*} * 1000000 + 10#${u#*.} - t)))
done
report() {  # name, then microseconds
    local name=$1 s; shift
    mapfile -t s < <(printf '%s\n' "$@" | sort -n)
    printf '%-24s min %6.1f  median %6.1f  max %6.1f ms  (%d runs)\n' "$name" \
        "$((s[0]))e-3" "$(((s[(${#s[@]} - 1) / 2] + s[${#s[@]} / 2]) / 2))e-3" "$((s[-1]))e-3" "${#s[@]}"
}
report 'QEMU start to init' "${init[@]}"
report 'QEMU start to its end' "${end[@]}"
