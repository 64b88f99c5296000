"""Published ports: clients of the host and of the world, servers in the guest; with the kernel's own TCP on both sides."""
import hashlib
import subprocess
import textwrap
import time

import pytest

from netns import GATEWAY4, GATEWAY6, HOST4, Stack, need, wait_until
from web import PYTHON, Nginx, curl, python

PORTS = ("--port", "127.0.0.1:8080=80", "--port", "[::1]:8080=80", "--port", f"{HOST4}:8081=80",
         "--port", "127.0.0.1:9000=9000")
GRACE = 10  # seconds after the guest's first frame in which a refusal is waited out


@pytest.fixture(scope="module")
def stack(net):
    with Stack(net, "--profile", "public", *PORTS, "--max-connections", 4096) as s:
        yield s


@pytest.fixture(scope="module")
def settled(stack):
    """The guest's first seconds are over."""
    stack.guest("ping", "-c1", "-W2", GATEWAY4)
    time.sleep(GRACE + 1)
    return stack


@pytest.fixture
def nginx(net, tmp_path):
    need("nginx", "curl")
    tmp_path.chmod(0o755)
    server = Nginx(net, tmp_path)
    yield server
    server.stop()


@pytest.mark.parametrize("url, frm, ns", [
    ("http://127.0.0.1:8080", GATEWAY4, "host"), ("http://[::1]:8080", GATEWAY6, "host"),
    (f"http://{HOST4}:8081", GATEWAY4, "world")])
def test_clients_reach_the_guest_by_its_gateway(net, stack, nginx, url, frm, ns):
    r = curl(net, f"{url}/data", ns=getattr(net, ns))
    assert r.returncode == 0, r.stderr
    assert hashlib.sha256(r.stdout).digest() == hashlib.sha256((nginx.folder / "data").read_bytes()).digest()
    wait_until(lambda: nginx.log.exists() and nginx.log.read_text())
    assert nginx.log.read_text().split()[0] == frm


def test_an_upload_arrives_whole_and_ends_half_closed(net, stack):
    """Everything to the end of file, then the answer: a half-closed connection in both directions."""
    server = net.start(net.guest, PYTHON, "-c", textwrap.dedent("""
        import hashlib, socket
        s = socket.create_server(("0.0.0.0", 9000))
        c, _ = s.accept()
        h = hashlib.sha256()
        while d := c.recv(1 << 16):
            h.update(d)
        c.sendall(h.hexdigest().encode())
        c.shutdown(socket.SHUT_WR)
        assert c.recv(1) == b""
        """))
    net.listening(net.guest, 9000)
    out = python(net, net.host, """
        import hashlib
        data = bytes(range(256)) * (1 << 17)
        s = socket.create_connection(("127.0.0.1", 9000))
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while d := s.recv(100):
            got += d
        print(got.decode() == hashlib.sha256(data).hexdigest())
        """)
    assert out == "True\n"
    assert server.wait(10) == 0


def test_the_guest_that_speaks_first_is_heard_at_once(net, stack):
    server = net.start(net.guest, PYTHON, "-c", textwrap.dedent("""
        import socket
        c, _ = socket.create_server(("0.0.0.0", 9000)).accept()
        c.sendall(b"220 ready\\r\\n")
        assert c.recv(10) == b"QUIT"
        """))
    net.listening(net.guest, 9000)
    assert python(net, net.host, """
        s = socket.create_connection(("127.0.0.1", 9000))
        print(s.recv(100))
        s.sendall(b"QUIT")
        print(s.recv(100))
        """) == "b'220 ready\\r\\n'\nb''\n"
    assert server.wait(10) == 0


def test_1000_keep_alive_connections(net, stack, nginx):
    before, rss = stack.stats()["open"], stack.rss()
    out = python(net, net.host, """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        conns = [socket.create_connection(("127.0.0.1", 8080), 20) for _ in range(1000)]
        def ask(s):
            s.sendall(b"GET /hi HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            got = b""
            while not got.endswith(b"hi"):
                d = s.recv(4096)
                assert d, got
                got += d
            assert got.startswith(b"HTTP/1.1 200"), got
        for _ in range(3):
            for s in conns:
                ask(s)
        print("all", flush=True)
        time.sleep(1)
        """, timeout=60)
    assert out == "all\n"
    wait_until(lambda: stack.stats()["open"] <= before, 15, "flows stay")
    print("RSS grew by", stack.rss() - rss)
    assert stack.rss() - rss < 16 << 20


def test_3000_short_connections_that_the_guest_closes(net, stack, nginx):
    out = python(net, net.host, """
        for i in range(3000):
            s = socket.create_connection(("127.0.0.1", 8080), 20)
            s.sendall(b"GET /hi HTTP/1.0\\r\\n\\r\\n")
            got = b""
            while d := s.recv(4096):
                got += d
            assert got.endswith(b"hi"), (i, got)
            s.close()
        print("all")
        """, timeout=60)
    assert out == "all\n"
    wait_until(lambda: stack.stats()["open"] == 0, 15, "flows stay")


def test_a_reset_of_either_side_reaches_the_other(net, stack):
    code = """
        import socket, struct, sys
        def slam(s):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        """
    serve = textwrap.dedent(code) + textwrap.dedent("""
        l = socket.create_server(("0.0.0.0", 9000))
        c, _ = l.accept()
        assert c.recv(1) == b"1"
        slam(c)
        c, _ = l.accept()
        try:
            print(c.recv(1), c.recv(1))
        except ConnectionResetError:
            print("reset")
        """)
    server = net.start(net.guest, PYTHON, "-c", serve, stdout=subprocess.PIPE)
    net.listening(net.guest, 9000)
    assert python(net, net.host, textwrap.dedent(code) + textwrap.dedent("""
        s = socket.create_connection(("127.0.0.1", 9000))
        s.sendall(b"1")
        try:
            print(s.recv(1))
        except ConnectionResetError:
            print("reset")
        s = socket.create_connection(("127.0.0.1", 9000))
        s.sendall(b"2")
        import time
        time.sleep(0.3)
        slam(s)
        """)) == "reset\n"
    out, _ = server.communicate(timeout=10)
    assert out == b"reset\n"


def test_a_port_that_is_closed_resets_at_once(net, settled):
    start = time.monotonic()
    r = curl(net, "http://127.0.0.1:8080/hi")
    assert r.returncode in (7, 52, 56), r.stderr  # nothing, or a reset
    assert time.monotonic() - start < 2


def test_a_server_that_comes_back_is_reached(net, settled, nginx):
    for _ in range(3):
        assert curl(net, "http://127.0.0.1:8080/hi").stdout == b"hi"
        nginx.stop()
        assert curl(net, "http://127.0.0.1:8080/hi").returncode != 0
        nginx.start()
    assert curl(net, "http://127.0.0.1:8080/hi").stdout == b"hi"


def test_a_server_that_is_killed_ends_its_clients(net, settled, nginx):
    p = net.start(net.host, "curl", "-sS", "--limit-rate", "1M", "http://127.0.0.1:8080/data")
    wait_until(lambda: settled.stats()["open"] >= 1)
    time.sleep(0.5)
    nginx.p.kill()
    nginx.p.wait()
    assert p.wait(70) != 0
    nginx.start()
    wait_until(lambda: settled.stats()["open"] == 0)


def test_the_guest_itself_cannot_use_the_hosts_end(net, stack, nginx):
    """A published port is the host's loopback, which the guest may not reach."""
    r = stack.guest("curl", "-sS", "-m", "5", f"http://{GATEWAY4}:8080/hi")
    assert r.returncode == 7, r  # refused
