"""Published ports at a machine's start, judged clients, and ports whose server is silent: each with a stack of its own."""
import subprocess
import textwrap
import time

import pytest

from netns import HOST4, Stack, WORLD4, need
from web import PYTHON, Nginx, curl

PORTS = ("--port", "127.0.0.1:8080=80", "--port", f"{HOST4}:8081=80", "--port", "127.0.0.1:9000=9000")


@pytest.fixture
def nginx(net, tmp_path):
    need("nginx", "curl")
    tmp_path.chmod(0o755)
    server = Nginx(net, tmp_path)
    yield server
    server.stop()


def test_clients_that_come_before_the_server_wait(net, tmp_path):
    """msb run -p: who starts it connects before anything listens, even before there is a guest."""
    need("nginx", "curl")
    tmp_path.chmod(0o755)
    with Stack(net, "--profile", "public", "--port", "127.0.0.1:8090=80"):
        early = [net.start(net.host, "curl", "-sS", "-m", "30", "http://127.0.0.1:8090/hi", stdout=subprocess.PIPE)
                 for _ in range(20)]
        time.sleep(2)
        assert all(p.poll() is None for p in early)
        server = Nginx(net, tmp_path)
        try:
            for p in early:
                out, _ = p.communicate(timeout=20)
                assert out == b"hi"
        finally:
            server.stop()


def test_clients_are_judged(net, tmp_path):
    need("nginx", "curl")
    tmp_path.chmod(0o755)
    rule = f"deny:ingress@{WORLD4}"
    with Stack(net, "--profile", "public", "--rule", rule, *PORTS) as s:
        server = Nginx(net, tmp_path)
        try:
            assert curl(net, "http://127.0.0.1:8080/hi").stdout == b"hi"
            r = curl(net, f"http://{HOST4}:8081/hi", "--interface", WORLD4, ns=net.world)
            assert r.returncode in (7, 52, 56), r
            assert s.stats()["denied"] == 1
        finally:
            server.stop()


def test_a_server_that_does_not_accept_does_not_keep_others_out(net, nginx):
    """Its queue is full, so the guest drops what comes: those clients wait, those of another port do not notice."""
    def ask():
        start = time.monotonic()
        for _ in range(50):
            assert curl(net, "http://127.0.0.1:8080/hi").stdout == b"hi"
        return time.monotonic() - start

    with Stack(net, "--profile", "public", *PORTS) as s:
        alone = ask()
        net.start(net.guest, PYTHON, "-c", textwrap.dedent("""
            import socket, time
            s = socket.create_server(("0.0.0.0", 9000), backlog=1)
            time.sleep(60)
            """))
        net.listening(net.guest, 9000)
        flood = net.start(net.host, PYTHON, "-c", textwrap.dedent("""
            import socket, time
            c = [socket.create_connection(("127.0.0.1", 9000)) for _ in range(600)]
            print("there", flush=True)
            time.sleep(60)
            """), stdout=subprocess.PIPE)
        assert flood.stdout.readline() == b"there\n"
        time.sleep(1)
        assert ask() < 5 + 5 * alone  # whose first segment is dropped waits for a second
        assert s.stats()["open"] < 300
        flood.kill()
        flood.wait()
