"""TLS interception against its peer, in one run: mitmproxy from PyPI, and no interception at all.

The server is nginx on this host, the client tests/bench/tlsload.c; what differs is only what stands between them:
nothing; msb-tls, which gets each connection as msb-vmm's network hands it over (tlsload bridge); mitmdump in its
reverse mode, with the same certificate checks. All take turns, round by round; values are medians.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/tls")]
import bridge  # noqa: E402

MITMPROXY = "mitmproxy==11.0.2"
NAME = "bench.test"
BULK = 256 << 20
SECONDS = 2
IDLE = 200
CELLS = [("down1", "download, 1 connection", "Gbit/s"), ("down8", "download, 8 connections", "Gbit/s"),
         ("up1", "upload, 1 connection", "Gbit/s"), ("open1", "handshakes/s, 1 at a time", "/s"),
         ("open16", "handshakes/s, 16 at a time", "/s"), ("p50", "request on an open connection, p50", "us"),
         ("p99", "request on an open connection, p99", "us")]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")


def cpu_and_rss(pids):
    cpu = sum(sum(map(int, pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
              for p in pids) / 100
    rss = 0
    for p in pids:
        for line in pathlib.Path(f"/proc/{p}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                rss += int(line.split()[1]) << 10
    return cpu, rss


def certificates(tmp):
    """A CA and a certificate for NAME by it; (ca.pem, cert.pem, key.pem)."""
    ca, key, cert = tmp / "ca.pem", tmp / "key.pem", tmp / "cert.pem"
    run = lambda *w: subprocess.run(["openssl", *map(str, w)], check=True, stdout=subprocess.DEVNULL,  # noqa: E731
                                    stderr=subprocess.DEVNULL)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    run("req", "-x509", *new, "-keyout", tmp / "cakey.pem", "-out", ca, "-subj", "/CN=bench CA", "-addext",
        "keyUsage=critical,keyCertSign")
    run("req", *new, "-keyout", key, "-out", tmp / "req.pem", "-subj", f"/CN={NAME}")
    (tmp / "ext").write_text(f"subjectAltName=DNS:{NAME}\n")
    run("x509", "-req", "-in", tmp / "req.pem", "-CA", ca, "-CAkey", tmp / "cakey.pem", "-CAcreateserial", "-days", 30,
        "-extfile", tmp / "ext", "-out", cert)
    return ca, cert, key


def nginx(tmp, cert, key):
    port = free_port()
    www = tmp / "www"
    www.mkdir()
    with open(www / "big", "wb") as f:
        f.truncate(BULK)
    (www / "small").write_text("x" * 100)
    (tmp / "nginx.conf").write_text(f"""
daemon off; worker_processes 2; pid {tmp}/nginx.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; keepalive_requests 10000000; client_max_body_size 0; client_body_temp_path {tmp};
proxy_temp_path {tmp}; fastcgi_temp_path {tmp}; uwsgi_temp_path {tmp}; scgi_temp_path {tmp};
server {{ listen 127.0.0.1:{port} ssl backlog=1024; ssl_certificate {cert}; ssl_certificate_key {key};
  root {www}; location /sink {{ return 200 "ok"; }} }} }}
""")
    p = subprocess.Popen(["nginx", "-c", tmp / "nginx.conf", "-p", tmp, "-e", "/dev/null"], stderr=subprocess.DEVNULL)
    wait_port(port)
    return p, port


class Direct:
    name = "no interception"

    def __init__(self, bench):
        self.ca, self.port = bench.ca, bench.server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def pids(self):
        return []


class Ours:
    name = "msb-tls"

    def __init__(self, bench):
        self.b = bench

    def __enter__(self):
        b = self.b
        bridge.PROGRAM = b.build / "msb-tls"
        self.helper = bridge.Helper(roots=b.ca.read_text(),
                                    secrets=[dict(name="TOKEN", value=b"value-of-a-token-that-is-long", hosts=[NAME],
                                                  placeholder="MSB_" + "0" * 32)])
        self.helper.__enter__()
        self.ca = b.tmp / "ours.pem"
        self.ca.write_text(self.helper.ca)
        self.port = free_port()
        link = self.helper.link.fileno()
        self.bridge = subprocess.Popen([b.load, "bridge", str(self.port), str(b.server), str(link), NAME],
                                       pass_fds=[link])
        wait_port(self.port)
        return self

    def __exit__(self, *args):
        self.bridge.kill()
        self.bridge.wait()
        self.helper.__exit__(*args)

    def pids(self):
        return [self.helper.pid]


class Mitmproxy:
    name = "mitmproxy"

    def __init__(self, bench):
        self.b = bench

    def __enter__(self):
        b = self.b
        self.port = free_port()
        home = b.tmp / "mitm"
        addon = b.tmp / "addon.py" # NAME is nobody's in the DNS
        addon.write_text(f"def server_connect(data):\n    data.server.address = ('127.0.0.1', {b.server})\n")
        self.p = subprocess.Popen(
            [b.mitmdump, "-q", "--set", f"confdir={home}", "--set", f"ssl_verify_upstream_trusted_ca={b.ca}", "--set",
             "stream_large_bodies=1m", "--set", "keep_host_header=true", "-s",
             str(addon), "--mode", f"reverse:https://{NAME}:443", "--listen-host", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_port(self.port, 60)
        self.ca = home / "mitmproxy-ca-cert.pem"
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()

    def pids(self):
        return [self.p.pid]


class Bench:
    def __init__(self, build, tmp):
        self.build, self.tmp = build, tmp
        self.load = str(build / "tests/bench/bench_tlsload")
        self.ca, cert, key = certificates(tmp)
        self.nginx, self.server = nginx(tmp, cert, key)
        self.mitmdump, self.why_not = find_mitmdump()

    def close(self):
        self.nginx.terminate()
        self.nginx.wait()

    def run(self, way, what, *words, timeout=180):
        r = subprocess.run([self.load, what, "127.0.0.1", str(way.port), NAME, str(way.ca), *map(str, words)],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if r.returncode:
            raise RuntimeError(f"{way.name}: {what} {words}: {r.stderr[-300:]}")
        return json.loads(r.stdout)

    def one_round(self, way):
        slow = isinstance(way, Mitmproxy)
        bulk = BULK // 8 if slow else BULK
        v = {}
        before = cpu_and_rss(way.pids())[0]
        v["down1"] = self.run(way, "bulk", 1, BULK, "/big")["gbit"]
        v["cpu"] = (cpu_and_rss(way.pids())[0] - before) / (BULK / 1e9)
        v["down8"] = self.run(way, "bulk", 8, BULK, "/big")["gbit"] if not slow else \
            self.run(way, "bulk", 2, BULK, "/big")["gbit"]
        v["up1"] = self.run(way, "bulk", 1, bulk, "-")["gbit"]
        for n in (1, 16):
            v[f"open{n}"] = self.run(way, "open", n, SECONDS)["per_s"]
        r = self.run(way, "ping", SECONDS, "Authorization: Bearer MSB_" + "0" * 32)
        v["p50"], v["p99"] = r["p50"], r["p99"]
        v["idle"] = self.idle(way)
        return v

    def idle(self, way):
        """Bytes of RSS for each connection that only stays open."""
        if not way.pids():
            return 0
        before = cpu_and_rss(way.pids())[1]
        p = subprocess.Popen([self.load, "hold", "127.0.0.1", str(way.port), NAME, str(way.ca), str(IDLE)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stdout.readline()
        time.sleep(0.3)
        after = cpu_and_rss(way.pids())[1]
        p.stdin.close()
        p.wait()
        return (after - before) / IDLE


def find_mitmdump():
    """Its path, or None and why; installed once from PyPI into the cache."""
    place = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "microsandbox" / MITMPROXY
    if not (place / "bin/mitmdump").exists():
        shutil.rmtree(place, ignore_errors=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", place], check=True, capture_output=True, timeout=120)
            subprocess.run([place / "bin/pip", "install", "-q", MITMPROXY], check=True, capture_output=True, timeout=600)
        except (subprocess.SubprocessError, OSError) as e:
            shutil.rmtree(place, ignore_errors=True)
            return None, str(e)
    return str(place / "bin/mitmdump"), None


def bench(build, rounds=6, say=print):
    with tempfile.TemporaryDirectory(prefix="msbench-") as tmp:
        b = Bench(build, pathlib.Path(tmp))
        try:
            kinds = [Direct, Ours] + ([Mitmproxy] if b.mitmdump else [])
            if b.why_not:
                say(f"tls: no mitmproxy: {b.why_not}")
            got = {k.name: [] for k in kinds}
            for i in range(rounds):
                for kind in kinds if i % 2 == 0 else reversed(kinds):
                    with kind(b) as way:
                        got[kind.name].append(b.one_round(way))
                say(f"tls: round {i + 1} of {rounds}")
        finally:
            b.close()
    return {name: {k: statistics.median(r[k] for r in v) for k in v[0]} for name, v in got.items()}


def add_rows(table, build, rounds=6):
    """Into the table of run.py."""
    got = bench(build, rounds)
    ours = got["msb-tls"]
    for key, title, unit in CELLS:
        for name, v in got.items():
            if name == "msb-tls":
                continue
            ratio, goal, met = ours[key] / v[key], None, None
            if unit == "us":
                if name == "mitmproxy":
                    goal, met = "below mitmproxy", ratio < 1
            elif name == "no interception":
                goal, met = "at least 0.5 of direct", ratio >= 0.5
            else:
                goal, met = "at least 5 x mitmproxy", ratio >= 5
            table.add(f"tls: {title}", ours[key], unit, goal, f"{name} {v[key]:.4g}", ratio, met)
    peer = got.get("mitmproxy")
    for key, title, unit in (("cpu", "CPU s/GB, download", "s"), ("idle", "memory of an idle connection", "B")):
        table.add(f"tls: {title}", ours[key], unit, None, f"mitmproxy {peer[key]:.4g}" if peer else None,
                  ours[key] / peer[key] if peer and peer[key] else None, None)


if __name__ == "__main__":
    sys.path[:0] = [str(TOP / "tests/bench")]
    import net

    add_rows(net.Lines(), pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else TOP / "build").resolve(),
             int(sys.argv[2]) if len(sys.argv) > 2 else 6)
