"""Real clients and real servers with the real msb-tls between them: bytes are
the same, nothing waits that need not, and failures are told.

MSB_TEST_BODY_MIB (64): how large the large bodies are."""
import asyncio
import hashlib
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import pytest
import websockets
from bridge import Helper
from servers import Authority

BODY_MIB = int(os.environ.get("MSB_TEST_BODY_MIB", "64"))
NGINX = """
daemon off; master_process off; worker_processes 1; pid {d}/pid; error_log {d}/error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {d}/tmp; proxy_temp_path {d}/tmp;
  fastcgi_temp_path {d}/tmp; uwsgi_temp_path {d}/tmp; scgi_temp_path {d}/tmp;
  ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
  server {{
    listen 127.0.0.1:{port} ssl http2; root {d}/www;
    location /up/ {{ dav_methods PUT; create_full_put_path on; }}
    location /bye {{ keepalive_timeout 0; try_files /small =404; }}
  }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def run(*args, **more):
    more.setdefault("timeout", 120)
    return subprocess.run([str(a) for a in args], capture_output=True, **more)


class Nginx:
    def __init__(self, folder, authority):
        self.folder, self.port = folder, free_port()
        self.www = folder / "www"
        (self.www / "up").mkdir(parents=True)
        os.chmod(folder, 0o755)
        cert, key = authority.sign("api.test")
        conf = folder / "conf"
        conf.write_text(("user root;\n" if os.geteuid() == 0 else "") +
                        NGINX.format(d=folder, port=self.port, cert=cert, key=key))
        self.process = subprocess.Popen(["nginx", "-c", str(conf)], stderr=subprocess.DEVNULL)
        self.address = ("127.0.0.1", self.port)
        for _ in range(200):
            try:
                socket.create_connection(self.address).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError((folder / "error.log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def nginx(tmp_path_factory, authority):
    server = Nginx(tmp_path_factory.mktemp("nginx"), authority)
    (server.www / "small").write_bytes(b"small\n")
    with open(server.www / "big", "wb") as f:
        for _ in range(BODY_MIB):
            f.write(os.urandom(1 << 20))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tls(authority):
    secrets = [dict(name="KEY", value=b"a-real-value-of-a-secret", hosts=["elsewhere.test"])]
    with Helper(all=True, roots=authority.pem, secrets=secrets) as h:
        yield h
        assert h.is_alive()


@pytest.fixture(scope="module")
def port(tls, nginx):
    return tls.bridge(server=nginx.address)


def curl(tls, port, path, *args):
    return run("curl", "-sS", "--cacert", tls.ca_file, "--connect-to", f"::127.0.0.1:{port}",
               "--max-time", 110, *args, f"https://api.test{path}")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(f.read()).hexdigest()


# ---- clients ----------------------------------------------------------------

@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("tls_max", ["1.2", "1.3"])
def test_curl_speaks_what_the_server_speaks(tls, port, version, tls_max):
    r = curl(tls, port, "/small", f"--http{version}", "--tls-max", tls_max, "-w", "%{http_version}")
    assert r.returncode == 0, r.stderr
    assert r.stdout == b"small\n" + version.encode()


def test_python_is_strict_and_content(tls, port):
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection(("127.0.0.1", port), 10) as s, \
            context.wrap_socket(s, server_hostname="api.test") as c:
        c.sendall(b"GET /bye HTTP/1.1\r\nHost: api.test\r\n\r\n")
        data = b"".join(iter(lambda: c.recv(65536), b""))
    assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"small\n")


def test_wget(tls, nginx):
    r = run("wget", "-q", "-O", "-", f"--ca-certificate={tls.ca_file}",
            "-e", "use_proxy=yes", "-e", f"https_proxy=127.0.0.1:{connect_proxy(tls, nginx)}",
            "https://api.test/small")
    assert r.returncode == 0, r.stderr
    assert r.stdout == b"small\n"


def connect_proxy(tls, nginx):
    """A proxy in the guest's eyes: the tunnel is a flow by itself, and the real
    proxy's server is always the same."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            conn, _ = server.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                head += conn.recv(4096)
            conn.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
            out = socket.create_connection(nginx.address)
            for a, b in ((conn, out), (out, conn)):
                threading.Thread(target=pour, args=(a, b), daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    return tls.bridge(server=server.getsockname(), kind="connect")


def pour(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl_through_a_proxy(tls, nginx, version):
    proxy = connect_proxy(tls, nginx)
    r = run("curl", "-sS", "--cacert", tls.ca_file, "-x", f"http://127.0.0.1:{proxy}",
            f"--http{version}", "--max-time", 20, "https://api.test/small")
    assert (r.returncode, r.stdout) == (0, b"small\n"), r.stderr


def test_s_client_sees_our_certificate(tls, port):
    r = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "api.test",
            "-verify_hostname", "api.test", "-verify_return_error", "-CAfile", tls.ca_file,
            "-x509_strict", "-showcerts", "-ign_eof", "-alpn", "http/1.1",
            input=b"GET /bye HTTP/1.1\r\nHost: api.test\r\n\r\n")
    assert r.returncode == 0, r.stderr
    assert b"Verify return code: 0 (ok)" in r.stdout and b"small\n" in r.stdout
    assert r.stdout.count(b"BEGIN CERTIFICATE") >= 2  # the authority comes along
    assert b"No ALPN" not in r.stdout and b"ALPN protocol: http/1.1" in r.stdout


# ---- large and many ---------------------------------------------------------

@pytest.mark.parametrize("version", ["1.1", "2"])
def test_large_bodies_are_the_same(tls, port, nginx, tmp_path, version):
    r = curl(tls, port, "/big", f"--http{version}", "-o", tmp_path / "down")
    assert r.returncode == 0, r.stderr
    assert digest(tmp_path / "down") == digest(nginx.www / "big")
    (tmp_path / "down").unlink()
    r = curl(tls, port, f"/up/{version}", f"--http{version}", "-T", nginx.www / "big")
    assert r.returncode == 0, r.stderr
    assert digest(nginx.www / "up" / version) == digest(nginx.www / "big")
    (nginx.www / "up" / version).unlink()


def test_a_large_chunked_body_is_the_same(tls, port, nginx):
    r = curl(tls, port, "/up/chunked", "--http1.1", "-H", "Transfer-Encoding: chunked",
             "-T", nginx.www / "big")
    assert r.returncode == 0, r.stderr
    assert digest(nginx.www / "up" / "chunked") == digest(nginx.www / "big")
    (nginx.www / "up" / "chunked").unlink()


def test_200_at_once(tls, port):
    done = run("curl", "-sS", "--cacert", tls.ca_file, "--connect-to", f"::127.0.0.1:{port}", "--http1.1",
               "--parallel", "--parallel-immediate", "--parallel-max", 200, "--no-progress-meter",
               "-H", "Connection: close", "-w", "%{http_code} ", "https://api.test/small?[1-200]",
               "-o", "/dev/null")
    assert done.returncode == 0, done.stderr[-1000:]
    assert done.stdout.split() == [b"200"] * 200


# ---- streams ----------------------------------------------------------------

class Streams:
    """Server-sent events, each when the one before was seen; and bodies that end with the stream."""

    def __init__(self, authority):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*authority.sign("stream.test"))
        self.seen = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(conn,), daemon=True).start()

    def one(self, conn):
        with self.context.wrap_socket(conn, server_side=True, suppress_ragged_eofs=True) as s:
            head = b""
            while b"\r\n\r\n" not in head:
                head += s.recv(4096)
            s.sendall(b"HTTP/1.1 200 ok\r\nContent-Type: text/event-stream\r\n\r\n")
            if b"/cut" in head:
                s.sendall(b"half of")
                time.sleep(0.2)
                socket.socket.shutdown(s, socket.SHUT_RDWR)  # no close_notify
                return
            for i in range(4):
                s.sendall(b"data: %d %f\n\n" % (i, time.time()))
                if not self.seen.acquire(timeout=20):
                    return
            s.unwrap()


@pytest.fixture(scope="module")
def streams(authority):
    s = Streams(authority)
    yield s
    s.listener.close()


def connect(tls, name, address):
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.options &= ~0x80  # OP_IGNORE_UNEXPECTED_EOF, which Python sets
    s = socket.create_connection(("127.0.0.1", tls.bridge(server=address)), 10)
    return context.wrap_socket(s, server_hostname=name, suppress_ragged_eofs=False)


def test_events_arrive_at_once(tls, streams):
    with connect(tls, "stream.test", streams.address) as c:
        c.sendall(b"GET /events HTTP/1.1\r\nHost: stream.test\r\n\r\n")
        ages, data = [], b""
        while part := c.recv(65536):
            if b"data:" in part:
                ages.append(time.time() - float(part.split()[-1]))
                streams.seen.release()
            data += part
    assert data.count(b"data:") == 4 and len(ages) == 4
    assert min(ages) < 0.2, ages  # a busy host is late now and then


def test_a_body_that_was_cut_does_not_look_whole(tls, streams):
    with connect(tls, "stream.test", streams.address) as c:
        c.sendall(b"GET /cut HTTP/1.1\r\nHost: stream.test\r\n\r\n")
        data = b""
        with pytest.raises(ssl.SSLError, match="UNEXPECTED_EOF"):
            while True:
                part = c.recv(65536)
                assert part, "a proper end"
                data += part
    assert data.endswith(b"half of")


def test_websockets_echo(tls, authority):
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*authority.sign("ws.test"))
    client_context = ssl.create_default_context(cafile=tls.ca_file)
    big = os.urandom(3 << 20)

    async def echo(ws, *_):
        async for message in ws:
            await ws.send(message)

    async def go():
        async with websockets.serve(echo, "127.0.0.1", 0, ssl=server_context, max_size=None) as server:
            p = tls.bridge(server=server.sockets[0].getsockname())
            async with websockets.connect("wss://ws.test/x", host="127.0.0.1", port=p, ssl=client_context,
                                          server_hostname="ws.test", max_size=None) as ws:
                for message in ("hello", b"\0bytes", big):
                    await ws.send(message)
                    assert await asyncio.wait_for(ws.recv(), 30) == message
    asyncio.run(asyncio.wait_for(go(), 60))


# ---- failures ---------------------------------------------------------------

def test_a_client_that_does_not_trust_us_is_told_of(tls, port, authority, tmp_path):
    before = len([e for e in tls.events if e["what"] == "refused"])
    other = tmp_path / "other.pem"
    other.write_text(authority.pem)
    r = run("curl", "-sS", "--cacert", other, "--connect-to", f"::127.0.0.1:{port}", "https://api.test/")
    assert r.returncode == 60, r.stderr
    event = tls.wait_event("refused", before + 1)
    assert "--tls-bypass api.test" in event["text"]


def test_a_server_that_is_not_trusted_is_told_of(authority, nginx, tmp_path_factory):
    other = Authority(tmp_path_factory.mktemp("other"))
    with Helper(all=True, roots=other.pem) as h:
        p = h.bridge(server=nginx.address)
        r = curl(h, p, "/small")
        assert r.returncode == 35 and b"unknown ca" in r.stderr.lower(), r.stderr
        text = h.wait_event("refused")["text"]
        assert "api.test: the server's certificate" in text and "--tls-upstream-ca-cert" in text
        # with that very option
    with Helper(all=True, roots=other.pem, upstream_cas=[("*.test", authority.pem)]) as h:
        p = h.bridge(server=nginx.address)
        assert curl(h, p, "/small").stdout == b"small\n"


def test_memory_does_not_grow_with_work(tls, port):
    def resident():
        text = pathlib.Path(f"/proc/{tls.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    for _ in range(2):
        curl(tls, port, "/big", "-o", "/dev/null")
    before = resident()
    for _ in range(3):
        curl(tls, port, "/big", "-o", "/dev/null")
        curl(tls, port, "/big", "--http1.1", "-o", "/dev/null")
    assert resident() - before < 4 << 20
