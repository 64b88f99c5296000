"""msb metrics: once, as a stream, and on a live screen, of machines that run."""
import datetime
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import need
from lib.cli import Cli, descendants, is_gone, wait_until
from lib.tmux import Screen

IMAGE = "test/busybox:1"
FIELDS = {"name", "state", "cpus", "timestamp", "cpu_percent", "vcpu_time_ns", "memory_bytes",
          "memory_host_resident_bytes", "memory_limit_bytes", "memory_returned_bytes", "disk_read_bytes",
          "disk_write_bytes", "disk_reads", "disk_writes", "net_rx_bytes", "net_tx_bytes", "upper_limit_bytes",
          "upper_host_allocated_bytes", "sessions", "uptime_secs", "net_rx_packets", "net_tx_packets", "net_flows",
          "net_open", "net_denied", "net_refused", "net_dns_queries", "net_dns_denied", "tls_flows", "tls_refused",
          "secrets_used", "secret_violations", "secrets_masked"}


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("metrics") / "home", LC_ALL="C.UTF-8")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def box(cli):
    cli.ok("create", "-q", "-n", "box", "-c", "2", "-m", "192M", "--label", "team=a", IMAGE)
    yield "box"
    cli.ok("rm", "-q", "-f", "box")


@pytest.fixture(scope="module")
def paper(cli):
    cli.ok("create", "-q", "--no-start", "-n", "paper", IMAGE)
    return "paper"


def one(cli, name="box"):
    return json.loads(cli.ok("metrics", name, "--format", "json"))


def vmm(cli, name):
    return json.loads(cli.ok("inspect", name, "--format", "json"))["pid"]


def test_the_table_of_one_look(cli, box, paper):
    head, *rows = cli.ok("metrics").splitlines()
    assert re.split(r"   +", head) == ["NAME", "STATE", "CPU", "MEM", "DISK R/W /s", "NET RX/TX /s", "UPTIME"]
    assert len(rows) == 1
    name, state, cpu, mem, disk, net, up = re.split(r"   +", rows[0])
    assert (name, state) == ("box", "running")
    assert re.fullmatch(r"\d+\.\d%", cpu) and re.fullmatch(r"\d+\.\d MiB / 192\.0 MiB", mem)
    assert re.fullmatch(r"[\d.]+ \w+ / [\d.]+ \w+", net) and re.fullmatch(r"(\d+m )?\d+s", up) and " / " in disk


def test_json_has_every_field(cli, box):
    m = one(cli)
    assert set(m) == FIELDS
    assert m["cpus"] == 2 and m["memory_limit_bytes"] == 192 << 20
    assert 0 < m["memory_bytes"] == m["memory_host_resident_bytes"] <= m["memory_limit_bytes"]
    assert 0 < m["upper_host_allocated_bytes"] < m["upper_limit_bytes"] == 8 << 30
    assert m["disk_read_bytes"] > 0 and m["net_flows"] == m["net_dns_queries"] == m["net_refused"] == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", m["timestamp"])


def test_all_and_labels(cli, box, paper):
    def names(*args):
        return [(m["name"], m["state"]) for m in json.loads(cli.ok("metrics", "--format", "json", *args))]
    assert names() == [("box", "running")]
    assert names("-a") == [("box", "running"), ("paper", "created")]
    assert names("--label", "team=a") == [("box", "running")] and names("--label", "team=b") == []
    r = cli("metrics", "--label", "team=b")
    assert (r.returncode, r.out) == (0, "") and "no sandbox" in r.err
    assert re.search(r"^paper +created +- +- +- +- +-$", cli.ok("metrics", "-a"), re.M)


def test_counters_follow_what_the_guest_does(cli, box):
    before = one(cli)
    cli.ok("exec", "box", "--", "sh", "-c", "dd if=/dev/zero of=/data bs=1M count=12 2>/dev/null && sync")
    after = one(cli)
    assert after["disk_write_bytes"] - before["disk_write_bytes"] >= 12 << 20
    assert after["disk_writes"] > before["disk_writes"]
    assert after["upper_host_allocated_bytes"] - before["upper_host_allocated_bytes"] >= 12 << 20
    assert after["vcpu_time_ns"] > before["vcpu_time_ns"]
    busy = cli.popen("exec", "box", "--", "sh", "-c", "echo on; exec sha256sum /dev/zero")
    assert busy.stdout.readline() == b"on\n"
    wait_until(lambda: one(cli)["cpu_percent"] > 25, 60, "a busy guest looks idle")
    assert one(cli)["sessions"] == 1
    busy.kill()
    busy.communicate()
    wait_until(lambda: one(cli)["sessions"] == 0, 10, "its session stays")


def test_an_idle_guest_is_not_woken(cli, box):
    """Four seconds of looking every 100 ms cost the machine no more than four without."""
    def cost(look):
        before = one(cli)["vcpu_time_ns"]
        if look:
            subprocess.run(["timeout", "4", cli.msb, "metrics", "box", "-f", "--interval", "100ms"],
                           env=cli.environment(None), stdout=subprocess.DEVNULL)
        else:
            time.sleep(4)
        return one(cli)["vcpu_time_ns"] - before
    costs = sorted((cost(True) / cost(False) for _ in range(3)))
    # 40 looks: a guest that each one woke would pay many times over under emulation
    assert costs[0] < 2.5, costs


def test_a_stream_of_one_ends_with_it(cli):
    cli.ok("create", "-q", "-n", "brief", IMAGE)
    p = cli.popen("metrics", "brief", "--follow", "--interval", "200ms", text=True)
    lines = [json.loads(p.stdout.readline()) for _ in range(3)]
    cli.ok("stop", "-q", "brief")
    out, err = p.communicate(timeout=20)
    lines += [json.loads(line) for line in out.splitlines()]
    assert (p.returncode, err) == (0, "")
    assert all(set(m) == FIELDS and m["state"] == "running" for m in lines[:3])
    assert lines[-1] == {"name": "brief", "state": "exited"}
    r = cli("metrics", "brief")
    assert r.returncode == 1 and "brief" in r.err
    cli.ok("rm", "-q", "brief")


def test_a_stream_of_all_sees_them_come_and_go(cli, box):
    p = cli.popen("metrics", "-f", "--interval", "200ms", text=True)
    assert json.loads(p.stdout.readline())["name"] == "box"
    cli.ok("create", "-q", "-n", "guest", IMAGE)
    end = time.monotonic() + 60
    while json.loads(p.stdout.readline())["name"] != "guest":
        assert time.monotonic() < end
    cli.ok("rm", "-q", "-f", "guest")
    end = time.monotonic() + 30
    while (m := json.loads(p.stdout.readline())) != {"name": "guest", "state": "exited"}:
        assert m["state"] in ("running", "starting") and time.monotonic() < end
    for _ in range(10):
        assert json.loads(p.stdout.readline())["name"] == "box"
    p.stdout.close()  # the reader goes: it ends
    assert p.wait(30) != 0
    p.stderr.close()


def test_the_interval_is_kept(cli, box):
    p = cli.popen("metrics", "box", "-f", "--interval", "300ms", text=True)
    looked = [datetime.datetime.fromisoformat(json.loads(p.stdout.readline())["timestamp"][:-1]) for _ in range(8)]
    took = (looked[-1] - looked[0]).total_seconds()
    assert 1.7 < took < 20, took  # a busy host is late, never early
    p.terminate()
    p.communicate()


def test_one_that_does_not_answer_is_stalled_and_comes_back(cli, box):
    pid = vmm(cli, box)
    os.kill(pid, signal.SIGSTOP)
    try:
        row = cli.ok("metrics", "-a").splitlines()[1]
        assert re.match(r"box +stalled +- +- ", row)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: one(cli)["state"] == "running", 20, "it stays stalled")


@pytest.mark.parametrize("args, code, text", [
    (("nobody",), 1, "nobody"), (("--interval", "50ms"), 2, "100ms"), (("--interval", "x"), 2, "--interval"),
    (("-w", "-f"), 2, "--follow"), (("-w", "--format", "json"), 2, "--format"), (("-w",), 1, "terminal"),
    (("--sort", "disk"), 2, "cpu"), (("box", "-a"), 2, "--all"), (("a", "b"), 2, "b")])
def test_wrong_use(cli, args, code, text):
    r = cli("metrics", *args)
    assert r.returncode == code and text in r.err and r.out == ""


# ---- the live screen ---------------------------------------------------------


@pytest.fixture
def screen(cli, tmp_path):
    need("tmux")
    s = Screen(cli, tmp_path, columns=150)
    yield s
    pid = s.pid()
    s.close()
    wait_until(lambda: is_gone(pid), 10, "the shell lives on")


def flags(screen):
    """(cursor is seen, alternate screen)"""
    return screen.ask("#{cursor_flag} #{alternate_on}")


def watching(screen, *args, env=""):
    screen.type(f"{env} msb metrics -w --interval 200ms {' '.join(args)}")
    wait_until(lambda: flags(screen) == "0 1", 20, "no live screen")


def assert_given_back(screen):
    wait_until(lambda: flags(screen) == "1 0", 10, "the screen is not given back")
    wait_until(screen.is_canonical, 10, "the terminal is not given back")
    assert "msb metrics" in screen.text()  # what was there before


def msb_of(screen):
    return [p for p in descendants(screen.pid())
            if not is_gone(p) and open(f"/proc/{p}/comm").read().strip() == "msb"][0]


def test_watching_all(cli, box, screen):
    watching(screen)
    text = screen.expect(r"^box +running +\d+\.\d% \[.{8}\] +[▁▂▃▄▅▆▇█]+ ")
    assert re.search(r"^1 running, CPU \d+\.\d%, memory [\d.]+ MiB ", text)
    assert re.search(r"^NAME\* +STATE +CPU +CPU OVER TIME +MEM +DISK R/W /s +NET RX/TX /s +UPTIME$", text, re.M)
    cli.ok("create", "-q", "-n", "aaa", IMAGE)  # another appears ...
    text = screen.expect(r"^aaa +running")
    assert text.index("\naaa") < text.index("\nbox")
    busy = cli.popen("exec", "box", "--", "sha256sum", "/dev/zero")
    screen.key("c")
    text = screen.expect(r"(?s)CPU\*.*^box .*^aaa ")  # sorted by processor time
    screen.expect(r"^box +running +[1-9]\d+\.\d% \[[█▏▎▍▌▋▊▉]")
    busy.kill()
    busy.communicate()
    screen.key("m")
    screen.expect(r"MEM\*")
    screen.key("n")
    screen.expect(r"(?s)NAME\*.*^aaa .*^box ")
    cli.ok("rm", "-q", "-f", "aaa")  # ... and is gone
    wait_until(lambda: "\naaa" not in screen.text(), 10, "a row of a machine that is gone")
    screen.resize(60, 8)
    text = screen.expect(r"^NAME\* +STATE +CPU +MEM +UPTIME$")
    assert "OVER TIME" not in text and max(map(len, text.splitlines())) <= 60
    screen.resize(150, 30)
    screen.expect("CPU OVER TIME")
    screen.key("q")
    assert_given_back(screen)
    screen.type("echo code=$?")
    screen.expect("^code=0$")


def test_watching_one_until_it_ends_and_is_back(cli, screen):
    cli.ok("create", "-q", "-n", "solo", "-m", "128M", IMAGE)
    watching(screen, "solo")
    text = screen.expect(r"^Net out +0 B/s +▁+$")
    assert re.search(r"^solo  running  1 CPU  128.0 MiB memory  up ", text)
    assert re.search(r"^CPU +\d+\.\d% \[.*\] of 100%$", text, re.M)
    assert re.search(r"^Memory +[\d.]+ MiB \[[█▏▎▍▌▋▊▉]+ +\] of 128.0 MiB, .* given back$", text, re.M)
    assert re.search(r"^In all: read [\d.]+ [KM]iB in \d+, written ", text, re.M)
    cli.ok("stop", "-q", "solo")
    screen.expect("^It does not run")
    cli.ok("start", "-q", "solo")
    screen.expect("^solo  running")
    cli.ok("rm", "-q", "-f", "solo")
    screen.expect("^It does not run")
    screen.key("q")
    assert_given_back(screen)


@pytest.mark.parametrize("how, code", [("C-c", 130), (signal.SIGINT, 130), (signal.SIGTERM, 143),
                                       (signal.SIGHUP, 129), (signal.SIGSEGV, 139), (signal.SIGABRT, 134)])
def test_every_end_gives_the_terminal_back(cli, box, screen, how, code):
    screen.type("ulimit -c 0")
    watching(screen)
    screen.expect("^box ")
    if isinstance(how, str):
        screen.key(how)
    else:
        os.kill(msb_of(screen), how)
    assert_given_back(screen)
    screen.type("echo code=$?")
    screen.expect(f"^code={code}$")


def test_stopped_and_continued(cli, box, screen):
    screen.type("set -m")
    for stop in (lambda: screen.key("C-z"), lambda: os.kill(msb_of(screen), signal.SIGTSTP)):
        screen.clear()
        watching(screen)
        screen.expect("^box ")
        stop()
        assert_given_back(screen)
        screen.type("fg")
        wait_until(lambda: flags(screen) == "0 1", 10, "it does not go on")
        screen.expect("^box ")
        screen.key("q")
        assert_given_back(screen)


def test_colours_and_characters_are_what_the_terminal_takes(cli, box, screen):
    watching(screen)
    screen.expect(r"^box +running +\d")
    assert "\033[32m" in screen.text(colours=True)
    screen.key("q")
    assert_given_back(screen)
    for env in ("NO_COLOR=1", "TERM=dumb"):
        screen.clear()
        watching(screen, env=env)
        screen.expect(r"^box +running +\d")
        assert "\033[32m" not in screen.text(colours=True)
        screen.key("q")
        assert_given_back(screen)
    screen.clear()
    watching(screen, "box", env="LC_ALL=C")
    text = screen.expect(r"^Memory +[\d.]+ MiB \[#+\.+\] of 192.0 MiB")
    assert text.isascii() and re.search(r"^Net in +0 B/s +_+$", text, re.M)
    screen.key("q")
    assert_given_back(screen)


def test_only_what_changes_is_drawn(cli, box):
    """In place and without a flicker: no clearing of the screen after the first picture."""
    with cli.terminal("metrics", "-w", "--interval", "100ms") as t:
        t.expect("UPTIME")
        t.seen = b""
        begin = time.monotonic()
        while time.monotonic() - begin < 2 or t.seen.count(b"box") < 3:
            assert time.monotonic() - begin < 40, t.seen
            select.select([t.master], [], [], 0.1)
            t.read(0)
        frames = t.seen
        assert b"\033[2J" not in frames and b"\033[J" not in frames and b"NAME" not in frames
        t.type("q")
        assert t.wait() == 0
        assert t.is_restored()
