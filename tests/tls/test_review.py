"""Faults that a review found, through the real msb-tls: each was there once."""
import os
import select
import socket
import ssl
import threading
import time

import pytest
from bridge import Helper
from http1_servers import Raw
from servers import Authority

HOST = "api.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    with Raw(authority, HOST) as s:
        yield s


@pytest.fixture(scope="module")
def plain(authority):
    with Helper(roots=authority.pem, all=True) as h:
        yield h


def dial(h, address, *alpn):
    context = ssl.create_default_context(cadata=h.ca)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(h.flow("tls", HOST, server=address), server_hostname=HOST)


def until(what):
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def settled(fds):
    """How many it has when those of its start, and of flows that have ended, are closed."""
    now, since = fds(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.02)
        if fds() != now:
            now, since = fds(), time.monotonic()
    return now


def test_a_slow_reader_gets_all_of_an_answer_whose_server_has_gone(plain, server):
    """What waited here was thrown away five seconds after the server's end."""
    size, rest = 3 << 20, 300_000

    def talk(tls, got):
        got()
        tls.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(size))
        tls.unwrap()

    server.talk = talk
    with dial(plain, server.address) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
        had = 0
        while had < size - rest:
            had += len(s.recv(16384))
        time.sleep(8)
        while part := s.recv(16384):
            had += len(part)
    assert had > size


@pytest.mark.parametrize("request_", [
    b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n" * 150,
    b"GET / HTTP/1.1\r\nHost: api.test\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc"])
def test_a_flow_ends_with_its_guest_though_the_server_is_silent(plain, server, request_):
    """What is not read yet hid the guest's end as long as the server said nothing."""
    silent = []

    def talk(tls, got):
        silent.append(tls)
        while got():
            pass

    server.talk = talk
    fds = lambda: len(os.listdir(f"/proc/{plain.pid}/fd"))  # noqa: E731
    before = settled(fds)
    with dial(plain, server.address) as s:
        s.sendall(request_)
        until(lambda: fds() == before + 2)
        time.sleep(0.5)
        assert fds() == before + 2
    until(lambda: fds() == before)


def test_a_copy_of_a_flow_s_descriptors_that_its_giver_keeps_wakes_nobody(plain):
    """What had ended stayed in the loop, whose next event was for memory that was freed: msb-tls died."""
    fds = lambda: len(os.listdir(f"/proc/{plain.pid}/fd"))  # noqa: E731
    before = settled(fds)
    ours, theirs = socket.socketpair()
    far, server = socket.socketpair()
    copies = [theirs.dup(), server.dup()]
    plain.hand_over(theirs, server, "tls", HOST, 443, True)
    until(lambda: fds() == before + 2)
    time.sleep(0.3)
    assert fds() == before + 2
    ours.close()
    until(lambda: fds() == before)
    far.sendall(b"x")
    far.close()
    for c in copies:
        c.close()
    a, b = socket.socketpair()
    c, d = socket.socketpair()
    plain.hand_over(b, d, "tls", HOST, 443, True)
    a.sendall(b"no hello at all, and too long to be the beginning of one")
    assert a.recv(100) == b"" and c.recv(100) == b""
    assert plain.wait_event("refused")


def h2_frame(kind, flags, sid, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + sid.to_bytes(4, "big") + payload


def h2_head(sid, block):
    parts = [block[i:i + 16000] for i in range(0, len(block), 16000)]
    out = [h2_frame(9, 0, sid, p) for p in parts]
    out[0] = h2_frame(1, 1, sid, parts[0])
    last = bytearray(out[-1])
    last[4] |= 4  # END_HEADERS
    return b"".join(out[:-1]) + bytes(last)


def h2_frames(s):
    data = b""
    while True:
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
            size = 9 + int.from_bytes(data[:3], "big")
            yield data[3], int.from_bytes(data[5:9], "big"), data[9:size]
            data = data[size:]
        part = s.recv(65536)
        if not part:
            return
        data += part


def test_a_head_that_unpacks_to_240_mib_is_not_read_to_its_end(authority, plain):
    """Each byte of it stood for 4000: a request of 60 KB took a seventh of a second."""
    with Raw(authority, HOST) as server:
        server.context.set_alpn_protocols(["h2"])

        def talk(tls, got):
            tls.sendall(h2_frame(4, 0, 0))
            while got():
                pass

        server.talk = talk
        usual = b"\x82\x87\x84\x01\x08api.test"
        with dial(plain, server.address, "h2") as s:
            s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0))
            s.sendall(h2_head(1, usual + b"\x40\x01x\x7f\xbd\x1d" + b"a" * 3900))
            s.sendall(h2_head(3, usual + b"\xbe" * 60000))
            s.sendall(h2_frame(6, 0, 0, b"12345678"))
            seen = []
            for kind, sid, payload in h2_frames(s):
                seen.append((kind, sid))
                if kind == 6 and payload == b"12345678":
                    break
            assert (3, 3) in seen and (1, 3) not in seen, seen


def test_heads_that_wait_for_the_server_are_bounded(authority):
    """A server that takes no request, and a guest with thousands: 8 MiB a connection were kept, without a bound."""
    def talk(tls, got):
        tls.sendall(h2_frame(4, 0, 0, b"\0\3\0\0\0\0"))  # no stream at all
        while got():
            pass

    def resident():
        with open(f"/proc/{h.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) >> 10

    usual = b"\x82\x87\x84\x01\x08api.test"
    heads = [h2_frame(1, 5, 1, usual + b"\x40\x01x\x7f\xbd\x1d" + b"a" * 3900)]
    heads += [h2_frame(1, 5, 3 + 2 * i, usual + b"\xbe" * 15) for i in range(126)]
    with Raw(authority, HOST) as server, Helper(roots=authority.pem, all=True) as h:
        server.context.set_alpn_protocols(["h2"])
        server.talk = talk
        guests = []
        for _ in range(100):
            s = dial(h, server.address, "h2")
            s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0) + h2_frame(4, 1, 0))
            s.sendall(b"".join(heads))
            guests.append(s)
        assert "512 MiB in all" in h.wait_event("note", timeout=30)["text"]
        assert resident() < 760
        for s in guests:
            s.close()


def test_bodies_that_were_held_count_until_the_server_has_them(authority):
    """They were counted until they were whole: a server that does not read could be sent any number."""
    done = threading.Event()

    def talk(tls, got):
        done.wait(60)

    placeholder = "MSB_" + "5c" * 16
    body = placeholder.encode() + bytes((16 << 20) - len(placeholder))
    head = b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: %d\r\n\r\n" % len(body)
    secret = dict(name="KEY", value=b"v", hosts=[HOST], where=["body"], placeholder=placeholder)
    with Raw(authority, HOST) as server, Helper(roots=authority.pem, secrets=[secret]) as h:
        server.talk = talk
        guests, refused = [], None
        for _ in range(18):
            s = dial(h, server.address)
            guests.append(s)
            s.sendall(head)
            try:
                s.sendall(body)
            except OSError:  # it is refused before its end
                pass
            s.settimeout(1)
            try:
                refused = s.recv(1000)
                break
            except TimeoutError:
                pass
        if not refused:  # a busy host is later
            for s in select.select(guests, [], [], 30)[0]:
                refused = s.recv(1000)
        done.set()
        assert refused and b" 503 " in refused and b"too many large bodies" in refused
        for s in guests:
            s.close()
