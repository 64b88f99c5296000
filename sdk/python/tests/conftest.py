"""What the tests share. The environment is that of tests/sdk/test_python.py."""
import asyncio
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PACKAGE))


@pytest.fixture(scope="session")
def image():
    return os.environ["MSB_TEST_IMAGE"]


@pytest.fixture(scope="module")
def box(image):
    """A sandbox that runs, as the plain surface has it."""
    from microsandbox.sync import Sandbox

    sandbox = Sandbox.create(image=image, memory=128)
    yield sandbox
    sandbox.close()


@pytest.fixture
def live(box):
    """The same one for asyncio: a function that opens it in the loop that runs."""
    from microsandbox import Sandbox

    return lambda: Sandbox.open(box.name)


@pytest.fixture
def run():
    """Run a coroutine function in a loop of its own."""
    return lambda function, *args: asyncio.run(asyncio.wait_for(function(*args), 240))


@pytest.fixture
def program(tmp_path):
    """Run a program in a fresh interpreter: (code, env) -> the finished process."""

    def start(code, *args, check=True, **env):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(code))
        whole = dict(os.environ, PYTHONPATH=str(PACKAGE), **env)
        r = subprocess.run(
            [sys.executable, path, *args], env=whole, capture_output=True, text=True, timeout=240
        )
        if check:
            assert r.returncode == 0, r.stdout + r.stderr
        return r

    return start


def machines():
    """Processes of machines of this home: others run on this host."""
    found, home = [], os.environ["MSB_HOME"] + "/"
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if not path.read_text().startswith("msb-vmm"):
                continue
            if any(os.readlink(fd).startswith(home) for fd in (path.parent / "fd").iterdir()):
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found
