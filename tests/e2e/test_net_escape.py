"""Root in a machine tries to get past the policy; the whole way, from the guest's sockets to the host's wire. What the
stack alone is tried with is in tests/net/test_escape.py, whose namespaces and watch are used here: `host` is where msb
runs, `world` what it is connected to."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest

from conftest import TOP
from lib.cli import Cli, descendants, wait_until

sys.path.insert(0, str(TOP / "tests/net"))

from netns import HOST4, PUBLIC4, PUBLIC6, WORLD4, Namespaces, why_not  # noqa: E402
from watch import Watch, inside  # noqa: E402

IMAGE = "test/python:1"
PUBLISHED = 8080
PORT = 23000

# As in tests/net/test_escape.py: an address, where the host is seen sending it, by which profiles it is reached
# (P public, R private, A all). Each machine has 100 ports of its own.
TARGETS = [
    ("GATEWAY4", "127.0.0.1", "A"),
    ("GATEWAY6", "::1", "A"),
    ("127.0.0.1", "", "A"),
    ("::1", "", "A"),
    (HOST4, "", "A"),
    ("2001:db8:99::1", "", "A"),
    ("93.184.216.99", "", "A"),  # the host's, though public
    (WORLD4, "", "RA"),
    ("fd00:77::1", "", "RA"),
    ("169.254.169.254", "", "A"),
    ("::ffff:10.99.0.2", "", ""),
    ("::ffff:127.0.0.1", "", ""),
    (PUBLIC4, "", "PA"),
    (PUBLIC6, "", "PA"),
    ("64:ff9b::7f00:1", "", "A"),
    ("64:ff9b::a63:2", "", "RA"),
    ("224.0.0.1", "", ""),
    ("255.255.255.255", "", ""),
]
NO_SERVER = {"64:ff9b::7f00:1", "64:ff9b::a63:2"}
MACHINES = {"-": ["--no-net"], "none": ["--net", "none"], "P": [], "R": ["--net", "private"], "A": ["--net", "all"]}
FIRST = {letter: PORT + 100 * i for i, letter in enumerate(MACHINES)}


class World:
    def __init__(self, build, home):
        self.net = Namespaces("e2eesc").up()
        self.watch = None
        for ns, address in ((self.net.host, "93.184.216.99/32"), (self.net.world, "fd00:77::1/128")):
            subprocess.run(["ip", "-n", ns, "addr", "add", address, "dev", "lo"], check=True)
        self.net.run(self.net.host, "sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647")
        self.cli = Cli(build, home)
        self.folder = home.parent / "t"
        self.folder.mkdir()
        for file in ("tests/e2e/guest/netescape.py", "tests/net/frames.py"):
            shutil.copy(TOP / file, self.folder)
        self.watch = Watch(self.net, [("tcp", p) for first in FIRST.values() for p in range(first, first + len(TARGETS))])
        self.watch.start()

    def close(self):
        if self.watch:
            self.watch.close()
        self.cli.reap()
        self.cli("rm", "-q", "-f", *self.cli.ok("ls", "-q").split())
        self.net.down()

    def start(self, letter, *options, **job):
        """A machine in the host's namespace, and what its root says."""
        argv = ["ip", "netns", "exec", self.net.host, self.cli.msb, "run", "-q", "-i", "-v", f"{self.folder}:/t:ro",
                *MACHINES[letter], *options, IMAGE, "--", "python3", "/t/netescape.py"]
        p = subprocess.Popen(argv, env=self.cli.environment({}), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        self.cli.started.append(p)
        first = FIRST[letter]
        job["targets"] = [(a, first + i) for i, (a, _, _) in enumerate(TARGETS)] + job.get("more", [])
        p.stdin.write(json.dumps(job).encode())
        p.stdin.close()
        line = p.stdout.readline()
        assert line, p.stderr.read().decode()
        return p, json.loads(line)

    def settle(self):
        last, still = None, 0

        def quiet():
            nonlocal last, still
            now = self.watch.counts()
            still, last = (still + 1, now) if now == last else (0, now)
            return still > 40
        wait_until(quiet, 20, "it does not get quiet")

    def left(self):
        self.settle()
        host = self.watch.requests("host")
        assert {r[1:] for r in host if r[0] == "out0"} == {r[1:] for r in self.watch.requests("world")}
        return {r[1:] for r in host}


def expected(letter):
    """(what is seen to leave, whom the guest's kernel gets connections to)"""
    first, left, connected = FIRST[letter], set(), []
    for i, (a, seen, who) in enumerate(TARGETS):
        if letter not in who:
            continue
        left |= {("tcp", seen or a, first + i), ("udp", seen or a, first + i), ("icmp", seen or a, 0)}
        if a not in NO_SERVER and not a.startswith(("127.", "::1")):
            connected.append([a, first + i])
    return left, connected


def end(p):
    p.terminate()
    p.wait(30)


@pytest.fixture(scope="module")
def world(build_dir, python_image, tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    w = World(build_dir, tmp_path_factory.mktemp("netescape") / "home")
    try:
        w.cli.ok("load", "-q", "-i", python_image, "-t", IMAGE)
        yield w
    finally:
        w.close()


@pytest.fixture(autouse=True)
def nothing_runs_on(world):
    yield
    world.cli.reap()


def machine_of(p):
    """msb-vmm's pid."""
    def find():
        for pid in [p.pid, *descendants(p.pid)]:
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "msb-vmm":
                    return pid
        return None
    wait_until(find, 30, "no msb-vmm")
    return find()


def sockets_of(pid):
    """The families of its sockets by the host's namespace and its own: {kind: how many}, Unix ones not counted."""
    inodes = set()
    for f in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        link = os.readlink(f)
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "icmp6", "packet", "netlink", "unix"):
            path = task / "net" / kind
            if not path.exists():
                continue
            for line in path.read_text().splitlines()[1:]:
                mine = inodes & set(line.split())
                if mine:
                    found.setdefault(kind, set()).update(mine)
    known = set().union(*found.values()) if found else set()
    assert inodes <= known, "a socket of a family that nobody thought of"
    return {k: len(v) for k, v in found.items() if k != "unix"}


def listeners(world):
    """But for those of this test."""
    lines = world.net.run(world.net.host, "ss", "-Hltunp", text=True).stdout.splitlines()
    return [line for line in lines if f"pid={os.getpid()}," not in line]


@pytest.mark.parametrize("letter", ["-", "none"])
def test_without_a_network_nothing_leaves_and_no_socket_is_there(world, letter):
    """Incidents 32: every family, every port of a vsock, raw frames; zero packets, zero sockets of the internet."""
    world.watch.reset()
    published = ["-p", f"127.0.0.1:{PUBLISHED}:80"] if letter == "none" else []
    p, said = world.start(letter, *published, families=True, vsock=letter == "-", serve=80)
    assert said["connected"] == []
    # Unix, IPv4 and 6, netlink, packet, vsock: no others are in the kernel.
    assert set(said["families"]) <= {1, 2, 10, 16, 17, 40}
    if letter == "-":
        # The host answers nowhere. In the guest itself the agent listens, and sends away who is not the host.
        assert all(x in ([1, 1025, "b''"], [3, 1025, "b''"], [3, 1025, "ECONNRESET"]) for x in said["vsock"]), said
    assert world.left() == set()
    # What asks the kernel for its routes, and what somebody asked for by -p, to whom the policy lets nobody then.
    assert p.stdout.readline() == b"serving\n"
    assert sockets_of(machine_of(p)) == {"netlink": 1} | ({"tcp": 1} if published else {})
    assert len(listeners(world)) == len(published) // 2
    if published:
        assert inside(world.net.host, visit, "127.0.0.1", PUBLISHED) != b"guest"
        assert world.left() == {("tcp", "127.0.0.1", PUBLISHED)}  # the visitor
    end(p)


def visit(address, port):
    """What a server says first, or an errno."""
    try:
        with socket.create_connection((address, port), 5) as s:
            s.settimeout(10)
            return s.recv(10)
    except OSError as e:
        return e.errno


def test_what_arrives_is_what_the_policy_says(world):
    world.watch.reset()
    assert listeners(world) == []
    a, said = world.start("P", "-p", f"127.0.0.1:{PUBLISHED}:80", listen=True, serve=80)
    left, connected = expected("P")
    assert world.left() == left
    assert sorted(said["connected"]) == sorted(connected)
    assert a.stdout.readline() == b"serving\n"
    # A guest that listens at 1,000 ports has one at the host (incidents 33): the published one, at the loopback.
    assert said["listening"] == 2000
    new = listeners(world)
    assert len(new) == 1 and f" 127.0.0.1:{PUBLISHED} " in new[0], new
    sockets = sockets_of(machine_of(a))
    assert sockets["netlink"] == 1 and not set(sockets) & {"raw", "raw6", "packet"}, sockets
    assert inside(world.net.host, visit, "127.0.0.1", PUBLISHED) == b"guest"
    for where, address in ((world.net.host, HOST4), (world.net.host, "::1"), (world.net.world, HOST4)):
        assert not isinstance(inside(where, visit, address, PUBLISHED), bytes), address
    # Nor does another sandbox get there, but who may reach the host (attacks D2).
    for letter in ("R", "A"):
        world.settle()  # the visitors' last packets
        world.watch.reset()
        b, said = world.start(letter, more=[("GATEWAY4", PUBLISHED), (HOST4, PUBLISHED), ("127.0.0.1", PUBLISHED)])
        left, connected = expected(letter)
        if letter == "A":
            connected.append(["GATEWAY4", PUBLISHED])
            left |= {(kind, where, PUBLISHED) for kind in ("tcp", "udp") for where in ("127.0.0.1", HOST4)}
        assert world.left() == left
        assert sorted(said["connected"]) == sorted(connected)
        assert b.wait(30) == 0
    end(a)
