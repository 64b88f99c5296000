#!/usr/bin/env python3
"""Seeds of the target tlslink: packets behind their lengths (fuzz_tlslink.c)."""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "tlslink"
FD = 0x8000


def packet(data, flags=0):
    return struct.pack("<H", len(data) | flags) + data


def config(**kw):
    whole = dict(ports=[443], block_quic=True, intercept=["*"], bypass=[], placeholders=[]) | kw
    return packet(b"C" + json.dumps(whole).encode())


def text(name="KEY", value="MSB_0123456789abcdef", violation="block-and-log", **kw):
    return dict(name=name, text=value, violation=violation, **kw)


def abort(ident, zero=0):
    return packet(struct.pack("<IIQ", 3, zero, ident))


def event(what, flags=0, count=1, line=b"text"):
    return packet(struct.pack("<IBBHI1004s", 4, what, flags, 0, count, line))


SEEDS = {
    "config": config(intercept=["api.example.com", "*.a.b"], bypass=["x.a.b", "*.bank.example"], ports=[443, 8443]),
    "texts": config(placeholders=[text(violation=v, value="MSB_" + v) for v in
                                  ("block", "block-and-log", "block-and-terminate", "passthrough")]),
    "found": config(placeholders=[text()]) + config(placeholders=[text(violation="block-and-terminate")]) * 2,
    "passed": config(placeholders=[text(violation="passthrough"), text("B", "0123", "block")]),
    "none": config(ports=[], intercept=[], block_quic=False),
    "abort": abort(65536) + abort(65536) + abort(1 << 63) + abort(0) + abort(65537, 1),
    "events": b"".join(event(i) for i in range(7)) + event(3, 1) * 2 + event(1, 0, 1, b"\n\xff%s" * 20),
    "endless": event(3, 1, 1, b"x" * 1004),
    "flags": event(3, 0xff),
    "flow": packet(struct.pack("<IBBHQ16s256s", 2, 1, 0, 443, 1, b"", b"a")),
    "short": b"".join(packet(bytes([t]) + bytes(n)) for t in range(6) for n in (0, 3, 11, 15)),
    "descriptor": packet(struct.pack("<IIQ", 3, 0, 65536), FD) + abort(65536),
    "bad-json": packet(b"C{") + packet(b"C[]") + packet(b"C") + config(x=1) + config(ports=["a"]) + config(ports=[0])
    + config(intercept=["A"]) + config(bypass=[7]) + config(placeholders=[text(value="abc")])
    + config(placeholders=[text(x=1)]) + config(placeholders=[text(name="a b")]) + config(block_quic=None),
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
