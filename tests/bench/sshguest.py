"""The peer of exec: an ssh server in a QEMU guest of our kernel, on the same board, reached over loopback.

Dropbear in an initramfs with Debian's busybox: here a call through it costs an eighth of one through OpenSSH's sshd
(0.21 s against 1.6 s; tried). QEMU's user network forwards ports of 127.0.0.1 to a virtio-net card. The client is
OpenSSH: a connection for each call, or a caller has one that stays (ControlMaster). One dropbear takes five new
connections at once and fails at several channels, so four of them share the load of many callers.
"""
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
import mkinitramfs  # noqa: E402

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
for port in %s; do dropbear -F -E -s -p $port -r /etc/hostkey & done
wait
"""
FOLDERS = ("bin", "dev", "etc", "lib", "lib64", "proc", "root", "root/.ssh", "run", "sys", "tmp", "usr", "usr/sbin",
           "var", "var/log")
PORTS = (22, 23, 24, 25)
BOOT_SECONDS = 60


class Missing(Exception):
    """Why there is no peer to compare with."""


def libraries(program):
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def initramfs(folder):
    """The archive, and the client's key beside it."""
    for key, maker in (("hostkey", ["dropbearkey", "-t", "ed25519", "-f"]),
                       ("key", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"])):
        subprocess.run([*maker, folder / key], check=True, capture_output=True)
    files = {path.lstrip("/"): path for path in libraries(shutil.which("dropbear"))}
    files.update({"bin/dropbear": shutil.which("dropbear"), "bin/busybox": shutil.which("busybox")})
    folders = {str(p) for f in files for p in pathlib.PurePath(f).parents} - {".", *FOLDERS}
    reg = stat.S_IFREG
    entries = [(f, stat.S_IFDIR | 0o755, b"") for f in (*FOLDERS, *sorted(folders))]
    entries += [(f, reg | 0o755, pathlib.Path(path).read_bytes()) for f, path in files.items()]
    entries += [("init", reg | 0o755, (INIT % " ".join(map(str, PORTS))).encode()),
                ("etc/hostkey", reg | 0o600, (folder / "hostkey").read_bytes()),
                ("etc/passwd", reg | 0o644, b"root::0:0::/root:/bin/sh\n"),
                ("root/.ssh/authorized_keys", reg | 0o600, (folder / "key.pub").read_bytes())]
    out = b"".join(mkinitramfs.entry(i, *e) for i, e in enumerate(entries, 1))
    path = folder / "initramfs.cpio"
    path.write_bytes(out + mkinitramfs.entry(0, "TRAILER!!!", 0))
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def engine():
    """As msb's own choice: KVM where it is real."""
    real = re.search(r"\b(vmx|svm)\b", pathlib.Path("/proc/cpuinfo").read_text())
    if real and os.access("/dev/kvm", os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg", "-cpu", "max"]


class Guest:
    def __init__(self, build, folder):
        needed = ("dropbear", "dropbearkey", "ssh", "ssh-keygen", "busybox", "qemu-system-x86_64")
        gone = [p for p in needed if not shutil.which(p)]
        if gone:
            raise Missing(f"{', '.join(gone)} not installed")
        folder.mkdir()
        self.folder, self.masters = folder, []
        self.ports = [free_port() for _ in PORTS]
        tsc = folder / "tsc"
        subprocess.run(["cc", "-O2", "-o", tsc, TOP / "kernel/bench/tsc.c"], check=True)
        khz = subprocess.run([tsc], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        line = (build / "cmdline").read_text().strip()
        forward = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in zip(self.ports, PORTS))
        with open(folder / "console", "wb") as console:
            self.process = subprocess.Popen(
                ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine",
                 "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off", "-m", "512M", "-smp", "1", *engine(),
                 "-global", "virtio-mmio.force-legacy=false", "-kernel", build / "vmlinux", "-initrd",
                 initramfs(folder), "-append", f"console=ttyS0 tsc_khz={khz} {line} rdinit=/init", "-serial", "stdio",
                 "-device", "virtio-rng-device", "-netdev", f"user,id=net,restrict=on{forward}", "-device",
                 "virtio-net-device,netdev=net"], stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            for command in self.ssh():
                self.wait(command)
        except BaseException:
            self.close()
            raise

    def client(self, port, *more):
        return ["ssh", "-F", "/dev/null", "-i", str(self.folder / "key"), "-p", str(port), "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                "-o", "ConnectTimeout=20", *more, "root@127.0.0.1"]

    def ssh(self):
        """A client's command line for each server, without the command for the guest."""
        return [self.client(port) for port in self.ports]

    def wait(self, command):
        end = time.monotonic() + BOOT_SECONDS
        while subprocess.run([*command, "true"], capture_output=True, stdin=subprocess.DEVNULL).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                raise Missing("its guest does not come up: " + (self.folder / "console").read_text()[-300:])
            time.sleep(0.2)

    def shared(self, count):
        """The same through as many connections that are open already."""
        paths = [f"{self.folder}/kept{i}" for i in range(count)]
        for i in range(len(self.masters), count):
            port = self.ports[i % len(self.ports)]
            self.masters.append(subprocess.Popen(self.client(port, "-M", "-N", "-S", paths[i]),
                                                 stdin=subprocess.DEVNULL))
            end = time.monotonic() + 30
            while not os.path.exists(paths[i]):
                if time.monotonic() > end:
                    raise Missing("ssh makes no control socket")
                time.sleep(0.02)
        return [self.client(self.ports[i % len(self.ports)], "-S", path) for i, path in enumerate(paths)]

    def close(self):
        for p in (*self.masters, self.process):
            if p.poll() is None:
                p.kill()
            p.wait()
