#!/usr/bin/env python3
"""Seeds of the target loader: 4 bytes of choice, then a small kernel."""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "loader"
PVH, ENTRY64, MAP = 1, 2, 16
RAM64 = 3 << 2


def note(name, kind, payload):
    pad = lambda b: b + bytes(-len(b) % 4)
    return struct.pack("<III", len(name), len(payload), kind) + pad(name) + pad(payload)


def phdr(kind, flags, offset, paddr, filesz, memsz, align=4096):
    return struct.pack("<IIQQQQQQ", kind, flags, offset, paddr, paddr, filesz, memsz, align)


def elf(phdrs, entry, body=b"", etype=2):
    head = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, etype, 62, 1,
                       entry, 64, 0, 0, 64, 56, len(phdrs), 0, 0, 0)
    return head + b"".join(phdrs) + body


def linux(payload, base=0x100000, align=4, before=b""):
    """Code, data with .bss, notes."""
    notes = before + note(b"Xen\0", 18, payload)
    at = 64 + 3 * 56
    return elf([phdr(1, 5, 0, base, 512, 512),
                phdr(1, 6, 16, base + 0x1000, 99, 0x3000),
                phdr(4, 4, at, 0, len(notes), len(notes), align)],
               base + 16, notes + bytes(512))


def bzimage(pref=0x400000, init=0x100000, relocatable=1, align=0x200000, tail=b""):
    f = bytearray(3 * 512)
    f[0x1f1] = 2
    struct.pack_into("<I", f, 0x1f4, 1024 // 16)
    struct.pack_into("<H", f, 0x1fe, 0xaa55)
    f[0x200:0x202] = b"\xeb\x6a"
    f[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", f, 0x206, 0x20f)
    f[0x211] = 1
    struct.pack_into("<IIBBHI", f, 0x22c, 0x7fffffff, align, relocatable, 21, 1, 2047)
    struct.pack_into("<QI", f, 0x258, pref, init)
    return bytes(f) + b"\xf4" * 1024 + tail


ENTRY = struct.pack("<Q", 0x100020)
SEEDS = {
    "pvh": (0, 0, 3, 2, linux(ENTRY)),
    "pvh-4": (PVH | RAM64, 0, 0, 254, linux(ENTRY[:4])),
    "pvh-16-mib": (RAM64, 4, 9, 4, linux(struct.pack("<Q", 0x1000020), 0x1000000)),
    "notes": (PVH, 0, 0, 1, linux(ENTRY, before=note(b"GNU\0", 3, bytes(20)) + note(b"Linux\0", 257, b"\0"))),
    "notes-8": (PVH, 0, 0, 1, linux(ENTRY, align=8)),
    "entry-64": (ENTRY64, 0, 3, 1, linux(ENTRY)),
    "mapped": (MAP | RAM64, 16, 1, 1, elf([phdr(1, 5, 0, 0x200000, 9000, 9000)], 0x200040, bytes(600))),
    "mapped-data": (MAP, 16, 1, 1, elf([phdr(1, 6, 0x1000, 0x200000, 0x2345, 0x5000),
                                        phdr(1, 4, 0, 0x205000, 0x1001, 0x1001)], 0x205000, bytes(5000))),
    "overlap": (0, 0, 0, 1, elf([phdr(1, 5, 0, 0x100000, 64, 64), phdr(1, 5, 0, 0x10003f, 64, 64)], 0x100000)),
    "wrap": (0, 0, 0, 1, elf([phdr(1, 5, 2**64 - 8, 0x100000, 64, 2**64 - 1)], 0x100000)),
    "low": (0, 0, 0, 1, elf([phdr(1, 5, 0, 0x9000, 64, 64)], 0x9000)),
    "pie": (0, 0, 0, 1, elf([phdr(1, 5, 0, 0x100000, 64, 64)], 0x100000, etype=3)),
    "many": (ENTRY64, 0, 0, 1, elf([phdr(1, 5, i, 0x100000 + 4096 * i, 64, 4096) for i in range(32)], 0x100000)),
    "bzimage": (0, 0, 3, 1, bzimage()),
    "bzimage-fixed": (0, 0, 255, 1, bzimage(relocatable=0, pref=0x123000)),
    "bzimage-free": (RAM64, 0, 3, 1, bzimage(pref=0)),
    "bzimage-large": (0, 0, 3, 1, bzimage(init=0x3d0000)),
    "bzimage-pvh": (PVH, 0, 3, 1, bzimage(tail=b"signature")),
    "text": (0, 0, 0, 1, b"#!/bin/sh\n"),
    "empty": (0, 0, 0, 1, b""),
}

CORPUS.mkdir(parents=True, exist_ok=True)
for name, (*head, kernel) in SEEDS.items():
    (CORPUS / name).write_bytes(bytes(head) + kernel)
