"""Frames made by hand: what a root shell in the guest could send, right and wrong."""
import ipaddress
import struct

GUEST_MAC, GATEWAY_MAC = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")
IP4, ARP, IP6, VLAN = 0x800, 0x806, 0x86DD, 0x8100
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
SYN, ACK = 2, 16


def packed(address):
    return ipaddress.ip_address(address).packed


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))


def eth(payload, kind=IP4, src=GUEST_MAC, dst=GATEWAY_MAC):
    return dst + src + struct.pack(">H", kind) + payload


def ip4(src, dst, proto, payload, ttl=64, ident=1, flags=0, offset=0, options=b"", length=None, ihl=None, version=4,
        bad_sum=False):
    options += b"\0" * (-len(options) % 4)
    ihl = 5 + len(options) // 4 if ihl is None else ihl
    length = 20 + len(options) + len(payload) if length is None else length
    head = struct.pack(">BBHHHBBH", version << 4 | ihl, 0, length, ident, flags << 13 | offset // 8, ttl, proto, 0)
    head += packed(src) + packed(dst) + options
    total = checksum(head) ^ (0x5555 if bad_sum else 0)
    return head[:10] + struct.pack(">H", total) + head[12:] + payload


def ip6(src, dst, proto, payload, hops=64, length=None, version=6):
    return struct.pack(">IHBB", version << 28, len(payload) if length is None else length, proto, hops) + \
        packed(src) + packed(dst) + payload


def pseudo(src, dst, proto, length):
    a, b = packed(src), packed(dst)
    return a + b + (struct.pack(">HH", proto, length) if len(a) == 4 else struct.pack(">II", length, proto))


def udp(src, dst, port, data=b"escape", sport=40000, length=None):
    length = 8 + len(data) if length is None else length
    head = struct.pack(">HHHH", sport, port, length, 0)
    total = checksum(pseudo(src, dst, UDP, 8 + len(data)) + head + data) or 0xFFFF
    return head[:6] + struct.pack(">H", total) + data


def tcp(src, dst, port, flags=SYN, sport=40000, seq=1000, ack=0, data=b"", offset=None, urgent=0, options=b""):
    offset = 5 + len(options) // 4 if offset is None else offset
    head = struct.pack(">HHIIBBHHH", sport, port, seq, ack, offset << 4, flags, 64000, 0, urgent) + options
    total = checksum(pseudo(src, dst, TCP, len(head) + len(data)) + head + data)
    return head[:16] + struct.pack(">H", total) + head[18:] + data


def icmp(src, dst, kind=None, code=0, rest=b"\x12\x34\0\1", data=b"escape"):
    """An echo request of the family, or another message."""
    v6 = len(packed(src)) == 16
    kind = (128 if v6 else 8) if kind is None else kind
    body = struct.pack(">BBH", kind, code, 0) + rest + data
    total = checksum((pseudo(src, dst, ICMP6, len(body)) if v6 else b"") + body)
    return body[:2] + struct.pack(">H", total) + body[4:]


def arp(op, mac, ip, target_mac, target):
    return struct.pack(">HHBBH", 1, IP4, 6, 4, op) + mac + packed(ip) + target_mac + packed(target)


def fragment6(proto, payload, offset=0, more=False, ident=7):
    return struct.pack(">BBHI", proto, 0, offset | more, ident) + payload


def extension6(proto, options):
    """Hop-by-hop or destination options; as long as a multiple of 8."""
    options += b"\x01" + bytes([-(len(options) + 4) % 8]) + b"\0" * (-(len(options) + 4) % 8)
    return struct.pack(">BB", proto, (len(options) + 2) // 8 - 1) + options


def question(name, kind=1, ident=0x1234):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", ident, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def address_answers(reply):
    """(the code, the addresses) of an answer whose records all point to the question's name."""
    code, answers = reply[3] & 15, struct.unpack_from(">H", reply, 6)[0]
    at = 12
    while reply[at]:
        at += 1 + reply[at]
    at += 5
    found = []
    for _ in range(answers):
        while reply[at] and reply[at] < 0xC0:
            at += 1 + reply[at]
        at += 2 if reply[at] else 1
        kind, _, _, length = struct.unpack_from(">HHIH", reply, at)
        if kind in (1, 28):
            found.append(str(ipaddress.ip_address(reply[at + 10:at + 10 + length])))
        at += 10 + length
    return code, found
