"""UDP through the stack, with the kernel's own UDP as the guest and real programs on both sides."""
import json
import pathlib
import re
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from netns import GATEWAY4, GATEWAY6, GUEST4, GUEST6, HOST4, PUBLIC4, PUBLIC6, Stack, ip, need, wait_until

HERE = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3"
ECHO, DNS, LARGE, COUNT = 17000, 15300, 17001, 17002
# Behind a router of the world, by a link that takes little.
FAR4, FAR6, FAR_MTU = "93.184.217.9", "2606:2801::9", 1300


def serve(net, ns, kind, address, port):
    p = net.start(ns, PYTHON, HERE / "udp_server.py", kind, address, port, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    return p


def guest_python(s, code, *args, timeout=60):
    """Run @code in the guest, with socket and sys imported."""
    code = "import socket, sys, time, errno\n" + textwrap.dedent(code)
    r = s.guest(PYTHON, "-c", code, *args, timeout=timeout)
    assert r.returncode == 0, r.stderr.decode()
    return r.stdout.decode()


@pytest.fixture(scope="module")
def world(net):
    """Servers in the world, and one far behind it."""
    far = net.world + "f"
    subprocess.run(["ip", "netns", "del", far], stderr=subprocess.DEVNULL)
    ip("netns", "add", far)
    try:
        ip("-n", far, "link", "set", "lo", "up")
        ip("-n", net.world, "link", "add", "far0", "mtu", FAR_MTU, "type", "veth", "peer", "name", "near0", "mtu",
           FAR_MTU, "netns", far)
        ip("-n", net.world, "addr", "add", "10.98.0.1/24", "dev", "far0")
        ip("-n", far, "addr", "add", "10.98.0.2/24", "dev", "near0")
        ip("-n", net.world, "-6", "addr", "add", "2001:db8:98::1/64", "dev", "far0", "nodad")
        ip("-n", far, "-6", "addr", "add", "2001:db8:98::2/64", "dev", "near0", "nodad")
        ip("-n", far, "addr", "add", f"{FAR4}/32", "dev", "lo")
        ip("-n", far, "-6", "addr", "add", f"{FAR6}/128", "dev", "lo", "nodad")
        ip("-n", net.world, "link", "set", "far0", "up")
        ip("-n", far, "link", "set", "near0", "up")
        ip("-n", net.world, "route", "add", f"{FAR4}/32", "via", "10.98.0.2")
        ip("-n", net.world, "-6", "route", "add", f"{FAR6}/128", "via", "2001:db8:98::2")
        ip("-n", far, "route", "add", "default", "via", "10.98.0.1")
        ip("-n", far, "-6", "route", "add", "default", "via", "2001:db8:98::1")
        net.run(net.world, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        net.run(far, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        for a in (PUBLIC4, PUBLIC6):
            serve(net, net.world, "echo", a, ECHO)
        for a in (FAR4, FAR6):
            serve(net, far, "echo", a, ECHO)
        serve(net, net.world, "dns", PUBLIC4, DNS)
        serve(net, net.world, "large", PUBLIC4, LARGE)
        serve(net, net.world, "large", PUBLIC6, LARGE)
        serve(net, net.world, "count", PUBLIC4, COUNT)
        net.far = far
        yield net
    finally:
        subprocess.run(["ip", "netns", "del", far], stderr=subprocess.DEVNULL)


@pytest.fixture
def stack(world, request):
    options = getattr(request, "param", ("--profile", "public"))
    with Stack(world, *options) as s:
        yield s


ASK = """
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.parametrize("address", [PUBLIC4, PUBLIC6])
def test_socat_hears_its_echo(stack, address):
    need("socat")
    kind = "UDP6" if ":" in address else "UDP4"
    host = f"[{address}]" if ":" in address else address
    r = stack.guest("socat", "-t2", "-", f"{kind}:{host}:{ECHO}", stdin=None, input=b"good day\n")
    assert r.stdout == b"good day\n", r


def test_dig_asks_a_server_at_another_port(stack):
    need("dig")
    r = stack.guest("dig", "+notcp", "+short", "+tries=1", "-p", DNS, f"@{PUBLIC4}", "some.name.test")
    assert r.stdout == b"192.0.2.77\n", r


@pytest.mark.parametrize("address", [PUBLIC4, PUBLIC6])
def test_datagrams_of_all_sizes_come_back(stack, address):
    out = guest_python(stack, ASK + """
for n in (0, 1, 1471, 1472, 1473, 1452, 1453, 8192, 30000, 65507):
    s.send(bytes(i * 7 & 255 for i in range(n)))
    assert s.recv(65536) == bytes(i * 7 & 255 for i in range(n)), n
print("whole")
""", address, ECHO)
    assert out == "whole\n"
    assert stack.stats()["udp_flows"] == 1


@pytest.mark.parametrize("address", [PUBLIC4, PUBLIC6])
def test_large_answers_to_small_questions(stack, address):
    out = guest_python(stack, ASK + """
for n in (1400, 5000, 64000):
    s.send(str(n).encode())
    assert s.recv(65536) == bytes(i * 31 & 255 for i in range(n)), n
print("whole")
""", address, LARGE)
    assert out == "whole\n"


@pytest.mark.parametrize("stack", [("--profile", "public,host")], indirect=True)
@pytest.mark.parametrize("address", [PUBLIC4, PUBLIC6, GATEWAY4, GATEWAY6])
def test_closed_port_is_refused_at_once(stack, address):
    out = guest_python(stack, ASK + """
began = time.monotonic()
for i in range(3):
    s.send(b"x")
    try:
        s.recv(10)
    except ConnectionRefusedError:
        print("refused")
assert time.monotonic() - began < 3
""", address, 4999)
    assert out == "refused\n" * 3


@pytest.mark.parametrize("address", ["10.99.0.2", GATEWAY4, GATEWAY6, "169.254.169.254", "fd00::1"])
def test_denied_datagram_is_an_error_at_once_and_counted(stack, address):
    before = stack.stats()["denied"]
    out = guest_python(stack, ASK + """
s.send(b"x")
try:
    s.recv(10)
except TimeoutError:
    print("silence")
except OSError as e:
    print(errno.errorcode[e.errno])
""", address, ECHO)
    assert out in ("EHOSTUNREACH\n", "EACCES\n")
    assert stack.stats()["denied"] == before + 1


def traceroute(stack, *words):
    r = stack.guest("traceroute", "-n", "-q", "1", "-w", "2", "-m", "5", *words)
    return [line.split()[1] for line in r.stdout.decode().splitlines()[1:]]


@pytest.mark.parametrize("how", [["-U", "-p", "33434"], []])
def test_traceroute_names_the_hops(stack, how):
    need("traceroute")
    assert traceroute(stack, *how, FAR4) == ["10.99.0.2", FAR4]
    assert traceroute(stack, "-6", *how, FAR6) == ["2001:db8:99::2", FAR6]


@pytest.mark.parametrize("address,overhead", [(FAR4, 28), (FAR6, 48)])
def test_quic_like_datagrams_find_the_mtu_of_the_path(stack, address, overhead):
    """Large ones that must not be cut: the guest's kernel learns what fits from our too-big, as from a router's."""
    out = guest_python(stack, ASK + """
v6, overhead = family == socket.AF_INET6, int(sys.argv[3])
level, name, do = (socket.IPPROTO_IPV6, 23, 2) if v6 else (socket.IPPROTO_IP, 10, 2)
s.setsockopt(level, name, do)
s.settimeout(0.5)
mtu = []
for attempt in range(20):
    try:
        s.send(b"q" * (1500 - overhead))
        s.recv(65536)
        print("came back")
    except OSError as e:
        mtu.append(s.getsockopt(level, 24 if v6 else 14))
        if mtu[-1] < 1500:
            break
s.settimeout(5)
fits = mtu[-1] - overhead
s.send(b"q" * fits)
assert len(s.recv(65536)) == fits
print(mtu[-1])
""", address, ECHO, overhead)
    assert out == f"{FAR_MTU}\n"


def test_datagrams_that_may_be_cut_pass_a_narrow_path(stack):
    out = guest_python(stack, ASK + """
s.setsockopt(socket.IPPROTO_IP, 10, 0)
s.send(b"c" * 1472)
print(len(s.recv(65536)))
""", FAR4, ECHO)
    assert out == "1472\n"


def iperf(net, stack, address, *words):
    """The client's report. The server is bound, as it would answer from an address that nobody asked."""
    need("iperf3")
    net.start(net.world, "iperf3", "-s", "-1", "-B", address)
    net.listening(net.world, 5201)
    r = stack.guest("iperf3", "-J", "-u", "-t", "3", "-c", address, *words, timeout=40)
    assert r.returncode == 0, r.stdout
    return json.loads(r.stdout)["end"]["sum"]


@pytest.mark.parametrize("reverse", [[], ["-R"]])
@pytest.mark.parametrize("address", [PUBLIC4, PUBLIC6])
def test_iperf3_at_50_mbit_loses_next_to_nothing(world, stack, address, reverse):
    """A host that is busy with something else loses some, but not every time."""
    for _ in range(4):
        end = iperf(world, stack, address, "-b", "50M", *reverse)
        if end["packets"] > 10000 and end["lost_percent"] < 2:
            break
    assert end["packets"] > 10000
    assert end["lost_percent"] < 2, end


@pytest.mark.parametrize("stack", [("--profile", "public", "--port", "0.0.0.0:6000=6000/udp", "--port", "[::]:6001=6001/udp")],
                         indirect=True)
def test_published_ports_reach_the_guests_server(world, stack):
    serve(world, world.guest, "echo", "0.0.0.0", 6000)
    serve(world, world.guest, "echo", "::", 6001)
    code = "import socket, sys, time, errno\n" + ASK + """
for n in (0, 5, 1400, 20000):
    s.send(b"p" * n)
    assert len(s.recv(65536)) == n
print("served")
"""
    for ns, address, port in ((world.host, "127.0.0.1", 6000), (world.host, HOST4, 6000), (world.world, HOST4, 6000),
                              (world.host, "::1", 6001), (world.world, "2001:db8:99::1", 6001), (world.world, HOST4, 6001)):
        r = world.run(ns, PYTHON, "-c", code, address, port)
        assert r.stdout == b"served\n", (address, port, r.stderr.decode())
    assert stack.stats()["udp_flows"] == 6


def test_capture_is_read_by_tcpdump(world, tmp_path):
    need("tcpdump")
    file = tmp_path / "net.pcap"
    with Stack(world, "--profile", "public", "--pcap", file) as s:
        guest_python(s, ASK + "s.send(b'one two three')\nassert s.recv(100) == b'one two three'\n", PUBLIC4, ECHO)
    r = subprocess.run(["tcpdump", "-nn", "-tttt", "-r", file, "udp", "port", str(ECHO)], capture_output=True, text=True,
                       timeout=20)
    assert r.returncode == 0, r.stderr
    lines = r.stdout.splitlines()
    assert len(lines) == 2
    assert f"{GUEST4}." in lines[0] and f" > {PUBLIC4}.{ECHO}: UDP, length 13" in lines[0]
    assert f"{PUBLIC4}.{ECHO} > {GUEST4}." in lines[1]
    assert abs(time.time() - time.mktime(time.strptime(lines[0][:19], "%Y-%m-%d %H:%M:%S"))) < 60


def test_answers_of_strangers_stay_outside(world, stack):
    """Whoever sees the host's port cannot speak to the guest by it."""
    p = world.start(world.guest, PYTHON, "-c", textwrap.dedent("""
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(60)
        s.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
        assert s.recv(10) == b"x"
        print("open", flush=True)
        while True:
            data, peer = s.recvfrom(100)
            print(data.decode(), peer[0], flush=True)
            if data == b"end":
                break
        """), PUBLIC4, ECHO, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"open\n"
    seen = wait_until(lambda: re.search(rf"{HOST4}:(\d+) +{PUBLIC4}:{ECHO}",
                                        world.run(world.host, "ss", "-unH", text=True).stdout))
    code = textwrap.dedent("""
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, 15, 1)
        s.bind((sys.argv[1], int(sys.argv[2])))
        s.sendto(sys.argv[3].encode(), (sys.argv[4], int(sys.argv[5])))
        """)
    for address, port in (("203.0.114.1", ECHO), (PUBLIC4, 9999), ("10.99.0.2", ECHO)):
        r = world.run(world.world, PYTHON, "-c", code, address, port, "spoof", HOST4, seen[1])
        assert r.returncode == 0, r.stderr
    time.sleep(0.3)
    # By hand, since its port is the echo server's.
    far = world.run(world.world, PYTHON, "-c", textwrap.dedent("""
        import socket, struct, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        s.bind((sys.argv[1], 0))
        s.sendto(struct.pack(">HHHH", int(sys.argv[2]), int(sys.argv[4]), 11, 0) + b"end", (sys.argv[3], 0))
        """), PUBLIC4, ECHO, HOST4, seen[1])
    assert far.returncode == 0, far.stderr
    assert p.stdout.read().decode() == f"end {PUBLIC4}\n"
    assert p.wait(10) == 0
