#!/usr/bin/env python3
"""Seeds of the target net_tcp: its steps, by number (fuzz_net_tcp.c)."""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "net_tcp"
(SEGMENT, SYN, ACK, ACK2, FIN, WRITE, READ, END, TIME, TURN, TURN2, LINK, BATCH, CONNECT, MEMORY, OPEN, ANSWER,
 RESET, TAKE, SAY) = range(20)
EXACT = b"\0"


def syn(conn=0):
    return bytes([SYN, conn, 2, 0]) + EXACT * 2 + b"\1" + b"\0" + bytes([TURN, TURN])


def segment(step, conn, length, seq=EXACT, ack=EXACT, window=b"\1", flags=b""):
    return bytes([step, conn]) + flags + struct.pack(">H", length) + b"\0" + seq + ack + window + b"\0"


def ack(conn=0, length=0, **kw):
    return segment(ACK, conn, length, **kw)


def fin(conn=0, length=0, **kw):
    return segment(FIN, conn, length, **kw)


def write(side, n):
    return bytes([WRITE, side]) + struct.pack(">H", n) + bytes([TURN])


def read(side, n):
    return bytes([READ, side]) + struct.pack(">H", n) + bytes([TURN])


def time(units, shift):
    return bytes([TIME]) + struct.pack(">H", units) + bytes([shift])


OPENED = syn() + ack()
RTO = time(400, 20)  # 400 * 2^20 ns
SEEDS = {
    "talk": OPENED + ack(length=500) + read(0, 600) + write(0, 3000) + ack() + ack(),
    "bulk-up": OPENED + ack(length=60000) * 10 + read(0, 65535) * 10 + ack(length=60000) * 3,
    "bulk-down": OPENED + (write(0, 65535) + ack()) * 8,
    "stuck-up": OPENED + ack(length=60000) * 30 + RTO + read(0, 65535) * 20,
    "stuck-down": OPENED + ack(window=b"\0\0\0") + write(0, 65535) * 3 + RTO * 5 + ack() + ack(),
    "guest-closes": OPENED + fin(length=9) + read(0, 100) + write(0, 50) + ack() + bytes([END, 0, 1, TURN]) + ack(),
    "host-closes": OPENED + write(0, 50) + bytes([END, 0, 2, TURN]) + ack() + fin() + ack(),
    "half-close": OPENED + bytes([END, 0, 1, TURN]) + ack() + ack(length=1000) + read(0, 1000) + fin(),
    "lost": OPENED + write(0, 5000) + ack(ack=b"\xf5\0\0\0\0") + RTO * 4 + ack(ack=b"\xa0\xf0") * 4 + ack(),
    "duplicates": OPENED + write(0, 9000) + ack(ack=b"\xd0\xd8\xf0") * 4 + ack(),
    "disorder": OPENED + ack(length=100, seq=b"\xa0\x10") + ack(length=100) + ack(length=200, seq=b"\xa0\xc0"),
    "refused": bytes([CONNECT, 3]) + syn() + bytes([CONNECT, 4]) + syn(1) + bytes([CONNECT, 5]) + syn(2),
    "full-link": OPENED + bytes([LINK, 3, 0]) + write(0, 65535) + bytes([LINK, 5, 0]) * 20 + ack(),
    "batch": OPENED + syn(1) + ack(1) + bytes([BATCH]) + (ack(length=400) + ack(1, 300)) * 20 + bytes([BATCH]),
    "memory": OPENED + bytes([MEMORY, 0]) + ack(length=60000) * 20 + write(0, 60000) + time(200, 20) + read(0, 65535),
    "again": OPENED + bytes([END, 0, 1, TURN]) + ack() + syn() + ack() + ack(length=30),
    "replaced": OPENED + ack(length=60000) * 8 + fin() + bytes([SYN, 0, 2, 0, 0xd0, 0x10, 0, 0, 1, 0, TURN]) + ack()
    + read(0, 65535) * 9,
    "open": bytes([OPEN, ANSWER, 0, 0, 0x12, TURN, TURN]) + bytes([ANSWER, 0, 0, 0x11, OPEN, ANSWER, 0, 0, 0x14]),
    "both-open": bytes([OPEN, ANSWER, 0, 0, 2, ANSWER, 0, 0, 0x10]),
    "reset": OPENED + write(0, 50) + segment(SEGMENT, 0, 0, flags=b"\4") + syn(3) + bytes([RESET, 0xaa]) + syn(2),
    "hello": syn(2) + ack(2) + ack(2, 300) + bytes([TURN, TAKE]) + read(0, 600) + write(0, 900) + ack(2) + fin(2),
    "hello-pieces": syn(2) + ack(2) + ack(2, 5) + ack(2, 20) + write(0, 50) + ack(2, 60) + bytes([TURN, TAKE])
    + read(0, 600) + ack(2, 700) + read(0, 900),
    "connect": syn(3) + ack(3) + ack(3, 4) + ack(3, 300) + bytes([TURN, TAKE]) + write(0, 300) + read(0, 400),
    "abort": syn(2) + ack(2) + ack(2, 300) + bytes([TURN, TAKE, SAY, 0, 1, TURN, TURN]) + ack(2, 5),
    "link-ends": syn(2) + ack(2) + ack(2, 300) + bytes([TURN, SAY, 5, 0xaa, TURN]) + syn(3) + ack(3) + ack(3, 200),
    "key": syn(4) + ack(4) + ack(4, 305) + ack(4, 10) + read(0, 600) + ack(4, 10) + read(0, 100),
    "key-resent": syn(4) + ack(4) + ack(4, 310) + ack(4, 40, seq=b"\xa0\xf8") + read(0, 600),
    "other-config": syn(4) + ack(4) + ack(4, 310) + bytes([SAY, 3, 0, TURN]) + ack(4, 40) + read(0, 600),
    "many": b"".join(syn(i) + ack(i) for i in range(6)) + b"".join(ack(i, 900) + write(i, 900) for i in range(6)),
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
