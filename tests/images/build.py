#!/usr/bin/python3
"""Build the images that the end-to-end tests use, once, and print the folder.

    tests/images/build.py [--busybox-only]

    python   a Debian with python3: a base layer and a python layer (the
             difference of two mmdebstrap runs), and a layer with everything
             that layers can do to each other. An OCI layout made by umoci.
    busybox  the demo image (tools/demo-image.py).

Kept under ~/.cache/microsandbox/test-images/<hash of these scripts>.
"""
import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SCRIPTS = [os.path.join(HERE, "build.py"), os.path.join(HERE, "oci.py"),
           os.path.join(TOP, "tools", "demo-image.py")]
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{d}/*"
        for d in ("man", "doc", "locale", "info")]


def cache_folder():
    base = os.environ.get("MSB_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
        "microsandbox")
    key = hashlib.sha256()
    for path in SCRIPTS:
        with open(path, "rb") as f:
            key.update(f.read())
    return os.path.join(base, "test-images", key.hexdigest()[:20])


def run(*cmd):
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True)
    if r.returncode != 0:
        sys.exit(f"{' '.join(cmd)}:\n{r.stdout[-4000:]}")


def mmdebstrap(out, *packages):
    extra = ["--include=" + ",".join(packages)] if packages else []
    run("mmdebstrap", "--variant=minbase", *SLIM, *extra, "bookworm", out)


def identity(tar, m):
    """What makes an entry the same in two trees."""
    data = hashlib.sha256(tar.extractfile(m).read()).digest() \
        if m.isreg() else b""
    return (m.type, m.mode, m.uid, m.gid, m.size, m.linkname,
            m.mtime if m.isreg() else 0, data)


def difference(old_path, new_path, out_path):
    """A layer that makes the tree of `new` from that of `old`."""
    with tarfile.open(old_path) as old, tarfile.open(new_path) as new, \
            tarfile.open(out_path, "w", format=tarfile.PAX_FORMAT) as out:
        before = {m.name: identity(old, m) for m in old}
        after = set()
        for m in new:
            after.add(m.name)
            if before.get(m.name) != identity(new, m):
                out.addfile(m, new.extractfile(m) if m.isreg() else None)
        gone = {n for n in before if n not in after
                and os.path.dirname(n) in after}
        for name in sorted(gone):
            folder, base = os.path.split(name)
            out.addfile(tarfile.TarInfo(os.path.join(folder, ".wh." + base)))


class TarWriter:
    def __init__(self):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w",
                                format=tarfile.PAX_FORMAT)

    def add(self, name, data=None, mode=0o644, kind=None, link="", uid=0,
            gid=0, mtime=1234567890, xattrs=None, dev=(0, 0)):
        t = tarfile.TarInfo(name)
        t.type = kind or tarfile.REGTYPE
        t.mode, t.linkname, t.uid, t.gid, t.mtime = mode, link, uid, gid, mtime
        t.devmajor, t.devminor = dev
        t.size = len(data or b"")
        for key, value in (xattrs or {}).items():
            t.pax_headers["SCHILY.xattr." + key] = value
        self.tar.addfile(t, io.BytesIO(data) if data else None)

    def dir(self, name, **kw):
        self.add(name, kind=tarfile.DIRTYPE, **{"mode": 0o755, **kw})

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def first_torture_layer():
    """What the next layer hides, replaces and links to."""
    t = TarWriter()
    t.dir("torture")
    for folder in ("opaque", "whiteout", "dir-to-file", "kept"):
        t.dir(f"torture/{folder}")
        t.add(f"torture/{folder}/old", b"old " + folder.encode())
        t.add(f"torture/{folder}/other", b"other")
    t.dir("torture/opaque/sub")
    t.add("torture/opaque/sub/deep", b"deep")
    t.dir("torture/whole-tree-gone/a/b")
    t.add("torture/whole-tree-gone/a/b/c", b"c")
    t.add("torture/file-to-dir", b"a file")
    t.add("torture/file-to-link", b"a file")
    t.add("torture/link-target", b"the target", mode=0o600)
    t.add("torture/link-to-dir", kind=tarfile.SYMTYPE, link="kept")
    t.add("torture/hard-1", b"three names", mode=0o640)
    t.add("torture/hard-2", kind=tarfile.LNKTYPE, link="torture/hard-1")
    t.add("torture/hard-3", kind=tarfile.LNKTYPE, link="torture/hard-1")
    return t.bytes()


def second_torture_layer():
    """Everything that a layer can do."""
    t = TarWriter()
    t.add("torture/whiteout/.wh.old")
    t.add("torture/.wh.whole-tree-gone")
    t.dir("torture/opaque", mode=0o750)
    t.add("torture/opaque/new", b"new")
    t.add("torture/opaque/.wh..wh..opq")
    t.add("torture/dir-to-file", b"now a file")
    t.dir("torture/file-to-dir", mode=0o700)
    t.add("torture/file-to-dir/inside", b"inside")
    t.add("torture/file-to-link", kind=tarfile.SYMTYPE, link="link-target")
    t.add("torture/hard-to-lower", kind=tarfile.LNKTYPE,
          link="torture/link-target")
    t.add("torture/.wh.hard-2")
    t.add("torture/link-to-dir/through-a-link", b"lands in kept")
    t.add("torture/setuid", b"#!/bin/true\n", mode=0o4755)
    t.add("torture/setgid", b"#!/bin/true\n", mode=0o2755, gid=5)
    t.dir("torture/sticky", mode=0o1777)
    t.add("torture/owned", b"x", uid=1234, gid=4321, mode=0o000)
    t.add("torture/big-ids", b"x", uid=4000000, gid=70000)
    t.add("torture/xattr", b"x" * 5000, xattrs={
        "user.one": "1", "user.long": "v" * 3000, "trusted.t": "t"})
    t.add("torture/capability", b"x", mode=0o755, xattrs={
        "security.capability": bytes.fromhex(
            "0100000200040000000000000000000000000000").decode("latin-1")})
    t.add("torture/chr", kind=tarfile.CHRTYPE, dev=(1, 3), mode=0o666)
    t.add("torture/blk", kind=tarfile.BLKTYPE, dev=(7, 300), mode=0o660)
    t.add("torture/fifo", kind=tarfile.FIFOTYPE, mode=0o622)
    t.add("torture/gr\u00fc\u00dfe \u4e16\u754c \U0001f600", b"utf-8")
    t.add("torture/" + "n" * 255, b"longest name")
    t.dir("torture/" + "/".join(["d" * 100] * 8))
    t.add("torture/" + "/".join(["d" * 100] * 8) + "/leaf", b"deep path")
    t.add("torture/target-of-4000", kind=tarfile.SYMTYPE, link="l/" * 2000)
    t.add("torture/empty")
    t.add("torture/before-1970", b"x", mtime=-86400.5)
    t.add("torture/nanoseconds", b"x", mtime=1600000000.123456)
    t.add("torture/zeros", b"\0" * (1 << 20) + b"end")
    for size in (1, 511, 1023, 1024, 1025, 4095, 4096, 4097, 8193):
        t.add(f"torture/size-{size}", bytes(i % 251 for i in range(size)))
    t.dir("torture/many")
    for i in range(1500):
        t.add(f"torture/many/{i:05}-{'x' * (i % 40)}", str(i).encode())
    return t.bytes()


def umoci_image(layout, name, layers):
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:{name}")
    for layer in layers:
        run("umoci", "raw", "add-layer", "--image", f"{layout}:{name}", layer)
    run("umoci", "config", "--image", f"{layout}:{name}",
        "--config.cmd", "python3", "--config.env", "LANG=C.UTF-8",
        "--config.env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
        "/usr/bin:/sbin:/bin")


def build_python(out, tmp):
    base, full = os.path.join(tmp, "1.tar"), os.path.join(tmp, "full.tar")
    mmdebstrap(base)
    mmdebstrap(full, "python3-minimal", "libpython3-stdlib")
    layers = [base] + [os.path.join(tmp, f"{i}.tar") for i in (2, 3, 4)]
    difference(base, full, layers[1])
    for path, data in ((layers[2], first_torture_layer()),
                       (layers[3], second_torture_layer())):
        with open(path, "wb") as f:
            f.write(data)
    umoci_image(os.path.join(out, "python"), "3.11", layers)


def build_busybox(out, _):
    run(sys.executable, os.path.join(TOP, "tools", "demo-image.py"),
        os.path.join(out, "busybox"), "busybox:latest")


def build_one(folder, name, build):
    final = os.path.join(folder, name)
    if os.path.isdir(final):
        return
    print(f"building the test image {name}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as tmp:
        out = os.path.join(tmp, "out")
        os.mkdir(out)
        build(out, tmp)
        os.rename(os.path.join(out, name), final)


def main():
    folder = cache_folder()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_one(folder, "busybox", build_busybox)
        if "--busybox-only" not in sys.argv and shutil.which("mmdebstrap"):
            build_one(folder, "python", build_python)
    print(folder)


if __name__ == "__main__":
    main()
