#!/usr/bin/env python3
"""Seeds of the target mcp: first byte: the revision of a handshake before
(128: none); second: where the lines are cut in two; then lines."""
import json
import pathlib

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "mcp"
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def request(id, method, meta=None, **params):
    if meta is not None:
        params["_meta"] = meta
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def modern(id, method, **params):
    return request(id, method, META, **params)


def call(id, **args):
    return modern(id, "tools/call", name="echo", arguments=args)


OLD = 128
SEEDS = {
    "discover": (OLD, [modern(1, "server/discover"), modern("a", "tools/list"), modern(2, "resources/list"),
                       modern(3, "resources/templates/list"), modern(4, "resources/read", uri="ab"),
                       modern(5, "resources/read", uri="abc")]),
    "handshake": (OLD, [request(1, "ping"), request(2, "initialize", protocolVersion="2025-03-26"),
                        {"jsonrpc": "2.0", "method": "notifications/initialized"}, request(3, "tools/list"),
                        request(4, "initialize", protocolVersion="2025-03-26")]),
    "unknown-revision": (OLD, [request(1, "tools/list", {"io.modelcontextprotocol/protocolVersion": "1900-01-01"}),
                               request(2, "tools/list"), request(3, "initialize", protocolVersion=3)]),
    "calls": (3, [call(1, text="ok", int=5, bool=True, texts=["a"], ints=[1], words="w", pairs={"k": "v"},
                       object={"a": "one", "b": 3}, any={"x": [1]}, objects=[{"a": "two"}], conf="c", number=1.5,
                       bytes="a\0b"),
                  call(2, text="too long"), call(3, text=""), call(4), call(5, text="a", object={"a": "three"}),
                  call(6, text="a", words=["a", "b"], conf={"a": "one"}), call(7, text="\u00fc\u00fc\u00fc\u00fc\u00fc"),
                  modern(8, "tools/call", name="broken"), modern(9, "tools/call", name="none"),
                  modern(10, "tools/call", name="echo", arguments=[])]),
    "progress": (2, [request(1, "tools/call", {"progressToken": "t"}, name="echo", arguments={"text": "x"}),
                     request(1, "tools/call", {"progressToken": 7}, name="echo", arguments={"text": "x"})]),
    "batch": (1, [[request(1, "ping"), request(2, "tools/call", name="echo", arguments={"text": "x"}), 7,
                   {"jsonrpc": "2.0", "method": "x"}], [], [{"jsonrpc": "2.0", "method": "x"}]]),
    "listen": (OLD, [modern("s", "subscriptions/listen", notifications={}), modern("s", "tools/list"),
                     modern("s", "subscriptions/listen", notifications={}),
                     {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "s"}},
                     modern(2, "subscriptions/listen", notifications={})]),
    "responses": (0, [{"jsonrpc": "2.0", "id": 1, "result": {}}, {"jsonrpc": "2.0", "id": 1, "error": {}},
                      {"jsonrpc": "2.0", "id": None, "method": "x"}, {"jsonrpc": "2.0", "id": 1.5, "method": "x"},
                      {"jsonrpc": "1.0", "id": 1, "method": "x"}, 7, None, "x"]),
    "broken": (0, ["{", "[[[[[", '{"a":1,"a":2}', '"\\ud800"', "x" * 9000, "\r", ""]),
}


def line(message):
    return message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))


CORPUS.mkdir(parents=True, exist_ok=True)
for name, (first, messages) in SEEDS.items():
    for cut in (0, 97):
        data = bytes([first, cut]) + "\n".join(line(m) for m in messages).encode() + b"\n"
        (CORPUS / f"{name}-{cut}").write_bytes(data)
