"""The jail: what code that escaped from the guest finds in msb-vmm and in QEMU, and what both own while they run.

The table of acts is tests/escape/acts.c: it runs in each thread of a real msb-vmm, in the process that QEMU would be,
and, to show that the acts can work at all, outside of any jail.
"""
import os
import pathlib
import pty
import signal
import socket
import subprocess
import sys

import pytest

from lib import vmm
from lib.vmm import Vmm

ESCAPE = vmm.BUILD / "tests/escape/escape"
ESCAPE_VMM = vmm.BUILD / "tests/escape/msb-vmm-escape"
OWN_NAMESPACES = {"user-namespace", "mount-namespace", "ipc-namespace", "net-namespace", "empty-root"}
ALWAYS = {"seccomp", "no-capabilities", "no-new-privileges", "qemu-seccomp"}
NO_USER_NAMESPACES = "echo 0 >/proc/sys/user/max_user_namespaces"

# A process that translates code makes code; it may set its signals up.
QEMU_MAY = {"code-page", "data-to-code", "code-file", "sigaction"}
# Landlock hides what is in a file, not that it is there; QEMU's program is not emptied away.
LANDLOCK_MAY = {"look-at-key", "own-program"}
# Without it all the rest could be refused for a reason of no interest.
MUST = {"nothing"}
# What a kernel may lack or refuse to root as well; the rest must work outside.
MAY_BE_MISSING = {"userfaultfd", "perf", "io-uring", "bpf", "tiocsti", "modify-ldt", "raw-socket", "syslog",
                  "open-by-handle", "keyctl"}


def user_namespaces_allowed():
    return subprocess.run(["unshare", "-U", "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("root")
    vmm.busybox_tree(tmp / "tree")
    subprocess.run(["mkfs.erofs", tmp / "root.erofs", tmp / "tree"], check=True, capture_output=True)
    return tmp / "root.erofs"


@pytest.fixture
def start(root):
    machines = []

    def make(**settings):
        machines.append(Vmm(vmm.INITRAMFS, [("root", True, root), ("upper", False, b"\0" * (1 << 20))], **settings))
        return machines[-1]

    yield make
    for m in machines:
        m.close()


class Targets:
    """Files, sockets and a process of this host for the acts to find."""

    def __init__(self, folder):
        self.dir = folder
        self.renew()
        (folder / "true").write_bytes(pathlib.Path("/bin/true").read_bytes())
        (folder / "true").chmod(0o755)
        self.sockets = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        self.sockets[0].bind(str(folder / "socket"))
        self.abstract = f"msb-test-{os.getpid()}"
        self.sockets[1].bind("\0" + self.abstract)
        self.sockets += [socket.socket(), socket.socket(type=socket.SOCK_DGRAM)]
        for s in self.sockets[2:]:
            s.bind(("127.0.0.1", 0))
        for s in self.sockets[:3]:
            s.listen(1000)
        self.process = subprocess.Popen(["sleep", "600"])

    def renew(self):
        for name in ("key", "spare"):
            (self.dir / name).write_text("secret")
        for name in ("new", "link"):
            (self.dir / name).unlink(missing_ok=True)
        if (self.dir / "folder").exists():
            (self.dir / "folder").rmdir()

    def text(self):
        tcp, udp = (s.getsockname()[1] for s in self.sockets[2:])
        return f"dir={self.dir},abstract={self.abstract},tcp={tcp},udp={udp},pid={self.process.pid}"

    def untouched(self):
        assert (self.dir / "key").read_text() == (self.dir / "spare").read_text() == "secret"
        assert sorted(p.name for p in self.dir.iterdir()) == ["key", "socket", "spare", "true"]
        for s in self.sockets:
            s.setblocking(False)
            with pytest.raises(BlockingIOError):
                s.recv(1) if s.type == socket.SOCK_DGRAM else s.accept()

    def close(self):
        for s in self.sockets:
            s.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def targets(tmp_path):
    folder = tmp_path / "host"
    folder.mkdir()
    t = Targets(folder)
    yield t
    t.close()


def outcomes(text):
    """{thread: {act: word}}; QEMU's stand-in has no thread's name."""
    found = {}
    for line in text.splitlines():
        words = line.strip().split()
        if not words or words[0] != "escape":
            continue
        thread = words.pop(1) if words[1] in ("main", "block", "small", "vcpu") else ""
        found.setdefault(thread, {})[words[1]] = words[2]
    return found


def run_outside(targets):
    """In a session with a terminal of its own, so that pushing input into it can work."""
    ours, theirs = pty.openpty()
    code = "import fcntl,os,sys,termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    r = subprocess.run([sys.executable, "-c", code, ESCAPE, targets.text()], stdin=theirs, stdout=subprocess.PIPE,
                       text=True, check=True)
    os.close(ours)
    os.close(theirs)
    return outcomes(r.stdout)[""]


@pytest.fixture(scope="session")
def all_acts():
    """The names in acts.c's table: none may be left out anywhere."""
    text = (vmm.ROOT / "tests/escape/acts.c").read_text()
    table = text[text.index("const struct act acts[]"):text.index("const size_t nacts")]
    names = {line.split('"')[1] for line in table.splitlines() if line.strip().startswith('{"')}
    assert len(names) > 60
    return names


def test_outside_of_the_jail_the_acts_work(targets, all_acts):
    if os.getuid() != 0:
        pytest.skip("most acts need root to work outside")
    got = run_outside(targets)
    assert set(got) == all_acts | {"end"}
    refused = {act for act, word in got.items() if word != "done"}
    assert refused <= MAY_BE_MISSING, refused - MAY_BE_MISSING
    print("not possible here, so not shown:", sorted(refused))


class Escaping(Vmm):
    """msb-vmm with the hook, or with the acts in QEMU's place; maybe where there are no user namespaces."""

    program = ESCAPE_VMM
    wrapper = ()
    environ = {}

    def start(self):
        real, self.execve = os.execve, os.execve
        argv = [*self.wrapper, str(self.program), "msb-test"]

        def execve(_path, _argv, env):
            env = {**env, **self.environ}
            if self.wrapper:
                real(self.wrapper[0], argv, env)
            real(self.program, ["msb-vmm", "msb-test"], env)
        os.execve = execve
        try:
            super().start()
        finally:
            os.execve = real


def shell(command):
    """A wrapper that is this process's own image until msb-vmm is: same pid, same descriptors."""
    return ("/usr/bin/unshare", "-Ur", "/bin/sh", "-c", command + ' && exec "$0" "$@"')


WHERE = [pytest.param((), id="namespaces", marks=pytest.mark.skipif(not user_namespaces_allowed(),
                                                                    reason="no user namespaces here")),
         pytest.param(shell(NO_USER_NAMESPACES), id="landlock",
                      marks=pytest.mark.skipif(not user_namespaces_allowed(), reason="no user namespaces here"))]


def escaping(root, wrapper, program, environ, **settings):
    kind = type("Machine", (Escaping,), {"program": program, "wrapper": wrapper, "environ": environ})
    return kind(vmm.INITRAMFS, [("root", True, root), ("upper", False, b"\0" * (1 << 20))], **settings)


@pytest.mark.parametrize("wrapper", WHERE)
def test_no_thread_of_msb_vmm_gets_out(root, targets, all_acts, wrapper):
    m = escaping(root, wrapper, ESCAPE_VMM, {"MSB_ESCAPE": targets.text()})
    try:
        m.expect("VMM_STARTED")
        m.recv(60)  # READY or that the upper is no file system: the main thread's jail is closed before
        text = m.log_text()
    finally:
        m.close()
    got = outcomes(text)
    assert set(got) == {"main", "block", "small"}
    for thread, acts in got.items():
        assert set(acts) == all_acts, (thread, all_acts ^ set(acts))
        out = {act for act, word in acts.items() if word not in ("refused", "stopped")}
        assert out == MUST, (thread, out)
        refused = {act for act, word in acts.items() if word == "refused"}
        print(thread, "stopped:", len(acts) - len(refused), "refused:", sorted(refused))
    targets.untouched()


@pytest.mark.parametrize("wrapper", WHERE)
def test_the_process_that_is_qemu_does_not_get_out(root, targets, all_acts, wrapper):
    m = escaping(root, wrapper, vmm.VMM, {}, qemu=str(ESCAPE), cmdline=targets.text())
    try:
        message = m.recv(20)
        while message and message["type"] == "VMM_STARTED":
            message = m.recv(20)
        text = m.console_text()
        log = m.log_text()
    finally:
        m.close()
    got = outcomes(text).get("", {})
    assert got.pop("end", None) == "done", (text, log)
    assert set(got) == all_acts
    out = {act for act, word in got.items() if word != "refused"}
    assert MUST <= out <= MUST | QEMU_MAY | (LANDLOCK_MAY if wrapper else set()), out
    targets.untouched()
