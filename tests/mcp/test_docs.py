"""docs/mcp.md says what the server is."""
import json
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
TEXT = (TOP / "docs/mcp.md").read_text()


def test_the_table_is_the_binary_s(build_dir):
    table = subprocess.run([build_dir / "msb", "mcp", "--list-tools"], capture_output=True, text=True, check=True).stdout
    assert table in TEXT, "msb mcp --list-tools has changed: put it into docs/mcp.md"


def test_options_and_variables(build_dir):
    help_text = subprocess.run([build_dir / "msb", "mcp", "--help"], capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"--[a-z-]+", help_text)) - {"--help", "--version", "--tree", "--error", "--warn", "--info",
                                                         "--debug", "--trace"}
    ours = set(re.findall(r"--(?:allow|deny|max|read|timeout|session|list)[a-z-]*", TEXT))
    assert {o for o in options if o in TEXT} == options == ours
    for name in re.findall(r"MICROSANDBOX_MCP_[A-Z_]+", help_text):
        assert name in TEXT


def test_each_agent_s_line_is_json_where_it_is(build_dir):
    snippets = re.findall(r"`(\{\"(?:mcpServers|servers|context_servers|mcp)\".*?\})`", TEXT)
    assert len(snippets) == 8
    for text in snippets:
        assert '"microsandbox"' in text and json.loads(text)
    for name in ("Claude Code", "Claude Desktop", "Cursor", "VS Code", "Codex", "Gemini CLI", "Windsurf", "Zed", "OpenCode"):
        assert f"| {name}" in TEXT


@pytest.mark.parametrize("args", [["--list-tools", "--read-only"], ["--list-tools", "--allow-tool", "image_*"]])
def test_the_table_of_what_is_left(build_dir, args):
    table = subprocess.run([build_dir / "msb", "mcp", *args], capture_output=True, text=True, check=True).stdout
    assert 5 <= table.count("\n| `") < 50
