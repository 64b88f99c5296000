"""Sandboxes that live: create, start, stop, restart, kill, rm, ls, ps, inspect, ping, touch, modify."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import machines
from lib.cli import Cli, descendants, hold, wait_until

IMAGE = "test/busybox:1"
REFERENCE = "docker.io/test/busybox:1"
NAME_AND_NEWLINE = re.compile(r"msb-[0-9a-f]{8}\n")


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    """One home for this file: the image is loaded once."""
    c = Cli(build_dir, tmp_path_factory.mktemp("life") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def box(cli):
    """A sandbox that runs; tests that stop it start it again."""
    assert cli.ok("create", "-n", "box", "--label", "team=a", "--label", "bare", "-e", "COLOUR=red", "-m", "192M",
                  IMAGE) == "box\n"
    yield "box"
    cli.ok("rm", "-f", "-q", "box")


@pytest.fixture
def paper(cli):
    """One that is only on record."""
    cli.ok("create", "--no-start", "-n", "paper", "--label", "kind=paper", "-e", "A=1", "-e", "B=2", IMAGE)
    yield "paper"
    cli("rm", "-f", "-q", "paper")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(cli):
    """Instead of the suite's: folders and rows belong together, and so do sandboxes that run and processes."""
    yield
    cli.reap()
    for id_ in folders(cli) - {s["id"] for s in json.loads(cli.ok("ls", "--format", "json"))}:
        # Of an msb that was killed before its sandbox was on record: rubbish a minute later. Or of one that was just
        # about to go.
        with contextlib.suppress(FileNotFoundError):
            os.utime(cli.home / "sandboxes" / id_, (time.time() - 120,) * 2)
    known = json.loads(cli.ok("ls", "--format", "json"))
    wait_until(lambda: folders(cli) == {s["id"] for s in known}, 20, "folders without sandboxes")

    def strangers():
        pids = [vmm_of(cli, s["name"]) for s in known]
        return set(machines()) - {p for pid in pids if pid for p in (pid, *descendants(pid))}
    wait_until(lambda: not strangers(), 30, "processes without sandboxes")


def folders(cli):
    path = cli.home / "sandboxes"
    return {p.name for p in path.iterdir() if p.is_dir()} if path.is_dir() else set()


def inspect(cli, name):
    return json.loads(cli.ok("inspect", name, "--format", "json"))


def status(cli, name):
    return inspect(cli, name)["status"]


def vmm_of(cli, name):
    return inspect(cli, name)["pid"]


def ensure_running(cli, name):
    assert cli("start", "-q", name).returncode == 0
    assert status(cli, name) == "Running"


# -- which sandboxes ------------------------------------------------------------

ONE_OF_THESE = ("start", "stop", "restart", "kill", "rm", "ping", "touch")


@pytest.mark.parametrize("command", ONE_OF_THESE)
def test_no_name_and_no_label_is_wrong_usage(cli, command):
    r = cli(command)
    assert (r.returncode, r.out) == (2, "") and "no sandbox is named" in r.err and "--label" in r.err


@pytest.mark.parametrize("command", ONE_OF_THESE)
def test_a_label_that_nobody_has_is_a_warning(cli, command):
    r = cli(command, "--label", "no=body")
    assert (r.returncode, r.out) == (0, "") and r.err == "warn: no sandbox has no=body\n"


@pytest.mark.parametrize("command", ONE_OF_THESE)
def test_an_unknown_name_fails_and_says_so(cli, command):
    r = cli(command, "nobody", "\x1b[31mred")
    assert (r.returncode, r.out) == (1, "") and r.err.count("error:") == 2
    assert "nobody" in r.err and "\x1b[31mred" not in r.err


def test_one_that_fails_does_not_stop_the_others(cli):
    for name in ("one", "two"):
        cli.ok("create", "-q", "--no-start", "-n", name, "--label", "pair", IMAGE)
    r = cli("rm", "nobody", "one", "--label", "pair")
    assert r.returncode == 1 and r.err.count("error:") == 1
    assert re.findall(r"^   ✓ Removed +(\w+)$", r.err, re.M) == ["one", "two"]
    assert not {"one", "two"} & set(cli.ok("ls", "-q").split())


# -- create ---------------------------------------------------------------------

def test_what_is_not_started_is_on_record(cli):
    name = cli.ok("create", "--no-start", IMAGE)
    assert NAME_AND_NEWLINE.fullmatch(name)
    seen = inspect(cli, name.strip())
    assert seen["status"] == "Created" and seen["started_at"] is None and seen["pid"] is None and seen["persistent"]
    assert "Created" in cli.ok("ps", "-a")
    r = cli("stop", name.strip())
    assert (r.returncode, r.err) == (0, f"{name.strip()} is not running\n")
    assert cli.ok("rm", name.strip()) == ""


def test_create_makes_it_run_in_the_background(cli, box):
    seen = inspect(cli, box)
    assert seen["status"] == "Running" and seen["detached"] and seen["owner_pid"] is None
    assert seen["pid"] in machines() and "seccomp" in seen["walls"]


def test_a_name_is_taken(cli, box):
    before = inspect(cli, box)
    for more in ([], ["--no-start"]):
        r = cli("create", "-n", box, *more, IMAGE)
        assert (r.returncode, r.out) == (1, "") and box in r.err and "  → " in r.err
    assert inspect(cli, box) == before


@pytest.mark.parametrize("name", ["", "-x", ".hidden", "a/b", "..", "a b", "x" * 129, "\x1b[31m", "nö"])
def test_a_name_that_is_none_is_refused(cli, name):
    r = cli("create", "--no-start", f"--name={name}", IMAGE)
    assert r.returncode in (1, 2) and r.out == "" and "name" in r.err and "\x1b" not in r.err


def test_the_longest_name(cli):
    name = "x" * 128
    assert cli.ok("create", "--no-start", "-n", name, IMAGE) == name + "\n"
    cli.ok("rm", name)


@pytest.mark.parametrize("options, words", [
    (["-c", "65"], "65"), (["-m", "1M"], "memory"), (["-H", "a b"], "host name"), (["--label", "=x"], "label"),
    (["--idle-timeout", "never"], "never"), (["-w", "relative"], "relative"), (["--rlimit", "x=1"], "x"),
])
def test_create_refuses_what_cannot_be(cli, options, words):
    r = cli("create", "--no-start", *options, IMAGE)
    assert r.returncode in (1, 2) and r.out == "" and words in r.err


def test_an_image_that_is_not_here(cli):
    r = cli("create", "-n", "imageless", "--pull", "never", "no/such:1")
    assert r.returncode == 1 and "no/such" in r.err
    assert cli("inspect", "imageless").returncode == 1


def test_one_that_cannot_boot_says_why_and_stays_if_it_was_named(cli):
    r = cli("create", "-n", "slow", "--boot-timeout", "100ms", IMAGE)
    assert (r.returncode, r.out) == (1, "") and "error:" in r.err
    seen = inspect(cli, "slow")
    assert seen["status"] == "Crashed" and seen["end"]["reason"] == "failed"
    assert "Crashed (failed)" in cli.ok("ps", "-a")
    r = cli("start", "slow")
    assert r.returncode == 1 and "error:" in r.err
    cli.ok("rm", "slow")
    before = cli.ok("ls", "-q")
    assert cli("create", "--boot-timeout", "100ms", IMAGE).returncode == 1
    assert cli.ok("ls", "-q") == before


# -- what is shown --------------------------------------------------------------

def test_ls(cli, box, paper):
    lines = cli.ok("ls").splitlines()
    assert lines[0].split() == ["NAME", "IMAGE", "STATUS", "CREATED"]
    assert re.match(rf"box +{REFERENCE} +Running +\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d$", lines[1])
    assert cli.ok("ls", "-q") == "box\npaper\n"
    assert cli.ok("list", "-q", "--running") == "box\n" and cli.ok("ls", "-q", "--stopped") == "paper\n"
    assert cli.ok("ls", "-q", "--running", "--stopped") == "box\npaper\n"
    all_ = json.loads(cli.ok("ls", "--format", "json"))
    assert [s["name"] for s in all_] == ["box", "paper"]
    assert all_[0].keys() >= {"name", "status", "created_at", "image"} and all_[0]["image"] == REFERENCE
    assert [s["status"] for s in all_] == ["Running", "Created"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", all_[0]["created_at"])


def test_labels_select(cli, box, paper):
    assert inspect(cli, box)["config"]["labels"] == {"team": "a", "bare": ""}
    for labels, names in ((["team=a"], "box\n"), (["team"], "box\n"), (["team=b"], ""), (["bare"], "box\n"),
                          (["team=a", "bare"], "box\n"), (["team=a", "kind=paper"], ""), (["kind"], "paper\n")):
        options = [o for label in labels for o in ("--label", label)]
        assert cli.ok("ls", "-q", *options) == names, labels
        assert cli.ok("ps", "-q", "-a", *options) == names, labels


def test_an_empty_list_is_a_note(build_dir, tmp_path):
    c = Cli(build_dir, tmp_path / "home")
    r = c("ls")
    assert (r.returncode, r.out, r.err) == (0, "", "No sandboxes found.\n")
    r = c("ps")
    assert (r.returncode, r.out, r.err) == (0, "", "No running sandboxes.\n")
    for command in ("ls", "ps"):
        assert json.loads(c.ok(command, "--format", "json")) == []
        r = c(command, "-q")
        assert (r.returncode, r.out, r.err) == (0, "", "")


def test_ps(cli, box, paper):
    lines = cli.ok("ps").splitlines()
    assert lines[0].split() == ["NAME", "IMAGE", "COMMAND", "CPUS", "MEM", "STATUS", "PORTS"]
    assert len(lines) == 2 and re.match(rf"box +{REFERENCE} +- +1 +192\.0 MiB +Running \d+ \w+ +-$", lines[1])
    assert len(cli.ok("ps", "-a").splitlines()) == 3
    assert cli.ok("ps", "-q") == "box\n" and cli.ok("ps", "-qa") == "box\npaper\n"
    one = json.loads(cli.ok("ps", "paper", "--format", "json"))
    assert one["status"] == "Created" and one["cpus"] == 1 and one["max_cpus"] == 1 and one["memory_mib"] == 512
    assert [s["name"] for s in json.loads(cli.ok("status", "--format", "json"))] == ["box"]
    r = cli("ps", "nobody")
    assert r.returncode == 1 and "nobody" in r.err


def test_inspect(cli, box):
    seen = inspect(cli, box)
    assert seen.keys() >= {"name", "status", "config", "created_at", "updated_at", "id", "end", "engine", "accel"}
    c = seen["config"]
    assert c["image"] == REFERENCE and c["cpus"] == 1 and c["memory_mib"] == 192 and c["root_disk_mib"] == 8192
    assert c["env"] == {"COLOUR": "red"} and c["image_digest"].startswith("sha256:") and c["max_duration_secs"] is None
    assert seen["end"] is None and 0 < seen["disk_bytes"] < 64 << 20
    assert inspect(cli, seen["id"]) == seen
    text = cli.ok("inspect", box)
    for word in ("Running", seen["id"], REFERENCE, "192.0 MiB", "8.0 GiB", "COLOUR=red", "team=a", "detached"):
        assert word in text, word


def test_inspect_of_several(cli, box, paper):
    r = cli("inspect", box, "nobody", paper, "--format", "json")
    assert r.returncode == 1 and "nobody" in r.err
    assert [s["name"] for s in json.loads(r.out)] == [box, paper]


# -- a machine that runs --------------------------------------------------------

def test_start_of_a_running_one_is_a_note(cli, box):
    pid = vmm_of(cli, box)
    r = cli("start", box)
    assert (r.returncode, r.out, r.err) == (0, "", "box is running already\n")
    assert cli("start", "-q", box).err == "" and vmm_of(cli, box) == pid


def test_start_waits_for_one_that_somebody_starts_and_takes_over_when_he_gives_up(cli, paper):
    first = cli.popen("start", paper)
    hold(first)
    wait_until(lambda: status(cli, paper) == "Starting", 20, "a start that waits")
    first.send_signal(signal.SIGINT)
    assert cli.ok("start", "-q", paper) == "" and status(cli, paper) == "Running"
    assert first.wait(30) == -signal.SIGINT and status(cli, paper) == "Running"


@pytest.mark.parametrize("name", [["-n", "early"], []])
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_a_create_that_is_interrupted_leaves_nothing(cli, name, signo):
    before = cli.ok("ls", "-q")
    p = cli.popen("create", *name, IMAGE)
    hold(p)
    wait_until(lambda: "Starting" in cli.ok("ls"), 20, "a create that waits")
    p.send_signal(signo)
    assert p.communicate(timeout=30) == (b"", b"") and p.returncode == 128 + signo
    assert cli.ok("ls", "-q") == before


@pytest.mark.parametrize("option, value, words", [
    ("-n", "a b", "'a b' cannot be a sandbox name"), ("-n", "", "'' cannot be a sandbox name"),
    ("-H", "-x", "'-x' cannot be a host name"), ("--root-disk", "1M", "root disk: between")])
def test_a_value_that_cannot_be_is_named(cli, option, value, words):
    r = cli("create", "--no-start", option, value, IMAGE)
    assert (r.returncode, r.out) == (1, "") and r.err.startswith(f"error: {words}")
    assert "letters" in r.err or option == "--root-disk"


def test_rm_of_a_running_one_needs_force(cli, box):
    r = cli("rm", box)
    assert r.returncode == 1 and "running" in r.err and "--force" in r.err
    assert status(cli, box) == "Running"


def test_ping_and_touch(cli, box):
    r = cli("ping", box)
    assert r.returncode == 0 and re.fullmatch(r"   ✓ Reachable +box \d+\.\d\d ms\n", r.err)
    r = cli("touch", box)
    assert (r.returncode, r.err) == (0, "   ✓ Touched      box\n")
    for more in (["ping", "-q", "--touch"], ["touch", "-q"], ["ping", "-q", "--label", "team=a"]):
        r = cli(*more, box)
        assert (r.returncode, r.out, r.err) == (0, "", "")


@pytest.mark.parametrize("command", ["ping", "touch"])
def test_one_that_does_not_run_cannot_be_reached(cli, paper, command):
    r = cli(command, paper)
    assert r.returncode == 1 and "not running" in r.err


def test_what_was_written_survives_stop_and_start(cli, box):
    cli.ok("exec", box, "--", "sh", "-c", "echo data > /root/kept; echo gone > /tmp/x; mkdir -p /srv/deep")
    pid = vmm_of(cli, box)
    r = cli("stop", box)
    assert (r.returncode, r.out, r.err) == (0, "", "   ✓ Stopped      box\n")
    assert pid not in machines()
    seen = inspect(cli, box)
    assert seen["status"] == "Stopped" and seen["end"]["reason"] == "poweroff" and seen["pid"] is None
    assert re.search(r"Stopped \d+ seconds? ago +-$", cli.ok("ps", "-a").splitlines()[1])
    r = cli("stop", box)
    assert (r.returncode, r.err) == (0, "box is not running\n") and cli("stop", "-q", box).err == ""
    r = cli("exec", box, "--", "true")
    assert r.returncode in (1, 125) and "not running" in r.err
    r = cli("start", box)
    assert (r.returncode, r.out, r.err) == (0, "", "   ✓ Started      box\n")
    assert cli.ok("exec", box, "--", "cat", "/root/kept") == "data\n" and vmm_of(cli, box) != pid
    assert cli.ok("exec", box, "--", "ls", "/srv") == "deep\n"


def test_restart(cli, box):
    pid = vmm_of(cli, box)
    r = cli("restart", box)
    assert (r.returncode, r.err) == (0, "   ✓ Restarted    box\n") and vmm_of(cli, box) != pid
    cli.ok("kill", "-q", box)
    assert status(cli, box) == "Stopped"
    cli.ok("restart", "-q", box)
    assert status(cli, box) == "Running"


@pytest.mark.parametrize("command", ["stop", "start", "restart"])
def test_the_same_by_several_at_once(cli, box, command):
    ensure_running(cli, box)
    if command == "start":
        cli.ok("stop", "-q", box)
    ps = [cli.popen(command, box) for _ in range(4)]
    assert [(p.wait(60), p.stderr.read().count(b"error")) for p in ps] == [(0, 0)] * 4
    assert status(cli, box) == ("Stopped" if command == "stop" else "Running")
    ensure_running(cli, box)


def test_kill_ends_it_at_once(cli, box):
    cli.ok("exec", box, "--", "sh", "-c", "echo synced > /root/synced; sync")
    r = cli("kill", box)
    assert (r.returncode, r.err) == (0, "   ✓ Killed       box\n")
    assert inspect(cli, box)["end"]["reason"] == "killed" and "Stopped (killed)" in cli.ok("ps", "-a")
    assert cli("kill", box).err == "box is not running\n"
    ensure_running(cli, box)
    assert cli.ok("exec", box, "--", "cat", "/root/synced") == "synced\n"


def test_stop_has_a_time_limit_and_force(cli, box):
    r = cli("stop", "-t", "soon", box)
    assert r.returncode == 2 and "soon" in r.err and status(cli, box) == "Running"
    for options in (["-t", "0"], ["--force"]):
        ensure_running(cli, box)
        cli.ok("stop", "-q", *options, box)
        assert inspect(cli, box)["end"]["reason"] == "killed"
    ensure_running(cli, box)


@pytest.mark.parametrize("victim", ["msb-vmm", "engine"])
def test_a_machine_that_was_killed_is_seen_and_starts_again(cli, box, victim):
    ensure_running(cli, box)
    cli.ok("exec", box, "--", "sh", "-c", f"echo {victim} > /root/before; sync")
    pid = vmm_of(cli, box)
    below = descendants(pid)
    if victim == "engine" and not below:
        pytest.skip("this engine has no process of its own")
    os.kill(pid if victim == "msb-vmm" else below[0], signal.SIGKILL)
    wait_until(lambda: status(cli, box) != "Running", 10, "it is still said to run")
    seen = inspect(cli, box)
    assert seen["status"] == "Crashed" and seen["end"]["reason"] == "crashed" and seen["end"]["message"]
    wait_until(lambda: not {pid, *below} & set(machines()), 30, "a process is left")
    ensure_running(cli, box)
    assert cli.ok("exec", box, "--", "cat", "/root/before") == f"{victim}\n"


@pytest.mark.parametrize("delay", [0.02, 0.1, 0.3, 0.6, 1.2])
@pytest.mark.parametrize("command", ["create", "start"])
def test_msb_killed_half_way_leaves_a_right_record(cli, command, delay):
    """A start dies with its msb until it is detached; then it runs on."""
    if command == "start":
        cli.ok("create", "-q", "--no-start", "-n", "victim", IMAGE)
        p = cli.popen("start", "victim")
    else:
        p = cli.popen("create", "-n", "victim", IMAGE)
    time.sleep(delay)
    p.kill()
    p.wait()

    def settled():
        r = cli("inspect", "victim", "--format", "json")
        return r.returncode or json.loads(r.out)["status"] not in ("Starting",)
    wait_until(settled, 60, "neither running nor ended")
    if cli("inspect", "victim").returncode == 0:
        # The folder may be swept a little later; a named one starts again.
        ensure_running(cli, "victim")
        cli.ok("rm", "-q", "-f", "victim")
    else:
        assert command == "create"
        cli.ok("create", "-q", "--no-start", "-n", "victim", IMAGE)
        cli.ok("rm", "-q", "victim")


@pytest.mark.parametrize("command", ["stop", "rm -f", "restart"])
@pytest.mark.parametrize("delay", [0.005, 0.02, 0.08, 0.3])
def test_msb_killed_while_it_ends_a_machine(cli, box, command, delay):
    """Whatever it came to: the next call makes it right."""
    name = box
    if command == "rm -f":
        name = cli.ok("create", IMAGE).strip()
    ensure_running(cli, name)
    begin = time.monotonic()
    cli.ok("stop", "-q", name)
    stopping = time.monotonic() - begin
    ensure_running(cli, name)
    p = cli.popen(*command.split(), name)
    time.sleep(delay)
    p.kill()
    p.wait()
    if command != "rm -f":
        time.sleep(1 + 5 * stopping)  # a shut-down that was asked for goes on
        wait_until(lambda: status(cli, name) in ("Running", "Stopped", "Crashed"), 20, "neither running nor ended")
        ensure_running(cli, name)
    elif cli("inspect", name).returncode == 0:
        cli.ok("rm", "-q", "-f", name)


# -- the main command -----------------------------------------------------------

def test_start_runs_the_main_command_again(cli):
    cli.ok("run", "-d", "-n", "job", IMAGE, "--", "sh", "-c", "echo run >> /root/runs; [ $(wc -l < /root/runs) -lt 3 ] || sleep 99; exit 3")
    for runs in (1, 2):
        wait_until(lambda: status(cli, "job") == "Stopped", 20, "its main command does not end")
        seen = inspect(cli, "job")
        assert seen["end"]["reason"] == "exited" and seen["end"]["exit_code"] == 3
        assert seen["config"]["command"][:2] == ["sh", "-c"]
        line = next(x for x in cli.ok("ps", "-a").splitlines() if x.startswith("job"))
        assert re.search(r" sh -c 'echo run >> .*\.\.\. .*Stopped \(exited 3\) \d+ seconds? ago +-$", line), line
        assert json.loads(cli.ok("ps", "job", "--format", "json"))["exit_code"] == 3
        if runs == 1:
            cli.ok("start", "-q", "job")
    cli.ok("start", "-q", "job")
    wait_until(lambda: cli.ok("exec", "job", "--", "cat", "/root/runs") == "run\n" * 3, 10, "it does not run")
    cli.ok("rm", "-q", "-f", "job")


def test_a_main_command_that_cannot_run_is_an_error_of_start(cli):
    cli.ok("create", "--no-start", "-n", "wrong", "--conf", conf(cli, "cmd: [/no/such/program]\n"), IMAGE)
    r = cli("start", "wrong")
    assert r.returncode == 1 and "/no/such/program" in r.err
    assert status(cli, "wrong") in ("Stopped", "Crashed")
    cli.ok("rm", "-q", "wrong")


def conf(cli, text):
    path = cli.home.parent / "sandbox.yaml"
    path.write_text(text)
    return path


def test_a_command_that_ignores_sigterm_is_killed_in_time(cli, box):
    ensure_running(cli, box)
    p = cli.popen("exec", box, "--", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
    assert p.stdout.readline() == b"up\n"
    begin = time.monotonic()
    cli.ok("stop", "-q", "-t", "1s", box)
    assert time.monotonic() - begin < 8
    assert p.wait(30) != 0 and status(cli, box) == "Stopped"
    ensure_running(cli, box)


def test_labels_address_many_at_once(cli):
    names = [f"many{i}" for i in range(3)]
    for name in names:
        cli.ok("create", "--no-start", "-q", "-n", name, "--label", "group=many", "-m", "128M", IMAGE)
    r = cli("start", "--label", "group=many", "many0")
    assert r.returncode == 0 and re.findall(r"Started +(\w+)", r.err) == names
    r = cli("ping", "--label", "group=many")
    assert r.returncode == 0 and r.err.count("Reachable") == 3
    r = cli("rm", "--label", "group=many", "nobody")
    assert r.returncode == 1 and r.err.count("running") == 3 and "nobody" in r.err
    r = cli("stop", "--label", "group=many")
    assert r.returncode == 0 and r.err.count("Stopped") == 3
    cli.ok("rm", "-q", "--label", "group=many")
    assert not set(names) & set(cli.ok("ls", "-q").split())


# -- limits ---------------------------------------------------------------------

def test_touch_holds_off_the_idle_timeout_and_then_it_ends(cli):
    """On a busy host a touch may itself be too late: only those in time count."""
    limit, touched = 4, 0
    cli.ok("create", "-n", "idle", "--idle-timeout", f"{limit}s", IMAGE)
    last = begin = time.monotonic()
    end = begin + 90
    while time.monotonic() - begin < 2 * limit:
        assert time.monotonic() < end, "no touch is in time"
        time.sleep(0.5)
        r = cli("touch", "-q", "idle")
        gap, last = time.monotonic() - last, time.monotonic()
        if gap > limit - 1 or (r.returncode and not touched):
            cli.ok("start", "-q", "idle")
            last = begin = time.monotonic()
            touched = 0
            continue
        assert r.returncode == 0, (r.err, gap, touched, inspect(cli, "idle"))
        touched += 1
    cli.ok("ping", "-q", "idle")  # no touch
    wait_until(lambda: status(cli, "idle") == "Stopped", 40, "it is not stopped")
    assert inspect(cli, "idle")["end"]["reason"] == "idle_timeout"
    assert "Stopped (idle timeout)" in cli.ok("ps", "-a")
    cli.ok("rm", "-q", "idle")


def test_run_says_that_max_duration_was_over(cli):
    r = cli("run", "--max-duration", "1s", IMAGE, "--", "sleep", "60")
    assert (r.returncode, r.err) == (128 + signal.SIGTERM, "stopped: --max-duration of 1 s is over\n")
    r = cli("run", "--max-duration", "60s", IMAGE, "--", "sh", "-c", "kill -TERM $$")
    assert (r.returncode, r.err) == (128 + signal.SIGTERM, "")


def test_max_duration_ends_it_whatever_it_does(cli):
    cli.ok("create", "-n", "short", "--max-duration", "2s", IMAGE)
    end = time.monotonic() + 40
    while status(cli, "short") == "Running":
        cli("touch", "-q", "short")
        assert time.monotonic() < end, "it is not stopped"
        time.sleep(0.2)
    assert inspect(cli, "short")["end"]["reason"] == "max_duration"
    cli.ok("rm", "-q", "short")


# -- replace and remove ---------------------------------------------------------

def test_replace_makes_a_new_one(cli):
    cli.ok("create", "-n", "twice", IMAGE)
    cli.ok("exec", "twice", "--", "touch", "/root/first")
    first = inspect(cli, "twice")
    assert cli.ok("create", "--replace", "-n", "twice", "-m", "160M", IMAGE) == "twice\n"
    second = inspect(cli, "twice")
    assert second["id"] != first["id"] and first["id"] not in folders(cli) and first["pid"] not in machines()
    assert cli.ok("exec", "twice", "--", "ls", "/root") == ""
    r = cli("rm", "--force", "twice")
    assert (r.returncode, r.err) == (0, "   ✓ Removed      twice\n")
    assert second["id"] not in folders(cli) and second["pid"] not in machines()
    assert cli("inspect", "twice").returncode == 1 and cli("rm", "twice").returncode == 1


def test_replace_of_nothing_is_fine(cli):
    assert cli.ok("create", "--replace", "--no-start", "-n", "fresh", IMAGE) == "fresh\n"
    assert cli.ok("create", "--replace", "--no-start", "-n", "fresh", IMAGE) == "fresh\n"
    assert cli.ok("ls", "-q").split().count("fresh") == 1
    cli.ok("rm", "-q", "fresh")


def test_one_whose_folder_is_gone_is_shown_and_can_be_removed(cli, paper):
    shutil.rmtree(cli.home / "sandboxes" / inspect(cli, paper)["id"])
    assert inspect(cli, paper)["status"] == "Created" and "paper" in cli.ok("ps", "-a")
    for args in (["start"], ["modify", "--cpus", "2"], ["ping"], ["stop"]):
        assert cli(args[0], paper, *args[1:]).returncode == (0 if args[0] == "stop" else 1), args
    cli.ok("rm", "-q", paper)
    assert cli("inspect", paper).returncode == 1


def test_images_survive_their_sandboxes(cli, paper):
    cli.ok("rm", "-q", paper)
    assert cli.ok("images", "-q") == REFERENCE + "\n"


# -- modify ---------------------------------------------------------------------

def plan(cli, *args):
    p = json.loads(cli.ok("modify", *args, "--format", "json"))
    return p["applied"], {c["field"]: (c["change"], c["before"], c["after"], c["effect"]) for c in p["changes"]}


def test_modify_of_one_that_does_not_run(cli, paper):
    applied, changes = plan(cli, paper, "--cpus", "2", "--memory", "1G", "--env", "A=one", "--env", "C=3", "--env-rm",
                            "B", "--label", "kind=other", "--label", "new", "--label-rm", "none", "--workdir", "/srv",
                            "--user", "65534", "--hostname", "host", "--shell", "/bin/ash", "--max-duration", "1h",
                            "--idle-timeout", "90s")
    assert applied and changes == {
        "cpus": ("change", "1", "2", "now"), "memory": ("change", "512.0 MiB", "1.0 GiB", "now"),
        "env.A": ("change", "1", "one", "now"), "env.C": ("set", "", "3", "now"), "env.B": ("remove", "2", "", "now"),
        "label.kind": ("change", "paper", "other", "now"), "label.new": ("set", "", '""', "now"),
        "workdir": ("set", "", "/srv", "now"), "user": ("set", "", "65534", "now"),
        "hostname": ("set", "", "host", "now"), "shell": ("set", "", "/bin/ash", "now"),
        "max_duration": ("set", "", "3600s", "now"), "idle_timeout": ("set", "", "90s", "now")}
    c = inspect(cli, paper)["config"]
    assert c["env"] == {"A": "one", "C": "3"} and c["labels"] == {"kind": "other", "new": ""} and c["cpus"] == 2
    assert (c["memory_mib"], c["workdir"], c["user"], c["hostname"], c["shell"]) == (1024, "/srv", "65534", "host",
                                                                                   "/bin/ash")
    assert (c["max_duration_secs"], c["idle_timeout_secs"]) == (3600, 90)
    assert cli.ok("ls", "-q", "--label", "new") == "paper\n" and cli.ok("ls", "-q", "--label", "kind=paper") == ""
    plan(cli, paper, "--workdir", "", "--max-duration", "0", "--hostname", "")
    c = inspect(cli, paper)["config"]
    assert c["workdir"] is None and c["max_duration_secs"] is None and c["hostname"] is None


def test_modify_dry_run_changes_nothing(cli, paper):
    before = inspect(cli, paper)
    out = cli.ok("mod", paper, "--cpus", "4", "--env-rm", "A", "--dry-run")
    lines = [line.split() for line in out.splitlines()]
    assert lines == [["FIELD", "CHANGE", "BEFORE", "AFTER", "EFFECT"], ["cpus", "change", "1", "4", "now"],
                     ["env.A", "remove", "1", "-", "now"]]
    assert plan(cli, paper, "--cpus", "4", "--dry-run")[0] is False
    assert inspect(cli, paper) == before
    r = cli("modify", paper, "--cpus", "1")
    assert (r.returncode, r.out, r.err) == (0, "", "Nothing changes.\n")


@pytest.mark.parametrize("options, words", [
    (["--cpus", "65"], "65"), (["--memory", "1M"], "memory"), (["--memory", "2T"], "memory"),
    (["--hostname", "a b"], "host name"), (["--workdir", "rel"], "rel"), (["--shell", "sh"], "sh"),
    (["--root-disk", "1G"], "only grow"), (["--env", "MSB_X=1"], "MSB_X"), (["--label", "=x"], "=x"),
    (["--env", "A=1", "--env-rm", "A"], "set and removed at once"),
    (["--env-rm", "A=1"], "A=1"), (["--user", ""], None), (["--max-duration", "soon"], "soon"),
])
def test_modify_is_all_or_nothing(cli, paper, options, words):
    before = inspect(cli, paper)
    r = cli("modify", paper, "--label", "other=1", *options)
    if words is None:
        assert r.returncode == 0
        return
    assert r.returncode in (1, 2) and r.out == "" and words in r.err
    assert inspect(cli, paper) == before


def test_modify_wants_a_change_and_one_way(cli, paper):
    for options in ([], ["--dry-run"], ["--cpus", "2", "--next-start", "--restart"], ["--cpus", "0"]):
        r = cli("modify", paper, *options)
        assert r.returncode == 2 and r.out == ""
    r = cli("modify", "nobody", "--cpus", "2")
    assert r.returncode == 1 and "nobody" in r.err


def test_changes_at_the_same_time_do_not_lose_each_other(cli, paper):
    ps = [cli.popen("modify", "-q", paper, "--env", f"N{i}={i}") for i in range(12)]
    assert [p.wait(30) for p in ps] == [0] * 12
    assert inspect(cli, paper)["config"]["env"] == {"A": "1", "B": "2", **{f"N{i}": str(i) for i in range(12)}}


def test_modify_of_a_running_one(cli, box):
    ensure_running(cli, box)
    before = inspect(cli, box)
    r = cli("modify", box, "--cpus", "2", "--hostname", "other", "--env", "COLOUR=blue")
    assert r.returncode == 1 and r.out == "" and "cpus, hostname" in r.err and "COLOUR" not in r.err
    assert "--restart" in r.err and "--next-start" in r.err and inspect(cli, box) == before
    assert plan(cli, box, "--cpus", "2", "--dry-run")[1]["cpus"][3] == "needs restart"
    # Live: the next command sees it.
    applied, changes = plan(cli, box, "--env", "COLOUR=blue", "--workdir", "/etc", "--label", "live=1")
    assert applied and {c[3] for c in changes.values()} == {"now"}
    assert cli.ok("exec", box, "--", "sh", "-c", "echo $COLOUR $PWD $(nproc)") == "blue /etc 1\n"
    assert cli.ok("ls", "-q", "--label", "live") == "box\n" and vmm_of(cli, box) == before["pid"]


def test_modify_waits_for_the_next_start_or_restarts(cli, box):
    ensure_running(cli, box)
    pid = vmm_of(cli, box)
    applied, changes = plan(cli, box, "--cpus", "2", "--root-disk", "9G", "--next-start")
    assert applied and {c[3] for c in changes.values()} == {"next start"}
    assert cli.ok("exec", box, "--", "nproc") == "1\n" and vmm_of(cli, box) == pid
    waiting = {c["field"]: (c["active"], c["desired"]) for c in inspect(cli, box)["pending_changes"]}
    assert waiting == {"cpus": ("1", "2"), "root_disk": ("8.0 GiB", "9.0 GiB")}
    assert "Next start   cpus 2, now 1\n" in cli.ok("inspect", box)
    cli.ok("exec", box, "--", "sh", "-c", "echo still > /root/still")
    r = cli("modify", box, "--hostname", "renamed", "--restart")
    assert r.returncode == 0 and "Restarted" in r.err and "restart" in r.out
    said = cli.ok("exec", box, "--", "sh", "-c", "nproc; hostname; cat /root/still; df -m / | tail -1").split()
    assert said[:3] == ["2", "renamed", "still"] and 8700 < int(said[4]) < 9217
    assert vmm_of(cli, box) != pid and inspect(cli, box)["pending_changes"] == []
    cli.ok("stop", "-q", box)
    cli.ok("modify", "-q", box, "--root-disk", "10G", "--cpus", "1")
    ensure_running(cli, box)
    said = cli.ok("exec", box, "--", "sh", "-c", "cat /root/still; df -m / | tail -1").split()
    assert said[0] == "still" and int(said[2]) > 9700


def megabytes(cli, name):
    return int(cli.ok("exec", name, "--", "sh", "-c", "df -m / | tail -1").split()[1])


def test_a_disk_grows_by_far_and_after_a_kill(cli):
    """The guest does it, at its start: what kills the machine meanwhile only has it done again."""
    begin = time.monotonic()
    cli.ok("create", "-q", "-n", "small", "--root-disk", "32M", "-m", "128M", IMAGE)
    booting = time.monotonic() - begin
    cli.ok("exec", "small", "--", "sh", "-c", "echo mine > /root/file; sync")
    for size, want in (("33M", 20), ("1G", 900), ("200G", 190_000)):
        cli.ok("kill", "-q", "small")
        cli.ok("modify", "-q", "small", "--root-disk", size)
        p = cli.popen("start", "-q", "small")
        wait_until(lambda: vmm_of(cli, "small"), 20, "it does not start")
        time.sleep(booting / 2)
        os.kill(vmm_of(cli, "small"), signal.SIGKILL)
        p.wait()
        cli.ok("start", "-q", "small")
        assert megabytes(cli, "small") > want
        assert cli.ok("exec", "small", "--", "cat", "/root/file") == "mine\n"
    upper = cli.home / "sandboxes" / inspect(cli, "small")["id"] / "upper.ext4"
    cli.ok("stop", "-q", "small")
    assert upper.stat().st_blocks * 512 < 300 << 20
    r = subprocess.run(["/usr/sbin/e2fsck", "-fn", upper], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout
    cli.ok("rm", "-q", "small")


# -- the terminal ---------------------------------------------------------------

def test_a_person_sees_what_goes_on(cli):
    with cli.terminal("create", "-n", "seen", IMAGE) as t:
        t.expect("Starting")
        t.expect("seen\r\n")
        assert t.wait() == 0
    with cli.terminal("rm", "-f", "seen") as t:
        t.expect("Removed")
        assert t.wait() == 0
