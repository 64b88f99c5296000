"""Mixed calls by the official Python client for so many seconds; the server
must not grow. Prints a JSON object of figures, the last line.

Usage: soak.py SECONDS IMAGE FOLDER -- COMMAND...
"""
import asyncio
import json
import os
import pathlib
import random
import sys
import time

from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters

SECONDS = float(sys.argv[1])
IMAGE, FOLDER = sys.argv[2:4]
COMMAND = sys.argv[5:]
WARM_UP = 0.15  # of the time: what is there then may stay
PAUSE = 0.05 if SECONDS <= 60 else 0.4  # a long one shares the machine
SMALL = {"memoryMib": 64, "bootTimeoutMs": 300000}  # others may use the machine, too
counts, slowest, samples = {}, {}, []


def server_pid():
    for pid in pathlib.Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for child in pid.read_text().split():
            if "mcp" in pathlib.Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                return int(child)
    raise SystemExit("the server is not there")


def look(pid, start):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    samples.append({"seconds": round(time.monotonic() - start, 1),
                    "rss_kib": int(status["VmRSS"].split()[0]),
                    "threads": int(status["Threads"]),
                    "fds": len(os.listdir(f"/proc/{pid}/fd"))})


class Soak:
    def __init__(self, client, end):
        self.client, self.end, self.turn = client, end, 0

    async def call(self, tool, error=False, **args):
        begin = time.monotonic()
        result = await self.client.call_tool(tool, args)
        counts[tool] = counts.get(tool, 0) + 1
        slowest[tool] = max(slowest.get(tool, 0), time.monotonic() - begin)
        assert bool(result.is_error) == error, (tool, args, result.content)
        return result.structured_content

    async def exec(self):
        text = "x" * random.randrange(1, 60000)
        out = await self.call("sandbox_exec", name="soak", command="cat", stdin=text)
        assert out["stdout"] == text

    async def flood(self):
        out = await self.call("sandbox_shell", name="soak", command="yes | head -c 3000000", maxBytes=100000)
        assert out["truncated"] and len(out["stdout"]) == 100000 and out["stdoutBytes"] == 3000000, out["stdoutBytes"]

    async def files(self):
        self.turn += 1
        path = f"/tmp/f{self.turn % 7}"
        text = f"{self.turn} ü\n" * 300
        await self.call("sandbox_fs_write", name="soak", path=path, content=text)
        assert (await self.call("sandbox_fs_read", name="soak", path=path))["content"] == text
        await self.call("sandbox_fs_list", name="soak", path="/tmp")
        await self.call("sandbox_fs_remove", name="soak", path=path, force=True)

    async def host(self):
        await self.call("sandbox_fs_copy_from_host", name="soak", hostPath=f"{FOLDER}/in", path="/tmp/in")
        await self.call("sandbox_fs_copy_to_host", name="soak", hostPath=f"{FOLDER}/out", path="/tmp/in")

    async def background(self):
        x = (await self.call("sandbox_exec_start", name="soak", command="cat"))["execSessionId"]
        await self.call("sandbox_exec_write_stdin", execSessionId=x, data="a\n" * 5000, close=True)
        text, cursor = "", 0
        while True:
            poll = await self.call("sandbox_exec_poll", execSessionId=x, cursor=cursor, waitMs=5000)
            text += "".join(e["data"] for e in poll["events"])
            cursor = poll["nextCursor"]
            if poll["status"] != "running" and not poll["more"]:
                break
        assert text == "a\n" * 5000, len(text)
        await self.call("sandbox_exec_close", execSessionId=x)

    async def errors(self):
        await self.call("sandbox_exec", error=True, name="nobody", command="ls")
        await self.call("sandbox_exec", error=True, name="soak", comand="ls")
        await self.call("sandbox_fs_read", error=True, name="soak", path="/none")
        await self.call("sandbox_fs_copy_from_host", error=True, name="soak", hostPath="/etc/passwd", path="/tmp/x")
        try:
            await self.client.call_tool("no_such_tool", {})
            raise AssertionError("a tool that is not there")
        except MCPError:
            pass

    async def cancel(self):
        task = asyncio.create_task(self.client.call_tool("sandbox_exec", {"name": "soak", "command": "sleep",
                                                                          "args": ["1000"]}))
        await asyncio.sleep(random.uniform(0, 0.3))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        counts["cancelled"] = counts.get("cancelled", 0) + 1

    async def tell(self):
        for tool in ("runtime_version", "sandbox_list", "image_list", "volume_list", "snapshot_list"):
            await self.call(tool)
        await self.call("sandbox_inspect", name="soak")
        await self.call("sandbox_metrics", name="soak", intervalMs=50)
        await self.call("net_explain", name="soak", host="10.0.0.1", port=80)
        await self.call("sandbox_logs_read", name="soak", tail=20)
        await self.client.read_resource("microsandbox://sandboxes/soak", cache_mode="bypass")
        await self.client.list_tools(cache_mode="bypass")

    async def many(self, *jobs):
        while time.monotonic() < self.end:
            await random.choice(jobs)()
            await asyncio.sleep(PAUSE)

    async def life(self):
        """Machines that come and go, one at a time: each costs seconds."""
        while time.monotonic() < self.end:
            await self.call("sandbox_run", image=IMAGE, command="true", **SMALL)
            await self.call("volume_create", name="v")
            box = await self.call("sandbox_create", image=IMAGE, **SMALL, mounts=[{"name": "v", "guestPath": "/v"}])
            await self.call("sandbox_shell", name=box["name"], command="echo a > /v/a")
            await self.call("sandbox_stop", name=box["name"], force=True)
            await self.call("volume_remove", name="v", confirm=True)
            await asyncio.sleep(8)


async def watch(pid, start, end):
    while time.monotonic() < end:
        look(pid, start)
        await asyncio.sleep(max(0.5, SECONDS / 200))


async def main():
    pathlib.Path(FOLDER, "in").write_text("from the host\n")
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=dict(os.environ))
    async with Client(server) as client:
        assert client.protocol_version == "2026-07-28", client.protocol_version
        pid = server_pid()
        await client.call_tool("sandbox_create", {"name": "soak", "image": IMAGE, "memoryMib": 128, "bootTimeoutMs": 300000})
        start = time.monotonic()
        s = Soak(client, start + SECONDS)
        await asyncio.gather(watch(pid, start, s.end), s.life(),
                             s.many(s.exec, s.files, s.background, s.cancel),
                             s.many(s.exec, s.host, s.errors, s.tell),
                             s.many(s.background, s.flood, s.tell, s.cancel))
        look(pid, start)
        await client.call_tool("sandbox_remove", {"name": "soak", "force": True, "confirm": True})
    warm = [x for x in samples if x["seconds"] >= SECONDS * WARM_UP]
    half = warm[len(warm) // 2:]
    first, last = warm[0], samples[-1]
    print(json.dumps({
        "seconds": SECONDS, "calls": sum(counts.values()), "cancelled": counts.get("cancelled", 0), "counts": counts,
        "slowest_ms": {k: round(v * 1000) for k, v in slowest.items()},
        "first": samples[0], "warm": first, "last": last,
        "rss_kib_max_early": max(x["rss_kib"] for x in warm[:max(1, len(warm) // 2)]),
        "rss_kib_max_late": max(x["rss_kib"] for x in half),
        "fds_max_early": max(x["fds"] for x in warm[:max(1, len(warm) // 2)]),
        "fds_max_late": max(x["fds"] for x in half),
        "threads_max": max(x["threads"] for x in samples)}))


asyncio.run(main())
