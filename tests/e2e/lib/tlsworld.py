"""Servers that speak TLS, with an authority of their own, where a machine's network takes them for the internet.

    host   where msb runs; 10.99.1.1; its route for everything leads to
    world  10.99.1.2 (name server, proxy), and public addresses:
           ECHO   Node.js, HTTP/1.1 and HTTP/2 (echo.js), at port 443: *.allowed.test, evil.test, other.test ...
           NGINX  nginx, HTTP/1.1 and HTTP/2: web.allowed.test
           RAW    Python, HTTP/1.1, each connection's bytes are written down: raw.allowed.test; its certificate may be
                  one that nobody should take; also clear text at 80 and 8080, and TLS at 8443

Each a network namespace. Needs root.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time

from .cli import Cli, die_with_parent, wait_until

HERE = pathlib.Path(__file__).parent
CLONE_NEWNET = 0x40000000
NEAR, FAR = "10.99.1.1", "10.99.1.2"
ECHO, NGINX, RAW, NOBODY = "93.184.216.34", "93.184.216.35", "93.184.216.36", "93.184.216.37"
NAMES = {"web.allowed.test": NGINX, "raw.allowed.test": RAW, "expired.allowed.test": RAW, "own.allowed.test": RAW,
         "wrong.allowed.test": RAW, "noverify.allowed.test": RAW, "nobody.allowed.test": NOBODY, "moved.allowed.test": ECHO}
SUFFIXES = (".allowed.test", ".evil.test", ".other.test")  # all else below them is at ECHO
DNS_PORT, PROXY_PORT = 53, 3128


def why_not():
    """Why there cannot be such a world here, or None."""
    if os.getuid():
        return "network namespaces need root"
    missing = [p for p in ("ip", "openssl", "nginx", "node", "tinyproxy") if not shutil.which(p)]
    return f"not installed: {', '.join(missing)}" if missing else None


def setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


class Space:
    """A network namespace; sockets made in `with space:` are of it, programs started there run in it."""

    def __init__(self, name):
        self.name = name
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        self.fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        setns(self.fd)
        return self

    def __exit__(self, *_):
        setns(self.before)
        os.close(self.before)

    def close(self):
        os.close(self.fd)
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL)


class SpaceCli(Cli):
    """msb, in a namespace."""

    def __init__(self, build, home, space, **env):
        super().__init__(build, home, **env)
        self.space = space

    def __call__(self, *args, **kw):
        with self.space:
            return super().__call__(*args, **kw)

    def popen(self, *args, **kw):
        with self.space:
            return super().popen(*args, **kw)


# ---- certificates -----------------------------------------------------------

class Authority:
    """ca.pem, and what it signed: NAME.pem and NAME.key."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=The test's authority")
        self.pem = folder / "ca.pem"

    def openssl(self, *words, **kw):
        r = subprocess.run(["openssl", *map(str, words)], cwd=self.folder, capture_output=True, text=True, **kw)
        assert r.returncode == 0, r.stderr

    def sign(self, name, hosts, *options, own=False):
        """@options: of `openssl x509`, such as -days; own: nobody else's signature."""
        sans = ",".join((f"IP:{h}" if h[0].isdigit() else f"DNS:{h}") for h in hosts)
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={sans}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                     "-out", f"{name}.csr", "-subj", f"/CN={hosts[0]}")
        signer = ["-signkey", f"{name}.key"] if own else ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self.openssl("x509", "-req", "-in", f"{name}.csr", *signer, *(options or ("-days", "20")), "-extfile", f"{name}.ext",
                     "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def expired(self, name, hosts):
        """`openssl x509` cannot begin in the past: its `ca` can."""
        (self.folder / "db").write_text("")
        (self.folder / "ca.conf").write_text(
            "[ca]\ndefault_ca=c\n[c]\ndatabase=db\nnew_certs_dir=.\nserial=db.serial\ndefault_md=sha256\npolicy=p\n"
            "[p]\ncommonName=supplied\n")
        (self.folder / "db.serial").write_text("7001\n")
        pem, key = self.sign(name, hosts)
        self.openssl("ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr",
                     "-out", f"{name}.pem", "-extfile", f"{name}.ext", "-startdate", "20200101000000Z", "-enddate",
                     "20200201000000Z", "-notext")
        return pem, key


# ---- servers ----------------------------------------------------------------

class NameServer(socketserver.BaseRequestHandler):
    def handle(self):
        q, sock = self.request
        labels, i = [], 12
        while q[i]:
            labels.append(q[i + 1:i + 1 + q[i]].decode().lower())
            i += 1 + q[i]
        name, kind = ".".join(labels), struct.unpack(">H", q[i + 1:i + 3])[0]
        address = self.server.names.get(name) or (ECHO if f".{name}".endswith(SUFFIXES) else None)
        found = address and kind == 1
        head = q[:2] + struct.pack(">HHHHH", 0x8180 if address else 0x8183, 1, bool(found), 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, self.server.ttl, 4) + socket.inet_aton(address) if found else b""
        sock.sendto(head + q[12:i + 5] + answer, self.client_address)


class RawHandler(socketserver.BaseRequestHandler):
    """Writes down what comes; the path says what is answered."""

    def setup(self):
        self.data = b""
        if self.server.tls:
            self.request.settimeout(20)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.request.settimeout(60)

    def read_head(self):
        while b"\r\n\r\n" not in self.data:
            got = self.request.recv(65536)
            if not got:
                return None
            self.data += got
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        return head + b"\r\n\r\n"

    def handle(self):
        while head := self.read_head():
            entry = {"port": self.server.server_address[1], "head": head, "body": b""}
            self.server.seen.append(entry)
            words = head.split(b"\r\n", 1)[0].split(b" ")
            path = words[1].decode("latin1")
            if path.startswith("/ws"):
                return self.websocket(entry)
            if path.startswith("/events"):
                return self.events()
            length = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            while length and len(self.data) < int(length[0]):
                got = self.request.recv(65536)
                if not got:
                    return None
                self.data += got
            n = int(length[0]) if length else 0
            entry["body"], self.data = self.data[:n], self.data[n:]
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")
        return None

    def websocket(self, entry):
        """After 101 the bytes come back as they are."""
        self.request.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while True:
            got = self.data or self.request.recv(65536)
            self.data = b""
            if not got:
                return
            entry["body"] += got
            self.request.sendall(got)

    def events(self):
        """Five, a second between them, each with the time."""
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for i in range(5):
            self.request.sendall(b"data: %d %.3f\n\n" % (i, time.time()))
            time.sleep(1)


class RawServer(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address, seen, tls=None):
        self.seen, self.tls = seen, tls
        super().__init__(address, RawHandler)

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what some of the tests are about."""


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


NGINX_CONF = """
daemon off; pid nginx.pid; error_log stderr crit; master_process off;
events {{ worker_connections 256; }}
http {{
  log_format git '$server_protocol $request_uri [$http_authorization]';
  access_log off; client_max_body_size 0; sendfile on;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {{
    listen {NGINX}:443 ssl http2;
    ssl_certificate {pem}; ssl_certificate_key {key};
    location /file/ {{ alias {folder}/; }}
    location /repo/ {{ alias {folder}/repo/; access_log {folder}/git.log git; }}
    location /private/ {{
      access_log {folder}/git.log git; add_header WWW-Authenticate 'Basic realm="t"' always;
      if ($http_authorization = "") {{ return 401; }}
      alias {folder}/repo/;
    }}
    location / {{ access_log {folder}/git.log git; return 200 "ok\\n"; }}
  }}
}}
"""

TINYPROXY_CONF = """
Port {PROXY_PORT}
Listen {FAR}
Timeout 60
LogFile "{folder}/tinyproxy.log"
LogLevel Connect
MaxClients 20
ConnectPort 443
"""


class World:
    def __init__(self, folder, tag="tls"):
        self.folder = folder
        self.stack = contextlib.ExitStack()
        self.log = folder / "echo.log"
        self.log.write_text("")
        self.seen = []  # of RAW
        self.host, self.world = (Space(f"msb-{tag}-{part}") for part in ("h", "w"))
        self.stack.callback(self.host.close)
        self.stack.callback(self.world.close)
        try:
            self.wire()
            self.serve()
        except BaseException:
            self.close()
            raise

    def wire(self):
        ip("-n", self.host.name, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", self.world.name)
        ip("-n", self.host.name, "addr", "add", f"{NEAR}/24", "dev", "out0")
        ip("-n", self.world.name, "addr", "add", f"{FAR}/24", "dev", "in0")
        for a in (ECHO, NGINX, RAW, NOBODY):
            ip("-n", self.world.name, "addr", "add", f"{a}/32", "dev", "lo")
        for ns, dev in ((self.host.name, "out0"), (self.world.name, "in0")):
            ip("-n", ns, "link", "set", dev, "up")
        ip("-n", self.host.name, "route", "add", "default", "via", FAR)

    def start(self, *argv, **kw):
        with self.world:
            p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                 stdout=open(self.folder / "servers.log", "ab"), stderr=subprocess.STDOUT, **kw)
        self.stack.callback(p.wait)
        self.stack.callback(p.kill)
        return p

    def listening(self, address, port):
        def there():
            with contextlib.suppress(OSError), self.world:
                socket.create_connection((address, port), 1).close()
                return True
            return False
        wait_until(there, 20, f"nobody listens at {address} port {port}: " + (self.folder / "servers.log").read_text())

    def serve(self):
        self.ca = Authority(self.folder)
        pem, key = self.ca.sign("main", ["allowed.test", "*.allowed.test", "*.deep.allowed.test", "evil.test", "*.evil.test",
                                         "other.test", "*.other.test", ECHO, RAW])
        self.start("node", HERE / "echo.js", ECHO, 443, key, pem, self.log, self.folder)
        (self.folder / "tmp").mkdir()
        (self.folder / "nginx.conf").write_text(NGINX_CONF.format(NGINX=NGINX, pem=pem, key=key, folder=self.folder))
        self.start("nginx", "-p", self.folder, "-c", self.folder / "nginx.conf")
        self.serve_raw(pem, key)
        self.serve_proxy()
        for a, port in ((ECHO, 443), (NGINX, 443), (FAR, PROXY_PORT)):
            self.listening(a, port)

    def serve_raw(self, pem, key):
        odd = {"expired.allowed.test": self.ca.expired("expired", ["expired.allowed.test"]),
               "own.allowed.test": self.ca.sign("own", ["own.allowed.test"], own=True),
               "noverify.allowed.test": self.ca.sign("noverify", ["noverify.allowed.test"], own=True),
               "wrong.allowed.test": self.ca.sign("wrong", ["something.else.test"])}

        def context(files):
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(*files)
            c.set_alpn_protocols(["http/1.1"])
            return c
        contexts = {name: context(files) for name, files in odd.items()}
        main = context((pem, key))

        def choose(sock, name, _):
            sock.context = contexts.get(name, main)
        main.sni_callback = choose
        with self.world:
            servers = [RawServer((RAW, 443), self.seen, main), RawServer((RAW, 8443), self.seen, main),
                       RawServer((RAW, 80), self.seen), RawServer((RAW, 8080), self.seen)]
            self.dns = socketserver.ThreadingUDPServer((FAR, DNS_PORT), NameServer)
        self.dns.names, self.dns.ttl = dict(NAMES), 60
        for s in [*servers, self.dns]:
            self.stack.enter_context(serving(s))

    def serve_proxy(self):
        """It looks names up itself: in a file that it sees as /etc/hosts."""
        etc = pathlib.Path("/etc/netns", self.world.name)
        etc.mkdir(parents=True, exist_ok=True)
        self.stack.callback(shutil.rmtree, etc)
        hosts = "".join(f"{a} {n}\n" for n, a in {**NAMES, "api.allowed.test": ECHO, "www.evil.test": ECHO}.items())
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        (self.folder / "tinyproxy.conf").write_text(TINYPROXY_CONF.format(PROXY_PORT=PROXY_PORT, FAR=FAR, folder=self.folder))
        self.start("ip", "netns", "exec", self.world.name, "tinyproxy", "-d", "-c", self.folder / "tinyproxy.conf")

    def close(self):
        self.stack.close()

    # ---- what they saw ----

    def requests(self, mark):
        """Those of ECHO with @mark in their path."""
        return [r for r in map(json.loads, self.log.read_text().splitlines()) if mark in r["url"]]

    def raw(self, mark):
        return [e for e in self.seen if mark.encode() in e["head"]]

    def everything(self):
        """All bytes that any server of ours got."""
        raw = b"".join(e["head"] + e["body"] for e in self.seen)
        logs = [self.log] + [p for p in (self.folder / "git.log", self.folder / "tinyproxy.log") if p.exists()]
        return raw + b"".join(p.read_bytes() for p in logs)
