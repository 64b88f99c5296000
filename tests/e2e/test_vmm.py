"""build/msb-vmm with a real engine, kernel and agent, driven as the library drives it."""
import errno
import hashlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

from lib import engine, proto, vmm
from lib.vmm import Vmm, is_gone, wait_until


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The root disk of a busybox tree."""
    return vmm.root_disk(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def upper_template(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("upper")
    for d in ("u", "w"):
        (tmp / "tree" / d).mkdir(parents=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tmp / "tree", tmp / "upper.ext4", "64M"], check=True)
    return tmp / "upper.ext4"


@pytest.fixture
def start(root, upper_template, tmp_path):
    """Starts machines and ends them after the test."""
    machines = []

    def make(initrd=vmm.INITRAMFS, upper=True, **settings):
        disks = [("root", True, root)]
        if upper:
            copy = tmp_path / f"upper{len(machines)}"
            subprocess.run(["cp", "--sparse=always", upper_template, copy], check=True)
            disks.append(("upper", False, copy))
        machines.append(Vmm(initrd, disks, **settings))
        return machines[-1]

    yield make
    for m in machines:
        m.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Makes an initramfs whose agent does what the C statements say; `s` is its boot connection."""
    tmp = tmp_path_factory.mktemp("hostile")

    def make(statements):
        (tmp / "init.c").write_text("""
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
#define FRAME(type, ...) do { unsigned char p[] = {__VA_ARGS__}; unsigned n = sizeof(p); \\
    unsigned char h[8] = {n, n >> 8, n >> 16, 0, type}; write(s, h, 8); write(s, p, n); } while (0)
#define HELLO FRAME(1, 4,0,0,0, 0,0,0,0,0,0,0,0, 0,0,0,0,0,0,0,0)
#define READY FRAME(3, 0,0,0,0,0,0,0,0, 1,0,0,0, 'x', 0)
static int dial(void)
{
	struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = 2, .svm_port = 1024};
	int s = socket(AF_VSOCK, SOCK_STREAM, 0);
	return connect(s, (void *)&a, sizeof(a)) < 0 ? -1 : s;
}
int main(void)
{
	char buf[4096];
	int s = dial();
	(void)buf;
	printf("hostile agent, socket %d\\n", s); fflush(stdout);
	""" + statements + """
	for (;;) poll(0, 0, -1);
}
""")
        subprocess.run(["cc", "-static", "-Os", "-w", "-o", tmp / "init", tmp / "init.c"], check=True)
        return vmm.initramfs((tmp / "init").read_bytes())

    return make


# ---- a life ----

def test_boots_runs_a_command_and_powers_off(start):
    m = start()
    started = m.expect("VMM_STARTED")
    assert started["engine"] == engine.NAME
    assert started["accel"] == ("kvm" if engine.hardware() else "tcg")
    ready = m.expect("VMM_READY")
    assert m.start_ns < ready["spawn_ns"] < ready["init_ns"] < ready["ready_ns"] < time.monotonic_ns()
    assert ready["spawn_ns"] == started["spawn_ns"]
    assert m.exec(["sh", "-c", "echo out; echo err >&2; exit 7"]) == (7, b"out\n", b"err\n")
    assert m.exec(["cat"], stdin=b"through") == (0, b"through", b"")
    assert m.exec(["hostname"])[1] == b"msb-test\n"
    m.send("VMM_STOP", timeout_ms=10000)
    ended = m.expect("VMM_EXITED")
    assert (ended["reason"], ended["message"]) == ("poweroff", "")
    assert m.wait() == 0


def test_without_an_upper_disk_the_upper_is_in_memory(start):
    m = start(upper=False)
    m.ready()
    assert m.exec(["sh", "-c", "echo x >/file && cat /file"]) == (0, b"x\n", b"")


def test_what_the_guest_writes_is_in_the_upper_and_not_in_the_root(start, root):
    before = hashlib.sha256(root.read_bytes()).digest()
    m = start()
    m.ready()
    assert m.exec(["sh", "-c", "echo marker-in-upper >/file && sync"])[0] == 0
    assert m.exec(["sh", "-c", "echo x | dd of=/dev/vda bs=4096 conv=fsync"])[0] != 0
    assert any(b"marker-in-upper" in os.pread(fd, 64 << 20, 0) for fd in m.fds.values())
    assert hashlib.sha256(root.read_bytes()).digest() == before


def test_memory_and_processors_are_as_asked(start):
    m = start(cpus=2, memory_mib=384)
    m.ready()
    assert m.exec(["nproc"])[1] == b"2\n"
    total = int(m.exec(["awk", "/MemTotal/ {print $2}", "/proc/meminfo"])[1])
    assert 320 << 10 < total <= 384 << 10


def test_the_smallest_memory_boots(start):
    m = start(memory_mib=64)
    m.ready()
    assert m.exec(["true"])[0] == 0


def test_a_session_asked_for_before_ready_is_served_then(start):
    m = start()
    m.expect("VMM_STARTED")
    assert m.exec(["echo", "early"]) == (0, b"early\n", b"")
    assert m.expect("VMM_READY")


def test_a_port_nobody_listens_on_closes_the_session(start):
    m = start()
    m.ready()
    assert m.connect(port=7777).recv() is None


def test_sessions_beside_each_other_and_much_data(start):
    m = start()
    m.ready()
    streams = []
    for _ in range(4):
        streams.append(m.run(["sh", "-c", "dd if=/dev/zero bs=64k count=32 | tr '\\0' x"]))
    for s in streams:
        data = b""
        while (message := s.recv()) and message["type"] != "EXITED":
            if message["type"] == "STDOUT":
                data += message["data"]
        assert message["code"] == 0
        assert data == b"x" * (2 << 20)


# ---- ends ----

def test_stop_without_time_kills(start):
    m = start()
    m.ready()
    m.send("VMM_STOP", timeout_ms=0)
    assert m.expect("VMM_EXITED", 20)["reason"] == "killed"
    assert m.wait() == 0


def test_stop_before_ready_is_a_failure(start):
    m = start()
    m.expect("VMM_STARTED")
    m.send("VMM_STOP", timeout_ms=5000)
    failed = m.failed(20)
    assert failed["error"] == errno.ECANCELED


def test_a_guest_that_does_not_stop_is_killed_in_time(start, hostile):
    m = start(hostile("HELLO; read(s, buf, sizeof(buf)); READY;"))
    m.ready()
    t = time.monotonic()
    m.send("VMM_STOP", timeout_ms=1000)
    assert m.expect("VMM_EXITED", 20)["reason"] == "killed"
    assert 0.9 < time.monotonic() - t < 10


def test_sigterm_powers_off(start):
    m = start()
    m.ready()
    os.kill(m.pid, signal.SIGTERM)
    assert m.expect("VMM_EXITED")["reason"] == "poweroff"
    assert m.wait() == 0


def test_power_off_from_within(start):
    m = start()
    m.ready()
    session = m.run(["reboot", "-f"])
    assert m.expect("VMM_EXITED")["reason"] == "poweroff"
    session.sock.close()


@pytest.mark.parametrize("when", ["start", "started", "ready", "busy"])
@pytest.mark.parametrize("how", ["close", "kill"])
def test_nothing_survives_the_library_or_msb_vmm(start, when, how):
    """The control socket closes (as by SIGKILL of msb), or msb-vmm itself gets SIGKILL."""
    m = start()
    if when != "start":
        m.expect("VMM_STARTED")
    if when in ("ready", "busy"):
        m.expect("VMM_READY")
    if when == "busy":
        s = m.run(["sh", "-c", "while :; do echo x; done"])
        assert s.recv()
    qemu = vmm.children(m.pid)
    assert len(qemu) == engine.PROGRAMS or when == "start"
    if how == "close":
        m.control.close()
        m.wait(20)
        assert all(map(is_gone, qemu)), "msb-vmm left before its QEMU"
    else:
        os.kill(m.pid, signal.SIGKILL)
        assert m.wait() == -signal.SIGKILL
        wait_until(lambda: all(map(is_gone, qemu)), 20, "QEMU outlives msb-vmm")


@pytest.mark.qemu_only
def test_a_killed_qemu_is_a_crash(start):
    m = start()
    m.ready()
    os.kill(m.qemu(), signal.SIGKILL)
    ended = m.expect("VMM_EXITED", 20)
    assert ended["reason"] == "crashed" and "signal 9" in ended["message"]


def test_a_panic_after_ready_is_told(start):
    m = start()
    m.ready()
    # a control group that runs out of memory: at once, without the whole machine at its limit
    session = m.run(["sh", "-ec", "echo 2 >/proc/sys/vm/panic_on_oom; cd /sys/fs/cgroup; mkdir small; "
                     "echo +memory >cgroup.subtree_control; echo 8M >small/memory.max; echo $$ >small/cgroup.procs; "
                     "exec tail /dev/zero"])
    ended = m.expect("VMM_EXITED", 20)
    assert ended["reason"] == "panic" and "out of memory" in ended["message"].lower()
    assert b"Kernel panic" in ended["console"]
    session.sock.close()


# ---- what does not start ----

def test_a_guest_that_never_gets_ready_ends_in_time_with_its_console(start):
    t = time.monotonic()
    m = start(vmm.shell_initramfs("echo I shall sleep now\nexec /bin/busybox sleep 600"), boot_timeout_ms=8000)
    failed = m.failed()
    assert 8 <= time.monotonic() - t < 40
    assert (failed["stage"], failed["error"]) == ("boot", errno.ETIMEDOUT)
    assert "within 8.0 s" in failed["message"] and failed["hint"]
    assert b"I shall sleep now" in failed["console"] and len(failed["console"]) <= 8192
    assert "I shall sleep now" in m.console_text()


def test_a_panic_in_boot_gives_the_kernels_words(start):
    t = time.monotonic()
    m = start(vmm.shell_initramfs("exit 3"))
    failed = m.failed()
    assert failed["stage"] == "boot" and time.monotonic() - t < 40  # not the limit of 60
    assert failed["message"].startswith("guest kernel panic: Attempted to kill init! exitcode=0x00000300")
    assert b"Kernel panic" in failed["console"]


def test_a_panic_that_does_not_reboot_is_ended_too(start):
    line = vmm.cmdline().replace("panic=-1", "panic=0")
    assert "panic=0" in line
    m = start(vmm.shell_initramfs("exit 3"), cmdline=line)
    assert m.failed(40)["message"].startswith("guest kernel panic: Attempted to kill init!")


def test_a_broken_initramfs_is_a_panic(start):
    m = start(b"070701 this is no archive" * 100)
    failed = m.failed()
    assert failed["stage"] == "boot" and "panic" in failed["message"]


def test_a_guest_that_powers_off_at_once(start):
    m = start(vmm.shell_initramfs("/bin/busybox reboot -f"))
    failed = m.failed()
    assert failed["stage"] == "boot" and "before its agent was ready" in failed["message"]


def test_an_upper_that_is_no_file_system_is_named_by_the_agent(start, root):
    m = Vmm(vmm.INITRAMFS, [("root", True, root), ("upper", False, b"\0" * (1 << 20))])
    try:
        failed = m.failed()
        assert failed["stage"] == "boot" and "the guest could not start (" in failed["message"]
    finally:
        m.close()


def test_a_kernel_that_is_none(start):
    m = start(kernel=b"this is no kernel" * 1000)
    failed = m.failed()
    assert failed["stage"] == "engine" and failed["message"], failed
    assert engine.NAME != "qemu" or "QEMU ended" in failed["message"], failed


@pytest.mark.parametrize("settings, says", [
    ({"kernel_fd": 300}, "kernel_fd: descriptor 300 is not open"),
    ({"initramfs_fd": 3}, "initramfs_fd is 3"),
    ({"memory_mib": 16}, "memory_mib is 16"),
    ({"memory_mib": 1 << 40}, "memory_mib is"),
    ({"cpus": 0}, "cpus is 0"),
    ({"cpus": 1000}, "cpus is 1000"),
    ({"hostname": "a b"}, "hostname"),
    ({"colour": "red"}, "unknown key \"colour\""),
    ({"qemu": None}, "qemu is missing"),
    ({"version": 2}, "version is 2"),
])
def test_a_bad_config_is_named(start, settings, says):
    m = start(**settings)
    failed = m.failed(20)
    assert failed["stage"] == "config" and says in failed["message"]


def test_more_memory_than_the_host_has(start):
    m = start(memory_mib=1 << 20)
    failed = m.failed(20)
    assert (failed["stage"], failed["error"]) == ("engine", errno.ENOMEM)
    assert "1048576 MiB" in failed["message"] and "-m" in failed["hint"]


@pytest.mark.qemu_only
@pytest.mark.parametrize("qemu, error", [("", errno.ENOENT), ("/nonexistent/qemu", errno.ENOENT),
                                         ("qemu-system-x86_64", errno.ENOENT), ("/etc/passwd", errno.EACCES)])
def test_no_qemu(start, qemu, error):
    m = start(qemu=qemu)
    failed = m.failed(20)
    assert (failed["stage"], failed["error"]) == ("engine", error)
    assert "apt install qemu-system-x86" in failed["hint"]


@pytest.mark.qemu_only
def test_without_any_engine_both_causes_are_told(start):
    failed = start(qemu="", engine="auto").failed(20)
    assert "qemu-system-x86_64 was not found" in failed["message"]
    assert "the kvm engine cannot run: " in failed["message"]
    failed = start(qemu="", engine="qemu").failed(20)
    assert "kvm" not in failed["message"]


@pytest.mark.qemu_only
def test_an_accelerator_of_qemus_means_qemu(start):
    failed = start(qemu="", engine="auto", accel="tcg").failed(20)
    assert "was not found" in failed["message"] and "kvm engine" not in failed["message"]
    m = start(engine="auto", accel="tcg")
    started = m.expect("VMM_STARTED")
    assert (started["engine"], started["accel"]) == ("qemu", "tcg")


def test_an_engine_that_contradicts_its_accelerator(start):
    failed = start(engine="kvm", accel="tcg").failed(20)
    assert failed["stage"] == "config" and "kvm engine" in failed["message"]


@pytest.mark.qemu_only
def test_a_qemu_that_cannot_be_executed(start, tmp_path):
    (tmp_path / "qemu").write_text("#!/nonexistent/interpreter\n")
    (tmp_path / "qemu").chmod(0o755)
    m = start(qemu=str(tmp_path / "qemu"))
    failed = m.failed(20)
    assert failed["stage"] == "engine" and "cannot run QEMU" in failed["message"]
    assert "apt install" in failed["hint"]


@pytest.mark.qemu_only
def test_a_qemu_that_talks_and_dies(start, tmp_path):
    (tmp_path / "qemu").write_text("#!/bin/sh\nprintf 'first\\n\\033[31mcannot set up guest memory\\n' >&2; exit 1\n")
    (tmp_path / "qemu").chmod(0o755)
    m = start(qemu=str(tmp_path / "qemu"))
    failed = m.failed(20)
    assert failed["message"] == "QEMU ended (exit code 1): first; \\x1b[31mcannot set up guest memory"
    assert "less memory" in failed["hint"]


# ---- a hostile guest ----

def test_garbage_instead_of_hello(start, hostile):
    m = start(hostile('write(s, "GET / HTTP/1.1\\r\\n\\r\\n", 18);'))
    failed = m.failed(20)
    assert failed["stage"] == "agent" and "no message" in failed["message"] or "too long" in failed["message"]


def test_a_huge_frame_in_boot(start, hostile):
    m = start(hostile('write(s, "\\0\\0\\20\\0\\1\\0\\0\\0", 8);'))
    failed = m.failed(20)
    assert failed["stage"] == "agent" and "too long" in failed["message"]


def test_an_agent_that_goes_away(start, hostile):
    m = start(hostile("close(s);"))
    failed = m.failed(20)
    assert failed["stage"] == "agent" and "went away" in failed["message"]


def test_garbage_after_ready_costs_the_session_not_the_machine(start, hostile):
    m = start(hostile('HELLO; read(s, buf, sizeof(buf)); READY; usleep(200000);'
                      'memset(buf, 255, sizeof(buf)); for (int i = 0; i < 1000; i++) send(s, buf, sizeof(buf), 0x4000);'
                      'printf("second: %d\\n", dial()); fflush(stdout);'))
    m.ready()
    wait_until(lambda: "second: -1" in m.console_text(), 20, "the second connection is not refused")
    assert not is_gone(m.pid) and not any(map(is_gone, vmm.children(m.pid)))
    assert m.log_text().count("the guest's agent:") == 1
    m.send("VMM_STOP", timeout_ms=3000)
    assert m.expect("VMM_EXITED", 20)["reason"] == "killed"


def test_words_of_the_guest_cannot_reach_the_terminal_raw(start, hostile):
    m = start(hostile("HELLO; read(s, buf, sizeof(buf));"
                      "FRAME(4, 2,0,0,0, 27,'[',0, 5,0,0,0, 3,0,0,0, 'a',27,'b',0);"))
    failed = m.failed(20)
    assert "\x1b" not in failed["message"] and "\\x1b" in failed["message"] and failed["error"] == 5


def test_a_flood_of_the_console_is_bounded(start):
    m = start()
    m.ready()
    session = m.run(["sh", "-c", "yes 0123456789012345678901234567890123456789 >/dev/ttyS0"])
    wait_until(lambda: len(m.console_text()) > 100000, 60, "the console does not flood")
    rss = int(pathlib.Path(f"/proc/{m.pid}/statm").read_text().split()[1])
    time.sleep(2)
    assert m.exec(["echo", "alive"]) == (0, b"alive\n", b"")
    now = int(pathlib.Path(f"/proc/{m.pid}/statm").read_text().split()[1])
    assert now - rss < 2048, "msb-vmm grows with the console"
    assert len(m.console_text()) < (1 << 20) + 200
    session.sock.close()


# ---- what the processes own ----

def status_of(path, key):
    for line in (path / "status").read_text().splitlines():
        if line.startswith(key + ":"):
            return line.split(":", 1)[1].strip()
    return None


@pytest.mark.qemu_only
def test_qemu_owns_only_what_it_needs(start):
    m = start()
    m.ready()
    proc = pathlib.Path(f"/proc/{m.qemu()}")
    assert (proc / "environ").read_bytes() == b""
    for task in (proc / "task").iterdir():
        assert status_of(task, "NoNewPrivs") == "1"
        assert status_of(task, "Seccomp") == "2", f"thread {(task / 'comm').read_text()} has no filter"
    words = (proc / "cmdline").read_bytes().decode().split("\0")[:-1]
    assert "-nodefaults" in words and "-no-user-config" in words
    assert words[words.index("-monitor") + 1] == "none"
    devices = [words[i + 1].split(",")[0] for i, w in enumerate(words) if w == "-device"]
    assert devices == ["vhost-user-blk", "vhost-user-blk", "vhost-user-vsock-device", "vhost-user-rng",
                       "virtio-balloon-device"]
    assert not {"-netdev", "-nic", "-net", "-qmp", "-drive", "-usb", "-fsdev"} & set(words)
    assert "Max core file size        0                    0" in (proc / "limits").read_text()
    links = [os.readlink(f) for f in (proc / "fd").iterdir()]
    files = {link for link in links if link.startswith("/") and not link.startswith(("/memfd:", "/dev/kvm"))}
    allowed = {"/dev/null", str(vmm.KERNEL.resolve()), str(vmm.INITRAMFS.resolve())}
    assert files <= allowed, files - allowed
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "packet"):
        for line in (proc / "net" / table).read_text().splitlines()[1:]:
            assert not inodes & set(line.split()), f"QEMU has a {table} socket"


def test_msb_vmm_hides_its_memory_and_gains_no_rights(start):
    m = start()
    m.ready()
    proc = pathlib.Path(f"/proc/{m.pid}")
    assert status_of(proc, "NoNewPrivs") == "1"
    assert "Max core file size        0                    0" in (proc / "limits").read_text()
    assert (proc / "status").exists() and status_of(proc, "Umask") == "0077"


@pytest.mark.qemu_only
def test_qemus_own_words_do_not_reach_the_log_raw(start):
    m = start()
    m.ready()
    assert "\x1b" not in m.log_text()


def test_message_encoding_agrees_with_the_header():
    """tests/e2e/lib/proto.py and proto.h: the same numbers and names."""
    text = (vmm.ROOT / "src/proto/proto.h").read_text()
    import re
    rows = re.findall(r"^\s*M\((\d+),\s*(\w+),\s*(\w+)\)", text, re.M)
    assert [(int(n), name) for n, _, name in rows] == [(n, name) for n, name, _ in proto.MESSAGES]
