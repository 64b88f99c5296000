"""There is no way around the policy: a root shell in the guest tries every address, protocol number and trick of
attacks.md, by frames made by hand, and what leaves the host is exactly what the tables here say.

Every attempt has a port of its own, so each packet that is seen in the host's namespace (its loopback and its one
interface) can be told by it, and is either in the table or an escape. The tables are written from policy.h and
docs/network.md, by hand; nothing of src/policy is asked.
"""
import ipaddress
import os
import socket
import struct
import time

import pytest

import frames
from frames import GATEWAY_MAC, GUEST_MAC, IP4, IP6, TCP, UDP, eth, ip4, ip6, udp
from netns import GATEWAY4, GATEWAY6, GUEST4, GUEST6, HOST4, PUBLIC4, PUBLIC6, WORLD4, Stack, ip
from watch import Watch, inside, packet_socket

NAME_SERVER, OTHER_SERVER = "203.0.114.1", "93.184.216.53"
# Of the host and of the world, besides those of netns.py.
OF_HOST = ["93.184.216.99/32", "2606:2800::99/128", "fd00:99::1/128"]
OF_WORLD = ["192.168.77.1/32", "172.31.9.9/32", "100.64.0.9/32", "100.100.100.200/32", "168.63.129.16/32",
            "169.254.170.2/32", "169.254.10.11/32", "198.18.0.9/32", "8.8.4.4/32", f"{OTHER_SERVER}/32",
            "fd00:77::1/128", "fd00:ec2::254/128", "2a00:1450::9/128", "2001:db8:77::9/128"]

# Address, where the host is to be seen sending it ("": as it is), and by which of the policies that have no rules of
# their own: P public, R private, H host, A all. `none` reaches nothing, and is in no line.
TARGETS = [
    # The host, by any name.
    (GATEWAY4, "127.0.0.1", "HA"),
    (GATEWAY6, "::1", "HA"),
    ("127.0.0.1", "", "HA"),
    ("127.9.9.9", "", "HA"),
    ("0.0.0.0", "127.0.0.1", "HA"),
    ("::1", "", "HA"),
    ("::", "::1", "HA"),
    (HOST4, "", "HA"),
    ("2001:db8:99::1", "", "HA"),
    ("93.184.216.99", "", "HA"),  # a public address of its own is no public one
    ("2606:2800::99", "", "HA"),
    ("fd00:99::1", "", "HA"),
    # The host's, hidden in what a translator somewhere would take out again; `host` means the host's own addresses.
    ("64:ff9b::7f00:1", "", "A"),
    ("64:ff9b:1::7f00:1", "", "A"),
    ("2002:7f00:1::", "", "A"),
    ("2002:7f00:1::1", "", "A"),
    ("::7f00:1", "", "A"),
    ("::ffff:0:7f00:1", "", "A"),
    ("64:ff9b::a63:1", "", "A"),
    ("64:ff9b::5db8:d863", "", "A"),
    ("2002:5db8:d863::1", "", "A"),
    # Private ones.
    (WORLD4, "", "RA"),
    ("192.168.77.1", "", "RA"),
    ("172.31.9.9", "", "RA"),
    ("100.64.0.9", "", "RA"),
    ("fd00:77::1", "", "RA"),
    ("64:ff9b::a63:2", "", "RA"),
    ("64:ff9b:1::a63:2", "", "A"),  # with another length of its prefix it would be 0.0.0.0, which is the host
    ("2002:a63:2::1", "", "RA"),
    ("::a63:2", "", "RA"),
    # Metadata of clouds.
    ("169.254.169.254", "", "A"),
    ("169.254.170.2", "", "A"),
    ("100.100.100.200", "", "A"),
    ("168.63.129.16", "", "A"),
    ("fd00:ec2::254", "", "A"),
    ("64:ff9b::a9fe:a9fe", "", "A"),
    ("2002:a9fe:a9fe::1", "", "A"),
    # What nobody gives out.
    ("169.254.10.11", "", "A"),
    ("198.18.0.9", "", "A"),
    ("192.0.2.9", "", "A"),
    ("240.0.0.9", "", "A"),
    ("0.1.2.3", "", "A"),
    ("2001:db8:77::9", "", "A"),
    ("2001::9", "", "A"),
    ("4000::9", "", "A"),
    ("fec0::9", "", "A"),
    ("64:ff9b:1:a63:0:200::", "", "A"),
    # Public ones.
    (PUBLIC4, "", "PA"),
    ("203.0.114.1", "", "PA"),
    ("8.8.4.4", "", "PA"),
    (PUBLIC6, "", "PA"),
    ("2a00:1450::9", "", "PA"),
    ("64:ff9b::5db8:d822", "", "PA"),
    ("2002:5db8:d822::1", "", "PA"),
    # Nobody's, whatever the policy: IPv4 in IPv6 frames, without a scope, for many.
    ("::ffff:127.0.0.1", "", ""),
    ("::ffff:10.99.0.2", "", ""),
    ("::ffff:93.184.216.34", "", ""),
    ("fe80::1", "", ""),
    ("fe80::ff:fe00:1", "", ""),
    ("10.99.0.255", "", ""),
    ("255.255.255.255", "", ""),
    ("224.0.0.1", "", ""),
    ("224.0.0.251", "", ""),
    ("239.255.255.250", "", ""),
    ("ff02::1", "", ""),
    ("ff02::fb", "", ""),
    ("ff05::2", "", ""),
    ("ff0e::9", "", ""),
]
LETTERS = {"none": "-", "public": "P", "private": "R", "host": "H", "all": "A"}
TARGET_PORT = 30000  # and the line's number
EVERY = ("tcp", "udp", "icmp")


def expected_of(letter):
    return {(kind, seen or a, 0 if kind == "icmp" else TARGET_PORT + i)
            for i, (a, seen, who) in enumerate(TARGETS) if letter in who for kind in EVERY}


def source(address):
    return GUEST6 if ":" in address else GUEST4


def packet(address, proto, payload, src=None, **fields):
    """The frame that carries it to this address, mapped IPv4 ones as IPv6."""
    src = src or source(address)
    if ":" in address:
        return eth(ip6(src, address, proto, payload, **fields), IP6)
    return eth(ip4(src, address, proto, payload, **fields))


def target_frames():
    for i, (a, _, _) in enumerate(TARGETS):
        src, port = source(a), TARGET_PORT + i
        yield packet(a, TCP, frames.tcp(src, a, port, sport=41000 + i))
        yield packet(a, UDP, udp(src, a, port, sport=41000 + i))
        yield packet(a, frames.ICMP6 if ":" in a else frames.ICMP,
                     frames.icmp(src, a, rest=struct.pack(">HH", 1000 + i, 1)))


class World:
    """Three namespaces with who watches them."""

    def __init__(self, net):
        self.net = net
        ports = [(kind, TARGET_PORT + i) for i in range(len(TARGETS)) for kind in ("tcp", "udp")]
        ports += [("tcp", p) for p in range(PORT_OF_NAMES, PORT_OF_NAMES + 8)]
        self.watch = Watch(net, ports, NAMES)
        self.watch.start()

    def policy(self, *options, mtu=1500):
        return Attempt(self, ["--dns", NAME_SERVER, *options], mtu)


class Attempt:
    def __init__(self, world, options, mtu):
        self.world, self.watch = world, world.watch
        self.stack = Stack(world.net, *options, mtu=mtu)

    def __enter__(self):
        self.watch.reset()
        self.stack.__enter__()
        self.wire = inside(self.world.net.guest, packet_socket, "tap0")
        return self

    def __exit__(self, *error):
        self.wire.close()
        self.stack.__exit__(*error)

    def send(self, *all_frames):
        """At a pace at which the TAP's queue and the limit of half-open connections lose nothing."""
        for i, frame in enumerate(all_frames):
            self.wire.send(frame)
            if i % 16 == 15:
                time.sleep(0.004)

    def settle(self):
        """Until nothing moves any more: all that was sent was taken, and nothing more is seen."""
        last, still = None, 0
        end = time.monotonic() + 60
        while still < 6:
            assert time.monotonic() < end, "it does not get quiet"
            now = (self.watch.counts(), {k: v for k, v in self.stack.stats().items() if k in ("bad", "denied")})
            still, last = (still + 1, now) if now == last else (0, now)
            time.sleep(0.1)

    def left(self, *without):
        """{(kind, address, port)} that left the host or was delivered in it, but for the stack's own questions."""
        self.settle()
        host = self.watch.requests("host")
        assert {r[1:] for r in host if r[0] == "out0"} == {r[1:] for r in self.watch.requests("world")}
        return {r[1:] for r in host} - set(without)

    def arrived(self):
        """What servers got: {(where, kind, address, port, from)}."""
        return {tuple(r[:5]) for r in self.watch.tally}

    def still_works(self, address, port):
        """After all that: an ordinary connection of the guest's kernel."""
        with inside(self.world.net.guest, socket.create_connection, (address, port), 5) as s:
            s.sendall(b"still")
            assert s.recv(10) == b"answer"


@pytest.fixture(scope="module")
def world(net):
    for a in OF_HOST:
        ip("-n", net.host, "addr", "add", a, "dev", "lo", *(["nodad"] if ":" in a else []))
    for a in OF_WORLD:
        ip("-n", net.world, "addr", "add", a, "dev", "lo", *(["nodad"] if ":" in a else []))
    # The world answers what has no address there, too: it is seen all the same.
    net.run(net.host, "sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647")
    w = World(net)
    yield w
    w.watch.close()


def check_arrivals(attempt, expected):
    """Servers got what was expected, each from the host's address on that way, never from the guest's."""
    for where, kind, address, port, peer in attempt.arrived():
        assert (kind, address, port) in expected, (where, kind, address, port, peer)
        assert peer not in (GUEST4, GUEST6)
        if where == "world":
            assert peer in (HOST4, "2001:db8:99::1"), (address, peer)
    seen = {r[1:4] for r in attempt.arrived()}
    assert seen == {e for e in expected if e[0] != "icmp" and is_served(e[1])}


def is_served(address):
    have = {a.split("/")[0] for a in OF_HOST + OF_WORLD}
    have |= {HOST4, WORLD4, PUBLIC4, PUBLIC6, "203.0.114.1", "169.254.169.254", "2001:db8:99::1", "::1"}
    return address in have or ":" not in address and ipaddress.ip_address(address).is_loopback


@pytest.mark.parametrize("profile", LETTERS)
def test_every_address_by_every_protocol_reaches_what_the_table_says(world, profile):
    expected = expected_of(LETTERS[profile])
    with world.policy("--profile", profile) as a:
        a.send(*target_frames())
        left = a.left()
        assert left == expected, {"escaped": left - expected, "did not arrive": expected - left}
        check_arrivals(a, expected)
        if not expected:
            assert a.stack.stats()["open"] == 0


RULES = ["deny@93.184.216.0/24", "deny@[2606:2800::/32]:tcp", f"allow@{WORLD4}:tcp:{TARGET_PORT}-{TARGET_PORT + 99}",
         "allow@192.168.77.0/24:icmpv4", "deny@203.0.114.1:udp"]


def test_rules_mean_what_they_say_and_all_forms_of_an_address_that_is_denied(world):
    expected = expected_of("P")
    # The denied network in any clothes; one protocol of another; the allowed ones, exactly.
    denied = {PUBLIC4, "64:ff9b::5db8:d822", "2002:5db8:d822::1"}
    expected = {e for e in expected if e[1] not in denied and (e[0], e[1]) != ("tcp", PUBLIC6) and
                (e[0], e[1]) != ("udp", "203.0.114.1")}
    number = {a: TARGET_PORT + i for i, (a, _, _) in enumerate(TARGETS)}
    expected |= {("tcp", WORLD4, number[WORLD4]), ("icmp", "192.168.77.1", 0)}
    # An allowed network has the addresses that stand for its own, too.
    expected |= {("tcp", a, number[a]) for a in ("64:ff9b::a63:2", "64:ff9b:1::a63:2", "2002:a63:2::1", "::a63:2")}
    with world.policy(*(w for r in RULES for w in ("--rule", r))) as a:
        outside = packet(WORLD4, TCP, frames.tcp(GUEST4, WORLD4, TARGET_PORT + 200))
        a.send(*target_frames(), outside)
        left = a.left()
        assert left == expected, {"escaped": left - expected, "did not arrive": expected - left}


def test_nothing_but_a_default_denies_everything_but_that_rule(world):
    with world.policy("--default-egress", "deny", "--rule", f"allow@{PUBLIC4}:udp") as a:
        a.send(*target_frames())
        number = next(TARGET_PORT + i for i, t in enumerate(TARGETS) if t[0] == PUBLIC4)
        six = {(t, TARGET_PORT + i) for i, (t, _, _) in enumerate(TARGETS) if t in ("64:ff9b::5db8:d822", "2002:5db8:d822::1")}
        assert a.left() == {("udp", PUBLIC4, number)} | {("udp", *s) for s in six}


# ---- protocol numbers, ethertypes ----

@pytest.mark.parametrize("profile", ["none", "all"])
def test_no_other_protocol_number_and_no_other_ethertype_gets_out(world, profile):
    """Each of the 256 in both families, and each of the 65,536; what they carry would be a good datagram."""
    with world.policy("--profile", profile) as a:
        for address in (PUBLIC4, WORLD4, "127.0.0.1", GATEWAY4, PUBLIC6, "::1", GATEWAY6):
            # As an extension header its first bytes say: no next header follows, 16 bytes long.
            data = udp(source(address), address, 20500, sport=0x3B01, data=b"\0" * 40)
            a.send(*(packet(address, proto, data) for proto in range(256)))
        inner = ip4(GUEST4, PUBLIC4, UDP, udp(GUEST4, PUBLIC4, 20501))
        inner6 = ip6(GUEST6, PUBLIC6, UDP, udp(GUEST6, PUBLIC6, 20501))
        for outer in (PUBLIC4, PUBLIC6, WORLD4):
            gre = b"\0\0" + struct.pack(">H", IP4) + inner
            a.send(*(packet(outer, proto, d) for proto, d in ((4, inner), (41, inner6), (47, gre), (50, inner), (51, inner),
                                                               (132, inner), (136, inner[20:]), (33, inner[20:]))))
        good = {"none": set(), "all": {("udp", seen, 20500) for seen in (PUBLIC4, WORLD4, "127.0.0.1", PUBLIC6, "::1")}}
        assert a.left() == good[profile]
        for kind in range(65536):
            if kind not in (IP4, IP6, frames.ARP):
                a.wire.send(eth(inner, kind))
            if kind % 64 == 63:
                time.sleep(0.0005)
        assert a.left() == good[profile]
        if profile == "all":
            a.still_works(WORLD4, TARGET_PORT)


# ---- tricks ----

LONG = b"x" * 64


def trick_frames(to, to6, port):
    """{name: (frames, does it arrive under a policy that allows both addresses)}; UDP to `port` and up, one a trick."""
    tricks = {}

    def trick(name, arrives, make):
        number = port + len(tricks)
        tricks[name] = (number, arrives, make(number))

    def good(p, a=to, src=None):
        return udp(src or source(a), a, p)

    def v4(p, src=GUEST4, payload=None, **fields):
        return ip4(src, to, UDP, good(p, to, src) if payload is None else payload, **fields)

    def v6(p, src=GUEST6, proto=UDP, payload=None, **fields):
        return ip6(src, to6, proto, good(p, to6, src) if payload is None else payload, **fields)

    trick("control 4", True, lambda p: [eth(v4(p))])
    trick("control 6", True, lambda p: [eth(v6(p), IP6)])
    # Wrong senders and receivers.
    for mac in ("020000000099", "ffffffffffff", "010000000002", "020000000001", "000000000000"):
        trick(f"from {mac}", False, lambda p, mac=mac: [eth(v4(p), src=bytes.fromhex(mac)),
                                                       eth(v6(p), IP6, src=bytes.fromhex(mac))])
    for mac in ("020000000099", "000000000000", "020000000002"):
        trick(f"to {mac}", False, lambda p, mac=mac: [eth(v4(p), dst=bytes.fromhex(mac)),
                                                     eth(v6(p), IP6, dst=bytes.fromhex(mac))])
    for src in ("172.16.0.1", "172.16.0.3", "172.16.0.0", "10.99.0.1", "10.99.0.2", "127.0.0.1", "0.0.0.0",
                "255.255.255.255", "224.0.0.1", "93.184.216.34"):
        trick(f"from {src}", False, lambda p, src=src: [eth(v4(p, src))])
    for src in (GATEWAY6, "fd42:6d73:62::3", "::1", "::", "fe80::1", "fe80::ff:fe00:2", "ff02::1", "2001:db8:99::1",
                "::ffff:172.16.0.2", "64:ff9b::ac10:2"):
        trick(f"from {src}", False, lambda p, src=src: [eth(v6(p, src), IP6)])
    # Tags, other framing, the other family's type.
    for tag in (0x8100, 0x88A8, 0x9100):
        for vid in (0, 1, 4095):
            trick(f"tag {tag:#x} {vid}", False,
                  lambda p, tag=tag, vid=vid: [eth(struct.pack(">HH", vid, IP4) + v4(p), tag)])
    trick("two tags", False, lambda p: [eth(struct.pack(">HHHH", 1, 0x8100, 2, IP4) + v4(p), 0x88A8)])
    trick("802.3", False, lambda p: [eth(b"\xaa\xaa\x03\0\0\0\x08\0" + v4(p), 8 + len(v4(p)))])
    trick("802.3 raw", False, lambda p: [eth(v4(p), len(v4(p)))])
    trick("4 as 6", False, lambda p: [eth(v4(p), IP6)])
    trick("6 as 4", False, lambda p: [eth(v6(p), IP4)])
    trick("4 as ARP", False, lambda p: [eth(v4(p), frames.ARP)])
    trick("MPLS", False, lambda p: [eth(b"\0\0\x11\x40" + v4(p), 0x8847)])
    trick("PPPoE", False, lambda p: [eth(b"\x11\0\0\1" + struct.pack(">HH", len(v4(p)) + 2, 0x21) + v4(p), 0x8864)])
    # Lengths.
    trick("padded", True, lambda p: [eth(v4(p) + b"\0" * 100)])
    trick("padded 6", True, lambda p: [eth(v6(p) + b"\0" * 100, IP6)])
    trick("cut short", False, lambda p: [eth(v4(p))[:n] for n in range(14, 14 + 20 + 8)])
    trick("cut short 6", False, lambda p: [eth(v6(p), IP6)[:n] for n in range(14, 14 + 40 + 8)])
    trick("beyond the frame", False, lambda p: [eth(v4(p, length=n)) for n in (60, 1000, 65535)])
    trick("within the header", False, lambda p: [eth(v4(p, length=n)) for n in (0, 1, 19, 20, 27)])
    trick("beyond the frame 6", False, lambda p: [eth(v6(p, length=n), IP6) for n in (60, 65535, 0, 7)])
    trick("UDP length", False, lambda p: [eth(v4(p, payload=udp(GUEST4, to, p, length=n))) for n in (0, 7, 15, 100, 65535)])
    trick("UDP port 0", False, lambda p: [eth(v4(p, payload=udp(GUEST4, to, 0)))])
    trick("header length", False, lambda p: [eth(v4(p, ihl=n)) for n in (0, 1, 4, 15)])
    trick("version", False, lambda p: [eth(v4(p, version=n)) for n in (0, 3, 5, 6, 15)])
    trick("version 6", False, lambda p: [eth(v6(p, version=n), IP6) for n in (0, 4, 5, 7, 15)])
    trick("header sum", False, lambda p: [eth(v4(p, bad_sum=True))])
    trick("TTL 0", False, lambda p: [eth(v4(p, ttl=0)), eth(v6(p, hops=0), IP6)])
    trick("no sum in 6", False, lambda p: [eth(v6(p, payload=good(p, to6)[:6] + b"\0\0" + b"escape"), IP6)])
    # Options.
    trick("harmless options", True, lambda p: [eth(v4(p, options=b"\1\1\1\1\x07\x07\x04\0\0\0\0\0"))])
    for kind in (131, 137):
        route = bytes([kind, 11, 4]) + frames.packed("10.99.0.2") + frames.packed("127.0.0.1")
        trick(f"source route {kind}", False, lambda p, route=route: [eth(v4(p, options=route)),
                                                                    eth(v4(p, options=b"\1\1" + route))])
    trick("broken options", False, lambda p: [eth(v4(p, options=bytes([7, n, 0, 0]))) for n in (0, 1, 5, 255)])
    # Fragments.
    data = LONG + LONG

    def parts(p, a=to, cut=64, ident=9, **second):
        whole = udp(GUEST4, a, p, data=data)
        return [eth(ip4(GUEST4, a, UDP, whole[:cut], flags=1, ident=ident)),
                eth(ip4(GUEST4, second.get("to", a), UDP, whole[cut:], offset=cut, ident=second.get("ident", ident)))]

    trick("fragments", True, lambda p: parts(p, ident=9))
    trick("tiny fragments", False, lambda p: [
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[n:n + 8], flags=int(n < 128), offset=n, ident=10))
        for n in range(0, 136, 8)])
    trick("small fragments", True, lambda p: [
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[n:n + (8 if n else 24)], flags=int(n < 128), offset=n,
                ident=11)) for n in (0, *range(24, 136, 8))])
    trick("fragments in reverse", True, lambda p: list(reversed(parts(p, ident=12))))
    trick("a part only", False, lambda p: parts(p, ident=13)[:1] + parts(p, ident=14)[1:])
    trick("the last with another id", False, lambda p: parts(p, ident=15, **{"to": to}) [:1] +
          [eth(ip4(GUEST4, to, UDP, data[:72], offset=64, ident=16))])
    trick("overlap", False, lambda p: [
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[:64], flags=1, ident=17)),
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[:8] + LONG, flags=1, offset=8, ident=17)),
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[64:], offset=64, ident=17))])
    trick("the header again", False, lambda p: [
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, 9, data=data)[:64], flags=1, ident=18)),
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[:64], flags=1, ident=18)),
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[64:], offset=64, ident=18))])
    trick("beyond 65,535", False, lambda p: [
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[:64], flags=1, ident=19)),
        eth(ip4(GUEST4, to, UDP, LONG * 8, offset=65528, ident=19))])
    trick("odd length in between", False, lambda p: [
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[:61], flags=1, ident=20)),
        eth(ip4(GUEST4, to, UDP, udp(GUEST4, to, p, data=data)[64:], offset=64, ident=20))])
    trick("fragments 6", True, lambda p: [
        eth(ip6(GUEST6, to6, 44, frames.fragment6(UDP, udp(GUEST6, to6, p, data=data)[:64], more=True)), IP6),
        eth(ip6(GUEST6, to6, 44, frames.fragment6(UDP, udp(GUEST6, to6, p, data=data)[64:], offset=64)), IP6)])
    trick("one fragment 6", True, lambda p: [eth(ip6(GUEST6, to6, 44, frames.fragment6(UDP, good(p, to6), ident=8)), IP6)])
    trick("overlap 6", False, lambda p: [
        eth(ip6(GUEST6, to6, 44, frames.fragment6(UDP, udp(GUEST6, to6, p, data=data)[:64], more=True, ident=9)), IP6),
        eth(ip6(GUEST6, to6, 44, frames.fragment6(UDP, udp(GUEST6, to6, p, data=data)[56:], offset=56, ident=9)), IP6)])
    trick("fragment in a fragment", False, lambda p: [
        eth(ip6(GUEST6, to6, 44, frames.fragment6(44, frames.fragment6(UDP, good(p, to6)), ident=10)), IP6)])
    # Extension headers.
    pad = frames.extension6(UDP, b"\1\0")
    trick("hop-by-hop", True, lambda p: [eth(v6(p, proto=0, payload=pad + good(p, to6)), IP6)])
    trick("destination options", True, lambda p: [eth(v6(p, proto=60, payload=pad + good(p, to6)), IP6)])
    for kind in (0, 2, 3, 4, 255):
        # The second would do as options.
        heads = [struct.pack(">BBBBI", UDP, 2, kind, 1, 0) + frames.packed(a) for a in ("fd00:77::1", "::")]
        trick(f"routing header {kind}", False,
              lambda p, heads=heads: [eth(v6(p, proto=43, payload=head + good(p, to6)), IP6) for head in heads])
    trick("jumbogram", False, lambda p: [eth(v6(p, proto=0, length=0, payload=struct.pack(">BBBBI", UDP, 0, 0xC2, 4, 80) +
                                                good(p, to6)), IP6)])
    home = frames.extension6(UDP, bytes([0xC9, 16]) + frames.packed("2001:db8:99::1"))
    trick("home address", False, lambda p: [eth(v6(p, proto=60, payload=home + good(p, to6)), IP6)])
    chain = frames.extension6(60, b"\1\0")
    trick("nine headers", False, lambda p: [eth(v6(p, proto=60, payload=chain * 8 + pad + good(p, to6)), IP6)])
    trick("hop-by-hop twice", False, lambda p: [
        eth(v6(p, proto=0, payload=frames.extension6(0, b"\1\0") + pad + good(p, to6)), IP6)])
    trick("length of a header", False, lambda p: [eth(v6(p, proto=60, payload=bytes([UDP, 200]) + pad[2:] + good(p, to6)), IP6)])
    # What has to do with the link or the kernel's tables.
    trick("for all on the link", False, lambda p: [eth(ip4(GUEST4, a, UDP, udp(GUEST4, a, p)), dst=b"\xff" * 6)
                                                   for a in ("255.255.255.255", "172.16.0.3", "224.0.0.251")])
    return tricks


TRICK_PORT = 21000
TRICKS = {"public": (PUBLIC4, PUBLIC6), "all": (WORLD4, "fd00:77::1")}


@pytest.mark.parametrize("profile", TRICKS)
def test_no_trick_with_frames_goes_further_than_a_plain_one(world, profile):
    """To addresses that are allowed: what is broken or forged stays here, what is odd but right arrives."""
    to, to6 = TRICKS[profile]
    tricks = trick_frames(to, to6, TRICK_PORT)
    with world.policy("--profile", profile) as a:
        for _, _, some in tricks.values():
            a.send(*some)
            time.sleep(0.003)
        came = {p for _, _, p in a.left()}
        wrong = {name for name, (port, arrives, _) in tricks.items() if (port in came) != arrives}
        assert not wrong, {name: tricks[name][:2] for name in wrong}
        assert len(came) == sum(arrives for _, arrives, _ in tricks.values())
        a.still_works(to, TARGET_PORT)


@pytest.mark.parametrize("profile", ["none", "public"])
def test_no_trick_with_frames_gets_to_an_address_that_is_denied(world, profile):
    with world.policy("--profile", profile) as a:
        for i, (to, to6) in enumerate([(WORLD4, "fd00:77::1"), ("127.0.0.1", "::1"), (HOST4, "2001:db8:99::1"),
                                       ("169.254.169.254", "fd00:ec2::254"), (GATEWAY4, GATEWAY6)]):
            for _, _, some in trick_frames(to, to6, TRICK_PORT + 200 * i).values():
                a.send(*some)
        assert a.left() == set()


def strange_tcp(to, port):
    """Segments that begin nothing."""
    def seg(p, **fields):
        return packet(to, TCP, frames.tcp(source(to), to, p, **fields))
    flags = [f for f in range(64) if f & 0x17 != frames.SYN]
    for i, f in enumerate(flags):
        yield seg(port + i, flags=f, data=b"data")
    for i, offset in enumerate((0, 4, 15)):
        yield seg(port + 70 + i, offset=offset)
    yield packet(to, TCP, frames.tcp(source(to), to, 0))
    yield packet(to, TCP, frames.tcp(source(to), to, port + 80, sport=0))


def test_only_a_plain_syn_begins_a_connection(world):
    with world.policy("--profile", "all") as a:
        for to in (WORLD4, "fd00:77::1", HOST4, GATEWAY4):
            a.send(*strange_tcp(to, TRICK_PORT))
        assert a.left() == set()
        a.send(packet(WORLD4, TCP, frames.tcp(GUEST4, WORLD4, TRICK_PORT, flags=frames.SYN | 0x20, data=b"early", urgent=3,
                                              options=b"\2\0\0\0")))
        assert a.left() == {("tcp", WORLD4, TRICK_PORT)}


def lies_on_the_link():
    """ARP, neighbour discovery, redirects, advertisements, errors about flows that are not there, DHCP, MLD."""
    quoted = ip4("10.99.0.1", WORLD4, TCP, frames.tcp("10.99.0.1", WORLD4, 80))
    quoted6 = ip6("2001:db8:99::1", "2001:db8:99::2", TCP, frames.tcp("2001:db8:99::1", "2001:db8:99::2", 80))
    everyone, all_nodes = b"\xff" * 6, bytes.fromhex("333300000001")
    for op in (1, 2, 3, 8):
        for who in (GATEWAY4, HOST4, WORLD4, "127.0.0.1", "0.0.0.0", GUEST4):
            yield eth(frames.arp(op, GUEST_MAC, who, GATEWAY_MAC, GATEWAY4), frames.ARP)
            yield eth(frames.arp(op, GATEWAY_MAC, who, everyone, who), frames.ARP, dst=everyone)
            yield eth(frames.arp(op, GUEST_MAC, GUEST4, everyone, who), frames.ARP, dst=everyone)
    for kind in range(256):
        for to in (PUBLIC4, WORLD4, GATEWAY4):
            if kind != 8:
                yield packet(to, frames.ICMP, frames.icmp(GUEST4, to, kind, 1, data=quoted))
        for to in (PUBLIC6, "fd00:77::1", GATEWAY6, "ff02::1", "ff02::2"):
            if kind != 128:
                lie = frames.icmp(GUEST6, to, kind, 0, rest=b"\xe0\0\0\0", data=frames.packed(GATEWAY6) +
                                  frames.packed(PUBLIC6) + b"\2\1" + GUEST_MAC + quoted6)
                yield eth(ip6(GUEST6, to, frames.ICMP6, lie, hops=255), IP6, dst=all_nodes if to[:2] == "ff" else GATEWAY_MAC)
    for sport, dport in ((68, 67), (67, 68), (546, 547), (547, 546)):
        for a in ("255.255.255.255", "172.16.0.3", "224.0.0.1"):
            yield eth(ip4(GUEST4, a, UDP, udp(GUEST4, a, dport, sport=sport, data=b"\2\1\6\0" + b"\0" * 240)), dst=everyone)
        yield eth(ip6(GUEST6, "ff02::1:2", UDP, udp(GUEST6, "ff02::1:2", dport, sport=sport)), IP6, dst=all_nodes)
    for port in (137, 138, 1900, 5353, 5355, 3702):
        for a in ("224.0.0.251", "239.255.255.250", "172.16.0.3", "255.255.255.255"):
            yield eth(ip4(GUEST4, a, UDP, udp(GUEST4, a, port)), dst=everyone)
        yield eth(ip6(GUEST6, "ff02::fb", UDP, udp(GUEST6, "ff02::fb", port)), IP6, dst=all_nodes)
    for proto in (2, 103):  # IGMP, PIM
        yield eth(ip4(GUEST4, "224.0.0.22", proto, b"\x22\0\0\0\0\0\0\1" + frames.packed("239.1.1.1")), dst=everyone)


def test_lies_on_the_link_go_nowhere_and_are_not_believed(world):
    with world.policy("--profile", "all") as a:
        a.send(*lies_on_the_link())
        assert a.left() == set()
        # The stack still takes the guest for who it is.
        a.still_works(WORLD4, TARGET_PORT)
        a.still_works("fd00:77::1", TARGET_PORT)
        neighbours = world.net.run(world.net.host, "ip", "neigh", text=True).stdout
        assert GUEST4 not in neighbours and GUEST6 not in neighbours


def test_a_large_frame_is_a_datagram_as_others(world):
    """Of 8,000 bytes though the MTU is 1,500; and what says so but is not."""
    with world.policy("--profile", "public") as a:
        ip("-n", world.net.guest, "link", "set", "tap0", "mtu", 9000)
        a.send(packet(PUBLIC4, UDP, udp(GUEST4, PUBLIC4, 20900, data=b"x" * 8000)),
               packet(WORLD4, UDP, udp(GUEST4, WORLD4, 20901, data=b"x" * 8000)),
               eth(b"\0" * 8000, 0x8870), eth(b"\0" * 8900, IP4), eth(b"\0" * 8900, IP6))
        assert a.left() == {("udp", PUBLIC4, 20900)}


# ---- names ----

PORT_OF_NAMES = 22000
SPELLINGS = ["10.99.0.2", "10.99.2", "10.6488066", "174260226", "0xa.0x63.0.2", "0xa630002", "012.0143.0.02"]
NAMES = {
    "good.test": [PUBLIC4, PUBLIC6],
    "other.test": [PUBLIC4],
    "private.test": ["10.99.0.2"],
    "loop.test": ["127.0.0.1", "::1"],
    "zero.test": ["0.0.0.0", "::"],
    "meta.test": ["169.254.169.254", "fd00:ec2::254"],
    "own.test": ["93.184.216.99", "2606:2800::99"],
    "gateway.test": [GATEWAY4, GATEWAY6],
    "mapped.test": ["::ffff:10.99.0.2", "::ffff:127.0.0.1"],
    "nat64.test": ["64:ff9b::a63:2", "64:ff9b::7f00:1", "2002:7f00:1::1", "::7f00:1"],
    "mixed.test": [PUBLIC4, "10.99.0.2", PUBLIC6, "::1"],
    "link.test": ["169.254.10.11", "fe80::1"],
}


def test_the_spelling_of_an_address_changes_nothing(world):
    def dial(host, port):
        s = socket.socket()
        s.settimeout(5)
        try:
            return s.connect_ex((host, port))
        finally:
            s.close()

    for profile, arrives in (("public", False), ("private", True)):
        with world.policy("--profile", profile) as a:
            for i, text in enumerate(SPELLINGS):
                error = inside(world.net.guest, dial, text, TRICK_PORT + i)
                assert error, (text, "nobody listens there")
            assert a.left() == ({("tcp", "10.99.0.2", TRICK_PORT + i) for i in range(len(SPELLINGS))} if arrives else set())


def ask(world, server, name, kind, tcp=False):
    """(code, addresses) as the guest gets them, None: no answer."""
    def run():
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
            s.settimeout(3)
            try:
                s.connect((server, 53))
                data = frames.question(name, kind, os.getpid() & 0xFFFF)
                s.sendall((struct.pack(">H", len(data)) if tcp else b"") + data)
                reply = s.recv(4096)
                return frames.address_answers(reply[2:] if tcp else reply)
            except OSError:
                return None
    return inside(world.net.guest, run)


STACKS_OWN = {("udp", NAME_SERVER, 53)}
NXDOMAIN = 3


def test_no_name_leads_to_an_address_that_is_denied(world):
    """Rebinding: the guest is not told such addresses, and would not reach them if it were."""
    with world.policy("--profile", "public") as a:
        for name, addresses in NAMES.items():
            told = []
            for kind in (1, 28):
                code, found = ask(world, GATEWAY4, name, kind)
                told += found
                if any(len(frames.packed(x)) == (4 if kind == 1 else 16) for x in addresses) and not found:
                    assert code == NXDOMAIN, (name, kind)
            assert set(told) == set(addresses) & {PUBLIC4, PUBLIC6}, name
        assert a.left(*STACKS_OWN) == set()
        assert set(a.watch.asked) == {(n, k) for n in NAMES for k in (1, 28)}
        a.send(*target_frames())
        assert a.left(*STACKS_OWN) == expected_of("P")


@pytest.mark.parametrize("profile,others", [("none", {}), ("public", {OTHER_SERVER, "8.8.4.4"}), ("private", {WORLD4}),
                                            ("host", {HOST4, "127.0.0.1"}),
                                            ("all", {OTHER_SERVER, "8.8.4.4", WORLD4, HOST4, "127.0.0.1"})])
def test_other_name_servers_are_addresses_as_others(world, profile, others):
    """Port 53 by UDP and TCP, DNS over TLS; what is no question goes nowhere."""
    servers = (OTHER_SERVER, "8.8.4.4", WORLD4, HOST4, "169.254.169.254", "172.31.9.9")
    expected = set()
    with world.policy("--profile", profile) as a:
        for server in (*servers, "127.0.0.1"):
            # To 127.0.0.1 the guest's kernel itself would go.
            a.send(packet(server, UDP, udp(GUEST4, server, 53, data=frames.question("good.test"))))
            a.send(packet(server, UDP, udp(GUEST4, server, 53, data=b"not a question at all")))
            a.send(packet(server, TCP, frames.tcp(GUEST4, server, 853, sport=42000)))
        for server in (OTHER_SERVER, WORLD4):
            ask(world, server, "good.test", 1, tcp=True)
        everything = profile == "all"
        private = {WORLD4, "172.31.9.9"} if profile in ("private", "all") else set()
        allowed = set(others) | private | ({"169.254.169.254"} if everything else set())
        for server in allowed:
            expected |= {("udp", server, 53), ("tcp", server, 853)}
        left = a.left()
        tcp53 = {e for e in left if e[0] == "tcp" and e[2] == 53}
        assert tcp53 <= {("tcp", s, 53) for s in allowed & {OTHER_SERVER, WORLD4}}
        assert left - tcp53 == expected, {"escaped": left - tcp53 - expected, "did not arrive": expected - left}
        assert not a.watch.asked or profile in ("public", "private", "all")


def test_a_denied_name_is_asked_of_nobody(world):
    """A secret in a name does not leave (incidents 34): of all types, by TCP, again and again, in pieces."""
    with world.policy("--default-egress", "deny", "--rule", "allow@good.test:tcp:443") as a:
        for kind in (1, 28, 16, 15, 5, 2, 65, 255, 10):
            for name in ("c2VjcmV0.attacker.test", "good.test.attacker.test", "xgood.test", "a.good.test", "test"):
                assert ask(world, GATEWAY4, name, kind) in (None, (NXDOMAIN, []), (5, []), (4, [])), (name, kind)
        for _ in range(5):
            assert ask(world, GATEWAY4, "c2VjcmV0.attacker.test", 1, tcp=True) == (NXDOMAIN, [])
        assert a.left() == set() and a.watch.asked == []
        assert ask(world, GATEWAY4, "good.test", 1) == (0, [PUBLIC4])
        assert a.left() == STACKS_OWN and a.watch.asked == [("good.test", 1)]


def hello(name):
    """A ClientHello that names it."""
    sni = name.encode()
    sni = struct.pack(">HHHBH", 0, len(sni) + 5, len(sni) + 3, 0, len(sni)) + sni
    body = b"\3\3" + b"\7" * 32 + b"\0" + b"\0\2\x13\x01" + b"\1\0" + struct.pack(">H", len(sni)) + sni
    body = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack(">H", len(body)) + body


def talk(world, address, port, data):
    def run():
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s:
            s.settimeout(6)
            try:
                s.connect((address, port))
                if data:
                    s.sendall(data)
                return s.recv(100)
            except OSError as e:
                return type(e).__name__.encode()
    return inside(world.net.guest, run)


def test_strict_lets_only_those_bytes_through_that_name_an_allowed_name(world):
    """The server's address is public and pinned; what counts is whom the first bytes name."""
    p = PORT_OF_NAMES
    with world.policy("--default-egress", "deny", "--strict", "--rule", f"allow@good.test:tcp:{p}-{p + 6}") as a:
        assert talk(world, PUBLIC4, p, hello("good.test")) != b"answer", "nobody had asked for the name"
        assert a.left() == set()
        assert ask(world, GATEWAY4, "good.test", 1) == (0, [PUBLIC4])
        assert ask(world, GATEWAY4, "other.test", 1) == (NXDOMAIN, [])
        tries = [(hello("good.test"), True), (b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n", True),
                 (hello("other.test"), False), (b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", False),
                 (b"SSH-2.0-x\r\n", False), (hello("good.test.other.test"), False),
                 (b"GET / HTTP/1.1\r\nHost: good.test\r\nHost: other.test\r\n\r\n", False)]
        for i, (data, arrives) in enumerate(tries):
            assert (talk(world, PUBLIC4, p + i, data) == b"answer") == arrives, data
        assert talk(world, PUBLIC4, p + 7, hello("good.test")) != b"answer", "that port is not the rule's"
        assert talk(world, "203.0.114.1", p, hello("good.test")) != b"answer", "not the name's address"
        assert talk(world, GATEWAY4, p, hello("good.test")) != b"answer"
        # It is dialled before it is known who is meant; not one byte goes there then.
        assert a.left(*STACKS_OWN) == {("tcp", PUBLIC4, p + i) for i in range(len(tries))}
        got = {r[3]: r[5] for r in a.watch.tally if r[5]}
        assert got == {p + i: data for i, (data, arrives) in enumerate(tries) if arrives}
