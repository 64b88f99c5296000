#!/usr/bin/env python3
"""Seeds of the target sniff: what real clients say first, and near misses."""
import pathlib
import ssl
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "sniff"

TEXT = {
    "get": "GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n",
    "post": "POST /x HTTP/1.1\r\nA: b\r\nhost:a.b:8080\r\nContent-Length: 2\r\n\r\nhi",
    "old": "GET / HTTP/1.0\r\n\r\n",
    "absolute": "GET http://a.b:80/x?y HTTP/1.1\r\nHost: a.b\r\n\r\n",
    "two": "GET / HTTP/1.1\r\nHost: a.b\r\nHost: c.d\r\n\r\n",
    "fold": "GET / HTTP/1.1\r\nX: y\r\n z\r\nHost: a.b\r\n\r\n",
    "six": "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
    "connect": "CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n",
    "connect6": "CONNECT [::1]:443 HTTP/1.0\r\n\r\n",
    "h2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "ssh": "SSH-2.0-OpenSSH_9.2p1\r\n",
    "crlf": "\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a.b.\r\n\r\n",
}


def hello(name, alpn=None, oldest=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    if alpn:
        ctx.set_alpn_protocols(alpn)
    if oldest:
        ctx.maximum_version = oldest
    out = ssl.MemoryBIO()
    obj = ctx.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        obj.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def cut(data, piece):
    """The same handshake message in records of @piece bytes."""
    body = data[5:]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(p)) + p for p in
                    (body[i:i + piece] for i in range(0, len(body), piece)))


def extend(data, kind, payload):
    """With one more extension at the end."""
    ext = struct.pack(">HH", kind, len(payload)) + payload
    body = bytearray(data[9:])
    at = 2 + 32
    at += 1 + body[at]
    at += 2 + struct.unpack_from(">H", body, at)[0]
    at += 1 + body[at]
    struct.pack_into(">H", body, at, len(body) - at - 2 + len(ext))
    body += ext
    return (b"\x16\x03\x01" + struct.pack(">H", len(body) + 4) + b"\x01" +
            struct.pack(">I", len(body))[1:] + bytes(body))


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, text in TEXT.items():
        (CORPUS / name).write_bytes(text.encode())
    plain = hello("example.com", ["h2", "http/1.1"])
    tls = {
        "tls": plain,
        "tls-none": hello(None),
        "tls12": hello("a.example.com", oldest=ssl.TLSVersion.TLSv1_2),
        "tls-cut1": cut(hello("a.b"), 1),
        "tls-cut100": cut(plain, 100),
        "tls-ech": extend(plain, 0xfe0d, b"\0\0\1\0\1\7\0\0\0\0"),
        "tls-grease": extend(plain, 0x8a8a, b"\0"),
        "tls-two-names": extend(plain, 0, b"\0\6\0\0\3a.b"),
    }
    for name, data in tls.items():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
