"""Another program as process 1, the agent beside it. Driven at msb-vmm."""
import fcntl
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from lib import vmm
from lib.cli import Cli
from lib.vmm import Vmm, wait_until

MIB = 1 << 20
SYSTEMD = ["systemd", "systemd-sysv", "dbus"]
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("man", "doc", "locale", "info")]
INITTAB = """::sysinit:/bin/sh -c 'echo sysinit; date +%s >/started'
::respawn:/bin/sleep 100000
::shutdown:/bin/sh -c 'echo shutdown action'
"""
TRAP = """#!/bin/sh
echo init $$ "$@" "$WORD"
trap 'echo got TERM; sync; poweroff -f' TERM
while :; do sleep 0.1; done
"""
DEAF = """#!/bin/sh
trap '' TERM USR2 PWR
while :; do sleep 1; done
"""
QUITTER = "#!/bin/sh\nsleep 1\n"


def upper_disk(folder, size="128M"):
    for d in ("u", "w"):
        (folder / "upper-tree" / d).mkdir(parents=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", folder / "upper-tree", folder / "upper", size], check=True)
    return folder / "upper"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """busybox with its init as /sbin/init, and programs that could be one."""
    folder = tmp_path_factory.mktemp("root")
    tree = folder / "tree"
    vmm.busybox_tree(tree)
    (tree / "sbin").mkdir()
    (tree / "sbin/init").symlink_to("../bin/busybox")
    (tree / "etc/inittab").write_text(INITTAB)
    for name, text in {"trap": TRAP, "deaf": DEAF, "quitter": QUITTER, "broken": "#!/no/such/shell\n"}.items():
        (tree / name).write_text(text)
        (tree / name).chmod(0o755)
    subprocess.run(["mkfs.erofs", folder / "root.erofs", tree], check=True, capture_output=True)
    return folder / "root.erofs"


@pytest.fixture
def boot(root):
    """Starts a machine with this init; ended after the test."""
    started = []

    def make(*init, disks=(), root=root, **settings):
        started.append(Vmm(vmm.INITRAMFS, [("root", True, root), *disks], init=list(init), **settings))
        return started[-1]

    yield make
    for m in started:
        m.close()


def stop(machine, timeout_ms=20000):
    """The reason of its end, and the seconds that it took."""
    start = time.monotonic()
    machine.send("VMM_STOP", timeout_ms=timeout_ms)
    ended = machine.expect("VMM_EXITED", timeout_ms / 1000 + 10)
    assert machine.wait() == 0
    return ended["reason"], time.monotonic() - start


def field(machine, path, name):
    """A line of a file of /proc."""
    for line in machine.exec(["cat", path])[1].decode().splitlines():
        if line.startswith(name):
            return line[len(name):].strip()
    return None


def agent_pid(machine):
    return int(machine.exec(["sh", "-c", "echo $PPID"])[1])


# ---- busybox ----

@pytest.fixture(scope="module")
def machine(root):
    m = Vmm(vmm.INITRAMFS, [("root", True, root)], init=["auto"], init_env=["WORD=of mine"], cpus=2)
    m.ready()
    yield m
    m.close()


def test_the_images_init_is_process_1_and_commands_run_beside_it(machine):
    assert machine.exec(["cat", "/proc/1/comm"])[1] == b"init\n"
    assert machine.exec(["readlink", "/proc/1/exe"])[1] == b"/bin/busybox\n"
    wait_until(lambda: machine.exec(["test", "-s", "/started"])[0] == 0, 30, "sysinit does not run")
    assert b"sleep" in machine.exec(["sh", "-c", "ps -o ppid,comm | grep '^ *1 '"])[1]
    assert machine.exec(["cat"], stdin=b"through") == (0, b"through", b"")
    assert machine.exec(["sh", "-c", "exit 7"])[0] == 7
    assert machine.exec(["hostname"])[1] == b"msb-test\n"


def test_its_environment_is_small_and_ours(machine):
    env = machine.exec(["sh", "-c", "tr '\\0' '\\n' </proc/1/environ"])[1].decode().splitlines()
    assert {e.split("=")[0] for e in env} == {"PATH", "TERM", "HOME", "SYSTEMD_GETTY_AUTO", "WORD"}
    assert "WORD=of mine" in env


def test_nothing_of_the_agent_is_left_in_it(machine):
    fds = machine.exec(["sh", "-c", "ls -l /proc/1/fd | sed -n 's/.* -> //p'"])[1].decode().split()
    assert set(fds) <= {"0", "/dev/console"}, fds
    assert field(machine, "/proc/1/status", "SigBlk:") == field(machine, "/proc/1/status", "SigIgn:") == "0" * 16


def test_the_agent_is_out_of_the_way_and_its_commands_are_ordinary(machine):
    pid = agent_pid(machine)
    assert pid > 1 and machine.exec(["cat", f"/proc/{pid}/comm"])[1] == b"msb-agent\n"
    assert machine.exec(["cat", f"/proc/{pid}/cgroup"])[1] == b"0::/microsandbox\n"
    assert machine.exec(["cat", f"/proc/{pid}/oom_score_adj"])[1] == b"-1000\n"
    assert machine.exec(["cat", "/proc/self/oom_score_adj"])[1] == b"0\n"
    assert machine.exec(["cat", "/proc/self/oom_score_adj"], user="1000")[1] == b"0\n"
    assert field(machine, "/proc/self/status", "SigBlk:") == field(machine, "/proc/self/status", "SigIgn:") == "0" * 16


def test_orphans_of_commands_are_reaped(machine):
    for _ in range(20):
        machine.exec(["sh", "-c", "(sleep 0.01 &) ; true"])
    wait_until(lambda: b" Z" not in machine.exec(["sh", "-c", "ps -o stat | grep Z; true"])[1], 30, "zombies")


def test_signals_do_not_end_the_agent(machine):
    pid = agent_pid(machine)
    machine.exec(["sh", "-c", f"for s in HUP INT QUIT TERM USR1 USR2 PWR ALRM TSTP 34 40; do kill -$s {pid}; done"])
    assert agent_pid(machine) == pid


def test_busybox_powers_off_when_asked(machine):
    """The last one of this machine."""
    reason, seconds = stop(machine)
    assert reason == "poweroff" and seconds < 10, seconds
    assert "shutdown action" in machine.console_text()


# ---- other inits ----

def test_any_other_program_is_asked_by_sigterm(boot):
    m = boot("/trap", "a word", init_env=["WORD=of mine"], scripts=["hello", "#!/bin/sh\necho hi\n"])
    m.ready()
    wait_until(lambda: "init 1 a word of mine" in m.console_text(), 30, "the init says nothing")
    assert m.exec(["hello"], env=["PATH=/.msb/scripts:/bin"])[1] == b"hi\n"
    reason, seconds = stop(m)
    assert reason == "poweroff" and seconds < 5, seconds
    assert "got TERM" in m.console_text()


def test_an_init_that_does_not_listen_does_not_hold_the_machine(boot, tmp_path):
    """The agent ends it in time; what commands wrote is on the disk."""
    upper = upper_disk(tmp_path)
    m = boot("/deaf", disks=[("upper", False, upper)])
    m.ready()
    assert m.exec(["sh", "-c", "echo kept >/file"])[0] == 0
    reason, seconds = stop(m, 12000)  # three quarters are the agent's; in the last one msb-vmm's patience ends
    assert reason == "poweroff" and 8 < seconds < 12, seconds
    m = boot("/deaf", disks=[("upper", False, upper)])
    m.ready()
    assert m.exec(["cat", "/file"])[1] == b"kept\n"
    m.send("VMM_STOP", timeout_ms=0)
    assert m.expect("VMM_EXITED")["reason"] == "killed"


def test_an_init_that_ends_is_a_panic(boot):
    m = boot("/quitter")
    m.ready()
    ended = m.expect("VMM_EXITED")
    assert ended["reason"] == "panic" and "kill init" in ended["message"], ended


def test_a_machine_whose_agent_was_killed_ends(boot):
    m = boot("auto")
    m.ready()
    main = m.run(["sleep", "1000"])
    assert main.recv()["type"] == "STARTED"
    pid, start = agent_pid(m), time.monotonic()
    killer = m.run(["kill", "-9", str(pid)])
    assert main.recv() is None
    ended = m.expect("VMM_EXITED", 60)
    assert (ended["reason"], ended["message"]) == ("agent_lost", "the guest's agent ended before the machine")
    assert time.monotonic() - start < 40  # 10 s are left for a power-off that the init may be about
    assert m.wait() == 0
    killer.sock.close()


def test_a_power_off_from_the_inside_is_no_loss_of_the_agent(boot):
    """busybox kills all processes, the agent too, and powers off some time later."""
    m = boot("auto")
    m.ready()
    session = m.run(["poweroff"])
    assert m.expect("VMM_EXITED", 30)["reason"] == "poweroff"
    assert "Sent SIGKILL to all processes" in m.console_text()
    session.sock.close()


@pytest.mark.parametrize("init, words", [
    ("/nowhere", "(init): cannot run /nowhere as init: No such file or directory"),
    ("/etc/inittab", "(init): cannot run /etc/inittab as init: Permission denied"),
    ("/bin", "(init): cannot run /bin as init: Permission denied"),
    ("/broken", "(init): cannot run /broken: its interpreter or dynamic loader is not in the image"),
])
def test_an_init_that_cannot_run_stops_the_start(boot, init, words):
    failed = boot(init).failed()
    assert failed["stage"] == "boot" and words in failed["message"], failed


def test_auto_without_an_init_stops_the_start(boot, tmp_path):
    failed = boot("auto", root=vmm.root_disk(tmp_path)).failed()
    assert "(init): the image has no init: none of /sbin/init, /lib/systemd/systemd and " in failed["message"]


def test_memory_hunger_of_a_command_does_not_take_the_agent(boot):
    m = boot("auto", memory_mib=128)
    m.ready()
    assert m.exec(["tail", "/dev/zero"])[0] == 128 + 9
    assert m.exec(["echo", "still there"])[1] == b"still there\n"


# ---- systemd ----

def systemd_disk():
    """A Debian with systemd as a root disk, made once; the newest stays."""
    folder = pathlib.Path(os.environ.get("MSB_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "microsandbox")) / "test-images"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "systemd-1.erofs"
    with open(folder / "systemd.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            work = folder / "systemd.tmp"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            subprocess.run(["mmdebstrap", "--variant=minbase", "--include=" + ",".join(SYSTEMD), *SLIM, "bookworm",
                            work / "tree.tar"], check=True, capture_output=True)
            (work / "tree").mkdir()
            subprocess.run(["tar", "xpf", work / "tree.tar", "-C", work / "tree"], check=True)
            (work / "tree/etc/hostname").write_text("")  # mmdebstrap puts this host's there, images have none
            subprocess.run(["mkfs.erofs", work / "root", work / "tree"], check=True, capture_output=True)
            os.rename(work / "root", path)
            shutil.rmtree(work)
    return path


@pytest.fixture(scope="module")
def systemd_root():
    if not shutil.which("mmdebstrap") or os.getuid():
        pytest.skip("needs mmdebstrap, and root for device nodes")
    return systemd_disk()


UP = ("for i in $(seq 200); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.3; done; "
      "exec systemctl is-system-running --wait")


def test_systemd_runs_as_in_a_machine_of_its_own(boot, systemd_root, tmp_path):
    path = {"env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
    disks = [("upper", False, upper_disk(tmp_path))]

    def up():
        m = boot("auto", root=systemd_root, disks=disks, memory_mib=512, cpus=2)
        m.ready()
        s = m.run(["sh", "-c", UP], **path)
        s.sock.settimeout(300)
        got = [s.recv() for _ in range(3)]
        assert [g["type"] for g in got] == ["STARTED", "STDOUT", "EXITED"], (got, m.console_text()[-3000:])
        assert (got[1]["data"], got[2]["code"]) == (b"running\n", 0)
        return m

    m = up()
    assert m.exec(["cat", "/proc/1/comm"])[1] == b"systemd\n"
    assert m.exec(["systemctl", "is-active", "dbus"], **path)[1] == b"active\n"
    assert m.exec(["hostname"], **path)[1] == b"msb-test\n"
    assert m.exec(["systemd-run", "-q", "--wait", "-p", "MemoryMax=50M", "sh", "-c", "cat /proc/self/cgroup >/unit"],
                  **path)[0] == 0
    assert m.exec(["sh", "-c", "cat /unit; echo unsynced >/file"], **path)[1].startswith(b"0::/system.slice/run-")
    reason, _ = stop(m, 60000)
    assert reason == "poweroff"
    assert "Reached target" in m.console_text() and "poweroff.target" in m.console_text()

    # What it wrote is on the disk; and a power-off from the inside is one, too.
    m = up()
    assert m.exec(["cat", "/file"])[1] == b"unsynced\n"
    assert m.exec(["sh", "-c", "echo more >>/file; systemctl poweroff"], **path)[0] in (0, 143, 137)
    assert m.expect("VMM_EXITED", 60)["reason"] == "poweroff"
    fsck = subprocess.run(["/sbin/e2fsck", "-p", disks[0][2]], capture_output=True, text=True)
    assert fsck.returncode in (0, 1), fsck


# ---- by msb ----

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("init") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return c


def test_msb_run_with_an_init(cli):
    r = cli("run", "--init", "auto", "--init-env", "WORD=a b", "--script", "show=tr '\\\\0' '\\\\n' </proc/1/environ",
            IMAGE, "--", "sh", "-c", "cat /proc/1/comm; show | grep WORD; exit 9")
    assert (r.returncode, r.out, r.err) == (9, "init\nWORD=a b\n", "")
    assert cli("run", "--init-arg", "x", IMAGE, "--", "true").returncode == 2
    r = cli("run", "--init", "/no/init", IMAGE, "--", "true")
    assert r.returncode == 125 and "(init): cannot run /no/init as init" in r.err


def test_a_named_sandbox_whose_agent_was_killed_starts_again_with_its_data(cli):
    """The state is right at the next call, and nothing is left (the suite's check)."""
    cli.ok("create", "-q", "-n", "box", "--init", "auto", IMAGE)
    cli.ok("exec", "box", "--", "sh", "-c", "echo kept >/file; sync")
    r = cli("exec", "box", "--", "sh", "-c", "kill -9 $PPID")
    assert r.returncode == 125 and r.err.startswith("error: ")
    wait_until(lambda: '"crashed"' in cli.ok("inspect", "--format", "json", "box").lower(), 60, "it goes on")
    assert "agent_lost" in cli.ok("inspect", "--format", "json", "box")
    assert cli("exec", "box", "--", "true").returncode == 125
    cli.ok("start", "-q", "box")
    assert cli.ok("exec", "box", "--", "cat", "/file") == "kept\n"
    cli.ok("stop", "-q", "box")
    assert "poweroff" in cli.ok("inspect", "--format", "json", "box")
    cli.ok("rm", "-q", "box")
