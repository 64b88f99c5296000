#!/usr/bin/env python3
"""Seeds of fuzz_tls_flow: ClientHellos of Python's OpenSSL, what a server of it
answers, CONNECTs. Run from the top of the tree."""
import pathlib
import ssl
import struct
import subprocess
import tempfile

CONNECT, ADDRESS, NO_VERIFY, SECRET = 1, 2, 4, 8
GUEST, SERVER, END = 0, 1, 2
OUT = pathlib.Path(__file__).parent / "corpus" / "tls_flow"


def piece(who, data):
    return struct.pack("<BH", who, len(data)) + data


def client(name, alpn=(), version=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if alpn:
        c.set_alpn_protocols(list(alpn))
    if version:
        c.maximum_version = version
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    return c.wrap_bio(into, out, server_hostname=name), into, out


def hello(*args, **more):
    c, _, out = client(*args, **more)
    try:
        c.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def answer(data, folder, version=None):
    s = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    s.load_cert_chain(folder + "/c.pem", folder + "/k.pem")
    if version:
        s.maximum_version = version
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = s.wrap_bio(into, out, server_side=True)
    into.write(data)
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    two, three = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    head = b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n"
    ok = b"HTTP/1.1 200 ok\r\n\r\n"
    hellos = {
        "tls13": hello("api.example", ["h2", "http/1.1"]),
        "tls12": hello("api.example", ["http/1.1"], version=two),
        "no_alpn": hello("api.example"),
        "odd_alpn": hello("api.example", ["xyz"]),
        "no_sni": hello(None),
        "other_sni": hello("evil.example"),
    }
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", d + "/k.pem", "-out", d + "/c.pem", "-subj", "/CN=x",
                        "-addext", "subjectAltName=DNS:api.example"], check=True, capture_output=True)
        answers = {v: answer(hellos["no_alpn"], d, ver) for v, ver in (("2", two), ("3", three))}
    for name, h in hellos.items():
        (OUT / name).write_bytes(bytes([0]) + piece(GUEST, h))
        (OUT / (name + "_cut")).write_bytes(bytes([0]) + piece(GUEST, h[:50]) + piece(GUEST, h[50:]))
    for v, a in answers.items():
        for flags in (0, NO_VERIFY):
            (OUT / f"server{v}_{flags}").write_bytes(
                bytes([flags]) + piece(GUEST, hellos["no_alpn"]) + piece(SERVER, a))
    (OUT / "address").write_bytes(bytes([ADDRESS]) + piece(GUEST, hellos["no_sni"]))
    (OUT / "alert").write_bytes(bytes([0]) + piece(GUEST, hellos["tls13"]) +
                                piece(SERVER, b"\x15\x03\x03\x00\x02\x02\x28"))
    (OUT / "closed").write_bytes(bytes([0]) + piece(GUEST, hellos["tls13"]) + piece(SERVER | END, b"x"))
    (OUT / "clear").write_bytes(bytes([0]) + piece(GUEST, b"GET / HTTP/1.1\r\n\r\n"))
    (OUT / "connect").write_bytes(bytes([CONNECT]) + piece(GUEST, head + b"\r\n") + piece(SERVER, ok) +
                                  piece(GUEST, hellos["tls13"]))
    (OUT / "connect_407").write_bytes(bytes([CONNECT | SECRET]) + piece(GUEST, head + b"\r\n") +
                                      piece(SERVER, b"HTTP/1.1 407 no\r\n\r\nx") + piece(GUEST, b"MSB_KEY"))
    (OUT / "connect_secret").write_bytes(
        bytes([CONNECT | SECRET]) + piece(GUEST, head + b"Proxy-Authorization: Basic TVNCX0tFWQ==\r\n\r\n"))
    (OUT / "connect_100").write_bytes(bytes([CONNECT]) + piece(GUEST, head + b"\r\n") +
                                      piece(SERVER, b"HTTP/1.1 100 x\r\n\r\n" + ok))
    (OUT / "connect_address").write_bytes(
        bytes([CONNECT | ADDRESS]) + piece(GUEST, b"CONNECT 192.0.2.1:443 HTTP/1.0\r\n\r\n") +
        piece(SERVER, ok) + piece(GUEST, hellos["no_sni"]))


if __name__ == "__main__":
    main()
