#!/usr/bin/env python3
"""Seeds of the targets http2 and hpack: their own small languages, in which
real exchanges are said. See the two fuzz_*.c."""
import pathlib

TOP = pathlib.Path(__file__).resolve().parent / "corpus"
HOST, ALLOWED, OTHER, VALUE = b"api.example", b"MSB_allowed", b"MSB_foreign", b"the-value"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT = range(10)
GUEST, SERVER = 0, 1


def frame(side, kind, flags=0, sid=1, payload=b"", raw=False, head=0):
    op = side | 3 << 1 | (0x80 if raw else 0)
    return bytes([op, kind, flags, sid & 31 | head << 5, len(payload)]) + payload


def drain(side, n=255):
    return bytes([side | 1 << 1, n])


def raw(side, data):
    return bytes([side, len(data)]) + data


def eof(side):
    return bytes([side | 2 << 1 | 0xf0])


BOTH = drain(GUEST) + drain(SERVER)


def stream(sid, head=0, body=b"", reply=b"ok"):
    out = frame(GUEST, HEADERS, 0 if body else 1, sid, head=head)
    if body:
        out += frame(GUEST, DATA, 1, sid, body)
    return out + BOTH + frame(SERVER, HEADERS, 0, sid) + frame(SERVER, DATA, 1, sid, reply) + BOTH


HTTP2 = {
    "get": stream(1),
    "three": stream(1) + stream(3, 3) + stream(5, 2),
    "body": stream(1, 3, b"a " + ALLOWED + b" b"),
    "split": frame(GUEST, HEADERS, 0, 1, head=3) + frame(GUEST, DATA, 0, 1, ALLOWED[:5]) + BOTH
    + frame(GUEST, DATA, 1, 1, ALLOWED[5:]) + BOTH,
    "violation": frame(GUEST, HEADERS, 0, 1, head=3) + frame(GUEST, DATA, 0, 1, OTHER) + BOTH,
    "counted": frame(GUEST, HEADERS, 0, 1, head=1) + frame(GUEST, DATA, 1, 1, b"0123" + ALLOWED + b"x") + BOTH,
    "lies": frame(GUEST, HEADERS, 0, 1, head=1) + frame(GUEST, DATA, 1, 1, b"short") + BOTH,
    "trailers": frame(GUEST, HEADERS, 0, 1, head=3) + frame(GUEST, DATA, 0, 1, b"x")
    + frame(GUEST, HEADERS, 5, 1, b"\x40\x01t\x0b" + ALLOWED, raw=True) + BOTH,
    "early": frame(GUEST, HEADERS, 0, 1, head=3) + BOTH + frame(SERVER, HEADERS, 0, 1, head=1)
    + frame(SERVER, HEADERS, 1, 1) + frame(SERVER, RST, 0, 1, bytes(4)) + BOTH,
    "mask": frame(GUEST, HEADERS, 1, 1) + BOTH + frame(SERVER, HEADERS, 0, 1, head=3)
    + frame(SERVER, DATA, 0, 1, VALUE[:3]) + frame(SERVER, DATA, 1, 1, VALUE[3:]) + BOTH,
    "resets": frame(GUEST, HEADERS, 1, 1) + BOTH + frame(SERVER, RST, 0, 1, b"\0\0\0\7")
    + frame(GUEST, HEADERS, 1, 3) + BOTH + frame(GUEST, RST, 0, 3, b"\0\0\0\x08") + BOTH,
    "goaway": frame(GUEST, HEADERS, 1, 1) + frame(GUEST, HEADERS, 1, 3) + BOTH
    + frame(SERVER, GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\0") + BOTH + frame(SERVER, HEADERS, 1, 1) + BOTH,
    "bye": frame(GUEST, HEADERS, 1, 1) + BOTH + frame(GUEST, GOAWAY, 0, 0, bytes(8)) + eof(GUEST),
    "server_ends": frame(GUEST, HEADERS, 1, 1) + BOTH + frame(SERVER, HEADERS, 0, 1)
    + frame(SERVER, DATA, 0, 1, b"part") + eof(SERVER) + BOTH,
    "windows": frame(GUEST, SETTINGS, 0, 0, b"\0\4\0\0\0\0") + stream(1) + frame(GUEST, WINDOW, 0, 1, b"\0\0\0\1")
    + BOTH + frame(GUEST, WINDOW, 0, 0, b"\x7f\xff\xff\xff") + BOTH,
    "one_stream": frame(SERVER, SETTINGS, 0, 0, b"\0\3\0\0\0\1") + frame(GUEST, HEADERS, 1, 1)
    + frame(GUEST, HEADERS, 1, 3) + BOTH + frame(GUEST, RST, 0, 3, b"\0\0\0\x08") + frame(GUEST, RST, 0, 1, b"\0\0\0\x08"),
    "push": frame(GUEST, HEADERS, 1, 1) + BOTH + frame(SERVER, PUSH, 4, 1, b"\0\0\0\2\x82\x87\x84\x41\x0b" + HOST),
    "padded": frame(GUEST, HEADERS, 0, 1, head=3) + frame(GUEST, DATA, 9, 1, b"\2x\0\0") + BOTH,
    "pings": frame(GUEST, PING, 0, 0, b"12345678") * 5 + frame(SERVER, PING, 0, 0, b"12345678") + BOTH,
    "priority": frame(GUEST, PRIORITY, 0, 3, b"\0\0\0\1\x10") + stream(3),
    "continuation": frame(GUEST, HEADERS, 1, 1, b"\x82\x87\x84", raw=True)
    + frame(GUEST, CONT, 4, 1, b"\x41\x0b" + HOST) + BOTH,
    "tunnel": frame(GUEST, HEADERS, 4, 1, b"\x42\x07CONNECT\x40\x09:protocol\x09websocket\x87\x84\x41\x0b" + HOST, raw=True)
    + BOTH + frame(SERVER, HEADERS, 0, 1) + frame(GUEST, DATA, 0, 1, b"hi " + ALLOWED) + BOTH,
    "connect": frame(GUEST, HEADERS, 4, 1, b"\x42\x07CONNECT\x41\x0b" + HOST, raw=True) + BOTH,
    "other": frame(GUEST, HEADERS, 5, 1, b"\x82\x87\x84\x41\x0dother.example", raw=True) + BOTH,
    "big": frame(GUEST, HEADERS, 0, 1, head=3) + (bytes([GUEST | 3 << 1, DATA, 0x40, 1, 200]) + b"x" * 12800) * 3 + BOTH,
}


def block(data, op=0):
    long = len(data) > 255
    return bytes([op | (0x80 if long else 0), len(data) & 255]) + (bytes([len(data) >> 8]) if long else b"") + data


HPACK = {
    "plain": block(b"\x84\x40\x01x\x0b" + ALLOWED),
    "table": block(b"\x84\x40\x01x\x0b" + ALLOWED) + block(b"\x84\xbe") + block(b"\x84\xbe\xbe"),
    "foreign": block(b"\x84\x40\x01x\x0b" + OTHER) + block(b"\x84\xbe"),
    "never": block(b"\x84\x10\x01x\x0b" + ALLOWED),
    "huffman": block(b"\x84\x40\x01x\x85\x1d\x8b\x52\x7d\x9f"),
    "query": block(b"\x04\x0e/?k=" + ALLOWED),
    "resize": block(b"\x20\x84") + block(b"\x3f\xe1\x1f\x84"),
    "whole": block(b"\x83\x87\x84\x41\x0d" + HOST + b":9", 4),
    "cookies": block(b"\x84\x60\x0b" + ALLOWED + b"\x60\x03a=b\x60\x0b" + ALLOWED),
    "trailers": block(b"\x83\x84", 2) + block(b"\x40\x01t\x0b" + ALLOWED, 8),
    "basic": block(b"\x84\x0f\x08\x16Basic TVNCX2FsbG93ZWQ6eA=="),
    "host": block(b"\x82\x87\x84\x66\x0b" + HOST, 4),
    "many": block(b"\x84\x40\x01x\x01y" + b"\xbe" * 1100),
    "large": block(b"\x84\x40\x01x\x7f\xe1\x2e" + b"z" * 6112) + block(b"\x84" + b"\xbe" * 40),
}


def write(target, seeds, mode=None):
    folder = TOP / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / name).write_bytes((bytes([mode]) if mode is not None else b"") + data)


if __name__ == "__main__":
    write("http2", HTTP2, 7)
    write("http2", {"raw_" + k: b"\x00" + raw(GUEST, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)) + v
                    for k, v in list(HTTP2.items())[:3]})
    write("hpack", HPACK)
