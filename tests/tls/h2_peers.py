"""HTTP/2 peers for msb-tls: a server that says what came (python3-h2), and a
client that sends any frames (Raw)."""
import socket
import ssl
import struct
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIO = 1, 1, 4, 8, 32
(NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE, REFUSED,
 CANCEL, COMPRESSION, CONNECT_ERROR, CALM) = range(12)


# ---- a server ---------------------------------------------------------------

class Server:
    """/show: the request's head and body as text. /grpc: echoes each piece at
    once, then trailers. /events: three, each when .told says so. /hang: nothing. /bye:
    300000 bytes and the end of the connection; /cut: without a close_notify;
    /part: before the answer's end."""

    def __init__(self, authority, *names):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*authority.sign(*names))
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = self.listener.getsockname()
        self.seen = []  # heads, as dicts
        self.told = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Connection(self, self.context.wrap_socket(conn, server_side=True)).run()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            conn.close()


class Connection:
    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.heads, self.bodies, self.trailers, self.out = {}, {}, {}, {}
        self.lock = threading.Lock()
        self.last = None

    def run(self):
        self.h2.initiate_connection()
        self._flush()
        while data := self.sock.recv(65536):
            with self.lock:
                for event in self.h2.receive_data(data):
                    self._take(event)
                self._pump()
                self._flush()
            if self.last:
                return self._leave()

    def _leave(self):
        """With what the client still says read, so that no RST cuts our data."""
        if self.last == "/bye":
            try:
                self.sock = self.sock.unwrap()
            except ssl.SSLError:
                pass
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(10)
        while self.sock.recv(65536):
            pass

    def _flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def _take(self, event):
        sid = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            self.heads[sid], self.bodies[sid] = event.headers, b""
            self.server.seen.append(dict(event.headers))
            path = dict(event.headers)[":path"]
            if path == "/grpc":
                self.h2.send_headers(sid, [(":status", "200"), ("content-type", "application/grpc")])
            elif path == "/events":
                self.h2.send_headers(sid, [(":status", "200"), ("content-type", "text/event-stream")])
                threading.Thread(target=self._events, args=(sid,), daemon=True).start()
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, sid)
            if dict(self.heads[sid])[":path"] == "/grpc":
                self.out.setdefault(sid, [b"", False])[0] += event.data
            else:
                self.bodies[sid] += event.data
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[sid] = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            self._ended(sid)
        elif isinstance(event, h2.events.StreamReset):
            self.out.pop(sid, None)

    def _ended(self, sid):
        path = dict(self.heads[sid])[":path"]
        if path == "/grpc":
            self.out.setdefault(sid, [b"", False])[1] = True
        elif path.startswith("/show"):
            lines = self.heads[sid] + self.trailers.get(sid, [])
            text = "".join(f"{n}: {v}\n" for n, v in lines).encode() + b"\n" + self.bodies[sid]
            self.h2.send_headers(sid, [(":status", "200")])
            self.out[sid] = [text, True]
        elif path in ("/bye", "/cut", "/part"):
            self.h2.send_headers(sid, [(":status", "200")])
            for _ in range(30):
                self.h2.send_data(sid, b"x" * 10000)
            if path != "/part":
                self.h2.end_stream(sid)
                self.h2.close_connection()
            self.last = path
        elif not path.startswith(("/hang", "/events")):
            self.h2.send_headers(sid, [(":status", "404")], end_stream=True)

    def _pump(self):
        for sid, (data, end) in list(self.out.items()):
            while data:
                n = min(len(data), self.h2.local_flow_control_window(sid), self.h2.max_outbound_frame_size)
                if n == 0:
                    break
                self.h2.send_data(sid, data[:n])
                data = data[n:]
            self.out[sid][0] = data
            if end and not data:
                if dict(self.heads[sid])[":path"] == "/grpc":
                    self.h2.send_headers(sid, [("grpc-status", "0")], end_stream=True)
                else:
                    self.h2.end_stream(sid)
                del self.out[sid]

    def _events(self, sid):
        for i in range(3):
            if not self.server.told.acquire(timeout=20):
                return
            with self.lock:
                self.h2.send_data(sid, b"data: %d\n\n" % i, end_stream=i == 2)
                self._flush()


# ---- a client of frames ------------------------------------------------------

def frame(kind, flags=0, sid=0, payload=b"", length=None):
    n = len(payload) if length is None else length
    return struct.pack(">I", n)[1:] + bytes([kind, flags]) + struct.pack(">I", sid) + payload


def literal(*fields):
    """A header list that no table knows."""
    out = b""
    for name, value in fields:
        name, value = name.encode("latin-1"), value.encode("latin-1")
        out += b"\0" + integer(len(name)) + name + integer(len(value)) + value
    return out


def integer(n):
    if n < 127:
        return bytes([n])
    n, out = n - 127, b"\x7f"
    while n >= 128:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def usual(path="/show", authority="api.test", method="GET", scheme="https"):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]


def headers(sid=1, fields=None, flags=END_STREAM | END_HEADERS, more=(), **kw):
    return frame(HEADERS, flags, sid, literal(*(fields if fields is not None else usual(**kw)), *more))


class Raw:
    """.goaway, .resets {stream: code}, .heads {stream: [fields, ...]}, .bodies,
    .ended, .pings, .acks, .settings, .closed: what came."""

    def __init__(self, port, cafile, name="api.test", preface=PREFACE + frame(SETTINGS)):
        context = ssl.create_default_context(cafile=cafile)
        context.set_alpn_protocols(["h2"])
        self.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname=name)
        assert self.sock.selected_alpn_protocol() == "h2"
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.goaway, self.closed, self.acks = None, False, 0
        self.resets, self.heads, self.bodies, self.settings = {}, {}, {}, {}
        self.pings, self.ended, self.windows, self.data_sizes = [], set(), [], {}
        self.buffer = b""
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.send(preface)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def wait(self, condition, timeout=10):
        """True when it holds; false at the end of the connection, or of time."""
        end = time.monotonic() + timeout
        while not condition(self):
            left = end - time.monotonic()
            if self.closed or left <= 0:
                return False
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            self.closed = not data
            self.buffer += data
            self._frames()
        return True

    def settled(self):
        """What was sent has been dealt with: two pings, for the first may overtake."""
        for n in (b"settled1", b"settled2"):
            self.send(frame(PING, 0, 0, n))
            self.wait(lambda c, n=n: n in c.pings)
        return self

    def _frames(self):
        while len(self.buffer) >= 9:
            n = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + n:
                return
            kind, flags = self.buffer[3], self.buffer[4]
            sid = int.from_bytes(self.buffer[5:9], "big") & 0x7fffffff
            payload, self.buffer = self.buffer[9:9 + n], self.buffer[9 + n:]
            self._frame(kind, flags, sid, payload)

    def _frame(self, kind, flags, sid, payload):
        if kind == DATA:
            self.bodies[sid] = self.bodies.get(sid, b"") + payload
            self.data_sizes.setdefault(sid, []).append(len(payload))
        elif kind == HEADERS:
            assert flags & END_HEADERS
            self.heads.setdefault(sid, []).append(self.decoder.decode(payload))
        elif kind == RST:
            self.resets[sid], = struct.unpack(">I", payload)
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])[1]
        elif kind == SETTINGS and flags & ACK:
            self.acks += 1
        elif kind == SETTINGS:
            self.settings.update(struct.unpack(">HI", payload[i:i + 6]) for i in range(0, len(payload), 6))
            self.send(frame(SETTINGS, ACK))
        elif kind == PING and flags & ACK:
            self.pings.append(payload)
        elif kind == WINDOW:
            self.windows.append((sid, int.from_bytes(payload, "big")))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.add(sid)

    def status(self, sid):
        return int(dict(self.heads[sid][0])[":status"]) if sid in self.heads else None

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
