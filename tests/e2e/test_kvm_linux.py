"""Linux on the kvm engine, up to its init, also where KVM is emulated (about a minute there).

User programs cannot run where KVM is emulated, so the root disk's init is none: the kernel says that it runs it, fails,
and panics. Everything before is real: the boot protocol, interrupts, timers, and a driver for each device. On a host
with real KVM the whole suite runs on this engine (MSB_ENGINE=kvm); there this is one more machine.
"""
import os
import re
import subprocess

import pytest

from lib import compat, vmm

SECONDS = 600  # a busy machine took 140


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root disk whose init cannot be run."""
    tmp = tmp_path_factory.mktemp("root")
    (tmp / "tree/dev").mkdir(parents=True)
    (tmp / "tree/init").write_bytes(b"not a program")
    (tmp / "tree/init").chmod(0o755)
    subprocess.run(["mkfs.erofs", tmp / "root.erofs", tmp / "tree"], check=True, capture_output=True)
    return tmp / "root.erofs"


@pytest.fixture(scope="module")
def machine(root, tmp_path_factory):
    """A machine that has been through it, and how it ended. No initramfs: the kernel itself mounts the root disk."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as e:
        pytest.skip(f"/dev/kvm: {e.strerror}")
    upper = tmp_path_factory.mktemp("upper") / "upper"
    upper.write_bytes(b"\0" * (1 << 20))
    words = f"{compat.words()} loglevel=8 initcall_debug root=/dev/vda rootfstype=erofs ro init=/init"
    m = vmm.Vmm(vmm.cpio([]), [("root", True, root), ("upper", False, upper)], kernel=compat.kernel(), engine="kvm",
                memory_mib=128, boot_timeout_ms=SECONDS * 1000, cmdline=f"{vmm.cmdline()} {words}")
    try:
        m.expect("VMM_STARTED")
        m.end = m.expect("VMM_FAILED", SECONDS + 10)
        yield m
    finally:
        m.close()


def seen(machine, pattern):
    text = machine.console_text()
    found = re.findall(pattern, text)
    assert found, f"no {pattern!r} in the guest's messages; they end with:\n{text[-3000:]}"
    return found


def test_interrupts_come_through_the_mp_table(machine):
    seen(machine, r"MPTABLE: Product ID: microsandbox")
    seen(machine, r"IOAPIC\[0\]: .* GSI 0-23")


def test_every_device_is_found_and_driven(machine):
    """Two disks, vsock, entropy, console and balloon: as many drivers started as there are devices."""
    devices = seen(machine, r"virtio-mmio: Registering device virtio-mmio\.(\d+) at")
    assert len(devices) == 6
    probed = seen(machine, r"probe of virtio(\d+) returned 0 after")
    assert sorted(probed) == sorted(devices)
    assert not re.search(r"probe of virtio\S* returned [^0]", machine.console_text())


def test_disks_have_their_sizes(machine, root):
    sectors = dict(seen(machine, r"virtio_blk virtio\d: \[(vd[ab])\] (\d+) 512-byte"))
    assert sectors == {"vda": str(root.stat().st_size // 512), "vdb": "2048"}


def test_console_device_takes_over(machine):
    seen(machine, r"console \[hvc0\] enabled")
    seen(machine, r"bootconsole \[uart8250\] disabled")


def test_balloon_offers_free_page_reporting(machine):
    seen(machine, r"Free page reporting enabled")


def test_kernel_mounts_the_root_disk(machine):
    seen(machine, r"erofs: \(device vda\): mounted with root inode")
    seen(machine, r"VFS: Mounted root \(erofs filesystem\) readonly on device")


def test_init_is_reached_and_the_panic_ends_the_machine(machine):
    seen(machine, r"Run /init as init process")
    seen(machine, r"Kernel panic - not syncing: Requested init /init failed \(error -8\)")
    assert machine.end["stage"] == "boot", machine.end
    assert b"Requested init /init failed" in machine.end["console"]
