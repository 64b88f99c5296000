"""The kvm engine in msb-vmm itself, with the guests of tests/kvm: real devices, real jail, hostile drivers.

They have no agent, so each machine ends as one that did not come up; their lines are on its console.
"""
import os

import pytest

from lib import vmm
from lib.vmm import Vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="/dev/kvm cannot be used")

DISK = bytes((i * 7 + i // 512) & 255 for i in range(1 << 20))


@pytest.fixture
def start():
    """Starts machines whose kernel is a guest of tests/kvm and ends them after the test."""
    machines = []

    def make(guest, cmdline="", **settings):
        kernel = vmm.BUILD / "tests/kvm" / f"kvm_guest_{guest}"
        machines.append(Vmm(b"initramfs", [("root", True, DISK), ("upper", False, DISK)], kernel=kernel,
                            cmdline=cmdline, memory_mib=64, **{"engine": "kvm", **settings}))
        return machines[-1]

    yield make
    for m in machines:
        m.close()


def ended_well(m):
    """The guest did all it wanted and reset; msb-vmm reports that as what it is."""
    started = m.expect("VMM_STARTED")
    assert (started["engine"], started["accel"]) == ("kvm", "kvm")
    failed = m.failed(120)
    text = m.console_text()
    assert "done" in text and "not ok" not in text, text
    assert failed["stage"] == "boot" and "before its agent was ready" in failed["message"], failed
    assert b"done" in failed["console"], failed
    return text


@pytest.mark.parametrize("guest, cmdline", [("hello", "mib=64 entry=pvh"), ("hello.64", "mib=64 entry=linux")])
def test_what_a_kernel_learns_first(start, guest, cmdline):
    assert "ok all memory is in the map" in ended_well(start(guest, cmdline))


@pytest.mark.parametrize("engine", ["kvm", "qemu"])
@pytest.mark.parametrize("guest, cmdline", [("rng", ""), ("blk", "sectors=2048")])
def test_the_same_drivers_use_the_same_devices_on_both_engines(start, engine, guest, cmdline):
    """One model, two transports: our virtio-mmio, and vhost-user behind QEMU's."""
    m = start(guest, cmdline, engine=engine)
    assert m.expect("VMM_STARTED")["engine"] == engine
    m.failed(120)
    said, done, _ = m.console_text().partition("done")  # QEMU's microvm has no reset line: a triple fault follows
    assert done and said.count("ok ") > 30 and "not ok" not in said, m.console_text()


@pytest.mark.parametrize("guest", ["hostile", "regs", "flight", "abuse"])
def test_a_hostile_driver_hurts_only_itself(start, guest):
    ended_well(start(guest))


def test_processors_that_fight_over_the_devices(start):
    ended_well(start("race", cpus=4))


def test_a_processor_that_jumps_to_nowhere_is_an_error_of_the_engine(start):
    failed = start("fault", "mode=exec").failed()
    assert failed["stage"] == "engine" and failed["message"], failed


@pytest.mark.parametrize("mode", ["halt", "spin", "all"])
def test_a_guest_that_hangs_ends_when_told(start, mode):
    m = start("hang", f"mode={mode}", cpus=3)
    m.expect("VMM_STARTED")
    vmm.wait_until(lambda: "please kill" in m.console_text(), 30, m.log_text)
    m.send("VMM_STOP", timeout_ms=0)
    assert "stopped before" in m.expect("VMM_FAILED")["message"]
    assert m.wait() == 1


def test_a_guest_that_hangs_ends_in_time(start):
    failed = start("hang", "mode=halt", boot_timeout_ms=1500).failed()
    assert "was not ready within 1.5 s" in failed["message"]


def test_a_guest_that_fights_ends_with_its_owner(start):
    m = start("race", "seconds=100", cpus=3)
    m.expect("VMM_STARTED")
    vmm.wait_until(lambda: "ok more than one processor" in m.console_text(), 30, m.log_text)
    m.control.close()
    assert m.wait(30) == 0
