"""Starts build/msb-vmm as the library does (fixed descriptors, JSON in a memfd) and drives it."""
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import select
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from . import engine, proto

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("MSB_TEST_BUILD", ROOT / "build"))
VMM = BUILD / "msb-vmm"
KERNEL = BUILD / "vmlinux"
INITRAMFS = BUILD / "initramfs.cpio"
PR_SET_PDEATHSIG = 1
QEMU = os.environ.get("MSB_QEMU", "/usr/bin/qemu-system-x86_64")


def cmdline():
    return (ROOT / "kernel/cmdline").read_text().strip()


def cpio(entries):
    """A newc archive of (name, mode, data, rdev major, minor)."""
    out = b""
    for i, (name, mode, data, major, minor) in enumerate([*entries, ("TRAILER!!!", 0, b"", 0, 0)]):
        fields = [i + 1, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        out += head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
    return out


def initramfs(init, extra=()):
    """An initramfs whose /init is this program or script."""
    return cpio([("dev", stat.S_IFDIR | 0o755, b"", 0, 0), ("dev/console", stat.S_IFCHR | 0o600, b"", 5, 1),
                 *extra, ("init", stat.S_IFREG | 0o755, init, 0, 0)])


def shell_initramfs(script):
    """An initramfs that runs a shell script with busybox as PID 1."""
    box = pathlib.Path("/bin/busybox").read_bytes()
    return initramfs(b"#!/bin/sh\n" + script.encode(), [
        ("bin", stat.S_IFDIR | 0o755, b"", 0, 0), ("bin/busybox", stat.S_IFREG | 0o755, box, 0, 0),
        ("bin/sh", stat.S_IFLNK | 0o777, b"busybox", 0, 0)])


def busybox_tree(folder):
    """A root folder of busybox and little else."""
    for d in ("bin", "etc", "dev", "proc", "sys", "tmp", "root", "run"):
        (folder / d).mkdir(parents=True)
    box = folder / "bin/busybox"
    box.write_bytes(pathlib.Path("/bin/busybox").read_bytes())
    box.chmod(0o755)
    for name in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        link = folder / "bin" / name
        if not link.exists():
            link.symlink_to("busybox")
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\n")


def root_disk(folder):
    """The root disk of a busybox tree, made in this folder."""
    busybox_tree(folder / "tree")
    subprocess.run(["mkfs.erofs", folder / "root.erofs", folder / "tree"], check=True, capture_output=True)
    return folder / "root.erofs"


def memfd(data, name="test"):
    fd = os.memfd_create(name)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]
    return fd


def network(**settings):
    """The config's "net" as the library writes it, of the profile `public`."""
    return {"guest_mac": "02:6d:73:00:00:02", "gateway_mac": "02:6d:73:00:00:01", "mtu": 1500,
            "guest4": "172.16.0.2", "gateway4": "172.16.0.1", "prefix4": 30,
            "guest6": "fd42:6d73:62::2", "gateway6": "fd42:6d73:62::1", "prefix6": 64,
            "profile": "public", "rules": [], "default_egress": "unset", "default_ingress": "unset", "strict": False,
            "dns_servers": [], "dns_timeout_ms": 5000, "rebind_protection": True, "ports": [], "max_connections": 4096,
            "egress_bytes": [0, 0], "egress_packets": [0, 0], "ingress_bytes": [0, 0], "ingress_packets": [0, 0],
            "proxy": None, "pcap_fd": -1, "log_denied": False, **settings}


def children(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def is_gone(pid):
    """No such process, or one that only waits to be waited for."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until(check, seconds, what):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.01)


class Line:
    """One line to an msb-vmm: `control` is its socket."""

    def log_text(self):
        return ""

    def recv(self, seconds=60):
        """The next message of the control socket, None when it closed. A descriptor that comes with it is its "fd"."""
        if not select.select([self.control], [], [], seconds)[0]:
            raise TimeoutError("msb-vmm says nothing: " + self.log_text())
        packet, fds, _, _ = socket.recv_fds(self.control, 1 << 20, 2)
        if not packet:
            return None
        message, length = proto.decode(packet)
        assert length == len(packet) and len(fds) <= 1
        return message | {"fd": fds[0]} if fds else message

    def expect(self, kind, seconds=60):
        message = self.recv(seconds)
        assert message and message["type"] == kind, f"{message} instead of {kind}\n{self.log_text()}"
        return message

    def ready(self):
        self.expect("VMM_STARTED")
        return self.expect("VMM_READY")

    def send(self, name, fds=(), **values):
        socket.send_fds(self.control, [proto.encode(name, **values)], list(fds))

    def ask(self, kind, answer, **values):
        """A question and its answer."""
        self.send(kind, **values)
        return self.expect(answer, 20)

    def stats(self):
        return self.ask("VMM_STATS", "VMM_STATS_REPLY", cookie=7)

    def keep(self, stream, session, **values):
        """Leaves the host end of a session there; what was read and not used goes along. 0 or the errno."""
        want = {"is_main": 0, "tty": 0, "want_stdin": 0, "no_log": 0, "unacked": 0, **values}
        self.send("VMM_KEEP", [stream.sock.fileno()], session=session, rest=stream.data, **want)
        stream.sock.close()
        kept = self.expect("VMM_KEPT", 20)
        assert kept["session"] == session
        return kept["error"]

    def take(self, session=0):
        """(what TAKEN says, the session), or (its error, None)."""
        taken = self.ask("VMM_TAKE", "VMM_TAKEN", session=session)
        assert ("fd" in taken) == (taken["error"] == 0), taken
        if taken["error"]:
            return taken["error"], None
        stream = proto.Stream(socket.socket(fileno=taken.pop("fd")))
        stream.sock.settimeout(30)
        stream.data = taken["rest"]
        return taken, stream

    def connect(self, port=proto.PORT_AGENT):
        ours, theirs = socket.socketpair()
        self.send("VMM_CONNECT", [theirs.fileno()], port=port)
        theirs.close()
        ours.settimeout(30)
        return proto.Stream(ours)

    def run(self, argv, **values):
        """Starts a command; its session, which kills it when closed."""
        s = self.connect()
        request = {"env": ["PATH=/bin"], "cwd": "", "user": "", "rlimits": [], "tty": 0, "rows": 0, "cols": 0,
                   "want_stdin": 0}
        s.send("EXEC", argv=argv, **{**request, **values})
        return s

    def exec(self, argv, stdin=None, **values):
        """Runs a command to its end; (exit code, stdout, stderr)."""
        s = self.run(argv, want_stdin=int(stdin is not None), **values)
        started = s.recv()
        assert started and started["type"] == "STARTED", started
        if stdin is not None:
            assert len(stdin) <= proto.STDIN_WINDOW
            for i in range(0, len(stdin), 32768):
                s.send("STDIN", data=stdin[i:i + 32768])
            s.send("STDIN", data=b"")
        out = {"STDOUT": b"", "STDERR": b""}
        while True:
            m = s.recv()
            assert m, "the session ended without EXITED\n" + self.log_text()
            if m["type"] == "EXITED":
                s.sock.close()
                return m["code"] if not m["signo"] else 128 + m["signo"], out["STDOUT"], out["STDERR"]
            if m["type"] in out:
                out[m["type"]] += m["data"]


class Client(Line):
    """Somebody who joins a machine that runs."""

    def __init__(self, path):
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.connect(str(path))

    def close(self):
        self.control.close()


class Vmm(Line):
    """One msb-vmm. `disks` are (serial, read_only, file) or a list of extents as in the config; `files` become
    descriptors that the config names by their keys; `shares` are (name, path, settings),
    `sockets` (port, folder, name)."""

    def __init__(self, initrd, disks, kernel=KERNEL, files=None, shares=(), sockets=(), **settings):
        self.fds = {}
        self.log = memfd(b"", "log")
        self.console = memfd(b"", "console")
        self.next_fd = 5
        config = {"version": 1, "name": "msb-test", "engine": engine.ASKED, "accel": "auto", "qemu": QEMU, "cpus": 1,
                  "memory_mib": 256, "cmdline": cmdline(), "hostname": "msb-test", "boot_timeout_ms": 60000,
                  "kernel_fd": self.give(kernel), "initramfs_fd": self.give(initrd),
                  "console_fd": self.give(self.console), "disks": [self.disk(*d) for d in disks]}
        if shares:
            config["shares"] = [self.share(*each) for each in shares]
        if sockets:
            config["vsock"] = [{"port": port, "dir_fd": self.give(os.open(folder, os.O_PATH)), "name": name, "dgram": False}
                               for port, folder, name in sockets]
        config.update(settings)
        config.update({key: list(map(self.give, source)) if isinstance(source, list) else self.give(source)
                       for key, source in (files or {}).items()})
        self.config = {k: v for k, v in config.items() if v is not None}
        self.start()

    def give(self, source):
        """A descriptor of a file, of bytes or as it is, and the number that msb-vmm gets it by."""
        if isinstance(source, bytes):
            source = memfd(source)
        elif not isinstance(source, int):
            source = os.open(source, os.O_RDWR if os.access(source, os.W_OK) else os.O_RDONLY)
        number, self.next_fd = self.next_fd, self.next_fd + 1
        self.fds[number] = source
        return number

    def disk(self, serial, read_only, source):
        fd = self.give(source)
        size = os.fstat(self.fds[fd]).st_size
        return {"serial": serial, "read_only": read_only, "extents": [{"fd": fd, "offset": 0, "len": size}]}

    def share(self, name, path, settings=()):
        return {"name": name, "fd": self.give(os.open(path, os.O_PATH)), "read_only": False, "cache": "auto",
                "squash": False, "uid": 0, "gid": 0, "quota_bytes": 0, **dict(settings)}

    def start(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        text = self.config if isinstance(self.config, bytes) else json.dumps(self.config).encode()
        null = os.open("/dev/null", os.O_RDWR)
        fds = {0: null, 1: self.log, 2: self.log, 3: theirs.fileno(), 4: memfd(text, "config"), **self.fds}
        copies = {n: os.dup(fd) for n, fd in fds.items()}
        high = {n: os.dup2(fd, 500 + n) for n, fd in copies.items()}
        told, low = os.pipe()
        tell = os.dup2(low, 450)  # out of the way of what the child gets
        self.pid = os.fork()
        if self.pid == 0:
            try:
                # A detached machine would outlive a test run that is killed.
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                os.setsid()
                for n, fd in high.items():
                    os.dup2(fd, n, inheritable=True)
                os.write(tell, str(time.monotonic_ns()).encode())
                os.closerange(max(high) + 1, 4096)
                env = {"PATH": "/usr/bin:/bin", "MSB_LOG": os.environ.get("MSB_LOG", "debug")}
                os.execve(VMM, ["msb-vmm", "msb-test"], env)
            finally:
                os._exit(99)
        for fd in {*high.values(), *copies.values(), null, fds[4], low, tell}:
            os.close(fd)
        self.start_ns = int(os.read(told, 32))  # just before exec
        os.close(told)
        theirs.close()
        self.control, self.status = ours, None

    def failed(self, seconds=60):
        """The VMM_FAILED that comes, with or without a VMM_STARTED before it; msb-vmm has ended then."""
        message = self.recv(seconds)
        if message and message["type"] == "VMM_STARTED":
            message = self.recv(seconds)
        assert message and message["type"] == "VMM_FAILED", f"{message}\n{self.log_text()}"
        assert self.wait() == 1
        return message

    def qemu(self):
        """Its pid. A test that asks for it is about the qemu engine, and skipped elsewhere."""
        if engine.NAME != "qemu":
            pytest.skip("about the qemu engine")
        pids = children(self.pid)
        assert len(pids) == 1, pids
        return pids[0]

    def wait(self, seconds=60):
        """msb-vmm's exit code, or minus the signal."""
        end = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                assert time.monotonic() < end, "msb-vmm does not end\n" + self.log_text()
                time.sleep(0.005)
        return self.status

    def log_text(self):
        return os.pread(self.log, 1 << 20, 0).decode(errors="replace")

    def console_text(self):
        return os.pread(self.console, 2 << 20, 0).decode(errors="replace")

    def close(self):
        """Ends it whatever its state is."""
        self.control.close()
        if self.status is None:
            qemu = children(self.pid)
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            wait_until(lambda: all(map(is_gone, qemu)), 20, "QEMU outlives msb-vmm")
        log = self.log_text()
        assert "runtime error:" not in log and "Sanitizer" not in log, log
        for fd in {self.log, self.console, *self.fds.values()}:
            with contextlib.suppress(OSError):
                os.close(fd)


def records(*files):
    """The records of a log (base/reclog.h), oldest first: (source, session, data)."""
    found = []
    for path in files:
        data, at, mine, turn = path.read_bytes(), 0, [], 0
        while at + 32 <= len(data):
            magic, length, _, session, source, _ = struct.unpack_from("<IIQQII", data, at)
            assert magic == 0x31474C52, (path, at)
            if at + 32 + length > len(data):  # it is being written
                break
            if source == 0:
                turn = session
            else:
                mine.append((source, session, data[at + 32:at + 32 + length]))
            at += 32 + length
        found.append((turn, mine))
    return [r for _, mine in sorted(found) for r in mine]


class Machine:
    """A machine with all that a sandbox's folder has, for the library's process or detached from it."""

    def __init__(self, folder, root, detached=True, **settings):
        self.path, self.lock, self.end = folder / "agent.sock", folder / "lock", folder / "end.json"
        self.logs = [folder / "vmm.log.0", folder / "vmm.log.1"]
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self.path))
        listener.listen(16)
        lock = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        end, *logs = (os.open(p, os.O_RDWR | os.O_CREAT, 0o600) for p in (self.end, *self.logs))
        self.vmm = Vmm(INITRAMFS, [("root", True, root)],
                       files={"listen_fd": listener.fileno(), "lock_fd": lock, "end_fd": end, "log_fds": logs}, **settings)
        if detached:
            self.vmm.send("VMM_DETACH", zero=0)
        # Only msb-vmm has them from now on.
        listener.detach()
        config = self.vmm.config
        for fd in (config["listen_fd"], config["lock_fd"], config["end_fd"], *config["log_fds"]):
            os.close(self.vmm.fds.pop(fd))

    def lives(self):
        with open(self.lock, "rb") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def leave(self):
        """The library's process ends."""
        self.vmm.control.close()

    def log(self, source, session=None):
        """All that the log has of this source, and of this session."""
        return b"".join(data for what, who, data in records(*self.logs)
                        if what == source and session in (None, who))

    def ended(self):
        """Waits for its end; what is written down about it."""
        self.vmm.wait()
        assert not self.lives()
        return json.loads(self.end.read_text())

    def close(self):
        self.vmm.close()
