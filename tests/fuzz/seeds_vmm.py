#!/usr/bin/env python3
"""Seeds of the targets boot, console, keep and requests."""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def frame(kind, payload=b""):
    return struct.pack("<IHH", len(payload), kind, 0) + payload


def text(s):
    return struct.pack("<I", len(s)) + s.encode() + b"\0"


HELLO = frame(1, struct.pack("<IQQ", 3, 5, 6))
READY = frame(3, struct.pack("<Q", 7) + text("0.1.0"))
BOOT = {
    "ready": b"\xff" + HELLO + READY,
    "ready-ping": b"\xff" + HELLO + READY + frame(7, struct.pack("<Q", 9)) * 3,
    "ready-twice": b"\xff" + HELLO + READY + READY,
    "failed": b"\xff" + HELLO + frame(4, text("root disk") + struct.pack("<i", 2) + text("no \x1b disk")),
    "version": b"\xff" + frame(1, struct.pack("<IQQ", 1, 5, 6)),
    "pong": b"\xff" + HELLO + READY + frame(8, struct.pack("<Q", 9)) * 3,
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


def data(b):
    return struct.pack("<I", len(b)) + b


OUT, ERR = frame(21, data(b"output")), frame(22, data(b"error"))
EXITED = frame(25, struct.pack("<iI", 3, 0))
MAIN, TTY, STDIN, AGAIN, REAL = 1, 2, 4, 8, 16


def step(kind, session=0):
    return bytes([next(v for v in range(16 * session, 16 * session + 16) if v % 6 == kind)])


def keep(session, flags=0, rest=b"", unacked=0):
    return step(0, session) + bytes([flags]) + struct.pack(">H", len(rest)) + struct.pack(">I", unacked)[1:] + rest


def take(session):
    return step(1, session)


def say(session, what):
    return step(2, session) + struct.pack(">H", len(what)) + what


def reset(session, last=b""):
    return step(4, session) + bytes([len(last)]) + last


RUN = step(5, 3)
KEEP = {
    "output": keep(0) + say(0, OUT + ERR) + RUN + say(0, EXITED) + RUN,
    "main": keep(1, MAIN | REAL) + say(1, OUT[:5]) + RUN + say(1, OUT[5:] + EXITED) + RUN,
    "rest": keep(2, TTY, OUT * 20 + OUT[:7]) + say(2, OUT[7:]) + RUN,
    "over-at-once": keep(2, MAIN, OUT + EXITED),
    "lent": keep(1, MAIN | REAL) + RUN + take(7) + reset(1, EXITED) + RUN,
    "there-and-back": keep(1, MAIN | REAL) + RUN + take(1) + keep(1, MAIN | AGAIN) + RUN + take(1) + reset(1) + RUN,
    "gone-first": keep(1, MAIN | REAL) + say(1, EXITED) + reset(1, EXITED) + take(1) + RUN,
    "acks": keep(3, STDIN, b"", 9) + say(3, frame(20, struct.pack("<I", 4)) * 3) + RUN,
    "two-mains": keep(1, MAIN | REAL) + keep(2, MAIN | REAL) + take(7) + keep(2, MAIN) + RUN,
    "long": keep(0) + say(0, struct.pack("<IHH", 1 << 20, 21, 0)) + RUN,
    "garbage": keep(0) + say(0, b"GET / HTTP/1.1") + RUN,
}


def packet(content, fds=0):
    return struct.pack("<H", len(content) | fds << 14) + content


NUMBER = struct.pack("<I", 5)
REQUESTS = {
    "all": b"".join([packet(frame(67, NUMBER), 1), packet(frame(70, NUMBER)), packet(frame(71, NUMBER * 2)),
                     packet(frame(73, NUMBER)), packet(frame(76, NUMBER * 2)), packet(frame(78, NUMBER * 2)),
                     packet(frame(74, NUMBER * 2 + bytes(4) + NUMBER + data(OUT)), 1), packet(frame(68, NUMBER))]),
    "no-fd": packet(frame(74, NUMBER * 2 + bytes(4) + NUMBER + data(b""))),
    "two-fds": packet(frame(67, NUMBER), 2),
    "stray-fd": packet(frame(71, NUMBER * 2), 1),
    "two-frames": packet(frame(68, NUMBER) * 2),
    "not-theirs": packet(frame(72, NUMBER * 2)),
    "cut": packet(frame(74, NUMBER * 2)[:11], 1),
    "lies": packet(frame(74, NUMBER * 2 + bytes(4) + NUMBER + b"\xff\xff\0\0x"), 1),
}

for target, seeds in (("boot", BOOT), ("console", CONSOLE), ("keep", KEEP), ("requests", REQUESTS)):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
