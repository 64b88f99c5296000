#!/usr/bin/env python3
"""Seeds of the image fuzz targets: one well-formed input for each path.

Run in tests/fuzz; writes corpus/{tar,index,inflate}/seed-*.
"""
import gzip
import io
import os
import struct
import subprocess
import tarfile

FIX = b"\x01"  # checksums made right, all in one piece
PIECES = b"\x1f"


def write(target, name, data):
    os.makedirs(f"corpus/{target}", exist_ok=True)
    with open(f"corpus/{target}/seed-{name}", "wb") as f:
        f.write(data)


def member(name, kind, content=b"", **more):
    m = tarfile.TarInfo(name)
    m.type, m.size, m.mtime = kind, len(content), 1700000000
    for key, value in more.items():
        setattr(m, key, value)
    return m, content


def archive(fmt, members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        for m, content in members:
            t.addfile(m, io.BytesIO(content))
    return out.getvalue()


def trimmed(data):
    """Without the zeros that fill the last record."""
    return data.rstrip(b"\0") + bytes(-len(data.rstrip(b"\0")) % 512 + 1024)


KINDS = [
    member("d/", tarfile.DIRTYPE),
    member("d/f", tarfile.REGTYPE, b"hello"),
    member("s", tarfile.SYMTYPE, linkname="d/f"),
    member("h", tarfile.LNKTYPE, linkname="d/f"),
    member("c", tarfile.CHRTYPE, devmajor=1, devminor=3),
    member("p", tarfile.FIFOTYPE),
    member("d/.wh.gone", tarfile.REGTYPE),
    member("d/.wh..wh..opq", tarfile.REGTYPE),
]
LONG = [member("n" * 150, tarfile.SYMTYPE, linkname="l" * 150),
        member("big", tarfile.REGTYPE, uid=5000000, mtime=-3)]
PAX = [member("x", tarfile.REGTYPE, b"hello", pax_headers={
    "path": "a/b", "mtime": "-1.25", "uid": "3000000",
    "SCHILY.xattr.user.a": "value",
    "SCHILY.xattr.trusted.overlay.opaque": "y"})]
SPARSE = [
    member("s", tarfile.REGTYPE, b"hellobye", pax_headers={
        "GNU.sparse.size": "40", "GNU.sparse.map": "5,5,30,3",
        "GNU.sparse.name": "t"}),
    member("s", tarfile.REGTYPE,
           b"2\n5\n5\n30\n3\n".ljust(512, b"\0") + b"hellobye",
           pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                        "GNU.sparse.realsize": "40",
                        "GNU.sparse.name": "t"}),
]


def old_sparse():
    m, _ = member("s", b"S", b"hellobye")
    h = bytearray(m.tobuf(tarfile.GNU_FORMAT)[:512])
    h[386:410] = b"00000000005\00000000000005\0"
    h[410:434] = b"00000000036\00000000000003\0"
    h[483:495] = b"00000000050\0"
    return bytes(h) + b"hellobye".ljust(512, b"\0") + bytes(1024)


def index(entries, pool):
    out = bytes([len(entries)])
    for e in entries:
        d = dict(path=(0, 0), link=(0, 0), xattr=(0, 0), uid=0, gid=0, ns=0,
                 rdev=0, mode=0o644, type=1, flags=0, mtime=0, size=0,
                 block=0)
        d.update(e)
        out += struct.pack("<10IHBBIqQQ", *d["path"], *d["link"], *d["xattr"],
                           d["uid"], d["gid"], d["ns"], d["rdev"], d["mode"],
                           d["type"], d["flags"], 0, d["mtime"], d["size"],
                           d["block"])
    return out + pool


def indexes():
    pool = b"d/f" + b"s" + b"\x06\x01\x00user.ax" + b"../d"
    d, f, s = (0, 1), (0, 3), (3, 1)
    x, link = (4, 10), (14, 4)
    write("index", "tree", index([
        dict(path=d, type=2, mode=0o755, xattr=x),
        dict(path=f, type=1, size=5000, block=3),
        dict(path=s, type=3, link=link)], pool))
    write("index", "inline", index([
        dict(path=f, type=1, size=4, flags=1, link=link),
        dict(path=s, type=7, link=f)], pool))
    write("index", "marks", index([
        dict(path=f, type=8), dict(path=d, type=9),
        dict(path=s, type=4, rdev=259), dict(path=d, type=6)], pool))


def main():
    for name, fmt in (("ustar", tarfile.USTAR_FORMAT),
                      ("gnu", tarfile.GNU_FORMAT),
                      ("pax", tarfile.PAX_FORMAT)):
        write("tar", name, FIX + trimmed(archive(fmt, KINDS)))
    write("tar", "long-gnu", FIX + trimmed(archive(tarfile.GNU_FORMAT, LONG)))
    write("tar", "long-pax", PIECES +
          trimmed(archive(tarfile.PAX_FORMAT, LONG)))
    write("tar", "values", FIX + trimmed(archive(tarfile.PAX_FORMAT, PAX)))
    for i, m in enumerate(SPARSE):
        write("tar", f"sparse-{i}", FIX +
              trimmed(archive(tarfile.PAX_FORMAT, [m])))
    write("tar", "sparse-old", FIX + old_sparse())
    indexes()
    small = trimmed(archive(tarfile.USTAR_FORMAT, KINDS[:2]))
    z = subprocess.run(["zstd", "-q", "-c"], input=small, check=True,
                       capture_output=True).stdout
    g = gzip.compress(small, mtime=0)
    for name, data in (("gzip", g), ("zstd", z), ("members", g + g),
                       ("frames", b"\x50\x2a\x4d\x18\1\0\0\0x" + z + z),
                       ("plain", small[:600])):
        write("inflate", name, b"\0" + data)
        write("inflate", name + "-pieces", b"\x13" + data)


if __name__ == "__main__":
    main()
