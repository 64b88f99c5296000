#!/bin/sh
# package.sh BUNDLE OUT: OUT/microsandbox-0.1.0.tgz, with the runtime folder
# BUNDLE (of tools/bundle.py) and the compiled addon: installing it runs no
# script and needs no compiler.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bundle=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
stage=$(mktemp -d "${TMPDIR:-/tmp}/msb-node.XXXXXX")
trap 'rm -rf "$stage"' EXIT

built=$("$here/build.sh")
mkdir -p "$stage/prebuilt/linux-x64"
cp -R "$built/package.json" "$built/dist" "$stage/"
strip -o "$stage/prebuilt/linux-x64/microsandbox.node" \
	"$built/prebuilt/linux-x64/microsandbox.node"
cp -RL "$bundle" "$stage/runtime"
cp "$here/README.md" "$here/../../LICENSE" "$stage/"
cd "$stage"
npm pack --silent --ignore-scripts --pack-destination "$out" >/dev/null
ls "$out/microsandbox-0.1.0.tgz"
