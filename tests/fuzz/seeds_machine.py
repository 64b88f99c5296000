#!/usr/bin/env python3
"""Seeds of the targets mmio and machine: programs for world.c.

Run in tests/fuzz; writes corpus/{mmio,machine}/seed-*. Each program is written
once for its device alone and once for the machine that has them all.
"""
import os
import struct

KINDS = ["blk", "read-only", "rng", "vsock", "console", "balloon"]
(REGISTER, ACCESS, UP, REQUEST, MEMORY, KICK, RUN, INTERRUPT, HOST, RESET,
 QUEUE, JUMP) = range(12)
W = 2  # the device writes to it
INDIRECT = 4


class Program:
    """Steps of one device's driver."""

    def __init__(self, kind):
        self.kind = KINDS.index(kind)
        self.steps = []

    def step(self, op, payload=b""):
        self.steps.append((op, payload))
        return self

    def up(self, omit=0, features=0, queues=0):
        return self.step(UP, bytes([omit, features, queues]))

    def memory(self, at, data):
        return self.step(MEMORY, struct.pack("<HB", at, len(data)) + data)

    def request(self, queue, *buffers, notify=True, turns=2):
        how = queue | (len(buffers) - 1) << 2 | notify << 4 | turns << 5
        return self.step(REQUEST, bytes([how]) + b"".join(
            struct.pack("<HHB", *b) for b in buffers))

    def register(self, off, value):
        return self.step(REGISTER, struct.pack("<BI", off // 4, value))

    def access(self, off, width, value=0, read=False):
        how = [1, 2, 4, 8, 3, 0, 5, 7].index(width) | read << 4
        return self.step(ACCESS, struct.pack("<BHI", how, off, value))

    def host(self, how, value=0):
        return self.step(HOST, bytes([how, value]))

    def jump(self, queue, index):
        return self.step(JUMP, struct.pack("<BH", queue, index))

    def queue(self, queue, wrong, value):
        return self.step(QUEUE, struct.pack("<BH", queue | wrong << 3, value))

    def run(self, times=2):
        return self.step(RUN, bytes([times]))

    def done(self):
        return self.step(INTERRUPT).step(RESET)

    def alone(self):
        return bytes([self.kind]) + self.within(0)

    def within(self, index):
        return b"".join(bytes([index << 4 | op]) + p for op, p in self.steps)


def blk(kind, request, sector=3, data=(0x7f00, 512, W), n=1, extra=b""):
    header = struct.pack("<IIQ", request, 0, sector)
    p = Program(kind).up().memory(0x6000, header)
    if extra:
        p.memory(data[0], extra)
    for _ in range(n):
        p.request(0, (0x6000, 16, 0), data, (0x6100, 1, W))
    return p.done()


def packet(op, source, port, length=0, flags=0, forged=0):
    return struct.pack("<QQIIIHHIII", 3 + forged, 2, source, port, length, 1,
                       op, flags, 0x8000, 0)


def send(p, raw, length=0):
    return p.memory(0x6000, raw).request(1, (0x6000, len(raw) + length, 0))


def vsock_guest_opens():
    p = Program("vsock").up()
    for i in range(6):
        p.request(0, (0x7000 + 0x300 * i, 0x300, W), turns=0)
    send(p, packet(1, 5, 1000))
    p.host(0xa0, 20).run(3)
    send(p, packet(5, 5, 1000, 100), 100).host(0xa1, 20).run()
    send(p, packet(6, 5, 1000)).step(INTERRUPT)
    send(p, packet(4, 5, 1000, flags=3)).host(0xa3).run(3)
    return send(p, packet(3, 5, 1000)).done()


def vsock_host_opens():
    p = Program("vsock").host(0x80, 6).up()
    for i in range(4):
        p.request(0, (0x7000 + 0x300 * i, 0x300, W))
    port = (1 << 30) + 1  # the first that the device takes
    send(p, packet(2, 6, port)).host(0xa0, 40).run(3)
    send(p, packet(7, 6, port)).step(INTERRUPT).host(0x80, 7).run()
    send(p, packet(3, 7, port + 1))
    return send(p, packet(5, 6, port, 60), 60).host(0xa2, 1).run().done()


def vsock_slow_host(end):
    """The host does not read, then reads, then leaves in some way."""
    p = Program("vsock").up()
    for i in range(8):
        p.request(0, (0xf000 + 0x100 * i, 0x100, W), turns=0)
    send(p, packet(1, 5, 1000))
    raw = packet(5, 5, 1000, 0x7000)
    p.memory(0x4000, raw)
    for _ in range(9):
        p.request(1, (0x4000, len(raw) + 0x7000, 0))
    for _ in range(6):
        p.host(0xa1, 255).run(1)
    send(p, packet(4, 5, 1000, flags=2))
    for how, value in end:
        p.host(how, value).run(3)
    send(p, packet(5, 5, 1000, 9), 9)
    return send(p, packet(4, 5, 1000, flags=3)).run().done()


def vsock_refused():
    p = Program("vsock").up()
    for i in range(3):
        p.request(0, (0x7000 + 0x300 * i, 0x300, W))
    send(p, packet(1, 5, 9)).run()
    send(p, packet(5, 5, 9, forged=1)).run()
    return p.request(1, (0x6000, 10, 0)).done()


def console():
    p = Program("console").access(0x108, 4, 65).up()
    p.request(0, (0x6000, 64, W)).host(0, 2).run(3)
    p.memory(0x6100, b"words " * 10).request(1, (0x6100, 60, 0))
    p.host(1, 10).step(INTERRUPT).access(0x108, 4, 66).access(0x108, 1, 67)
    for _ in range(8):
        p.request(1, (0x4000, 0xb000, 0))
    return p.host(1, 255).run(4).host(2, 0).run().host(3).run().done()


def balloon(features=0):
    pfns = struct.pack("<8I", 8, 9, 10, 12, 15, 14, 16, 0xffffffff)
    stats = b"".join(struct.pack("<HQ", t, 1000 * t) for t in (4, 5, 6, 7, 99))
    p = Program("balloon").host(0x40, 20).up(features=features)
    p.memory(0x6000, pfns).request(0, (0x6000, 32, 0)).access(0x104, 4, 6)
    p.host(0x40, 200).step(INTERRUPT).request(1, (0x6000, 8, 0))
    p.memory(0x6100, stats).request(2, (0x6100, 50, 0))
    p.request(3, (0x8000, 0x4000, W), (0xd001, 0x2000, W))
    p.request(0, (0, 0xffff, 0)).request(0, (0x6000, 31, 0)).run(6)
    return p.access(0x100, 8, read=True).access(0x0fc, 4, read=True).done()


def rng():
    p = Program("rng").up()
    for i in range(20):
        p.request(0, (0x6000, 600, W), (0x7f00, 0x200, W))
    return p.done()


def early_and_late():
    """Requests before DRIVER_OK, kicks through the eventfd, resets."""
    p = Program("rng").up(omit=32).request(0, (0x6000, 64, W)).run()
    p.register(0x070, 0xf).run().step(INTERRUPT)
    p.request(0, (0x6000, 64, W), notify=False, turns=0).step(KICK, b"\0")
    p.step(KICK, b"\x80").step(RESET).up()
    return p.request(0, (0x6000, 9, W), turns=0).step(RESET).run().done()


def breaches():
    p = Program("rng").up().jump(0, 17).step(KICK, b"\0").run().done()
    p.up().jump(0, 0xffff).step(KICK, b"\0").run().up(omit=1).done()
    p.up().request(0, (0xfff0, 0x20, W)).step(INTERRUPT).done()
    table = struct.pack("<QIHH", 0x6100, 16, W | 1, 1) + struct.pack(
        "<QIHH", 0x6200, 16, W, 0)
    p.up().memory(0x6000, table).request(0, (0x6000, 32, INDIRECT))
    p.request(0, (0x6000, 33, INDIRECT)).done()
    loop = struct.pack("<QIHH", 0x6100, 16, W | 1, 0)
    p.up().memory(0x6000, loop).request(0, (0x6000, 16, INDIRECT)).done()
    return p.up(features=2).request(0, (0x6000, 32, INDIRECT)).done()


def geometry():
    p = Program("blk")
    for wrong, value in ((1, 0), (1, 3), (1, 2048), (2, 8), (2, 0xfff0),
                         (3, 1), (4, 2), (4, 0xfff8)):
        p.up(omit=32, queues=1).queue(0, wrong, value).register(0x070, 0xf)
        p.run().step(INTERRUPT)
    return p.up().queue(0, 2, 0x6000).register(0x044, 0).queue(9, 0, 0).done()


def registers():
    p = Program("console")
    for off in range(0, 0x118, 4):
        p.access(off, 4, read=True)
    for width in (1, 2, 8, 3, 0):
        p.access(0x070, width, 1).access(0x100, width, read=True)
    for features in (0, 8, 16, 31):
        p.up(features=features)
    for v in (0x80, 1, 0, 1, 3, 0xb, 0xf, 0x4f, 0x8f, 0):
        p.register(0x070, v)
    return p.register(0x030, 0xffffffff).register(0x038, 8).done()


PROGRAMS = {
    "blk-in": blk("blk", 0),
    "blk-out": blk("blk", 1, data=(0x7e00, 1024, 0)),
    "blk-flush": blk("blk", 4, data=(0x7f00, 0, 0)),
    "blk-id": blk("blk", 8, data=(0x7f00, 20, W)),
    "blk-discard": blk("blk", 11, data=(0x7000, 16, 0),
                       extra=struct.pack("<QII", 4, 8, 0)),
    "blk-zeroes": blk("blk", 13, data=(0x7000, 32, 0),
                      extra=struct.pack("<QIIQII", 4, 8, 1, 60, 4, 0)),
    "blk-many": blk("blk", 0, sector=127, n=20),
    "read-only-in": blk("read-only", 0, sector=0, data=(0x4000, 0x8000, W)),
    "read-only-out": blk("read-only", 1, data=(0x7e00, 1024, 0)),
    "rng": rng(),
    "vsock-guest-opens": vsock_guest_opens(),
    "vsock-host-opens": vsock_host_opens(),
    "vsock-refused": vsock_refused(),
    "vsock-slow": vsock_slow_host([(0xa1, 255)] * 20),
    "vsock-eof": vsock_slow_host([(0xa2, 1), (0xa2, 0)]),
    "vsock-deaf": vsock_slow_host([(0xa2, 0), (0xa0, 9)]),
    "vsock-gone": vsock_slow_host([(0xa0, 90), (0xa3, 0)]),
    "console": console(),
    "balloon": balloon(),
    "balloon-plain": balloon(4),
    "early-and-late": early_and_late(),
    "breaches": breaches(),
    "geometry": geometry(),
    "registers": registers(),
}


def write(target, name, data):
    os.makedirs(f"corpus/{target}", exist_ok=True)
    with open(f"corpus/{target}/seed-{name}", "wb") as f:
        f.write(data)


def interleave(programs):
    """One step of each in turn."""
    out = b""
    for i in range(max(len(p.steps) for p in programs)):
        for p in programs:
            if i < len(p.steps):
                op, payload = p.steps[i]
                out += bytes([p.kind << 4 | op]) + payload
    return out


if __name__ == "__main__":
    for name, program in PROGRAMS.items():
        write("mmio", name, program.alone())
        write("machine", name, program.within(program.kind))
    write("machine", "all", interleave([
        PROGRAMS[k] for k in ("blk-in", "read-only-in", "rng", "console",
                              "vsock-guest-opens", "balloon")]))
