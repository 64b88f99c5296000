"""A client that says what it is told to, line by line."""
import json
import queue
import subprocess
import threading
import time

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
WAIT = 240


class Server:
    def __init__(self, command, env, cwd):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=env, cwd=cwd)
        self.messages, self.kept, self.n, self.handshake = queue.Queue(), [], 0, None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @property
    def pid(self):
        return self.process.pid

    def _read(self):
        for line in self.process.stdout:
            self.messages.put(json.loads(line))
        self.messages.put(None)

    def write(self, data):
        self.process.stdin.write(data if isinstance(data, bytes) else data.encode())
        self.process.stdin.flush()

    def send(self, message):
        self.write(json.dumps(message) + "\n")

    def receive(self, match=lambda m: True, timeout=WAIT):
        """The next message that matches; others are kept."""
        for i, m in enumerate(self.kept):
            if match(m):
                return self.kept.pop(i)
        end = time.monotonic() + timeout
        while True:
            m = self.messages.get(timeout=max(0.001, end - time.monotonic()))
            assert m is not None, "the server has ended"
            if match(m):
                return m
            self.kept.append(m)

    def silent(self, seconds, match=lambda m: True):
        try:
            return self.receive(match, seconds) is None
        except queue.Empty:
            return True

    def initialize(self, version=LEGACY):
        answer = self.ask("initialize", {"protocolVersion": version, "capabilities": {},
                                         "clientInfo": {"name": "test", "version": "1"}}, modern=False)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.handshake = answer["result"]["protocolVersion"]
        return answer["result"]

    def post(self, method, params=None, modern=None, meta=None, id=None):
        """Send a request; its id."""
        params = dict(params or {})
        modern = not self.handshake if modern is None else modern
        if modern or meta:
            params["_meta"] = {**(META if modern else {}), **(meta or {})}
        self.n += 1
        id = self.n if id is None else id
        self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return id

    def answer(self, id, timeout=WAIT):
        return self.receive(lambda m: m.get("id") == id, timeout)

    def ask(self, method, params=None, timeout=WAIT, **kw):
        return self.answer(self.post(method, params, **kw), timeout)

    def start_call(self, tool, meta=None, **args):
        return self.post("tools/call", {"name": tool, "arguments": args}, meta=meta)

    def result(self, id, timeout=WAIT):
        answer = self.answer(id, timeout)
        assert "result" in answer, answer
        return answer["result"]

    def call(self, tool, timeout=WAIT, **args):
        """What a tool gave; it must not have failed."""
        result = self.result(self.start_call(tool, **args), timeout)
        assert not result["isError"], result["content"]
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
        return result["structuredContent"]

    def failed(self, tool, **args):
        """The error of a tool that must fail: code, message, hint."""
        result = self.result(self.start_call(tool, **args))
        assert result["isError"], result
        error = result["_meta"]["microsandbox/error"]
        assert error["message"] in result["content"][0]["text"]
        return error

    def cancel(self, id):
        self.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})

    def end(self, timeout=60):
        """Close its input; its exit code and how long that took."""
        begin = time.monotonic()
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        code = self.process.wait(timeout)
        self.reader.join(timeout)
        return code, time.monotonic() - begin
