"""Guests that share a folder of the host: by QEMU's virtiofsd, by 9p, and by us. All three have the same kernel (the
product's with a 9P client), the same QEMU and board, the same root file system, one processor and as much memory."""
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/e2e"), str(TOP / "tests/images")]
from lib.cli import die_with_parent  # noqa: E402
from lib.vmm import initramfs  # noqa: E402

QEMU, VIRTIOFSD = "/usr/bin/qemu-system-x86_64", "/usr/lib/qemu/virtiofsd"
MEMORY = 1024
SECONDS = 900
INIT = """#!/bin/sh
export PATH=/bin
/bin/busybox mkdir -p /dev /proc /lower /up /new
mount -t devtmpfs none /dev
mount -t erofs /dev/vda /lower
mount -t tmpfs -o size=100% none /up
mkdir /up/upper /up/work
mount -t overlay -o lowerdir=/lower,upperdir=/up/upper,workdir=/up/work none /new
mount -t proc none /new/proc
mount -t sysfs none /new/sys
mount -t devtmpfs none /new/dev
mkdir -p /new/dev/shm /new/mnt
mount -t tmpfs none /new/dev/shm
mount -t tmpfs none /new/tmp
mount -t tmpfs none /new/run
MOUNT || echo "cannot mount the share"
ifconfig lo 127.0.0.1
stty -F /dev/ttyS0 raw -echo
exec chroot /new /bin/bash /proc/self/fd/9 </dev/ttyS0 >/dev/ttyS0 2>&1 9<<'END'
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /
printf 'READY\\n'
while IFS= read -r line; do
    eval "$line" >/tmp/.out 2>&1 </dev/null
    code=$?
    cat /tmp/.out
    printf '\\001%d\\n' $code
done
END
"""


class Missing(Exception):
    """Why there is no such guest."""


def kernel():
    """vmlinux with a 9P client; some minutes the first time."""
    r = subprocess.run([TOP / "kernel/build.sh", "--variant", "9p"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(r.stdout.strip())


def image():
    """The folder of tests/images/shares.py."""
    if not shutil.which("mmdebstrap") or os.getuid():
        raise Missing("needs mmdebstrap, and root for device nodes")
    r = subprocess.run([TOP / "tests/images/shares.py"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(r.stdout.strip())


def tsc_words():
    import peer
    tool = peer.cache() / "tsc"
    if not tool.exists():
        subprocess.run(["cc", "-O2", "-o", tool, TOP / "kernel/bench/tsc.c"], check=True)
    return "tsc_khz=" + subprocess.run([tool], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def processor_seconds(pids):
    """Of processor time that these have used, all threads."""
    spent = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


class Peer:
    """A machine of QEMU's own devices, whose shell is its serial line."""
    mount = device = None

    def __init__(self, root, shared, tmp, memory=MEMORY):
        tmp.mkdir(parents=True)
        self.tmp, self.shared, self.server = tmp, shared, None
        initrd = tmp / "initrd"
        box = pathlib.Path("/bin/busybox").read_bytes()
        names = ["sh", "mount", "mkdir", "chroot", "stty", "ifconfig", "echo"]
        initrd.write_bytes(initramfs(INIT.replace("MOUNT", self.mount).encode(), [
            ("bin", stat.S_IFDIR | 0o755, b"", 0, 0), ("bin/busybox", stat.S_IFREG | 0o755, box, 0, 0),
            *((f"bin/{n}", stat.S_IFLNK | 0o777, b"busybox", 0, 0) for n in names)]))
        self.serve()
        ours, theirs = socket.socketpair()
        cmdline = (TOP / "kernel/cmdline").read_text().strip()
        self.process = subprocess.Popen([
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-no-reboot",
            "-machine", "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,memory-backend=mem",
            "-object", f"memory-backend-memfd,id=mem,size={memory}M,share=on", "-m", f"{memory}M", "-smp", "1",
            "-accel", "tcg", "-cpu", "max", "-global", "virtio-mmio.force-legacy=false", "-kernel", kernel(),
            "-initrd", initrd, "-append", f"console=ttyS0 {tsc_words()} {cmdline}",
            "-drive", f"id=root,file={root},format=raw,readonly=on,if=none", "-device", "virtio-blk-device,drive=root",
            *self.device_words(), "-device", "virtio-rng-device",
            "-chardev", f"socket,id=serial,fd={theirs.fileno()}", "-serial", "chardev:serial"],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        theirs.close()
        self.line, self.data = ours, b""
        ours.settimeout(SECONDS)
        said = self.until(b"READY\n")
        assert b"cannot mount" not in said, said

    def serve(self):
        """What runs beside QEMU."""

    def until(self, end):
        while end not in self.data:
            more = self.line.recv(65536)
            assert more, f"the guest has ended: {self.data[-2000:]}"
            self.data += more.replace(b"\r\n", b"\n")
        said, _, self.data = self.data.partition(end)
        return said

    def __call__(self, line):
        """A line for bash: (exit code, what it said)."""
        assert "\n" not in line and len(line) < 4000
        before = processor_seconds(self.pids())
        self.line.sendall(line.encode() + b"\n")
        said = self.until(b"\1").decode(errors="replace")
        self.spent = processor_seconds(self.pids()) - before
        return int(self.until(b"\n")), said

    def pids(self):
        """Of all that makes this machine."""
        from lib.cli import descendants
        server = [self.server.pid, *descendants(self.server.pid)] if self.server else []
        return [self.process.pid, *server]

    def close(self):
        self.process.kill()
        self.process.wait()
        if self.server:
            self.server.kill()
            self.server.wait()


class Virtiofsd(Peer):
    name, mount = "virtiofsd", "mount -t virtiofs share /new/mnt"
    options = ["-o", "cache=auto"]

    def serve(self):
        if not os.path.exists(VIRTIOFSD):
            raise Missing(f"no {VIRTIOFSD} (Debian: qemu-system-common)")
        self.server = subprocess.Popen([VIRTIOFSD, f"--socket-path={self.tmp}/fs.sock", "-o", f"source={self.shared}",
                                        "-o", "log_level=err", *self.options], preexec_fn=die_with_parent)
        end = time.monotonic() + 10
        while not (self.tmp / "fs.sock").exists():
            assert time.monotonic() < end and self.server.poll() is None, "virtiofsd does not start"
            time.sleep(0.02)

    def device_words(self):
        return ["-chardev", f"socket,id=fs,path={self.tmp}/fs.sock", "-device", "vhost-user-fs-device,chardev=fs,tag=share"]


class VirtiofsdXattr(Virtiofsd):
    name, options = "virtiofsd -o xattr", ["-o", "cache=auto", "-o", "xattr"]


class Plan9(Peer):
    name = "9p"
    mount = "mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=mmap share /new/mnt"

    def device_words(self):
        return ["-fsdev", f"local,id=fs,path={self.shared},security_model=mapped-xattr",
                "-device", "virtio-9p-device,fsdev=fs,mount_tag=share"]


class Ours:
    """Our machine, driven as the library does it."""
    name = "ours"

    def __init__(self, build, root, shared, memory=MEMORY, cache="auto", disks=(), **settings):
        from lib.vmm import Vmm
        self.m = Vmm(build / "initramfs.cpio", [("root", True, root), *disks], kernel=kernel(), memory_mib=memory,
                     shares=[("share", shared, {"cache": cache})],
                     mounts=["share", "share", "/mnt", ""], **settings)
        self.m.ready()
        self.env = ["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

    def pids(self):
        from lib.vmm import children
        return [self.m.pid, *children(self.m.pid)]

    def __call__(self, line):
        before = processor_seconds(self.pids())
        s = self.m.run(["/bin/bash", "-c", line], env=self.env)
        s.sock.settimeout(SECONDS)
        out = b""
        while m := s.recv():
            if m["type"] == "EXITED":
                s.sock.close()
                self.spent = processor_seconds(self.pids()) - before
                return m["code"] if not m["signo"] else 128 + m["signo"], out.decode(errors="replace")
            out += m.get("data", b"")
        raise AssertionError("the session ended\n" + self.m.log_text()[-3000:])

    def close(self):
        self.m.close()
