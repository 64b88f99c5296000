#!/bin/sh
# build.sh [OUT]: compile the addon and the TypeScript into OUT (default: a
# cache): OUT/{package.json,dist,prebuilt}. Only what changed. Prints OUT.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/microsandbox/sdk-node
out=${1:-$cache/build}
tools=$cache/tools-1
mkdir -p "$cache" "$out/prebuilt/linux-x64"
exec 9>"$cache/lock"
flock 9

if [ ! -e "$tools/ok" ]; then
	rm -rf "$tools"
	mkdir -p "$tools"
	echo '{"private": true}' >"$tools/package.json"
	(cd "$tools" && npm install --silent --no-audit --no-fund \
		--ignore-scripts --save-exact node-api-headers@1.9.0 \
		typescript@5.9.3 @types/node@20.19.25 >&2)
	touch "$tools/ok"
fi

# A sum of what goes in decides, not times: a checkout changes these.
stamp() {
	cat "$@" | sha256sum | cut -c1-64
}

want=$(stamp "$here"/native/*.[ch] "$top"/include/*.h \
	"$top"/include/microsandbox/*.h "$here/build.sh")
if [ "$want" != "$(cat "$out/prebuilt/stamp" 2>/dev/null)" ]; then
	"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE ${CFLAGS:--O2 -g} -Wall -Wextra \
		-Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
		-Wpointer-arith -Wvla -Wformat=2 -fPIC -fvisibility=hidden \
		-fstack-protector-strong -shared -Wl,-z,relro,-z,now \
		-I"$here/native" -I"$top/include" \
		-isystem "$tools/node_modules/node-api-headers/include" \
		-o "$out/prebuilt/linux-x64/microsandbox.node" \
		"$here"/native/*.c -lpthread -ldl
	echo "$want" >"$out/prebuilt/stamp"
fi

want=$(stamp "$here"/src/* "$here/package.json" "$here/tsconfig.json" \
	"$here/build.sh")
if [ "$want" != "$(cat "$out/stamp" 2>/dev/null)" ]; then
	rm -rf "$out/dist"
	cp "$here/package.json" "$out/package.json"
	"$tools/node_modules/.bin/tsc" -p "$here/tsconfig.json" \
		--typeRoots "$tools/node_modules/@types" \
		--outDir "$out/dist" >&2
	echo "$want" >"$out/stamp"
fi
echo "$out"
