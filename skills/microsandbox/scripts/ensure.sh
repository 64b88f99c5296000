#!/bin/sh
# Make sure that a sandbox of this name is there and runs: ensure.sh NAME IMAGE [OPTIONS of msb create]
set -eu
if [ $# -lt 2 ]; then
	echo "usage: ensure.sh NAME IMAGE [OPTIONS of msb create]" >&2
	exit 2
fi
name=$1
image=$2
shift 2
if msb ls -q | grep -qxF -- "$name"; then
	msb start -q "$name" 2>/dev/null || msb start "$name"
else
	msb create -q -n "$name" "$@" "$image" >/dev/null
fi
msb ping -q "$name"
echo "$name runs"
