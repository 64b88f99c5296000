"""msb-tls without a machine: the real program, driven by this process in the
place of the library (setup, updates) and of msb-vmm's network (the link).

    from bridge import Helper

    with Helper(secrets=[dict(name="KEY", value=b"real", hosts=["api.test"])],
                roots=server_ca_pem) as h:
        h.ca                    # PEM that the guest would trust
        h.placeholder("KEY")    # what the guest would have in $KEY

        # (a) one flow, its guest's side as a connected socket
        s = h.flow("tls", "api.test", server=("127.0.0.1", 8443))

        # (b) a port of 127.0.0.1 for real clients: every connection is handed
        # over with the name in its ClientHello
        port = h.bridge(server=("127.0.0.1", 8443))
        # curl --cacert h.ca_file --connect-to ::127.0.0.1:PORT https://api.test/

        h.wait_event("violation")       # events: what, terminate, count, text
        h.update(set=[dict(name="KEY", value=b"new", hosts=["api.test"])])

Helper(...) starts the program and waits for the answer; SetupError has the
program's words when it refuses. Options as in src/proto/tls_setup.h:

    secrets         list of dicts: name, value (bytes or str; None: none
                    follows), hosts; placeholder (default: MSB_ and 32 hex),
                    where (["headers", "basic"]), mask, violation
    all, ports, block_quic, bypass, no_verify
    roots           PEM (text) of whom servers are checked against
    upstream_cas    [(PATTERN, PEM), ...]
    ca_cert, ca_key PEM of an authority of one's own
    request, values instead of all of these: the JSON (a dict, or bytes as they
                    are) and the values to send, right or wrong
    log             MSB_LOG of the program
    start           False: only start it, send nothing (setup() does)

What came over the link, in order: h.configs (dicts), h.aborts (ids), h.events
(dicts). h.wait_config(n), h.wait_abort(id), h.wait_event(what, n) wait for
them. h.log() is what it wrote to its standard error. h.pid. h.stop() returns
its exit code; the context manager does it, too. h.close_link() is the death of
msb-vmm; h.send_packet(bytes, fds) sends anything over the link.

The program is $MSB_TEST_BUILD/msb-tls (default: build/).
"""
import collections
import fcntl
import json
import os
import pathlib
import secrets as chance
import signal
import socket
import struct
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("MSB_TEST_BUILD", TOP / "build")) / "msb-tls"

CONFIG, FLOW, ABORT, EVENT = 1, 2, 3, 4
KINDS = {"tls": 1, "connect": 2}
WHATS = {1: "note", 2: "used", 3: "violation", 4: "refused", 5: "masked"}
FLOW_FORMAT = "=IBBHQ16s256s"
EVENT_FORMAT = "=IBBHI1004s"
PACKET_MAX = (128 << 10) + 64
assert struct.calcsize(FLOW_FORMAT) == 288
assert struct.calcsize(EVENT_FORMAT) == 1016


class SetupError(Exception):
    """The program refused what it was told; the text is its own."""


# ---- what goes over the sockets ---------------------------------------------

def secret_json(secret, placeholders):
    s = dict(secret)
    value = s.pop("value", None)
    name = s["name"]
    s.setdefault("placeholder", placeholders.get(name) or "MSB_" + chance.token_hex(16))
    s.setdefault("where", ["headers", "basic"])
    s.setdefault("mask", False)
    s.setdefault("violation", "block-and-log")
    placeholders[name] = s["placeholder"]
    return dict(s, value=value is not None), value


def as_bytes(value):
    return value.encode() if isinstance(value, str) else bytes(value)


def encode(request, values):
    text = request if isinstance(request, bytes) else json.dumps(request).encode()
    out = struct.pack("<I", len(text)) + text
    for v in values:
        v = as_bytes(v)
        out += struct.pack("<I", len(v)) + v
    return out


def read_exact(sock, n):
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        if not part:
            raise EOFError("the connection ended without an answer")
        data += part
    return data


def read_answer(sock):
    try:
        length, = struct.unpack("<I", read_exact(sock, 4))
        return json.loads(read_exact(sock, length))
    except ConnectionResetError:
        raise EOFError("the connection ended without an answer") from None


def send_all(sock, data):
    """Who refuses early closes early: then the answer tells, not this."""
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def sni_of(data):
    """The name in a ClientHello; "" if it has none, None: more is needed."""
    message = b""
    while len(data) >= 5:
        if data[0] != 22:
            return ""
        size = int.from_bytes(data[3:5], "big")
        if len(data) < 5 + size:
            return None
        message += data[5:5 + size]
        data = data[5 + size:]
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return _sni_in(message[4:])
    return None


def _sni_in(hello):
    at = 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 1 + hello[at]
    end = at + 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 2
    while at + 4 <= end:
        kind, size = struct.unpack(">HH", hello[at:at + 4])
        if kind == 0:
            length = int.from_bytes(hello[at + 7:at + 9], "big")
            return hello[at + 9:at + 9 + length].decode().lower().rstrip(".")
        at += 4 + size
    return ""


def authority_of(data):
    """(name, port) of a CONNECT; None: more is needed."""
    if b"\r\n" not in data:
        return None
    name, port = data.split(b" ")[1].rsplit(b":", 1)
    return name.decode().lower().rstrip("."), int(port)


def peek(conn, parse, limit=64 << 10, timeout=10):
    """What @parse finds in the first bytes, which stay where they are."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        data = conn.recv(limit, socket.MSG_PEEK)
        if not data:
            return None
        found = parse(data)
        if found is not None:
            return found
        time.sleep(0.005)
    return None


# ---- the program ------------------------------------------------------------

def spawn(program, fds, env):
    """@fds[n] becomes n, and nothing else is open in it. Its process id."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in fds]
    try:
        actions = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate(high)]
        return os.posix_spawn(program, ["msb-tls", "test"], env, file_actions=actions)
    finally:
        for fd in high:
            os.close(fd)


class Helper:
    def __init__(self, *, secrets=(), all=False, ports=(443,), block_quic=True,
                 bypass=(), no_verify=(), roots="", upstream_cas=(), ca_cert="",
                 ca_key=None, request=None, values=(), log="debug", env=None,
                 start=True, program=None):
        self._lock = threading.Condition()
        self.configs, self.aborts, self.events = [], [], []
        self.placeholders = {}
        self.ca = None
        self.code = None
        self._ids = 0
        self._listeners, self._sending = [], threading.Lock()
        self.folder = tempfile.TemporaryDirectory(prefix="msb-test-tls")
        self.sock_path = os.path.join(self.folder.name, "tls.sock")
        self._start(str(program or PROGRAM), dict(env or {}, MSB_LOG=log))
        try:
            if start:
                if request is None:
                    request, values = self.make_setup(
                        secrets, all, ports, block_quic, bypass, no_verify,
                        roots, upstream_cas, ca_cert, ca_key)
                self.setup(request, values)
        except BaseException:
            self.stop()
            raise

    def make_setup(self, secrets, all, ports, block_quic, bypass, no_verify,
                   roots, upstream_cas, ca_cert, ca_key):
        listed = [secret_json(s, self.placeholders) for s in secrets]
        request = dict(
            version=1, op="setup", all=all, ports=list(ports),
            block_quic=block_quic, bypass=list(bypass), roots=roots,
            upstream_cas=[dict(pattern=p, pem=pem) for p, pem in upstream_cas],
            no_verify=list(no_verify), ca_cert=ca_cert,
            secrets=[s for s, _ in listed])
        values = [v for _, v in listed if v is not None]
        return request, ([ca_key] if ca_cert else []) + values

    def _start(self, program, env):
        self.link, link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.setup_sock, setup = socket.socketpair()
        listen = socket.socket(socket.AF_UNIX)
        listen.bind(self.sock_path)
        listen.listen(16)
        self._err = open(os.path.join(self.folder.name, "stderr"), "wb+")
        null = os.open("/dev/null", os.O_RDONLY)
        self.pid = spawn(program, [null, self._err.fileno(), self._err.fileno(),
                                   link.fileno(), setup.fileno(), listen.fileno()], env)
        os.close(null)
        for s in (link, setup, listen):
            s.close()
        # Room for many events and hand-overs at once.
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._reader = threading.Thread(target=self._read_link, daemon=True)
        self._reader.start()

    def setup(self, request, values=()):
        send_all(self.setup_sock, encode(request, values))
        return self.read_setup_answer()

    def read_setup_answer(self):
        self.setup_sock.settimeout(30)
        try:
            answer = read_answer(self.setup_sock)
        except EOFError:
            self.stop()
            raise SetupError(f"no answer, exit {self.code}: {self.log()}") from None
        self.setup_sock.close()
        if not answer["ok"]:
            raise SetupError(answer["error"])
        self.ca = answer["ca"]
        self.ca_file = os.path.join(self.folder.name, "ca.pem")
        pathlib.Path(self.ca_file).write_text(self.ca)
        self.wait_config(1)
        return answer

    # ---- updates

    def update(self, set=(), remove=()):
        listed = [secret_json(s, dict(self.placeholders)) for s in set]
        request = dict(version=1, op="update", set=[s for s, _ in listed], remove=list(remove))
        answer = self.ask(encode(request, [v for _, v in listed if v is not None]))
        if not answer["ok"]:
            raise SetupError(answer["error"])
        for s, _ in listed:
            self.placeholders[s["name"]] = s["placeholder"]
        return answer

    def ask(self, data):
        """Bytes over tls.sock as they are; the answer."""
        with self.connect() as s:
            send_all(s, data)
            return read_answer(s)

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(self.sock_path)
        return s

    def placeholder(self, name):
        return self.placeholders[name]

    # ---- the link

    def _read_link(self):
        while True:
            try:
                packet, fds, _, _ = socket.recv_fds(self.link, PACKET_MAX, 4)
            except OSError:
                return
            for fd in fds:
                os.close(fd)
            if not packet:
                return
            with self._lock:
                self._take(packet)
                self._lock.notify_all()

    def _take(self, packet):
        kind, = struct.unpack_from("=I", packet)
        if kind == CONFIG:
            self.configs.append(json.loads(packet[4:]))
        elif kind == ABORT:
            self.aborts.append(struct.unpack("=IIQ", packet)[2])
        elif kind == EVENT:
            _, what, flags, zero, count, text = struct.unpack(EVENT_FORMAT, packet)
            assert flags in (0, 1) and zero == 0
            self.events.append(dict(what=WHATS[what], terminate=bool(flags), count=count,
                                    text=text.split(b"\0")[0].decode("ascii")))
        else:
            raise AssertionError(f"a packet of type {kind}")

    def wait(self, condition, timeout=30, what="it"):
        with self._lock:
            found = self._lock.wait_for(condition, timeout)
        assert found, f"{what} did not come; events {self.events}, aborts {self.aborts}; {self.log()}"
        return found

    def wait_config(self, n, timeout=30):
        self.wait(lambda: len(self.configs) >= n, timeout, f"config {n}")
        return self.configs[n - 1]

    def wait_abort(self, flow_id, timeout=30):
        self.wait(lambda: flow_id in self.aborts, timeout, f"the abort of {flow_id}")

    def wait_event(self, what, n=1, timeout=30):
        """The @n-th event of a kind."""
        found = lambda: [e for e in self.events if e["what"] == what]  # noqa: E731
        self.wait(lambda: len(found()) >= n, timeout, f"event {what} {n}")
        return found()[n - 1]

    def counts(self):
        """The sums of all events by kind."""
        with self._lock:
            sums = collections.Counter()
            for e in self.events:
                sums[e["what"]] += e["count"]
            return sums

    def send_packet(self, data, fds=()):
        with self._sending:
            if fds:
                socket.send_fds(self.link, [data], list(fds))
            else:
                self.link.send(data)

    def next_id(self):
        with self._sending:
            self._ids += 1
            return self._ids

    def hand_over(self, guest, server, kind="tls", name="", port=443, pinned=True):
        """Both sockets (or descriptors) are given away. The flow's id."""
        peer = bytes(10) + b"\xff\xff" + bytes(4)
        if isinstance(server, socket.socket) and server.family == socket.AF_INET:
            try:
                peer = peer[:12] + socket.inet_aton(server.getpeername()[0])
            except OSError:  # it has gone away already
                pass
        with self._sending:  # ids must come in their order
            self._ids += 1
            flow_id = self._ids
            packet = struct.pack(FLOW_FORMAT, FLOW, KINDS[kind], pinned, port, flow_id,
                                 peer, name.encode())
            fds = [s if isinstance(s, int) else s.fileno() for s in (guest, server)]
            socket.send_fds(self.link, [packet], fds)
        for s in (guest, server):
            os.close(s) if isinstance(s, int) else s.close()
        return flow_id

    def flow(self, kind="tls", name="", port=443, pinned=True, server=None):
        """One flow to @server, an address or a connected socket; the guest's
        side of it. Its number is .flow_id."""
        if not isinstance(server, socket.socket):
            server = socket.create_connection(server, 10)
        server.setblocking(False)
        ours, theirs = GuestSocket.pair()
        ours.flow_id = self.hand_over(theirs, server, kind, name, port, pinned)
        return ours

    # ---- a port

    def bridge(self, server, name=None, kind="tls", port=443, pinned=True, host="127.0.0.1"):
        """Listen at a new port of @host; every connection becomes a flow to
        @server: an address, or a function of the name. @name None: the one in
        its ClientHello (kind connect: in its CONNECT). Returns the port."""
        listener = socket.create_server((host, 0), backlog=1024)
        self._listeners.append(listener)
        args = (server, name, kind, port, pinned)
        threading.Thread(target=self._accept, args=(listener, args), daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener, args):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            if args[1] is not None:  # nothing to wait for
                self._serve(conn, *args)
            else:
                threading.Thread(target=self._serve, args=(conn, *args), daemon=True).start()

    def _serve(self, conn, server, name, kind, port, pinned):
        upstream = None
        try:
            if name is None and kind == "connect":
                name, port = peek(conn, authority_of) or ("", port)
            elif name is None:
                name = peek(conn, sni_of) or ""
            address = server(name) if callable(server) else server
            upstream = socket.create_connection(address, 10)
            for s in (conn, upstream):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.setblocking(False)
            self.hand_over(conn, upstream, kind, name, port, pinned)
        except OSError:
            conn.close()
            if upstream:
                upstream.close()

    # ---- life

    def log(self):
        return pathlib.Path(self._err.name).read_text(errors="replace") if not self._err.closed else self._log

    def is_alive(self):
        return self._poll() is None

    def _poll(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait_exit(self, timeout=30):
        end = time.monotonic() + timeout
        while self._poll() is None:
            assert time.monotonic() < end, f"msb-tls does not end: {self.log()}"
            time.sleep(0.005)
        return self.code

    def close_link(self):
        try:
            self.link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.link.close()

    def stop(self):
        """End it as msb-vmm's death would; its exit code (negative: signal)."""
        if self._err.closed:
            return self.code
        for listener in self._listeners:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        self.setup_sock.close()
        self.close_link()
        try:
            self.wait_exit()
        except AssertionError:
            os.kill(self.pid, signal.SIGKILL)
            self.wait_exit()
        self._reader.join(5)
        self._log = self.log()
        self._err.close()
        self.folder.cleanup()
        for bad in ("AddressSanitizer", "runtime error:", "the cage stopped"):
            assert bad not in self._log, self._log
        return self.code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class GuestSocket(socket.socket):
    """The guest's side of a flow."""
    __slots__ = ("flow_id",)

    @classmethod
    def pair(cls):
        a, b = socket.socketpair()
        ours = cls(fileno=a.detach())
        ours.settimeout(20)
        b.setblocking(False)
        return ours, b
