"""msb run with real machines."""
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from conftest import machines
from lib import engine
from lib.cli import Cli, descendants, hold, is_gone, machine_of, take_signal, wait_until
from lib.vmm import shell_initramfs

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    """One home for this file: the image is loaded once."""
    c = Cli(build_dir, tmp_path_factory.mktemp("run") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return c


@pytest.fixture(autouse=True)
def nothing_is_left(cli):
    yield
    cli.reap()
    wait_until(lambda: not machines(), 30, "a process is left")
    for folder in (cli.home / "sandboxes").iterdir():
        # Of an msb that was killed before its sandbox was on record: rubbish a minute later.
        with contextlib.suppress(FileNotFoundError):
            os.utime(folder, (time.time() - 120,) * 2)
    for name in cli.ok("ls", "-q").split():  # named ones stay; another may go just now
        cli("rm", "-f", "-q", name)
    assert cli.ok("ls", "-q") == "" and not list((cli.home / "sandboxes").iterdir())
    tmp = cli.home / "store" / "tmp"
    if list(tmp.iterdir()):  # of an msb that was killed: the next one cleans up
        cli.ok("images", "-q")
    assert not list(tmp.iterdir())


def test_hello(cli):
    r = cli("run", IMAGE, "--", "echo", "Hello from a microVM")
    assert (r.returncode, r.out, r.err) == (0, "Hello from a microVM\n", "")


def test_a_command_needs_no_dashes(cli):
    assert cli.ok("run", "-q", IMAGE, "echo", "-n", "--", "a  b") == "-- a  b"


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137),
                                          ("kill -TERM $$", 143)])
def test_exit_code_is_the_commands(cli, script, code):
    r = cli("run", IMAGE, "--", "sh", "-c", script)
    assert (r.returncode, r.out, r.err) == (code, "", "")


def test_not_found_is_127(cli):
    r = cli("run", "-e", "PATH=/one:/two", IMAGE, "--", "no-such-command")
    assert r.returncode == 127
    assert "cannot run 'no-such-command': not found in the image (PATH=/one:/two)" in r.err
    r = cli("run", IMAGE, "--", "/no/such/file")
    assert r.returncode == 127 and "/no/such/file" in r.err


def test_not_executable_is_126(cli):
    for path in ("/etc/passwd", "/etc"):
        r = cli("run", IMAGE, "--", path)
        assert r.returncode == 126 and f"cannot run '{path}'" in r.err


def test_timeout_is_124(cli):
    start = time.monotonic()
    r = cli("run", "--timeout", "500ms", IMAGE, "--", "sh", "-c", "echo before; sleep 100")
    assert r.returncode == 124 and r.out == "before\n" and "ran longer than 0.5 s" in r.err
    assert time.monotonic() - start < 30


def test_msb_itself_failing_is_125(cli):
    cases = [
        (["run", "--pull", "never", "no/such:tag", "--", "true"], {}, "no/such:tag"),
        (["run", "./no-such-folder", "--", "true"], {}, "no-such-folder"),
        (["run", "-u", "nobody-here", IMAGE, "--", "true"], {}, "nobody-here"),
        (["run", "-w", "relative", IMAGE, "--", "true"], {}, "relative"),
        (["run", "--rlimit", "files=1", IMAGE, "--", "true"], {}, "files=1"),
        (["run", "-n", "a b", IMAGE, "--", "true"], {}, "a b"),
        (["run", "-m", "1M", IMAGE, "--", "true"], {}, "64 MiB"),
        (["run", "-c", "1000", IMAGE, "--", "true"], {}, "1000"),
        (["run", "--engine", "qemu", IMAGE, "--", "true"], {"MSB_QEMU": "/nonexistent"}, "MSB_QEMU=/nonexistent"),
        (["run", "--engine", "qemu", IMAGE, "--", "true"], {"PATH": "/nonexistent"},
         "qemu-system-x86_64 is not installed"),
        (["run", IMAGE, "--", "true"], {"MSB_RUNTIME": "/nonexistent"}, "MSB_RUNTIME"),
        (["run", IMAGE, "--", "true"], {"MSB_HOME": "/proc/nowhere"}, "/proc/nowhere"),
    ]
    for args, env, words in cases:
        r = cli(*args, env=env)
        assert r.returncode == 125, (args, r)
        assert r.out == "" and r.err.startswith("error: ") and words in r.err, (args, r.err)


def test_output_and_errors_are_apart_and_in_order(cli):
    r = cli("run", IMAGE, "--", "sh", "-c", "echo one; echo two >&2; echo three")
    assert r.out == "one\nthree\n" and r.err == "two\n"


def test_output_comes_as_it_is_written(cli):
    p = cli.popen("run", IMAGE, "--", "sh", "-c", "echo first; read x; echo $x")
    assert p.stdout.readline() == b"first\n"
    out, _ = p.communicate(b"second\n", timeout=60)
    assert out == b"second\n" and p.returncode == 0


def test_input_goes_through_unchanged(cli):
    data = os.urandom(10 << 20)
    digest = hashlib.sha256(data).hexdigest()
    r = cli("run", IMAGE, "--", "sha256sum", input=data)
    assert r.returncode == 0 and r.out.split()[0] == digest
    r = cli("run", IMAGE, "--", "cat", input=data)
    assert r.returncode == 0 and hashlib.sha256(r.stdout).hexdigest() == digest


def test_input_from_a_file_and_none(cli, tmp_path):
    (tmp_path / "in").write_text("from a file\n")
    with open(tmp_path / "in", "rb") as f:
        assert cli.ok("run", IMAGE, "--", "cat", stdin=f) == "from a file\n"
    assert cli.ok("run", IMAGE, "--", "cat", stdin=subprocess.DEVNULL) == ""
    assert cli.ok("run", "--no-stdin", IMAGE, "--", "cat", input="unread") == ""


def test_input_nobody_reads_does_not_block(cli):
    r = cli("run", IMAGE, "--", "true", input=bytes(4 << 20))
    assert r.returncode == 0


def anonymous_kib(pid):
    line, = [line for line in open(f"/proc/{pid}/status") if line.startswith("RssAnon")]
    return int(line.split()[1])


def test_a_slow_reader_stops_the_guest(cli):
    p = cli.popen("run", IMAGE, "--", "head", "-c", "20000000", "/dev/zero", stdin=subprocess.DEVNULL)
    time.sleep(4)
    vmm = machine_of(p)[0]
    assert anonymous_kib(p.pid) < 12288 and anonymous_kib(vmm) < 12288  # nobody holds 20 MB
    out, _ = p.communicate(timeout=90)
    assert out == bytes(20000000) and p.returncode == 0


def test_a_closed_output_ends_the_command_as_a_pipe_does(cli):
    p = cli.popen("run", IMAGE, "--", "yes", stdin=subprocess.DEVNULL)
    assert p.stdout.read(2) == b"y\n"
    p.stdout.close()
    assert p.wait(30) == 128 + signal.SIGPIPE
    assert p.stderr.read() == b""


def test_a_full_disk_is_said(cli):
    with open("/dev/full", "wb") as full:
        r = cli("run", IMAGE, "--", "echo", "x", stdout=full)
    assert r.returncode == 125 and "No space left" in r.err


def test_environment(cli):
    out = cli.ok("run", "-e", "A=1", "--env=B=b=c", "-e", "FROM_HERE", IMAGE, "--", "env", env={"FROM_HERE": "x y"})
    lines = out.splitlines()
    assert "A=1" in lines and "B=b=c" in lines and "FROM_HERE=x y" in lines
    assert [line for line in lines if line.startswith("PATH=")] and "HOME=/root" in lines
    assert not [line for line in lines if line.startswith(("MSB_", "TERM="))]


def test_folder_user_hostname_limits(cli):
    out = cli.ok("run", "-w", "/tmp", "-u", "5:6", "-H", "box", "--rlimit", "nofile=100:200", IMAGE, "--", "sh", "-c",
                 "pwd; id -u; id -g; hostname; ulimit -n; ulimit -Hn")
    assert out.split() == ["/tmp", "5", "6", "box", "100", "200"]


def test_name_is_the_hostname_by_default(cli):
    assert cli.ok("run", "-n", "my-box", IMAGE, "--", "hostname") == "my-box\n"
    assert cli.ok("run", IMAGE, "--", "hostname").startswith("msb-")


def test_cpus_and_memory(cli):
    out = cli.ok("run", "-c", "2", "-m", "256M", IMAGE, "--", "sh", "-c",
                 "nproc; grep MemTotal /proc/meminfo | tr -dc 0-9").split()
    assert out[0] == "2" and 200 * 1024 < int(out[1]) < 256 * 1024


def test_entrypoint_replaces_the_images(cli):
    assert cli.ok("run", "--entrypoint", "/bin/echo", IMAGE, "--", "a", "b") == "a b\n"


def test_lo_and_one_interface_inside(cli):
    up = cli.ok("run", IMAGE, "--", "ip", "-o", "link", "show", "up").splitlines()
    assert [line.split(":")[1].strip() for line in up] == ["lo", "eth0"]


def test_machines_share_nothing(cli):
    assert cli.ok("run", IMAGE, "--", "sh", "-c", "echo x > /marker && ls /marker") == "/marker\n"
    assert cli("run", IMAGE, "--", "ls", "/marker").returncode == 1


def test_two_at_once(cli):
    first = cli.popen("run", IMAGE, "--", "sh", "-c", "echo 1; cat")
    second = cli.popen("run", IMAGE, "--", "sh", "-c", "echo 2; cat")
    assert first.stdout.readline() == b"1\n" and second.stdout.readline() == b"2\n"
    assert first.communicate(b"a", timeout=60)[0] == b"a"
    assert second.communicate(b"b", timeout=60)[0] == b"b"


def test_a_root_folder(cli, tmp_path):
    root = tmp_path / "rootfs"
    (root / "bin").mkdir(parents=True)
    for d in ("proc", "sys", "dev", "tmp"):
        (root / d).mkdir()
    shutil.copy("/bin/busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "note").write_text("packed\n")
    assert cli.ok("run", root, "--", "/bin/sh", "-c", "cat /note; echo changed > /note") == "packed\n"
    assert (root / "note").read_text() == "packed\n"
    (root / "note").write_text("again\n")
    assert cli.ok("run", "./rootfs", "--", "/bin/busybox", "cat", "/note", cwd=tmp_path) == "again\n"


def test_an_archive_by_path(cli, busybox_image):
    assert cli.ok("run", busybox_image, "--", "echo", "by path") == "by path\n"


def test_times_are_in_order(cli, tmp_path):
    cli.ok("run", "--times", tmp_path / "t.json", IMAGE, "--", "echo")
    t = json.loads((tmp_path / "t.json").read_text())
    names = ["begin", "image", "create", "launched", "spawn", "init", "ready", "started", "first_output", "exited",
             "end"]
    assert list(t) == [n + "_ns" for n in names]
    values = [t[n + "_ns"] for n in names if n != "launched"]  # beside spawn
    assert values == sorted(values)


# -- terminals ----------------------------------------------------------------

SHELL = ("run", IMAGE, "--", "sh")


def test_terminal_size_and_resize(cli):
    with cli.terminal(*SHELL, rows=40, cols=111) as t:
        t.expect("# ")
        assert t.is_raw()
        t.type("stty size; tty; echo $TERM\n")
        t.expect("40 111")
        t.expect("/dev/pts/")
        t.expect("xterm-256color")
        t.resize(50, 132)
        t.type("until stty size | grep '50.132'; do sleep 0.1; done\n")
        t.expect("50 132")
        t.type("exit 5\n")
        assert t.wait() == 5 and t.is_restored()


def test_ctrl_c_on_a_terminal_goes_to_the_foreground_command(cli):
    with cli.terminal(*SHELL) as t:
        t.expect("# ")
        t.type("echo go''ing; sleep 100\n")
        t.expect("going")
        time.sleep(1)
        t.type("\x03")
        time.sleep(0.3)
        t.type("echo rc=$?\n")
        t.expect("rc=130")
        t.type("\x04")
        assert t.wait() == 0 and t.is_restored()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_from_outside_restores_the_terminal(cli, sig):
    with cli.terminal(*SHELL) as t:
        t.expect("# ")
        assert not t.is_restored()
        t.process.send_signal(sig)
        assert t.wait(20) == 128 + sig and t.is_restored()


def test_a_stopped_msb_gives_the_terminal_back(cli):
    with cli.terminal(*SHELL) as t:
        t.expect("# ")
        t.process.send_signal(signal.SIGTSTP)
        wait_until(t.is_restored, 20, "still raw")
        t.process.send_signal(signal.SIGCONT)
        wait_until(t.is_raw, 20, "not raw again")
        t.type("echo still $((40 + 2))\n")
        t.expect("still 42")
        t.type("exit\n")
        assert t.wait() == 0 and t.is_restored()


def test_a_crash_of_msb_restores_the_terminal(cli):
    with cli.terminal(*SHELL) as t:
        t.expect("# ")
        t.process.send_signal(signal.SIGSEGV)
        assert t.wait(20) == -signal.SIGSEGV and t.is_restored()


def test_a_crash_of_the_machine_restores_the_terminal(cli):
    with cli.terminal(*SHELL) as t:
        t.expect("# ")
        vmm, *rest = machine_of(t.process)
        os.kill(vmm, signal.SIGKILL)
        assert t.wait(30) == 125 and t.is_restored()
        assert b"error:" in t.seen
        wait_until(lambda: all(map(is_gone, rest)), 20, "QEMU lives on")


def test_ctrl_c_twice_ends_a_machine_that_still_boots(cli):
    with cli.terminal(*SHELL) as t:
        wait_until(t.is_raw, 20, "never raw")
        hold(t.process)
        t.type("\x03")
        time.sleep(0.3)
        assert t.process.poll() is None
        for _ in range(10):  # two that are read at once are one
            t.type("\x03")
            time.sleep(0.3)
            if t.process.poll() is not None:
                break
        assert t.wait(5) == 130 and t.is_restored()


def test_no_tty_and_forced_tty(cli):
    with cli.terminal("run", "--no-tty", IMAGE, "--", "sh", "-c", "tty; echo done") as t:
        t.expect("not a tty")
        t.expect("done")
        assert t.wait() == 0
    r = cli("run", "-t", IMAGE, "--", "sh", "-c", "tty; stty size")
    assert r.returncode == 0 and r.out == "/dev/pts/0\r\n24 80\r\n"


def test_a_shell_is_started_where_the_image_names_nothing(cli, tmp_path):
    root = tmp_path / "rootfs"
    (root / "bin").mkdir(parents=True)
    for d in ("proc", "sys", "dev", "tmp"):
        (root / d).mkdir()
    shutil.copy("/bin/busybox", root / "bin/sh")
    with cli.terminal("run", root) as t:
        t.expect("# ")
        t.type("exit\n")
        assert t.wait() == 0
    r = cli("run", root)
    assert r.returncode == 125 and "names no command" in r.err and "msb run IMAGE -- COMMAND" in r.err


# -- signals and sudden death -------------------------------------------------

TRAP = 'trap "echo got; exit 9" INT TERM HUP QUIT; echo ready; while :; do sleep 0.1; done'


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_forwarded(cli, sig):
    p = cli.popen("run", IMAGE, "--", "sh", "-c", TRAP)
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(sig)
    assert p.wait(60) == 9 and p.stdout.read() == b"got\n"


def test_a_second_ctrl_c_kills_what_does_not_answer(cli):
    p = cli.popen("run", IMAGE, "--", "sh", "-c", 'trap "" INT; echo ready; while :; do sleep 1; done')
    assert p.stdout.readline() == b"ready\n"
    take_signal(p, signal.SIGINT)
    time.sleep(0.3)
    assert p.poll() is None
    p.send_signal(signal.SIGINT)
    assert p.wait(60) == 130


def test_ctrl_c_while_booting_says_what_to_do(cli):
    p = cli.popen("run", IMAGE, "--", "true")
    hold(p)
    take_signal(p, signal.SIGINT)
    p.send_signal(signal.SIGINT)
    assert p.wait(60) == 130
    assert b"once more" in p.stderr.read()


VICTIMS = pytest.mark.parametrize("victim", ["msb", "msb-vmm", pytest.param("qemu", marks=pytest.mark.qemu_only)])


@VICTIMS
def test_killing_any_process_leaves_none(cli, victim):
    p = cli.popen("run", IMAGE, "--", "sh", "-c", "echo ready; sleep 1000")
    assert p.stdout.readline() == b"ready\n"
    below = machine_of(p)
    names = {open(f"/proc/{pid}/comm").read().strip(): pid for pid in below}
    qemu = [pid for name, pid in names.items() if name.startswith("qemu")]
    assert len(qemu) == engine.PROGRAMS
    target = {"msb": [p.pid], "msb-vmm": [names["msb-vmm"]], "qemu": qemu}[victim][0]
    os.kill(target, signal.SIGKILL)
    code = p.wait(60)
    assert code == (-9 if victim == "msb" else 125)
    wait_until(lambda: all(map(is_gone, below)), 30, "a process lives on")
    if victim != "msb":
        assert p.stderr.read().startswith(b"error: ")


@VICTIMS
@pytest.mark.parametrize("ms", [5, 20, 60, 150, 400, 700, 900])
def test_killing_at_any_moment_leaves_nothing(cli, victim, ms):
    p = cli.popen("run", IMAGE, "--", "sh", "-c", "dd if=/dev/zero of=/f bs=64k count=1000; sleep 1000",
                  stdin=subprocess.DEVNULL)
    time.sleep(ms / 1000)
    below = descendants(p.pid)
    names = {}
    for pid in below:
        with contextlib.suppress(OSError):
            names[open(f"/proc/{pid}/comm").read().strip()[:4]] = pid
    target = {"msb": p.pid, "msb-vmm": names.get("msb-"), "qemu": names.get("qemu")}[victim]
    if target is None:
        target = p.pid  # not there yet
    with contextlib.suppress(ProcessLookupError):
        os.kill(target, signal.SIGKILL)
    assert p.wait(60) == (-9 if target == p.pid else 125)
    wait_until(lambda: all(map(is_gone, below)), 30, "a process lives on")
    if target != p.pid:
        assert b"error: " in p.stderr.read()


# -- machines that do not start -----------------------------------------------

@pytest.fixture
def runtime(build_dir, tmp_path):
    """A copy of the installation that a test may spoil."""
    copy = tmp_path / "runtime"
    copy.mkdir()
    for name in ("msb-vmm", "vmlinux", "initramfs.cpio", "cmdline"):
        (copy / name).symlink_to((build_dir / name).resolve())
    return copy


def test_more_memory_than_there_is(cli):
    r = cli("run", "-m", "1000G", IMAGE, "--", "true")
    assert r.returncode == 125 and "1024000 MiB" in r.err and "-m" in r.err and r.err.count("error:") == 1


NO_HARDWARE = pytest.mark.skipif(engine.hardware(), reason="this host has hardware virtualization")
CAN_OPEN_KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)


@NO_HARDWARE
@pytest.mark.parametrize("options", [("--engine", "kvm"), ("--accel", "kvm"), ("--engine", "qemu", "--accel", "kvm")],
                         ids="-".join)
def test_kvm_that_is_none_is_said(cli, options):
    """Named, it is tried: where KVM is only emulated that fails sooner or later, and the cause is told."""
    r = cli("run", *options, "--boot-timeout", "3s", IMAGE, "--", "true")
    assert r.returncode == 125 and "error: " in r.err and "kvm" in r.err.lower() and "  → " in r.err
    if CAN_OPEN_KVM:
        warning, *rest = r.err.splitlines()
        assert warning.startswith("warn: KVM is emulated on this host"), r.err
        hint, = [line for line in rest if "→" in line]
        assert "KVM is emulated" in hint and "--engine qemu" in hint
        assert "warn: " not in cli("run", "-q", *options, "--boot-timeout", "1s", IMAGE, "--", "true").err


# -- the choice of an engine ---------------------------------------------------

def engine_of(cli, *options, env=None):
    """The engine and the accelerator of a run, as msb says them."""
    r = cli("run", "--info", *options, IMAGE, "--", "true", env=env)
    assert r.returncode == 0, r.err
    line, = [line for line in r.err.splitlines() if "msb: info: engine " in line]
    words = line.split("engine ")[1].split(";")[0].split(", accelerator ")
    return tuple(words)


@NO_HARDWARE
def test_auto_takes_qemu_where_kvm_is_not_real(cli):
    assert engine_of(cli, env={"MSB_ENGINE": None}) == ("qemu", "tcg")
    assert engine_of(cli, "--engine", "auto", env={"MSB_ENGINE": "kvm"}) == ("qemu", "tcg")


@pytest.mark.skipif(not engine.hardware(), reason="no hardware virtualization")
def test_auto_takes_kvm_where_it_is_real(cli):
    assert engine_of(cli, env={"MSB_ENGINE": None}) == ("kvm", "kvm")
    assert engine_of(cli, "--engine", "kvm", env={"MSB_ENGINE": "qemu", "PATH": "/nonexistent"}) == ("kvm", "kvm")


def test_an_accelerator_means_qemu(cli):
    assert engine_of(cli, "--accel", "tcg", env={"MSB_ENGINE": None}) == ("qemu", "tcg")
    assert engine_of(cli, env={"MSB_ENGINE": None, "MSB_ACCEL": "tcg"}) == ("qemu", "tcg")


def test_options_go_before_variables_before_the_file(build_dir, busybox_image, tmp_path):
    c = Cli(build_dir, tmp_path / "home", MSB_ENGINE=None)
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    config = c.home / "config.json"
    config.write_text(json.dumps({"sandbox_defaults": {"engine": "kvm", "accel": "tcg"}}))
    r = c("run", IMAGE, "--", "true")
    assert r.returncode == 125 and "engine kvm" in r.err and "accelerator tcg" in r.err and "config.json" in r.err
    assert engine_of(c, env={"MSB_ENGINE": "qemu"}) == ("qemu", "tcg")
    assert engine_of(c, "--engine", "auto", env={"MSB_ENGINE": "kvm"}) == ("qemu", "tcg")
    config.write_text(json.dumps({"sandbox_defaults": {"cpus": 2, "memory_mib": 192, "engine": "qemu"}}))
    script = "nproc; grep MemTotal /proc/meminfo | tr -dc 0-9"
    cpus, kib = c.ok("run", IMAGE, "--", "sh", "-c", script).split()
    assert cpus == "2" and int(kib) < 192 * 1024
    cpus, kib = c.ok("run", "-c", "1", "-m", "256", IMAGE, "--", "sh", "-c", script).split()
    assert cpus == "1" and int(kib) > 192 * 1024


@pytest.mark.parametrize("text, words", [
    ("{", "config.json"), ('{"engine": "kvm"}', "unknown key engine"),
    ('{"sandbox_defaults": {"engine": "xen"}}', "sandbox_defaults.engine is not one of: auto, kvm, qemu"),
    ('{"sandbox_defaults": {"cpus": 1000}}', "sandbox_defaults.cpus"), (" " * 70000, "larger than 64 KiB"),
])
def test_a_wrong_file_is_named(build_dir, busybox_image, tmp_path, text, words):
    (tmp_path / "config.json").write_text(text)
    c = Cli(build_dir, tmp_path, MSB_CONFIG_PATH=str(tmp_path / "config.json"))
    r = c("run", busybox_image, "--", "true")
    assert r.returncode == 125 and words in r.err and "config.json" in r.err and "  → " in r.err
    r = c("doctor")
    assert r.returncode == 1 and words in r.out and "config" in r.out


# -- what runs now --------------------------------------------------------------

def test_inspect_shows_what_runs(cli):
    p = cli.popen("run", "-n", "shown", "-c", "2", "-m", "192M", IMAGE, "--", "sh", "-c", "echo up; read x")
    wait_until(lambda: cli("inspect", "shown").returncode == 0, 20, "it is never shown")
    first = json.loads(cli.ok("inspect", "shown", "--format", "json"))
    assert first["status"] in ("Starting", "Running") and first["owner_pid"] == p.pid
    assert p.stdout.readline() == b"up\n"
    seen = json.loads(cli.ok("inspect", "shown", "--format", "json"))
    assert {"name", "id", "status", "created_at", "config", "engine", "accel", "pid", "owner_pid", "walls",
            "boundary"} <= set(seen)
    assert seen["name"] == "shown" and seen["status"] == "Running" and seen["engine"] == engine.NAME
    assert {"image": "docker.io/test/busybox:1", "cpus": 2, "memory_mib": 192}.items() <= seen["config"].items()
    assert seen["pid"] == machine_of(p)[0] and seen["owner_pid"] == p.pid
    assert {"seccomp", "no-capabilities", "no-new-privileges"} <= set(seen["walls"])
    assert "jail" in seen["boundary"] and ("tcg" in seen["boundary"]) == (seen["accel"] == "tcg")
    text = cli.ok("inspect", "shown")
    for word in ("shown", "Running", "192.0 MiB", engine.NAME, "seccomp", str(seen["pid"]), seen["boundary"]):
        assert word in text, word
    folder = cli.home / "sandboxes" / seen["id"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in folder.iterdir())
    p.communicate(b"\n", timeout=30)
    after = json.loads(cli.ok("inspect", "shown", "--format", "json"))
    assert after["status"] == "Stopped" and not after["pid"] and not after["walls"]
    cli.ok("rm", "shown")
    r = cli("inspect", "shown")
    assert r.returncode == 1 and r.out == "" and "no sandbox shown" in r.err and "  → " in r.err
    assert not folder.exists()


def test_a_name_is_taken_until_it_is_removed(cli):
    p = cli.popen("run", "-n", "once", IMAGE, "--", "sh", "-c", "echo up; read x")
    assert p.stdout.readline() == b"up\n"
    r = cli("run", "-n", "once", IMAGE, "--", "true")
    assert r.returncode == 125 and "once" in r.err and "already" in r.err and "  → " in r.err
    assert json.loads(cli.ok("inspect", "once", "--format", "json"))["owner_pid"] == p.pid
    p.communicate(b"\n", timeout=30)
    assert cli("run", "-n", "once", IMAGE, "--", "true").returncode == 125
    cli.ok("rm", "once")
    assert cli("run", "-n", "once", IMAGE, "--", "true").returncode == 0
    cli.ok("rm", "once")


@pytest.mark.parametrize("victim, status", [("msb", "Stopped"), ("msb-vmm", "Crashed")])
def test_a_machine_that_was_killed_does_not_run(cli, victim, status):
    p = cli.popen("run", "-n", "killed", IMAGE, "--", "sh", "-c", "echo up; sleep 100")
    assert p.stdout.readline() == b"up\n"
    os.kill(p.pid if victim == "msb" else machine_of(p)[0], signal.SIGKILL)
    p.wait(60)
    wait_until(lambda: json.loads(cli.ok("inspect", "killed", "--format", "json"))["status"] == status, 30, "it runs")
    assert cli.ok("run", "-n", "killed", "--replace", IMAGE, "--", "echo", "again") == "again\n"
    cli.ok("rm", "killed")
    assert not list((cli.home / "sandboxes").iterdir())


def test_an_ephemeral_machine_that_was_killed_leaves_nothing(cli):
    p = cli.popen("run", IMAGE, "--", "sh", "-c", "echo up; sleep 100")
    assert p.stdout.readline() == b"up\n"
    assert len(json.loads(cli.ok("ls", "--format", "json"))) == 1
    os.kill(p.pid, signal.SIGKILL)
    p.wait(60)
    wait_until(lambda: cli.ok("ls", "--format", "json") == "[]\n", 30, "it is still there")
    assert not list((cli.home / "sandboxes").iterdir())


@pytest.mark.parametrize("name", ["", "..", "../store/VERSION", "a/b", "a b", "x" * 300, "\x1b[31m"])
def test_a_name_that_is_none_is_not_found(cli, name):
    r = cli("inspect", "--", name)
    assert r.returncode == 1 and "no sandbox " in r.err and "\x1b" not in r.err


def test_the_log_is_shown_on_demand(cli):
    assert "msb-vmm: debug: " in cli("run", "--debug", IMAGE, "--", "true").err
    assert "msb-vmm: info: " in cli("run", IMAGE, "--", "true", env={"MSB_LOG": "info"}).err


def broken(cli, runtime, *options):
    r = cli("run", *options, IMAGE, "--", "true", env={"MSB_RUNTIME": str(runtime)})
    assert r.returncode == 125 and r.out == "" and "error: " in r.err
    return r.err


def test_a_missing_part_is_named_with_what_to_do(cli, runtime):
    for name in ("vmlinux", "initramfs.cpio", "cmdline"):
        target = os.readlink(runtime / name)
        (runtime / name).unlink()
        err = broken(cli, runtime)
        assert name in err and "run make" in err
        (runtime / name).symlink_to(target)


def test_a_broken_kernel(cli, runtime):
    (runtime / "vmlinux").unlink()
    (runtime / "vmlinux").write_bytes(b"not a kernel" * 1000)
    start = time.monotonic()
    broken(cli, runtime)
    assert time.monotonic() - start < 60


def test_a_guest_that_panics_shows_its_console(cli, runtime):
    (runtime / "initramfs.cpio").unlink()
    (runtime / "initramfs.cpio").write_bytes(b"\0" * 512)
    err = broken(cli, runtime)
    assert "console" in err and "panic" in err and "\033" not in err


def test_a_guest_that_never_gets_ready_shows_its_console(cli, runtime):
    (runtime / "initramfs.cpio").unlink()
    (runtime / "initramfs.cpio").write_bytes(shell_initramfs("echo init is here; exec busybox sleep 1000"))
    start = time.monotonic()
    err = broken(cli, runtime, "--boot-timeout", "8s")
    assert time.monotonic() - start < 40
    assert "init is here" in err and "8" in err.splitlines()[0]
