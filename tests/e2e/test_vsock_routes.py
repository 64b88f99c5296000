"""Sockets of the host that the guest reaches by vsock: --vsock HOST_PATH:PORT. One machine for most of it."""
import contextlib
import hashlib
import os
import pathlib
import socket
import threading

import pytest

from conftest import machines
from lib.cli import Cli, wait_until

IMAGE = "test/python:1"
BOX = "routed"
PEERS = 256

# What the guest runs: one line of a command, one of an answer.
GUEST = """
import hashlib, socket, sys, threading
def dial(port):
    s = socket.socket(socket.AF_VSOCK)
    s.connect((2, port))
    return s
def rest(s):
    out = b""
    while True:
        d = s.recv(65536)
        if not d:
            return out
        out += d
"""


class Server(threading.Thread):
    """Answers in upper case to the end of what it gets, then says how much that was."""

    def __init__(self, path):
        super().__init__(daemon=True)
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(512)
        self.accepted = 0
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    @staticmethod
    def serve(peer):
        digest, n = hashlib.sha256(), 0
        with contextlib.suppress(OSError), peer:
            while data := peer.recv(1 << 16):
                digest.update(data)
                n += len(data)
                if n <= 1 << 16:
                    peer.sendall(data.upper())
            peer.sendall(f"|{n} {digest.hexdigest()}".encode())

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.join(5)


@pytest.fixture(scope="module")
def cli(build_dir, python_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("vsock") / "home")
    c.ok("load", "-q", "-i", python_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp("sockets")
    (d / "sub").mkdir()
    (d / "link").symlink_to("a")
    (d / "out").symlink_to("../outside")
    (d / "file").write_text("no socket\n")
    return d


@pytest.fixture(scope="module")
def box(cli, folder):
    routes = {"a": 5000, "later": 5001, "link": 5002, "out": 5003, "file": 5004, "sub": 5005}
    options = [x for name, port in routes.items() for x in ("--vsock", f"{folder}/{name}:{port}")]
    outside = Server(folder.parent / "outside")
    cli.ok("create", "-q", "-n", BOX, "--no-net", "-m", "256M", *options, "--vsock", f"{folder}/a:6000/stream", IMAGE)
    cli.ok("start", "-q", BOX)
    yield BOX
    cli.ok("rm", "-q", "-f", BOX)
    assert outside.accepted == 0
    outside.close()


@pytest.fixture
def server(folder):
    s = Server(folder / "a")
    yield s
    s.close()


def guest(cli, script):
    return cli.ok("exec", BOX, "--", "python3", "-c", GUEST + script).strip()


def fails(cli, port):
    return guest(cli, f"""
try:
    dial({port})
    print("connected")
except OSError as e:
    print(type(e).__name__)
""")


def test_bytes_go_both_ways_and_ends_do_too(cli, box, server):
    digest = hashlib.sha256(b"hello").hexdigest()
    assert guest(cli, """
for port in 5000, 6000:
    s = dial(port)
    s.sendall(b"hello")
    assert s.recv(5, socket.MSG_WAITALL) == b"HELLO"
    s.shutdown(socket.SHUT_WR)
    print(rest(s).decode())
""").split("\n") == [f"|5 {digest}"] * 2
    assert server.accepted == 2


def test_much_arrives_whole(cli, box, server):
    assert guest(cli, """
data = bytes(range(256)) * 4096 * 32
s = dial(5000)
got = []
t = threading.Thread(target=lambda: got.append(rest(s)))
t.start()
s.sendall(data)
s.shutdown(socket.SHUT_WR)
t.join()
n, digest = got[0].rsplit(b"|")[-1].split()
print(int(n) == len(data), digest.decode() == hashlib.sha256(data).hexdigest())
""") == "True True"


def test_another_server_at_the_same_path(cli, box, folder):
    for _ in range(2):
        s = Server(folder / "later")
        assert guest(cli, "s = dial(5001); s.sendall(b'x'); print(s.recv(1))") == "b'X'"
        s.close()
    assert fails(cli, 5001) == "ConnectionResetError"
    (folder / "later").unlink()
    assert fails(cli, 5001) == "ConnectionResetError"


@pytest.mark.parametrize("port", [5002, 5003, 5004, 5005, 5006])
def test_neither_links_nor_others_are_reached(cli, box, server, port):
    """A link in the folder, one out of it, a file, a folder, a port without route."""
    assert fails(cli, port) == "ConnectionResetError"
    assert server.accepted == 0


def test_peers_are_bounded_and_places_come_back(cli, box, server):
    script = f"""
conns, refused = [], 0
for i in range({PEERS} + 20):
    try:
        conns.append(dial(5000))
    except ConnectionResetError:
        refused += 1
print(len(conns), refused)
"""
    for _ in range(2):
        assert guest(cli, script) == f"{PEERS} 20"
    wait_until(lambda: server.accepted == 2 * PEERS, 60, "not all of them came")


def test_a_full_queue_is_waited_for(cli, box, folder):
    path = folder / "later"
    path.unlink(missing_ok=True)
    slow = socket.socket(socket.AF_UNIX)
    slow.bind(str(path))
    slow.listen(0)
    first = socket.socket(socket.AF_UNIX)
    first.connect(str(path))
    timer = threading.Timer(1, lambda: [slow.accept(), slow.accept()[0].sendall(b"late")])
    timer.start()
    assert guest(cli, """
s = dial(5001)
print(s.recv(4, socket.MSG_WAITALL))
""") == "b'late'"
    timer.join()
    first.close()
    slow.close()
    path.unlink()


def test_the_thread_that_connects_has_no_more_than_it_needs(cli, box, server):
    """Its own list of system calls, no capability, and the folder as its only place."""
    fails(cli, 5000)
    (task,) = [t for pid, name in machines().items() if name == "msb-vmm"
               for t in pathlib.Path(f"/proc/{pid}/task").iterdir() if (t / "comm").read_text().strip() == "hostsock"]
    status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2" and int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    assert os.readlink(task / "cwd") == "/"


@pytest.mark.parametrize("value, why", [
    ("/x/sock:0", "port"), ("/x/sock:1024", "machine's own"), ("/x/sock:1025", "machine's own"),
    ("/x/sock:123", "machine's own"), ("/x/sock:4294967295", "port"), ("sock:5000", "absolute"),
    ("/x/sock", "form"), ("/x/:5000", "absolute"), ("/x/sock:5000/seqpacket", "form"),
])
def test_what_cannot_be_is_refused(cli, value, why):
    r = cli("create", "-n", "never", "--vsock", value, IMAGE)
    assert r.returncode not in (0, 125) and why in r.err, r.err
    assert "never" not in cli.ok("ls", "-q").split()


def test_datagrams_and_missing_folders_are_told_at_the_start(cli, folder):
    for value, why in ((f"{folder}/a:5000/dgram", "datagrams"), ("/not/there/a:5000", "/not/there")):
        r = cli("run", "--vsock", value, IMAGE, "--", "true")
        assert r.returncode != 0 and why in r.err, r.err
