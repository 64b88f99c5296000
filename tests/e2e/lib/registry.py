"""Registries for tests: a fake one that misbehaves on demand, Debian's real one,
and images small enough to be made on the spot.

    fake = FakeRegistry()                    # http://127.0.0.1:<free port>
    image = fake.add("app", "v1", [{"bin/x": b"..."}])
    fake.fault = lambda rq: cut(1000) if rq.is_blob else None
    ...
    fake.bytes_of(image.layers[0])           # what really went over the wire
"""

import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import socket
import ssl
import subprocess
import tarfile
import threading
import time

from .cli import die_with_parent

OCI = "application/vnd.oci.image."


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_tar(files):
    """A layer: {path: bytes | None (folder) | TarInfo}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, what in files.items():
            info = tarfile.TarInfo(path)
            info.mode = 0o755
            if isinstance(what, tarfile.TarInfo):
                info, what = what, b""
            elif what is None:
                info.type, what = tarfile.DIRTYPE, b""
            info.size = len(what)
            tar.addfile(info, io.BytesIO(what))
    return out.getvalue()


def pack(tar, how):
    if how == "gzip":
        return gzip.compress(tar, 1, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-1", "-q", "-c"], input=tar,
                              stdout=subprocess.PIPE, check=True).stdout
    return tar


class Image:
    """Blobs by digest, the manifest, and what a test wants to know of them."""

    def __init__(self, layers, how="gzip", arch="amd64", config=None,
                 edit_config=None, edit_manifest=None):
        self.blobs = {}
        tars = [make_tar(x) if isinstance(x, dict) else x for x in layers]
        packed = [pack(t, how) for t in tars]
        self.layers = [self._add(p) for p in packed]
        self.diff_ids = [sha256(t) for t in tars]
        cfg = {"architecture": arch, "os": "linux",
               "created": "2024-01-02T03:04:05Z",
               "config": config or {"Cmd": ["/bin/x"]},
               "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}
        if edit_config:
            edit_config(cfg)
        raw = json.dumps(cfg).encode()
        self.config = self._add(raw)
        kind = {"gzip": "+gzip", "zstd": "+zstd", "plain": ""}[how]
        self.doc = {
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
            "config": {"mediaType": OCI + "config.v1+json",
                       "digest": self.config, "size": len(raw)},
            "layers": [{"mediaType": OCI + "layer.v1.tar" + kind,
                        "digest": d, "size": len(p)}
                       for d, p in zip(self.layers, packed)]}
        if edit_manifest:
            edit_manifest(self.doc)
        self.manifest = json.dumps(self.doc).encode()
        self.digest = sha256(self.manifest)
        self.arch = arch

    def _add(self, data):
        self.blobs[sha256(data)] = data
        return sha256(data)

    def descriptor(self, **more):
        return {"mediaType": OCI + "manifest.v1+json", "digest": self.digest,
                "size": len(self.manifest),
                "platform": {"os": "linux", "architecture": self.arch},
                **more}

    def write_layout(self, path, name="v1"):
        """An OCI layout folder."""
        blobs = os.path.join(path, "blobs", "sha256")
        os.makedirs(blobs)
        for digest, data in [*self.blobs.items(), (self.digest, self.manifest)]:
            with open(os.path.join(blobs, digest[7:]), "wb") as f:
                f.write(data)
        with open(os.path.join(path, "oci-layout"), "w") as f:
            json.dump({"imageLayoutVersion": "1.0.0"}, f)
        entry = self.descriptor(
            annotations={"org.opencontainers.image.ref.name": name})
        with open(os.path.join(path, "index.json"), "w") as f:
            json.dump({"schemaVersion": 2, "manifests": [entry]}, f)


def index(entries):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json",
                       "manifests": entries}).encode()


class Request:
    def __init__(self, handler):
        self.method = handler.command
        self.path = handler.path
        self.auth = handler.headers.get("Authorization")
        self.range = handler.headers.get("Range")
        self.is_blob = "/blobs/" in self.path
        self.is_manifest = "/manifests/" in self.path
        self.name = self.path.rsplit("/", 1)[-1]
        self.nth = 0  # how many requests for this path came before


# Faults: each is called as fault(handler, request, data, content_type).

def answer(status, headers=None, body=b""):
    def run(h, rq, data, ctype):
        h.reply(status, body, headers or {})
    return run


def cut(n):
    """Break the connection after n bytes of the body."""
    def run(h, rq, data, ctype):
        start = h.range_start(rq, data)
        part = data[start:]
        h.head_for(rq, data, start, ctype)
        h.send(rq, part[:n])
        h.hang_up()
    return run


def flip(at):
    """One wrong bit."""
    def run(h, rq, data, ctype):
        bad = bytearray(data)
        bad[at % len(bad)] ^= 1
        h.serve(rq, bytes(bad), ctype)
    return run


def instead(other):
    def run(h, rq, data, ctype):
        h.serve(rq, other, ctype)
    return run


def ignore_range():
    def run(h, rq, data, ctype):
        rq.range = None
        h.serve(rq, data, ctype)
    return run


def wrong_range(start):
    def run(h, rq, data, ctype):
        if not rq.range:
            return h.serve(rq, data, ctype)
        part = data[h.range_start(rq, data):]
        h.reply(206, part, {
            "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"})
    return run


def endless(announce=None):
    """A body that never ends (chunked, or longer than announced)."""
    def run(h, rq, data, ctype):
        h.send_response(200)
        h.send_header("Content-Type", ctype)
        if announce is None:
            h.send_header("Transfer-Encoding", "chunked")
        else:
            h.send_header("Content-Length", str(announce))
        h.end_headers()
        block = b"\0" * 65536
        if announce is None:
            block = b"10000\r\n" + block + b"\r\n"
        sent = 0
        try:
            while sent < 1 << 30:
                h.wfile.write(block)
                sent += len(block)
                h.server.count(rq, len(block))
        except OSError:
            pass
        h.close_connection = True
    return run


def drip(n, seconds):
    """n bytes, then one more every so many seconds."""
    def run(h, rq, data, ctype):
        start = h.range_start(rq, data)
        h.head_for(rq, data, start, ctype)
        try:
            h.send(rq, data[start:start + n])
            for i in range(start + n, len(data)):
                h.wfile.write(data[i:i + 1])
                h.wfile.flush()
                time.sleep(seconds)
        except OSError:
            pass
        h.close_connection = True
    return run


def slow(bytes_per_second):
    def run(h, rq, data, ctype):
        start = h.range_start(rq, data)
        h.head_for(rq, data, start, ctype)
        step = max(1, bytes_per_second // 20)
        try:
            for i in range(start, len(data), step):
                h.send(rq, data[i:i + step])
                time.sleep(0.05)
        except OSError:
            h.close_connection = True
    return run


def redirect(url, status=307):
    return answer(status, {"Location": url})


def silence(seconds):
    def run(h, rq, data, ctype):
        time.sleep(seconds)
        h.hang_up()
    return run


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def hang_up(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def reply(self, status, body, headers):
        self.send_response(status)
        for k, v in headers.items():
            for one in v if isinstance(v, list) else [v]:
                self.send_header(k, one)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def range_start(self, rq, data):
        m = re.fullmatch(r"bytes=(\d+)-", rq.range or "")
        return int(m[1]) if m else 0

    def head_for(self, rq, data, start, ctype):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range",
                             f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Type", ctype)
        self.send_header("Docker-Content-Digest", sha256(data))
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()

    def send(self, rq, data):
        self.wfile.write(data)
        self.wfile.flush()
        self.server.count(rq, len(data))

    def serve(self, rq, data, ctype):
        start = self.range_start(rq, data)
        if start >= len(data) and start:
            return self.reply(416, b"", {
                "Content-Range": f"bytes */{len(data)}"})
        self.head_for(rq, data, start, ctype)
        if self.command != "HEAD":
            try:
                for i in range(start, len(data), 1 << 16):
                    self.send(rq, data[i:i + (1 << 16)])
            except OSError:
                self.close_connection = True

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        rq = Request(self)
        rq.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.handle_one(rq)

    def do_GET(self):
        self.handle_one(Request(self))

    def handle_one(self, rq):
        fake = self.server.fake
        fake.saw(rq)
        try:
            self.answer(fake, rq)
        finally:
            with fake.lock:
                fake.active -= 1

    def answer(self, fake, rq):
        data, ctype = fake.find(rq)
        action = fake.fault(rq) if fake.fault else None
        if action:
            return action(self, rq, data, ctype)
        if rq.path.startswith("/token"):
            return fake.give_token(self, rq)
        if fake.auth and not fake.auth(self, rq):
            return None
        if data is None:
            code = "MANIFEST_UNKNOWN" if rq.is_manifest else "BLOB_UNKNOWN"
            body = json.dumps({"errors": [
                {"code": code, "message": code.lower().replace("_", " ")}]})
            return self.reply(404, body.encode(), {})
        return self.serve(rq, data, ctype)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass

    def count(self, rq, n):
        self.fake.count(rq, n)


class FakeRegistry:
    def __init__(self, tls=None):
        """@tls: (certificate file, key file)."""
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.fake = self
        if tls:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(*tls)
            self.server.socket = ctx.wrap_socket(
                self.server.socket, server_side=True,
                do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.scheme = "https" if tls else "http"
        self.blobs, self.manifests = {}, {}
        self.fault = self.auth = None
        self.lock = threading.Lock()
        self.requests, self.sent, self.active = [], {}, 0
        self.tokens = {}
        self.token_life = 300
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def reset(self):
        """Forget what was asked, when nothing is being answered any more."""
        end = time.time() + 10
        while self.active and time.time() < end:
            time.sleep(0.02)
        with self.lock:
            self.requests, self.sent = [], {}

    def saw(self, rq):
        with self.lock:
            self.active += 1
            rq.nth = sum(r.path == rq.path for r in self.requests)
            self.requests.append(rq)

    def count(self, rq, n):
        with self.lock:
            self.sent[rq.name] = self.sent.get(rq.name, 0) + n

    def bytes_of(self, digest):
        return self.sent.get(digest, 0)

    def asked(self, digest):
        return sum(r.name == digest for r in self.requests)

    def add_image(self, image, repo, tag):
        self.blobs.update(image.blobs)
        ctype = OCI + "manifest.v1+json"
        for name in (tag, image.digest):
            self.manifests[repo, name] = (image.manifest, ctype)
        return image

    def add(self, repo, tag, layers, **kw):
        return self.add_image(Image(layers, **kw), repo, tag)

    def add_manifest(self, repo, name, data, ctype=OCI + "manifest.v1+json"):
        self.manifests[repo, name] = (data, ctype)
        self.manifests[repo, sha256(data)] = (data, ctype)
        return sha256(data)

    def ref(self, repo, tag="v1"):
        return f"{self.host}/{repo}:{tag}"

    def find(self, rq):
        m = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", rq.path)
        if not m:
            return None, "text/plain"
        if m[2] == "manifests":
            return self.manifests.get((m[1], m[3]), (None, "text/plain"))
        return self.blobs.get(m[3]), "application/octet-stream"

    # Logins.

    def want_basic(self, user, password):
        good = "Basic " + base64.b64encode(
            f"{user}:{password}".encode()).decode()

        def check(h, rq):
            if rq.auth == good:
                return True
            h.reply(401, b"", {"WWW-Authenticate": 'Basic realm="test"'})
            return False
        self.auth = check

    def want_token(self, user=None, password=None, realm=None):
        """Bearer; tokens are sold at /token to anyone, or to one user."""
        self.buyer = None if user is None else "Basic " + base64.b64encode(
            f"{user}:{password}".encode()).decode()
        where = realm or f"{self.scheme}://{self.host}/token"

        def check(h, rq):
            token = (rq.auth or "").removeprefix("Bearer ")
            if self.tokens.get(token, 0) > time.time():
                return True
            h.reply(401, b"", {"WWW-Authenticate":
                    f'Bearer realm="{where}",service="test",scope="x"'})
            return False
        self.auth = check

    def give_token(self, h, rq):
        if self.buyer and rq.auth != self.buyer:
            return h.reply(401, b"", {})
        token = "t" + os.urandom(16).hex()
        self.tokens[token] = time.time() + self.token_life
        return h.reply(200, json.dumps({"token": token}).encode(), {})


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class DockerRegistry:
    """Debian's docker-registry on a free port, its data below @folder."""

    def __init__(self, folder, user=None, password=None, tls=None):
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        lines = ["version: 0.1", "log: {level: error}",
                 "storage:",
                 f"  filesystem: {{rootdirectory: {folder}/data}}",
                 "http:", f"  addr: {self.host}"]
        if tls:
            lines.append(f"  tls: {{certificate: {tls[0]}, key: {tls[1]}}}")
        if user:
            passwd = os.path.join(folder, "htpasswd")
            subprocess.run(["htpasswd", "-Bbc", passwd, user, password],
                           check=True, capture_output=True)
            lines += ["auth:",
                      f"  htpasswd: {{realm: test, path: {passwd}}}"]
        config = os.path.join(folder, "registry.yml")
        with open(config, "w") as f:
            f.write("\n".join(lines) + "\n")
        self.log = open(os.path.join(folder, "registry.log"), "wb")
        self.child = subprocess.Popen(["docker-registry", "serve", config],
                                      stdout=self.log, stderr=self.log,
                                      preexec_fn=die_with_parent)
        self._wait()

    def _wait(self):
        end = time.time() + 60
        while time.time() < end and self.child.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.05)
        raise RuntimeError("docker-registry did not start")

    def push(self, layout, ref, creds=None):
        """From an OCI layout folder ("folder:tag")."""
        cmd = ["skopeo", "copy", "-q", "--dest-tls-verify=false"]
        if creds:
            cmd += ["--dest-creds", creds]
        subprocess.run([*cmd, f"oci:{layout}", f"docker://{self.host}/{ref}"],
                       check=True, capture_output=True)

    def close(self):
        self.child.kill()
        self.child.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def make_certificate(folder, name="127.0.0.1"):
    """Self-signed, for an address or a host name: (certificate, key)."""
    cert, key = (os.path.join(folder, x) for x in ("cert.pem", "key.pem"))
    kind = "IP" if re.fullmatch(r"[0-9.]+", name) else "DNS"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}",
         "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def tree(path):
    return sorted(os.path.relpath(os.path.join(d, f), path)
                  for d, _, files in os.walk(path) for f in files)


def assert_store_clean(home, images=0, parts=False):
    """No half image: what a name leads to is whole, and nothing is staged.

    Whole layers may stay (they were paid for, `msb image prune` drops them),
    and with @parts the beginning of a download that can be gone on with.
    """
    store = os.path.join(home, "store")
    files = tree(store)
    top = {}
    for f in files:
        top.setdefault(f.split("/")[0], []).append(f)
    assert not os.listdir(os.path.join(store, "tmp")), "staging is left"
    assert not [f for f in files if f.endswith(".tmp")]
    assert len(top.get("refs", [])) == images, top.get("refs")
    if not images:
        for kind in ("manifests", "configs", "chains"):
            assert not top.get(kind), top[kind]
    for f in top.get("blobs", []):
        assert parts and f.endswith(".part"), f
        assert os.path.getsize(os.path.join(store, f)) > 0, f
    for d in {os.path.dirname(f) for f in top.get("layers", [])}:
        have = set(os.listdir(os.path.join(store, d)))
        assert {"data", "index", "meta.json"} <= have, (d, have)
    known = {"VERSION", "layers", "chains", "manifests", "configs", "refs",
             "blobs", "templates", "locks"}
    assert set(top) <= known, set(top) - known
