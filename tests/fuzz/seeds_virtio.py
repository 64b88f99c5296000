#!/usr/bin/env python3
"""Seeds of the virtio fuzz targets: one well-formed input for each path.

Run in tests/fuzz; writes corpus/TARGET/seed-* for each target named below.
"""
import os
import struct

SIZE = 16


def write(target, name, data):
    os.makedirs(f"corpus/{target}", exist_ok=True)
    with open(f"corpus/{target}/seed-{name}", "wb") as f:
        f.write(data)


def desc(addr, length, flags, following=0):
    return struct.pack("<QIHH", addr, length, flags, following)


def ring(chains, extra=None):
    """Memory with one queue at 0: chains of (addr, len, writable)."""
    table, avail = [], []
    for chain in chains:
        avail.append(len(table))
        for i, (addr, length, flags) in enumerate(chain):
            last = i == len(chain) - 1
            table.append(desc(addr, length, flags | (0 if last else 1),
                              len(table) + 1))
    mem = bytearray(0x400)
    mem[0:16 * len(table)] = b"".join(table)
    struct.pack_into("<HH", mem, 0x100, 0, len(avail))
    for i, head in enumerate(avail):
        struct.pack_into("<H", mem, 0x104 + 2 * i, head)
    for at, data in sorted((extra or {}).items()):
        mem.extend(bytes(max(0, at + len(data) - len(mem))))
        mem[at:at + len(data)] = data
    return bytes(mem)


def vq():
    def head(features=3):
        return struct.pack("<BBBBHHHH", SIZE, 0, features, 1, 0, 0x100, 0x200,
                           0)
    plain = [[(0x1000, 64, 0), (0x2000, 512, 2)], [(0x7ff0, 0x20, 2)]]
    write("vq", "plain", head(0) + ring(plain))
    table = desc(0x1000, 16, 1, 1) + desc(0x1800, 32, 2)
    write("vq", "indirect", head() + ring([[(0x600, 32, 4)]], {0x600: table}))
    loop = bytearray(ring([[(0x1000, 1, 0)]]))
    loop[12:16] = struct.pack("<HH", 1, 0)
    write("vq", "loop", head() + bytes(loop))


def request(kind, sector, data, flags):
    header = struct.pack("<IIQ", kind, 0, sector)
    return ring([[(0x500, 16, 0), (0x1000, len(data), flags),
                  (0x600, 1, 2)]], {0x500: header, 0x1000: data})


def blk():
    segment = struct.pack("<QII", 4, 8, 0)
    for name, kind, data, flags in (("in", 0, bytes(1024), 2),
                                    ("out", 1, b"x" * 1024, 0),
                                    ("flush", 4, b"", 0),
                                    ("id", 8, bytes(20), 2),
                                    ("discard", 11, segment, 0),
                                    ("zeroes", 13, segment, 0)):
        for mode in (0, 1):
            write("blk", f"{name}-{mode}",
                  bytes([mode]) + request(kind, 31, data, flags))


def rng():
    write("rng", "plain", ring([[(0x1000, 64, 2)], [(0x2000, 1, 2)]]))


def vnet():
    frame = bytes(12) + b"x" * 60
    write("vnet", "echo", ring([[(0x1000, 12, 0), (0x1100, 60, 0)], [(0x2000, 1526, 2)], [(0x3000, 1526, 2)]]) + frame)
    write("vnet", "large", ring([[(0x1000, 4000, 0)]] + [[(0x2000 + 0x200 * i, 512, 2)] for i in range(8)]))


def packet(op, ports=0x01, odd=0, length=0, credit=0x8000, fwd=0):
    return bytes([0, ports, op, odd]) + struct.pack("<HHH", length, credit,
                                                    fwd)


def vsock():
    rx, host_write, host_read = b"\x01\x0f", b"\x02\x00\x20", b"\x03\x00"
    opened = rx + packet(1) + host_write
    write("vsock", "guest-opens", opened + packet(5, length=100) + host_read
          + packet(4, odd=0x60) + packet(3))
    write("vsock", "host-opens", rx + b"\x05\x06"
          + packet(2, ports=0x80 | 1 << 3 | 6) + host_write + b"\x04\x10"
          + b"\x04\x08")
    write("vsock", "credit", opened + packet(6, credit=1) + packet(7)
          + packet(5, length=4095) * 80 + host_read)
    write("vsock", "refused", rx + packet(1, ports=0x39) + packet(5, odd=1)
          + packet(1, odd=8) + b"\x07" + b"\x08")


def message(request_id, payload=b"", kind=0):
    data = struct.pack("<III", request_id, 1, len(payload)) + payload
    return bytes([kind, len(data)]) + data


def vhost_user():
    user, gpa = 0x7F0000000000, 0x100000
    table = struct.pack("<IIQQQQ", 1, 0, gpa, 0x8000, user, 0)
    addr = struct.pack("<IIQQQQ", 0, 0, user, user + 0x200, user + 0x100, 0)
    features = 1 << 32 | 1 << 30 | 1 << 28
    start = (message(1) + message(15) + message(16, struct.pack("<Q", 8))
             + message(2, struct.pack("<Q", features)) + message(3)
             + message(5, table, 0x10)
             + message(8, struct.pack("<II", 0, 16))
             + message(10, struct.pack("<II", 0, 0)) + message(9, addr)
             + message(12, struct.pack("<Q", 0), 0x12)
             + message(13, struct.pack("<Q", 0), 0x13)
             + message(14, struct.pack("<Q", 0), 0x13)
             + message(18, struct.pack("<II", 0, 1)))
    stop = message(11, struct.pack("<II", 0, 0), 0x80)
    write("vhost_user", "life", start + stop + message(34))
    write("vhost_user", "config", message(24, struct.pack("<III", 0, 8, 0)
                                          + bytes(8)) + message(17))
    write("vhost_user", "reset", start + message(4) + start)


def rings(queues, extra):
    """Memory with several queues, 0x400 bytes each, and then data."""
    mem = bytearray()
    for q, chains in enumerate(queues):
        mem[q * 0x400:] = ring(chains)
    for at, data in extra.items():
        mem.extend(bytes(max(0, at + len(data) - len(mem))))
        mem[at:at + len(data)] = data
    return bytes(mem)


def change(at, byte, what):
    return struct.pack("<HBB", at, byte, what)


def balloon():
    def pfns(*numbers):
        return struct.pack(f"<{len(numbers)}I", *numbers)
    stats = b"".join(struct.pack("<HQ", tag, 1000 * tag)
                     for tag in (4, 5, 6, 7, 99))
    extra = {0x1000: pfns(8, 9, 10, 12, 15, 14, 16, 0xffffffff),
             0x1100: stats}
    inflate = [[(0x1000, 32, 0)]]
    deflate = [[(0x1000, 8, 0)]]
    keep = [[(0x1100, 50, 0)]]
    report = [[(0x8000, 0x4000, 2), (0xd001, 0x2000, 2)]]
    all_four = rings([inflate, deflate, keep, report], extra)
    write("balloon", "all", b"\0\0" + all_four)
    write("balloon", "no-stats", b"\x02\0"
          + rings([inflate, deflate, report], extra))
    write("balloon", "odd", b"\0\0" + rings([[[(0x1000, 31, 0)]]], extra))
    large = [[(0, 0x10000, 0), (0x1000, 0x4000, 0)]]
    write("balloon", "large", b"\0\1" + change(8, 0, 0x80) + rings([large],
                                                                   extra))
    again = change(0x902, 2, 2) + change(0x4f0, 1, 0x72)
    write("balloon", "changes", b"\0\2" + again + all_four)


def vconsole():
    room = [[(0x1000, 64, 2)], [(0x1800, 1, 2)]]
    text = [[(0x2000, 100, 0), (0x3000, 1, 0)], [(0x2800, 0, 0)]]
    large = [[(0, 0x10000, 0), (0x1000, 0x8000, 0)]]
    data = {0x2000: b"words " * 20}
    typed = change(0x3000, 65, 1 << 1) + change(0x3000, 66, 0x10)
    write("vconsole", "talk", b"\2" + typed + rings([room, text], data))
    slow = b"".join(change(0x408, 1, 2 << 1 | 1) for _ in range(30))
    write("vconsole", "large", b"\x1e" + slow + rings([room, large], data))
    end = change(0, 0, 1 << 1) + change(0, 0, 3 << 1) + change(0, 0, 4 << 1)
    write("vconsole", "ends", b"\3" + end + rings([room, large], data))


if __name__ == "__main__":
    for target in (vq, blk, rng, vnet, vsock, vhost_user, balloon, vconsole):
        target()
