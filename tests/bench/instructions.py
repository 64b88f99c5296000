"""Guest instructions from a kernel's entry to its init: ours and two peers.

QEMU's emulation counts them (count.c). Each kernel starts on the same machine,
one vCPU and 512 MiB, uncompressed and by its PVH entry, with the same one-file
initramfs; the count ends at init's first instruction. So neither firmware nor
decompression counts, nor do the modules that Debian's kernel would load next.

Emulation has no paravirtual clock, so kernels that do not know our command
line's words wait in loops for their timers. On KVM they would not, so what
those loops execute is taken off (WAITS), by the kernel's own symbols: a second
start without the counter fetches them. A repeated string instruction (rep
movs) counts once, as a processor would, not once for each round.
"""
import bisect
import collections
import ctypes
import gzip
import lzma
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import peer

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/e2e"))
from lib import vmm  # noqa: E402

NPM = "@superradcompany/microsandbox-linux-x64-gnu"
INIT_AT = 0x4d5b42000000  # where no kernel has anything
PVH_ENTRY = 18
WAITS = {"delay_tsc", "delay_loop", "__delay", "calibrate_APIC_clock",
         "pit_calibrate_tsc", "quick_pit_calibrate", "pit_expect_msb",
         "pit_verify_msb", "native_calibrate_cpu", "native_calibrate_tsc",
         "pit_hpet_ptimer_calibrate_cpu", "calibrate_delay_converge",
         "calibrate_delay", "mach_get_cmos_time", "mc146818_get_time"}
COMMON = "panic=-1 reboot=t tsc=reliable no_timer_check rdinit=/init"

Kernel = collections.namedtuple("Kernel", "name file entry words machine")
Count = collections.namedtuple("Count", "work waits rounds functions")


def pvh_entry(notes):
    """The 32-bit entry's address, and where in these bytes its note is."""
    head = struct.pack("<II", 8, PVH_ENTRY) + b"Xen\0"
    at = notes.find(struct.pack("<I", 4) + head)
    if at < 0:
        raise peer.Missing("no PVH entry")
    return struct.unpack_from("<Q", notes, at + 16)[0], at


def elf_notes(path):
    data = path.read_bytes()
    phoff, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    out = b""
    for i in range(count):
        kind, _, offset, _, _, filesz = struct.unpack_from(
            "<IIQQQQ", data, phoff + size * i)
        if kind == 4:
            out += data[offset:offset + filesz]
    return out


def lz4_legacy(data):
    lz4 = ctypes.CDLL("liblz4.so.1")
    out, at, room = b"", 4, 8 << 20
    block = ctypes.create_string_buffer(room)
    while at + 8 <= len(data):  # the last word is the unpacked size
        n, = struct.unpack_from("<I", data, at)
        at += 4
        got = lz4.LZ4_decompress_safe(data[at:at + n], block, n, room)
        if got <= 0:
            raise peer.Missing("its LZ4 payload cannot be read")
        out += block.raw[:got]
        at += n
    return out


def unpack_bzimage(path):
    image = path.read_bytes()
    setup = ((image[0x1f1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[setup + offset:setup + offset + length]
    for magic, unpack in ((b"\x02\x21\x4c\x18", lz4_legacy),
                          (b"\xfd7zXZ", lambda d: lzma.decompress(d[:-4])),
                          (b"\x1f\x8b", lambda d: gzip.decompress(d[:-4]))):
        if payload.startswith(magic):
            return unpack(payload)
    raise peer.Missing("a payload of unknown compression")


def debian(tmp):
    source = next((peer.fetch() / "boot").glob("vmlinuz-*"))
    path = tmp / "debian.elf"
    path.write_bytes(unpack_bzimage(source))
    words = f"console=ttyS0 loglevel=5 {COMMON} tsc_early_khz="
    return Kernel(f"Debian cloud {source.name[8:]}", path,
                  pvh_entry(elf_notes(path))[0], words,
                  "acpi=on,rtc=on")


def npm_package():
    final = peer.cache() / "npm-microsandbox"
    if not final.is_dir():
        tmp = peer.cache() / f"npm.{os.getpid()}.tmp"
        tmp.mkdir()
        try:
            subprocess.run(["npm", "pack", "--silent", NPM], cwd=tmp,
                           check=True, capture_output=True)
            subprocess.run(["tar", "-xzf", next(tmp.glob("*.tgz")), "-C", tmp,
                            "--wildcards", "*/libkrunfw.so*",
                            "*/package.json"], check=True)
            (tmp / "package").rename(final)
        except (OSError, subprocess.CalledProcessError) as e:
            raise peer.Missing(f"npm pack {NPM}: {e}") from e
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
    return final


def krun(tmp):
    """The kernel inside libkrunfw is flat: an ELF header goes in front."""
    library = next((npm_package() / "lib").glob("libkrunfw.so*"))
    get = ctypes.CDLL(str(library)).krunfw_get_kernel
    get.restype = ctypes.c_void_p
    load, start, size = (ctypes.c_size_t() for _ in range(3))
    image = ctypes.string_at(get(*map(ctypes.byref, (load, start, size))),
                             size.value)
    entry, at = pvh_entry(image)
    note = image[at:at + 24]
    page = 4096
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, start.value, 64, 0, 0,
        64, 56, 2, 64, 0, 0)
    header += struct.pack(
        "<IIQQQQQQ", 1, 7, page, load.value, load.value, size.value,
        size.value, page)
    header += struct.pack("<IIQQQQQQ", 4, 4, 64 + 2 * 56, 0, 0, len(note),
                          len(note), 4)
    path = tmp / "krun.elf"
    path.write_bytes((header + note).ljust(page, b"\0") + image)
    # Its own words, without those for a root file system of its monitor's.
    words = f"nomodule console=hvc0 quiet no-kvmapf {COMMON} tsc_early_khz="
    return Kernel(f"npm's microsandbox, {library.name}", path, entry, words,
                  "acpi=off,rtc=off")


def ours(build):
    path = (build / "vmlinux").resolve()
    return Kernel("ours", path, pvh_entry(elf_notes(path))[0],
                  (build / "cmdline").read_text().strip() + " tsc_khz=",
                  "acpi=off,rtc=off")


class Counter:
    def __init__(self, tmp, qemu):
        self.tmp, self.qemu = tmp, qemu
        cc = os.environ.get("CC", "gcc")
        here = TOP / "tests/bench"
        subprocess.run([cc, "-O2", "-fPIC", "-shared", "-fvisibility=hidden",
                        "-o", tmp / "count.so", here / "count.c"], check=True)
        subprocess.run([cc, "-Os", "-static", "-nostdlib", "-ffreestanding",
                        "-fno-stack-protector", "-fpie", "-Wl,-no-pie",
                        "-fno-asynchronous-unwind-tables",
                        "-Wl,--build-id=none,-z,noseparate-code,-s",
                        f"-Wl,-Ttext-segment={INIT_AT:#x}",
                        "-o", tmp / "init", here / "count_init.c"], check=True)
        init = (tmp / "init").read_bytes()
        self.end, = struct.unpack_from("<Q", init, 24)
        (tmp / "initramfs").write_bytes(vmm.initramfs(init))
        subprocess.run([cc, "-O2", "-o", tmp / "tsc",
                        TOP / "kernel/bench/tsc.c"], check=True)
        self.khz = subprocess.run([tmp / "tsc"], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.strip()

    def start(self, kernel, *options):
        machine = ("microvm,pit=on,pic=on,isa-serial=on,memory-backend=ram,"
                   f"auto-kernel-cmdline=on,{kernel.machine}")
        r = subprocess.run(
            [self.qemu, "-M", machine, "-accel", "tcg,thread=single",
             "-cpu", "max", "-m", "512", "-object",
             f"memory-backend-file,id=ram,size=512M,mem-path={self.tmp}/ram,"
             "share=on", "-nodefaults", "-no-user-config", "-no-reboot",
             "-nographic", "-serial", "stdio", "-kernel", kernel.file,
             "-initrd", self.tmp / "initramfs",
             "-append", kernel.words + self.khz, *options],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=120, check=True)
        return r.stdout, r.stderr

    def symbols(self, kernel):
        """(addresses, names) of the kernel's functions, in order."""
        ram = self.tmp / "ram"
        self.start(kernel)
        magic, pages = b">--msb-kallsyms!", {}
        with open(ram, "rb") as f, mmap.mmap(
                f.fileno(), 0, prot=mmap.PROT_READ) as m:
            at = m.find(magic)
            while at >= 0:
                if at % 4096 == 0:
                    number, size = struct.unpack_from("<II", m, at + 16)
                    pages[number] = m[at + 24:at + 24 + size]
                at = m.find(magic, at + 1)
        ram.unlink()
        text = b"".join(pages[i] for i in sorted(pages)).decode()
        rows = [line.split() for line in text.splitlines()]
        rows = sorted((int(a, 16), name) for a, kind, name in rows
                      if kind in "tTwW")
        if not rows:
            raise peer.Missing("the kernel tells no symbols")
        return [a for a, _ in rows], [name for _, name in rows]

    def count(self, kernel):
        out = self.tmp / "blocks"
        text, errors = self.start(
            kernel, "-plugin", f"{self.tmp}/count.so,start={kernel.entry:#x},"
            f"end={self.end:#x},out={out}")
        if "counted " not in text:
            raise peer.Missing(f"init was not reached: {errors or text}")
        total, rounds = map(int, text.rsplit("counted ", 1)[1].split()[:2])
        (self.tmp / "ram").unlink()
        addresses, names = self.symbols(kernel)
        functions = collections.Counter()
        for line in out.read_text().splitlines():
            at, insns, rep, runs = line.split()
            i = bisect.bisect(addresses, int(at, 16)) - 1
            if rep == "0":
                functions[names[i] if i >= 0 else "start"] += (
                    int(insns) * int(runs))
        waits = sum(functions[name] for name in WAITS)
        return Count(total - waits, waits, rounds, functions)


def rows(b):
    """Adds one row for each peer."""
    tmp = b.tmp / "instructions"
    tmp.mkdir()
    name = "guest instructions, entry to init"
    goal = "smallest by a third"
    try:
        counter = Counter(tmp, b.qemu)
        own = counter.count(ours(b.build))
    except (peer.Missing, OSError, subprocess.SubprocessError) as e:
        b.table.add(name, None, "M", goal, f"missing: {e}")
        return
    for make in (debian, krun):
        try:
            kernel = make(tmp)
            other = counter.count(kernel)
        except (peer.Missing, OSError, subprocess.SubprocessError) as e:
            b.table.add(name, own.work / 1e6, "M", goal,
                        f"missing: {make.__name__}: {e}")
            continue
        b.table.add(name, own.work / 1e6, "M", goal,
                    f"{kernel.name}: {other.work / 1e6:.0f} M "
                    f"(and {other.waits / 1e6:.0f} M of waiting)",
                    other.work / own.work, own.work * 3 <= other.work * 2)


def main():
    """instructions.py [BUILD]: each kernel's figures and costly functions."""
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    with tempfile.TemporaryDirectory(prefix="msb-bench-") as folder:
        tmp = pathlib.Path(folder)
        counter = Counter(tmp, shutil.which("qemu-system-x86_64"))
        for kernel in (ours(build.resolve()), krun(tmp), debian(tmp)):
            c = counter.count(kernel)
            print(f"{kernel.name}: {c.work} instructions, {c.waits} more in "
                  f"waiting loops, {c.rounds} rounds of string instructions")
            for name, n in c.functions.most_common(12):
                print(f"  {n:>12} {name}")


if __name__ == "__main__":
    main()
