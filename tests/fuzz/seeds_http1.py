#!/usr/bin/env python3
"""Seeds of fuzz_http1: conversations of a guest and a server, as the target
reads them. Run from anywhere; writes tests/fuzz/corpus/http1."""
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "http1"
BODY, QUERY, MASK, NONE, ADDRESS, PASS = 1, 2, 4, 8, 16, 32
H = b"Host: api.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + H + b"\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CH = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /p HTTP/1.1\r\n" + H


def g(data):
    return b"\0" + struct.pack("<H", len(data)) + data


def s(data):
    return b"\1" + struct.pack("<H", len(data)) + data


G_EOF = b"\x80\0\0"
S_EOF = b"\x81\0\0"

UP = b"GET /ws HTTP/1.1\r\n" + H + \
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SEEDS = {
    "get": (0, g(GET) + s(OK) + g(GET) + s(OK) + G_EOF + S_EOF),
    "none": (NONE, g(GET) + s(OK)),
    "header": (0, g(b"GET /a?b HTTP/1.1\r\n" + H +
                    b"Authorization: Bearer MSB_KEY\r\nX: MSB_KEY\r\n\r\n") +
               s(OK)),
    "other": (0, g(b"GET / HTTP/1.1\r\n" + H + b"X: MSB_OTHER\r\n\r\n")),
    "pass": (PASS, g(b"GET / HTTP/1.1\r\n" + H + b"X: MSB_OTHER\r\n\r\n")),
    "query": (QUERY, g(b"GET /?k=MSB_KEY HTTP/1.1\r\n" + H + b"\r\n")),
    "length": (BODY, g(POST + b"Content-Length: 9\r\n\r\n<MSB_KEY>") + s(OK)),
    "expect": (BODY, g(POST + b"Expect: 100-continue\r\n"
                       b"Content-Length: 7\r\n\r\n") + g(b"MSB_KEY") + s(OK)),
    "expect_stream": (0, g(POST + b"Expect: 100-continue\r\n"
                           b"Content-Length: 2\r\n\r\n") +
                      s(b"HTTP/1.1 100 Continue\r\n\r\n") + g(b"hi") + s(OK)),
    "chunked": (BODY, g(POST + CH + b"\r\n3\r\nMSB\r\n4;x=y\r\n_KEY\r\n"
                        b"0\r\nX-T: MSB_KEY\r\n\r\n" + GET) + s(OK + OK)),
    "chunked_exact": (NONE, g(POST + CH + b"\r\n3;a=b\r\nabc\r\n0\r\n\r\n") +
                      s(OK)),
    "pipeline": (0, g(GET + b"HEAD / HTTP/1.1\r\n" + H + b"\r\n" + GET) +
                 s(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + OK)),
    "refused": (0, g(GET + b"GET / HTTP/1.1\r\nHost : x\r\n\r\n") + s(OK)),
    "away": (0, g(b"GET https://evil.example/ HTTP/1.1\r\n" + H + b"\r\n")),
    "address": (ADDRESS, g(b"GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n") +
                s(OK)),
    "old": (0, g(b"GET / HTTP/1.0\r\n\r\n") +
            s(b"HTTP/1.0 200 OK\n\nuntil the end") + S_EOF),
    "upgrade": (0, g(UP + b"\x81\x01x") + s(b"HTTP/1.1 101 S\r\n\r\n\x81y") +
                g(b"z")),
    "declined": (0, g(UP + GET) + s(OK + OK)),
    "h2c": (0, g(b"GET / HTTP/1.1\r\n" + H + b"Upgrade: h2c, x\r\n"
                 b"HTTP2-Settings: AAMA\r\n\r\n" + GET) + s(OK + OK)),
    "mask": (MASK, g(GET + GET) +
             s(b"HTTP/1.1 200 OK\r\nX: the-value-of-key\r\n"
               b"Content-Length: 18\r\n\r\n<the-value-of-key>"
               b"HTTP/1.1 200 OK\r\n" + CH +
               b"\r\n4\r\nthe-\r\nc\r\nvalue-of-key\r\n0\r\n\r\n")),
    "mask_old": (MASK, g(b"GET / HTTP/1.0\r\n" + H + b"Range: x\r\n\r\n") +
                 s(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nthe")),
    "mask_coded": (MASK, g(GET) + s(b"HTTP/1.1 200 OK\r\nContent-Encoding: x"
                                    b"\r\nContent-Length: 1\r\n\r\n1")),
    "early": (0, g(POST + b"Content-Length: 4\r\n\r\nab") +
              s(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n") + g(b"cd") +
              S_EOF),
    "interim": (0, g(GET) + s(b"HTTP/1.1 103 E\r\nLink: x\r\n\r\n" + OK)),
    "stray": (0, s(b"HTTP/1.1 408 T\r\nContent-Length: 0\r\n\r\n") + g(GET)),
    "broken_answer": (0, g(GET) + s(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                                    + CH + b"\r\n")),
    "te_cl": (0, g(POST + CH + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + GET)),
    "two_cl": (0, g(POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n")),
    "fold": (0, g(b"GET / HTTP/1.1\r\n" + H + b"X: a\r\n b\r\n\r\n")),
    "connect": (0, g(b"CONNECT api.example:443 HTTP/1.1\r\n" + H + b"\r\n")),
    "trace": (0, g(b"TRACE / HTTP/1.1\r\n" + H + b"X: MSB_KEY\r\n\r\n")),
    "options": (0, g(b"\r\nOPTIONS * HTTP/1.1\r\n" + H + b"\r\n") + s(OK)),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, (flags, moves) in SEEDS.items():
        (OUT / name).write_bytes(bytes([flags, len(name)]) + moves)


if __name__ == "__main__":
    main()
