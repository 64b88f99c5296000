#!/usr/bin/env python3
"""Seeds of fuzz_tls_setup: requests and packets as msb-tls gets them."""
import json
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus/tls_setup"


def wire(request, *values):
    text = json.dumps(request).encode()
    out = struct.pack("<I", len(text)) + text
    for v in values:
        out += struct.pack("<I", len(v)) + v
    return out


def framed(request, *values):
    return b"\0".join([json.dumps(request).encode(), *values])


def secret(name, value=True, **more):
    return dict(dict(name=name, placeholder="MSB_" + name * 4, hosts=["a.test", "*.b.test"],
                     where=["headers", "basic"], mask=False, violation="block", value=value), **more)


def setup(secrets, **more):
    return dict(dict(version=1, op="setup", all=False, ports=[443], block_quic=True, bypass=["*.c.test"],
                     roots="", upstream_cas=[dict(pattern="*", pem="PEM")], no_verify=["d.test"],
                     ca_cert="", secrets=secrets), **more)


def update(secrets, remove=()):
    return dict(version=1, op="update", set=secrets, remove=list(remove))


def flow(name=b"a.test", kind=1, pinned=1, port=443, ident=7):
    return struct.pack("=IBBHQ16s256s", 2, kind, pinned, port, ident, bytes(16), name)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    seeds = {
        "setup-none": b"\xf8" + wire(setup([])),
        "setup-one": b"\xf8" + wire(setup([secret("A")]), b"value"),
        "setup-cut": b"\x10" + wire(setup([secret("A"), secret("B", violation="passthrough", mask=True)]),
                                    b"value", b"other"),
        "setup-all": b"\xf8" + wire(setup([secret("A", where=["query", "body"], hosts=["*"])], all=True), b"v"),
        "setup-ca": b"\xf8" + wire(setup([secret("A")], ca_cert="CERT"), b"KEY", b"value"),
        "setup-zero": b"\xf8" + wire(setup([secret("A")]), b"va\0lue"),
        "update-new": b"\xf9" + wire(update([secret("A")]), b"value"),
        "update-two": b"\xf9" + wire(update([secret("A"), secret("B")]), b"value", b"more"),
        "update-hosts": b"\xf9" + wire(update([secret("A", False, hosts=["e.test"])])),
        "update-remove": b"\xf9" + wire(update([secret("C")], ["A"]), b"c"),
        "update-clash": b"\xf9" + wire(update([secret("A"), secret("B", placeholder="MSB_AAAA")]), b"1", b"2"),
        "update-type": b"\xf9" + wire(dict(update([]), set=[1])),
        "framed-setup": b"\xfc" + framed(setup([secret("A"), secret("B")]), b"1", b"2"),
        "framed-ca": b"\x1c" + framed(setup([secret("A")], ca_cert="CERT"), b"KEY", b"value"),
        "framed-update": b"\xfd" + framed(update([secret("A")], ["B"]), b"value"),
        "framed-rest": b"\x2d" + framed(update([], ["A"])),
        "packet": b"\x02" + flow(),
        "packet-connect": b"\x02" + flow(kind=2, pinned=0),
        "packet-kind": b"\x02" + flow(kind=9),
        "packet-short": b"\x02" + flow()[:-9],
        "packet-long": b"\x02" + flow() + b"more",
        "packet-abort": b"\x02" + struct.pack("=IIQ", 3, 0, 7),
        "name": b"\x03api.test",
        "name-case": b"\x03Api.Test.",
        "name-none": b"\x03",
    }
    for name, data in seeds.items():
        (OUT / name).write_bytes(data)


if __name__ == "__main__":
    main()
