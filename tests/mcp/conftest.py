"""What tests of msb mcp share: the build, the image, a server by raw lines,
and the official clients, of pinned versions, in a cache."""
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import venv

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

_spec = importlib.util.spec_from_file_location("e2e_conftest", TOP / "tests/e2e/conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)

build_dir = _e2e.build_dir
busybox_image = _e2e.busybox_image
nothing_is_left_behind = _e2e.nothing_is_left_behind
no_machine_outlives_a_killed_run = _e2e.no_machine_outlives_a_killed_run

from mcp_lib.raw import Server  # noqa: E402

PYPI = ["mcp==2.3.0"]
NPM = {"@modelcontextprotocol/sdk": "1.32.2", "@modelcontextprotocol/client": "2.4.0",
       "@modelcontextprotocol/inspector": "2.12.0"}


@pytest.fixture(scope="session")
def cache():
    path = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "microsandbox"
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def client_python(cache):
    """The interpreter of a venv that has the official client."""
    folder = cache / ("mcp-" + PYPI[0].split("==")[1])
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin/pip", "-q", "install", *PYPI], check=True, timeout=600)
        (folder / "ready").touch()
    return folder / "bin/python"


@pytest.fixture(scope="session")
def client_node(cache):
    """A folder whose node_modules has the official clients."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"node is {version.strip()}: the official clients need 20")
    folder = cache / ("mcp-npm-" + "-".join(NPM.values()))
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": NPM}))
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"], cwd=folder,
                       check=True, timeout=900)
        (folder / "ready").touch()
    return folder


def base_environment(build_dir, home):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MSB_LOG", "MICROSANDBOX_MCP"))}
    env.update(MSB_HOME=str(home), MSB_RUNTIME=str(build_dir))
    return env


@pytest.fixture
def mcp_env(build_dir, tmp_path):
    return base_environment(build_dir, tmp_path / "home")


@pytest.fixture
def serve(build_dir, mcp_env, tmp_path):
    """serve(*options, env=None) starts a server in a folder of its own."""
    servers = []
    work = tmp_path / "work"
    work.mkdir()

    def start(*options, env=None, handshake=None):
        server = Server([build_dir / "msb", "mcp", *options], {**mcp_env, **(env or {})}, work)
        servers.append(server)
        if handshake:
            server.initialize(handshake)
        return server

    start.work = work
    yield start
    for server in servers:
        server.end()


@pytest.fixture
def image(busybox_image):
    return str(busybox_image)


@pytest.fixture
def outside(tmp_path):
    """A folder that is not allowed, with a file that nobody may see."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_text("secret")
    return path
