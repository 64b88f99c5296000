"""HTTP/2 through the real msb-tls: what RFC 9113 says of a server, case by case,
and real clients with real servers behind it."""
import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import time

import pytest

from bridge import Helper
from h2_peers import (ACK, CALM, CANCEL, COMPRESSION, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL,
                      FRAME_SIZE, GOAWAY, HEADERS, NO_ERROR, PADDED, PING, PREFACE, PRIO, PRIORITY, PROTOCOL, PUSH,
                      REFUSED, RST, SETTINGS, STREAM_CLOSED, WINDOW, Raw, Server, frame, headers, literal, usual)
from servers import Authority

VALUE = "the-real-value"


class World:
    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder)
        self.server = Server(self.authority, "api.test")
        self.secrets = [
            dict(name="KEY", value=VALUE, hosts=["api.test"], where=["headers", "basic", "query", "body"]),
            dict(name="OTHER", value="another-value", hosts=["other.test"])]
        self.helper = Helper(secrets=self.secrets, roots=self.authority.pem)
        self.port = self.helper.bridge(server=self.server.address)
        self.key, self.other = (self.helper.placeholder(n) for n in ("KEY", "OTHER"))

    def raw(self, **kw):
        return Raw(self.port, self.helper.ca_file, **kw)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("h2"))
    yield w
    assert w.helper.is_alive()
    w.server.close()
    assert w.helper.stop() == 0


# ---- RFC 9113, case by case --------------------------------------------------

def goaway(*codes):
    """A connection error, then the end."""
    return lambda c: c.wait(lambda c: c.closed) is not None and (c.goaway in codes or (c.goaway is None and None in codes))


def reset(code, sid=1):
    """A stream error: that stream only."""
    return lambda c: c.wait(lambda c: c.resets.get(sid) == code) and c.settled().goaway is None and not c.closed


def status(code, sid=1):
    return lambda c: (c.wait(lambda c: sid in c.ended) and c.status(sid) == code
                      and c.settled().goaway is None and not c.closed)


def fine():
    return lambda c: c.settled().goaway is None and not c.closed and not c.resets


def either(*checks):
    return lambda c: any(check(c) for check in checks)


def setting(ident, value):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", ident, value))


def update(n, sid=0):
    return frame(WINDOW, 0, sid, struct.pack(">I", n))


def post(sid=1, path="/show", more=()):
    return headers(sid, flags=END_HEADERS, path=path, method="POST", more=more)


USUAL = literal(*usual())
HANG = headers(1, path="/hang")
# No setup but the preface; "" as the preface: that is sent instead of it.
CASES = {
    # 3: starting
    "3.4 preface": (b"", fine()),
    "3.4 settings acknowledged": (b"", lambda c: c.wait(lambda c: c.acks == 1)),
    "3.4 no settings behind the preface": ([PREFACE + frame(PING, 0, 0, b"12345678")], goaway(PROTOCOL)),
    "3.4 another preface": ([b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"], goaway(PROTOCOL)),
    "3.4 half a preface, then junk": ([PREFACE[:18] + b"XX\r\n\r\n" + bytes(20)], goaway(PROTOCOL)),
    # 4: frames
    "4.1 unknown type": (frame(0x42, 0xff, 0, b"anything"), fine()),
    "4.1 unknown flags": (frame(PING, 0xfe, 0, b"12345678"), fine()),
    "4.1 reserved bit": (frame(PING, 0, 0x80000000, b"reserved"), lambda c: c.wait(lambda c: b"reserved" in c.pings)),
    "4.2 largest frame": (post() + frame(DATA, END_STREAM, 1, bytes(16384)), status(200)),
    "4.2 DATA too large": (post() + frame(DATA, 0, 1, bytes(16385)), either(goaway(FRAME_SIZE), reset(FRAME_SIZE))),
    "4.2 HEADERS too large": (frame(HEADERS, 5, 1, bytes(16385)), goaway(FRAME_SIZE)),
    "4.2 SETTINGS too large": (frame(SETTINGS, 0, 0, bytes(16386)), goaway(FRAME_SIZE)),
    "4.3 broken block": (frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\x0f"), goaway(COMPRESSION)),
    "4.3 table larger than allowed": (frame(HEADERS, 5, 1, b"\x3f\xe1\x7f" + USUAL), goaway(COMPRESSION)),
    "4.3 table resized in the middle": (frame(HEADERS, 5, 1, USUAL + b"\x20"), goaway(COMPRESSION)),
    "4.3 index without entry": (frame(HEADERS, 5, 1, USUAL + b"\xbe"), goaway(COMPRESSION)),
    "4.3 another stream inside a block": (frame(HEADERS, 1, 1, USUAL) + frame(HEADERS, 5, 3, USUAL), goaway(PROTOCOL)),
    "4.3 PRIORITY inside a block": (frame(HEADERS, 1, 1, USUAL) + frame(PRIORITY, 0, 1, bytes(5)), goaway(PROTOCOL)),
    "4.3 unknown type inside a block": (frame(HEADERS, 1, 1, USUAL) + frame(0x42, 0, 1, b"x"), goaway(PROTOCOL)),
    # 5: streams
    "5.1 DATA on an idle stream": (frame(DATA, 1, 1, b"x"), goaway(PROTOCOL)),
    "5.1 RST_STREAM on an idle stream": (frame(RST, 0, 1, bytes(4)), goaway(PROTOCOL)),
    "5.1 WINDOW_UPDATE on an idle stream": (update(100, 1), goaway(PROTOCOL)),
    "5.1 CONTINUATION on an idle stream": (frame(CONTINUATION, 4, 1, USUAL), goaway(PROTOCOL)),
    "5.1 DATA behind END_STREAM": (HANG + frame(DATA, 1, 1, b"x"), either(reset(STREAM_CLOSED), goaway(STREAM_CLOSED))),
    "5.1 HEADERS behind END_STREAM": (HANG + headers(1), either(reset(STREAM_CLOSED), goaway(STREAM_CLOSED))),
    "5.1 DATA behind RST_STREAM": (post(path="/hang") + frame(RST, 0, 1, struct.pack(">I", CANCEL))
                                   + frame(DATA, 1, 1, b"x"), either(fine(), goaway(STREAM_CLOSED), reset(STREAM_CLOSED))),
    "5.1 WINDOW_UPDATE behind END_STREAM": (HANG + update(100, 1), fine()),
    "5.1 PRIORITY on an idle stream": (frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"), fine()),
    "5.1.1 even stream": (headers(2), goaway(PROTOCOL)),
    # may be trailers of a stream that was reset: nghttp2 does not look at them
    "5.1.1 stream numbers that go back": (headers(5) + headers(3), lambda c: fine()(c) and 3 not in c.heads),
    "5.1.1 stream numbers with gaps": (headers(7), status(200, 7)),
    "5.1.2 more streams than allowed": (b"".join(headers(2 * i + 1, path="/hang") for i in range(129)), reset(REFUSED, 257)),
    "5.3.1 a stream that depends on itself": (frame(PRIORITY, 0, 1, b"\0\0\0\1\x10"), either(fine(), reset(PROTOCOL), goaway(PROTOCOL))),
    "5.4.1 the connection ends behind GOAWAY": (frame(DATA, 0, 0, b"x"), lambda c: c.wait(lambda c: c.closed) and c.goaway == PROTOCOL),
    # 6: the types
    "6.1 DATA on stream 0": (frame(DATA, 0, 0, b"x"), goaway(PROTOCOL)),
    "6.1 padding as long as the frame": (post() + frame(DATA, PADDED, 1, b"\x05xxxx"), goaway(PROTOCOL)),
    "6.1 padding without its length": (post() + frame(DATA, PADDED, 1, b""), goaway(PROTOCOL, FRAME_SIZE)),
    "6.1 padded DATA": (post() + frame(DATA, PADDED | END_STREAM, 1, b"\x03abc\0\0\0"), status(200)),
    "6.1 nothing but padding": (post() + frame(DATA, PADDED | END_STREAM, 1, b"\x03\0\0\0"), status(200)),
    "6.2 HEADERS on stream 0": (frame(HEADERS, 5, 0, USUAL), goaway(PROTOCOL)),
    "6.2 HEADERS with too much padding": (frame(HEADERS, 5 | PADDED, 1, b"\xff" + USUAL), goaway(PROTOCOL)),
    "6.2 padded HEADERS": (frame(HEADERS, 5 | PADDED, 1, b"\x02" + USUAL + bytes(2)), status(200)),
    "6.2 HEADERS with a priority": (frame(HEADERS, 5 | PRIO, 1, bytes(4) + b"\x10" + USUAL), status(200)),
    "6.2 HEADERS too short for a priority": (frame(HEADERS, 5 | PRIO, 1, b"\0"), goaway(FRAME_SIZE, PROTOCOL)),
    "6.3 PRIORITY on stream 0": (frame(PRIORITY, 0, 0, bytes(5)), goaway(PROTOCOL)),
    "6.3 PRIORITY of 4 bytes": (frame(PRIORITY, 0, 1, bytes(4)), either(reset(FRAME_SIZE), goaway(FRAME_SIZE))),
    "6.4 RST_STREAM on stream 0": (frame(RST, 0, 0, bytes(4)), goaway(PROTOCOL)),
    "6.4 RST_STREAM of 3 bytes": (HANG + frame(RST, 0, 1, bytes(3)), goaway(FRAME_SIZE)),
    "6.4 RST_STREAM": (HANG + frame(RST, 0, 1, struct.pack(">I", CANCEL)) + headers(3), status(200, 3)),
    "6.5 SETTINGS on a stream": (frame(SETTINGS, 0, 1), goaway(PROTOCOL)),
    "6.5 acknowledgement with a payload": (frame(SETTINGS, ACK, 0, bytes(6)), goaway(FRAME_SIZE)),
    "6.5 SETTINGS of 5 bytes": (frame(SETTINGS, 0, 0, bytes(5)), goaway(FRAME_SIZE)),
    "6.5 unknown setting": (setting(0xabcd, 1), fine()),
    "6.5.2 ENABLE_PUSH 2": (setting(2, 2), goaway(PROTOCOL)),
    "6.5.2 INITIAL_WINDOW_SIZE 2^31": (setting(4, 1 << 31), goaway(FLOW_CONTROL)),
    "6.5.2 MAX_FRAME_SIZE 16383": (setting(5, 16383), goaway(PROTOCOL)),
    "6.5.2 MAX_FRAME_SIZE 2^24": (setting(5, 1 << 24), goaway(PROTOCOL)),
    "6.5.3 each is acknowledged": (setting(1, 0) * 3, lambda c: c.wait(lambda c: c.acks == 4)),
    "6.6 PUSH_PROMISE of a client": (frame(PUSH, 4, 1, b"\0\0\0\2" + USUAL), goaway(PROTOCOL)),
    "6.7 PING": (frame(PING, 0, 0, b"hi there"), lambda c: c.wait(lambda c: c.pings == [b"hi there"])),
    "6.7 acknowledgement of no PING": (frame(PING, ACK, 0, b"hi there"), fine()),
    "6.7 PING on a stream": (frame(PING, 0, 1, bytes(8)), goaway(PROTOCOL)),
    "6.7 PING of 6 bytes": (frame(PING, 0, 0, bytes(6)), goaway(FRAME_SIZE)),
    "6.8 GOAWAY on a stream": (frame(GOAWAY, 0, 1, bytes(8)), goaway(PROTOCOL)),
    "6.8 GOAWAY of 7 bytes": (frame(GOAWAY, 0, 0, bytes(7)), goaway(FRAME_SIZE)),
    "6.8 GOAWAY, and the answer still comes": (headers(1) + frame(GOAWAY, 0, 0, bytes(8)),
                                               lambda c: c.wait(lambda c: 1 in c.ended) and c.status(1) == 200),
    "6.9 increment 0 of the connection": (update(0), goaway(PROTOCOL)),
    "6.9 increment 0 of a stream": (HANG + update(0, 1), either(reset(PROTOCOL), goaway(PROTOCOL))),
    "6.9 WINDOW_UPDATE of 3 bytes": (frame(WINDOW, 0, 0, bytes(3)), goaway(FRAME_SIZE)),
    "6.9.1 connection's window past 2^31-1": (update(0x7fffffff), goaway(FLOW_CONTROL)),
    "6.9.1 stream's window past 2^31-1": (HANG + update(0x7fffffff, 1), reset(FLOW_CONTROL)),
    "6.9.1 a window of 1 byte": (setting(4, 1) + headers(1), lambda c: c.wait(lambda c: c.data_sizes.get(1) == [1]) and fine()(c)),
    "6.9.2 a window of 0, then 5": (setting(4, 0) + headers(1) + setting(4, 5),
                                    lambda c: c.wait(lambda c: sum(c.data_sizes.get(1, [])) == 5) and fine()(c)),
    "6.9.2 windows past 2^31-1 by SETTINGS": (HANG + update(0x7fff0000, 1) + setting(4, 0x7fffffff),
                                              either(goaway(FLOW_CONTROL), reset(FLOW_CONTROL))),
    "6.10 CONTINUATION on stream 0": (frame(HEADERS, 1, 1, USUAL) + frame(CONTINUATION, 4, 0, b""), goaway(PROTOCOL)),
    "6.10 CONTINUATION behind END_HEADERS": (HANG + frame(CONTINUATION, 4, 1, USUAL), goaway(PROTOCOL)),
    "6.10 CONTINUATION of another stream": (frame(HEADERS, 1, 1, USUAL) + frame(CONTINUATION, 4, 3, b""), goaway(PROTOCOL)),
    "6.10 a block in pieces": (frame(HEADERS, 1, 1, USUAL[:7]) + frame(CONTINUATION, 0, 1, USUAL[7:9])
                               + frame(CONTINUATION, 0, 1) + frame(CONTINUATION, 4, 1, USUAL[9:]), status(200)),
    # 8: HTTP
    "8.1 trailers": (post() + frame(DATA, 0, 1, b"x") + frame(HEADERS, 5, 1, literal(("a", "b"))), status(200)),
    "8.1 a second head without an end": (post() + frame(HEADERS, 4, 1, literal(("a", "b"))), reset(PROTOCOL)),
    "8.1 pseudo-header in trailers": (post() + frame(HEADERS, 5, 1, literal((":path", "/"))), reset(PROTOCOL)),
    "8.1.1 length too large": (post(more=[("content-length", "9")]) + frame(DATA, 1, 1, b"x"), reset(PROTOCOL)),
    "8.1.1 length too small": (post(more=[("content-length", "1")]) + frame(DATA, 1, 1, b"xy"), reset(PROTOCOL)),
    "8.1.1 length of several frames": (post(more=[("content-length", "3")]) + frame(DATA, 0, 1, b"x")
                                       + frame(DATA, 1, 1, b"yz"), status(200)),
    "8.1.1 two lengths": (post(more=[("content-length", "1"), ("content-length", "2")]), reset(PROTOCOL)),
    "8.1.1 a length that is no number": (post(more=[("content-length", "+1")]), reset(PROTOCOL)),
    "8.2 upper case": (headers(more=[("X-Upper", "1")]), reset(PROTOCOL)),
    "8.2.1 NUL": (headers(more=[("a", "x\0y")]), reset(PROTOCOL)),
    "8.2.1 CR": (headers(more=[("a", "x\ry")]), reset(PROTOCOL)),
    "8.2.1 LF": (headers(more=[("a", "x\nb: c")]), reset(PROTOCOL)),
    "8.2.1 space in front": (headers(more=[("a", " x")]), reset(PROTOCOL)),
    "8.2.1 space behind": (headers(more=[("a", "x ")]), reset(PROTOCOL)),
    "8.2.1 colon in a name": (headers(more=[("a:b", "x")]), reset(PROTOCOL)),
    "8.2.1 space in a name": (headers(more=[("a b", "x")]), reset(PROTOCOL)),
    "8.2.1 empty name": (headers(more=[("", "x")]), reset(PROTOCOL)),
    "8.2.2 connection": (headers(more=[("connection", "keep-alive")]), reset(PROTOCOL)),
    "8.2.2 transfer-encoding": (headers(more=[("transfer-encoding", "chunked")]), reset(PROTOCOL)),
    "8.2.2 upgrade": (headers(more=[("upgrade", "websocket")]), reset(PROTOCOL)),
    "8.2.2 keep-alive": (headers(more=[("keep-alive", "1")]), reset(PROTOCOL)),
    "8.2.2 proxy-connection": (headers(more=[("proxy-connection", "1")]), reset(PROTOCOL)),
    "8.2.2 te": (headers(more=[("te", "gzip")]), reset(PROTOCOL)),
    "8.2.2 te: trailers": (headers(more=[("te", "trailers")]), status(200)),
    "8.2.3 cookies in crumbs": (headers(more=[("cookie", "a=b"), ("cookie", "c=d")]), status(200)),
    "8.3 unknown pseudo-header": (headers(more=[(":x", "1")]), reset(PROTOCOL)),
    "8.3 pseudo-header of an answer": (headers(more=[(":status", "200")]), reset(PROTOCOL)),
    "8.3 pseudo-header behind others": (headers(fields=[(":method", "GET"), ("a", "b"), *usual()[1:]]), reset(PROTOCOL)),
    "8.3.1 no method": (headers(fields=usual()[1:]), reset(PROTOCOL)),
    "8.3.1 no scheme": (headers(fields=usual()[:1] + usual()[2:]), reset(PROTOCOL)),
    "8.3.1 no path": (headers(fields=usual()[:2] + usual()[3:]), reset(PROTOCOL)),
    "8.3.1 no authority": (headers(fields=usual()[:3]), either(reset(PROTOCOL), status(421))),
    "8.3.1 host for the authority": (headers(fields=usual()[:3] + [("host", "api.test")]), status(200)),
    "8.3.1 empty path": (headers(path=""), reset(PROTOCOL)),
    "8.3.1 path without its slash": (headers(path="show"), reset(PROTOCOL)),
    "8.3.1 two methods": (headers(more=[(":method", "GET")]), reset(PROTOCOL)),
    "8.3.1 two authorities": (headers(fields=usual() + [(":authority", "api.test")]), reset(PROTOCOL)),
    "8.3.1 OPTIONS *": (headers(method="OPTIONS", path="*"), status(404)),
    "8.5 CONNECT": (headers(fields=[(":method", "CONNECT"), (":authority", "api.test:443")]), status(403)),
    "8.5 CONNECT with a path": (headers(fields=[(":method", "CONNECT"), *usual()[1:]]), either(reset(PROTOCOL), status(403))),
    "8.5 websocket without the server's word": (
        headers(fields=[(":method", "CONNECT"), *usual()[1:], (":protocol", "websocket")], flags=END_HEADERS), reset(PROTOCOL)),
    # the relay's own rules
    "another authority": (headers(authority="other.test"), status(421)),
    "another host": (headers(more=[("host", "other.test")]), status(421)),
    "another port": (headers(authority="api.test:8443"), status(421)),
    "the port": (headers(authority="api.test:443"), status(200)),
    "case and a dot": (headers(authority="API.Test."), status(200)),
    "user in the authority": (headers(authority="u@api.test"), either(status(421), reset(PROTOCOL))),
    "an address": (headers(authority="127.0.0.1"), status(421)),
    "clear text": (headers(scheme="http"), status(400)),
    "large head": (headers(flags=1, more=[("a", "x" * 9000)]) + frame(CONTINUATION, 0, 1, literal(("b", "y" * 16000)))
                   + b"".join(frame(CONTINUATION, 4 * (i == 3), 1, literal(("b", "y" * 16000))) for i in range(4)), status(431)),
    "many fields": (frame(HEADERS, 1, 1, USUAL) + frame(CONTINUATION, 4, 1, literal(*[("a", "b")] * 1100)), status(431)),
    "continuation flood": (frame(HEADERS, 1, 1, USUAL) + frame(CONTINUATION, 0, 1, b"") * 100, goaway(CALM, PROTOCOL, None)),
    "rapid reset": (b"".join(headers(2 * i + 1, path="/hang") + frame(RST, 0, 2 * i + 1, b"\0\0\0\x08") for i in range(1500)), goaway(CALM)),
    "empty DATA flood": (post() + frame(DATA, 0, 1) * 30000, goaway(CALM)),
}


def test_the_table_is_large():
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES)
def test_conformance(world, case):
    sent, check = CASES[case]
    kw = dict(preface=sent[0]) if isinstance(sent, list) else {}
    with world.raw(**kw) as c:
        if not kw:
            c.send(sent)
        assert check(c), (c.goaway, c.resets, c.heads, c.bodies, c.closed)
    assert world.helper.is_alive()


# ---- secrets -----------------------------------------------------------------

def test_values_go_in_and_violations_are_403_on_their_stream(world):
    with world.raw() as c:
        c.send(headers(1, path=f"/show?q={world.key}", more=[("x-key", world.key), ("cookie", "a=b"), ("cookie", f"k={world.key}")])
               + headers(3, more=[("x-key", world.other)])
               + headers(5, authority="other.test", more=[("x-key", world.other)])
               + post(7, more=[("content-type", "application/json")])
               + frame(DATA, 0, 7, b'{"k": "' + world.key[:9].encode()) + frame(DATA, 1, 7, world.key[9:].encode() + b'"}'))
        assert c.wait(lambda c: {1, 3, 5, 7} <= c.ended), (c.heads, c.resets)
        one = c.bodies[1].decode()
        assert f":path: /show?q={VALUE}\n" in one and f"x-key: {VALUE}\n" in one and f"k={VALUE}\n" in one
        assert c.status(3) == 403 and c.bodies[3].startswith(b"microsandbox: ")
        assert c.status(5) == 421
        assert c.bodies[7].endswith(b'{"k": "' + VALUE.encode() + b'"}')
    event = world.helper.wait_event("violation")
    assert VALUE not in str(world.helper.events) and event


def test_a_body_of_known_length_is_counted_again(world):
    body = f"token={world.key}&x=1".encode()
    with world.raw() as c:
        c.send(post(more=[("content-length", str(len(body))), ("content-type", "application/x-www-form-urlencoded")])
               + frame(DATA, 1, 1, body))
        assert c.wait(lambda c: 1 in c.ended), (c.resets, c.heads)
        want = f"token={VALUE}&x=1"
        assert f"content-length: {len(want)}\n" in c.bodies[1].decode()
        assert c.bodies[1].decode().endswith("\n\n" + want)


def test_violation_in_a_body_resets_both_ways(world):
    with world.raw() as c:
        c.send(post(path="/grpc") + frame(DATA, 0, 1, b"begin"))
        assert c.wait(lambda c: c.bodies.get(1) == b"begin")
        c.send(frame(DATA, 0, 1, world.other.encode()) + headers(3))
        assert c.wait(lambda c: c.resets.get(1) == CANCEL and 3 in c.ended), (c.resets, c.bodies)
        assert c.status(3) == 200


def test_grpc_streams_both_ways_with_trailers(world):
    with world.raw() as c:
        c.send(post(path="/grpc", more=[("te", "trailers"), ("content-type", "application/grpc")]))
        for i in range(20):
            message = b"\0\0\0\0\x05msg%02d" % i
            c.send(frame(DATA, 0, 1, message))
            assert c.wait(lambda c: c.bodies.get(1, b"").endswith(message)), c.resets
        c.send(frame(DATA, 1, 1))
        assert c.wait(lambda c: 1 in c.ended)
        assert c.heads[1][-1] == [("grpc-status", "0")] and 1 not in c.resets


def test_events_come_when_they_are_sent(world):
    with world.raw() as c:
        c.send(headers(path="/events"))
        for i in range(3):
            assert c.bodies.get(1, b"").count(b"data:") == i
            world.server.told.release()
            assert c.wait(lambda c: c.bodies.get(1, b"").count(b"data:") > i), "it waits for more"


def test_coalesced_connections_give_nothing_to_the_other_name(world):
    """One server for two names: the connection of one must not serve the other."""
    with world.raw() as c:
        c.send(headers(1, more=[("x", world.key)]) + headers(3, authority="other.test", more=[("x", world.other)])
               + headers(5, more=[("x", world.key)]))
        assert c.wait(lambda c: {1, 3, 5} <= c.ended)
        assert (c.status(1), c.status(3), c.status(5)) == (200, 421, 200)
    assert all(h[":authority"].startswith(("api.test", "API.Test")) for h in world.server.seen if ":authority" in h)


@pytest.mark.parametrize("path", ["/bye", "/cut", "/part"])
def test_what_the_server_sent_before_its_end_arrives(world, path):
    """The guest's window is smaller than the answer, and opens when the server is long gone."""
    with world.raw() as c:
        c.send(headers(path=path))
        assert c.wait(lambda c: len(c.bodies.get(1, b"")) == 65535), len(c.bodies.get(1, b""))
        time.sleep(0.3)
        assert not c.closed
        c.send(update(1 << 20) + update(1 << 20, 1))
        assert c.wait(lambda c: len(c.bodies[1]) == 300000 and (1 in c.ended or 1 in c.resets)), c.resets
        assert (1 in c.resets) == (path == "/part")
        c.wait(lambda c: c.closed)
        assert c.closed and c.goaway == NO_ERROR


def test_answers_are_masked(world):
    with Helper(secrets=[dict(name="M", value=VALUE, hosts=["api.test"], mask=True)], roots=world.authority.pem) as h:
        port, key = h.bridge(server=world.server.address), h.placeholder("M")
        with Raw(port, h.ca_file) as c:
            c.send(headers(1, more=[("x-key", key), ("accept-encoding", "gzip"), ("range", "bytes=0-1")]))
            assert c.wait(lambda c: 1 in c.ended), c.resets
            text = c.bodies[1].decode()
            assert f"x-key: {key}\n" in text and VALUE not in text
        seen = world.server.seen[-1]
        assert seen["x-key"] == VALUE and seen["accept-encoding"] == "identity" and "range" not in seen
        assert h.wait_event("masked")


# ---- real clients and servers ------------------------------------------------

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def wait_port(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not listen")


@pytest.fixture(scope="module")
def nghttpd(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("nghttpd")
    for name, size in (("small", 100), ("mid", 10 << 20)):
        (root / name).write_bytes(os.urandom(size))
    with open(root / "big", "wb") as f:  # real bytes, not a hole: the digest counts
        block = os.urandom(1 << 20)
        for i in range(1024):
            f.write(struct.pack(">I", i) + block[4:])
    cert, key = world.authority.sign("files.test")
    port = free_port()
    p = subprocess.Popen(["nghttpd", "-d", str(root), "--echo-upload", "--address=127.0.0.1", str(port), key, cert],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_port(port)
    yield root, world.helper.bridge(server=("127.0.0.1", port))
    p.terminate()
    p.wait(10)
    shutil.rmtree(root)  # pytest would keep the gibibyte


def curl(world, port, name, path, *args):
    return ["curl", "-sS", "--http2", "--cacert", str(world.helper.ca_file), "--connect-to", f"::127.0.0.1:{port}",
            "--max-time", "120", *args, f"https://{name}{path}"]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def file_digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def test_curl_gets_the_value_and_is_told_of_violations(world):
    r = subprocess.run(curl(world, world.port, "api.test", "/show", "-H", f"Authorization: Bearer {world.key}",
                            "-w", "%{http_version} %{http_code}"), capture_output=True, text=True, timeout=60)
    assert f"authorization: Bearer {VALUE}\n" in r.stdout and r.stdout.endswith("2 200"), r
    r = subprocess.run(curl(world, world.port, "api.test", "/show", "-u", f"user:{world.key}"),
                       capture_output=True, text=True, timeout=60)
    assert "authorization: Basic dXNlcjp0aGUtcmVhbC12YWx1ZQ==\n" in r.stdout, r
    r = subprocess.run(curl(world, world.port, "api.test", "/show", "-H", f"X: {world.other}", "-w", "%{http_code}"),
                       capture_output=True, text=True, timeout=60)
    assert r.stdout.startswith("microsandbox: ") and r.stdout.endswith("403"), r


def test_a_gibibyte_comes_byte_for_byte(world, nghttpd):
    root, port = nghttpd
    begin = time.monotonic()
    p = subprocess.Popen(curl(world, port, "files.test", "/big"), stdout=subprocess.PIPE)
    h, n = hashlib.sha256(), 0
    while block := p.stdout.read(1 << 20):
        h.update(block)
        n += len(block)
    assert p.wait(60) == 0 and n == 1 << 30
    took = time.monotonic() - begin
    assert h.hexdigest() == file_digest(root / "big")
    print(f"\n1 GiB over one stream of HTTP/2: {1024 / took:.0f} MiB/s")


def test_uploads_come_back_byte_for_byte(world, nghttpd):
    root, port = nghttpd
    out = root / "echoed"
    r = subprocess.run(curl(world, port, "files.test", "/up", "-T", str(root / "mid"), "-o", str(out)),
                       capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r
    assert file_digest(out) == file_digest(root / "mid")


def h2load(port, path, *args):
    r = subprocess.run(["h2load", *args, f"--connect-to=127.0.0.1:{port}", f"https://files.test{path}"],
                       capture_output=True, text=True, timeout=150)
    found = re.search(r"requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded", r.stdout)
    assert r.returncode == 0 and found and found[1] == found[2], r.stdout + r.stderr
    return re.search(r"finished in .*", r.stdout)[0]


def test_h2load_of_many_small_requests(nghttpd):
    print("\n" + h2load(nghttpd[1], "/small", "-n", "10000", "-c", "8", "-m", "50"))


def test_h2load_of_a_hundred_streams_at_once(nghttpd):
    print("\n" + h2load(nghttpd[1], "/mid", "-n", "100", "-c", "1", "-m", "100"))


def test_nginx_serves_its_files(world, tmp_path):
    (tmp_path / "f").write_bytes(os.urandom(3 << 20))
    cert, key = world.authority.sign("nginx.test")
    port = free_port()
    (tmp_path / "nginx.conf").write_text(f"""
        daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; worker_processes 1; user root;
        events {{ worker_connections 64; }}
        http {{ access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;
          fastcgi_temp_path {tmp_path}/fc; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
          server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};
            keepalive_requests 5; root {tmp_path};
            location /key {{ return 200 "$http_x_key\\n"; }} }} }}""")
    p = subprocess.Popen(["nginx", "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_port(port)
        secrets = [dict(name="N", value=VALUE, hosts=["nginx.test"])]
        with Helper(secrets=secrets, roots=world.authority.pem) as h:
            through = h.bridge(server=("127.0.0.1", port))
            args = ["curl", "-sS", "--http2", "--cacert", str(h.ca_file), "--connect-to", f"::127.0.0.1:{through}",
                    "--max-time", "60", "--parallel", "--parallel-max", "4", "-w", "%{http_code}\n"]
            # nginx says GOAWAY after 5 requests; curl goes on with another connection
            for i in range(24):
                args += ["-o", str(tmp_path / f"got{i}"), "https://nginx.test/f"]
            r = subprocess.run(args, capture_output=True, text=True, timeout=90)
            assert r.stdout.split() == ["200"] * 24, r
            for i in range(24):
                assert file_digest(tmp_path / f"got{i}") == file_digest(tmp_path / "f")
            r = subprocess.run([*args[:9], "-H", f"X-Key: {h.placeholder('N')}", "https://nginx.test/key"],
                               capture_output=True, text=True, timeout=60)
            assert r.stdout == VALUE + "\n", r
    finally:
        p.terminate()
        p.wait(10)
