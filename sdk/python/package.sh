#!/bin/sh
# package.sh BUNDLE OUT: the wheel of this package in the folder OUT, with the folder BUNDLE (by
# tools/bundle.py) as its runtime.
set -e
exec "${PYTHON:-python3}" "$(dirname "$0")/tools/make_wheel.py" "$1" "$2"
