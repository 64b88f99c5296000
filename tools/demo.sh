#!/bin/sh
# The first machine: an image from Debian's busybox-static, no registry.
set -eu
build=$1
top=$(cd "$(dirname "$0")/.." && pwd)
image=$build/demo-image
[ -f "$image/index.json" ] || "$top/tools/demo-image.py" "$image"
"$build/msb" doctor || true
echo
echo "\$ msb load -i $image"
"$build/msb" load -i "$image"
echo "\$ msb run microsandbox/demo -- echo 'Hello from a microVM'"
"$build/msb" run microsandbox/demo -- echo "Hello from a microVM"
