"""1 GiB each way, with its digest taken at both ends."""
import subprocess
import sys
import textwrap

import pytest

from netns import GATEWAY4, GATEWAY6, Stack, wait_until

BYTES = 1 << 30
PORT = 9100
# An end: connects or listens, sends or receives, prints the digest of what went through.
END = textwrap.dedent("""
    import hashlib, os, socket, sys
    role, way, host, port, count = sys.argv[1:]
    count = int(count)
    if role == "listen":
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server((host, int(port)), family=family)
        print("ready", flush=True)
        s, _ = server.accept()
    else:
        s = socket.create_connection((host, int(port)), 20)
    s.settimeout(60)
    digest, n = hashlib.sha256(), 0
    if way == "send":
        block = os.urandom((1 << 20) + 7)  # pieces of no round length
        while n < count:
            piece = block[:count - n]
            s.sendall(piece)
            digest.update(piece)
            n += len(piece)
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""
    else:
        while data := s.recv(1 << 18):
            digest.update(data)
            n += len(data)
    print(n, digest.hexdigest())
""")


@pytest.mark.parametrize("way", ["send", "receive"])
@pytest.mark.parametrize("local, gateway", [("127.0.0.1", GATEWAY4), ("::1", GATEWAY6)])
def test_a_gibibyte_arrives_as_it_was_sent(net, local, gateway, way):
    """@way: what the guest does."""
    other = {"send": "receive", "receive": "send"}[way]
    with Stack(net, "--profile", "all") as stack:
        server = net.start(net.host, sys.executable, "-c", END, "listen", other, local, PORT, BYTES, stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"ready\n"
        r = stack.guest(sys.executable, "-c", END, "connect", way, gateway, PORT, BYTES, timeout=400, text=True)
        assert r.returncode == 0, r.stderr
        assert server.wait(60) == 0
        assert r.stdout.split() == server.stdout.read().decode().split()
        assert int(r.stdout.split()[0]) == BYTES
        wait_until(lambda: stack.stats()["open"] == 0)
