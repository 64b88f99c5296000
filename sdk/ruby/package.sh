#!/bin/sh
# package.sh BUNDLE OUT       the gem of this platform, with its parts inside
# package.sh --source OUT     the gem that compiles, without them
#
# RUBIES names the programs whose versions of Ruby the gem is for (ruby). To
# install a platform gem needs neither a compiler nor anything else.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$2
mkdir -p "$out"
out=$(cd "$out" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

cp -R "$here/lib" "$here/ext" "$here/microsandbox.gemspec" \
	"$here/README.md" "$top/LICENSE" "$stage"
[ ! -d "$here/sig" ] || cp -R "$here/sig" "$stage"
rm -rf "$stage/lib/microsandbox/runtime"
mkdir -p "$stage/ext/microsandbox/include"
cp -R "$top/include/." "$stage/ext/microsandbox/include"

compile() {
	abi=$($1 -e 'print RUBY_VERSION[/\A\d+\.\d+/]')
	mkdir "$stage/build-$abi"
	(cd "$stage/build-$abi" &&
		$1 "$stage/ext/microsandbox/extconf.rb" && make) \
		>"$stage/log" 2>&1 || {
		cat "$stage/log" >&2
		exit 1
	}
	mkdir "$stage/lib/microsandbox/$abi"
	strip --strip-unneeded -o "$stage/lib/microsandbox/$abi/microsandbox.so" \
		"$stage/build-$abi/microsandbox.so"
	abis="$abis $abi"
}

abis=
if [ "$1" != --source ]; then
	for ruby in ${RUBIES:-ruby}; do
		compile "$ruby"
	done
	cp -RL "$1" "$stage/lib/microsandbox/runtime"
fi
cd "$stage"
# One source, one gem: the time in it is that of the last commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
MSB_GEM_ABIS=$abis gem build --silent microsandbox.gemspec
mv ./*.gem "$out"
