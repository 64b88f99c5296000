"""The protocol by raw lines: revisions, errors, what is malformed, huge, out
of order."""
import json
import os
import subprocess
import threading

import pytest

from mcp_lib.raw import LEGACY, META, MODERN

PARSE, REQUEST, METHOD, PARAMS, VERSION = -32700, -32600, -32601, -32602, -32022
LEGACY_ALL = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


def error_of(answer, code):
    assert "result" not in answer, answer
    assert answer["jsonrpc"] == "2.0" and answer["error"]["code"] == code, answer
    assert answer["error"]["message"]
    return answer["error"]


# ---- the current revision ---------------------------------------------------


def test_discover(serve):
    result = serve().ask("server/discover")["result"]
    assert result["supportedVersions"] == [MODERN]
    assert result["capabilities"] == {"tools": {}, "resources": {}}
    assert result["resultType"] == "complete" and result["cacheScope"] == "private" and result["ttlMs"] > 0
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "microsandbox"
    assert "sandbox_run" in result["instructions"]


def test_every_request_says_its_revision(serve):
    server = serve()
    error_of(server.ask("tools/list", modern=False), PARAMS)
    error = error_of(server.ask("tools/list", meta={"io.modelcontextprotocol/protocolVersion": "1900-01-01"}), VERSION)
    assert error["data"]["requested"] == "1900-01-01"
    assert error["data"]["supported"] == [MODERN, *reversed(LEGACY_ALL)]
    error_of(server.ask("tools/list", meta={"io.modelcontextprotocol/protocolVersion": 7}), PARAMS)
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN}
    server.send({"jsonrpc": "2.0", "id": "m", "method": "tools/list", "params": {"_meta": meta}})
    error_of(server.answer("m"), PARAMS)
    server.send({"jsonrpc": "2.0", "id": "n", "method": "tools/list", "params": {"_meta": []}})
    error_of(server.answer("n"), PARAMS)
    assert server.ask("tools/list")["result"]["tools"]


def test_what_the_current_revision_dropped(serve):
    server = serve()
    for method in ("ping", "initialize", "logging/setLevel", "resources/subscribe", "prompts/list",
                   "completion/complete", "no/such"):
        error_of(server.ask(method), METHOD)


def test_listen_acknowledges_and_ends_with_the_server(serve):
    server = serve()
    id = server.post("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="sub")
    note = server.receive(lambda m: m.get("method") == "notifications/subscriptions/acknowledged")
    assert note["params"] == {"_meta": {"io.modelcontextprotocol/subscriptionId": "sub"}, "notifications": {}}
    other = server.post("subscriptions/listen", {"notifications": {}})
    server.cancel(other)
    assert server.ask("tools/list")["result"]
    server.process.stdin.close()
    result = server.answer(id)["result"]
    assert result["_meta"]["io.modelcontextprotocol/subscriptionId"] == "sub"
    assert server.end()[0] == 0
    assert not [m for m in server.kept if m.get("id") == other]


# ---- revisions with a handshake ---------------------------------------------


@pytest.mark.parametrize("version", LEGACY_ALL)
def test_handshake(serve, version):
    server = serve()
    assert server.ask("ping", modern=False)["result"] == {}  # also before it
    result = server.initialize(version)
    assert result["protocolVersion"] == version
    assert result["capabilities"] == {"tools": {}, "resources": {}}
    assert result["serverInfo"]["name"] == "microsandbox" and "resultType" not in result
    tool = server.ask("tools/list")["result"]["tools"][0]
    assert ("annotations" in tool) == (version >= "2025-03-26")
    assert ("outputSchema" in tool) == (version >= "2025-06-18")
    call = server.ask("tools/call", {"name": "runtime_version"})["result"]
    assert ("structuredContent" in call) == (version >= "2025-06-18")
    assert json.loads(call["content"][0]["text"])["version"]
    error_of(server.ask("server/discover"), METHOD)
    error_of(server.ask("initialize", {"protocolVersion": version}), REQUEST)
    assert server.ask("tools/list", modern=True)["result"]["resultType"] == "complete"  # both at once


def test_an_unknown_revision_gets_the_best(serve):
    assert serve().initialize("1999-01-01")["protocolVersion"] == LEGACY
    assert serve().initialize(MODERN)["protocolVersion"] == LEGACY


def test_initialize_needs_a_version(serve):
    server = serve()
    error_of(server.ask("initialize", {}, modern=False), PARAMS)
    error_of(server.ask("initialize", {"protocolVersion": 1}, modern=False), PARAMS)
    assert server.initialize()["protocolVersion"] == LEGACY


def test_batches_only_where_the_revision_has_them(serve):
    server = serve(handshake="2025-03-26")
    server.write(json.dumps([
        {"jsonrpc": "2.0", "id": "a", "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/whatever"},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": {"name": "runtime_version"}},
        {"jsonrpc": "2.0", "id": "c", "method": "nothing"}, 7]) + "\n")
    answers = server.receive(lambda m: isinstance(m, list))
    assert {a["id"] for a in answers} == {"a", "b", "c", None}
    error_of(next(a for a in answers if a["id"] == "c"), METHOD)
    server.write("[]\n")
    error_of(server.receive(), REQUEST)
    server.write('[{"jsonrpc":"2.0","method":"notifications/x"}]\n')
    assert server.silent(0.3)
    for version in (LEGACY, "2024-11-05"):
        other = serve(handshake=version)
        other.write('[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n')
        error_of(other.receive(), REQUEST)


# ---- malformed ---------------------------------------------------------------


@pytest.mark.parametrize("line, code", [
    ("{", PARSE), ("nonsense", PARSE), ('{"a":1,"a":2}', PARSE), ('"\\ud800"', PARSE), ("[1,", PARSE),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', PARSE), ('{"id":99999999999999999999}', PARSE),
    ("[" * 200 + "]" * 200, PARSE), ("[" * 5000 + "]" * 5000, PARSE),
    ("7", REQUEST), ("null", REQUEST), ('"text"', REQUEST), ("{}", REQUEST),
    ('{"id":1,"method":"ping"}', REQUEST), ('{"jsonrpc":"1.0","id":1,"method":"ping"}', REQUEST),
    ('{"jsonrpc":"2.0","id":1}', REQUEST), ('{"jsonrpc":"2.0","id":1,"method":5}', REQUEST),
    ('{"jsonrpc":"2.0","id":null,"method":"ping"}', REQUEST), ('{"jsonrpc":"2.0","id":[],"method":"ping"}', REQUEST),
    ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', REQUEST), ('{"jsonrpc":"2.0","id":true,"method":"ping"}', REQUEST),
    ('{"jsonrpc":"2.0","id":"%s","method":"ping"}' % ("i" * 600), REQUEST),
    ('{"jsonrpc":"2.0","id":1,"method":"%s"}' % ("m" * 200), REQUEST),
    ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', PARAMS),
    ('{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}', PARAMS),
])
def test_malformed(serve, line, code):
    server = serve()
    server.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    error_of(server.receive(), code)
    assert server.ask("tools/list")["result"]["tools"], "it goes on"


def test_what_needs_no_answer_gets_none(serve):
    server = serve()
    for line in ("", "\r", '{"jsonrpc":"2.0","method":"notifications/nonsense"}', '{"jsonrpc":"2.0","method":"ping"}',
                 '{"jsonrpc":"2.0","id":5,"result":{}}', '{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"x"}}',
                 '{"jsonrpc":"2.0","method":"notifications/cancelled"}',
                 '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}',
                 '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}',
                 '{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}'):
        server.write(line + "\n")
    assert server.silent(0.3)
    assert server.ask("tools/list")["result"]["tools"]


def test_lines_come_in_any_pieces(serve):
    server = serve()
    line = json.dumps({"jsonrpc": "2.0", "id": "p", "method": "tools/list", "params": {"_meta": META}}).encode()
    for i in range(0, len(line), 17):
        server.write(line[i:i + 17])
    server.write(b"\r\n" + line.replace(b'"p"', b'"q"') + b"\n" + line.replace(b'"p"', b'"r"') + b"\n")
    assert {server.answer(k)["id"] for k in "pqr"} == {"p", "q", "r"}


def test_huge(serve):
    server = serve()
    server.write(b"[" + b" " * (4 << 20) + b"]\n")
    assert "4194304" in error_of(server.receive(), REQUEST)["message"]
    for _ in range(8):
        server.write(b"x" * (1 << 20))
    error_of(server.receive(), REQUEST)
    assert server.silent(0.2), "a line is reported once"
    server.write(b"\n")
    text = "y" * ((4 << 20) - 1000)
    answer = server.ask("tools/call", {"name": "runtime_version", "arguments": {"no": text}})
    assert answer["result"]["isError"]
    rss = int(next(x for x in open(f"/proc/{server.pid}/status") if x.startswith("VmHWM")).split()[1])
    assert rss < 100_000, f"{rss} KiB"


def test_ids_are_strings_or_integers_and_not_used_twice(serve):
    server = serve()
    for id in (0, -5, "", "x" * 512, 2**53):
        assert server.ask("tools/list", id=id)["id"] == id
    server.post("subscriptions/listen", {"notifications": {}}, id=7)
    server.receive(lambda m: "method" in m)
    error_of(server.ask("tools/call", {"name": "runtime_version"}, id=7), REQUEST)
    assert server.ask("tools/call", {"name": "runtime_version"}, id="7")["result"], "7 is not \"7\""
    server.cancel(7)
    assert server.ask("tools/call", {"name": "runtime_version"}, id=7)["result"], "free again"


# ---- tools/list, tools/call, resources --------------------------------------


def test_tools(serve):
    result = serve().ask("tools/list")["result"]
    tools = {t["name"]: t for t in result["tools"]}
    assert len(tools) == 50 and result["ttlMs"] > 0
    for tool in tools.values():
        assert tool["title"] and len(tool["description"]) > 10
        assert tool["inputSchema"]["additionalProperties"] is False
        assert tool["outputSchema"]["type"] == "object"
        assert set(tool["annotations"]) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert tools["sandbox_list"]["annotations"]["readOnlyHint"]
    assert not tools["sandbox_remove"]["annotations"]["readOnlyHint"]
    assert tools["sandbox_remove"]["annotations"]["destructiveHint"]
    assert tools["image_pull"]["annotations"]["openWorldHint"]
    error_of(serve().ask("tools/list", {"cursor": "x"}), PARAMS)


def test_calls_that_are_wrong(serve):
    server = serve()
    error_of(server.ask("tools/call", {"name": "no_such"}), PARAMS)
    error_of(server.ask("tools/call", {}), PARAMS)
    error_of(server.ask("tools/call", {"name": 5}), PARAMS)
    error_of(server.ask("tools/call", {"name": "sandbox_list", "arguments": []}), PARAMS)
    error = server.failed("sandbox_list", nonsense=1)
    assert error["code"] == "invalid" and "nonsense" in error["message"] and "labels" in error["message"]
    for args, word in (({}, "name: is missing"), ({"name": 7}, "name: is not a string"), ({"name": ""}, "name: is empty"),
                       ({"name": "x" * 200}, "name: is too long"), ({"name": "a\0b"}, "name: has a NUL"),
                       ({"name": "a", "command": "ls", "env": {"A": 1}}, "env.A: is not a string"),
                       ({"name": "a", "command": "ls", "env": {"A=B": "1"}}, "is no name"),
                       ({"name": "a", "command": "ls", "args": ["a", 1]}, "args[1]: is not a string"),
                       ({"name": "a", "command": "ls", "timeoutMs": 0}, "timeoutMs: is not an integer from 1"),
                       ({"name": "a", "command": "ls", "timeoutMs": 1.5}, "timeoutMs: is not an integer"),
                       ({"name": "a", "command": "ls", "encoding": "latin1"}, "is not one of: utf8 base64"),
                       ({"name": "a", "command": "ls", "rlimits": [{"soft": 1}]}, "rlimits[0].resource: is missing"),
                       ({"name": "a", "command": "ls", "tty": "yes"}, "tty: is neither true nor false"),
                       ({"name": "a", "command": "ls", "stdin": "a", "stdinBase64": "YQ=="}, "one of them"),
                       ({"name": "a", "command": "ls", "stdinBase64": "YQ"}, "not base64")):
        assert word in server.failed("sandbox_exec", **args)["message"], args


def test_resources(serve):
    server = serve()
    listed = [r["uri"] for r in server.ask("resources/list")["result"]["resources"]]
    assert listed == ["microsandbox://" + x for x in ("runtime", "sandboxes", "volumes", "images", "snapshots", "policy",
                                                     "schemas/sandbox-create")]
    for uri in listed:
        result = server.ask("resources/read", {"uri": uri})["result"]
        assert result["ttlMs"] == 0 and result["contents"][0]["uri"] == uri
        assert isinstance(json.loads(result["contents"][0]["text"]), dict), uri
    templates = server.ask("resources/templates/list")["result"]["resourceTemplates"]
    assert [t["uriTemplate"] for t in templates] == ["microsandbox://sandboxes/{name}", "microsandbox://sandboxes/{name}/logs"]
    for uri in ("microsandbox://no", "file:///etc/passwd", "", "microsandbox://sandboxes/none",
                "microsandbox://sandboxes/none/logs", "microsandbox://sandboxes/../x", "microsandbox://sandboxes/"):
        error = error_of(server.ask("resources/read", {"uri": uri}), PARAMS)
        assert error["data"] == {"uri": uri}
    error_of(server.ask("resources/read", {}), PARAMS)
    old = serve(handshake=LEGACY)
    error_of(old.ask("resources/read", {"uri": "microsandbox://no"}), -32002)
    assert "ttlMs" not in old.ask("resources/list")["result"]


def test_many_requests_at_once(serve):
    server = serve()
    ids = [server.start_call("runtime_version") for _ in range(400)]
    for id in ids:
        assert server.result(id)["structuredContent"]["version"]


@pytest.mark.parametrize("end", ["its input ends", "a signal"])
def test_answers_that_nobody_reads_do_not_keep_it(build_dir, mcp_env, tmp_path, end):
    """More of them than are kept, so that even who reads requests waits for room."""
    r, w = os.pipe()
    p = subprocess.Popen([build_dir / "msb", "mcp"], stdin=subprocess.PIPE, stdout=w, env=mcp_env, cwd=tmp_path)
    os.close(w)

    def feed():
        try:
            for i in range(400):
                p.stdin.write(json.dumps({"jsonrpc": "2.0", "id": i, "method": "tools/list",
                                          "params": {"_meta": META}}).encode() + b"\n")
            if end == "its input ends":
                p.stdin.close()
        except OSError:
            pass

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        thread.join(5)
        if end == "a signal":
            p.terminate()
        assert p.wait(30) == 0
    finally:
        p.kill()
        os.close(r)
        thread.join()
