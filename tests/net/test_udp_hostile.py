"""Raw frames of a hostile guest: the stack lives, keeps its bounds, and one flow of somebody else does not notice."""
import json
import pathlib
import subprocess
import time

import pytest

from netns import HOST4, PUBLIC4, PUBLIC6, WORLD4, Stack
from test_udp import COUNT, ECHO, PYTHON, serve

HERE = pathlib.Path(__file__).parent
FORBIDDEN = [("10.99.0.2", "w"), ("169.254.169.254", "w"), ("127.0.0.1", "h"), (HOST4, "h")]

pytestmark = pytest.mark.skipif(
    subprocess.run([PYTHON, "-c", "import scapy.all"], capture_output=True).returncode != 0, reason="no scapy")

# A flow with a word every 5 ms: how many were lost, and how long the slowest took of those that are not the slowest 1 %.
STEADY = """
import json, select, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
sent, took = {}, []
print("go", flush=True)
n = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    s.send(str(n).encode())
    sent[n] = time.monotonic()
    n += 1
    end = time.monotonic() + 0.005
    while (left := end - time.monotonic()) > 0:
        if select.select([s], [], [], left)[0]:
            try:
                took.append(time.monotonic() - sent.pop(int(s.recv(100))))
            except ConnectionRefusedError:
                pass
time.sleep(0.5)
s.setblocking(False)
try:
    while True:
        took.append(time.monotonic() - sent.pop(int(s.recv(100))))
except BlockingIOError:
    pass
took.sort()
print(json.dumps({"sent": n, "lost": len(sent), "p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}))
"""


@pytest.fixture(scope="module")
def world(net):
    for a in (PUBLIC4, PUBLIC6):
        serve(net, net.world, "echo", a, ECHO)
        serve(net, net.world, "count", a, COUNT)
    for address, where in FORBIDDEN:
        serve(net, net.world if where == "w" else net.host, "count", address, COUNT)
    return net


@pytest.fixture(scope="module")
def stack(world):
    """One for all attacks, so that each finds what those before left."""
    with Stack(world, "--profile", "public") as s:
        yield s


def counted(net, ns, address):
    code = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b"count")
print(int(s.recv(100)))
"""
    r = net.run(ns, PYTHON, "-c", code, address, COUNT)
    assert r.returncode == 0, r.stderr
    return int(r.stdout)


def attack(stack, kind, address, port=COUNT):
    """Run it beside a steady flow; what that flow saw."""
    net = stack.spaces
    steady = net.start(net.guest, PYTHON, "-c", STEADY, PUBLIC4, ECHO, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert steady.stdout.readline() == b"go\n"
    r = stack.guest(PYTHON, HERE / "attack_udp.py", kind, port, address, timeout=120)
    assert r.returncode == 0, r.stderr.decode()
    time.sleep(0.5)  # some attacks are over at once
    steady.stdin.write(b"end\n")
    steady.stdin.close()
    report = json.loads(steady.stdout.read())
    assert steady.wait(10) == 0
    return report


def check(stack, report):
    assert stack.p.poll() is None, stack.log_text()
    stats = stack.stats()
    assert stats["open"] <= 1024 + 64 + 16, stats
    assert stack.rss() < 160 << 20
    assert report["sent"] > 50
    assert report["lost"] <= report["sent"] * 0.05, report
    assert report["p50"] < 0.05, report


BOTH = pytest.mark.parametrize("address", [PUBLIC4, PUBLIC6])


@BOTH
@pytest.mark.parametrize("kind", ["flood", "sources"])
def test_floods_to_10000_ports_and_from_as_many(stack, kind, address):
    before = stack.stats()
    check(stack, attack(stack, kind, address))
    after = stack.stats()
    assert after["udp_flows"] - before["udp_flows"] >= 9000
    assert after["bad"] == before["bad"]


def test_flood_of_what_is_denied_opens_nothing(stack):
    before = stack.stats()
    report = attack(stack, "flood", WORLD4)
    check(stack, report)
    after = stack.stats()
    assert after["denied"] - before["denied"] >= 19000
    assert after["udp_flows"] - before["udp_flows"] <= 1  # the steady one
    # An error each would be a flood of ours: 200 a second at the most.
    assert after["rx_packets"] - before["rx_packets"] < 2 * report["sent"] + 3000


@BOTH
def test_nobody_else_can_be_the_sender(world, stack, address):
    before, heard = stack.stats(), counted(world, world.world, address)
    check(stack, attack(stack, "spoofed", address))
    assert counted(world, world.world, address) == heard
    assert stack.stats()["bad"] > before["bad"]


@BOTH
def test_lengths_that_lie_are_dropped(world, stack, address):
    before, heard = stack.stats(), counted(world, world.world, address)
    check(stack, attack(stack, "lengths", address))
    # One of UDP's lengths was only shorter than what is there, which is allowed.
    assert counted(world, world.world, address) - heard <= 2
    assert stack.stats()["bad"] - before["bad"] >= 20


@BOTH
def test_right_fragments_pass_in_any_order(world, stack, address):
    heard = counted(world, world.world, address)
    check(stack, attack(stack, "right_fragments", address))
    assert counted(world, world.world, address) - heard == 6


@BOTH
def test_wrong_fragments_are_nobodys_datagram(world, stack, address):
    heard = counted(world, world.world, address)
    check(stack, attack(stack, "fragments", address))
    assert counted(world, world.world, address) == heard


def test_right_fragments_pass_again_when_the_wrong_ones_have_timed_out(world, stack):
    """Starters that nobody goes on with hold their places for 15 s at the most."""
    attack(stack, "fragments", PUBLIC4)
    time.sleep(16)
    heard = counted(world, world.world, PUBLIC4)
    check(stack, attack(stack, "right_fragments", PUBLIC4))
    assert counted(world, world.world, PUBLIC4) - heard == 6


def test_errors_and_answers_that_nobody_asked_for(stack):
    check(stack, attack(stack, "errors", PUBLIC4, ECHO))


@pytest.mark.parametrize("kind", ["right_fragments", "fragments", "lengths"])
def test_forbidden_addresses_hear_nothing(world, stack, kind):
    def heard():
        return [counted(world, world.world if w == "w" else world.host, a) for a, w in FORBIDDEN]

    before = heard()
    r = stack.guest(PYTHON, HERE / "attack_udp.py", kind, COUNT, *(a for a, _ in FORBIDDEN), "172.16.0.1", "224.0.0.251",
                    "255.255.255.255", "172.16.0.3", "0.0.0.0", "fd42:6d73:62::1", "::1", "64:ff9b::7f00:1", timeout=120)
    assert r.returncode == 0, r.stderr.decode()
    assert heard() == before


def test_after_all_of_it_a_new_flow_works(stack):
    r = stack.guest("socat", "-t2", "-", f"UDP4:{PUBLIC4}:{ECHO}", stdin=None, input=b"still here\n")
    assert r.stdout == b"still here\n"
