"""The root disk that we make of an image, mounted on the host beside umoci's tree.

Needs root, a kernel with EROFS, umoci; skipped with the reason elsewhere.
"""
import contextlib
import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
import time

import pytest

from conftest import need

CHUNK = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def can_mount():
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    with open("/proc/filesystems") as f:
        if "erofs" not in f.read().split():
            pytest.skip("this kernel has no EROFS")
    need("umoci")
    need("fsck.erofs")


def assemble(home, out):
    """The disk of the only chain in the store, as one file."""
    store = home / "store"
    (chain,) = (store / "chains").glob("*/*")
    meta = json.loads((chain / "chain.json").read_text())
    files = [chain / "fsmeta"]
    for layer in meta["layers"]:
        name = layer["diff_id"].removeprefix("sha256:")
        files.append(store / "layers" / name[:2] / name / "data")
    with open(out, "wb") as disk:
        for path in files:
            with open(path, "rb") as f:
                while data := f.read(CHUNK):
                    if data.strip(b"\0"):
                        disk.write(data)
                    else:
                        disk.seek(len(data), os.SEEK_CUR)
        disk.truncate(disk.tell())


@contextlib.contextmanager
def mounted(disk, folder):
    folder.mkdir()
    subprocess.run(["mount", "-t", "erofs", "-o", "loop,ro", disk, folder],
                   check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def content(path, st):
    if stat.S_ISLNK(st.st_mode):
        return os.readlink(path)
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        return st.st_rdev
    if not stat.S_ISREG(st.st_mode):
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while data := f.read(CHUNK):
            digest.update(data)
    return st.st_size, digest.hexdigest()


def attributes(path):
    return sorted((n, os.getxattr(path, n, follow_symlinks=False))
                  for n in os.listxattr(path, follow_symlinks=False))


def tree(root):
    """path -> everything that can be seen of it."""
    root = os.fsencode(root)
    seen, groups = {}, {}
    folders = [root]
    while folders:
        folder = folders.pop()
        for name in [b"."] if folder == root else []:
            folders_and(root, folder, name, seen, groups, folders)
        for name in os.listdir(folder):
            folders_and(root, folder, name, seen, groups, folders)
    for paths in groups.values():
        for path in paths:
            seen[path] += (sorted(paths),)
    return seen


def folders_and(root, folder, name, seen, groups, folders):
    path = os.path.join(folder, name)
    st = os.lstat(path)
    short = os.path.relpath(path, root)
    seen[short] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns,
                   st.st_nlink, content(path, st), attributes(path))
    if stat.S_ISDIR(st.st_mode):
        if name != b".":
            folders.append(path)
    elif st.st_nlink > 1:
        groups.setdefault(st.st_ino, []).append(short)


def compare(msb, home, layout, tag, tmp_path):
    """Equal in all but the times of folders that umoci touched after making them."""
    started = time.time_ns()
    msb.ok("load", "-q", "-i", layout)
    disk = tmp_path / "disk"
    assemble(home, disk)
    subprocess.run(["fsck.erofs", "-d0", disk], check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:{tag}",
                    tmp_path / "umoci"], check=True, capture_output=True)
    want = tree(tmp_path / "umoci" / "rootfs")
    with mounted(disk, tmp_path / "mnt") as mnt:
        got = tree(mnt)
    assert got.keys() == want.keys()
    for path, seen in want.items():
        if seen[0].startswith("0o4") and seen[3] > started:
            got[path] = got[path][:3] + got[path][4:]
            want[path] = seen[:3] + seen[4:]
    wrong = {p: (got[p], want[p]) for p in want if got[p] != want[p]}
    assert not wrong, list(wrong.items())[:10]
    return got


def test_debian_python_equals_umocis_tree(msb, home, python_image, tmp_path):
    got = compare(msb, home, python_image, "3.11", tmp_path)
    assert len(got) > 5000


def entry(out, name, kind=tarfile.REGTYPE, data=b"", pax=None, **more):
    m = tarfile.TarInfo(name)
    m.type, m.size, m.mtime, m.mode = kind, len(data), 1700000000, 0o644
    if kind == tarfile.DIRTYPE:
        m.mode = 0o755
    m.pax_headers = pax or {}
    for key, value in more.items():
        setattr(m, key, value)
    out.addfile(m, io.BytesIO(data))


def layer_of(path, fill):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        fill(out)


def lower(out):
    d, lnk, sym = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
    entry(out, "./", d)
    for name in ("etc", "gone", "opaque", "opaque/sub", "keep", "swap"):
        entry(out, name, d)
    for name in ("etc/passwd", "gone/a", "opaque/a", "opaque/sub/b", "keep/a",
                 "keep/b", "swap/file-dir", "one"):
        entry(out, name, data=name.encode() * 3)
    entry(out, "two", lnk, linkname="one")
    entry(out, "evil", sym, linkname="/etc")
    entry(out, "setuid", data=b"x", mode=0o6755, uid=1000, gid=3000000)
    entry(out, "dev", tarfile.CHRTYPE, devmajor=1, devminor=300)
    entry(out, "fifo", tarfile.FIFOTYPE)
    entry(out, "old", data=b"o" * 1024, pax={"mtime": "-1.25"})
    entry(out, "edge", data=b"e" * 1025, pax={"mtime": "1.999999999"})
    entry(out, "page", data=b"p" * 4096)
    entry(out, "zeros", data=bytes(300000) + b"end")
    entry(out, "attr", data=b"a", pax={
        "SCHILY.xattr.user.name": "value",
        "SCHILY.xattr.user.long": "v" * 3000,
        "SCHILY.xattr.security.capability":
            b"\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".decode()})
    entry(out, "n" * 255, data=b"long name")
    entry(out, "link", sym, linkname="l" * 1000)
    entry(out, "many", d)
    for i in range(2000):
        entry(out, f"many/{'m' * (i % 90)}{i}", data=b"f" * (i % 1300))
    for c in "!#+,-.0~":
        entry(out, f"many/{c}{c}{c}", data=c.encode())


def upper(out):
    d, lnk = tarfile.DIRTYPE, tarfile.LNKTYPE
    entry(out, "gone/.wh.a")
    entry(out, ".wh.gone")
    entry(out, "opaque", d, mode=0o700)
    entry(out, "opaque/.wh..wh..opq")
    entry(out, "opaque/new", data=b"new")
    entry(out, "keep", d, mode=0o711)
    entry(out, "keep/.wh.b")
    entry(out, "swap/file-dir", d)
    entry(out, "swap/file-dir/in", data=b"in")
    entry(out, "three", lnk, linkname="one")
    entry(out, "evil/pwn", data=b"inside")


@pytest.fixture
def torture_image(tmp_path):
    layout = tmp_path / "layout"
    run = ["umoci"]
    subprocess.run([*run, "init", "--layout", layout], check=True)
    subprocess.run([*run, "new", "--image", f"{layout}:t"], check=True)
    for i, fill in enumerate((lower, upper)):
        path = tmp_path / f"layer{i}.tar"
        layer_of(path, fill)
        subprocess.run([*run, "raw", "add-layer", "--image", f"{layout}:t",
                        path], check=True)
    return layout


def test_torture_image_equals_umocis_tree(msb, home, torture_image, tmp_path):
    got = compare(msb, home, torture_image, "t", tmp_path)
    assert b"etc/pwn" in got and b"gone" not in got
    assert got[b"one"][4] == 3
