#!/usr/bin/python3
"""The last part of `make install`: write down what was put in place, for `msb self uninstall`.

    install-list.py BUILD ROOT      ROOT is DESTDIR and PREFIX together

PREFIX/libexec/microsandbox/installed.json names each file, relative to PREFIX, with the SHA-256 of its content (or the
target of a link), so that what somebody put in its place later is left alone.
"""
import hashlib
import json
import os
import pathlib
import sys

OWN = "libexec/microsandbox"


def describe(root, path):
    full = root / path
    if full.is_symlink():
        return {"path": path, "link": os.readlink(full)}
    return {"path": path, "sha256": hashlib.sha256(full.read_bytes()).hexdigest()}


def main():
    build, root = pathlib.Path(sys.argv[1]), pathlib.Path(os.path.abspath(sys.argv[2]))
    log = (build / "meson-logs/install-log.txt").read_text().splitlines()
    paths = [os.path.relpath(line, root) for line in log if line and not line.startswith("#")]
    paths += [f"{OWN}/{name}" for name in ("vmlinux", "cmdline")]
    files = [describe(root, p) for p in sorted(set(paths)) if not (root / p).is_dir() or (root / p).is_symlink()]
    out = root / OWN / "installed.json"
    tmp = out.with_suffix(".tmp")
    tmp.write_text(json.dumps({"version": 1, "files": files}, indent=1) + "\n")
    os.chmod(tmp, 0o644)
    tmp.rename(out)


if __name__ == "__main__":
    main()
