#!/usr/bin/env python3
"""Seeds of the targets boot and console."""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def frame(kind, payload=b""):
    return struct.pack("<IHH", len(payload), kind, 0) + payload


def text(s):
    return struct.pack("<I", len(s)) + s.encode() + b"\0"


HELLO = frame(1, struct.pack("<IQQ", 1, 5, 6))
READY = frame(3, struct.pack("<Q", 7) + text("0.1.0"))
BOOT = {
    "ready": b"\xff" + HELLO + READY,
    "ready-ping": b"\xff" + HELLO + READY + frame(7, struct.pack("<Q", 9)) * 3,
    "ready-twice": b"\xff" + HELLO + READY + READY,
    "failed": b"\xff" + HELLO + frame(4, text("root disk") + struct.pack("<i", 2) + text("no \x1b disk")),
    "version": b"\xff" + frame(1, struct.pack("<IQQ", 2, 5, 6)),
    "early": b"\xff" + READY,
    "other": b"\xff" + HELLO + frame(68, struct.pack("<I", 0)),
    "portions": b"".join(b"\0" + bytes([c]) for c in HELLO + READY),
    "long": b"\xff" + struct.pack("<IHH", 65537, 4, 0),
    "cut": b"\xff" + HELLO[:11],
    "garbage": b"\xffGET / HTTP/1.1\r\n\r\n",
}
CONSOLE = {
    "panic": b"\x01[    0.1] Kernel panic - not syncing: No init found.\x1b[31m\r\n---[ end\n",
    "portions": b"\x07line one\r\nKernel panic - not syncing: x" + b"y" * 300 + b"\n",
    "long-line": b"\x00" + b"z" * 30000,
    "binary": bytes(range(256)) * 4,
}

for target, seeds in (("boot", BOOT), ("console", CONSOLE)):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
