"""The kvm engine's loader, with another machine as the judge: memory as it fills it, run by QEMU.

A BIOS of a few instructions (loader/bios.S) enters the kernel as our monitor does; all else that Linux
needs, it must find in the loader's tables. It says what it found.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

from conftest import TOP, need

sys.path.insert(0, str(TOP / "tests" / "bench"))
import peer  # noqa: E402

MEMORY = 192  # MiB
BUILD = pathlib.Path(os.environ.get("MSB_BUILD", TOP / "build"))
HERE = pathlib.Path(__file__).parent / "loader"
SOURCES = ["vmm/kvm/loader.c", "vmm/kvm/loader_file.c", "vmm/kvm/elf.c", "vmm/kvm/bzimage.c", "vmm/kvm/pvh.c",
           "vmm/kvm/zero_page.c", "vmm/kvm/mptable.c", "virtio/mem.c", "base/err.c", "base/fdio.c", "base/buf.c",
           "base/num.c"]
# The clock's speed is told: QEMU's PIT is on another line of the interrupt controller than KVM's.
CMDLINE = ("console=ttyS0 earlycon=uart8250,io,0x3f8 apic=debug tsc_khz=2400000 " +
           (TOP / "kernel" / "cmdline").read_text().strip().replace("loglevel=5", "loglevel=7"))
ANY, PVH, ENTRY_64 = range(3)
OURS = BUILD / "vmlinux"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    program = tmp_path_factory.mktemp("loader") / "image"
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-I", TOP / "src",
                    "-o", program, HERE / "image.c", *(TOP / "src" / s for s in SOURCES)], check=True)
    return program


def debian():
    try:
        (kernel,) = (peer.fetch() / "boot").glob("vmlinuz-*")
    except peer.Missing as e:
        pytest.skip(f"missing: Debian's cloud kernel: {e}")
    return kernel


def fill(image, tmp, kernel, want, cpus):
    """The memory in two files; how and where to enter."""
    r = subprocess.run([image, kernel, BUILD / "initramfs.cpio", CMDLINE, str(cpus), str(want), str(MEMORY),
                        tmp / "low", tmp / "high"], check=True, capture_output=True, text=True)
    entry, rip = r.stdout.split()
    return ENTRY_64 if entry == "1" else PVH, int(rip)


def make_bios(tmp, entry, rip):
    flags = [f"-DENTRY={rip}"] + (["-DLONG"] if entry == ENTRY_64 else [])
    subprocess.run(["cc", "-c", *flags, "-o", tmp / "bios.o", HERE / "bios.S"], check=True)
    subprocess.run(["ld", "-Ttext=0", "-e", "0", "--oformat=binary", "-o", tmp / "bios", tmp / "bios.o"], check=True)
    assert (tmp / "bios").stat().st_size == 0x10000


def boot(image, tmp, kernel, want, cpus):
    """What the kernel says up to its end; how it was entered."""
    need("qemu-system-x86_64")
    entry, rip = fill(image, tmp, kernel, want, cpus)
    make_bios(tmp, entry, rip)
    argv = ["qemu-system-x86_64", "-machine",
            "microvm,pit=on,pic=on,rtc=off,isa-serial=on,acpi=off,x-option-roms=off",
            "-accel", "tcg", "-cpu", "max", "-m", str(MEMORY), "-smp", str(cpus), "-bios", tmp / "bios",
            "-device", f"loader,file={tmp}/low,addr=0,force-raw=on",
            "-device", f"loader,file={tmp}/high,addr=0x100000,force-raw=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"]
    r = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=100, stdin=subprocess.DEVNULL)
    for name in ("low", "high"):
        with contextlib.suppress(OSError):
            (tmp / name).unlink()
    assert r.returncode == 0, r.stderr
    return entry, r.stdout.replace("\r", "")


def check_memory(text):
    size = (BUILD / "initramfs.cpio").stat().st_size
    start = (MEMORY * 2**20 - size) & ~4095
    assert "[mem 0x0000000000000000-0x000000000009fbff] usable" in text
    assert "[mem 0x000000000009fc00-0x00000000000fffff] reserved" in text
    assert f"[mem 0x0000000000100000-0x{MEMORY * 2**20 - 1:016x}] usable" in text
    assert re.search(rf"RAMDISK: \[mem 0x{start:08x}-", text)
    assert f"Command line: {CMDLINE}\n" in text
    assert "Run /init as init process" in text  # so it was unpacked


@pytest.mark.parametrize("want", [PVH, ENTRY_64])
@pytest.mark.parametrize("cpus", [1, 3])
def test_our_kernel_finds_all(image, tmp_path, want, cpus):
    entry, text = boot(image, tmp_path, OURS, want, cpus)
    assert entry == want
    check_memory(text)
    assert "found SMP MP-table at [mem 0x0009fc00-0x0009fc0f]" in text
    assert "MPTABLE: Product ID: microsandbox" in text
    assert f"Processors: {cpus}\n" in text
    assert f"IOAPIC[0]: apic_id {cpus}," in text and "GSI 0-23" in text
    assert len(re.findall(r"Int: type 0, pol 0, trig 0", text)) == 24
    assert "Lint: type 3" in text and "Lint: type 1" in text
    assert f"Brought up 1 node, {cpus} CPU" in text
    assert "BIOS bug" not in text and "checksum" not in text.lower()


def test_debians_bzimage_starts(image, tmp_path):
    entry, text = boot(image, tmp_path, debian(), ANY, 1)
    assert entry == ENTRY_64
    assert re.search(r"Linux version [\d.]+-\d+-cloud-amd64", text)
    check_memory(text)


def test_segments_are_where_objcopy_puts_them(image, tmp_path):
    """objcopy flattens an ELF by the same physical addresses, from its lowest on."""
    need("objcopy")
    fill(image, tmp_path, OURS, PVH, 1)
    subprocess.run(["objcopy", "-O", "binary", OURS, tmp_path / "flat"], check=True)
    lines = subprocess.run(["readelf", "-lW", OURS], check=True, capture_output=True, text=True).stdout
    lowest = min(int(line.split()[3], 16) for line in lines.splitlines() if line.strip().startswith("LOAD"))
    flat = (tmp_path / "flat").read_bytes()
    high = (tmp_path / "high").read_bytes()
    assert high[lowest - 0x100000:][:len(flat)] == flat
    assert not any(high[:lowest - 0x100000])
