"""Ten thousand odd archives: what we accept, Python's and GNU's readers see the same.

Where readers differ an attacker shows one tree to a scanner and another to the
sandbox, so such an archive must be refused.
"""
import io
import os
import pathlib
import random
import struct
import subprocess
import tarfile

import pytest

SEED = int(os.environ.get("MSB_TAR_SEED", "1"))
ARCHIVES = int(os.environ.get("MSB_TAR_ARCHIVES", "10000"))
GNU_EVERY = 20  # a process for each costs more
KINDS = [tarfile.REGTYPE] * 6 + [tarfile.DIRTYPE, tarfile.SYMTYPE,
                                 tarfile.LNKTYPE, tarfile.FIFOTYPE]
NAMES = ["a", "dir/b", "n" * 99, "n" * 100, "n" * 101, "p" * 60 + "/" +
         "q" * 60, "x" * 300, "é", "with space"]


@pytest.fixture(scope="module")
def lister():
    build = pathlib.Path(os.environ.get("MSB_TEST_BUILD",
                                        pathlib.Path(__file__).parents[2] /
                                        "build"))
    path = build / "tests/unit/image/tar-list"
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return path


def number(rnd, value, width):
    """A numeric field in one of the ways archivers write it."""
    form = rnd.randrange(5)
    if form == 0:
        return b"%0*o\0" % (width - 1, value)
    if form == 1:
        return b"%*o " % (width - 1, value)
    if form == 2:
        return b"\x80" + value.to_bytes(width - 1, "big")
    if form == 3:
        return (b"%o\0" % value).ljust(width, b"\0")
    return b"%0*o" % (width, value)


def checksum(h):
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(h)


def header(rnd, name, kind, size, link=""):
    h = bytearray(512)
    h[0:100] = name.encode()[:100].ljust(100, b"\0")
    h[100:108] = number(rnd, rnd.choice([0o644, 0o755, 0o4755]), 8)
    h[108:116] = number(rnd, rnd.choice([0, 1000, 2097151]), 8)
    h[116:124] = number(rnd, rnd.choice([0, 5]), 8)
    h[124:136] = number(rnd, size, 12)
    h[136:148] = number(rnd, rnd.choice([0, 1700000000]), 12)
    h[156:157] = kind
    h[157:257] = link.encode()[:100].ljust(100, b"\0")
    magic = rnd.choice([b"ustar\0" b"00", b"ustar\0" b"00", b"ustar  \0",
                        bytes(8)])
    h[257:265] = magic
    if magic == b"ustar\0" b"00" and rnd.random() < 0.2:
        h[345:350] = b"prefi"
    checksum(h)
    return h


def padded(data):
    return data + bytes(-len(data) % 512)


def record(key, value):
    rest = len(key) + len(value) + 3
    n = rest + 1
    while len(str(n)) + rest != n:
        n = rest + len(str(n))
    return b"%d %s=%s\n" % (n, key, value)


def pax(rnd, size):
    """An extended header, in one of four cases with something odd in it."""
    choices = [(b"path", b"from/pax"), (b"path", "ü".encode() * 80),
               (b"mtime", b"1700000000.5"), (b"mtime", b"1"),
               (b"uid", b"3000000"), (b"gid", b"7"), (b"comment", b"c"),
               (b"size", b"%d" % size), (b"size", b"%d" % size),
               (b"linkpath", b"pax/link"),
               (b"SCHILY.xattr.user.a", b"v\0v")]
    odd = [(b"size", b"%d" % (size + rnd.choice([-1, 1, 512, 1024]))),
           (b"size", b"-1"), (b"size", b""), (b"path", b""),
           (b"mtime", b"x"), (b"path", b"nul\0nul"), (b"uid", b"1x")]
    picked = rnd.sample(choices, rnd.randrange(1, 4))
    if rnd.random() < 0.25:
        picked.append(rnd.choice(odd))
    body = b"".join(record(k, v) for k, v in picked)
    if rnd.random() < 0.05:
        body = body[:rnd.randrange(len(body))]
    kind = b"g" if rnd.random() < 0.05 else b"x"
    return bytes(header(rnd, "pax", kind, len(body))) + padded(body)


def member(rnd):
    kind = rnd.choice(KINDS)
    size = rnd.choice([0, 1, 511, 512, 513, 2000]) \
        if kind == tarfile.REGTYPE else 0
    out = b""
    if rnd.random() < 0.4:
        out += pax(rnd, size)
    if rnd.random() < 0.2:
        name = rnd.choice(NAMES).encode() + b"\0"
        out += bytes(header(rnd, "././@LongLink", rnd.choice([b"L", b"K"]),
                            len(name))) + padded(name)
    if rnd.random() < 0.05:
        out += pax(rnd, size)
    claimed = size
    if rnd.random() < 0.05:
        claimed = rnd.choice([0, size + 512, 7])
    h = header(rnd, rnd.choice(NAMES), kind, claimed,
               "target" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else "")
    if rnd.random() < 0.03:  # not in the prefix: Python reads GNU's times there
        h[rnd.randrange(345)] ^= 1 << rnd.randrange(8)
        if rnd.random() < 0.7:
            checksum(h)
    content = bytes(rnd.randrange(256) for _ in range(min(size, 20)))
    return out + bytes(h) + padded(content.ljust(size, b"z"))


def archive(rnd):
    out = b"".join(member(rnd) for _ in range(rnd.randrange(1, 5)))
    form = rnd.random()
    if form < 0.9:
        return out + bytes(1024)
    if form < 0.95:
        return out
    return out[:rnd.randrange(len(out))]


def ours(lister, archives):
    data = b"".join(struct.pack("<I", len(a)) + a for a in archives)
    text = subprocess.run([lister], input=data, capture_output=True,
                          check=True).stdout.decode()
    found, entries = [], []
    for line in text.splitlines():
        if line.startswith("refused: "):
            found.append(None)
        elif line == "ok":
            found.append(entries)
        else:
            entries.append(line.split())
            continue
        entries = []
    assert len(found) == len(archives)
    return found


def position_sum(data):
    return sum((i + 1) * b for i, b in enumerate(data)) % (1 << 64)


def pythons(data):
    """The entries, or None: that it refuses more than we is no harm."""
    try:
        return python_entries(data)
    except tarfile.ReadError:
        return None


def python_entries(data):
    seen = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:",
                      encoding="utf-8", errors="surrogateescape") as t:
        for m in t:
            content = t.extractfile(m).read() if m.isreg() else b""
            seen.append((m.name, m.linkname if m.issym() or m.islnk() else "",
                         m.mode & 0o7777, m.uid, m.gid, float(m.mtime),
                         m.size if m.isreg() else 0, position_sum(content)))
    return seen


def text(hexed):
    return bytes.fromhex(hexed[1:]).decode("utf-8", "surrogateescape")


def as_python(entry):
    _, path, link, mode, uid, gid, mtime, size, total = entry
    return (text(path).rstrip("/"), text(link), int(mode, 8), int(uid),
            int(gid), float(mtime), int(size), int(total))


def gnu_names(data):
    r = subprocess.run(["tar", "-tf", "-", "--quoting-style=literal"],
                       input=data, capture_output=True)
    assert r.returncode == 0, r.stderr
    return r.stdout.decode("utf-8", "surrogateescape").splitlines()


def test_what_we_accept_others_see_too(lister):
    rnd = random.Random(SEED)
    archives = [archive(rnd) for _ in range(ARCHIVES)]
    accepted = checked = 0
    for i, (data, found) in enumerate(zip(archives, ours(lister, archives))):
        if not found:
            continue
        accepted += 1
        assert pythons(data) in (None, [as_python(e) for e in found]), \
            f"seed {SEED}, archive {i}"
        if accepted % GNU_EVERY == 0:
            names = [text(e[1]).rstrip("/") for e in found]
            assert [n.rstrip("/") for n in gnu_names(data)] == names, \
                f"seed {SEED}, archive {i}"
            checked += 1
    assert accepted > ARCHIVES / 4 and checked > accepted / 40
