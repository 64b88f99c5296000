# Shared by measure.sh and check.sh: makes a one-file initramfs (cpio, newc) by hand, so that the console node
# needs neither root nor a tool.

entry() {   # name mode major minor file
    local size=0 namesize=$((${#1} + 1))
    if [ -n "${5:-}" ]; then size=$(stat -c %s "$5"); fi
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' \
        $((++inode)) "$2" 0 0 1 0 "$size" 0 0 "$3" "$4" "$namesize" 0
    printf '%s\0' "$1"
    head -c $(((4 - (110 + namesize) % 4) % 4)) /dev/zero
    if [ -n "${5:-}" ]; then cat "$5"; head -c $(((4 - size % 4) % 4)) /dev/zero; fi
}

initramfs() {   # file of init, result
    local inode=0
    {   entry dev 0040755 0 0
        entry dev/console 0020600 5 1
        entry init 0100755 0 0 "$1"
        entry 'TRAILER!!!' 0 0 0
    } >"$2"
}

tsc_word() {    # " tsc_khz=N" unless the line has a tsc_...= word; needs $tmp and $here
    if [[ " $1" != *" tsc_"* ]]; then
        "${CC:-gcc}" -O2 -o "$tmp/tsc" "$here/bench/tsc.c"
        printf ' tsc_khz=%s' "$("$tmp/tsc")"
    fi
}
