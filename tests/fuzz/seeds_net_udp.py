#!/usr/bin/python3
"""Seeds of fuzz_net_udp: lives of flows, as fuzz_net_udp.c reads them."""
import os
import struct

OUT = os.path.join(os.path.dirname(__file__), "corpus", "net_udp")
BATCH, LOOP, RESET = b"\xe0", b"\xc0", b"\xf8"
FAR4, FAR6, GATEWAY4, GATEWAY6, PRIVATE = 0, 1, 2, 3, 4
SERVER, CLOSED, LAST = 0, 1, 7


def say(to=FAR4, port=SERVER, odd=1, sport=0, ttl=64, tos=0, size=20, more=b""):
    return struct.pack("<BBBBBBBH", 0, to, port, odd, sport, ttl, tos,
                       size) + more


def answer(times, size):
    return struct.pack("<BBH", 5, times, size)


def client(which, size):
    return struct.pack("<BBH", 4, which, size)


def later(seconds):
    return bytes([6, seconds])


def room(frames):
    return bytes([7, frames])


def fail(kind):
    return bytes([8, kind])


def raw(data):
    return bytes([3, len(data)]) + data


def fragment(off, more, size):
    flags = struct.pack(">H", off // 8 | (0x2000 if more else 0))
    return say(odd=9, size=size, more=flags)


ROUND = say() + BATCH + answer(1, 30) + LOOP
SEEDS = {
    "round": ROUND,
    "round6": say(FAR6) + BATCH + LOOP,
    "gateway": say(GATEWAY4) + BATCH + answer(1, 30) + LOOP,
    "empty": say(size=0) + BATCH + answer(1, 0) + LOOP,
    "large": say() + BATCH + answer(2, 60000) + LOOP,
    "refused": (say(port=CLOSED) + BATCH + LOOP) * 3,
    "denied": say(PRIVATE) + say(GATEWAY6) + BATCH,
    "chatter": b"".join(say(i, 3) for i in range(16)) + BATCH,
    "life": ROUND + later(29) + say() + BATCH + later(31) + later(181),
    "options": b"".join(say(ttl=i + 1, tos=i) for i in range(9)) + BATCH + LOOP,
    "flood": ROUND + bytes([0xf7, 255]) + BATCH + LOOP + answer(1, 3) + LOOP * 9,
    "blocked": say() + say(sport=1) + BATCH + room(0) + answer(20, 9) +
               LOOP * 4 + room(3) + later(35) + room(128) + LOOP * 3,
    "client": client(0, 40) + LOOP + say(GATEWAY4, LAST, sport=0x80) + BATCH,
    "client6": client(0x80, 40) + LOOP +
               say(GATEWAY6, LAST, sport=0x80) + BATCH,
    "clients": (client(0, 4) + client(1, 5) + client(0x80, 0) +
                client(0x81, 50000) + LOOP * 3) * 2 + later(181) + client(0, 1),
    "no_fd": say() + fail(1) + say(sport=1) + BATCH + fail(0) + say() + BATCH,
    "no_net": b"".join(fail(i << 4) + say(sport=i) for i in range(6)) + BATCH,
    "reset": client(0, 9) + ROUND + say() + RESET + BATCH + ROUND,
    "lengths": b"".join(say(odd=3, more=struct.pack(">H", n))
                        for n in (0, 7, 8, 9, 27, 28, 29, 65535)) + BATCH,
    "sums": say(FAR6, odd=4, more=b"\0\0") + say(odd=4, more=b"\0\0") + BATCH,
    "fragments": fragment(0, True, 1472) + fragment(1480, False, 100) + BATCH +
                 fragment(0, True, 1472) + fragment(8, True, 1472) + BATCH,
    "pieces": say(odd=0x11, size=60) + say(odd=0x71, size=1900) + BATCH,
    "raw": raw(b"\x08\x00\x45" + b"\0" * 30) + raw(b"\x86\xdd\x60" + b"\0" * 50) +
           raw(b"\x08\x06" + b"\0" * 28) + BATCH,
}

os.makedirs(OUT, exist_ok=True)
for name, data in SEEDS.items():
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
