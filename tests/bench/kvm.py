"""What our own monitor costs on the host's side: its start, its memory, its size.

The guest is the product's kernel. Where KVM is emulated it gets nowhere, and
need not: the clock stops when the first processor enters KVM_RUN. No boot time
is measured here; on a host with real KVM the phases of `msb run` show it.
"""
import os
import re
import statistics
import subprocess
import time

from lib import compat, vmm

ROUNDS = 20
GOAL_START_MS = 10
GOAL_MEMORY_MIB = 5
RAM_MIB = 512


def usable():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
        return None
    except OSError as e:
        return f"missing: /dev/kvm: {e.strerror}"


def start(tmp, initramfs=vmm.INITRAMFS, **settings):
    """A machine as `msb run` starts it: two disks, vsock, rng, console, balloon."""
    disk = tmp / "kvm-disk"
    if not disk.exists():
        disk.write_bytes(b"\0" * (1 << 20))
    return vmm.Vmm(initramfs, [("root", True, disk), ("upper", False, disk)],
                   engine="kvm", memory_mib=RAM_MIB, **settings)


def ioctl_ms(m):
    """What msb-vmm logged of the time inside KVM's own calls, until KVM_RUN."""
    vmm.wait_until(lambda: "of which KVM's ioctls" in m.log_text(), 5, m.log_text())
    took = re.search(r"start took \d+ us, of which KVM's ioctls (\d+) us", m.log_text())
    return int(took[1]) / 1000


def own_memory_kib(pid):
    """Resident memory that is not the guest's: all mappings but its RAM."""
    total, is_ram = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (.*)", line)
            if head:
                size = int(head[2], 16) - int(head[1], 16)
                is_ram = size >= RAM_MIB << 19 or "guest-ram" in head[3]
            elif line.startswith("Rss:") and not is_ram:
                total += int(line.split()[1])
    return total


def rows(b):
    """From exec of msb-vmm to the first KVM_RUN, and what it then occupies."""
    table, why = b.table, usable()
    if why:
        table.add("kvm: exec of msb-vmm to the first KVM_RUN", None, "ms", peer=why)
        return
    times, inside, memory = [], [], []
    for _ in range(ROUNDS):
        m = start(b.tmp)
        started = m.expect("VMM_STARTED")
        times.append((started["spawn_ns"] - m.start_ns) / 1e6)
        inside.append(ioctl_ms(m))
        time.sleep(0.05)
        memory.append(own_memory_kib(m.pid) / 1024)
        m.close()
    value, kvm = statistics.median(times), statistics.median(inside)
    table.add("kvm: exec of msb-vmm to the first KVM_RUN", value, "ms",
              f"at most {GOAL_START_MS} ms", f"in KVM's own ioctls: {kvm:.2f} ms",
              None, value <= GOAL_START_MS)
    value = max(memory)
    table.add("kvm: memory of msb-vmm without guest RAM", value, "MiB",
              f"at most {GOAL_MEMORY_MIB} MiB", None, None, value <= GOAL_MEMORY_MIB)
    table.add("size of msb-vmm, stripped", stripped_mib(b), "MiB")
    exits(table, b.tmp)


def exits(table, tmp):
    """Exits to msb-vmm from the first instruction to "Run /init", by kind.

    Their number does not depend on the speed of the host, so emulated KVM tells
    it, too, if slowly (a minute or two) and with the kernel's compat variant.
    The init cannot be run, so the kernel panics there.
    """
    kernel, words = vmm.KERNEL, ""
    if compat.is_needed():
        kernel, words = compat.kernel(), " " + compat.words()
    m = start(tmp, vmm.initramfs(b"not a program"), kernel=kernel, boot_timeout_ms=600000,
              cmdline=vmm.cmdline() + words + " panic=0")  # no exits for a reset
    m.failed(610)
    counts = re.search(r"exits of processor 0: (.*)", m.log_text())[1]
    m.close()
    kinds = {k: int(n) for k, n in re.findall(r"(\w+) (\d+)", counts)}
    table.add("kvm: exits from entry to Run /init", sum(kinds.values()), "",
              None, ", ".join(f"{n} {k}" for k, n in kinds.items() if n))


def stripped_mib(b):
    out = b.tmp / "msb-vmm.stripped"
    subprocess.run(["strip", "-o", out, b.build / "msb-vmm"], check=True)
    return out.stat().st_size / (1 << 20)
