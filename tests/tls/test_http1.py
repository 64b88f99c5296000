"""HTTP/1.1 through the real msb-tls: what the server gets is what the client
sent, with values where placeholders stood; real clients, a real server, and
bytes that no client would send."""
import asyncio
import base64
import hashlib
import os
import select
import socket
import ssl
import subprocess
import threading
import time

import httpx
import pytest
import requests
import websockets
from bridge import Helper
from http1_servers import Nginx, Raw
from servers import Authority

VALUE = "value-" + os.urandom(12).hex() + "+/="
KEY, OTHER = "MSB_" + "1a" * 16, "MSB_" + "2b" * 16
HOST = "api.test"
WHERE = ["headers", "basic", "query", "body"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def nginx(authority, tmp_path_factory):
    with Nginx(authority, tmp_path_factory.mktemp("nginx"), HOST) as server:
        yield server


@pytest.fixture(scope="module")
def raw_server(authority):
    with Raw(authority, HOST) as server:
        yield server


def start(authority, mask=False, where=WHERE):
    return Helper(roots=authority.pem, all=True, secrets=[
        dict(name="KEY", value=VALUE, hosts=[HOST], placeholder=KEY, where=where, mask=mask),
        dict(name="OTHER", value="never-to-be-seen", hosts=["other.test"], placeholder=OTHER,
             where=where)])


@pytest.fixture(scope="module")
def helper(authority):
    with start(authority) as h:
        yield h


@pytest.fixture(scope="module")
def masking(authority):
    with start(authority, mask=True) as h:
        yield h


@pytest.fixture(scope="module")
def heads_only(authority):
    """Values in heads only: bodies are searched, and pass as they are."""
    with start(authority, where=["headers", "basic"]) as h:
        yield h


@pytest.fixture
def server(raw_server):
    raw_server.seen.clear()
    raw_server.errors.clear()
    return raw_server


def client_tls(h):
    context = ssl.create_default_context(cafile=h.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def dial(h, address, name=HOST):
    sock = socket.create_connection(("127.0.0.1", h.bridge(address)), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client_tls(h).wrap_socket(sock, server_hostname=name)


def dial_straight(authority, address):
    context = ssl.create_default_context(cadata=authority.pem)
    return context.wrap_socket(socket.create_connection(address, 10), server_hostname=HOST)


def read_all(s):
    data = b""
    while True:
        try:
            part = s.recv(65536)
        except (ssl.SSLError, ConnectionResetError):
            return data
        if not part:
            return data
        data += part


def send_and_read(s, data):
    """Both at once, in one thread: OpenSSL's objects are not for two. Up to its end, also a broken one."""
    got, end = b"", time.monotonic() + 60
    later = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
    s.setblocking(False)
    while time.monotonic() < end:
        try:
            part = s.recv(65536)
            if not part:
                return got
            got += part
            continue
        except later:
            pass
        except (ssl.SSLError, ConnectionResetError):
            return got
        try:
            data = data[s.send(data[:16384]):] if data else data
        except later:
            pass
        except OSError:
            data = b""  # the connection has ended, as we are told
        select.select([s], [s] if data else [], [], 1)
    raise TimeoutError(got[-200:])


def read_until(s, end, limit=1 << 20):
    data = b""
    while end not in data:
        part = s.recv(65536)
        assert part and len(data) < limit, data
        data += part
    return data


def answer_all(tls, got):
    """An empty 200 for each request without a body; the end with the client."""
    data = b""
    while True:
        part = got()
        if not part:
            return
        data += part
        while b"\r\n\r\n" in data:
            data = data.split(b"\r\n\r\n", 1)[1]
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def request(text):
    return text.replace("\n", "\r\n").encode()


# ---- nginx sees what was sent -----------------------------------------------

HEADS = [
    "GET /echo HTTP/1.1\nHost: api.test\n",
    "GET /echo?a=b&c=%20#d HTTP/1.1\nhost:api.test:443\nX-Empty:\nX-Two: 1\nx-two:  2 \n",
    "GET https://api.test/echo HTTP/1.1\nHost: api.test\nCookie: a=b; c=d\n",
    "POST /echo HTTP/1.1\nHost: api.test\nContent-Length: 0\n",
    "GET /echo HTTP/1.0\nHost: api.test\nConnection: close\n",
    "GET /echo HTTP/1.1\nHost: api.test\n" + "".join(f"X-{i}: {'y' * i}\n" for i in range(200)),
]
BODIES = [
    "POST /echo HTTP/1.1\nHost: api.test\nContent-Length:5\n\nhello",
    "PUT /echo HTTP/1.1\nHost: api.test\nTransfer-Encoding: chunked\n\n5\nhello\n6;x=y\n world\n0\nX-T: 1\n\n",
    "POST /echo HTTP/1.1\nHost: api.test\nContent-Length: 100000\n\n" + "0123456789" * 10000,
]


@pytest.mark.parametrize("text", [h + "\n" for h in HEADS] + BODIES,
                         ids=lambda t: hashlib.sha1(t.encode()).hexdigest()[:6])
def test_nginx_sees_what_was_sent(authority, nginx, helper, text):
    data = request(text)
    answers = []
    for s in (dial_straight(authority, nginx.address), dial(helper, nginx.address)):
        with s:
            # nginx takes another request, which ends the connection.
            s.sendall(data + request("GET /echo HTTP/1.1\nHost: api.test\nConnection: close\n\n"))
            answers.append(read_all(s))
    strip = [[line for line in a.split(b"\r\n") if not line.startswith(b"Date:")] for a in answers]
    assert strip[0] == strip[1]
    assert b"200 OK" in answers[0]


def test_nginx_sees_values(nginx, helper):
    body = f'{{"key": "{KEY}"}}'
    text = (f"POST /echo?k={KEY} HTTP/1.1\nHost: api.test\nAuthorization: Bearer {KEY}\n"
            f"Content-Type: application/json\nContent-Length: {len(body)}\nConnection: close\n\n{body}")
    with dial(helper, nginx.address) as s:
        s.sendall(request(text))
        answer = read_all(s).decode()
    escaped = VALUE.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert f"POST /echo?k={escaped} HTTP/1.1\r\n" in answer
    assert f"Authorization: Bearer {VALUE}\r\n" in answer
    assert f'"key": "{VALUE}"' in answer.replace("\\/", "/")
    assert KEY not in answer


# ---- byte for byte ----------------------------------------------------------

EXACT = [
    "GET / HTTP/1.1\nHost: api.test\n\n",
    "GeT /%2e/./..?x#y HTTP/1.1\nhOST:\tapi.TEST. \nA:b\nA: b\nZ:\t\n\n",
    "POST / HTTP/1.1\nHost: api.test\nTransfer-Encoding: chunked\n\n00005\nhello\n1\n!\n0\nX:y\n\n",
    "POST / HTTP/1.1\nHost: api.test\nContent-Length:3\n\nabc",
    "OPTIONS * HTTP/1.1\nHost: api.test\n\n",
]


def test_bytes_stay_as_they_are(heads_only, server):
    server.talk = lambda tls, got: [None for _ in iter(got, b"")]
    data = b"".join(request(t) for t in EXACT)
    for cut in (len(data), 1, 7):
        with dial(heads_only, server.address) as s:
            for at in range(0, len(data), cut):
                s.sendall(data[at:at + cut])
            end = time.monotonic() + 10
            while len(server.seen[-1] if server.seen else b"") < len(data) and time.monotonic() < end:
                time.sleep(0.01)
            assert bytes(server.seen[-1]) == data
        server.seen.clear()


def test_value_split_at_every_byte(helper, server):
    server.talk = lambda tls, got: [None for _ in iter(got, b"")]
    head = f"GET / HTTP/1.1\r\nHost: api.test\r\nX: {KEY}\r\n\r\n".encode()
    want = head.replace(KEY.encode(), VALUE.encode())
    at = head.index(KEY.encode())
    with dial(helper, server.address) as s:
        for cut in range(at, at + len(KEY) + 1):
            s.sendall(head[:cut])
            s.sendall(head[cut:])
        end = time.monotonic() + 10
        n = len(KEY) + 1
        while len(server.seen[-1]) < n * len(want) and time.monotonic() < end:
            time.sleep(0.01)
        assert bytes(server.seen[-1]) == want * n


# ---- what is refused --------------------------------------------------------

SMUGGLED = "GET /smuggled HTTP/1.1\nHost: evil.test\n\n"
REFUSED = [
    (400, "POST / HTTP/1.1\nHost: api.test\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n"),
    (400, "POST / HTTP/1.1\nHost: api.test\nContent-Length: 5\nContent-Length: 6\n\nhello"),
    (400, "POST / HTTP/1.1\nHost: api.test\nTransfer-Encoding: xchunked\n\n0\n\n"),
    (400, "POST / HTTP/1.1\nHost: api.test\nTransfer-Encoding : chunked\n\n0\n\n"),
    (400, "POST / HTTP/1.1\nHost: api.test\nTransfer_Encoding: chunked\n\n0\n\n"),
    (400, "GET / HTTP/1.1\nHost: api.test\nX: a\n b\n\n"),
    (400, "GET / HTTP/1.1\n\n"),
    (400, "GET / HTTP/1.1\nHost: api.test\nHost: evil.test\n\n"),
    (421, "GET / HTTP/1.1\nHost: evil.test\n\n"),
    (421, "GET https://evil.test/ HTTP/1.1\nHost: api.test\n\n"),
    (403, "CONNECT evil.test:443 HTTP/1.1\nHost: evil.test:443\n\n"),
    (403, f"GET / HTTP/1.1\nHost: api.test\nX: {OTHER}\n\n"),
    (403, f"POST / HTTP/1.1\nHost: api.test\nContent-Length: {len(OTHER)}\n\n{OTHER}"),
    (431, "GET / HTTP/1.1\nHost: api.test\nX: " + "y" * 70000 + "\n\n"),
]


@pytest.mark.parametrize("status, text", REFUSED)
def test_refused_before_the_server_sees_a_byte(helper, server, status, text):
    server.talk = answer_all
    with dial(helper, server.address) as s:
        s.sendall(request(text + SMUGGLED))
        answer = read_all(s)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\n\r\nmicrosandbox: " in answer and b"Connection: close\r\n" in answer
    assert [bytes(c) for c in server.seen if c] == []


def test_a_refusal_reaches_a_client_that_is_still_sending(helper, server):
    server.talk = answer_all
    for head in ("Host: evil.test\n", f"Host: api.test\nX: {OTHER}\n"):
        with dial(helper, server.address) as s:
            answer = send_and_read(s, request(f"POST / HTTP/1.1\n{head}Content-Length: 8000000\n\n") + b"x" * 8000000)
            assert answer.startswith((b"HTTP/1.1 421", b"HTTP/1.1 403"))


def test_a_refusal_comes_behind_the_answers_before_it(helper, server):
    server.talk = answer_all
    good = "GET / HTTP/1.1\nHost: api.test\n\n"
    with dial(helper, server.address) as s:
        s.sendall(request(good * 3 + "GET / HTTP/1.1\nHost: evil.test\n\n" + SMUGGLED))
        answer = read_all(s)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"421"]
    assert bytes(server.seen[-1]) == request(good * 3)


def test_a_violation_within_a_body_cuts_the_connection(heads_only, server):
    server.talk = answer_all
    text = f"POST / HTTP/1.1\nHost: api.test\nTransfer-Encoding: chunked\n\n24\n{OTHER}\n0\n\n"
    before = heads_only.counts()["violation"]
    with dial(heads_only, server.address) as s:
        s.sendall(request(text))
        assert b"200" not in read_all(s)
    heads_only.wait(lambda: heads_only.counts()["violation"] == before + 1)
    assert all(OTHER.encode() not in c for c in server.seen)


# ---- pipelining -------------------------------------------------------------

def test_pipelined_requests_of_all_kinds(nginx, helper):
    (nginx.root / "file").write_text("file")
    one = (f"HEAD /file HTTP/1.1\nHost: api.test\n\n"
           f"POST /echo HTTP/1.1\nHost: api.test\nContent-Length: {len(KEY)}\n\n{KEY}"
           f"GET /file HTTP/1.1\nHost: api.test\nX: {KEY}\n\n"
           f"POST /echo HTTP/1.1\nHost: api.test\nTransfer-Encoding: chunked\n\n"
           f"{len(KEY):x}\n{KEY}\n0\n\n"
           f"GET /missing HTTP/1.1\nHost: api.test\n\n")
    n = 60  # 300 requests: more than may wait
    with dial(helper, nginx.address) as s:
        answer = send_and_read(s, request(one * n + "GET /file HTTP/1.1\nHost: api.test\nConnection: close\n\n"))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4 * n + 1
    assert answer.count(b"HTTP/1.1 404 Not Found\r\n") == n
    assert answer.count(VALUE.encode()) == 2 * n
    assert KEY.encode() not in answer


# ---- curl -------------------------------------------------------------------

def curl(h, address, *args, data=None):
    port = h.bridge(address)
    r = subprocess.run(["curl", "--http1.1", "-sS", "--max-time", "60", "--cacert", h.ca_file,
                        "--connect-to", f"::127.0.0.1:{port}", *args],
                       input=data, capture_output=True, timeout=90)
    assert r.returncode == 0, r.stderr
    return r.stdout


def test_curl_gets_and_uploads(nginx, helper):
    url = f"https://{HOST}/echo"
    blob = os.urandom(3 << 20)
    assert VALUE.encode() in curl(helper, nginx.address, "-H", f"Authorization: Bearer {KEY}", url)
    basic = base64.b64encode(f"x:{VALUE}".encode())
    assert basic in curl(helper, nginx.address, "-u", f"x:{KEY}", url)
    # One of a length, held until it is whole; curl waits for "100 Continue".
    got = curl(helper, nginx.address, "-H", "Expect: 100-continue", "--data-binary", "@-", url, data=blob)
    assert got.endswith(blob)
    # In chunks, each sent on at once.
    got = curl(helper, nginx.address, "-H", "Transfer-Encoding: chunked", "-T", "-", url, data=blob)
    assert got.endswith(blob)
    got = curl(helper, nginx.address, "-H", "Transfer-Encoding: chunked", "-T", "-", url,
               data=b"<" * 100000 + KEY.encode() + b">" * 100000)
    assert got.endswith(b"<" * 100000 + VALUE.encode() + b">" * 100000)
    # Larger than what is held: streamed.
    big = os.urandom(20 << 20)
    got = curl(helper, nginx.address, "-H", "Expect: 100-continue", "--data-binary", "@-", url, data=big)
    assert got.endswith(big)


def test_curl_gets_its_100_at_once(nginx, helper):
    """Else it would wait for as long as it is told here."""
    begin = time.monotonic()
    got = curl(helper, nginx.address, "-H", "Expect: 100-continue", "--expect100-timeout", "20",
               "-d", f"x={KEY}", f"https://{HOST}/echo")
    assert time.monotonic() - begin < 10
    assert f"x={requests.utils.quote(VALUE, safe='')}".encode() in got
    assert b"Expect" not in got


def test_curl_keeps_the_connection(nginx, helper):
    (nginx.root / "a").write_bytes(b"A" * 1000)
    out = curl(helper, nginx.address, "-w", "%{num_connects} ",
               *[f"https://{HOST}/a"] * 3, "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null")
    assert out == b"1 0 0 "


def test_curl_downloads(nginx, helper, tmp_path):
    blob = os.urandom(30 << 20)
    (nginx.root / "blob").write_bytes(blob)
    url = f"https://{HOST}/blob"
    assert curl(helper, nginx.address, url) == blob
    assert curl(helper, nginx.address, "-r", "1000-1999", url) == blob[1000:2000]
    assert curl(helper, nginx.address, "-I", url).startswith(b"HTTP/1.1 200")
    (nginx.root / "text").write_text("text " * 10000)
    assert curl(helper, nginx.address, "--compressed", f"https://{HOST}/text") == b"text " * 10000


def test_an_early_answer_reaches_the_client(nginx, heads_only, helper):
    for h in (heads_only, helper):
        got = curl(h, nginx.address, "-o", "/dev/null", "-w", "%{http_code}", "-H",
                   "Expect: 100-continue", "--data-binary", "@-", f"https://{HOST}/small",
                   data=b"x" * (2 << 20))
        assert got == b"413"


# ---- Python's clients -------------------------------------------------------

@pytest.fixture
def to_nginx(monkeypatch, nginx):
    """Python's connections to HOST go to the given helper's bridge."""
    real = socket.getaddrinfo

    def through(h):
        port = h.bridge(nginx.address)
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: real(
            "127.0.0.1", port, type=socket.SOCK_STREAM) if host == HOST else real(host, *a, **k))
    return through


def pieces():
    for i in range(50):
        yield b"%d " % i * 100
        if i == 25:
            yield KEY.encode()


def test_requests(helper, to_nginx):
    to_nginx(helper)
    url = f"https://{HOST}/echo"
    with requests.Session() as session:
        session.verify, session.trust_env = helper.ca_file, False
        for _ in range(3):
            r = session.get(url, params={"k": KEY}, headers={"X-Key": KEY}, auth=("me", KEY))
            assert r.status_code == 200 and f"X-Key: {VALUE}" in r.text
        r = session.post(url, json={"k": KEY, "n": list(range(1000))})
        assert VALUE in r.text.replace("\\/", "/") and "999]" in r.text
        r = session.post(url, data=pieces())
        assert r.content.endswith(b"".join(pieces()).replace(KEY.encode(), VALUE.encode()))
        r = session.post(url, data={"k": KEY, "l": "x y"})
        assert "k=" + requests.utils.quote(VALUE, safe="") + "&l=x+y" in r.text
        assert session.head(url).status_code == 200


def test_httpx(helper, to_nginx):
    to_nginx(helper)
    url = f"https://{HOST}/echo"
    with httpx.Client(verify=helper.ca_file, http2=False, trust_env=False) as client:
        for _ in range(3):
            r = client.get(url, headers={"X-Key": KEY})
            assert r.http_version == "HTTP/1.1" and f"X-Key: {VALUE}" in r.text
        r = client.post(url, content=pieces())
        assert r.content.endswith(b"".join(pieces()).replace(KEY.encode(), VALUE.encode()))


# ---- streams ----------------------------------------------------------------

LATE = 0.2  # what is held back is always later than this; a busy host only now and then


@pytest.mark.parametrize("mask", [False, True])
def test_events_come_at_once(helper, masking, server, mask):
    """Each is sent when the one before is there: one that is held back would be waited for in vain."""
    late, there = [], threading.Semaphore(0)

    def talk(tls, got):
        got()
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            data = b"data: %.6f %s\n\n" % (time.monotonic(), VALUE.encode())
            tls.sendall(b"%x\r\n%s\r\n" % (len(data), data))
            if not there.acquire(timeout=20):
                return
        got()  # the client's end
    server.talk = talk
    with dial(masking if mask else helper, server.address) as s:
        s.sendall(request("GET / HTTP/1.1\nHost: api.test\n\n"))
        data = b""
        while len(late) < 10:
            part = s.recv(65536)
            assert part
            data += part
            if data.count(b"data: ") > len(late) and data.endswith(b"\n\n\r\n"):
                late.append(time.monotonic() - float(data.rsplit(b"data: ", 1)[1].split(b" ")[0]))
                there.release()
    assert data.count(b"data: ") == 10 and min(late) < LATE, late
    assert (VALUE.encode() in data) != mask and (KEY.encode() in data) == mask


def test_an_upload_is_not_held_back(helper, server):
    """Chunks of a guest reach the server one by one, values in them."""
    came = []

    def talk(tls, got):
        data = b""
        while b"0\r\n\r\n" not in data:
            data += got()
            came.append((time.monotonic(), len(data)))
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        got()
    server.talk = talk
    took = []
    with dial(helper, server.address) as s:
        s.sendall(request("POST / HTTP/1.1\nHost: api.test\nTransfer-Encoding: chunked\n\n"))
        for _ in range(5):
            sent = time.monotonic()
            n = len(came)
            s.sendall(request(f"24\n{KEY}\n"))
            while len(came) == n and time.monotonic() - sent < 10:
                time.sleep(0.002)
            assert len(came) > n, "it waits for more"
            took.append(time.monotonic() - sent)
        assert min(took) < LATE, took
        s.sendall(b"0\r\n\r\n")
        assert read_until(s, b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert bytes(server.seen[-1]).count(VALUE.encode()) == 5


class HalfClosing:
    """A TLS client that can end its own direction and read on, which Python's
    sockets cannot."""

    def __init__(self, h, address):
        self.sock = h.flow("tls", HOST, server=address)
        self.to, self.back = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_tls(h).wrap_bio(self.back, self.to, server_hostname=HOST)
        self.do(self.tls.do_handshake)

    def do(self, what, *args):
        while True:
            try:
                done = what(*args)
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                self.back.write(data) if data else self.back.write_eof()

    def flush(self):
        if self.to.pending:
            self.sock.sendall(self.to.read())

    def end(self):
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            self.flush()

    def read_all(self):
        data = b""
        while True:
            try:
                part = self.do(self.tls.read, 65536)
            except ssl.SSLError:
                return data
            if not part:
                return data
            data += part


def test_a_client_that_ends_its_direction_gets_its_answer(helper, server):
    def talk(tls, got):
        while got():
            pass
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server.talk = talk
    text = request("GET / HTTP/1.1\nHost: api.test\n\n")
    client = HalfClosing(helper, server.address)
    client.do(client.tls.write, text)
    client.end()
    assert client.read_all().endswith(b"\r\n\r\nok")
    assert bytes(server.seen[-1]) == text


def test_a_client_that_ends_within_a_request_is_cut(helper, server):
    """The server must not take half a body for a whole one."""
    ended = []

    def talk(tls, got):
        try:
            while got():
                pass
            ended.append("properly")
        except (ssl.SSLError, ConnectionError):
            ended.append("cut")
    server.talk = talk
    client = HalfClosing(helper, server.address)
    client.do(client.tls.write, request("POST / HTTP/1.1\nHost: api.test\n"
                                        "Transfer-Encoding: chunked\n\n5\nhello\n"))
    client.end()
    client.read_all()
    end = time.monotonic() + 30
    while not ended and time.monotonic() < end:
        time.sleep(0.01)
    assert ended == ["cut"]


# ---- upgrades ---------------------------------------------------------------

def test_websockets(authority, helper):
    """A real client and a real server; messages both ways, also large ones."""
    async def serve(ws):
        await ws.send(ws.request_headers["X-Key"])
        async for message in ws:
            await ws.send(message)

    async def talk():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.sign(HOST))
        async with websockets.serve(serve, "127.0.0.1", 0, ssl=context, max_size=None) as server:
            port = helper.bridge(server.sockets[0].getsockname())
            async with websockets.connect(
                    f"wss://{HOST}/ws", host="127.0.0.1", port=port, ssl=client_tls(helper),
                    server_hostname=HOST, extra_headers={"X-Key": KEY}, max_size=None) as ws:
                assert await ws.recv() == VALUE
                for message in ("hello", b"\x00\xff", "x" * (3 << 20), os.urandom(1 << 20)):
                    await ws.send(message)
                    assert await ws.recv() == message
                for i in range(200):
                    await ws.send(str(i))
                assert [await ws.recv() for _ in range(200)] == [str(i) for i in range(200)]

    asyncio.run(asyncio.wait_for(talk(), 60))


def test_nothing_behind_an_upgrade_is_a_request(helper, server):
    """What is sent before the server has agreed is neither sent on nor given a
    value, if it agrees."""
    go = threading.Event()

    def talk(tls, got):
        got()
        go.wait(60)
        tls.sendall(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        while got():
            pass
    server.talk = talk
    up = request("GET / HTTP/1.1\nHost: api.test\nConnection: Upgrade\nUpgrade: x\n\n")
    behind = request(f"GET /{OTHER[:8]} HTTP/1.1\nHost: evil.test\n\n")
    with dial(helper, server.address) as s:
        s.sendall(up + behind)
        end = time.monotonic() + 30
        while (not server.seen or bytes(server.seen[-1]) != up) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.3)
        assert bytes(server.seen[-1]) == up
        go.set()
        assert b"101 Go" in read_until(s, b"\r\n\r\n")
        end = time.monotonic() + 30
        while bytes(server.seen[-1]) != up + behind and time.monotonic() < end:
            time.sleep(0.01)
        assert bytes(server.seen[-1]) == up + behind
        # And in there, a placeholder is one that nobody replaces.
        before = helper.counts()["violation"]
        s.sendall(f"x {KEY} y".encode())
        assert read_all(s) == b""
    helper.wait(lambda: helper.counts()["violation"] == before + 1)
    assert VALUE.encode() not in bytes(server.seen[-1])


# ---- masking ----------------------------------------------------------------

def test_an_echo_is_masked(nginx, masking):
    url = f"https://{HOST}/echo"
    before = masking.counts()["masked"]
    got = curl(masking, nginx.address, "--compressed", "-H", f"X-Key: {KEY}", "-d", KEY * 100, url)
    assert VALUE.encode() not in got and got.count(KEY.encode()) == 101
    assert b"Accept-Encoding: identity" in got
    masking.wait(lambda: masking.counts()["masked"] >= before + 101)


def test_masked_answers_keep_the_connection(nginx, masking):
    (nginx.root / "value").write_text(f"[{VALUE}]" * 10000)
    want = f"[{KEY}]".encode() * 10000
    port = masking.bridge(nginx.address)
    r = subprocess.run(["curl", "--http1.1", "-sS", "--cacert", masking.ca_file, "--connect-to",
                        f"::127.0.0.1:{port}", *[f"https://{HOST}/value"] * 3,
                        "-w", "%{stderr}%{num_connects} "], capture_output=True, timeout=60)
    assert r.stdout == want * 3 and r.stderr == b"1 0 0 "


# ---- many -------------------------------------------------------------------

def test_rotation_counts_from_the_next_request(authority, server):
    server.talk = answer_all
    text = request(f"GET / HTTP/1.1\nHost: api.test\nX: {KEY}\n\n")
    with start(authority) as h, dial(h, server.address) as s:
        s.sendall(text)
        read_until(s, b"\r\n\r\n")
        h.update(set=[dict(name="KEY", value="rotated", hosts=[HOST], placeholder=KEY, where=WHERE)])
        s.sendall(text)
        read_until(s, b"\r\n\r\n")
        h.update(remove=["KEY"])
        s.sendall(text)
        read_until(s, b"\r\n\r\n")
    seen = bytes(server.seen[-1])
    assert [part.split(b"\r\n")[0].decode() for part in seen.split(b"X: ")[1:]] == [VALUE, "rotated", KEY]


def test_no_value_in_what_was_said(helper, heads_only, masking):
    for h in (helper, heads_only, masking):
        assert VALUE not in h.log() and "never-to-be-seen" not in h.log()
        assert all(VALUE not in e["text"] for e in h.events)
        assert h.is_alive()
