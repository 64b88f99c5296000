#!/usr/bin/env python3
"""Seeds of fuzz_net_frame: lives of a network, a list of steps each.

Usage: seeds_net.py [DIRECTORY]     (tests/fuzz/corpus/net_frame)
The steps and their arguments are those of fuzz_net_frame.c.
"""

import pathlib
import struct
import sys

(RAW, ETHER, PACKET, FRAGMENT6, UDP, ICMP, TCP, ARP, END, TIME, LOOP, ROOM, WRITE, READ, SHUT,
 OUTCOME, RESET, FEATURES, EXPLAIN) = range(19)

# Places of fuzz_net_frame.c.
GATEWAY4, GATEWAY6, PUBLIC4, PUBLIC6, OTHER4, PRIVATE4, PRIVATE6, LOOP4, LOOP6, GROUP4, GROUP6 = range(11)
DNS, HTTP, HTTPS, DOT, MDNS = range(5)
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
# The first byte: the policy by its rest modulo 3, bits are of the link.
PUBLIC, ALL, NAMES = 0x72, 0x70, 0x71  # with offloads
PUBLIC_PLAIN, NAMES_SLOW, ALL_PROXY = 0, 8, 0x80 | 0x50


def step(kind, *args):
    return bytes([kind, *args])


def rest(data):
    return struct.pack("<H", len(data)) + data


def udp(place, port, data, how=0):
    return step(UDP, how, place, port) + rest(data)


def packet(place, proto, off, data, how=0):
    return step(PACKET, how, place, proto) + struct.pack("<H", off) + rest(data)


def fragment6(place, proto, off, data, how=0):
    return step(FRAGMENT6, how, place, proto) + struct.pack("<H", off) + rest(data)


def icmp(place, kind, data, how=0):
    return step(ICMP, how, place, kind) + rest(data)


def tcp(place, which, flags, data=b"", words=0x84, seq=0, ack=0, how=0):
    return step(TCP, how, place, which, flags, words, seq & 255, ack & 255) + rest(data)


def time(ms):
    return step(TIME) + struct.pack("<H", ms // 10)


def write(which, data):
    return step(WRITE, which) + rest(data)


def question(name, kind=1):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def hello(name):
    """A ClientHello with a name."""
    sni = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
    exts = struct.pack(">HH", 0, len(sni)) + sni
    body = (b"\3\3" + bytes(32) + b"\0" + struct.pack(">H", 2) + b"\x13\1" + b"\1\0"
            + struct.pack(">H", len(exts)) + exts)
    return b"\x16\3\1" + struct.pack(">HB", len(body) + 4, 1) + struct.pack(">I", len(body))[1:] + body


def connect(place, which, words=0x84):
    return (tcp(place, which, SYN, bytes([2, 4, 5, 0xB4]), words=0x85) + step(END) + step(LOOP)
            + tcp(place, which, ACK, words=words) + step(END))


SEEDS = {
    "arp": [step(ARP, 1, 1), step(ARP, 1, 2), step(ARP, 2, 1), step(ARP, 9, 9)],
    "neighbours": [icmp(GATEWAY6, 135, bytes(12) + b"\xfd\x42" + bytes(14)), icmp(GROUP6, 133, b""),
                   icmp(GROUP6 | 0x80, 133, b""), icmp(GATEWAY6, 134, bytes(40)),
                   icmp(GATEWAY6, 137, bytes(40)), icmp(GATEWAY6, 136, bytes(24)), icmp(GROUP6, 143, bytes(20))],
    "echo_gateway": [icmp(GATEWAY4, 8, bytes(56)), icmp(GATEWAY6, 128, bytes(1500)), icmp(15, 128, bytes(8))],
    "echo_out": [icmp(OTHER4, 8, bytes(56)), step(LOOP), write(0, bytes(64)), icmp(PUBLIC6, 128, bytes(56), how=3),
                 write(1, b"\x81" + bytes(63)), time(40000)],
    "echo_denied": [step(OUTCOME, 3), icmp(PRIVATE4, 8, bytes(56)), icmp(OTHER4, 8, bytes(56)), icmp(PUBLIC4, 3, bytes(36))],
    "fragments4": [packet(GATEWAY4, 1, 0x2000, b"\x08\0\0\0\0\1\0\1" + bytes(1472)), packet(GATEWAY4, 1, 185, bytes(500)), step(END)],
    "fragments4_overlap": [packet(OTHER4, 17, 0x2000, bytes(1480)), packet(OTHER4, 17, 0x2000 | 100, bytes(1480)),
                           packet(OTHER4, 17, 185, bytes(100)), time(16000)],
    "fragments4_udp": [packet(OTHER4, 17, 185, bytes(520)),
                       packet(OTHER4, 17, 0x2000, struct.pack(">HHHH", 5000, 123, 2000, 0) + bytes(1472)), step(END), step(READ, 0)],
    "fragments6": [fragment6(GATEWAY6, 58, 1, b"\x80\0\0\0\0\1\0\1" + bytes(1272)), fragment6(GATEWAY6, 58, 1280, bytes(500)), step(END)],
    "fragment_giant": [packet(OTHER4, 17, 8191, bytes(1480)), fragment6(OTHER4, 17, 0xFFF8, bytes(1480))],
    "protocols": [packet(OTHER4, x, 0, bytes(40)) for x in (0, 2, 4, 41, 47, 50, 51, 132, 255)],
    "udp": [udp(OTHER4, 5, b"hello"), step(LOOP), write(0, b"answer"), udp(PUBLIC6, 5, b"hello"), write(1, bytes(4000)),
            udp(GROUP4, MDNS, b"who"), time(200000)],
    "quic": [udp(OTHER4, HTTPS, bytes(1200))],
    "dns": [udp(GATEWAY4, DNS, question("www.example.com")), step(LOOP), write(0, question("www.example.com")),
            udp(GATEWAY6, DNS, question("denied.test", 28)), udp(OTHER4, DNS, question("a.example.com")), time(3000), step(LOOP)],
    "tcp": [connect(OTHER4, 1 * 8), tcp(OTHER4, 8, ACK | PSH, b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"), step(END), step(READ, 0),
            write(0, b"HTTP/1.1 200 OK\r\n\r\n" + bytes(4000)), step(END), tcp(OTHER4, 8, ACK), step(END), step(SHUT, 0, 1),
            tcp(OTHER4, 8, ACK | FIN), step(END), step(LOOP), tcp(OTHER4, 8, ACK), step(END), time(1000)],
    "tcp6_pending": [step(OUTCOME, 1), connect(PUBLIC6, 2 * 8), tcp(PUBLIC6, 16, ACK | PSH, hello(b"a.example.com")), step(END), step(LOOP),
                     step(READ, 0), tcp(PUBLIC6, 16, RST), step(END)],
    "tcp_refused": [step(OUTCOME, 2), tcp(OTHER4, 8, SYN), step(END), step(LOOP), step(OUTCOME, 3), tcp(PUBLIC6, 9, SYN), step(END), step(LOOP)],
    "tcp_dns": [connect(GATEWAY4, 0), tcp(GATEWAY4, 0, ACK | PSH, struct.pack(">H", 33) + question("www.example.com")), step(END), step(LOOP),
                step(LOOP), time(3000), step(LOOP)],
    "tcp_no_room": [connect(OTHER4, 8), step(ROOM, 0), write(0, bytes(4000)), write(0, bytes(4000)), step(ROOM, 1), step(ROOM, 9), time(500),
                    time(1000), tcp(OTHER4, 8, ACK, words=0), step(END), write(0, bytes(4000)), time(2000), tcp(OTHER4, 8, ACK), step(END)],
    "tcp_odd": [connect(OTHER4, 8), tcp(OTHER4, 8, ACK | 32, b"urgent"), tcp(OTHER4, 8, ACK | PSH, b"x" * 99, seq=-50),
                tcp(OTHER4, 8, ACK, b"y", seq=50), tcp(OTHER4, 8, ACK, ack=100), tcp(OTHER4, 8, RST, seq=9), tcp(OTHER4, 8, SYN), step(END),
                tcp(OTHER4, 8, 0), tcp(OTHER4, 8, 255, bytes(60), words=0x0A), step(END)],
    "reset": [connect(OTHER4, 8), udp(OTHER4, 5, b"x"), packet(OTHER4, 17, 0x2000, bytes(64)), step(RESET), tcp(OTHER4, 8, ACK), step(END),
              step(FEATURES, 7), connect(PUBLIC6, 8), step(EXPLAIN, 2)],
    "ether": [step(ETHER, 0, x) + rest(bytes(60)) for x in range(4)] + [step(RAW, 0, 0) + rest(bytes(x)) for x in (0, 13, 14, 60)],
}


SEEDS["tcp_named"] = [connect(OTHER4, 2 * 8), tcp(OTHER4, 16, ACK | PSH, hello(b"a.example.com")), step(END), step(LOOP), step(READ, 0),
                      write(0, b"x" * 100), connect(OTHER4, 8 + 1), tcp(OTHER4, 9, ACK | PSH, b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n"),
                      step(END), step(LOOP)]
SEEDS["tcp_proxy"] = [connect(OTHER4, 8), write(0, b"\5\2"), step(LOOP), write(0, b"\1\0"), write(0, b"\5\0\0\1" + bytes(6)), step(LOOP),
                      tcp(OTHER4, 8, ACK), step(END), tcp(OTHER4, 8, ACK | PSH, b"data"), step(END), step(READ, 0)]


def main():
    where = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus/net_frame")
    where.mkdir(parents=True, exist_ok=True)
    begins = {"echo_denied": PUBLIC, "dns": NAMES, "protocols": PUBLIC_PLAIN, "tcp6_pending": NAMES, "arp": NAMES_SLOW, "tcp_named": NAMES,
              "tcp_proxy": ALL_PROXY}
    for name, steps in SEEDS.items():
        (where / name).write_bytes(bytes([begins.get(name, ALL)]) + b"".join(steps))


if __name__ == "__main__":
    main()
