"""The official Python client against msb mcp: lists, each group of tools,
errors, cancellation, progress. Usage: calls.py MODE IMAGE FOLDER -- COMMAND...

MODE: auto (finds the current revision by itself), legacy (the handshake), or a
revision. The client checks every result against the tool's output schema.
"""
import asyncio
import os
import pathlib
import sys

from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters

MODE, IMAGE, FOLDER = sys.argv[1:4]
COMMAND = sys.argv[5:]


async def fine(client, tool, **args):
    result = await client.call_tool(tool, args)
    assert not result.is_error, (tool, result.content)
    return result.structured_content


async def check_lists(client):
    tools = (await client.list_tools()).tools
    assert len(tools) == 50, len(tools)
    assert all(t.description and t.output_schema and t.annotations for t in tools)
    assert len((await client.list_resources()).resources) == 7
    assert len((await client.list_resource_templates()).resource_templates) == 2
    read = await client.read_resource("microsandbox://policy")
    assert FOLDER in read.contents[0].text
    return [t.name for t in tools]


async def check_errors(client):
    result = await client.call_tool("sandbox_inspect", {"name": "nobody"})
    assert result.is_error and "not_found" in result.content[0].text
    result = await client.call_tool("sandbox_exec", {"nonsense": 1})
    assert result.is_error and "nonsense" in result.content[0].text
    for wrong in (client.call_tool("no_such_tool", {}), client.read_resource("microsandbox://none")):
        try:
            await wrong
        except MCPError as e:
            assert e.code in (-32602, -32002), e
        else:
            raise AssertionError("nothing was raised")


async def check_calls(client):
    seen = []

    async def progress(value, total, message):
        seen.append((value, total, message))

    made = await client.call_tool("sandbox_create", {"name": "c", "image": IMAGE, "memoryMib": 64,
                                                     "bootTimeoutMs": 300000}, progress_callback=progress)
    assert not made.is_error, made.content
    assert seen and [v for v, _, _ in seen] == sorted({v for v, _, _ in seen}), seen
    assert (await fine(client, "sandbox_shell", name="c", command="echo $((6*7))"))["stdout"] == "42\n"
    await fine(client, "sandbox_fs_write", name="c", path="/tmp/a", content="text ü\n")
    assert (await fine(client, "sandbox_fs_read", name="c", path="/tmp/a"))["content"] == "text ü\n"
    await fine(client, "sandbox_fs_stat", name="c", path="/tmp/a")
    await fine(client, "sandbox_fs_list", name="c", path="/")
    await fine(client, "sandbox_fs_copy_to_host", name="c", path="/tmp/a", hostPath=f"{FOLDER}/a-{MODE}")
    assert pathlib.Path(FOLDER, f"a-{MODE}").read_text() == "text ü\n"
    x = (await fine(client, "sandbox_exec_start", name="c", command="cat"))["execSessionId"]
    await fine(client, "sandbox_exec_write_stdin", execSessionId=x, data="to cat", close=True)
    poll = {"status": "running"}
    while poll["status"] == "running":
        poll = await fine(client, "sandbox_exec_poll", execSessionId=x, waitMs=10000)
    assert "".join(e["data"] for e in poll["events"]) == "to cat"
    await fine(client, "sandbox_exec_close", execSessionId=x)
    for tool, args in (("sandbox_list", {}), ("sandbox_inspect", {"name": "c"}), ("sandbox_metrics", {"name": "c"}),
                       ("sandbox_metrics_all", {}), ("sandbox_logs_read", {"name": "c"}), ("net_rules", {"name": "c"}),
                       ("net_explain", {"name": "c", "host": "10.0.0.1"}), ("image_list", {}), ("volume_list", {}),
                       ("snapshot_list", {}), ("runtime_check", {}), ("runtime_version", {}),
                       ("sandbox_modify", {"name": "c", "labels": {"a": "b"}})):
        await fine(client, tool, **args)


async def check_cancellation(client):
    call = asyncio.create_task(client.call_tool("sandbox_exec", {"name": "c", "command": "sleep", "args": ["4321"]}))
    await asyncio.sleep(1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    for _ in range(100):
        if "4321" not in (await fine(client, "sandbox_exec", name="c", command="ps"))["stdout"]:
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("the command lives on")
    result = await client.call_tool("sandbox_exec", {"name": "c", "command": "sleep", "args": ["60"], "timeoutMs": 500})
    assert result.is_error and result.structured_content["timedOut"]


async def main():
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=dict(os.environ))
    async with Client(server, mode=MODE) as client:
        want = "2025-11-25" if MODE == "legacy" else "2026-07-28"
        assert client.protocol_version == want, client.protocol_version
        await check_lists(client)
        await check_errors(client)
        await check_calls(client)
        await check_cancellation(client)
        await fine(client, "sandbox_remove", name="c", force=True, confirm=True)
    print("ok", want)


asyncio.run(main())
