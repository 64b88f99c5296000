"""What a root of the guest can do with raw frames: `attack_udp.py KIND PORT ADDRESS...`, in the guest's namespace."""
import logging
import random
import socket
import struct
import sys
import time

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import (Ether, ICMP, IP, IPv6, UDP, fragment, raw)  # noqa: E402

GUEST_MAC, GATEWAY_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
GUEST4, GUEST6 = "172.16.0.2", "fd42:6d73:62::2"
SPORT = 33000

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("tap0", 0))


def eth(**kw):
    return Ether(**{"src": GUEST_MAC, "dst": GATEWAY_MAC, **kw})


def ip(address, **kw):
    if ":" in address:
        return IPv6(src=GUEST6, dst=address, **kw)
    return IP(src=GUEST4, dst=address, **kw)


def send(*packets):
    for p in packets:
        wire.send(raw(p) if not isinstance(p, bytes) else p)


def paced(frames):
    """5,000 a second: faster, and the guest's own queue is what drops."""
    for i, frame in enumerate(frames):
        wire.send(frame)
        if i % 100 == 99:
            time.sleep(0.02)


def flood(address, port):
    """10,000 ports, twice; a frame made once and changed in place."""
    frame = bytearray(raw(eth() / ip(address) / UDP(sport=SPORT, dport=1, chksum=0) / (b"f" * 32)))
    at = len(frame) - 32 - 8
    v6 = ":" in address
    if v6:  # a sum is a must there; that it is wrong, nobody looks at
        frame[at + 6:at + 8] = b"\x12\x34"

    def frames():
        for p in [*range(20000, 30000)] * 2:
            frame[at + 2:at + 4] = p.to_bytes(2, "big")
            yield frame

    paced(frames())


def sources(address, port):
    """One peer, 10,000 ports of the guest."""
    frame = bytearray(raw(eth() / ip(address) / UDP(sport=1, dport=port, chksum=0) / (b"s" * 32)))
    at = len(frame) - 32 - 8
    if ":" in address:
        frame[at + 6:at + 8] = b"\x12\x34"

    def frames():
        for p in range(20000, 30000):
            frame[at:at + 2] = p.to_bytes(2, "big")
            yield frame

    paced(frames())


def spoofed(address, port):
    """From whoever the guest is not."""
    payload = UDP(sport=SPORT, dport=port) / b"spoofed"
    others4 = ["172.16.0.1", "172.16.0.3", "10.0.0.1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "8.8.8.8", address]
    others6 = ["fd42:6d73:62::1", "::1", "::", "ff02::1", "2606:2800::2", "::ffff:1.2.3.4", "fe80::1"]
    v6 = ":" in address
    for src in others6 if v6 else others4:
        send(eth() / (IPv6(src=src, dst=address) if v6 else IP(src=src, dst=address)) / payload)
    for mac in ("02:00:00:00:00:09", GATEWAY_MAC, "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"):
        send(eth(src=mac) / ip(address) / payload)
    send(eth(dst="02:00:00:00:00:09") / ip(address) / payload)


def lengths(address, port):
    """Of UDP, of IP, of the frame: each may lie."""
    base = eth() / ip(address)
    for n in (0, 1, 7, 9 + 20, 1000, 65535):
        send(base / UDP(sport=SPORT, dport=port, len=n) / (b"l" * 20))
    whole = raw(base / UDP(sport=SPORT, dport=port) / (b"l" * 20))
    for n in range(0, len(whole) - 20):
        if n >= 14:
            send(whole[:n])
    if ":" in address:
        for n in (0, 1, 7, 29, 65535):
            send(eth() / ip(address, plen=n) / UDP(sport=SPORT, dport=port) / (b"l" * 20))
        send(base / UDP(sport=SPORT, dport=port, chksum=0) / b"no sum")
    else:
        for n in (0, 19, 20, 27, 49, 65535):
            send(eth() / ip(address, len=n) / UDP(sport=SPORT, dport=port) / (b"l" * 20))
        for n in range(0, 5):
            send(eth() / ip(address, ihl=n) / UDP(sport=SPORT, dport=port) / (b"l" * 20))
        send(eth() / ip(address, chksum=0xdead) / UDP(sport=SPORT, dport=port) / b"bad sum")
        send(eth() / ip(address, ttl=0) / UDP(sport=SPORT, dport=port) / b"dead")
    send(base / UDP(sport=SPORT, dport=0) / b"port 0")


def piece(address, off, data, more, ident):
    """A fragment, with no help: scapy takes a millisecond for each. @off in bytes."""
    mac = bytes.fromhex((GATEWAY_MAC + GUEST_MAC).replace(":", ""))
    if ":" in address:
        head = struct.pack(">IHBB", 6 << 28, 8 + len(data), 44, 64)
        head += socket.inet_pton(socket.AF_INET6, GUEST6) + socket.inet_pton(socket.AF_INET6, address)
        return mac + b"\x86\xdd" + head + struct.pack(">BBHI", 17, 0, off // 8 << 3 | more, ident) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), ident, off // 8 | more << 13, 64, 17, 0)
    head += socket.inet_aton(GUEST4) + socket.inet_aton(address)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return mac + b"\x08\x00" + head[:10] + struct.pack(">H", total) + head[12:] + data


def udp_bytes(port, size, byte=b"x"):
    return SPORT.to_bytes(2, "big") + port.to_bytes(2, "big") + (8 + size).to_bytes(2, "big") + b"\x12\x34" + byte * size


def fragments(address, port):
    """None of them may become a datagram, but for those that are right."""
    d = udp_bytes(port, 4000)
    # Overlap of one byte's worth of offset, of all, before and behind.
    for off in (8, 1432, 1424):
        send(piece(address, 0, d[:1440], True, 100 + off), piece(address, off, d[off:off + 1440], True, 100 + off),
             piece(address, 1440, d[1440:2880], True, 100 + off), piece(address, 2880, d[2880:], False, 100 + off))
    # The same twice, the head last, two ends that differ.
    send(piece(address, 1440, d[1440:2880], True, 200), piece(address, 1440, b"y" * 1440, True, 200),
         piece(address, 2880, d[2880:], False, 200), piece(address, 0, d[:1440], True, 200))
    send(piece(address, 0, d[:1440], True, 201), piece(address, 2880, d[2880:], False, 201),
         piece(address, 3960, b"zz", False, 201), piece(address, 1440, d[1440:2880], True, 201))
    # Beyond what a packet can be; an odd length in the middle; nothing in it.
    for off in (65528, 65520, 65000):
        send(piece(address, 0, d[:1440], True, 300 + off % 100), piece(address, off, b"p" * 1400, False, 300 + off % 100))
    send(piece(address, 0, d[:1437], True, 400), piece(address, 1440, d[1440:2880], False, 400))
    send(piece(address, 0, b"", True, 401), piece(address, 8, b"", False, 401), piece(address, 65528, b"", True, 402))
    # Tiny: the header itself in pieces, never the last one.
    for i in range(0, 1400, 8):
        send(piece(address, i, d[i:i + 8], True, 500))
    # Starters that nobody goes on with.
    for i in range(1000):
        send(piece(address, 0, d[:1440], True, 1000 + i))
    # Endless: one that grows and grows, again and again over its end.
    for i in range(0, 65528, 1400 // 8 * 8):
        send(piece(address, i, b"e" * 1400, True, 600))
    for i in range(2000):
        send(piece(address, random.randrange(0, 8000) * 8, b"r" * random.randrange(1, 64), bool(i & 1), 700 + i % 4))


def right_fragments(address, port):
    """In every order, a datagram of 4,000 bytes: @port counts them."""
    d = udp_bytes(port, 4000)
    cuts = [(0, 1440, True), (1440, 2880, True), (2880, len(d), False)]
    for n, order in enumerate(((0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2))):
        send(*(piece(address, cuts[i][0], d[cuts[i][0]:cuts[i][1]], cuts[i][2], 9000 + n) for i in order))


def errors(address, port):
    """ICMP errors that quote flows of others, and answers that nobody asked for."""
    inner = IP(src="8.8.8.8", dst=GUEST4) / UDP(sport=port, dport=SPORT) / b"inner"
    for kind in (3, 4, 5, 11, 12):
        for code in range(16):
            send(eth() / IP(src=GUEST4, dst="172.16.0.1") / ICMP(type=kind, code=code) / inner)
    send(eth() / IP(src=GUEST4, dst=address) / ICMP(type=0, id=1, seq=1) / (b"r" * 60000)[:1400])
    send(*fragment(eth() / IP(src=GUEST4, dst=address) / ICMP(type=8, id=7, seq=1) / (b"r" * 65000), 1480))
    for i in range(500):
        send(eth() / IP(src=GUEST4, dst=address) / ICMP(type=8, id=i, seq=i) / b"flood")


for to in sys.argv[3:]:
    globals()[sys.argv[1]](to, int(sys.argv[2]))
