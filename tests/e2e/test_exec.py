"""msb exec, shell and attach, and run in the background: one machine for most of it."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from lib.cli import Cli, hold, is_gone, machine_of, wait_until

IMAGE = "test/busybox:1"
BOX = "box"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("exec") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())  # of tests that failed


@pytest.fixture(scope="module")
def box(cli):
    """A sandbox in the background that has something of everything."""
    cli.ok("create", "-q", "-n", BOX, "-e", "A=sandbox", "-e", "B=sandbox", "-w", "/tmp", "--rlimit", "nofile=500",
           "--script", "hello=echo hello from a script", IMAGE)
    yield BOX
    cli.ok("rm", "-q", "-f", BOX)


@pytest.fixture(scope="module")
def nth(build_dir, tmp_path_factory):
    """tests/e2e/lib/nth.c: the n-th call of a kind fails."""
    so = tmp_path_factory.mktemp("nth") / "nth.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", so, pathlib.Path(__file__).parent / "lib/nth.c", "-ldl"],
                   check=True)
    symbols = subprocess.run(["nm", build_dir / "msb"], stdout=subprocess.PIPE, text=True).stdout
    if "__asan_init" in symbols:
        pytest.skip("a sanitizer's malloc cannot be replaced")
    return str(so)


@pytest.fixture(autouse=True)
def reap(cli):
    yield
    cli.reap()


def inside(cli, box, pattern):
    """How many processes in the guest have `pattern` in their command line."""
    out = cli.ok("exec", box, "--", "sh", "-c", f"for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done "
                                                 f"2>/dev/null | grep -c '{pattern[:-1]}[{pattern[-1]}]' || true")
    return int(out)


def alive(cli, box):
    return cli.ok("exec", box, "--", "echo", "alive") == "alive\n"


def info(cli, name):
    return json.loads(cli.ok("inspect", name, "--format", "json"))


# -- what it gives the command ----------------------------------------------------

def test_output_errors_and_input(cli, box):
    r = cli("exec", box, "--", "sh", "-c", "echo out; echo err >&2; cat", input="in\n")
    assert (r.returncode, r.out, r.err) == (0, "out\nin\n", "err\n")


def test_a_command_needs_no_dashes(cli, box):
    assert cli.ok("exec", box, "echo", "-n", "--", "a  b") == "-- a  b"


def test_the_sandboxes_defaults_and_over_them_the_callers(cli, box):
    script = "echo $A $B; pwd; ulimit -n; id -u; id -g"
    assert cli.ok("exec", box, "--", "sh", "-c", script).split() == ["sandbox", "sandbox", "/tmp", "500", "0", "0"]
    assert cli.ok("exec", "-e", "B=exec", "-w", "/", "--rlimit", "nofile=100:200", "-u", "5:6", box, "--", "sh", "-c",
                  script).split() == ["sandbox", "exec", "/", "100", "5", "6"]
    assert cli.ok("exec", "-e", "HERE", box, "--", "sh", "-c", "echo $HERE", env={"HERE": "x y"}) == "x y\n"


def test_scripts_are_on_path(cli, box):
    assert cli.ok("exec", box, "--", "hello") == "hello from a script\n"
    assert cli.ok("exec", "-e", "PATH=/bin", box, "--", "sh", "-c", "echo $PATH") == "/.msb/scripts:/bin\n"


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137),
                                          ("kill -TERM $$", 143)])
def test_exit_code_is_the_commands(cli, box, script, code):
    r = cli("exec", box, "--", "sh", "-c", script)
    assert (r.returncode, r.out, r.err) == (code, "", "")


def test_options_of_other_tools_are_taken(cli, box):
    assert cli.ok("exec", "-q", "--stream", "-i", box, "--", "cat", input="x") == "x"
    assert cli.ok("exec", "-it", box, "--", "sh", "-c", "tty; stty size") == "/dev/pts/0\r\n24 80\r\n"
    assert cli.ok("exec", "--no-stdin", box, "--", "cat", input="unread") == ""
    assert cli.ok("exec", "--no-tty", box, "--", "sh", "-c", "tty || true") == "not a tty\n"


# -- what goes wrong --------------------------------------------------------------

def test_not_found_is_127_and_not_executable_126(cli, box):
    r = cli("exec", box, "--", "no-such-command")
    assert r.returncode == 127 and "cannot run 'no-such-command': not found" in r.err
    r = cli("exec", box, "--", "/no/such/file")
    assert r.returncode == 127 and "/no/such/file" in r.err
    r = cli("exec", box, "--", "/etc/passwd")
    assert r.returncode == 126 and "cannot run '/etc/passwd'" in r.err


def test_timeout_is_124_and_kills_the_command(cli, box):
    start = time.monotonic()
    r = cli("exec", "--timeout", "500ms", box, "--", "sh", "-c", "echo before; sleep 7654")
    assert r.returncode == 124 and r.out == "before\n" and "ran longer than 0.5 s" in r.err
    assert time.monotonic() - start < 20
    wait_until(lambda: inside(cli, box, "sleep 7654") == 0, 20, "it lives on in the guest")


def test_msb_itself_failing_is_125(cli, box):
    rows = [
        (["exec", "nobody-knows-it", "--", "true"], {}, "nobody-knows-it"),
        (["exec", "-u", "nobody-here", box, "--", "true"], {}, "nobody-here"),
        (["exec", "-w", "relative", box, "--", "true"], {}, "relative"),
        (["exec", "-w", "/etc/passwd", box, "--", "true"], {}, "cwd"),
        (["exec", "--rlimit", "files=1", box, "--", "true"], {}, "files=1"),
        (["exec", "--rlimit", "nofile=5:4", box, "--", "true"], {}, "nofile=5:4"),
        (["exec", "-e", "MSB_X=1", box, "--", "true"], {}, "MSB_X is reserved"),
        (["exec", box, "--", "true"], {"MSB_HOME": "/proc/nowhere"}, "/proc/nowhere"),
        (["shell", "nobody-knows-it"], {}, "nobody-knows-it"),
        (["attach", "nobody-knows-it"], {}, "nobody-knows-it"),
        (["attach", box], {}, "no detached command"),
        (["attach", "--session", "77", box], {}, "77"),
    ]
    for args, env, words in rows:
        r = cli(*args, env=env)
        assert r.returncode == 125, (args, r)
        assert r.out == "" and r.err.startswith("error: ") and words in r.err, (args, r.err)
    assert alive(cli, box)


def test_a_wrong_command_line_is_2(cli, box):
    rows = [
        (["exec"], "<NAME> is missing"),
        (["exec", box], "no command to run"),
        (["exec", "--tty", "--no-tty", box, "--", "true"], "exclude each other"),
        (["exec", "-i", "--no-stdin", box, "--", "true"], "exclude each other"),
        (["exec", "-d", "--timeout", "1s", box, "--", "true"], "exclude each other"),
        (["exec", "--detach-keys", "ctrl-1", box, "--", "true"], "'ctrl-1' is no key"),
        (["exec", "--timeout", "soon", box, "--", "true"], "soon"),
        (["exec", "-e", "NOT_SET_HERE", box, "--", "true"], "NOT_SET_HERE"),
        (["attach", "--session", "x", box], "'x' is no session number"),
        (["attach", "--session", "0", box], "no session number"),
        (["run", "--detach-keys", "xx", IMAGE, "--", "true"], "'xx' is no key"),
        (["run", "-d", "--timeout", "1s", IMAGE, "--", "true"], "exclude each other"),
    ]
    for args, words in rows:
        r = cli(*args)
        assert r.returncode == 2 and r.out == "" and words in r.err, (args, r)


def test_a_stopped_one_says_how_to_start_it(cli):
    cli.ok("create", "-q", "-n", "still", "--no-start", IMAGE)
    for words in (["exec", "still", "--", "true"], ["shell", "still"], ["attach", "still"]):
        r = cli(*words)
        assert r.returncode == 125 and "still" in r.err and "msb start still" in r.err, r.err
    cli.ok("rm", "-q", "still")


# -- streams ------------------------------------------------------------------------

def test_large_input_and_output_pass_unchanged(cli, box):
    data = os.urandom(16 << 20)
    digest = hashlib.sha256(data).hexdigest()
    assert cli.ok("exec", box, "--", "sha256sum", input=data).split()[0] == digest
    r = cli("exec", box, "--", "cat", input=data)
    assert r.returncode == 0 and hashlib.sha256(r.stdout).hexdigest() == digest


def test_output_comes_as_it_is_written(cli, box):
    p = cli.popen("exec", box, "--", "sh", "-c", "echo first; read x; echo $x")
    assert p.stdout.readline() == b"first\n"
    out, _ = p.communicate(b"second\n", timeout=60)
    assert out == b"second\n" and p.returncode == 0


def test_who_reads_late_still_gets_all(cli, box):
    """The guest's kernel takes a connection away 8 s after the command's end: what it said by then is on its way."""
    sizes = range(300_000, 900_000, 50_000)
    readers = [cli.popen("exec", box, "--", "head", "-c", str(n), "/dev/zero", stdin=subprocess.DEVNULL) for n in sizes]
    wait_until(lambda: inside(cli, box, "^head -c 3") == 0, 60, "the first ones do not end")
    time.sleep(10)
    assert [(len(p.communicate(timeout=60)[0]), p.returncode) for p in readers] == [(n, 0) for n in sizes]


def test_a_terminal_that_is_read_late_gets_all(cli, box):
    """And the command stays: nothing else comes that would wake msb up."""
    with cli.terminal("exec", "-t", box, "--", "sh", "-c", "seq 10000; echo all; sleep 1000") as t:
        wait_until(lambda: inside(cli, box, "^sleep 1000") == 1, 60, "it does not come to its end")
        assert t.expect("all\r\n", 60).startswith("1\r\n2\r\n")


def test_input_nobody_reads_does_not_block(cli, box):
    assert cli("exec", box, "--", "true", input=bytes(4 << 20)).returncode == 0


def test_a_closed_output_ends_the_command(cli, box):
    p = cli.popen("exec", box, "--", "yes", stdin=subprocess.DEVNULL)
    assert p.stdout.read(2) == b"y\n"
    p.stdout.close()
    assert p.wait(30) == 128 + signal.SIGPIPE
    wait_until(lambda: inside(cli, box, "^yes $") == 0, 20, "it lives on in the guest")


def test_sixteen_at_once(cli, box):
    def one(i):
        data = bytes([i]) * (1 << 20)
        r = cli("exec", box, "--", "sh", "-c", f"cat; echo {i} >&2; exit {i}", input=data)
        return r.returncode == i and r.stdout == data and r.err == f"{i}\n"
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(16)))


# -- signals and sudden death ---------------------------------------------------------

@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_forwarded(cli, box, sig):
    p = cli.popen("exec", box, "--", "sh", "-c",
                  'trap "echo got; exit 9" INT TERM HUP QUIT; echo ready; while :; do sleep 0.1; done')
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(sig)
    assert p.wait(60) == 9 and p.stdout.read() == b"got\n"


def test_killing_the_client_kills_its_command_and_not_the_machine(cli, box):
    p = cli.popen("exec", box, "--", "sh", "-c", "echo ready; exec sleep 8765")
    other = cli.popen("exec", box, "--", "sh", "-c", "echo ready; read x; echo $x")
    assert p.stdout.readline() == b"ready\n" and other.stdout.readline() == b"ready\n"
    assert inside(cli, box, "sleep 8765") == 1
    p.kill()
    wait_until(lambda: inside(cli, box, "sleep 8765") == 0, 20, "it lives on in the guest")
    assert other.communicate(b"still here\n", timeout=30)[0] == b"still here\n"


def test_a_machine_that_ends_under_its_commands(cli):
    cli.ok("create", "-q", "-n", "short", IMAGE)
    p = cli.popen("exec", "short", "--", "sh", "-c", "echo ready; sleep 1000")
    assert p.stdout.readline() == b"ready\n"
    pid = info(cli, "short")["pid"]
    os.kill(pid, signal.SIGKILL)
    assert p.wait(60) == 125 and p.stderr.read().startswith(b"error: ")
    wait_until(lambda: is_gone(pid), 20, "msb-vmm lives on")
    r = cli("exec", "short", "--", "true")
    assert r.returncode == 125 and "msb start short" in r.err
    cli.ok("rm", "-q", "short")


# -- shells -----------------------------------------------------------------------------

def test_shell_runs_scripts(cli, box):
    assert cli.ok("shell", box, "--", "echo $0 $1 $#; pwd", "one", "two") == "/bin/sh one 2\n/tmp\n"
    assert cli.ok("shell", "-c", "echo $1", box, "arg") == "arg\n"
    assert cli.ok("shell", box, input="echo from stdin\n") == "from stdin\n"
    assert cli("shell", box, "exit 5").returncode == 5


def test_shell_is_the_sandboxes_own(cli):
    out = cli.ok("run", "--shell", "/bin/no-such-shell", "-n", "odd", IMAGE, "--", "echo", "fine")
    assert out == "fine\n"
    cli.ok("start", "-q", "odd")
    r = cli("shell", "odd")
    assert r.returncode == 127 and "shell" in r.err
    cli.ok("rm", "-q", "-f", "odd")


# -- in the background --------------------------------------------------------------------

def test_exec_in_the_background(cli, box):
    number = cli.ok("exec", "-d", "-i", box, "--", "sh", "-c", "echo early; read x; echo got $x; exit 6").strip()
    assert number.isdigit() and int(number) > 0
    p = cli.popen("attach", "-q", "--session", number, box)
    out, err = p.communicate(b"line\n", timeout=30)
    assert (out[-len(b"got line\n"):], err, p.returncode) == (b"got line\n", b"", 6)
    r = cli("attach", "--session", number, box)
    assert r.returncode == 125 and number in r.err
    assert alive(cli, box)


def test_exec_in_the_background_says_what_it_cannot_start(cli, box):
    r = cli("exec", "-d", box, "--", "no-such-command")
    assert r.returncode == 127 and r.out == "" and "no-such-command" in r.err


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.1])
def test_a_ctrl_c_that_is_typed_before_the_command_runs_is_not_lost(cli, seconds):
    with cli.terminal("run", IMAGE, "--", "sleep", "60") as t:
        t.read(seconds)
        t.type("\x03")
        assert t.wait(30) == 128 + signal.SIGINT


def test_a_closed_output_lets_go_of_what_is_attached_to(cli, box):
    number = cli.ok("exec", "-d", box, "--", "sh", "-c",
                    "echo $$ >/tmp/pid; while echo line; do sleep 0.1; done").strip()
    for _ in range(2):  # it went on
        p = cli.popen("attach", "--session", number, box)
        assert p.stdout.readline() == b"line\n"
        p.stdout.close()
        assert b"detached; msb attach" in p.stderr.read() and p.wait(30) == 0
    cli.ok("exec", box, "--", "sh", "-c", "kill $(cat /tmp/pid)")


def test_only_one_can_be_attached(cli, box):
    number = cli.ok("exec", "-d", "-i", box, "--", "sh", "-c", "while read x; do echo $x; done").strip()
    first = cli.popen("attach", "--session", number, box)
    first.stdin.write(b"a\n")
    first.stdin.flush()
    assert first.stdout.readline() == b"a\n"
    r = cli("attach", "--session", number, box)
    assert r.returncode == 125 and "somebody is attached" in r.err
    first.terminate()  # who ends the client lets go of the command
    assert first.wait(60) == 0 and b"detached; msb attach --session " + number.encode() in first.stderr.read()
    second = cli.popen("attach", "--session", number, box)
    out, _ = second.communicate(b"b\n", timeout=30)
    assert out == b"b\n" and second.returncode == 0


def test_run_in_the_background_and_back(cli):
    assert cli.ok("run", "-q", "-d", "-i", "-n", "bg", IMAGE, "--", "sh", "-c",
                  "echo $$ >/pid; while read x; do echo $x; [ $x = end ] && exit 11; done") == "bg\n"
    wait_until(lambda: cli("exec", "bg", "--", "test", "-s", "/pid").returncode == 0, 60, "it does not begin")
    assert cli.ok("exec", "bg", "--", "sh", "-c", "kill -0 $(cat /pid) && echo runs") == "runs\n"
    r = cli("run", "-n", "bg", IMAGE, "--", "true")
    assert r.returncode == 125 and "bg" in r.err and "msb" in r.err.split("→")[1]
    p = cli.popen("attach", "bg")
    p.stdin.write(b"hello\n")
    p.stdin.flush()
    assert p.stdout.readline() == b"hello\n"
    p.send_signal(signal.SIGHUP)
    assert p.wait(60) == 0
    p = cli.popen("attach", "bg")
    assert p.communicate(b"end\n", timeout=60)[0] == b"end\n" and p.returncode == 11
    end = info(cli, "bg")
    assert end["status"] == "Stopped" and end["end"]["reason"] == "exited" and end["end"]["exit_code"] == 11
    cli.ok("start", "-q", "bg")  # and its command runs again, without input: it ends at once
    wait_until(lambda: info(cli, "bg")["status"] == "Stopped", 30, "still runs")
    assert info(cli, "bg")["end"]["reason"] == "exited"
    cli.ok("rm", "-q", "bg")


def test_a_background_command_ends_its_machine_unseen(cli):
    name = cli.ok("run", "-q", "-d", IMAGE, "--", "sh", "-c", "sleep 1; exit 5").strip()
    assert name.startswith("msb-")
    wait_until(lambda: name not in cli.ok("ls", "-q").split(), 30, "it is still there")
    cli.ok("run", "-q", "-d", "-n", "once", IMAGE, "--", "sh", "-c", "exit 5")
    wait_until(lambda: info(cli, "once")["status"] == "Stopped", 30, "still runs")
    assert info(cli, "once")["end"]["exit_code"] == 5
    cli.ok("rm", "-q", "once")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_ending_msb_before_a_background_command_runs_ends_its_machine(cli, sig):
    p = cli.popen("run", "-d", "-n", "cut", IMAGE, "--", "sleep", "1000")
    hold(p)
    below = machine_of(p)
    p.send_signal(sig)
    assert p.wait(60) == -sig and p.stdout.read() == b""
    wait_until(lambda: all(map(is_gone, below)), 30, "a process lives on")
    assert info(cli, "cut")["status"] != "Running"
    cli.ok("rm", "-q", "cut")


def test_killing_who_is_attached_kills_the_command_and_not_the_machine(cli, box):
    number = cli.ok("exec", "-d", "-i", box, "--", "sh", "-c", "while echo up; do sleep 0.1; done; : 5432").strip()
    p = cli.popen("attach", "--session", number, box)
    wait_until(lambda: inside(cli, box, ": 5432") == 1, 20, "not there")
    assert p.stdout.readline() == b"up\n"  # attached
    p.kill()
    wait_until(lambda: inside(cli, box, ": 5432") == 0, 20, "it lives on in the guest")
    assert alive(cli, box)


def test_a_background_command_that_cannot_start(cli):
    r = cli("run", "-d", "-n", "bad", IMAGE, "--", "no-such-command")
    assert r.returncode == 127 and r.out == "" and "no-such-command" in r.err
    assert info(cli, "bad")["status"] == "Stopped"
    cli.ok("rm", "-q", "bad")


@pytest.mark.parametrize("call", ["malloc", "openat", "write"])
@pytest.mark.parametrize("words", [["exec", BOX, "--", "echo", "out"], ["exec", "-d", BOX, "--", "true"]],
                         ids=["exec", "exec-d"])
def test_any_call_that_fails_is_an_error_and_no_crash(cli, box, nth, tmp_path, call, words):
    """The n-th one of the client's, for a sample of n: the machine does not mind."""
    count = tmp_path / "count"
    env = {"LD_PRELOAD": nth, "NTH_CALL": call, "NTH_COUNT": str(count)}
    assert cli(*words, env=env).returncode == 0
    total = int(count.read_text())
    for n in sorted(random.Random(total).sample(range(1, total + 1), min(total, 25))):
        r = cli(*words, env={**env, "NTH_N": str(n)}, timeout=60)
        where = f"{call} number {n} of {total}: {r.returncode} {r.err}"
        assert 0 <= r.returncode < 128, where
        assert r.returncode == 0 or r.err or call == "malloc", where
    assert alive(cli, box)


# -- what is kept -----------------------------------------------------------------------------

def test_a_named_run_is_kept_with_its_data(cli):
    assert cli("run", "-n", "keep", IMAGE, "--", "sh", "-c", "echo data >/root/f; exit 3").returncode == 3
    kept = info(cli, "keep")
    assert kept["status"] == "Stopped" and kept["end"]["reason"] == "exited" and kept["end"]["exit_code"] == 3
    r = cli("run", "-n", "keep", IMAGE, "--", "true")
    assert r.returncode == 125 and "keep" in r.err and "--replace" in r.err
    cli.ok("start", "-q", "keep")
    assert cli.ok("exec", "keep", "--", "cat", "/root/f") == "data\n"
    assert cli("run", "-n", "keep", "--replace", IMAGE, "--", "cat", "/root/f").returncode == 1
    r = cli("run", "-n", "keep", "--replace", "--timeout", "300ms", IMAGE, "--", "sleep", "100")
    assert r.returncode == 124 and info(cli, "keep")["status"] == "Stopped"
    cli.ok("rm", "-q", "keep")


def test_an_unnamed_run_leaves_nothing(cli):
    before = cli.ok("ls", "-q")
    cli.ok("run", IMAGE, "--", "true")
    assert cli.ok("ls", "-q") == before
    rows = {p.name for p in (cli.home / "sandboxes").iterdir()}
    assert len(rows) == len(before.split())
