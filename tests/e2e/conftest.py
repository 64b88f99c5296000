"""What all end-to-end tests share: the build, images, a registry, leak checks."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(TOP / "tests" / "images"))

from lib import engine  # noqa: E402
from lib.cli import Cli, descendants, die_with_parent, is_gone  # noqa: E402

# Orphans become our children, so that none is overlooked below.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
LEAK_SECONDS = 30  # a killed QEMU needs its moment


def pytest_configure(config):
    config.addinivalue_line("markers", "qemu_only: about the qemu engine; skipped where the suite runs on another one")
    if engine.ASKED not in ("auto", "kvm", "qemu"):
        pytest.exit(f"MSB_ENGINE={engine.ASKED} is no engine", 2)
    if engine.NAME == "kvm" and not engine.hardware():
        pytest.exit("MSB_ENGINE=kvm needs hardware virtualization: here Linux does not run on KVM", 2)


def pytest_report_header():
    return f"engine: {engine.NAME} (MSB_ENGINE={engine.ASKED})"


def pytest_runtest_setup(item):
    if item.get_closest_marker("qemu_only") and engine.NAME != "qemu":
        pytest.skip("about the qemu engine")


def need(program):
    """Skip, with the reason printed, where a program is missing."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def machines():
    """The processes of ours below this one: {pid: name}."""
    found = {}
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            if name.startswith(("msb", "qemu")) and not is_gone(pid):
                found[pid] = name
    return found


def temporary_files():
    return {p.name for p in pathlib.Path("/tmp").glob("msb*")
            if not p.name.startswith(("msb-bench", "msb-test"))}


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """No process and no file in /tmp may outlive its test."""
    processes, files = set(machines()), temporary_files()

    def left():
        return [f"{pid} {name}" for pid, name in machines().items()
                if pid not in processes] + sorted(temporary_files() - files)
    yield
    end = time.monotonic() + LEAK_SECONDS
    while left() and time.monotonic() < end:
        time.sleep(0.02)
    assert not left(), "left behind"


@pytest.fixture(scope="session")
def build_dir():
    path = pathlib.Path(os.environ.get("MSB_TEST_BUILD", TOP / "build"))
    for part in ("msb", "msb-vmm", "vmlinux", "initramfs.cpio"):
        assert (path / part).exists(), f"{path / part} is missing: run make"
    return path


@pytest.fixture(scope="session", autouse=True)
def no_machine_outlives_a_killed_run(build_dir, tmp_path_factory):
    p = subprocess.Popen([sys.executable, TOP / "tests/e2e/lib/guard.py", build_dir / "msb",
                          tmp_path_factory.getbasetemp()], stdin=subprocess.PIPE, start_new_session=True)
    yield
    p.kill()  # each test has cleaned up after itself
    p.communicate()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def msb(build_dir, home):
    """msb with an empty home of its own."""
    return Cli(build_dir, home)


@pytest.fixture(scope="session")
def test_images():
    """The folder of OCI layouts that tests/images/build.py made."""
    r = subprocess.run([TOP / "tests/images/build.py"], stdout=subprocess.PIPE,
                       text=True, check=True)
    return pathlib.Path(r.stdout.strip())


@pytest.fixture(scope="session")
def busybox_image():
    """An OCI layout with Debian's busybox-static."""
    r = subprocess.run([TOP / "tests/images/build.py", "--busybox-only"],
                       stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(r.stdout.strip()) / "busybox"


@pytest.fixture(scope="session")
def python_image(test_images):
    if not (test_images / "python").is_dir():
        pytest.skip("mmdebstrap is not installed")
    return test_images / "python"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


class Registry:
    """Debian's docker-registry on a loopback port."""

    def __init__(self, folder):
        self.port = free_port()
        self.host = f"localhost:{self.port}"
        self.storage = folder / "storage"
        config = folder / "config.yml"
        config.write_text(f"""version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {self.storage}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{self.port}"}}
""")
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", config], stdout=log, stderr=log,
                preexec_fn=die_with_parent)
        end = time.monotonic() + 60
        while not listening(self.port):
            assert self.process.poll() is None and time.monotonic() < end, \
                (folder / "log").read_text()
            time.sleep(0.05)

    def push(self, layout, tag, name, *options):
        """Copy an image of an OCI layout; gives the reference to pull."""
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy",
                        "--dest-tls-verify=false", *options,
                        f"oci:{layout}:{tag}", f"docker://{self.host}/{name}"],
                       check=True)
        return f"{self.host}/{name}"

    def close(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    need("docker-registry")
    need("skopeo")
    r = Registry(tmp_path_factory.mktemp("registry"))
    yield r
    r.close()


@pytest.fixture(scope="session")
def python_ref(registry, python_image):
    return registry.push(python_image, "3.11", "python:3.11")


@pytest.fixture(scope="session")
def shared_home(build_dir, tmp_path_factory, python_ref):
    """A home with the python image in it, pulled once."""
    home = tmp_path_factory.mktemp("shared") / "home"
    Cli(build_dir, home).ok("pull", "-q", python_ref)
    return home


@pytest.fixture
def python_msb(build_dir, shared_home):
    return Cli(build_dir, shared_home)
