#!/usr/bin/env python3
"""Seeds of the targets exec, answer, control (one file for each kind of message) and opt."""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def frame(kind, payload=b""):
    return struct.pack("<IHH", len(payload), kind, 0) + payload


def u32(v):
    return struct.pack("<I", v)


def u64(v):
    return struct.pack("<Q", v)


def data(b):
    return u32(len(b)) + b


def text(s):
    return data(s.encode()) + b"\0"


STARTED = frame(17, u32(7))
EXEC = {
    "exited": STARTED + frame(21, data(b"out")) + frame(22, data(b"err")) + frame(25, u32(3) + u32(0)),
    "signal": STARTED + frame(25, u32(0) + u32(9)),
    "failed": frame(18, text("exec") + u32(2) + text("not found")),
    "ack": frame(20, u32(1)) + STARTED + frame(20, u32(2)),
    "early": frame(21, data(b"x")),
    "twice": STARTED + STARTED,
    "code": STARTED + frame(25, u32(256) + u32(0)),
    "cut": STARTED[:9],
    "huge": b"\xff\xff\xff\x7f\x15\x00\x00\x00",
}
CONTROL = {
    "ready": [frame(64, text("qemu") + text("tcg") + u64(1)), frame(65, u64(1) + u64(2) + u64(3))],
    "failed": [frame(66, u32(110) + text("boot") + text("no answer") + text("hint") + data(b"panic"))],
    "exited": [frame(65, u64(1) * 3), frame(69, text("panic") + text("Oops") + data(b"tail"))],
    "wrong": [frame(3, u64(1) + text("1"))],
    "short": [frame(65, u64(1))],
    "two": [frame(65, u64(1) * 3) * 2],
}




def taken(error=0, session=42, tty=1, unacked=9, rest=b""):
    return frame(77, u32(error) + u64(session) + bytes([1, tty, 1, 0]) + u32(unacked) + data(rest))


def piece(how, content):
    return bytes([how]) + struct.pack("<H", len(content)) + content


ANSWER = {
    "taken": b"\1" + piece(1, taken()) + piece(2, frame(21, data(b"out")) + frame(20, u32(9)) + frame(25, u32(3) + u32(0))),
    "rest": b"\0" + piece(1, taken(rest=frame(21, data(b"before")) + frame(25, u32(0) + u32(9)))),
    "halves": b"\0" + piece(1, taken(tty=0, rest=frame(22, data(b"cut"))[:9])) + piece(2, frame(22, data(b"cut"))[9:]),
    "nobody": b"\1" + piece(0, taken(error=2)),
    "without": b"\1" + piece(0, taken()),
    "another": b"\1" + piece(1, taken(session=7)),
    "unacked": b"\1" + piece(1, taken(unacked=1 << 20)),
    "first-an-end": b"\0" + piece(0, frame(69, text("panic") + text("Oops") + data(b"tail") + u32(0))) + piece(1, taken()),
    "rubbish": b"\0" + piece(1, taken(rest=b"\xff\xff\xff\x7f\x15\0\0\0")),
}


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


for name, content in EXEC.items():
    write("exec", name, b"\xff" + content)
    write("exec", name + "-bytewise", b"\x00" + content)
for name, content in ANSWER.items():
    write("answer", name, content)
for name, packets in CONTROL.items():
    write("control", name, b"".join(struct.pack("<H", len(p)) + p for p in packets))

OPT = {
    "files": ["--file", "a", "--other-file=b:c", "--file=d"],
    "run": ["-m512M", "-c", "2", "image", "--", "ls", "-l"],
    "forms": ["--text=x", "-ftx", "--format", "json", "--duration", "500ms", "-e", "A=b", "-e", "PATH"],
    "wrong": ["--txet"], "value": ["--count", "0"], "help": ["-fh"], "sizes": ["-m", "1.5g", "-m", "99999999999T"],
}
for name, args in OPT.items():
    for mode in (b"\x00", b"\x01", b"\x02"):
        write("opt", f"{name}-{mode[0]}", mode + b"".join(a.encode() + b"\0" for a in args))
