"""The host's dials through real proxies: dante, microsocks, ssh -D, tinyproxy. They run in the host's namespace, and
only they may reach the world: what arrives there came through them."""
import hashlib
import os
import pathlib
import socket
import struct
import subprocess
import textwrap
import threading
import time

import pytest

from netns import GATEWAY4, PUBLIC4, PUBLIC6, Stack, need, wait_until
from web import PYTHON, python

WEB = 18080
GREETING = 18025
CLOSED = 18999
SIZE = 20 << 20

# Says hello first, and then what it was sent, in upper case.
SPEAKS_FIRST = """
import socket, sys, threading
def serve(c):
    c.sendall(b"220 hello\\r\\n")
    while d := c.recv(4096):
        c.sendall(d.upper())
    c.close()
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""


@pytest.fixture(scope="module")
def world(net, tmp_path_factory):
    """A web server, and one that speaks first, at public addresses."""
    root = tmp_path_factory.mktemp("www")
    (root / "data").write_bytes(os.urandom(SIZE))
    for a in (PUBLIC4, PUBLIC6):
        net.start(net.world, PYTHON, "-m", "http.server", "-b", a, "-d", root, WEB)
        net.start(net.world, PYTHON, "-c", SPEAKS_FIRST, a, GREETING)
    net.listening(net.world, WEB)
    net.listening(net.world, GREETING)
    net.digest = hashlib.sha256((root / "data").read_bytes()).hexdigest()
    return net


def stop(p):
    p.terminate()
    try:
        p.wait(5)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()


def microsocks(net, tmp_path, port, user=None):
    need("microsocks")
    return net.start(net.host, "microsocks", "-i", "127.0.0.1", "-p", port, *(["-u", user, "-P", "secret"] if user else []))


def dante(net, tmp_path, port, user=None):
    need("danted")
    conf = tmp_path / "danted.conf"
    conf.write_text(f"""logoutput: {tmp_path}/dante.log
internal: 127.0.0.1 port = {port}
external: out0
socksmethod: none
clientmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 0/0 to: 0/0 }}
socks pass {{ from: 0/0 to: 0/0 }}
""")
    return net.start(net.host, "danted", "-f", conf, "-p", tmp_path / "dante.pid")


def tinyproxy(net, tmp_path, port, user=None):
    need("tinyproxy")
    conf = tmp_path / "tinyproxy.conf"
    conf.write_text(f"""Port {port}
Listen 127.0.0.1
LogFile "{tmp_path}/tinyproxy.log"
PidFile "{tmp_path}/tinyproxy.pid"
MaxClients 200
DisableViaHeader Yes
""" + (f"BasicAuth {user} secret\n" if user else ""))
    return net.start(net.host, "tinyproxy", "-d", "-c", conf)


PROXIES = {
    "socks5-microsocks": ("socks5", microsocks, None),
    "socks5-password": ("socks5", microsocks, "me"),
    "socks5-dante": ("socks5", dante, None),
    "socks4-dante": ("socks4", dante, None),
    "connect-tinyproxy": ("connect", tinyproxy, None),
    "connect-password": ("connect", tinyproxy, "me"),
}


class Proxied:
    def __init__(self, net, tmp_path, name, port=1080):
        self.kind, run, user = PROXIES[name]
        self.p = run(net, tmp_path, port, user)
        net.listening(net.host, port)
        self.option = f"{self.kind},127.0.0.1:{port}" + (f",{user},secret" if user else "")


@pytest.fixture(scope="class", params=list(PROXIES))
def through(world, tmp_path_factory, request):
    p = Proxied(world, tmp_path_factory.mktemp("proxy"), request.param)
    with Stack(world, "--profile", "public,host", "--proxy", p.option) as s:
        s.proxy = p
        yield s
    stop(p.p)


class TestThrough:
    def test_a_download_arrives_whole(self, world, through):
        r = through.guest("curl", "-sS", "-m", "30", f"http://{PUBLIC4}:{WEB}/data")
        assert r.returncode == 0, r.stderr
        assert hashlib.sha256(r.stdout).hexdigest() == world.digest

    def test_ipv6_by_those_who_know_it(self, world, through):
        if through.proxy.kind == "socks4":
            r = through.guest("curl", "-sS", "-g", "-m", "30", f"http://[{PUBLIC6}]:{WEB}/data")
            assert r.returncode == 7, r  # it has no words for it
            return
        r = through.guest("curl", "-sS", "-g", "-m", "30", f"http://[{PUBLIC6}]:{WEB}/data")
        assert r.returncode == 0, r.stderr
        assert hashlib.sha256(r.stdout).hexdigest() == world.digest

    def test_a_server_that_speaks_first_is_heard_whole(self, world, through):
        """What comes right behind the proxy's answer is the peer's, to the byte."""
        out = python(world, world.guest, f"""
            for _ in range(50):
                s = socket.create_connection(("{PUBLIC4}", {GREETING}), 10)
                got = b""
                while len(got) < 11:
                    got += s.recv(100)
                assert got == b"220 hello\\r\\n", got
                s.sendall(b"quit")
                assert s.recv(4, socket.MSG_WAITALL) == b"QUIT"
                s.shutdown(socket.SHUT_WR)
                assert s.recv(1) == b""
            print("all")
            """)
        assert out == "all\n"

    def test_a_closed_port_is_refused(self, world, through):
        out = python(world, world.guest, f"""
            start = time.monotonic()
            try:
                socket.create_connection(("{PUBLIC4}", {CLOSED}), 10)
                print("connected")
            except OSError as e:
                print(type(e).__name__, time.monotonic() - start < 5)
            """)
        assert out == "ConnectionRefusedError True\n"

    def test_the_host_itself_is_reached_without_it(self, world, through):
        """host was allowed; the proxy's own loopback is another matter."""
        server = world.start(world.host, PYTHON, "-c", textwrap.dedent(f"""
            import socket
            c, peer = socket.create_server(("127.0.0.1", {CLOSED})).accept()
            c.sendall(b"host")
            """))
        world.listening(world.host, CLOSED)
        assert python(world, world.guest, f"""
            print(socket.create_connection(("{GATEWAY4}", {CLOSED}), 5).recv(4, socket.MSG_WAITALL))
            """) == "b'host'\n"
        server.wait(5)

    def test_policy_comes_before_the_proxy(self, world, through):
        r = through.guest("curl", "-sS", "-m", "5", f"http://169.254.169.254:{WEB}/data")
        assert r.returncode == 7, r
        assert through.stats()["denied"] >= 1


def test_ssh_dynamic_forwarding(world, tmp_path):
    """ssh -D, to a server of this test's own."""
    need("ssh", "ssh-keygen")
    if not pathlib.Path("/usr/sbin/sshd").exists():
        pytest.skip("no sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "keys").write_bytes((tmp_path / "user.pub").read_bytes())
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    (tmp_path / "conf").write_text(f"""Port 2222
ListenAddress 127.0.0.1
HostKey {tmp_path}/host
AuthorizedKeysFile {tmp_path}/keys
PidFile {tmp_path}/pid
StrictModes no
UsePAM no
PermitRootLogin yes
""")
    server = world.start(world.host, "/usr/sbin/sshd", "-D", "-f", tmp_path / "conf")
    world.listening(world.host, 2222)
    client = world.start(world.host, "ssh", "-N", "-D", "127.0.0.1:1081", "-p", "2222", "-i", tmp_path / "user",
                         "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-F", "none", "127.0.0.1")
    try:
        world.listening(world.host, 1081)
        for kind in ("socks4", "socks5"):
            with Stack(world, "--profile", "public", "--proxy", f"{kind},127.0.0.1:1081") as s:
                r = s.guest("curl", "-sS", "-m", "30", f"http://{PUBLIC4}:{WEB}/data")
                assert hashlib.sha256(r.stdout).hexdigest() == world.digest, (kind, r.stderr)
    finally:
        stop(client)
        stop(server)


@pytest.mark.parametrize("name", ["socks5-password", "connect-password"])
def test_a_wrong_password_is_told_in_the_log(world, tmp_path, name):
    p = Proxied(world, tmp_path, name)
    try:
        with Stack(world, "--profile", "public", "--proxy", p.option.replace("secret", "wrong")) as s:
            r = s.guest("curl", "-sS", "-m", "10", f"http://{PUBLIC4}:{WEB}/data")
            assert r.returncode != 0
            assert "the proxy refuses: user name or password" in s.log_text()
            assert "wrong" not in s.log_text()
    finally:
        stop(p.p)


def test_a_proxy_that_is_not_there_refuses(world):
    with Stack(world, "--profile", "public", "--proxy", "socks5,127.0.0.1:1089") as s:
        r = s.guest("curl", "-sS", "-m", "10", f"http://{PUBLIC4}:{WEB}/data")
        assert r.returncode == 7, r
        assert "the proxy: Connection refused" in s.log_text()


class Names:
    """A name server with one answer, and a SOCKS5 proxy that notes what it is asked for."""
    CODE = textwrap.dedent(f"""
        import socket, struct, sys, threading
        def dns():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.0.0.1", 5353))
            while True:
                q, a = s.recvfrom(512)
                kind = q[-4:-2] if q[10:12] == b"\\0\\0" else None
                end = q.index(b"\\0", 12) + 5
                is_a = q[end - 4:end - 2] == b"\\0\\1"
                head = q[:2] + b"\\x81\\x80\\0\\1" + struct.pack(">H", is_a) + b"\\0\\0\\0\\0" + q[12:end]
                s.sendto(head + (b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + socket.inet_aton("{PUBLIC4}") if is_a else b""), a)
        threading.Thread(target=dns, daemon=True).start()
        l = socket.create_server(("127.0.0.1", 1082))
        print("ready", flush=True)
        while True:
            c, _ = l.accept()
            c.recv(3)
            c.sendall(b"\\5\\0")
            print(c.recv(300).hex(), flush=True)
            c.sendall(b"\\5\\5\\0\\1\\0\\0\\0\\0\\0\\0")
            c.close()
        """)


def test_a_name_that_the_guest_resolved_goes_to_the_proxy(world):
    p = world.start(world.host, PYTHON, "-c", Names.CODE, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"ready\n"
    try:
        with Stack(world, "--profile", "public", "--dns", "127.0.0.1:5353", "--proxy", "socks5,127.0.0.1:1082") as s:
            r = s.guest("curl", "-sS", "-m", "10", f"http://some.example.com:{WEB}/")
            assert r.returncode == 7, r
            asked = bytes.fromhex(p.stdout.readline().decode())
            assert asked == b"\5\1\0\3\x10some.example.com" + struct.pack(">H", WEB)
            s.guest("curl", "-sS", "-m", "10", f"http://203.0.114.1:{WEB}/")
            asked = bytes.fromhex(p.stdout.readline().decode())
            assert asked == b"\5\1\0\1" + socket.inet_aton("203.0.114.1") + struct.pack(">H", WEB)
    finally:
        stop(p)


def test_the_world_sees_the_proxy_and_no_other(world, tmp_path):
    """With the stack's own way out closed, flows go on."""
    p = Proxied(world, tmp_path, "socks5-microsocks")
    try:
        with Stack(world, "--profile", "public", "--proxy", p.option) as s:
            seen, over = [], threading.Event()

            def watch():
                while not over.is_set():
                    out = world.run(world.host, "ss", "-tnpH", "dst", PUBLIC4, text=True).stdout
                    seen.extend(out.splitlines())
                    time.sleep(0.02)
            t = threading.Thread(target=watch)
            t.start()
            r = s.guest("curl", "-sS", "-m", "30", "--limit-rate", "40M", f"http://{PUBLIC4}:{WEB}/data")
            over.set()
            t.join()
            assert hashlib.sha256(r.stdout).hexdigest() == world.digest
            assert seen and all("microsocks" in line for line in seen if "users:" in line)
            wait_until(lambda: s.stats()["open"] == 0)
    finally:
        stop(p.p)
