"""The link and IP, asked with real programs: ping, arping, ndisc6, traceroute, tracepath, and frames by hand.

    guest -- stack -- host -- world -- far (93.184.217.34, 2606:2800:1::1; the link to it has an MTU of 1300)
"""
import re
import shutil
import struct
import subprocess
import time

import pytest
from netns import GATEWAY4, GATEWAY6, GUEST4, GUEST6, NETTAP, PUBLIC4, PUBLIC6, Stack, ip, wait_until

FAR4, FAR6 = "93.184.217.34", "2606:2800:1::1"
FAR_MTU = 1300
GUEST_MAC, GATEWAY_MAC, OTHER_MAC = (bytes.fromhex("0200000000" + x) for x in ("02", "01", "66"))
ALL_NODES_MAC, BROADCAST = bytes.fromhex("333300000001"), b"\xff" * 6


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program}")


@pytest.fixture(scope="module")
def net(net):
    """With one more network behind the world, and ping sockets for the host."""
    far = net.host[:-1] + "f"
    subprocess.run(["ip", "netns", "del", far], stderr=subprocess.DEVNULL)
    ip("netns", "add", far)
    try:
        ip("-n", far, "link", "set", "lo", "up")
        ip("-n", net.world, "link", "add", "far0", "type", "veth", "peer", "name", "near0", "netns", far)
        for ns, dev, last in ((net.world, "far0", 1), (far, "near0", 2)):
            ip("-n", ns, "addr", "add", f"10.98.0.{last}/24", "dev", dev)
            ip("-n", ns, "-6", "addr", "add", f"2001:db8:98::{last}/64", "dev", dev, "nodad")
            ip("-n", ns, "link", "set", dev, "up", "mtu", FAR_MTU)
        for a in (f"{FAR4}/32", f"{FAR6}/128"):
            ip("-n", far, "addr", "add", a, "dev", "lo", *(["nodad"] if ":" in a else []))
        ip("-n", far, "route", "add", "default", "via", "10.98.0.1")
        ip("-n", far, "-6", "route", "add", "default", "via", "2001:db8:98::1")
        ip("-n", net.world, "route", "add", f"{FAR4}/32", "via", "10.98.0.2")
        ip("-n", net.world, "-6", "route", "add", f"{FAR6}/128", "via", "2001:db8:98::2")
        sysctl(net, net.world, "ipv4/ip_forward", 1)
        sysctl(net, net.world, "ipv6/conf/all/forwarding", 1)
        for ns in (net.world, far):  # else the kernel says so once a second only
            sysctl(net, ns, "ipv4/icmp_ratemask", 0)
            sysctl(net, ns, "ipv6/icmp/ratelimit", 0)
        allow_ping(net, True)
        yield net
    finally:
        subprocess.run(["ip", "netns", "del", far], stderr=subprocess.DEVNULL)


def sysctl(net, ns, name, value):
    r = net.run(ns, "sh", "-c", f"echo '{value}' > /proc/sys/net/{name}")
    assert r.returncode == 0, r.stderr


def allow_ping(net, yes):
    sysctl(net, net.host, "ipv4/ping_group_range", "0 2147483647" if yes else "1 0")


@pytest.fixture
def stack(net):
    with Stack(net, "--profile", "all") as s:
        yield s


def ping(stack, *words, ok=True, timeout=60):
    r = stack.guest("ping", "-n", *words, text=True, timeout=timeout)
    assert (r.returncode == 0) == ok, (words, r.stdout, r.stderr)
    return r.stdout


def loss(text):
    return float(re.search(r"([\d.]+)% packet loss", text)[1])


# ---- frames by hand

SENDER = """
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("tap0", 0))
data = sys.stdin.buffer.read()
at = 0
while at < len(data):
    n, = struct.unpack_from("<H", data, at)
    s.send(data[at + 2:at + 2 + n])
    at += 2 + n
"""


def send_frames(stack, frames):
    """Send them; the stack has taken all of them then."""
    until = stack.stats()["tx_packets"] + len(frames)
    data = b"".join(struct.pack("<H", len(f)) + f for f in frames)
    r = subprocess.run(["ip", "netns", "exec", stack.spaces.guest, "/usr/bin/python3", "-c", SENDER], input=data,
                       capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr
    wait_until(lambda: stack.stats()["tx_packets"] >= until, 30)


def eth(kind, data, src=GUEST_MAC, dst=GATEWAY_MAC):
    return dst + src + struct.pack(">H", kind) + data


def addr(text):
    import socket
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def csum(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def ip4(proto, data, src=GUEST4, dst=PUBLIC4, ident=1, frag=0, ttl=64, options=b"", **odd):
    h = bytearray(struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(data), ident, frag, ttl,
                              proto, 0, addr(src), addr(dst)) + options)
    if "first" in odd:
        h[0] = odd["first"]
    if "length" in odd:
        h[2:4] = struct.pack(">H", odd["length"])
    h[10:12] = struct.pack(">H", odd.get("sum", csum(bytes(h))))
    return eth(0x0800, bytes(h) + data, **{k: odd[k] for k in ("src_mac",) if k in odd})


def ip6(proto, data, src=GUEST6, dst=PUBLIC6, ttl=64, length=None):
    return eth(0x86DD, struct.pack(">IHBB", 6 << 28, len(data) if length is None else length, proto, ttl) + addr(src) + addr(dst) + data)


def arp(op, sender_mac, sender, target):
    return eth(0x0806, struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, op, sender_mac, addr(sender), bytes(6), addr(target)), dst=BROADCAST)


def nd(kind, target, src=GUEST6, dst="ff02::1", rest=b"", ttl=255):
    body = struct.pack(">BBHI", kind, 0, 0, 0x20000000) + addr(target) + rest
    pseudo = addr(src) + addr(dst) + struct.pack(">II", len(body), 58)
    return ip6(58, body[:2] + struct.pack(">H", csum(pseudo + body)) + body[4:], src=src, dst=dst, ttl=ttl)


def bad(stack):
    return stack.stats()["bad"]


# ---- the gateway

@needs("ping")
@pytest.mark.parametrize("gateway", [GATEWAY4, GATEWAY6])
def test_gateway_answers_pings(stack, gateway):
    text = ping(stack, "-c", "5", "-i", "0.01", "-W", "2", gateway)
    assert loss(text) == 0 and "ttl=64" in text
    assert loss(ping(stack, "-c", "1000", "-i", "0.001", "-W", "2", gateway)) == 0


@needs("ping")
@pytest.mark.parametrize("gateway,size", [(GATEWAY4, 60000), (GATEWAY6, 60000), (GATEWAY4, 65507), (GATEWAY4, 1473), (GATEWAY6, 1453)])
def test_large_pings_are_put_together_and_taken_apart(stack, gateway, size):
    assert loss(ping(stack, "-c", "3", "-i", "0.01", "-W", "2", "-s", size, gateway)) == 0


@needs("ping")
def test_do_not_fragment_is_kept(stack):
    assert loss(ping(stack, "-c", "1", "-M", "do", "-s", "1472", GATEWAY4)) == 0
    ping(stack, "-c", "1", "-W", "1", "-M", "do", "-s", "1473", GATEWAY4, ok=False)


@needs("arping")
def test_only_the_gateways_address_is_answered_for(stack):
    r = stack.guest("arping", "-c", "2", "-w", "3", "-I", "tap0", GATEWAY4, text=True)
    assert r.returncode == 0 and "02:00:00:00:00:01" in r.stdout.lower(), r.stdout
    for other in ("172.16.0.3", "8.8.8.8"):
        assert stack.guest("arping", "-c", "1", "-w", "1", "-I", "tap0", other).returncode != 0
    # Duplicate address detection of its own address hears nobody.
    assert stack.guest("arping", "-D", "-c", "1", "-w", "1", "-I", "tap0", GUEST4).returncode == 0


@needs("ndisc6")
def test_gateway_is_discovered(stack):
    r = stack.guest("ndisc6", "-1", "-w", "1000", GATEWAY6, "tap0", text=True)
    assert r.returncode == 0 and "02:00:00:00:00:01" in r.stdout, (r.stdout, r.stderr)
    assert stack.guest("ndisc6", "-1", "-r", "1", "-w", "300", "fd42:6d73:62::3", "tap0").returncode != 0


@needs("rdisc6")
def test_router_says_prefix_mtu_and_name_server(stack):
    r = stack.guest("rdisc6", "-1", "-w", "1000", "tap0", text=True)
    assert r.returncode == 0, (r.stdout, r.stderr)
    for words in ("fd42:6d73:62::/64", "1500 bytes", f"Recursive DNS server     : {GATEWAY6}", "65535 (0x0000ffff) seconds"):
        assert words in r.stdout, (words, r.stdout)


def test_kernel_takes_the_router_and_makes_no_address_of_its_prefix(stack):
    def routes():
        return stack.guest("ip", "-6", "route", "show", "default", text=True).stdout

    end = time.monotonic() + 40  # its solicitation comes within 4 s of the link's start
    while "proto ra" not in routes() and time.monotonic() < end:
        time.sleep(0.1)
    assert "proto ra" in routes()
    addresses = stack.guest("ip", "-6", "-o", "addr", "show", "dev", "tap0", "scope", "global", text=True).stdout
    assert addresses.count("inet6") == 1, addresses


# ---- elsewhere

@needs("ping")
@pytest.mark.parametrize("to", [PUBLIC4, PUBLIC6, FAR4, FAR6])
def test_pings_go_out_by_ping_sockets(stack, to):
    before = stack.stats()["icmp_flows"]
    assert loss(ping(stack, "-c", "20", "-i", "0.01", "-W", "2", to)) == 0
    assert stack.stats()["icmp_flows"] == before + 1


@needs("ping")
@pytest.mark.parametrize("to", [PUBLIC4, PUBLIC6])
def test_large_pings_go_out(stack, to):
    assert loss(ping(stack, "-c", "3", "-i", "0.2", "-W", "2", "-s", "20000", to)) == 0


@needs("ping")
def test_answers_have_the_ttl_with_which_they_came(stack):
    assert "ttl=63" in ping(stack, "-c", "1", "-W", "2", FAR4)
    assert "ttl=63" in ping(stack, "-c", "1", "-W", "2", FAR6)


@needs("ping")
def test_two_pings_at_once_do_not_mix(stack):
    script = " ".join(f"ping -n -c 50 -i 0.005 -W 2 {to} & p{i}=$!;" for i, to in enumerate([PUBLIC4, FAR4, PUBLIC6, FAR6]))
    r = stack.guest("bash", "-c", script + "wait $p0 && wait $p1 && wait $p2 && wait $p3", text=True)
    assert r.returncode == 0 and r.stdout.count(" 0% packet loss") == 4, r.stdout


@needs("ping")
def test_unreachable_network_is_told(net, stack):
    ip("-n", net.host, "route", "del", "default")
    try:
        text = ping(stack, "-c", "1", "-W", "2", "8.8.4.4", ok=False)
        assert f"From {GATEWAY4}" in text and "Destination Net Unreachable" in text
    finally:
        ip("-n", net.host, "route", "add", "default", "via", "10.99.0.2")


@needs("ping")
def test_unreachable_host_is_told_by_its_router(stack):
    text = ping(stack, "-c", "1", "-W", "5", "10.98.0.77", ok=False, timeout=20)
    assert "From 10.99.0.2" in text and "Destination Host Unreachable" in text, text


@needs("traceroute")
@pytest.mark.parametrize("how,to,hops", [
    ([], FAR4, ["10.99.0.2", FAR4]), (["-I"], FAR4, ["10.99.0.2", FAR4]),
    (["-6"], FAR6, ["2001:db8:99::2", FAR6]), (["-6", "-I"], FAR6, ["2001:db8:99::2", FAR6])])
def test_traceroute_sees_the_hosts_routers(stack, how, to, hops):
    r = stack.guest("traceroute", *how, "-n", "-q", "2", "-w", "2", "-m", "6", to, text=True)
    seen = [line.split()[1] for line in r.stdout.splitlines()[1:]]
    assert seen == hops, r.stdout


@needs("tracepath")
@pytest.mark.parametrize("to", [FAR4, FAR6])
def test_tracepath_finds_the_smallest_mtu(stack, to):
    r = stack.guest("tracepath", "-n", "-m", "6", to, text=True)
    assert f"pmtu {FAR_MTU}" in r.stdout and "reached" in r.stdout, r.stdout


@needs("ping")
def test_mtu_of_the_path_comes_back_to_pings(stack):
    """The router says so once; from then on the guest's kernel knows."""
    stack.guest("ip", "route", "flush", "cache")
    text = ping(stack, "-c", "3", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400", FAR4, ok=False)
    assert f"mtu={FAR_MTU}" in text or f"mtu = {FAR_MTU}" in text, text
    assert loss(ping(stack, "-c", "2", "-i", "0.1", "-M", "do", "-s", FAR_MTU - 28, FAR4)) == 0


@needs("ping")
def test_denied_pings_are_dropped_and_counted(net):
    with Stack(net, "--profile", "all", "--rule", f"deny@{PUBLIC4}", "--rule", f"deny@[{PUBLIC6}]:icmpv6") as s:
        for to in (PUBLIC4, PUBLIC6):
            assert loss(ping(s, "-c", "2", "-i", "0.1", "-W", "1", to, ok=False)) == 100
        assert loss(ping(s, "-c", "2", "-i", "0.1", "-W", "1", FAR4)) == 0
        assert s.stats()["denied"] >= 2


@needs("ping")
def test_host_without_ping_sockets_says_so_once(net):
    allow_ping(net, False)
    try:
        with Stack(net, "--profile", "all") as s:
            for to in (PUBLIC4, FAR4, PUBLIC6):
                assert loss(ping(s, "-c", "2", "-i", "0.1", "-W", "1", to, ok=False)) == 100
            assert loss(ping(s, "-c", "2", "-i", "0.1", "-W", "1", GATEWAY4)) == 0
            assert s.log_text().count("ping_group_range") == 1, s.log_text()
    finally:
        allow_ping(net, True)


@needs("ping")
@pytest.mark.parametrize("mtu", [1280, 9000, 65520])
def test_other_mtus(net, mtu):
    with Stack(net, "--profile", "all", mtu=mtu) as s:
        for size in (mtu - 28, mtu - 27 if mtu < 60000 else 30000):
            assert loss(ping(s, "-c", "2", "-i", "0.05", "-W", "2", "-s", size, GATEWAY4)) == 0
        if mtu == 65520:  # more than the host's link: the error is the host's own
            text = ping(s, "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "3000", PUBLIC4, ok=False)
            assert "mtu = 1500" in text or "mtu=1500" in text, text


# ---- attacks

UDP = struct.pack(">HHHH", 4000, 4001, 16, 0) + b"12345678"
TCP = struct.pack(">HHIIBBHHH", 4000, 4001, 1, 0, 0x50, 2, 1024, 0, 0)

MALFORMED = {
    "runt": GATEWAY_MAC + GUEST_MAC + b"\x08\0",
    "vlan": eth(0x8100, b"\0\1\x08\0" + bytes(40)),
    "double vlan": eth(0x88A8, b"\0\1\x81\0" + bytes(40)),
    "802.3": eth(60, bytes(60)),
    "foreign ethertype": eth(0x88CC, bytes(60)),
    "foreign source MAC": eth(0x0800, ip4(17, UDP)[14:], src=OTHER_MAC),
    "foreign destination MAC": eth(0x0800, ip4(17, UDP)[14:], dst=OTHER_MAC),
    "gateway's MAC": eth(0x0800, ip4(17, UDP)[14:], src=GATEWAY_MAC),
    "spoofed IPv4": ip4(17, UDP, src="8.8.8.8"),
    "spoofed as gateway": ip4(17, UDP, src=GATEWAY4),
    "spoofed loopback": ip4(17, UDP, src="127.0.0.1"),
    "spoofed IPv6": ip6(17, UDP, src="2001:db8::77"),
    "version 5": ip4(17, UDP, first=0x55),
    "header length 4": ip4(17, UDP, first=0x44),
    "header beyond the end": ip4(17, b"", first=0x4F),
    "total length too long": ip4(17, UDP, length=1400),
    "total length too short": ip4(17, UDP, length=19),
    "wrong sum": ip4(17, UDP, sum=0x1234),
    "TTL 0": ip4(17, UDP, ttl=0),
    "loose source route": ip4(17, UDP, options=b"\x83\x07\x04\x0a\0\0\1\0"),
    "strict source route": ip4(17, UDP, options=b"\x89\x07\x04\x0a\0\0\1\0"),
    "option of length 0": ip4(17, UDP, options=b"\x07\0\0\0"),
    "option of length 1": ip4(17, UDP, options=b"\x07\1\0\0"),
    "option of length 255": ip4(17, UDP, options=b"\x07\xff\0\0"),
    "UDP length 0": ip4(17, struct.pack(">HHHH", 1, 2, 0, 0)),
    "UDP longer than its packet": ip4(17, struct.pack(">HHHH", 1, 2, 900, 0) + bytes(8)),
    "TCP header length 0": ip4(6, TCP[:12] + b"\0" + TCP[13:]),
    "TCP header beyond the end": ip4(6, TCP[:12] + b"\xf0" + TCP[13:]),
    "ICMPv6 in IPv4": ip4(58, bytes(8)),
    "ICMP in IPv6": ip6(1, bytes(8)),
    "IPv6 too long": ip6(17, UDP, length=900),
    "IPv4 address in IPv6": ip6(17, UDP, dst="::ffff:127.0.0.1"),
    "routing header 0": ip6(43, b"\x11\2\0\1" + bytes(20) + UDP),
    "jumbogram": ip6(0, b"\x11\0\xc2\4\0\1\0\0" + UDP, length=0),
    "jumbo option": ip6(0, b"\x11\0\xc2\4\0\1\0\0" + UDP),
    "nine extension headers": ip6(60, (b"\x3c\0\1\4" + bytes(4)) * 8 + b"\x11\0\1\4" + bytes(4) + UDP),
    "extension header beyond the end": ip6(60, b"\x11\x10\1\4" + bytes(4)),
    "giant fragment": ip4(17, bytes(64), frag=8189),
    "fragment of odd length": ip4(17, bytes(61), frag=0x2000),
    "tiny first fragment": ip4(6, TCP[:8], frag=0x2000),
    "empty fragment": ip4(17, b"", frag=0x2000 | 5),
    "ARP reply": arp(2, GUEST_MAC, GUEST4, GATEWAY4),
    "ARP as gateway": arp(1, GUEST_MAC, GATEWAY4, GATEWAY4),
    "ARP of another MAC": arp(1, OTHER_MAC, GUEST4, GATEWAY4),
    "ARP cut short": eth(0x0806, bytes(20)),
    "router advertisement": ip6(58, b"\x86" + bytes(39), src="fe80::2", dst="ff02::1", ttl=255),
    "redirect": ip6(58, b"\x89" + bytes(39), dst=GATEWAY6, ttl=255),
    "advertisement as gateway": nd(136, GATEWAY6, rest=b"\2\1" + GUEST_MAC),
    "solicitation from afar": nd(135, GATEWAY6, ttl=64),
}


def test_each_malformed_frame_is_counted(stack):
    for name, frame in MALFORMED.items():
        before = bad(stack)
        send_frames(stack, [frame])
        assert bad(stack) == before + 1, name
    assert loss(ping(stack, "-c", "3", "-i", "0.01", "-W", "2", GATEWAY4)) == 0
    assert loss(ping(stack, "-c", "3", "-i", "0.01", "-W", "2", PUBLIC6)) == 0


def test_spoofed_neighbours_change_nothing(stack):
    send_frames(stack, [arp(2, OTHER_MAC, GUEST4, GATEWAY4), arp(1, OTHER_MAC, GUEST4, GUEST4), arp(2, OTHER_MAC, GATEWAY4, GUEST4),
                        nd(136, GUEST6, rest=b"\2\1" + OTHER_MAC), nd(136, GATEWAY6, rest=b"\2\1" + OTHER_MAC)] * 50)
    for to in (GATEWAY4, GATEWAY6, PUBLIC4, PUBLIC6):
        assert loss(ping(stack, "-c", "2", "-i", "0.01", "-W", "2", to)) == 0


def test_overlapping_fragments_never_make_a_packet(stack):
    echo = b"\x08\0\0\0\0\7\0\1" + bytes(1472)
    echo = echo[:2] + struct.pack(">H", csum(echo)) + echo[4:]
    before = stack.stats()
    for n, evil in enumerate([0x2000, 0x2000 | 1, 0x2000 | 184]):
        send_frames(stack, [ip4(1, echo, dst=GATEWAY4, ident=100 + n, frag=0x2000), ip4(1, bytes(64), dst=GATEWAY4, ident=100 + n, frag=evil),
                            ip4(1, bytes(64), dst=GATEWAY4, ident=100 + n, frag=185)])
    after = stack.stats()
    assert after["bad"] == before["bad"] + 3
    assert after["rx_bytes"] < before["rx_bytes"] + 1000  # an advertisement may come between
    # The same without what overlaps is answered.
    send_frames(stack, [ip4(1, echo, dst=GATEWAY4, ident=200, frag=0x2000), ip4(1, bytes(64), dst=GATEWAY4, ident=200, frag=185)])
    assert stack.stats()["rx_bytes"] >= before["rx_bytes"] + 1536


def test_fragments_without_end_are_bounded(stack):
    rss = stack.rss()
    send_frames(stack, [ip4(17, bytes(1480), ident=n, frag=0x2000) for n in range(5000)])
    send_frames(stack, [ip6(44, struct.pack(">BBHI", 17, 0, 1, n) + bytes(1400)) for n in range(5000)])
    if b"__asan_init" not in NETTAP.read_bytes():  # which keeps what is freed
        assert stack.rss() < rss + 4 * 2**20
    assert loss(ping(stack, "-c", "3", "-i", "0.01", "-W", "2", "-s", "60000", GATEWAY4)) == 0


def test_floods_leave_the_gateway_answering(stack):
    """Pings of 1,000 ids, unknown protocols and denied datagrams: each bounded, none in the way of the next."""
    send_frames(stack, [ip4(1, b"\x08\0" + struct.pack(">HHH", 0, n, 1) + bytes(8)) for n in range(1000)])
    s = stack.stats()
    assert s["open"] <= 64 + 8, s
    before = s["rx_packets"]
    send_frames(stack, [ip4(47, bytes(100)) for _ in range(3000)])
    answers = stack.stats()["rx_packets"] - before
    assert answers <= 1000, answers  # 200 a second, and echo replies that still came
    assert loss(ping(stack, "-c", "3", "-i", "0.01", "-W", "2", GATEWAY4)) == 0


@needs("hping3")
@pytest.mark.parametrize("words", [["--rawip", "-H", "132"], ["--icmp", "-C", "5"], ["--icmp", "-C", "3", "-K", "4"], ["--udp", "--badcksum"],
                                   ["-S", "-f"], ["-S", "-O", "15"], ["-F", "-P", "-U"], ["-Y", "-X"]])
def test_hping(stack, words):
    stack.guest("hping3", "-q", "-c", "50", "-i", "u500", *words, PUBLIC4, timeout=30)
    assert loss(ping(stack, "-c", "2", "-i", "0.01", "-W", "2", GATEWAY4)) == 0
