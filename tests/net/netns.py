"""A guest, a host and a world, each a network namespace; between the first two the product's stack (nettap).

    guest  172.16.0.2/30, fd42:6d73:62::2/64 on tap0; its gateway is the stack
      |    nettap, whose sockets are the host's
    host   127.0.0.1, ::1, 10.99.0.1 and 2001:db8:99::1 to the world, by which it routes everything else
      |
    world  10.99.0.2, 203.0.114.1, 169.254.169.254, 93.184.216.34, 2606:2800::1: a public address is what
           the stack takes for one

Each test file has its own three (fixture `net` of conftest.py), so that files may run beside each other.
"""
import ctypes
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MSB_TEST_BUILD", ROOT / "build"))
NETTAP = BUILD / "tests/net/nettap"

GUEST4, GATEWAY4 = "172.16.0.2", "172.16.0.1"
GUEST6, GATEWAY6 = "fd42:6d73:62::2", "fd42:6d73:62::1"
HOST4, WORLD4 = "10.99.0.1", "10.99.0.2"
PUBLIC4, PUBLIC6 = "93.184.216.34", "2606:2800::1"
WORLD = ["203.0.114.1/32", "169.254.169.254/32", f"{PUBLIC4}/32", f"{PUBLIC6}/128"]
SPOOLS = "/etc/netns"
PR_SET_PDEATHSIG = 1


def why_not():
    """Why these tests cannot run here, or None."""
    if os.getuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "no iproute2"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    return None


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            pytest.skip(f"no {p}")


def die_with_us():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(what, seconds=30, message="it does not come"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(message)


class Namespaces:
    def __init__(self, name):
        self.guest, self.host, self.world = (f"msb-{name}-{part}" for part in ("g", "h", "w"))
        self.programs = []

    def up(self):
        for ns in (self.guest, self.host, self.world):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL)
            ip("netns", "add", ns)
            ip("-n", ns, "link", "set", "lo", "up")
        ip("-n", self.host, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", self.world)
        ip("-n", self.host, "addr", "add", f"{HOST4}/24", "dev", "out0")
        ip("-n", self.host, "-6", "addr", "add", "2001:db8:99::1/64", "dev", "out0", "nodad")
        ip("-n", self.world, "addr", "add", f"{WORLD4}/24", "dev", "in0")
        ip("-n", self.world, "-6", "addr", "add", "2001:db8:99::2/64", "dev", "in0", "nodad")
        for a in WORLD:
            ip("-n", self.world, "addr", "add", a, "dev", "lo", *(["nodad"] if ":" in a else []))
        for ns, dev in ((self.host, "out0"), (self.world, "in0")):
            ip("-n", ns, "link", "set", dev, "up")
        ip("-n", self.host, "route", "add", "default", "via", WORLD4)
        ip("-n", self.host, "-6", "route", "add", "default", "via", "2001:db8:99::2")
        pathlib.Path(SPOOLS, self.guest).mkdir(parents=True, exist_ok=True)
        pathlib.Path(SPOOLS, self.guest, "resolv.conf").write_text(f"nameserver {GATEWAY4}\n")
        return self

    def down(self):
        for p in self.programs:
            if p.poll() is None:
                p.kill()
            p.wait()
        shutil.rmtree(pathlib.Path(SPOOLS, self.guest), ignore_errors=True)
        for ns in (self.guest, self.host, self.world):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL)

    def start(self, ns, *words, **kw):
        """A program in the background; it ends with the namespaces at the latest, or with a test run that is killed."""
        kw.setdefault("preexec_fn", die_with_us)
        kw.setdefault("stdout", subprocess.DEVNULL)
        kw.setdefault("stderr", subprocess.DEVNULL)
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(["ip", "netns", "exec", ns, *map(str, words)], **kw)
        self.programs.append(p)
        return p

    def run(self, ns, *words, timeout=60, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(["ip", "netns", "exec", ns, *map(str, words)], capture_output=True, timeout=timeout, **kw)

    def listening(self, ns, port, proto="tcp"):
        """Wait for a server in @ns."""
        flag = "-ltnH" if proto == "tcp" else "-lunH"
        wait_until(lambda: f":{port} " in self.run(ns, "ss", flag, text=True).stdout, 30, f"nobody listens at {port}")


class Stack:
    """One nettap; the guest's side is set up. Use it with `with`."""

    def __init__(self, spaces, *options, mtu=1500, env=None, tls=None):
        """@tls: a socket to msb-tls; it is closed here once the stack has it."""
        self.spaces, self.mtu, self.tls = spaces, mtu, tls
        if tls:
            options += ("--tls-fd", tls.fileno())
        self.argv = ["ip", "netns", "exec", spaces.host, str(NETTAP), "--netns", spaces.guest, "--tap", "tap0",
                     "--mtu", str(mtu), *map(str, options)]
        self.env = env
        self.log = None

    def __enter__(self):
        self.log = open(f"/tmp/nettap-{self.spaces.guest}.log", "w+b")
        self.p = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env=self.env,
                                  pass_fds=[self.tls.fileno()] if self.tls else [])
        if self.tls:
            self.tls.close()
        line = self.read_line(20)
        assert line == b"ready\n", (line, self.log_text())
        g = self.spaces.guest
        ip("-n", g, "link", "set", "tap0", "address", "02:00:00:00:00:02", "mtu", self.mtu, "txqueuelen", 10000)
        ip("-n", g, "link", "set", "tap0", "up")
        ip("-n", g, "addr", "add", f"{GUEST4}/30", "dev", "tap0")
        ip("-n", g, "-6", "addr", "add", f"{GUEST6}/64", "dev", "tap0", "nodad")
        ip("-n", g, "route", "add", "default", "via", GATEWAY4)
        ip("-n", g, "-6", "route", "add", "default", "via", GATEWAY6)
        return self

    def __exit__(self, *_):
        try:
            self.p.stdin.close()
            self.p.wait(10)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            raise AssertionError("nettap does not end") from None
        finally:
            self.p.stdout.close()
            text = self.log_text()
            self.log.close()
            os.unlink(self.log.name)
        assert self.p.returncode in (0, -signal.SIGTERM), (self.p.returncode, text)

    def read_line(self, seconds):
        ready, _, _ = select.select([self.p.stdout], [], [], seconds)
        assert ready, f"nettap says nothing: {self.log_text()}"
        return self.p.stdout.readline()

    def log_text(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def ask(self, line):
        self.p.stdin.write(line.encode() + b"\n")
        self.p.stdin.flush()
        return json.loads(self.read_line(10))

    def stats(self):
        return self.ask("stats")

    def explain(self, host, port=0, proto="tcp"):
        return self.ask(f"explain {host} {port} {proto}")

    def guest(self, *words, **kw):
        return self.spaces.run(self.spaces.guest, *words, **kw)

    def rss(self):
        """Resident bytes of the stack's process."""
        text = pathlib.Path(f"/proc/{self.pid()}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024

    def cpu(self):
        """Seconds of processor time that it used."""
        f = pathlib.Path(f"/proc/{self.pid()}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")

    def pid(self):
        return self.p.pid  # `ip netns exec` becomes the program
