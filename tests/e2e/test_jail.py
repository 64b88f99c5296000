"""The jail: what code that escaped from the guest finds in msb-vmm and in QEMU, and what both own while they run.

The table of acts is tests/escape/acts.c: it runs in each thread of a real msb-vmm, in the process that QEMU would be,
and, to show that the acts can work at all, outside of any jail.
"""
import errno
import fcntl
import os
import pathlib
import pty
import signal
import socket
import subprocess
import sys

import pytest

from lib import vmm
from lib.cli import Cli
from lib.vmm import Vmm

IMAGE = "test/busybox:1"
ESCAPE = vmm.BUILD / "tests/escape/escape"
ESCAPE_VMM = vmm.BUILD / "tests/escape/msb-vmm-escape"
OWN_NAMESPACES = {"user-namespace", "mount-namespace", "ipc-namespace", "net-namespace", "empty-root"}
ALWAYS = {"seccomp", "no-capabilities", "no-new-privileges", "qemu-seccomp"}
NO_USER_NAMESPACES = "echo 0 >/proc/sys/user/max_user_namespaces"

# A process that translates code makes code; it may set its signals up.
QEMU_MAY = {"code-page", "data-to-code", "code-file", "sigaction"}
# Landlock hides what is in a file, not that it is there; QEMU's program is not emptied away.
LANDLOCK_MAY = {"look-at-key", "own-program"}
# Without any list of system calls these have to fail: by the empty root, the empty network, no capability.
FILES = {"read-passwd", "read-key", "write-key", "make-file", "make-file-here", "remove-file", "rename-file",
         "change-mode", "cut-file", "make-dir", "make-link", "look-at-key", "own-program", "first-process",
         "own-memory", "device", "list-folder", "openat2", "open-by-handle", "above-share", "write-above-share", "exec",
         "exec-memory"}
NETWORK = {"unix-socket", "abstract-socket", "tcp", "udp", "raw-socket", "packet-socket"}
PRIVILEGED = {"setns", "hostname", "fsopen", "open-tree", "mount", "bind-mount", "remount", "chroot", "bpf", "mount-ns",
              "setrlimit", "ptrace", "ptrace-parent", "read-memory"}
# Landlock has no say in these: the lists of system calls are their only wall there.
NOT_LANDLOCK = {"unix-socket", "udp", "change-mode", "look-at-key"}
# Without it all the rest could be refused for a reason of no interest.
MUST = {"nothing"}
# What a kernel may lack or refuse to root as well; the rest must work outside.
MAY_BE_MISSING = {"userfaultfd", "perf", "io-uring", "bpf", "tiocsti", "modify-ldt", "raw-socket", "syslog",
                  "open-by-handle", "keyctl", "packet-socket", "vsock", "ping-socket", "other-family"}
# The network's thread is in the host's network and may do these there; nothing else, whatever protocol or family.
NET_MAY = {"tcp", "udp"}
# Where an unprivileged user has ping sockets, so has it.
NET_MAY_HAVE = {"ping-socket"}


def user_namespaces_allowed():
    return subprocess.run(["unshare", "-U", "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return vmm.root_disk(tmp_path_factory.mktemp("root"))


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
        (folder / "share").mkdir()
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

    def untouched(self, network=0, unix=0):
        """With so many threads that have the network: each of them could connect once, and send one datagram; and so
        many that reach Unix sockets."""
        assert (self.dir / "key").read_text() == (self.dir / "spare").read_text() == "secret"
        assert sorted(p.name for p in self.dir.iterdir()) == ["key", "share", "socket", "spare", "true"]
        for s in self.sockets:
            s.setblocking(False)
            named = s.family == socket.AF_UNIX and isinstance(s.getsockname(), str)
            for _ in range(network if s.family == socket.AF_INET else unix if named else 0):
                s.recv(1) if s.type == socket.SOCK_DGRAM else s.accept()[0].close()
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


THREADS = ("main", "block", "small", "vcpu", "fs", "net", "sockets")


def outcomes(text):
    """{thread: {act: word}}; QEMU's stand-in has no thread's name."""
    found = {}
    for line in text.splitlines():
        words = line.strip().split()
        if not words or words[0] != "escape":
            continue
        thread = words.pop(1) if words[1] in THREADS else ""
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
        # Threads and processes write beside each other; a memfd loses lines of writers that share a position.
        fcntl.fcntl(self.log, fcntl.F_SETFL, os.O_APPEND)
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
# A user namespace, but no mount namespace in it.
HALF = pytest.param(shell("echo 0 >/proc/sys/user/max_mnt_namespaces"), id="half",
                    marks=pytest.mark.skipif(not user_namespaces_allowed(), reason="no user namespaces here"))


def escaping(root, targets, wrapper, program, environ, **settings):
    kind = type("Machine", (Escaping,), {"program": program, "wrapper": wrapper, "environ": environ})
    return kind(vmm.INITRAMFS, [("root", True, root), ("upper", False, b"\0" * (1 << 20))],
                shares=[("s0", targets.dir / "share")],
                sockets=[(5000, targets.dir / "share", "s")], **settings)


def check_acts(text, threads, all_acts, landlock):
    got = outcomes(text)
    assert set(got) == threads
    for thread, acts in got.items():
        assert set(acts) == all_acts, (thread, all_acts ^ set(acts))
        out = {act for act, word in acts.items() if word not in ("refused", "stopped")}
        # Landlock does not hide that a file is there, and the file server may ask.
        out -= {"look-at-key"} if landlock and thread == "fs" else set()
        out -= NET_MAY_HAVE if thread == "net" else set()
        # Nor does it know of Unix sockets, which are that thread's work; a namespace has none of the host's.
        out -= {"unix-socket"} if landlock and thread == "sockets" else set()
        assert out == MUST | (NET_MAY if thread == "net" else set()), (thread, out)


@pytest.mark.parametrize("wrapper", WHERE)
def test_no_thread_of_msb_vmm_gets_out(root, targets, all_acts, wrapper):
    m = escaping(root, targets, wrapper, ESCAPE_VMM, {"MSB_ESCAPE": targets.text()}, net=vmm.network())
    try:
        m.expect("VMM_STARTED")
        m.recv(60)  # READY or that the upper is no file system: the main thread's jail is closed before
        text = m.log_text()
    finally:
        m.close()
    check_acts(text, {"main", "block", "small", "fs", "net", "sockets"}, all_acts, bool(wrapper))
    targets.untouched(network=1, unix=bool(wrapper))


@pytest.mark.parametrize("wrapper", WHERE)
def test_no_thread_of_the_kvm_engine_gets_out(root, targets, all_acts, wrapper):
    """Also where KVM is emulated: the processors' threads enter their jail before they run anything."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kvm")
    m = escaping(root, targets, wrapper, ESCAPE_VMM, {"MSB_ESCAPE": targets.text()}, engine="kvm", cpus=2,
                 boot_timeout_ms=2000, net=vmm.network())
    try:
        message = m.recv(30)
        if message["type"] == "VMM_FAILED" and message["stage"] == "engine":
            pytest.skip(message["message"])
        wait_sealed(m)
        vmm.wait_until(lambda: m.log_text().count("escape vcpu exec-memory") == 2, 20, "the acts do not end")
        text = m.log_text()
    finally:
        m.close()
    check_acts(text, {"main", "block", "small", "vcpu", "fs", "net", "sockets"}, all_acts, bool(wrapper))
    targets.untouched(network=1, unix=bool(wrapper))


@pytest.mark.parametrize("wrapper", WHERE)
def test_without_the_lists_of_system_calls_the_other_walls_hold(root, targets, all_acts, wrapper):
    """What a hole in a list, or a call of a newer kernel, would open."""
    m = escaping(root, targets, wrapper, ESCAPE_VMM, {"MSB_ESCAPE": targets.text(), "MSB_ESCAPE_NO_FILTER": "1"},
                 net=vmm.network())
    try:
        m.expect("VMM_STARTED")
        m.recv(60)
        text = m.log_text()
    finally:
        m.close()
    got = outcomes(text)
    assert set(got) == {"main", "block", "small", "fs", "net", "sockets"}
    for thread, acts in got.items():
        out = {act for act, word in acts.items() if word != "refused"}
        walled = FILES | NETWORK | PRIVILEGED
        if wrapper:
            walled = walled - NOT_LANDLOCK | {"kill", "sigqueue", "tgkill", "listen"}
        if thread == "net":
            walled -= NET_MAY | {"listen"}
        assert not out & walled, (thread, out & walled)
    if not wrapper:
        targets.untouched(network=1)


@pytest.mark.parametrize("wrapper", WHERE)
def test_the_process_that_is_qemu_does_not_get_out(root, targets, all_acts, wrapper):
    m = escaping(root, targets, wrapper, vmm.VMM, {}, qemu=str(ESCAPE), cmdline=targets.text())
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


@pytest.mark.parametrize("wrapper", WHERE)
def test_the_socket_that_qemu_connects_is_ours_and_the_only_one(root, targets, all_acts, wrapper):
    """A network device wants a socket that QEMU made (qemu_sock.h): its first one, to wherever, is the device's."""
    m = escaping(root, targets, wrapper, vmm.VMM, {}, qemu=str(ESCAPE), cmdline=targets.text(), net=vmm.network())
    try:
        message = m.recv(20)
        while message and message["type"] == "VMM_STARTED":
            message = m.recv(20)
        text = m.console_text()
    finally:
        m.close()
    got = outcomes(text).get("", {})
    assert got.pop("end", None) == "done", (text, m.config)
    assert set(got) == all_acts
    out = {act for act, word in got.items() if word != "refused"}
    # The first act that makes a socket of the Unix family got it; it went nowhere.
    assert MUST | {"unix-socket"} <= out <= MUST | QEMU_MAY | {"unix-socket"} | (LANDLOCK_MAY if wrapper else set()), out
    for act in ("abstract-socket", "tcp", "udp", "vsock", "packet-socket", "ping-socket"):
        assert f"escape {act} refused {errno.ENOSYS}\n" in text.replace("\r", ""), act
    targets.untouched()


# ---- what both processes own while a machine runs ----

def status(path):
    lines = (path / "status").read_text().splitlines()
    return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}


def limits(proc):
    found = {}
    for line in (proc / "limits").read_text().splitlines()[1:]:
        name, values = line[:26].strip(), line[26:].split()
        found[name] = values[0]
    return found


def links(proc):
    return {int(f.name): os.readlink(f) for f in (proc / "fd").iterdir()}


def kind_of(link):
    return link.removesuffix(" (deleted)") if link.startswith("/") else link.split("[")[0]


def check_threads(proc, filters):
    tasks = list((proc / "task").iterdir())
    for task in tasks:
        s = status(task)
        who = s["Name"], s
        for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(s[caps], 16) == 0, who
        assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", who
        assert int(s["Seccomp_filters"]) == filters, who
    return len(tasks)


def check_root(proc):
    assert os.listdir(proc / "root") == []
    mounts = (proc / "mounts").read_text().splitlines()
    assert len(mounts) == 1 and mounts[0].startswith("none / tmpfs ro,nosuid,nodev,noexec,"), mounts


PLAIN = {"/dev/null", "socket:", "pipe:", "anon_inode:"}  # eventfd, eventpoll, signalfd, pidfd
OF_THE_TEST = {"/memfd:log", "/memfd:console", "/memfd:test"}  # the last is the upper disk


def check_networks(proc, has_net):
    """All threads are in the same empty network but for one, which is in the host's."""
    host, own = os.readlink("/proc/self/ns/net"), os.readlink(proc / "ns/net")
    assert own != host
    for task in (proc / "task").iterdir():
        is_net = (task / "comm").read_text() == "net\n"
        has_net -= is_net
        assert os.readlink(task / "ns/net") == (host if is_net else own), task
        for n in ("user", "mnt", "ipc"):
            assert os.readlink(task / "ns" / n) == os.readlink(proc / "ns" / n), (task, n)
    assert has_net == 0, "no thread called net"


def check_machine(vmm_pid, qemu_pid, ours, pid_namespace, has_net=False):
    """The list of incidents.md for a machine that runs."""
    ns = ("user", "mnt", "ipc", "net") + (("pid",) if pid_namespace else ())
    for pid in (vmm_pid, qemu_pid):
        proc = pathlib.Path(f"/proc/{pid}")
        check_root(proc)
        for n in ns:
            assert os.readlink(proc / "ns" / n) != os.readlink(f"/proc/self/ns/{n}"), n
        assert len((proc / "net/dev").read_text().splitlines()) == 3  # two lines of title, lo
        assert (proc / "net/unix").read_text().count("@") == 0
        limit = limits(proc)
        assert limit["Max core file size"] == limit["Max processes"] == "0"
    a, b = pathlib.Path(f"/proc/{vmm_pid}"), pathlib.Path(f"/proc/{qemu_pid}")
    for n in ("user", "ipc", "pid"):
        assert os.readlink(a / "ns" / n) != os.readlink(b / "ns" / n), f"QEMU has msb-vmm's {n} namespace"
    check_networks(a, has_net)
    check_networks(b, False)
    assert check_threads(a, filters=1) >= 3
    assert check_threads(b, filters=2) >= 2  # ours and QEMU's own
    assert {kind_of(k) for k in links(a).values()} <= ours | PLAIN | {"/memfd:memory-backend-memfd"}
    assert {kind_of(k) for k in links(b).values()} <= PLAIN | {"/memfd:memory-backend-memfd", "/dev/kvm"}
    assert (b / "environ").read_bytes() == b""
    assert limits(b)["Max file size"] == "0"
    assert 0 < int(limits(a)["Max file size"]) < 1 << 40  # the upper disk's size, or a log's
    maps, memory = (b / "smaps").read_text().split("VmFlags: "), []
    for before, flags in zip(maps, maps[1:]):
        if "/memfd:memory-backend-memfd" in before:
            memory.append(flags.splitlines()[0].split())
    assert memory and all("dd" in flags for flags in memory), "guest memory may get into a core file"


@pytest.mark.skipif(not user_namespaces_allowed(), reason="no user namespaces here")
def test_a_running_machine_owns_what_is_on_the_list_and_no_more(start, root):
    for net in (None, vmm.network()):
        m = start(net=net)
        m.expect("VMM_STARTED")
        wait_sealed(m)
        check_machine(m.pid, m.qemu(), OF_THE_TEST | {str(root)}, pid_namespace=False, has_net=net is not None)


def wait_sealed(m):
    vmm.wait_until(lambda: "jail: sealed" in m.log_text(), 30, "the jail is not closed")


@pytest.fixture
def whole(root, tmp_path):
    """A machine that gets ready."""
    for d in ("u", "w"):
        (tmp_path / "tree" / d).mkdir(parents=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tmp_path / "tree", tmp_path / "upper", "64M"],
                   check=True, capture_output=True)
    machines = []

    def make(wrapper=(), **settings):
        kind = type("Machine", (Escaping,), {"program": vmm.VMM, "wrapper": wrapper})
        machines.append(kind(vmm.INITRAMFS, [("root", True, root), ("upper", False, tmp_path / "upper")], **settings))
        return machines[-1]

    yield make
    for m in machines:
        m.close()


@pytest.mark.parametrize("wrapper", [*WHERE, HALF])
def test_ready_says_which_walls_hold_and_they_do(whole, wrapper):
    m = whole(wrapper)
    ready = m.ready()
    walls = set(ready["jail"])
    assert ALWAYS <= walls
    proc, qemu = pathlib.Path(f"/proc/{m.pid}"), pathlib.Path(f"/proc/{m.qemu()}")
    if "max_mnt" in "".join(wrapper):
        assert {"landlock", "user-namespace", "net-namespace", "qemu-pid-namespace"} <= walls
        assert not walls & {"empty-root", "mount-namespace"}
    elif wrapper:
        assert "landlock" in walls and not walls & OWN_NAMESPACES
        assert os.listdir(proc / "root") != []
    else:
        assert OWN_NAMESPACES | {"qemu-user-namespace", "qemu-pid-namespace", "qemu-ipc-namespace"} <= walls
        assert "landlock" not in walls
        check_root(proc)
    assert "pid-namespace" not in walls  # the library makes it, not this test
    for p in (proc, qemu):
        check_threads(p, filters=1 if p == proc else 2)
    assert m.exec(["sh", "-c", "echo works >/f && cat /f"]) == (0, b"works\n", b"")
    m.send("VMM_STOP", timeout_ms=0)
    assert m.expect("VMM_EXITED")["reason"] == "killed"
    assert m.wait() == 0 and vmm.is_gone(int(qemu.name))


def test_another_user_than_root_has_the_same_walls(whole, root, tmp_path):
    """Everything else here may run as root: what only root can do must not be what makes it work."""
    if os.getuid() != 0:
        pytest.skip("the whole suite runs as another user")
    drop = ("/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    test = subprocess.run([*drop, "test", "-x", str(vmm.VMM)])
    if test.returncode:
        pytest.skip("this build folder is root's alone")
    m = whole(drop, cpus=2)
    m.ready()
    proc = pathlib.Path(f"/proc/{m.pid}")
    check_machine(m.pid, m.qemu(), OF_THE_TEST | {str(root), str(tmp_path / "upper")}, pid_namespace=False)
    assert status(proc)["Uid"].split() == ["65534"] * 4
    assert os.stat(proc / "environ").st_uid != 65534, "its memory can be read by the same user"
    assert m.exec(["sh", "-c", "echo works >/f && nproc"]) == (0, b"2\n", b"")
    m.send("VMM_STOP", timeout_ms=10000)
    assert m.expect("VMM_EXITED")["reason"] == "poweroff"
    assert m.wait() == 0


# ---- as the library starts it ----

@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("jail") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return c


def run_machine(cli, *wrapper):
    """msb run of a command that says that it runs; msb, msb-vmm's and QEMU's number."""
    p = subprocess.Popen([*wrapper, cli.msb, "run", "-q", IMAGE, "--", "sh", "-c", "echo up; exec sleep 100"],
                         env=cli.environment({"MSB_SECRET": "not for others"}), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    assert p.stdout.readline() == b"up\n", p.stderr.read()
    machine, = vmm.children(p.pid)
    qemu, = vmm.children(machine)
    return p, machine, qemu


@pytest.mark.skipif(not user_namespaces_allowed(), reason="no user namespaces here")
def test_msb_vmm_is_process_1_of_its_own_namespace(cli):
    p, machine, qemu = run_machine(cli)
    proc = pathlib.Path(f"/proc/{machine}")
    assert status(proc)["NSpid"].split() == [str(machine), "1"]
    assert status(pathlib.Path(f"/proc/{qemu}"))["NSpid"].split() == [str(qemu), "3", "1"]  # 2 is the thread "net"
    home = str(cli.home)
    ours = {k for k in map(kind_of, links(proc).values())
            if k.startswith(home)}
    check_machine(machine, qemu, ours, pid_namespace=True, has_net=True)
    assert b"SECRET" not in proc.joinpath("environ").read_bytes()
    os.kill(machine, signal.SIGTERM)  # blocked, read by signalfd: process 1 gets it all the same
    p.communicate(timeout=60)
    assert p.returncode == 128 + signal.SIGTERM  # what the guest's power-off sends to the command
    assert vmm.is_gone(machine) and vmm.is_gone(qemu)


@pytest.mark.parametrize("victim", ["msb", "msb-vmm"])
def test_the_whole_namespace_dies_with_its_process_1(cli, victim):
    p, machine, qemu = run_machine(cli)
    os.kill(p.pid if victim == "msb" else machine, signal.SIGKILL)
    p.communicate(timeout=60)
    vmm.wait_until(lambda: vmm.is_gone(machine) and vmm.is_gone(qemu), 20, "a process is left")


@pytest.mark.skipif(not user_namespaces_allowed(), reason="no user namespaces here")
def test_the_library_starts_it_where_there_are_no_namespaces(cli):
    p, machine, qemu = run_machine(cli, *shell(NO_USER_NAMESPACES))
    assert len(status(pathlib.Path(f"/proc/{machine}"))["NSpid"].split()) == 1
    check_threads(pathlib.Path(f"/proc/{machine}"), filters=1)
    check_threads(pathlib.Path(f"/proc/{qemu}"), filters=2)
    p.kill()
    p.communicate()
    vmm.wait_until(lambda: vmm.is_gone(machine) and vmm.is_gone(qemu), 20, "a process is left")
