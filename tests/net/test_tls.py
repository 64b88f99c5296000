"""Flows that go through msb-tls: the stack on a TAP, the real helper, real clients and servers. What the helper makes of
them is tests/tls; here it is that all of it gets there, and what happens where it does not."""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from netns import BUILD, GATEWAY4, PUBLIC4, SPOOLS, WORLD4, Stack, need, wait_until
from web import PYTHON, python

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tls"))

import bridge  # noqa: E402

API, OTHER = "api.test", "other.test"
VALUE = "the-real-value-9f3c"
SIZE = 200 << 20
PROXY, MANY = 3128, 9443

# Answers a request with what it said; /data is the file.
SERVER = """
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def answer(self, data):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        if self.path == "/data":
            self.answer(open(sys.argv[5], "rb").read())
        else:
            self.answer((self.requestline + "\\n" + str(self.headers)).encode())
    def do_POST(self):
        import hashlib
        left, h = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            d = self.rfile.read(min(left, 1 << 20))
            h.update(d)
            left -= len(d)
        self.answer(h.hexdigest().encode())
s = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), H)
if sys.argv[3] != "-":
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(sys.argv[3], sys.argv[4])
    s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
"""
SPEAKS_FIRST = """
import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    c = s.accept()[0]
    c.sendall(b"220 hello\\r\\n")
    c.sendall(c.recv(100).upper())
    c.close()
"""


NGINX = """daemon off; master_process off; pid {tmp}/npid; error_log {tmp}/nerror;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp}; uwsgi_temp_path {tmp};
  scgi_temp_path {tmp};
  server {{ listen {address}:{port} ssl backlog=1024; ssl_certificate {tmp}/cert; ssl_certificate_key {tmp}/key;
    location / {{ return 200 "$request_uri $http_x;"; }} }} }}
"""


class Link(bridge.Helper):
    """Its link is the stack's: nobody reads it here."""

    def _read_link(self):
        pass

    def wait_config(self, n, timeout=10):
        pass


def certificates(tmp):
    run = lambda *w: subprocess.run(["openssl", *map(str, w)], check=True, capture_output=True)  # noqa: E731
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    run("req", "-x509", *new, "-keyout", tmp / "cakey", "-out", tmp / "ca", "-subj", "/CN=CA", "-addext",
        "keyUsage=critical,keyCertSign")
    run("req", *new, "-keyout", tmp / "key", "-out", tmp / "req", "-subj", "/CN=x")
    (tmp / "ext").write_text(f"subjectAltName=DNS:{API},DNS:{OTHER},IP:{PUBLIC4}\n")
    run("x509", "-req", "-in", tmp / "req", "-CA", tmp / "ca", "-CAkey", tmp / "cakey", "-CAcreateserial", "-days", 30,
        "-extfile", tmp / "ext", "-out", tmp / "cert")


@pytest.fixture(scope="module")
def world(net, tmp_path_factory):
    """HTTPS at 443 (and, of nginx, at MANY), HTTP at 80, a server that speaks first at 8443, names for all of them."""
    need("openssl", "curl", "dnsmasq", "tinyproxy", "nginx")
    if not (BUILD / "msb-tls").exists():
        pytest.skip("no msb-tls in this build")
    net.tmp = tmp_path_factory.mktemp("tls")
    certificates(net.tmp)
    (net.tmp / "data").write_bytes(os.urandom(SIZE))
    net.digest = hashlib.sha256((net.tmp / "data").read_bytes()).hexdigest()
    for port, cert in ((443, net.tmp / "cert"), (80, "-")):
        net.start(net.world, PYTHON, "-c", SERVER, PUBLIC4, port, cert, net.tmp / "key", net.tmp / "data")
    net.start(net.world, PYTHON, "-c", SPEAKS_FIRST, PUBLIC4, 8443)
    (net.tmp / "nginx.conf").write_text(NGINX.format(tmp=net.tmp, address=PUBLIC4, port=MANY))
    net.start(net.world, "nginx", "-c", net.tmp / "nginx.conf", "-e", net.tmp / "nerror")
    net.start(net.world, "dnsmasq", "--no-daemon", "--no-hosts", "--no-resolv", "--conf-file=/dev/null",
              "--listen-address", WORLD4, "--bind-interfaces", "--port", "5300", f"--address=/test/{PUBLIC4}")
    (net.tmp / "tinyproxy.conf").write_text(f"Port {PROXY}\nListen 127.0.0.1\nMaxClients 100\nPidFile \"{net.tmp}/pid\"\n")
    spool = pathlib.Path(SPOOLS, net.host)  # proxies look names up by themselves
    spool.mkdir(parents=True, exist_ok=True)
    (spool / "hosts").write_text(f"{PUBLIC4} {API} {OTHER}\n")
    net.start(net.host, "tinyproxy", "-d", "-c", net.tmp / "tinyproxy.conf")
    for port in (443, 80, 8443, MANY):
        net.listening(net.world, port)
    net.listening(net.world, 5300, "udp")
    net.listening(net.host, PROXY)
    yield net
    shutil.rmtree(spool)


class Both:
    """A helper and a stack, and the guest's clients."""

    def __init__(self, world, *options, profile="public,host", **kw):
        kw.setdefault("secrets", [dict(name="KEY", value=VALUE, hosts=[API])])
        self.world = world
        self.helper = Link(roots=(world.tmp / "ca").read_text(), **kw)
        self.key = self.helper.placeholders.get("KEY")
        self.stack = Stack(world, "--dns", f"{WORLD4}:5300", "--profile", profile, *options, tls=self.helper.link)
        both = world.tmp / "both.pem"
        both.write_text((world.tmp / "ca").read_text() + self.helper.ca)
        self.cas = both

    def __enter__(self):
        self.stack.__enter__()
        return self

    def __exit__(self, *args):
        try:
            self.stack.__exit__(*args)
        finally:
            with contextlib.suppress(OSError):
                self.helper.stop()

    def curl(self, url, *options):
        return self.stack.guest("curl", "-sS", "-m", "60", "--cacert", self.cas, *options, url, text=True)

    def said(self, what):
        """A line that was told to the user."""
        return wait_until(lambda: re.search(rf"^said: .*{what}.*$", self.stack.log_text(), re.M), 20,
                          f"not said: {what}")


@pytest.fixture
def both(world):
    with Both(world) as b:
        yield b


def test_a_value_takes_the_placeholder_s_place(both):
    r = both.curl(f"https://{API}/", "-H", f"Authorization: Bearer {both.key}")
    assert r.returncode == 0, r.stderr
    assert VALUE in r.stdout and both.key not in r.stdout
    stats = both.stack.stats()
    assert stats["tls_flows"] == 1
    wait_until(lambda: both.stack.stats()["secrets_used"] == 1)


def test_other_names_are_not_touched(both):
    before = both.stack.stats()["tls_flows"]
    r = both.stack.guest("curl", "-sS", "-m", "20", "--cacert", both.world.tmp / "ca", "-H", f"X: {both.key}",
                         f"https://{OTHER}/", text=True)
    assert r.returncode == 0, r.stderr
    assert both.key in r.stdout
    assert both.stack.stats()["tls_flows"] == before


def test_an_address_that_was_typed_in_gets_no_value(both):
    """It has no pin; once the name was asked for it has."""
    request = ["-H", f"X: {both.key}", f"https://{API}/"]
    r = both.curl(request[2], *request[:2], "--resolve", f"{API}:443:{PUBLIC4}")
    assert VALUE not in r.stdout
    wait_until(lambda: both.stack.stats()["secret_violations"] == 1)
    r = both.curl(request[2], *request[:2])
    assert VALUE in r.stdout, r


def test_through_a_proxy_of_the_guest(both):
    used = both.stack.stats()["secrets_used"]
    proxy = f"http://{GATEWAY4}:{PROXY}"
    r = both.curl(f"https://{API}/", "-x", proxy, "-H", f"X-Key: {both.key}")
    assert r.returncode == 0, r.stderr
    assert VALUE in r.stdout
    wait_until(lambda: both.stack.stats()["secrets_used"] == used + 1)


@pytest.mark.parametrize("way", ["down", "up"])
def test_bulk_passes_whole(both, way):
    begin = time.monotonic()
    if way == "down":
        r = both.curl(f"https://{API}/data", "-o", both.world.tmp / "got")
        assert r.returncode == 0, r.stderr
        assert hashlib.sha256((both.world.tmp / "got").read_bytes()).hexdigest() == both.world.digest
    else:
        r = both.curl(f"https://{API}/", "-X", "POST", "-H", "Expect:", "-T", both.world.tmp / "data")
        assert r.stdout == both.world.digest, r.stderr
    print(f"{way}: {SIZE / (time.monotonic() - begin) / 1e6:.0f} MB/s")


def test_clear_text_with_a_placeholder_is_reset(both):
    before = both.stack.stats()["secret_violations"]
    r = both.curl(f"http://{API}/?key={both.key}")
    assert r.returncode != 0 and "reset" in r.stderr, r
    assert both.stack.stats()["secret_violations"] == before + 1
    both.said(f"secret KEY: its placeholder was sent in clear text to {PUBLIC4}:80 .*blocked")
    r = both.curl(f"http://{API}/?key=nothing")
    assert r.returncode == 0, r.stderr


def test_who_speaks_first_is_heard_at_once(world):
    with Both(world, all=True, ports=[443, 8443]) as b:
        out = python(b.world, b.world.guest, f"""
            begin = time.monotonic()
            s = socket.create_connection(("{PUBLIC4}", 8443), 5)
            s.settimeout(5)
            assert s.recv(100) == b"220 hello\\r\\n"
            s.sendall(b"\\x00ehlo")
            print(s.recv(100), time.monotonic() - begin)
        """)
        answer, seconds = out.split()
        assert answer == r"b'\x00EHLO'"
        assert float(seconds) < 1


def test_quic_is_refused_at_once(both):
    out = python(both.world, both.world.guest, f"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(5)
        s.connect(("{PUBLIC4}", 443))
        s.send(b"x")
        try:
            s.recv(9)
        except OSError as e:
            print(type(e).__name__)
    """)
    assert out.strip() == "ConnectionRefusedError"


def test_many_at_once(world):
    """More than the link holds, each with its own answer and the value in it."""
    with Both(world, ports=[443, MANY]) as b:
        urls = [w for i in range(1000) for w in (f"https://{API}:{MANY}/{i}", "-o", "-")]
        r = b.stack.guest("curl", "-sS", "-m", "100", "--cacert", b.cas, "-Z", "--parallel-immediate", "--parallel-max", "200",
                          "--http1.1", "-H", "Connection: close", "-H", f"X: {b.key}", *urls, text=True, timeout=120)
        assert r.returncode == 0, r.stderr[-500:]
        assert all(f"/{i} {VALUE};" in r.stdout for i in range(1000))
        assert b.stack.stats()["tls_flows"] == 1000
        wait_until(lambda: b.stack.stats()["secrets_used"] == 1000)
        wait_until(lambda: b.stack.stats()["open"] == 0)


def test_through_the_user_s_proxy(world):
    need("microsocks")
    socks = world.start(world.host, "microsocks", "-i", "127.0.0.1", "-p", "1081")
    world.listening(world.host, 1081)
    with Both(world, "--proxy", "socks5,127.0.0.1:1081") as b:
        r = b.curl(f"https://{API}/", "-H", f"X: {b.key}")
        assert r.returncode == 0, r.stderr
        assert VALUE in r.stdout
    socks.kill()


def test_without_the_helper_it_is_refused(world):
    with Both(world) as b:
        assert b.curl(f"https://{API}/").returncode == 0
        os.kill(b.helper.pid, signal.SIGKILL)
        b.said("msb-tls has ended")
        r = b.curl(f"https://{API}/", "-H", f"X: {b.key}")
        assert r.returncode != 0 and b.key not in r.stdout
        b.said(f"refused: tls to {PUBLIC4} port 443 named {API}: msb-tls has ended")
        # Others are not in need of it.
        r = b.stack.guest("curl", "-sS", "-m", "20", "--cacert", world.tmp / "ca", f"https://{OTHER}/", text=True)
        assert r.returncode == 0, r.stderr
        r = b.curl(f"http://{API}/?{b.key}")
        assert r.returncode != 0
        assert b.stack.stats()["secret_violations"] == 1


def test_a_violation_may_end_the_machine(world):
    with Both(world, secrets=[dict(name="KEY", value=VALUE, hosts=[API], violation="block-and-terminate")]) as b:
        assert b.curl(f"http://{OTHER}/?{b.key}").returncode != 0
        wait_until(lambda: "violated: secret KEY" in b.stack.log_text())
