"""Logs: what is kept of output, how much of it, and who gets to see what of it."""
import base64
import datetime
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

from lib.cli import Cli, is_gone, wait_until

IMAGE = "test/busybox:1"
FILE_MAX = 8 << 20
UTC = datetime.timezone.utc
SECRET = "hunter2-do-not-log"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    """One home for this file: the image is loaded once."""
    c = Cli(build_dir, tmp_path_factory.mktemp("logs") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c.reap()
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def box(cli):
    """One that runs, and whose logs fill up from test to test."""
    cli.ok("create", "-q", "-n", "box", "-m", "192M", IMAGE)
    return "box"


@pytest.fixture(autouse=True)
def nothing_is_left_behind(cli):
    """Instead of the suite's: the machine of this file stays until its end."""
    yield
    cli.reap()


@pytest.fixture
def now(cli, box):
    """Options that leave out what other tests wrote."""
    time.sleep(0.005)
    return ("--since", rfc3339(time.time()))


def rfc3339(t):
    return datetime.datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def folder(cli, name):
    return cli.home / "sandboxes" / json.loads(cli.ok("inspect", name, "--format", "json"))["id"]


def shell(cli, name, script, *args, **kw):
    return cli("exec", name, "--", "sh", "-c", script, *args, **kw)


def entries(cli, name, *args):
    return [json.loads(line) for line in cli.ok("logs", "--json", name, *args).splitlines()]


def ended(cli, name, now):
    """A command in the background has: what it leaves is not the next test's."""
    wait_until(lambda: "exited" in cli.ok("logs", name, *now, "--source", "system"), 20, "it does not end")


def sizes(path, prefix):
    return [p.stat().st_size for p in path.iterdir() if p.name.startswith(prefix)]


# -- what is kept -----------------------------------------------------------------

def test_output_comes_back_from_the_stream_it_went_to(cli, box, now):
    shell(cli, box, "echo out; echo err >&2; printf part")
    shell(cli, box, "echo next")
    r = cli("logs", box, *now)
    assert (r.returncode, r.out, r.err) == (0, "out\npart\nnext\n", "err\n")


def test_sources_are_told_apart(cli, box, now):
    shell(cli, box, "echo out; echo err >&2")
    cli.ok("logs", box)
    with cli.terminal("exec", box, "--", "echo", "on-a-terminal") as t:
        t.expect("on-a-terminal")
        assert t.wait() == 0
    assert cli.ok("logs", box, *now, "--source", "stdout") == "out\n"
    assert cli("logs", box, *now, "--source", "stderr").err == "err\n"
    assert cli.ok("logs", box, *now, "--source", "output") == "on-a-terminal\r\n"
    assert cli.ok("logs", box, *now, "--source", "stdout,output") == "out\non-a-terminal\r\n"
    marks = cli.ok("logs", box, *now, "--source", "system").splitlines()
    assert marks == ["started", "exited with code 0"] * 2
    mixed = cli.ok("logs", box, *now, "--source", "stdout", "--source", "system").splitlines()
    assert mixed[:3] == ["[system] started", "out", "[system] exited with code 0"]
    assert cli("logs", box, "--source", "disk").returncode == 2


def test_the_console_is_captured(cli, box, now):
    shell(cli, box, "echo from-the-guest > /dev/console")
    wait_until(lambda: "from-the-guest" in cli.ok("logs", box, *now, "--source", "console"), 20, "nothing came")
    assert "from-the-guest" not in cli.ok("logs", box, *now)
    assert cli.ok("logs", box, *now, "--source", "kernel") == cli.ok("logs", box, *now, "--source", "console")
    assert "[console] from-the-guest" in cli.ok("logs", box, *now, "--source", "all")


def test_output_in_the_background_is_kept_too(cli, box, now):
    session = cli.ok("exec", "-d", box, "--", "sh", "-c", "echo one; sleep 0.3; echo two >&2").strip()
    wait_until(lambda: "two" in cli("logs", box, *now).err, 20, "nothing came")
    ended(cli, box, now)
    assert cli.ok("logs", box, *now, "--session", session) == "one\n"
    assert cli.ok("logs", box, *now, "--session", "1") == ""


def test_marks_say_how_a_command_ended_and_no_argument(cli, box, now):
    shell(cli, box, "exit 3", "-", SECRET)
    cli("exec", "-e", f"PASSWORD={SECRET}", box, "--", "sh", "-c", "kill -9 $$")
    cli("exec", box, "--", f"/no/such/{SECRET}")
    marks = cli.ok("logs", box, *now, "--source", "system").splitlines()
    assert marks == ["started", "exited with code 3", "started", "ended by signal 9",
                     "did not start: exec: No such file or directory"]
    for path in folder(cli, box).iterdir():
        if ".log" in path.name:
            assert SECRET.encode() not in path.read_bytes(), path


# -- options ----------------------------------------------------------------------

def test_the_tail_is_of_lines(cli, box, now):
    shell(cli, box, "seq 1 9; echo e >&2")
    assert cli.ok("logs", box, *now, "--tail", "3", "--source", "stdout") == "7\n8\n9\n"
    r = cli("logs", box, *now, "-n", "2")
    assert (r.out, r.err) == ("9\n", "e\n")
    assert cli.ok("logs", box, *now, "--tail", "all").count("\n") == 9
    assert cli.ok("logs", box, *now, "--tail", "0") == ""
    assert cli.ok("logs", box, *now, "--tail", "99").count("\n") == 9
    assert cli.ok("logs", box, *now, "--tail", "2", "--grep", "[135]") == "3\n5\n"
    for bad in ("-1", "x", ""):
        assert cli("logs", box, f"--tail={bad}").returncode == 2


def test_grep_finds_lines(cli, box, now):
    shell(cli, box, "echo apple; echo banana; printf 'app\\0le'")
    assert cli.ok("logs", box, *now, "--grep", "^a") == "apple\napp\0le"
    assert cli.ok("logs", box, *now, "--grep", "(an){2}|zzz") == "banana\n"
    assert cli.ok("logs", box, *now, "--grep", "le$") == "apple\napp\0le"
    r = cli("logs", box, "--grep", "(")
    assert r.returncode == 2 and "--grep" in r.err


def test_time_bounds(cli, box):
    def mark(text):
        shell(cli, box, f"echo {text}")
        time.sleep(0.02)
        return rfc3339(time.time())
    begin = rfc3339(time.time())
    first = mark("first")
    second = mark("second")
    mark("third")
    assert cli.ok("logs", box, "--since", first) == "second\nthird\n"
    assert cli.ok("logs", box, "--since", first, "--until", second) == "second\n"
    assert cli.ok("logs", box, "--since", begin, "--until", first) == "first\n"
    assert cli.ok("logs", box, "--since", "10m").endswith("first\nsecond\nthird\n")
    assert cli.ok("logs", box, "--until", "1d") == ""
    for option in ("--since", "--until"):
        r = cli("logs", box, option, "yesterday")
        assert r.returncode == 2 and "yesterday" in r.err


def test_prefixes(cli, box, now):
    before = time.time()
    shell(cli, box, "echo a; echo b")
    lines = cli.ok("logs", box, *now, "--timestamps", "--show-id").splitlines()
    found = [re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z \[(\d+)\] ([ab])", line) for line in lines]
    assert [m[3] for m in found] == ["a", "b"] and found[0][2] == found[1][2]
    at = datetime.datetime.fromisoformat(found[0][1]).replace(tzinfo=UTC).timestamp()
    assert before - 0.01 <= at <= time.time()
    assert cli.ok("logs", box, "--session", found[0][2]) == "a\nb\n"


def test_json_lines(cli, box, now):
    shell(cli, box, r"""printf 'text\n\377\000raw\n"quote"'; echo e >&2""")
    by_source = {"stdout": [], "stderr": []}
    for e in entries(cli, box, *now):
        assert set(e) <= {"t", "s", "d", "id", "e"} and e["t"].endswith("Z") and int(e["id"]) > 0
        by_source[e["s"]].append((e["d"], e.get("e")))
    raw = base64.b64encode(b"\xff\0raw\n").decode()
    assert by_source == {"stdout": [("text\n", None), (raw, "b64"), ('"quote"', None)], "stderr": [("e\n", None)]}
    assert cli.ok("logs", "--format", "json", box, *now) == cli.ok("logs", "--json", box, *now)


def test_colours_only_where_they_are_wanted(cli, box, now):
    shell(cli, box, "echo e >&2; sleep 1; printf 'a\\033[32mb\\033[0m\\n'")
    assert cli("logs", box, *now).err == "e\n"
    assert cli("logs", box, *now, "--color", "always").err == "\x1b[31me\x1b[0m\n"
    with cli.terminal("logs", box, *now) as t:
        assert t.wait() == 0
        assert t.seen == b"\x1b[31me\x1b[0m\r\na\x1b[32mb\x1b[0m\x1b[0m\r\n"
    for env, args in (({"NO_COLOR": "1"}, ()), ({}, ("--no-color",)), ({}, ("--color", "never"))):
        with cli.terminal("logs", box, *now, *args, env=env) as t:
            assert t.wait() == 0
            assert t.seen == b"e\r\nab\r\n"


# -- a hostile guest ----------------------------------------------------------------

HOSTILE = (r"printf '\033[2J\033]0;title\007\033P1;2q\033\\x\033[?1049h\033[6n\r\bz\233;1R\302\233c\177\n"
           r"\342\200\256rtl\n\357\277\275\n'")


def test_a_terminal_gets_no_control_sequence(cli, box, now):
    shell(cli, box, HOSTILE)
    shell(cli, box, "printf 'c\\033[2Jd\\n' > /dev/console")
    for extra in ((), ("--source", "all", "--timestamps", "--show-id", "--color", "always"), ("--grep", "."),
                  ("--json",)):
        with cli.terminal("logs", box, *now, *extra) as t:
            assert t.wait() == 0
            shown = re.sub(rb"\x1b\[[0-9;]*m", b"", t.seen).replace(b"\r\n", b"\n")
            assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae", shown), shown
            shown.decode()
            assert (b'"b64"' if "--json" in extra else b"title") in shown
    assert b"\x1b[2J" in cli("logs", box, *now).stdout
    with cli.terminal("logs", "--raw", box, *now) as t:
        assert t.wait() == 0 and b"\x1b[2J\x1b]0;title\x07" in t.seen


def test_what_a_guest_prints_is_no_record(cli, box, now):
    """The bytes of a log, with another time, printed by a guest into the log."""
    shell(cli, box, "echo original")
    path = folder(cli, box) / "exec.log"
    forged = path.read_bytes()[-400:]
    shell(cli, box, "cat; cat >&2", input=forged)
    assert cli.ok("logs", box, *now, "--grep", "^original$") == "original\n"
    assert [e["d"] for e in entries(cli, box, *now, "--source", "system")].count("started\n") == 2


def test_a_flood_is_bounded_and_its_end_is_kept(cli, box, now):
    shell(cli, box, "dd if=/dev/zero bs=64k count=320 2>/dev/null; echo the-end", stdout=subprocess.DEVNULL,
          timeout=120)
    path = folder(cli, box)
    assert all(s <= FILE_MAX for s in sizes(path, "exec.log")) and sum(sizes(path, "exec.log")) > FILE_MAX
    assert cli.ok("logs", box, *now, "--tail", "1")[-8:] == "the-end\n"
    later = ("--since", rfc3339(time.time()))
    cli.ok("exec", "-d", box, "--", "sh", "-c", "dd if=/dev/zero bs=64k count=320 2>/dev/null; echo the-end >&2")
    wait_until(lambda: "the-end" in cli("logs", box, *later, "--source", "stderr").err, 60, "no end")
    ended(cli, box, later)
    assert all(s <= FILE_MAX for s in sizes(path, "vm.log")) and sum(sizes(path, "vm.log")) > FILE_MAX


def test_a_killed_writer_leaves_readable_logs(cli, box, now):
    flood = cli.popen("exec", box, "--", "sh", "-c", "while :; do echo line-of-the-flood; done",
                      stdout=subprocess.DEVNULL)
    wait_until(lambda: cli.ok("logs", box, *now, "--tail", "9").count("flood") == 9, 20, "no flood")
    flood.kill()
    flood.wait()
    shell(cli, box, "echo after")
    lines = cli.ok("logs", box, *now).splitlines()
    assert lines[-1] == "after" and set(lines[:-2]) == {"line-of-the-flood"}


# -- following ----------------------------------------------------------------------

def read_line(p, seconds=60):
    """A line of a process's stdout; fails rather than waits for ever."""
    os.set_blocking(p.stdout.fileno(), False)
    got, end = b"", time.monotonic() + seconds
    while not got.endswith(b"\n"):
        got += p.stdout.readline() or b""
        assert time.monotonic() < end and (p.poll() is None or got), ("no line", got)
        time.sleep(0.005)
    return got


def test_a_follower_sees_new_lines_at_once(cli, box, now):
    shell(cli, box, "echo old; echo before")
    p = cli.popen("logs", "-f", "--tail", "1", box)
    assert read_line(p) == b"before\n"
    shell(cli, box, "echo new")
    assert read_line(p) == b"new\n"
    session = cli.ok("exec", "-d", box, "--", "sh", "-c", "echo kept").strip()
    assert read_line(p) == b"kept\n" and int(session) > 0
    p.send_signal(signal.SIGINT)
    assert p.wait(30) == 130
    assert p.stdout.read() in (b"", None) and p.stderr.read() == b""


def test_ctrl_c_on_a_terminal(cli, box, now):
    with cli.terminal("logs", "-f", box, *now) as t:
        shell(cli, box, "printf 'name? '; sleep 0.5; echo x")
        t.expect("name? ")
        t.expect("x")
        t.type("\x03")
        assert t.wait() == 130 and t.is_restored()


def test_a_follower_ends_when_nobody_reads_it(cli, box, now):
    shell(cli, box, "echo one; echo two")
    p = cli.popen("logs", "-f", box, *now)
    assert read_line(p) == b"one\n"
    p.stdout.close()
    assert p.wait(30) in (141, -signal.SIGPIPE)
    assert p.stderr.read() == b""


def test_a_follower_does_not_wake_up_for_nothing(cli, box):
    p = cli.popen("logs", "-f", "--tail", "0", "--source", "stdout", box)
    wait_until(lambda: shell(cli, box, "echo there").out and select.select([p.stdout], [], [], 0)[0], 20, "it does not follow")
    time.sleep(0.5)

    def ticks():
        with open(f"/proc/{p.pid}/stat", encoding="ascii") as f:
            return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
    before = ticks()
    shell(cli, box, "dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null; sync; rm /big")
    time.sleep(1)
    assert ticks() - before <= 5  # of 10 ms
    p.kill()


def test_a_follower_keeps_up_with_turns(cli, box, now):
    """24 MB, of which no more is written than a file has room for before it was seen: who lags behind by all of it misses some."""
    p = cli.popen("logs", "-f", "--source", "stdout", box, *now)
    script = "while read i; do printf 'n%05d' $i; head -c 60000 /dev/zero; echo; done"
    writer = cli.popen("exec", box, "--", "sh", "-c", script, stdout=subprocess.DEVNULL)
    seen, numbers, asked, end = b"", [], 0, time.monotonic() + 240
    os.set_blocking(p.stdout.fileno(), False)
    while not numbers or numbers[-1] != 400:
        assert time.monotonic() < end, numbers[-1:]
        while asked < min(400, len(numbers) + FILE_MAX // 60000 // 2):
            asked += 1
            writer.stdin.write(b"%d\n" % asked)
            writer.stdin.flush()
        seen += p.stdout.read() or b""
        whole, _, seen = seen.rpartition(b"\n")
        numbers += [int(n) for n in re.findall(rb"n(\d{5})", whole)]
        time.sleep(0.002)
    assert numbers == list(range(1, 401))
    writer.stdin.close()
    assert writer.wait(30) == 0
    assert len(sizes(folder(cli, box), "exec.log")) == 2
    p.kill()


# -- life ---------------------------------------------------------------------------

def test_no_such_sandbox(cli):
    r = cli("logs", "nobody")
    assert (r.returncode, r.out) == (1, "") and "nobody" in r.err
    r = cli("logs", "-f", "no\x1b[2Jbody")
    assert r.returncode == 1 and "\x1b" not in r.err
    assert cli("logs").returncode == 2
    cli.ok("create", "-q", "--no-start", "-n", "paper", IMAGE)
    assert cli.ok("logs", "-f", "paper", "--source", "all") == ""
    cli.ok("rm", "-q", "paper")


def test_logs_of_one_without_a_name_go_with_it(cli):
    p = cli.popen("run", "-m", "192M", IMAGE, "--", "sh", "-c", "echo here; sleep 1000")
    assert read_line(p, 60) == b"here\n"
    name, = [s["name"] for s in json.loads(cli.ok("ls", "--format", "json")) if s["name"].startswith("msb-")]
    path = folder(cli, name)
    assert cli.ok("logs", name) == "here\n"
    follower = cli.popen("logs", "-f", name)
    assert read_line(follower) == b"here\n"
    p.kill()
    p.wait()
    assert follower.wait(60) == 0
    cli.ok("ls")
    wait_until(lambda: not path.exists(), 10, "its folder is there")
    assert cli("logs", name).returncode == 1


def test_logs_of_a_stopped_one_stay_until_it_is_removed(cli, box):
    """The last one: it stops the machine."""
    since = ("--since", rfc3339(time.time()))
    shell(cli, box, "echo before-the-stop")
    p = cli.popen("logs", "-f", box, *since)
    assert read_line(p) == b"before-the-stop\n"
    pid = json.loads(cli.ok("inspect", box, "--format", "json"))["pid"]
    cli.ok("stop", "-q", box)
    assert p.wait(60) == 0 and is_gone(pid)
    assert cli.ok("logs", box, *since) == "before-the-stop\n"
    begin = time.monotonic()
    assert cli.ok("logs", "-f", box, *since) == "before-the-stop\n"
    assert time.monotonic() - begin < 5
    cli.ok("start", "-q", box)
    shell(cli, box, "echo after-the-start")
    assert cli.ok("logs", box, *since) == "before-the-stop\nafter-the-start\n"
    p = cli.popen("logs", "-f", "--tail", "1", box)
    assert read_line(p) == b"after-the-start\n"
    cli.ok("kill", "-q", box)
    assert p.wait(60) == 0
    path = folder(cli, box)
    cli.ok("rm", "-q", box)
    assert not path.exists() and cli("logs", box).returncode == 1
