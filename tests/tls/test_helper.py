"""msb-tls as a process: its start and end, who may tell it what, what others of
its user see of it, and where values are not."""
import base64
import ctypes
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest
from bridge import PROGRAM, Helper, SetupError, encode, read_answer
from servers import Authority, Echo

VALUE = b"canary-" + os.urandom(12).hex().encode() + b"-value"
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root may look")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server for api.test and other.test, and its authority."""
    authority = Authority(tmp_path_factory.mktemp("servers"))
    with Echo(authority, "api.test", "other.test") as server:
        server.authority = authority
        yield server


def helper(world=None, **more):
    more.setdefault("secrets", [dict(name="KEY", value=VALUE, hosts=["api.test"],
                                     where=["headers", "basic", "query", "body"])])
    return Helper(roots=world.authority.pem if world else "", **more)


def soon(what):
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


class Guest(http.client.HTTPSConnection):
    """A client in the guest's place, over a flow of its own."""

    def __init__(self, h, world, name="api.test"):
        context = ssl.create_default_context(cadata=h.ca)
        super().__init__(name, context=context)
        raw = h.flow("tls", name, server=world.server_address)
        self.flow_id = raw.flow_id
        self.sock = context.wrap_socket(raw, server_hostname=name)

    def ask(self, target="/", body=None, method="POST", **headers):
        self.request(method, target, body, headers)
        answer = self.getresponse()
        return answer.status, answer.read()


# ---- start and end -----------------------------------------------------------

def test_it_starts_and_ends_with_its_link():
    begin = time.monotonic()
    h = helper()
    print(f"ready after {(time.monotonic() - begin) * 1000:.1f} ms")
    assert h.ca.startswith("-----BEGIN CERTIFICATE-----")
    config = h.configs[0]
    assert config["intercept"] == ["api.test"] and config["ports"] == [443]
    assert config["placeholders"] == [dict(name="KEY", text=h.placeholder("KEY"), violation="block-and-log")]
    assert VALUE.decode() not in json.dumps(config)
    h.close_link()
    assert h.wait_exit(20) == 0
    h.stop()


def test_it_ends_with_its_link_while_flows_are_open(world):
    h = helper(world)
    guests = [Guest(h, world) for _ in range(5)]
    assert guests[0].ask()[0] == 200
    h.close_link()
    assert h.wait_exit(20) == 0
    for g in guests:
        with pytest.raises((OSError, http.client.HTTPException)):
            g.ask()
    h.stop()


def test_it_ends_when_its_starter_does_before_the_setup():
    h = Helper(start=False)
    h.setup_sock.close()
    assert h.wait_exit(20) == 1
    h.stop()


def test_who_starts_it_and_says_nothing_is_left_in_time():
    h = Helper(start=False)
    h.setup_sock.sendall(b"\x40\0\0\0{")
    begin = time.monotonic()
    assert h.wait_exit(20) == 1
    assert 4 < time.monotonic() - begin < 15
    answer = read_answer(h.setup_sock)
    assert not answer["ok"] and "whole request" in answer["error"]
    h.stop()


def test_by_hand_it_says_who_starts_it():
    r = subprocess.run([PROGRAM], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=10)
    assert r.returncode == 1 and "started by msb alone" in r.stderr


# ---- hosts that allow more, or less -------------------------------------------

NO_USER_NAMESPACES = "unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec %s'"


@needs_root
@pytest.mark.parametrize("how, missing", [
    ("unshare -Urpf {}", []),  # as the library's clone() starts it
    ("setpriv --reuid 65534 --regid 65534 --clear-groups {}", []),
    (NO_USER_NAMESPACES % "{}", ["users"]),
    (NO_USER_NAMESPACES % "setpriv --bounding-set -all --inh-caps -all {}",
     ["users", "network", "ipc", "name", "files"]),
])
def test_it_works_with_the_walls_that_the_host_allows(world, tmp_path, how, missing):
    tmp_path.chmod(0o755)
    script = tmp_path / "start"
    script.write_text("#!/bin/sh\nexec " + how.format(PROGRAM) + "\n")
    script.chmod(0o755)
    with helper(world, program=script) as h:
        assert VALUE in Guest(h, world).ask(Authorization=h.placeholder("KEY"))[1]
        assert re.findall(r"let us leave the host's (\w+)", h.log()) == missing
        kids = pathlib.Path(f"/proc/{h.pid}/task/{h.pid}/children").read_text().split()
        h.pid, own = int(kids[0]) if kids else h.pid, h.pid
        status = status_of(h)
        h.pid = own
        assert status["Seccomp"] == "2" and int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0


@needs_root
def test_without_locked_memory_it_works_and_says_so(world, tmp_path):
    tmp_path.chmod(0o755)
    script = tmp_path / "start"
    script.write_text("#!/bin/sh\nulimit -l 0\n"
                      f"exec setpriv --reuid 65534 --regid 65534 --clear-groups {PROGRAM}\n")
    script.chmod(0o755)
    with helper(world, program=script) as h:
        assert VALUE in Guest(h, world).ask(Authorization=h.placeholder("KEY"))[1]
        assert h.log().count("may be swapped out") == 1


# ---- the setup ---------------------------------------------------------------

GOOD = dict(version=1, op="setup", all=False, ports=[443], block_quic=True, bypass=[], roots="",
            upstream_cas=[], no_verify=[], ca_cert="", secrets=[])
SECRET = dict(name="KEY", placeholder="MSB_key", hosts=["a.test"], where=["headers"], mask=False,
              violation="block", value=True)


@pytest.mark.parametrize("request_, values, words", [
    (b"{", [], "not valid JSON"),
    (dict(GOOD, version=2), [], "version"),
    (dict(GOOD, op="update"), [], "op"),
    (dict(GOOD, extra=1), [], "unknown key"),
    (dict(GOOD, ports=[0]), [], "65535"),
    (dict(GOOD, roots="no PEM"), [], ""),
    (dict(GOOD, upstream_cas=[dict(pattern="*", pem="-----BEGIN CERTIFICATE-----\nAAAA\n")]), [], ""),
    (dict(GOOD, ca_cert="no PEM"), [VALUE], ""),
    (dict(GOOD, secrets=[SECRET, dict(SECRET, placeholder="MSB_2")]), [], "KEY is there twice"),
    (dict(GOOD, secrets=[SECRET, dict(SECRET, name="B")]), [], "same placeholder"),
    (dict(GOOD, secrets=[SECRET, dict(SECRET, name="B", placeholder="MSB_key2")]), [], "beginning"),
    (dict(GOOD, secrets=[dict(SECRET, hosts=["10.0.0.1"])]), [], "NAME"),
    (dict(GOOD, secrets=[dict(SECRET, value=False)]), [], "no value"),
    (dict(GOOD, secrets=[SECRET]), [b""], "empty"),
    (dict(GOOD, secrets=[SECRET]), [VALUE + b"\0"], "zero byte"),
    (dict(GOOD, secrets=[SECRET]), [b"v" * 65537], "65536"),
    (dict(GOOD, secrets=[SECRET]), [b"MSB_key"], "placeholder"),
    (dict(GOOD, secrets=[dict(SECRET, name=f"N{i}", placeholder=f"MSB_{i:03}") for i in range(65)]), [], "64"),
])
def test_a_wrong_setup_is_refused_in_words(request_, values, words):
    h = Helper(start=False)
    with pytest.raises(SetupError) as e:
        h.setup(request_, values)
    assert words in str(e.value) and VALUE.decode() not in str(e.value)
    assert h.wait_exit(20) == 1
    assert VALUE.decode() not in h.log()
    h.stop()


def test_a_setup_too_long_is_refused_before_it_is_read():
    h = Helper(start=False)
    h.setup_sock.sendall(struct.pack("<I", (4 << 20) + 1))
    with pytest.raises(SetupError, match="refuses a request of"):
        h.read_setup_answer()
    h.stop()


def test_an_authority_of_ones_own_is_used(tmp_path, world):
    own = Authority(tmp_path)
    with helper(world, ca_cert=own.pem, ca_key=(tmp_path / "ca.key").read_bytes()) as h:
        assert ssl.PEM_cert_to_DER_cert(h.ca) == ssl.PEM_cert_to_DER_cert(own.pem)
        assert Guest(h, world).ask()[0] == 200


# ---- updates -----------------------------------------------------------------

def test_a_value_rotates_under_open_connections(world):
    with helper(world) as h:
        key = h.placeholder("KEY")
        guest = Guest(h, world)
        assert VALUE in guest.ask(Authorization=f"Bearer {key}")[1]
        h.update(set=[dict(name="KEY", value=b"the-second", hosts=["api.test"])])
        answer = guest.ask(Authorization=f"Bearer {key}")[1]
        assert b"Bearer the-second\n" in answer and VALUE not in answer
        h.update(set=[dict(name="KEY", value=b"the-second", hosts=["other.test"])])
        status, answer = guest.ask(Authorization=f"Bearer {key}")
        assert status == 403 and b"the-second" not in answer
        assert b"the-second" in Guest(h, world, "other.test").ask(Authorization=f"Bearer {key}")[1]
        h.update(remove=["KEY"])
        assert h.wait_config(4)["placeholders"] == []
        # It is not looked for any more: what the guest has is just a text.
        assert key.encode() in Guest(h, world, "other.test").ask(Authorization=f"Bearer {key}")[1]


def test_a_request_ends_with_the_value_that_it_began_with(world):
    with helper(world) as h:
        key = h.placeholder("KEY").encode()
        guest = Guest(h, world)
        guest.putrequest("POST", "/")
        guest.putheader("Transfer-Encoding", "chunked")
        guest.putheader("Content-Type", "text/plain")
        guest.endheaders()
        before = world.chunks
        guest.send(b"%x\r\nfirst %s\r\n" % (len(key) + 6, key))
        soon(lambda: world.chunks > before)
        h.update(set=[dict(name="KEY", value=b"rotated", hosts=["api.test"], where=["body"])])
        guest.send(b"%x\r\n last %s\r\n0\r\n\r\n" % (len(key) + 6, key))
        answer = guest.getresponse().read()
        assert b"first " + VALUE + b" last " + VALUE in answer


def test_wrong_updates_change_nothing(world):
    with helper(world) as h:
        for request, values, words in [
                (dict(GOOD), [], "update"),
                (b"[]", [], "no object"),
                (dict(version=1, op="update", set=[], remove=["NONE"]), [], "no secret NONE"),
                (dict(version=1, op="update", set=[dict(SECRET, name="NEW", value=False)], remove=[]), [], "no value"),
                (dict(version=1, op="update", set=[SECRET], remove=[]), [b""], "empty"),
                (dict(version=1, op="update", set=[SECRET], remove=["KEY"]), [b"v"], "both"),
                (dict(version=1, op="get", name="KEY"), [], "update")]:
            answer = h.ask(encode(request, values))
            assert not answer["ok"] and words in answer["error"], answer
        assert len(h.configs) == 1
        assert VALUE in Guest(h, world).ask(Authorization=h.placeholder("KEY"))[1]


def test_slow_clients_stop_neither_flows_nor_updates(world):
    with helper(world) as h:
        slow = [h.connect() for _ in range(3)]
        for s in slow:
            s.sendall(b"\xff\0\0\0{")
        begin = time.monotonic()
        assert Guest(h, world).ask()[0] == 200
        h.update(set=[dict(name="KEY", value=b"second", hosts=["api.test"])])
        assert time.monotonic() - begin < 4
        for s in slow:
            assert s.recv(1) == b""  # in their time
            s.close()


def as_nobody(run):
    """What @run returns (an exit code) in a process of another user."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            os._exit(run())
        except BaseException:
            os._exit(120)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_root
def test_another_user_is_not_heard():
    with helper() as h:
        os.chmod(h.folder.name, 0o755)
        os.chmod(h.sock_path, 0o666)

        def ask():
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(10)
            s.connect(h.sock_path)
            return 0 if s.recv(1) == b"" else 1
        assert as_nobody(ask) == 0
        assert "another user" in h.log()
        h.update(remove=["KEY"])


# ---- the link ----------------------------------------------------------------

def test_wrong_packets_cost_a_flow_not_the_process(world):
    with helper(world) as h:
        for i, data in enumerate([b"x", bytes(288), b"\xff" * 288, bytes(100000),
                                  struct.pack("=IIQ", 3, 0, 5), struct.pack("=IBBHQ16s256s", 2, 7, 1, 443, 1, b"", b"a")]):
            a, b = socket.socketpair()
            h.send_packet(data, [a.fileno(), b.fileno()] * (i % 3))
            a.close()
            b.settimeout(5)
            if i % 3:
                assert b.recv(1) == b""  # it kept no copy
            b.close()
        h.wait_abort(1)
        h._ids = 1
        assert Guest(h, world).ask()[0] == 200
        assert "a wrong flow" in h.log()


# ---- what others see ---------------------------------------------------------

def status_of(h):
    text = pathlib.Path(f"/proc/{h.pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def test_it_has_no_rights(world):
    with helper(world) as h:
        Guest(h, world).ask()
        status = status_of(h)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and status["Threads"] == "1"
        for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[caps], 16) == 0
        limits = pathlib.Path(f"/proc/{h.pid}/limits").read_text()
        assert re.search(r"^Max core file size\s+0\s+0", limits, re.M)
        assert re.search(r"^Max processes\s+0\s+0", limits, re.M)


@needs_root
def test_it_is_in_namespaces_of_its_own_with_nothing_in_them(world):
    with helper(world) as h:
        Guest(h, world).ask()
        for space in ("user", "mnt", "net", "ipc", "uts"):
            ours, its = (os.readlink(f"/proc/{p}/ns/{space}") for p in ("self", h.pid))
            assert ours != its, space
        assert os.listdir(f"/proc/{h.pid}/root/") == []
        with pytest.raises(OSError):
            open(f"/proc/{h.pid}/root/x", "w")
        devices = pathlib.Path(f"/proc/{h.pid}/net/dev").read_text()
        assert re.findall(r"^\s*(\S+):", devices, re.M) == ["lo"]


@needs_root
def test_it_holds_no_file_but_its_sockets(world):
    with helper(world) as h:
        guest = Guest(h, world)
        guest.ask()
        fds = {int(n): os.readlink(f"/proc/{h.pid}/fd/{n}") for n in os.listdir(f"/proc/{h.pid}/fd")}
        assert fds.pop(0) == "/dev/null" and fds.pop(1) == fds.pop(2) == h._err.name
        assert all(re.match(r"socket:|anon_inode:\[event(poll|fd)\]", at) for at in fds.values()), fds
        assert len(fds) == 2 + 2 + 2  # link, tls.sock; the loop; one flow
        guest.close()
        soon(lambda: len(os.listdir(f"/proc/{h.pid}/fd")) == 7)


@needs_root
def test_no_value_in_its_arguments_or_environment(world):
    with helper(world, env=dict(CANARY="an environment", PATH="/bin")) as h:
        Guest(h, world).ask(Authorization=h.placeholder("KEY"))
        for name in ("cmdline", "environ", "status", "comm"):
            data = pathlib.Path(f"/proc/{h.pid}/{name}").read_bytes()
            assert VALUE not in data
            if name == "environ":
                assert not data.strip(b"\0"), data


def without_capabilities(run):
    """What @run returns in a process of this user that has no rights."""
    pid = os.fork()
    if pid == 0:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            nothing = (ctypes.c_uint32 * 6)()
            if libc.capset(header, nothing) != 0:
                os._exit(121)
            os._exit(run())
        except BaseException:
            os._exit(120)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_its_own_user_cannot_look_into_it():
    """... and could, were it not for that wall: the same look at another."""
    def look(pid):
        found = 0
        for bit, name in enumerate(("mem", "environ", "maps", "fd")):
            try:
                path = f"/proc/{pid}/{name}"
                if name == "fd":
                    os.readlink(path + "/0")
                elif name == "mem":
                    os.close(os.open(path, os.O_RDONLY))
                else:
                    open(path, "rb").read()
                found |= 1 << bit
            except PermissionError:
                pass
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(0x4206, pid, 0, 0) == 0:  # PTRACE_SEIZE
            found |= 1 << 4
        return found

    ready, tell = os.pipe()
    other = os.fork()
    if other == 0:
        without_capabilities(lambda: os.write(tell, str(os.getpid()).encode()) and time.sleep(60) or 0)
        os._exit(0)
    pid = int(os.read(ready, 20))
    try:
        with helper() as h:
            assert without_capabilities(lambda: look(h.pid)) == 0
            assert without_capabilities(lambda: look(pid)) & 15 == 15
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(other, 0)
        os.close(ready)
        os.close(tell)


# ---- where values are --------------------------------------------------------

def regions(pid):
    """(begin, end, flags) of all that can be read."""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) .*?(\[\w+\])?$", line)
        if m:
            now = [int(m[1], 16), int(m[2], 16), m[3], m[4]]
        elif line.startswith("VmFlags:") and now[2][0] == "r" and not (now[3] or "").startswith(("[vv", "[vs")):
            found.append((now[0], now[1], line.split()[1:]))
    return found


def find(pid, *texts):
    """[(address, flags of its pages)] of every place that has one of them."""
    hits = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for begin, end, flags in regions(pid):
            mem.seek(begin)
            data = mem.read(end - begin)
            assert len(data) == end - begin
            for text in texts:
                at = data.find(text)
                while at >= 0:
                    hits.append((begin + at, flags))
                    at = data.find(text, at + 1)
    return hits


def nowhere_soon(pid, *texts):
    """What connections that have just ended held is wiped with them."""
    soon(lambda: find(pid, *texts) == [])


@needs_root
def test_a_value_is_in_locked_pages_and_nowhere_else():
    with helper() as h:
        hits = find(h.pid, VALUE)
        assert len(hits) == 1, hits
        flags = hits[0][1]
        assert "lo" in flags and "dd" in flags and "wf" in flags
        assert int(status_of(h)["VmLck"].split()[0]) >= 4
        # A rotation takes the old one away, an update that keeps it does not copy.
        h.update(set=[dict(name="KEY", value=None, hosts=["api.test"]),
                      dict(name="NEW", value=VALUE[::-1], hosts=["a.test"])])
        assert len(find(h.pid, VALUE)) == 1 and len(find(h.pid, VALUE[::-1])) == 1
        h.update(remove=["KEY"])
        assert find(h.pid, VALUE) == []
        h.update(set=[dict(name="NEW", value=b"other", hosts=["a.test"])])
        assert find(h.pid, VALUE[::-1]) == []


@needs_root
def test_the_authoritys_key_of_the_user_is_not_left_as_text(tmp_path):
    own = Authority(tmp_path)
    key = (tmp_path / "ca.key").read_bytes()
    with helper(ca_cert=own.pem, ca_key=key) as h:
        assert find(h.pid, key[40:100]) == []


def forms(value):
    """What a value looks like in places that encode it."""
    basic = base64.b64encode(b"user:" + value)
    return value, basic[8:-4], base64.b64encode(value)[:-4]


def use_everywhere(guest, key):
    """Every place once; the server got it each time."""
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    for target, body, headers in [
            ("/", None, {"Authorization": f"Bearer {key}"}),
            ("/", None, {"Authorization": f"Basic {basic}"}),
            (f"/x?a={key}&b={key}", None, {}),
            ("/", f"text {key} text", {"Content-Type": "text/plain"}),
            ("/", json.dumps({"key": key, "x": "y" * 50000}), {"Content-Type": "application/json"}),
            ("/", f"a=b&key={key}", {"Content-Type": "application/x-www-form-urlencoded"}),
            ("/", iter([b"one ", key.encode()[:9], key.encode()[9:], b" two"]), {"Content-Type": "text/plain"})]:
        status, answer = guest.ask(target, body, **headers)
        assert status == 200, answer
        assert any(f in answer for f in forms(VALUE)), (target, answer)


@needs_root
def test_after_a_removal_the_value_is_nowhere(world):
    with helper(world) as h:
        key = h.placeholder("KEY")
        guests = [Guest(h, world) for _ in range(3)]
        for guest in guests:
            use_everywhere(guest, key)
        guests[2].close()
        Guest(h, world, "other.test").ask(Authorization=key)  # a violation
        h.update(remove=["KEY"])
        # Two connections are still open.
        nowhere_soon(h.pid, *forms(VALUE))
        for guest in guests[:2]:
            guest.close()


@needs_root
def test_after_http2_the_value_is_nowhere(world, tmp_path):
    cert, key = world.authority.sign("h2.test")
    (tmp_path / "conf").write_text(f"""daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path}; fastcgi_temp_path {tmp_path};
  uwsgi_temp_path {tmp_path}; scgi_temp_path {tmp_path};
  server {{ listen unix:{tmp_path}/sock ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ return 200 "$server_protocol $http_authorization $args"; }} }} }}
""")
    nginx = subprocess.Popen(["nginx", "-c", tmp_path / "conf", "-e", tmp_path / "error"])
    try:
        end = time.monotonic() + 10
        while not (tmp_path / "sock").exists() and time.monotonic() < end:
            time.sleep(0.02)
        with socket.create_server(("127.0.0.1", 0)) as front:
            h2_through(front, tmp_path / "sock", world)
    finally:
        nginx.send_signal(signal.SIGTERM)
        nginx.wait(10)


def h2_through(front, sock, world):
    def dial():
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(sock))
        return s

    with helper(world, secrets=[dict(name="KEY", value=VALUE, hosts=["h2.test"], where=["headers", "query"])]) as h:
        port = front.getsockname()[1]
        curl = subprocess.Popen(
            ["curl", "-sS", "-m", "20", "--http2", "--cacert", h.ca_file, "--connect-to", f"::127.0.0.1:{port}",
             "-H", f"Authorization: Bearer {h.placeholder('KEY')}"] +
            [f"https://h2.test/x?k={h.placeholder('KEY')}&n={n}" for n in range(20)],
            stdout=subprocess.PIPE, text=True)
        conn, _ = front.accept()
        upstream = dial()
        for s in (conn, upstream):
            s.setblocking(False)
        h.hand_over(conn, upstream, "tls", "h2.test")
        out = curl.communicate(timeout=30)[0]
        assert curl.returncode == 0
        value = VALUE.decode()
        assert out.count(f"HTTP/2.0 Bearer {value} k={value}") == 20, out[:300]
        h.update(remove=["KEY"])
        nowhere_soon(h.pid, *forms(VALUE))


def test_its_log_has_no_value(world):
    with helper(world, log="trace") as h:
        key = h.placeholder("KEY")
        use_everywhere(Guest(h, world), key)
        Guest(h, world, "other.test").ask(Authorization=key)
        h.wait_event("violation")
        assert h.counts()["used"] >= 7
        for form in forms(VALUE):
            assert form.decode() not in h.log()
            assert form.decode() not in json.dumps(h.events)
