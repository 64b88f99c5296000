#!/usr/bin/env python3
"""Seeds of the name server's fuzz target: one life for each path of an answer.

Run in tests/fuzz; writes corpus/dns/seed-*. The steps are those of fuzz_dns.c.
"""
import os

ASKS, SAYS, STREAM, STREAM_END, SERVER_SAYS, ANSWERS, SERVER_ENDS, TIME = range(8)
GOOD, WWW, DEEP, EVIL, NOTGOOD, CDN, HOST, ROOT, PTR = range(9)
TYPES = {"A": 0, "AAAA": 1, "CNAME": 2, "HTTPS": 3, "SOA": 4, "SVCB": 5, "DNAME": 6, "RRSIG": 7, "MX": 8, "OPT": 9,
         "TXT": 10, "NS": 11}
NUMBERS = {"A": 1, "AAAA": 28, "HTTPS": 65, "SVCB": 64, "MX": 15, "TXT": 16, "ANY": 255, "AXFR": 252, "PTR": 12}
ASKED = 0x80
PUBLIC, INNER, NAT64, SIX = range(4)


def ask(name=GOOD, kind="A", where=0, how=0):
    return bytes([ASKS, where, name, how, NUMBERS[kind]])


def stream(name=GOOD, kind="A", where=0, how=0):
    return bytes([STREAM, where, name, how, NUMBERS[kind]])


def raw(op, where, data):
    return bytes([op, where, len(data)]) + data


def record(kind, data, owner=ASKED, ttl=60):
    if kind == "AAAA":
        return bytes([owner, TYPES[kind], data])
    if kind == "CNAME":
        return bytes([owner, TYPES[kind] | 0x80, data])
    return bytes([owner, TYPES[kind], ttl, len(data)]) + data


def answer(*records, which=0, how=15, flags=0):
    return bytes([ANSWERS, which, how, flags, len(records)]) + b"".join(records)


def passes(ticks):
    """50 ms each."""
    return bytes([TIME, ticks, 1])


PUBLIC4, INNER4, META4 = bytes([93, 184, 216, 34]), bytes([10, 0, 0, 1]), bytes([169, 254, 169, 254])
SOA = bytes(18) + bytes([0, 0, 0, 60])
SVCB = b"\0\1\0" b"\0\1\0\3\2h2" b"\0\4\0\4\x5d\xb8\xd8\x22" b"\0\5\0\4echo"
QUERY = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" b"\4good\7example\0" b"\0\1\0\1"

SEEDS = {
    "plain": ask() + answer(record("A", PUBLIC4)) + ask() + passes(200) + ask(how=3),
    "inner": ask() + answer(record("A", INNER4)) + ask() + answer(record("A", META4), record("A", PUBLIC4)),
    "embedded": b"".join(ask(kind="AAAA", name=i) + answer(record("AAAA", form), which=0)
                         for i, form in enumerate([PUBLIC, INNER, NAT64])) + ask(kind="AAAA") + answer(record("AAAA", SIX)),
    "chain": ask(name=WWW) + answer(record("CNAME", CDN), record("A", PUBLIC4, owner=CDN)),
    "chain_inner": ask(name=WWW) + answer(record("CNAME", CDN), record("A", INNER4, owner=CDN), record("A", INNER4)),
    "chain_loop": ask(name=WWW) + answer(record("CNAME", CDN), record("CNAME", WWW, owner=CDN)),
    "https": ask(kind="HTTPS") + answer(record("HTTPS", SVCB), record("SVCB", SVCB, owner=CDN), how=0x19),
    "extra": ask(kind="MX", how=3) + answer(record("MX", b"\0\1\2mx\xc0\x0c"), record("A", INNER4, owner=CDN), how=8, flags=0x20),
    "negative": ask() + answer(record("SOA", SOA), how=0x10, flags=3) + ask() + passes(250) + passes(250) + ask(),
    "cut": ask() + answer(flags=0x40) + answer(record("A", PUBLIC4), which=0),
    "servfail": ask() + answer(flags=2) + answer(flags=2, which=1) + passes(80) + passes(80),
    "timeout": ask() + passes(10) + passes(40) + passes(41),
    "denied": ask(name=EVIL) + ask(name=NOTGOOD, how=1) + ask(name=HOST) + ask(name=ROOT) + ask(name=PTR, kind="PTR"),
    "odd": ask(kind="ANY") + ask(kind="AXFR") + ask(how=0x80),
    "direct": ask(where=2) + answer(record("A", PUBLIC4)) + ask(where=3) + ask(where=1),
    "bytes": raw(SAYS, 0, QUERY) + raw(SERVER_SAYS, 0, QUERY) + raw(SAYS, 1, QUERY[:-1]) + raw(SAYS, 0, b"\0" * 12),
    "stream": stream() + stream(name=EVIL) + answer(record("A", PUBLIC4)) + bytes([STREAM_END, 0x80]) + passes(210),
    "stream_bytes": raw(STREAM, 0x81, b"\0\x1e" + QUERY[:10]) + raw(STREAM, 0x81, QUERY[10:]) + bytes([STREAM_END, 1]),
    "stream_many": b"".join(stream(name=i % 3, kind="TXT", where=4 | i % 4) for i in range(9)) + answer(which=1) * 3,
    "server_ends": ask() + bytes([SERVER_ENDS, 0]) + stream() + bytes([SERVER_ENDS, 0]) + passes(80),
    "twice": ask() + ask(how=1) + ask() + answer(record("TXT", b"\3abc"), which=0) + answer(record("A", PUBLIC4), which=1),
    "damage": ask() + answer(record("CNAME", CDN), record("A", PUBLIC4), how=0x8f) + b"\x1c\0\xc0",
}


def main():
    os.makedirs("corpus/dns", exist_ok=True)
    for name, data in SEEDS.items():
        with open(f"corpus/dns/seed-{name}", "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
