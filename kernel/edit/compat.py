#!/usr/bin/env python3
"""Edits a finished vmlinux so that it starts where KVM itself is emulated.

    compat.py VMLINUX SYSTEM.MAP RESULT

Some machines' /dev/kvm interprets a guest's kernel instruction by instruction
and knows no int3 there. Linux uses int3 twice: it tries it once at start-up,
and it rewrites code under it (jump labels) so that another CPU, or an
interrupt, that comes by meanwhile is caught. With one CPU, holding interrupts
off does the second job as well. So four edits, none of which moves anything:

1. int3_selftest() returns at once.
2. The callers of text_poke_bp_batch() call it through a few bytes of ours that
   hold interrupts off. They lie in text_poke_kgdb(), which nothing uses.
3. text_poke_bp_batch() does not offer the CPU to others (which would let
   interrupts in).
4. apply_retpolines() returns at once. It rewrites every indirect call, and
   writing to code is slow there: all of it took 87 s of a start, without these
   43. As they are, the calls work as well, by way of a thunk.

All else is the product's kernel, byte for byte, and no compiler runs. Such a
kernel is for one CPU, and for tests. Every edit is checked; a kernel that looks
otherwise is refused.
"""
import re
import struct
import sys

RET = b"\xc3"
CALL, JMP = 0xe8, 0xe9
NOP5 = bytes.fromhex("0f1f440000")
PT_LOAD = 1


class Kernel:
    def __init__(self, image, system_map):
        self.image = bytearray(image)
        rows = [line.split() for line in system_map.splitlines()]
        self.at = {name: int(address, 16) for address, _, name in rows}
        self.order = sorted(set(self.at.values()))
        self.loads = []
        phoff, = struct.unpack_from("<Q", image, 32)
        size, count = struct.unpack_from("<HH", image, 54)
        for i in range(count):
            kind, _, offset, vaddr, _, filesz = struct.unpack_from(
                "<IIQQQQ", image, phoff + size * i)
            if kind == PT_LOAD:
                self.loads.append((vaddr, vaddr + filesz, offset))

    def where(self, name):
        if name not in self.at:
            sys.exit(f"compat: no symbol {name}")
        return self.at[name]

    def end_of(self, name):
        start = self.where(name)
        return next(a for a in self.order if a > start)

    def offset(self, address):
        for start, end, offset in self.loads:
            if start <= address < end:
                return offset + address - start
        sys.exit(f"compat: address {address:#x} is not in the file")

    def branches(self, start, end, target):
        """Where calls of, and jumps to, an address are between two others."""
        base, span = self.offset(start), end - start
        code = self.image[base:base + span]
        for m in re.finditer(b"[\xe8\xe9](?=.{4})", code, re.DOTALL):
            i = m.start()
            step, = struct.unpack_from("<i", code, i + 1)
            if start + i + 5 + step == target:
                yield start + i, code[i]

    def write(self, address, data):
        offset = self.offset(address)
        self.image[offset:offset + len(data)] = data


def call(source, target):
    return struct.pack("<Bi", CALL, target - source - 5)


def one_cpu_text_poke(kernel):
    batch, ours = map(kernel.where, ("text_poke_bp_batch", "text_poke_kgdb"))
    code = (b"\x9c\xfa"                     # pushf; cli
            + call(ours + 2, batch) + b"\x9d" + RET)  # popf; ret
    if ours + len(code) > kernel.end_of("text_poke_kgdb"):
        sys.exit("compat: text_poke_kgdb is too small")
    text = kernel.where("_text"), kernel.where("_etext")
    if list(kernel.branches(*text, ours)):
        sys.exit("compat: text_poke_kgdb is in use")
    found = list(kernel.branches(*text, batch))
    if not found or any(kind != CALL for _, kind in found):
        sys.exit("compat: text_poke_bp_batch is not only called")
    for address, _ in found:
        kernel.write(address, call(address, ours))
    kernel.write(ours, code)


def no_resched(kernel):
    start, end = (kernel.where("text_poke_bp_batch"),
                  kernel.end_of("text_poke_bp_batch"))
    found = list(kernel.branches(start, end, kernel.where("__cond_resched")))
    if len(found) != 1 or found[0][1] != CALL:
        sys.exit("compat: text_poke_bp_batch calls __cond_resched "
                 f"{len(found)} times, not once")
    kernel.write(found[0][0], NOP5)


def main():
    vmlinux, system_map, result = sys.argv[1:]
    with open(vmlinux, "rb") as f, open(system_map, encoding="ascii") as m:
        kernel = Kernel(f.read(), m.read())
    if b"\xcc" not in kernel.image[kernel.offset(
            kernel.where("int3_selftest")):][:256]:
        sys.exit("compat: int3_selftest has no int3")
    for name in ("int3_selftest", "apply_retpolines"):
        kernel.write(kernel.where(name), RET)
    one_cpu_text_poke(kernel)
    no_resched(kernel)
    with open(result, "wb") as f:
        f.write(kernel.image)


if __name__ == "__main__":
    main()
