#!/usr/bin/env python3
"""Seeds of the fuse target: one well-formed session for each operation.

Run in tests/fuzz; writes corpus/fuse/seed-*. The form is fuzz_fuse.c's.
Nodes 0 and 1 are the shares, what is looked up next is 2, 3, ...
"""
import os
import struct

LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK = 1, 2, 3, 4, 5, 6
MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE = range(8, 17)
STATFS, RELEASE, FSYNC, SETXATTR, GETXATTR, LISTXATTR = 17, 18, 20, 21, 22, 23
REMOVEXATTR, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR = 24, 27, 28, 29, 30
CREATE, DESTROY, BATCH, FALLOCATE, PLUS, RENAME2 = 35, 38, 42, 43, 44, 45
LSEEK, COPY, SYNCFS, TMPFILE, HOST = 46, 47, 50, 51, 0xff


def req(opcode, node, body=b"", fh=0, room=0xfc):
    return struct.pack("<BBBBH", opcode, node, fh, room, len(body)) + body


def name(text):
    return text + b"\0"


def rw(size, off=0, flags=0):
    return struct.pack("<QQIIQII", 0, off, size, flags, 0, 0, 0)


def setattr_(valid, size=0, mode=0, uid=0, gid=0, mtime=0):
    return struct.pack("<IIQQQQQQIIIIIIII", valid, 0, 0, size, 0, mtime,
                       mtime, 0, 0, 0, 0, mode, 0, uid, gid, 0)


def host(what):
    return req(HOST, what)


F = req(LOOKUP, 0, name(b"f"))  # node 2
D = req(LOOKUP, 0, name(b"d"))
OPEN_F = F + req(OPEN, 2, struct.pack("<II", 2, 0))
LIST = req(OPENDIR, 0, bytes(8))
create = struct.pack("<IIII", 2, 0o4755, 0, 0) + name(b"new")

SEEDS = {
    "lookup": F + D + req(LOOKUP, 3, name(b"g")) + req(GETATTR, 4, bytes(16)),
    "read": OPEN_F + req(READ, 2, rw(100)) + req(RELEASE, 2, bytes(24)),
    "write": OPEN_F + req(WRITE, 2, rw(5, 3, 4) + b"12345"),
    "create": req(CREATE, 0, create) + req(WRITE, 2, rw(3) + b"abc") +
    req(UNLINK, 0, name(b"new")) + req(GETATTR, 2, bytes(16)) +
    req(FORGET, 2, struct.pack("<Q", 1)),
    "tmpfile": req(TMPFILE, 0, create) + req(LINK, 0, bytes(8) + name(b"t"),
                                             fh=2),
    "setattr": F + req(SETATTR, 2, setattr_(0xffff, 10, 0o6755, 1, 2, 3)) +
    req(SETATTR, 2, setattr_(8, 1 << 40)) + req(SETATTR, 2, setattr_(1)),
    "mknod": req(MKNOD, 0, struct.pack("<IIII", 0o20666, 0x103, 0, 0) +
                 name(b"null")) + req(OPEN, 2, bytes(8)),
    "mkdir": req(MKDIR, 0, struct.pack("<II", 0o2755, 0) + name(b"x")) +
    req(MKDIR, 2, struct.pack("<II", 0o755, 0) + name(b"y")) +
    req(RMDIR, 0, name(b"x")) + req(RMDIR, 2, name(b"y")) +
    req(RMDIR, 0, name(b"x")) + req(LOOKUP, 2, name(b"z")),
    "symlink": req(SYMLINK, 0, name(b"s") + name(b"/etc/passwd")) +
    req(READLINK, 2) + req(LOOKUP, 2, name(b"x")),
    "rename": F + D + req(RENAME, 0, bytes(8) + name(b"f") + name(b"h"), 3) +
    req(RENAME2, 3, bytes(16) + name(b"h") + name(b"f"), 0) +
    req(RENAME2, 0, struct.pack("<QII", 0, 2, 0) + name(b"f") + name(b"d"), 0)
    + req(LOOKUP, 3, name(b"e")),
    "link": F + req(LINK, 0, bytes(8) + name(b"k"), 2) +
    req(UNLINK, 0, name(b"f")) + req(RENAME, 0, bytes(8) + name(b"k") +
                                     name(b"l"), 0),
    "list": LIST + req(READDIR, 0, rw(4096)) + req(PLUS, 0, rw(4096)) +
    req(PLUS, 0, rw(200)) + req(PLUS, 0, rw(4096, 77)) +
    req(FSYNCDIR, 0, bytes(16)) + req(RELEASEDIR, 0, bytes(24)),
    "xattr": F + req(SETXATTR, 2, struct.pack("<II", 3, 0) +
                     name(b"security.capability") + b"cap") +
    req(GETXATTR, 2, struct.pack("<II", 64, 0) + name(b"user.msb.stat")) +
    req(LISTXATTR, 2, struct.pack("<II", 256, 0)) +
    req(REMOVEXATTR, 2, name(b"security.capability")),
    "space": OPEN_F + req(FALLOCATE, 2, struct.pack("<QQQII", 0, 0, 1 << 19,
                                                    0, 0)) +
    req(FALLOCATE, 2, struct.pack("<QQQII", 0, 0, 1 << 40, 0, 0)) +
    req(FALLOCATE, 2, struct.pack("<QQQII", 0, 0, 4096, 3, 0)) +
    req(LSEEK, 2, struct.pack("<QQII", 0, 0, 4, 0)) + req(STATFS, 0) +
    req(FSYNC, 2, bytes(16)) + req(SYNCFS, 0, bytes(8)),
    "copy": OPEN_F + req(CREATE, 0, create) +
    req(COPY, 2, struct.pack("<QQQQQQQ", 0, 0, 0, 0, 1 << 19, 1 << 30, 0),
        fh=0, room=0xfd),
    "readonly": req(LOOKUP, 1, name(b"r")) + req(OPEN, 2, bytes(8)) +
    req(WRITE, 2, rw(1) + b"x") + req(SETATTR, 2, setattr_(8)) +
    req(OPEN, 2, struct.pack("<II", 2, 0)) + req(UNLINK, 1, name(b"r")),
    "swap": F + D + req(LOOKUP, 3, name(b"g")) + host(2) + host(3) +
    req(OPEN, 2, bytes(8)) + req(OPEN, 4, bytes(8)) +
    req(LOOKUP, 3, name(b"secret")) + req(CREATE, 3, create),
    "moved": D + req(LOOKUP, 3, name(b"g")) + req(OPENDIR, 3, bytes(8)) +
    host(0) + req(LOOKUP, 3, name(b"e")) + req(MKDIR, 3, bytes(8) +
                                               name(b"x")) + host(1) +
    req(LOOKUP, 3, name(b"g")),
    "loop": D + req(LOOKUP, 2, name(b"e")) + host(5) +
    req(LOOKUP, 3, name(b"d")) + req(LOOKUP, 0, name(b"e")) +
    req(GETATTR, 2, bytes(16)) + req(GETATTR, 3, bytes(16)),
    "batch": F + D + req(BATCH, 0, struct.pack("<IIQQQQ", 9, 0, 2, 1, 3, 5)) +
    req(GETATTR, 2, bytes(16)),
    "again": F + req(DESTROY, 0) + F + host(7) + F,
}


def main():
    os.makedirs("corpus/fuse", exist_ok=True)
    for seed, data in SEEDS.items():
        with open(f"corpus/fuse/seed-{seed}", "wb") as f:
            f.write(data)


main()
