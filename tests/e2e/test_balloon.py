"""Memory that a guest has freed goes back to the host, by itself."""
import os
import pathlib
import subprocess
import time

import pytest

from lib import engine, vmm
from lib.vmm import Vmm

MIB = 1 << 20
HELD = 200 * MIB
# Linux reports every 2 s what has been free for a while, in blocks of 2 MiB or more.
PATIENCE = 30


@pytest.fixture
def machine(tmp_path):
    vmm.busybox_tree(tmp_path / "tree")
    subprocess.run(["mkfs.erofs", tmp_path / "root.erofs", tmp_path / "tree"], check=True, capture_output=True)
    m = Vmm(vmm.INITRAMFS, [("root", True, tmp_path / "root.erofs")], memory_mib=512)
    yield m
    m.close()


def status_bytes(pid, key):
    return next(int(line.split()[1]) * 1024 for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith(key + ":"))


def guest_memory(m):
    """Bytes of guest memory that the host has set aside, and what of it is mapped.

    The kvm engine's is msb-vmm's own, where both are one; QEMU's is a memfd.
    """
    if engine.NAME == "kvm":
        return (status_bytes(m.pid, "RssAnon"),) * 2
    held = [os.stat(fd).st_blocks * 512 for fd in pathlib.Path(f"/proc/{m.qemu()}/fd").iterdir()
            if "memory-backend-memfd" in os.readlink(fd)]
    assert len(held) == 1, held
    return held[0], status_bytes(m.qemu(), "RssShmem")


def shell(m, script):
    code, out, err = m.exec(["/bin/sh", "-c", script])
    assert code == 0, err
    return out.decode()


def test_the_guest_has_a_balloon_that_reports_free_pages(machine):
    machine.ready()
    features = shell(machine, "cat /sys/bus/virtio/drivers/virtio_balloon/virtio*/features").strip()
    assert features[5] == "1", "free page reporting"
    assert features[2] == "1", "deflate on OOM"
    assert features[3] == "0", "free page hints are racy"


def test_freed_memory_goes_back_to_the_host(machine):
    machine.ready()
    before = guest_memory(machine)
    shell(machine, f"mount -t tmpfs -o size=300M none /tmp && dd if=/dev/zero of=/tmp/held bs=1M count={HELD // MIB}")
    full = guest_memory(machine)
    # Some of it was touched before, by the boot.
    assert full[0] > before[0] + HELD * 0.9, (before, full)
    assert full[1] > before[1] + HELD * 0.9, (before, full)

    # As long as it is in use, nothing is given back.
    time.sleep(5)
    assert guest_memory(machine)[0] > full[0] - 16 * MIB

    shell(machine, "rm /tmp/held")
    start = time.monotonic()
    while max(now := guest_memory(machine)) > max(full) - HELD * 0.9:
        assert time.monotonic() - start < PATIENCE, (before, full, now)
        time.sleep(0.1)
    print(f"{(full[0] - now[0]) >> 20} MiB of {full[0] >> 20} are back after {time.monotonic() - start:.1f} s")

    # The pages are there again when the guest wants them.
    shell(machine, f"dd if=/dev/zero of=/tmp/held bs=1M count={HELD // MIB}")
    assert guest_memory(machine)[0] > full[0] - 32 * MIB
