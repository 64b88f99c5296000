"""The official clients, of pinned versions, drive msb mcp."""
import json
import os
import pathlib
import subprocess

import pytest

CLIENTS = pathlib.Path(__file__).parent / "clients"


@pytest.fixture
def command(build_dir, image, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    return [str(image), str(folder), "--", str(build_dir / "msb"), "mcp", "--allow-path", os.path.dirname(image),
            "--allow-path", str(folder)]


def run(argv, env, timeout=600):
    r = subprocess.run([str(a) for a in argv], env=env, capture_output=True, text=True, timeout=timeout)
    assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-6000:]
    return r.stdout


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
def test_python(client_python, command, mcp_env, mode):
    assert run([client_python, CLIENTS / "calls.py", mode, *command], mcp_env).startswith("ok ")


@pytest.mark.parametrize("package", ["sdk", "client"])
def test_typescript(client_node, command, mcp_env, package):
    assert run(["node", CLIENTS / "calls.mjs", package, client_node, *command], mcp_env) == "ok\n"


def inspector(client_node, command, env, *args):
    out = run([client_node / "node_modules/.bin/mcp-inspector", "--cli", *command[3:], *args], env)
    return json.loads(out)


def test_inspector(client_node, command, mcp_env):
    tools = inspector(client_node, command, mcp_env, "--method", "tools/list")["tools"]
    assert len(tools) == 50
    uris = [r["uri"] for r in inspector(client_node, command, mcp_env, "--method", "resources/list")["resources"]]
    assert "microsandbox://policy" in uris
    result = inspector(client_node, command, mcp_env, "--method", "tools/call", "--tool-name", "runtime_version")
    assert result["structuredContent"]["version"]
    result = inspector(client_node, command, mcp_env, "--method", "tools/call", "--tool-name", "sandbox_run", "--tool-arg",
                       f"image={command[0]}", "command=echo", 'args=["from","inside"]', "memoryMib=64",
                       "bootTimeoutMs=300000")
    assert result["structuredContent"]["stdout"] == "from inside\n", result


def test_soak(client_python, command, mcp_env):
    """Mixed calls; MSB_TEST_SOAK=1800 for half an hour of them."""
    seconds = float(os.environ.get("MSB_TEST_SOAK", "20"))
    out = run([client_python, CLIENTS / "soak.py", seconds, *command], mcp_env, timeout=seconds + 900)
    figures = json.loads(out.splitlines()[-1])
    print(json.dumps(figures, indent=1))
    assert figures["calls"] > seconds
    if seconds >= 300:
        assert figures["rss_kib_max_late"] < figures["rss_kib_max_early"] * 1.1 + 4096, figures
        assert figures["fds_max_late"] <= figures["fds_max_early"] + 8, figures
    assert figures["last"]["rss_kib"] < 100_000 and figures["last"]["fds"] < 80, figures
