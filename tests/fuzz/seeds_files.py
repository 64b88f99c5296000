#!/usr/bin/python3
"""Seeds of fuzz_file_lib and fuzz_file_agent: whole sessions, as src/proto/proto.h has them."""
import pathlib
import struct

TOP = pathlib.Path(__file__).parent / "corpus"
REQ, ENTRY, DATA, DONE = 32, 33, 34, 35
REG, DIR, LNK, FIFO = 0o100644, 0o40755, 0o120777, 0o10600


def frame(number, payload):
    return struct.pack("<IHH", len(payload), number, 0) + payload


def text(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<I", len(b)) + b + b"\0"


def blob(b):
    return struct.pack("<I", len(b)) + b


def req(op, path="", path2="", flags=0, mode=0, uid=0, gid=0, offset=0, length=0):
    return frame(REQ, struct.pack("<B", op) + text(path) + text(path2) +
                 struct.pack("<IIIIQQ", flags, mode, uid, gid, offset, length))


def entry(path, mode, target="", kind=0, nlink=1, size=0, xattrs=b""):
    return frame(ENTRY, text(path) + text(target) + struct.pack(
        "<BIIIIIIQQQI", kind, mode, 0, 0, nlink, 0, 0, size, size, 1600000000, 5) + blob(xattrs))


def data(offset, content):
    return frame(DATA, struct.pack("<Q", offset) + blob(content))


def done(error=0, message=""):
    return frame(DONE, struct.pack("<i", error) + text(message) + struct.pack("<Q", 1))


XATTR = struct.pack("<BH", 9, 2) + b"user.note" + b"hi"
CONTENT = entry("", REG, size=7) + data(0, b"abc") + data(5, b"fg") + data(7, b"")
TREE = (entry("", DIR) + entry("a", DIR, xattrs=XATTR) + entry("a/b", REG, nlink=2, size=3, xattrs=XATTR) +
        data(0, b"xyz") + data(3, b"") + entry("a/h", REG, "a/b", kind=1, nlink=2) + entry("l", LNK, "../secret") +
        entry("p", FIFO) + entry("z", DIR))
LIST = entry("a", REG) + entry("b\n", LNK, "t")
LAYER = entry("", DIR) + entry("d", DIR, kind=3) + entry("d/w", 0o20000, kind=2) + entry("f", REG, size=1) + \
    data(0, b"1") + data(1, b"")

lib = {
    "content": bytes([0]) + CONTENT + done(), "stat": bytes([1]) + entry("", REG) + done(),
    "list": bytes([2]) + LIST + done(), "tree": bytes([3]) + TREE + done(), "tar": bytes([4]) + TREE + done(),
    "layer": bytes([5]) + LAYER + done(), "failed": bytes([3]) + TREE + done(5, "disk"),
    "cut": bytes([3]) + TREE[:-20], "ping": bytes([2]) + frame(7, struct.pack("<Q", 0)) + LIST + done(),
    "cooked": bytes([0x83, 0, 0, 1, 0, 2, 5, 2, 1, 0, 7, 0, 3, 1, 0, 0, 4, 15]),
    "cooked-hard": bytes([0x84, 0, 0, 1, 0, 0, 1, 0x80, 4, 1, 0, 0, 3, 1, 3, 0, 0, 2, 2, 8, 3, 15]),
}
agent = {"stat": req(1, "f"), "list": req(2, "d"), "mkdir": req(3, "x/y", flags=2), "remove": req(4, "d", flags=2),
         "rename": req(5, "f", "g"), "chmod": req(6, "f", mode=0o600), "chown": req(7, "l", flags=1),
         "symlink": req(8, "s", "f"), "copy": req(9, "d", "x"), "copy-into": req(9, "d", "d/e"),
         "read": req(10, "f", offset=3, length=9), "fifo": req(10, "p"), "round": req(11, "round") + data(0, b"x"),
         "write": req(11, "l/n", mode=0o600) + data(0, b"abc") + data(9, b"z") + done(),
         "append": req(11, "f", flags=4) + data(0, b"abc") + done(), "tree-read": req(12, "d"),
         "tree-write": req(13, ".", "t", flags=64) + TREE + done(), "content": req(13, "d", "t", flags=384) + TREE + done(),
         "upper": req(14)}

for folder, seeds in (("file_lib", lib), ("file_agent", agent)):
    (TOP / folder).mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (TOP / folder / name).write_bytes(content)
