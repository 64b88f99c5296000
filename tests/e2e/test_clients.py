"""Programs as they are, in a machine, against servers of this host: everything goes through the machine's network.

One machine for all of them, made without msb: what is tried is the way from the guest's programs to the host's
sockets and back. The servers listen on the host's loopback, which the guest reaches by its gateway; the name server
that its lookups end at is this test's, too.
"""
import base64
import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import socket
import socketserver
import struct
import subprocess
import tarfile
import threading
import zipfile

import pytest

from conftest import TOP, free_port
from lib.vmm import INITRAMFS, KERNEL, Vmm, network, wait_until

GATEWAY = "172.16.0.1"
PATH = ["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
SECONDS = 300
BIG = int(os.environ.get("MSB_TEST_BIG", 64 << 20))
PUBLIC = "93.184.216.34"  # what our name server says of names; nobody dials it
CLIENTS = 1000


# ---- servers of the host ----------------------------------------------------

class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_PUT(self):
        """Answers with the digest of what came."""
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left:
            data = self.rfile.read(min(left, 1 << 16))
            digest.update(data)
            left -= len(data)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 128


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class NameServer(socketserver.BaseRequestHandler):
    """PUBLIC for each A question; nothing else is there."""

    def handle(self):
        q, sock = self.request
        end = q.index(b"\0", 12) + 5
        is_a = struct.unpack(">H", q[end - 4:end - 2])[0] == 1
        head = q[:2] + struct.pack(">HHHHH", 0x8180, 1, is_a, 0, 0)
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(PUBLIC) if is_a else b""
        sock.sendto(head + q[12:end] + answer, self.client_address)


def half_close(listener):
    """Reads to the end, answers with the count, and ends."""
    while True:
        try:
            c, _ = listener.accept()
        except OSError:
            return
        with c:
            n = 0
            while data := c.recv(1 << 16):
                n += len(data)
            c.sendall(b"%d" % n)


# ---- what they serve --------------------------------------------------------

def debian_package(folder):
    """A repository with one package, by hand: apt wants Packages and the sums in it."""
    tree = folder / "tree/usr/share/msb-hello"
    tree.mkdir(parents=True)
    (tree / "text").write_text("hello from apt\n")
    (folder / "tree/DEBIAN").mkdir()
    control = "Package: msb-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@t>\nDescription: a test\n"
    (folder / "tree/DEBIAN/control").write_text(control)
    repo = folder / "apt"
    repo.mkdir()
    deb = repo / "msb-hello.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder / "tree", deb], check=True,
                   stdout=subprocess.DEVNULL)
    data = deb.read_bytes()
    (repo / "Packages").write_text(f"{control}Filename: ./msb-hello.deb\nSize: {len(data)}\n"
                                   f"SHA256: {hashlib.sha256(data).hexdigest()}\n")


def wheel(folder):
    simple = folder / "simple/msb-hello"
    simple.mkdir(parents=True)
    name = "msb_hello-1.0-py3-none-any.whl"
    with zipfile.ZipFile(simple / name, "w") as z:
        z.writestr("msb_hello.py", "text = 'hello from pip'\n")
        z.writestr("msb_hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: msb-hello\nVersion: 1.0\n")
        z.writestr("msb_hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("msb_hello-1.0.dist-info/RECORD", "")
    (simple / "index.html").write_text(f'<a href="{name}">{name}</a>')


def npm_package(folder, base):
    """A registry: the package's document under its name, and the archive that it names."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as t:
        for name, text in (("package.json", '{"name": "msb-hello", "version": "1.0.0", "main": "index.js"}'),
                           ("index.js", "module.exports = 'hello from npm'\n")):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    (folder / "npm").mkdir()
    (folder / "npm/msb-hello-1.0.0.tgz").write_bytes(data.getvalue())
    sha512 = base64.b64encode(hashlib.sha512(data.getvalue()).digest()).decode()
    dist = {"tarball": f"{base}/npm/msb-hello-1.0.0.tgz", "integrity": f"sha512-{sha512}"}
    (folder / "msb-hello").write_text(json.dumps({
        "name": "msb-hello", "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {"name": "msb-hello", "version": "1.0.0", "dist": dist}}}))


def repository(folder):
    work = folder / "work"
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t",
           "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
    work.mkdir()
    for i in range(50):
        (work / f"file-{i}").write_bytes(os.urandom(2000))

    def git(*words):
        subprocess.run(["git", *words], cwd=work, env=env, check=True, stdout=subprocess.DEVNULL)
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    git("clone", "-q", "--bare", work, folder / "repo.git")
    subprocess.run(["git", "update-server-info"], cwd=folder / "repo.git", check=True)
    return work


@pytest.fixture(scope="module")
def image():
    if not shutil.which("mmdebstrap") or os.getuid():
        pytest.skip("needs mmdebstrap, and root for device nodes")
    r = subprocess.run([TOP / "tests/images/shares.py"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(r.stdout.strip())


class Machine(Vmm):
    """With one published port: the guest's 80."""

    def __init__(self, *args, listener, **settings):
        self.listener = listener
        super().__init__(*args, **settings)

    def start(self):
        self.config["net"]["ports"] = [{"fd": self.give(os.dup(self.listener.fileno())), "guest": 80, "udp": False}]
        super().start()


class World:
    """The servers, and the machine."""

    def __init__(self, folder, image, stack):
        self.folder = folder
        (folder / "big").write_bytes(os.urandom(1 << 20) * (BIG >> 20))
        self.digest = hashlib.sha256((folder / "big").read_bytes()).hexdigest()
        self.web = stack.enter_context(serving(
            Server(("127.0.0.1", 0), lambda *a: Quiet(*a, directory=str(folder)))))
        self.url = f"http://{GATEWAY}:{self.web}"
        self.dns = stack.enter_context(serving(socketserver.ThreadingUDPServer(("127.0.0.1", 0), NameServer)))
        self.nc = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=half_close, args=[self.nc], daemon=True).start()
        debian_package(folder)
        wheel(folder)
        npm_package(folder, self.url)
        self.repo = repository(folder)
        self.port = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        for name in ("upper-tree/u", "upper-tree/w"):
            (folder / name).mkdir(parents=True)
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", folder / "upper-tree", folder / "upper", "2G"],
                       check=True)
        net = network(profile="all", dns_servers=[f"127.0.0.1:{self.dns}"])
        self.m = Machine(INITRAMFS, [("root", True, image / "share.erofs"), ("upper", False, folder / "upper")],
                         kernel=KERNEL, memory_mib=1024, net=net, listener=self.port)
        stack.callback(self.m.close)
        self.m.ready()

    def run(self, line, seconds=SECONDS):
        s = self.m.run(["/bin/bash", "-c", line], env=PATH)
        s.sock.settimeout(seconds)
        out = b""
        while (got := s.recv())["type"] != "EXITED":
            out += got.get("data", b"")
        s.sock.close()
        code = got["code"] if not got["signo"] else 128 + got["signo"]
        assert code == 0, (line, code, out.decode(errors="replace")[-3000:])
        return out.decode(errors="replace")


@pytest.fixture(scope="module")
def world(image, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    with contextlib.ExitStack() as stack:
        yield World(folder, image, stack)


# ---- the programs -----------------------------------------------------------

def test_curl_and_wget_get_what_there_is(world):
    assert world.digest in world.run(f"curl -sS {world.url}/big | sha256sum")
    assert world.digest in world.run(f"wget -q -O - {world.url}/big | sha256sum")


def test_an_upload_arrives_whole(world):
    world.run(f"curl -sS -o /tmp/big {world.url}/big")
    assert world.digest in world.run(f"curl -sS -T /tmp/big {world.url}/up; rm /tmp/big")


def test_ipv6_reaches_a_server_of_ipv6(world):
    class V6(Server):
        address_family = socket.AF_INET6

    with serving(V6(("::1", 0), lambda *a: Quiet(*a, directory=str(world.folder)))) as port:
        assert world.run(f"curl -sS 'http://[fd42:6d73:62::1]:{port}/msb-hello'").startswith("{")


def test_a_closed_port_is_refused(world):
    out = world.run(f"curl -sS http://{GATEWAY}:1/; echo code $?")
    assert "code 7" in out, out
    assert "refused" in out.lower() or "Failed to connect" in out


def test_requests_and_aiohttp(world):
    assert "200 200" in world.run(f"""python3 - <<'E'
import requests
s = requests.Session()
print(*(s.get("{world.url}/msb-hello").status_code for _ in range(2)))
E""")
    assert "20 ok" in world.run(f"""python3 - <<'E'
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as s:
        async def one():
            async with s.get("{world.url}/msb-hello") as r:
                return await r.text()
        got = await asyncio.gather(*(one() for _ in range(20)))
        print(len(got), "ok" if len(set(got)) == 1 else got)
asyncio.run(main())
E""")


def test_git_clones_over_http(world):
    world.run(f"rm -rf /tmp/clone; git clone -q {world.url}/repo.git /tmp/clone && cd /tmp/clone && git fsck --full")
    out = world.run("cd /tmp/clone && sha256sum file-*")
    want = {f"file-{i}": hashlib.sha256((world.repo / f"file-{i}").read_bytes()).hexdigest() for i in range(50)}
    assert dict(reversed(line.split()) for line in out.splitlines()) == want


def test_apt_installs_from_a_repository(world):
    world.run(f"""set -e
echo 'deb [trusted=yes] {world.url}/apt ./' >/etc/apt/sources.list
rm -rf /etc/apt/sources.list.d
apt-get -q update && apt-get -q -y install msb-hello""")
    assert world.run("cat /usr/share/msb-hello/text") == "hello from apt\n"


def test_pip_installs_from_an_index(world):
    world.run(f"pip install -q --break-system-packages --target /tmp/pip --index-url {world.url}/simple/ "
              f"--trusted-host {GATEWAY} --disable-pip-version-check msb-hello")
    assert "hello from pip" in world.run("PYTHONPATH=/tmp/pip python3 -c 'import msb_hello; print(msb_hello.text)'")


def test_npm_installs_from_a_registry(world):
    world.run(f"mkdir -p /tmp/npm && cd /tmp/npm && echo '{{}}' >package.json && "
              f"npm install --no-audit --no-fund --loglevel=error --registry {world.url}/ msb-hello")
    assert "hello from npm" in world.run("cd /tmp/npm && node -e \"console.log(require('msb-hello'))\"")


def test_dig_asks_the_gateway(world):
    for words in ("", "+tcp", f"@{GATEWAY}", "+noedns"):
        assert PUBLIC in world.run(f"dig +short +tries=1 {words} some.example.org"), words
    assert GATEWAY in world.run("dig +short host.microsandbox.internal")


def test_iperf3_both_ways(world):
    port = free_port()
    entry = f" 0100007F:{port:04X} 00000000:0000 0A "  # somebody listens there
    server = subprocess.Popen(["iperf3", "-s", "-B", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: entry in pathlib.Path("/proc/net/tcp").read_text(), 20, "iperf3 does not listen")
        for words in ("", "-R", "-P 8", "-u -b 20M"):
            got = json.loads(world.run(f"iperf3 -J -t 2 -c {GATEWAY} -p {port} {words}"))
            end = got["end"].get("sum_received") or got["end"]["sum"]
            print(f"iperf3 {words}: {end['bits_per_second'] / 1e6:.0f} Mbit/s")
            assert end["bytes"] > 0
    finally:
        server.terminate()
        server.wait()


def test_netcat_half_closes(world):
    port = world.nc.getsockname()[1]
    assert world.run(f"head -c 3000000 /dev/zero | nc -N {GATEWAY} {port}") == "3000000"


def test_nginx_keeps_a_thousand_connections(world):
    """A server in the guest, its clients on the host, through a published port."""
    world.run("echo hello from nginx >/var/www/html/index.html; ulimit -n 4096; "
              "sed -i 's/worker_connections .*/worker_connections 4096;/; s/# multi_accept.*/multi_accept on;/' "
              "/etc/nginx/nginx.conf; sed -i 's/keepalive_timeout .*/keepalive_timeout 600; keepalive_requests 1000;/; "
              "1i worker_rlimit_nofile 8192;' /etc/nginx/nginx.conf; nginx -t && nginx")
    where, socks = ("127.0.0.1", world.port.getsockname()[1]), []
    try:
        for _ in range(CLIENTS):
            s = socket.create_connection(where, 60)
            s.settimeout(60)
            socks.append(s)
        for _ in range(2):
            for s in socks:
                s.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            for s in socks:
                got = b""
                while b"hello from nginx\n" not in got:
                    data = s.recv(4096)
                    assert data, got
                    got += data
    finally:
        for s in socks:
            s.close()


def test_websockets_both_ways(world):
    """Frames of every size class, with the guest's library at both ends: through the host's loopback and back."""
    port = world.port.getsockname()[1]
    out = world.run(f"""while nginx -s stop 2>/dev/null; do sleep 0.5; done; python3 - <<'E'
import asyncio, websockets
async def echo(ws, *_):
    async for m in ws:
        await ws.send(m)
async def main():
    async with websockets.serve(echo, "0.0.0.0", 80, max_size=None):
        async with websockets.connect("ws://{GATEWAY}:{port}/", max_size=None) as ws:
            for n in (1, 125, 126, 65535, 65536, 1000000):
                await ws.send(b"x" * n)
                assert len(await ws.recv()) == n
            await (await ws.ping())
    print("all came back")
asyncio.run(main())
E""")
    assert "all came back" in out


def test_the_network_was_not_bad(world):
    """Nothing that these programs sent was taken for broken."""
    assert "a frame of the guest is dropped" not in world.m.log_text()
