"""Runs build/msb: captured, in the background, or on a terminal of its own."""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from . import engine


class Cli:
    """msb with its own MSB_HOME. Call it for a result with .returncode, .out and .err (text)."""

    def __init__(self, build, home, **env):
        self.msb = str(pathlib.Path(build) / "msb")
        self.home = pathlib.Path(home)
        self.started = []
        drop = ("NO_COLOR", "MSB_LOG", "MSB_ACCEL", "MSB_RUNTIME", "MSB_CONFIG_PATH", "TERM")
        self.env = {k: v for k, v in os.environ.items() if k not in drop}
        self.env.update(MSB_HOME=str(home), XDG_CONFIG_HOME=f"{home}-config", TERM="xterm-256color", **env)

    def environment(self, env):
        merged = dict(self.env, **(env or {}))
        return {k: v for k, v in merged.items() if v is not None}

    def __call__(self, *args, input=None, env=None, timeout=300, **kw):
        """`input` is text or bytes for stdin; without it stdin is empty."""
        data = input.encode() if isinstance(input, str) else input
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        if "stdin" not in kw:
            kw["input"] = data or b""
        r = subprocess.run([self.msb, *map(str, args)], env=self.environment(env), timeout=timeout, **kw)
        r.out = (r.stdout or b"").decode(errors="replace")
        r.err = (r.stderr or b"").decode(errors="replace")
        return r

    def ok(self, *args, **kw):
        """The same, and it must succeed; gives its stdout."""
        r = self(*args, **kw)
        assert r.returncode == 0, (r.returncode, r.out, r.err)
        return r.out

    def popen(self, *args, env=None, **kw):
        for name in ("stdin", "stdout", "stderr"):
            kw.setdefault(name, subprocess.PIPE)
        p = subprocess.Popen([self.msb, *map(str, args)], env=self.environment(env), **kw)
        self.started.append(p)
        return p

    def reap(self):
        """Kill what a failed test left in the background."""
        for p in self.started:
            if p.poll() is None:
                p.kill()
                p.wait()
        self.started.clear()

    @contextlib.contextmanager
    def terminal(self, *args, rows=40, cols=111, env=None):
        t = Terminal([self.msb, *map(str, args)], self.environment(env), rows, cols)
        try:
            yield t
        finally:
            t.close()


class Terminal:
    """A program on a pseudo-terminal that is its controlling one."""

    def __init__(self, argv, env, rows, cols):
        self.master, self.slave = pty.openpty()
        self.resize(rows, cols)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(argv, env=env, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            self.seen += os.read(self.master, 65536)
        return self.seen

    def expect(self, text, timeout=60):
        """Read until `text` comes; gives and forgets all up to its end."""
        want, end = text.encode(), time.monotonic() + timeout
        while want not in self.seen:
            assert time.monotonic() < end, (text, self.seen[-2000:])
            self.read(0.05)
        i = self.seen.index(want) + len(want)
        got, self.seen = self.seen[:i], self.seen[i:]
        return got.decode(errors="replace")

    def wait(self, timeout=60):
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, ("still runs", self.seen)
            self.read(0.02)
        self.read(0.02)
        return self.process.returncode

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def die_with_parent():
    """For preexec_fn: a killed test run leaves no server behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def descendants(pid):
    """All processes below `pid`, as /proc shows them now."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
                children = [int(p) for p in (task / "children").read_text().split()]
                found += children
                todo += children
    return found


def is_gone(pid):
    """No such process, or one that only waits to be waited for."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def wait_until(check, seconds, what):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def machine_of(process, seconds=30):
    """The pids of msb-vmm and, with the qemu engine, of its QEMU below a running msb."""
    wait_until(lambda: len(descendants(process.pid)) > engine.PROGRAMS, seconds, "no machine below msb")
    return descendants(process.pid)


def hold(process):
    """The machine below a running msb stands still: it starts for as long as a test needs it to."""
    os.kill(machine_of(process)[-1], signal.SIGSTOP)


def take_signal(process, sig):
    """Send it, and wait until it was taken: two that wait are one."""
    process.send_signal(sig)

    def waits():
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(("SigPnd:", "ShdPnd:")) and int(line.split()[1], 16) >> (sig - 1) & 1:
                return True
        return False
    wait_until(lambda: not waits(), 20, f"{sig!r} is not taken")
