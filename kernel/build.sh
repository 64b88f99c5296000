#!/usr/bin/env bash
# Builds the guest kernel (an uncompressed ELF "vmlinux") once and keeps it in the cache.
#
#   build.sh [--source DIR] [--variant NAME] [--out DIR] [--print-key] [--keep-tree]
#
#   --source DIR    build this kernel tree instead of Debian's linux-source package (DIR is only read)
#   --variant NAME  also apply config/variant-NAME.config, whose lines win over the others; or, where there is an
#                   edit/NAME.py, edit the finished normal kernel with it (built first if need be)
#   --out DIR       keep results and sources in DIR instead of ~/.cache/microsandbox/kernel
#   --print-key     print the key of the result and end; no build, no network
#   --keep-tree     do not remove the build tree after success (to look at it)
#
# Prints the path of vmlinux, and nothing else, on stdout. Progress goes to stderr.
# Environment: MSB_CACHE or XDG_CACHE_HOME move the cache; JOBS sets the number of compile jobs;
# MSB_DEBIAN_MIRROR and MSB_DEBIAN_SECURITY_MIRROR name mirrors (default: those that this machine's apt uses).
set -euo pipefail
export LC_ALL=C
umask 022

RECIPE=1                 # raise when this script changes what is built
SERIES=6.12              # the package is linux-source-$SERIES
here=$(cd "${BASH_SOURCE[0]%/*}" 2>/dev/null && pwd) || here=$PWD

say() { printf 'kernel: %s\n' "$*" >&2; }
die() { printf 'kernel: error: %s\n' "$*" >&2; exit 1; }

source_dir='' variant='' out='' print_key=0 keep_tree=0
while [ $# -gt 0 ]; do
    case $1 in
        --source)  [ $# -ge 2 ] || die "--source needs a folder"; source_dir=$2; shift 2 ;;
        --variant) [ $# -ge 2 ] || die "--variant needs a name"; variant=$2; shift 2 ;;
        --out)     [ $# -ge 2 ] || die "--out needs a folder"; out=$2; shift 2 ;;
        --print-key) print_key=1; shift ;;
        --keep-tree) keep_tree=1; shift ;;
        -h|--help) sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown argument: $1 (see --help)" ;;
    esac
done

case $variant in *[!a-zA-Z0-9_-]*) die "a variant's name is letters, digits, - and _" ;; esac
edit=''                  # a variant made of the finished normal kernel: no compiler, a second
if [ -n "$variant" ] && [ -e "$here/edit/$variant.py" ]; then edit=$here/edit/$variant.py; fi
fragments=("$here"/config/[0-9]*.config)
[ -e "${fragments[0]}" ] || die "no fragments in $here/config"
if [ -n "$variant" ] && [ -z "$edit" ]; then
    [ -r "$here/config/variant-$variant.config" ] || die "no $here/config/variant-$variant.config"
    fragments+=("$here/config/variant-$variant.config")
fi
extras=()                # source files of ours that are added to the tree
for f in "$here"/guest/*; do if [ -e "$f" ]; then extras+=("$f"); fi; done

if [ -n "$out" ]; then root=$out
elif [ -n "${MSB_CACHE:-}" ]; then root=$MSB_CACHE/kernel
elif [ -n "${XDG_CACHE_HOME:-}" ]; then root=$XDG_CACHE_HOME/microsandbox/kernel
else root=${HOME:?HOME is not set}/.cache/microsandbox/kernel
fi
mkdir -p "$root/source"
root=$(cd "$root" && pwd)

# ---- a variant that is an edit of the normal kernel ----------------------------------------------
if [ -n "$edit" ]; then
    base=("$here/build.sh" --out "$root" ${source_dir:+--source "$source_dir"})
    if [ "$print_key" = 0 ]; then normal=$("${base[@]}"); fi         # first: it may find another version than the pin
    key=$({ "${base[@]}" --print-key; cat -- "$edit"; } | sha256sum | cut -c1-20)
    if [ "$print_key" = 1 ]; then printf '%s\n' "$key"; exit 0; fi
    if [ ! -s "$root/$key/vmlinux" ]; then
        made=$(mktemp -d "$root/edit.XXXXXX")
        trap 'rm -rf "$made"' EXIT
        python3 "$edit" "$normal" "${normal%/*}/System.map" "$made/vmlinux" || die "$edit failed"
        cp "${normal%/*}/config" "${normal%/*}/System.map" "$made/"
        sed "s/^variant=.*/variant=$variant/; s/^key=.*/key=$key/" "${normal%/*}/VERSION" >"$made/VERSION"
        chmod 755 "$made"
        mv -T "$made" "$root/$key" 2>/dev/null || [ -s "$root/$key/vmlinux" ] || die "cannot make $root/$key"
    fi
    printf '%s\n' "$root/$key/vmlinux"
    exit 0
fi

# ---- which source -------------------------------------------------------------------------------
pin=$(<"$here/VERSION")
if [ -n "$source_dir" ]; then
    source_dir=$(cd "$source_dir" 2>/dev/null && pwd) || die "no such folder: $source_dir"
    [ -f "$source_dir/Makefile" ] && [ -f "$source_dir/scripts/kconfig/Makefile" ] ||
        die "$source_dir is not a kernel tree"
    version=tree:$source_dir:$(sha256sum <"$source_dir/Makefile" | cut -c1-16)
elif [ -s "$root/source/instead-of-$pin" ]; then    # the pin was gone when we asked: see fetch()
    version=$(<"$root/source/instead-of-$pin")
else
    version=$pin
fi

cc=${CC:-gcc}
command -v "$cc" >/dev/null || die "no compiler: $cc"
compiler=$("$cc" --version); compiler=${compiler%%$'\n'*}

make_key() {             # every input of the build, hashed
    { printf '%s\n' "$RECIPE" "$version" "$compiler" "$variant"
      cat -- "${fragments[@]}" ${extras[@]+"${extras[@]}"}; } | sha256sum | cut -c1-20
}
key=$(make_key)
if [ "$print_key" = 1 ]; then printf '%s\n' "$key"; exit 0; fi

finish() { printf '%s\n' "$root/$key/vmlinux"; exit 0; }
if [ -s "$root/$key/vmlinux" ]; then finish; fi

# ---- one builder at a time ----------------------------------------------------------------------
for tool in make flex bison bc perl flock sha256sum xz tar awk strip; do
    command -v "$tool" >/dev/null || die "missing tool: $tool (Debian: apt-get install build-essential flex bison bc libelf-dev xz-utils util-linux)"
done
echo '#include <gelf.h>' | "$cc" -E - >/dev/null 2>&1 || die "missing header: gelf.h (Debian: apt-get install libelf-dev)"

exec 9>"$root/lock"
if ! flock -n 9; then
    say "another build is running; waiting for it"
    flock 9
fi
if [ -s "$root/$key/vmlinux" ]; then finish; fi
started=$SECONDS

# ---- fetch --------------------------------------------------------------------------------------
mirror_of() {            # $1: debian or debian-security; the first mirror of that name in this machine's apt sources
    local list=()
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        if [ -r "$f" ]; then list+=("$f"); fi
    done
    [ ${#list[@]} -gt 0 ] || return 0
    awk -v want="/$1" '!/^[ \t]*#/ { for (i = 1; i <= NF; i++) { u = $i; sub(/\/+$/, "", u)
        if (u ~ /^https?:\/\// && substr(u, length(u) - length(want) + 1) == want) { print u; exit } } }' "${list[@]}"
}

tarball_of() { printf '%s/source/linux-source-%s_%s.tar.xz' "$root" "$SERIES" "$1"; }

fetch() {                # sets $version and $key when the pinned version is gone
    local apt=$root/source/apt.$$ keyring=/usr/share/keyrings/debian-archive-keyring.gpg main sec conf deb newest
    for tool in apt-get apt-cache apt-config dpkg-deb; do
        command -v "$tool" >/dev/null || die "no $tool here to fetch Debian's kernel source with; give a tree with --source DIR"
    done
    [ -r "$keyring" ] || die "no $keyring (package debian-archive-keyring); or give a tree with --source DIR"
    main=${MSB_DEBIAN_MIRROR:-$(mirror_of debian)};                   main=${main:-http://deb.debian.org/debian}
    sec=${MSB_DEBIAN_SECURITY_MIRROR:-$(mirror_of debian-security)};  sec=${sec:-http://deb.debian.org/debian-security}

    rm -rf "$root"/source/apt.*
    mkdir -p "$apt"/etc/{apt.conf.d,preferences.d,sources.list.d,trusted.gpg.d} "$apt"/lists/partial "$apt"/cache/archives/partial "$apt"/log "$apt"/get
    : >"$apt/status"
    printf 'deb [signed-by=%s] %s\n' "$keyring" "$main trixie main" "$keyring" "$main bookworm-backports main" \
        "$keyring" "$sec trixie-security main" >"$apt/etc/sources.list"
    conf=$apt/apt.conf
    {   printf 'Dir::Etc "%s";\nDir::State "%s";\nDir::State::lists "%s";\nDir::State::status "%s";\nDir::Cache "%s";\nDir::Log "%s";\n' \
            "$apt/etc" "$apt" "$apt/lists" "$apt/status" "$apt/cache" "$apt/log"
        printf 'APT::Architecture "amd64";\nAPT::Sandbox::User "%s";\nAcquire::Languages "none";\nAcquire::Retries "3";\n' "$(id -un)"
        apt-config dump 2>/dev/null | grep -iE '^Acquire::https?::Proxy' || true    # the user's proxy still holds
    } >"$conf"

    say "asking Debian for linux-source-$SERIES $version ($main)"
    APT_CONFIG=$conf apt-get -q update >"$apt/log/update" 2>&1 || { cat "$apt/log/update" >&2; die "apt-get update failed"; }
    if ! APT_CONFIG=$conf apt-cache madison "linux-source-$SERIES" | awk '{print $3}' | grep -qxF "$version"; then
        newest=$(APT_CONFIG=$conf apt-cache madison "linux-source-$SERIES" | awk '{print $3}' |
            while read -r v; do
                if [ -z "${best:-}" ] || dpkg --compare-versions "$v" gt "$best"; then best=$v; echo "$best"; fi
            done | tail -n 1)
        [ -n "$newest" ] || die "Debian's archive has no linux-source-$SERIES any more; give a tree with --source DIR"
        say "notice: version $version (kernel/VERSION) is not in the archive any more; taking $newest"
        printf '%s\n' "$newest" >"$root/source/instead-of-$pin"
        version=$newest
        key=$(make_key)
        if [ -s "$root/$key/vmlinux" ]; then rm -rf "$apt"; finish; fi
        if [ -s "$(tarball_of "$version")" ]; then rm -rf "$apt"; return; fi
    fi
    say "downloading (150 MB)"
    (cd "$apt/get" && APT_CONFIG=$conf apt-get -q download "linux-source-$SERIES=$version") >"$apt/log/get" 2>&1 ||
        { cat "$apt/log/get" >&2; die "download failed"; }
    deb=("$apt"/get/*.deb)
    dpkg-deb --fsys-tarfile "${deb[0]}" | tar -xO "./usr/src/linux-source-$SERIES.tar.xz" >"$apt/source.tar.xz" ||
        die "the package has no usr/src/linux-source-$SERIES.tar.xz"
    mv "$apt/source.tar.xz" "$(tarball_of "$version")"
    rm -rf "$apt"
}

rm -rf "$root"/build.*                  # left by builds that were killed: we hold the lock
if [ -z "$source_dir" ] && [ ! -s "$(tarball_of "$version")" ]; then fetch; fi

# ---- unpack -------------------------------------------------------------------------------------
tree=$root/build.$key
log=$tree/build.log
mkdir -p "$tree/obj" "$tree/result"
: >"$log"
fail() {
    cp "$log" "$root/failed-$key.log"
    { printf -- '---- last lines of the log\n'; tail -n 25 "$log"; printf -- '----\n'; } >&2
    rm -rf "$tree"
    die "$1 (whole log: $root/failed-$key.log)"
}
mkdir "$tree/src"
if [ -n "$source_dir" ]; then
    say "copying $source_dir"
    (cd "$source_dir" && tar -cf - --exclude=.git .) | tar -C "$tree/src" -xf - >>"$log" 2>&1 || fail "copy failed"
    make -C "$tree/src" mrproper >>"$log" 2>&1 || fail "make mrproper failed"
else
    say "unpacking $SERIES source $version"
    tar -C "$tree/src" --strip-components=1 -xJf "$(tarball_of "$version")" >>"$log" 2>&1 || fail "unpacking failed"
fi
for f in ${extras[@]+"${extras[@]}"}; do        # guest/NAME.c becomes arch/x86/kernel/NAME.o
    cp "$f" "$tree/src/arch/x86/kernel/"
    f=${f##*/}
    printf 'obj-y += %s.o\n' "${f%.c}" >>"$tree/src/arch/x86/kernel/Makefile"
done
# The kernel fills the memory of its own start-up code with a pattern before it frees it. The compiler makes that
# "rep stos", which QEMU emulates slowly: 48 ms of the start. -1 is the same function's word for "no pattern".
poison=$tree/src/arch/x86/mm/init.c
if ! grep -q 'POISON_FREE_INITMEM, what)' "$poison"; then
    say "notice: this source frees its start-up memory in another way; left as it is (starts slower under emulation)"
else
    sed -i 's/POISON_FREE_INITMEM, what)/-1, what)/' "$poison"
fi

# ---- configure ----------------------------------------------------------------------------------
# "CONFIG_X=value   # reason" becomes "CONFIG_X=value"; a variant's line replaces an earlier one.
awk '
    /^[ \t]*(#|$)/ { next }
    !/^CONFIG_[A-Za-z0-9_]+=/ { print FILENAME ":" FNR ": not CONFIG_NAME=value: " $0 > "/dev/stderr"; bad = 1; next }
    {   line = $0; reason = ""
        if (match(line, /[ \t]+#/)) { reason = substr(line, RSTART + RLENGTH); line = substr(line, 1, RSTART - 1) }
        sub(/[ \t]+$/, "", line); name = line; sub(/=.*/, "", name)
        if (reason !~ /[a-zA-Z0-9]/) { print FILENAME ":" FNR ": " name " has no reason" > "/dev/stderr"; bad = 1 }
        if ((name in value) && FILENAME !~ /variant-[^\/]*$/) { print FILENAME ":" FNR ": " name " is asked for twice" > "/dev/stderr"; bad = 1 }
        if (!(name in value)) order[++n] = name
        value[name] = line }
    END { for (i = 1; i <= n; i++) print value[order[i]]; exit bad }
' "${fragments[@]}" >"$tree/asked" 2>>"$log" || fail "the config fragments are wrong"

export KBUILD_BUILD_TIMESTAMP='2025-01-01 00:00:00 UTC' KBUILD_BUILD_USER=msb KBUILD_BUILD_HOST=msb KBUILD_BUILD_VERSION=1
unset MAKEFLAGS MAKELEVEL MFLAGS KCONFIG_CONFIG KBUILD_OUTPUT ARCH CROSS_COMPILE
kmake() { make -C "$tree/src" O="$tree/obj" ARCH=x86_64 CC="$cc" KCFLAGS=-pipe "$@" >>"$log" 2>&1; }

say "configuring"
KCONFIG_ALLCONFIG="$tree/asked" kmake allnoconfig || fail "configuration failed"
if ! awk '
    NR == FNR { if (match($0, /^CONFIG_[A-Za-z0-9_]+=/)) { split($0, p, "="); have[p[1]] = substr($0, RLENGTH + 1) } ; next }
    { name = $0; sub(/=.*/, "", name); want = substr($0, length(name) + 2)
      got = (name in have) ? have[name] : "n"
      if (got != want) { printf "  %s: asked %s, got %s\n", name, want, (name in have) ? got : "n (off, unknown, or something it needs is off)"; bad++ } }
    END { if (bad) { printf "%d options did not end up as asked:\n", bad; exit 1 } }
' "$tree/obj/.config" "$tree/asked" >>"$log"; then
    fail "the kernel's configuration is not what kernel/config asks for"
fi

# ---- build --------------------------------------------------------------------------------------
jobs=${JOBS:-$(nproc)}
say "compiling with $jobs jobs (some minutes)"
kmake -j"$jobs" vmlinux || fail "compilation failed"

say "publishing"
cp "$tree/obj/vmlinux" "$tree/result/vmlinux"
strip --strip-all --remove-section=.comment "$tree/result/vmlinux" >>"$log" 2>&1 || fail "strip failed"
chmod 644 "$tree/result/vmlinux"
cp "$tree/obj/.config" "$tree/result/config"
cp "$tree/obj/System.map" "$tree/result/System.map"
{   printf 'kernel=%s\nsource=%s\ncompiler=%s\nvariant=%s\nrecipe=%s\nkey=%s\nbuild_seconds=%s\n' \
        "$(cat "$tree/obj/include/config/kernel.release")" "$version" "$compiler" "$variant" "$RECIPE" "$key" "$((SECONDS - started))"
} >"$tree/result/VERSION"
mv "$log" "$tree/result/build.log"
sync "$tree"/result/* || true           # these only: the tree's other gigabyte goes away unwritten
rm -rf "${root:?}/$key"                 # only ever an unfinished one
mv -T "$tree/result" "$root/$key"
if [ "$keep_tree" = 1 ]; then mv -T "$tree" "$root/tree-$key"; say "tree kept in $root/tree-$key"; else rm -rf "$tree"; fi
rm -f "$root/failed-$key.log"
say "done in $((SECONDS - started)) s"
finish
