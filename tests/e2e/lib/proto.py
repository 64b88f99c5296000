"""The wire protocol of src/proto/proto.h, written a second time from its text.

A message is a dict of its fields; encode() makes a frame, Decoder takes bytes and gives messages.
"""
import struct

PORT_AGENT = 1025
STDIN_WINDOW = 128 << 10

_INTS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i32": "<i"}

# number, name, fields
MESSAGES = [
    (1, "HELLO", "u32 version, u64 boot_ns, u64 since_init_ns"),
    (2, "BOOT", "u32 version, u64 unix_ns, str hostname, str root_serial, str upper_serial, bytes entropy, "
               "strs scripts, strs init, strs init_env, str root_type, u64 upper_bytes, strs mounts, "
               "strs net, bytes cas"),
    (3, "READY", "u64 since_init_ns, str agent_version"),
    (4, "FAILED", "str stage, i32 error, str message"),
    (5, "SHUTDOWN", "u32 timeout_ms"),
    (6, "CLOCK", "u64 unix_ns"),
    (7, "PING", "u64 cookie"),
    (8, "PONG", "u64 cookie"),
    (16, "EXEC", "strs argv, strs env, str cwd, str user, strs rlimits, u8 tty, u16 rows, u16 cols, u8 want_stdin"),
    (17, "STARTED", "u32 pid"),
    (18, "EXEC_FAILED", "str stage, i32 error, str message"),
    (19, "STDIN", "bytes data"),
    (20, "STDIN_ACK", "u32 count"),
    (21, "STDOUT", "bytes data"),
    (22, "STDERR", "bytes data"),
    (23, "SIGNAL", "u32 signo"),
    (24, "RESIZE", "u16 rows, u16 cols"),
    (25, "EXITED", "i32 code, u32 signo"),
    (32, "FILE_REQ", "u8 op, str path, str path2, u32 flags, u32 mode, u32 uid, u32 gid, u64 offset, u64 length"),
    (33, "FILE_ENTRY", "str path, str target, u8 kind, u32 mode, u32 uid, u32 gid, u32 nlink, u32 rdev_major, "
     "u32 rdev_minor, u64 size, u64 allocated, u64 mtime_s, u32 mtime_ns, bytes xattrs"),
    (34, "FILE_DATA", "u64 offset, bytes data"),
    (35, "FILE_DONE", "i32 error, str message, u64 count"),
    (64, "VMM_STARTED", "str engine, str accel, u64 spawn_ns"),
    (65, "VMM_READY", "u64 spawn_ns, u64 init_ns, u64 ready_ns, strs jail"),
    (66, "VMM_FAILED", "i32 error, str stage, str message, str hint, bytes console"),
    (67, "VMM_CONNECT", "u32 port"),
    (68, "VMM_STOP", "u32 timeout_ms"),
    (69, "VMM_EXITED", "str reason, str message, bytes console, i32 exit_code"),
    (70, "VMM_TOUCH", "u32 zero"),
    (71, "VMM_PING", "u64 cookie"),
    (72, "VMM_PONG", "u64 cookie"),
    (73, "VMM_DETACH", "u32 zero"),
    (74, "VMM_KEEP", "u64 session, u8 is_main, u8 tty, u8 want_stdin, u8 no_log, u32 unacked, bytes rest"),
    (75, "VMM_KEPT", "u64 session, i32 error"),
    (76, "VMM_TAKE", "u64 session"),
    (77, "VMM_TAKEN", "i32 error, u64 session, u8 is_main, u8 tty, u8 want_stdin, u8 no_log, u32 unacked, bytes rest"),
    (78, "VMM_STATS", "u64 cookie"),
    (79, "VMM_STATS_REPLY", "u64 cookie, u64 time_ns, u64 uptime_ns, u64 cpu_ns, u64 memory_bytes, "
     "u64 memory_resident_bytes, u64 memory_returned_bytes, u64 disk_read_bytes, u64 disk_write_bytes, "
     "u64 disk_reads, u64 disk_writes, u64 net_rx_bytes, u64 net_tx_bytes, u32 cpus, u32 sessions, "
     "u64 net_rx_packets, u64 net_tx_packets, u64 net_flows, u64 net_open, u64 net_denied, u64 net_refused, "
     "u64 net_dns_queries, u64 net_dns_denied, u64 tls_flows, u64 tls_refused, u64 secrets_used, "
     "u64 secret_violations, u64 secrets_masked"),
    (80, "VMM_NET_EXPLAIN", "u64 cookie, str host, u16 port, str protocol"),
    (81, "VMM_NET_EXPLAINED", "u64 cookie, i32 error, str json"),
]
_FIELDS = {name: [tuple(f.split()) for f in fields.split(", ")] for _, name, fields in MESSAGES}
_NUMBER = {name: number for number, name, _ in MESSAGES}
_NAME = {number: name for number, name, _ in MESSAGES}


def _put(kind, value):
    if kind in _INTS:
        return struct.pack(_INTS[kind], value)
    if kind == "strs":
        return struct.pack("<I", len(value)) + b"".join(_put("str", v) for v in value)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return struct.pack("<I", len(data)) + data + (b"\0" if kind == "str" else b"")


def frame(number, payload):
    return struct.pack("<IHH", len(payload), number, 0) + payload


def encode(name, **values):
    fields = _FIELDS[name]
    assert set(values) == {f for _, f in fields}, (name, set(values))
    return frame(_NUMBER[name], b"".join(_put(kind, values[f]) for kind, f in fields))


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("message is cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def get(self, kind):
        if kind in _INTS:
            return struct.unpack(_INTS[kind], self.take(struct.calcsize(_INTS[kind])))[0]
        n = self.get("u32")
        if kind == "strs":
            return [self.get("str") for _ in range(n)]
        data = self.take(n)
        if kind == "bytes":
            return data
        if self.take(1) != b"\0" or b"\0" in data:
            raise ValueError("string is not terminated once")
        return data.decode()


def decode(data):
    """The first frame of data as (message, length), or None when it is not whole."""
    if len(data) < 8:
        return None
    length, number, zero = struct.unpack("<IHH", data[:8])
    if zero or number not in _NAME:
        raise ValueError(f"no message: type {number}")
    if len(data) < 8 + length:
        return None
    r = _Reader(data[8:8 + length])
    message = {"type": _NAME[number]}
    for kind, field in _FIELDS[_NAME[number]]:
        message[field] = r.get(kind)
    if r.at != length:
        raise ValueError("message has something behind its last field")
    return message, 8 + length


class Stream:
    """Frames over a stream socket."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def send(self, name, **values):
        self.sock.sendall(encode(name, **values))

    def recv(self):
        """The next message, or None at the end of the stream."""
        while True:
            got = decode(self.data)
            if got:
                self.data = self.data[got[1]:]
                return got[0]
            more = self.sock.recv(65536)
            if not more:
                return None
            self.data += more
