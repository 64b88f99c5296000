#!/usr/bin/env python3
"""What programs make of a share, at length: the comparer over many seeds, every file system stressor of stress-ng, fio
with verification, dbench, git, npm, pip, SQLite, PostgreSQL with its regression tests, the kernel's source.

    tests/bench/proof.py [--build build] [--only WORD,...] [--cache auto] [--seeds 20] [--calls 5000]

Prints a row for each; what fails is run again on ext4 in the same guest. tests/e2e/test_share_proof.py is the short one.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/bench"), str(TOP / "tests/e2e")]
import shareguest as g  # noqa: E402
from lib import sharework as w  # noqa: E402

UPPER = "6G"
KERNEL = "tar x of the kernel's source"
KINDS = {tarfile.REGTYPE: stat.S_IFREG, tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK}


def cases(args):
    """(name, script)"""
    for seed in range(1, args.seeds + 1):
        yield f"fscompare seed {seed}", (f"fscompare -x {w.NOT_COMPARED} -s {seed} -n {args.calls} $E $D")
    for name in w.STRESSORS:
        yield f"stress-ng {name}", w.STRESS.format(name=name, timeout=300, seconds=args.seconds, workers=2)
    for engine, more in (("psync", ""), ("libaio", "--iodepth=16"), ("libaio", "--direct=1 --iodepth=16"),
                         ("io_uring", "--iodepth=8"), ("mmap", ""), ("pvsync2", "--numjobs=3"), ("sync", "--fsync=16")):
        yield f"fio verify {engine} {more}".strip(), w.FIO.format(size="128m", engine=engine, more=more, fallocate="none")
    yield "dbench, 4 clients, 30 s", w.DBENCH.format(seconds=30)
    yield "git clone, commit, gc, fsck", w.GIT.format(more="")
    yield "npm ci", w.NPM
    yield "pip install", w.PIP.format(packages="requests flask pyyaml numpy", modules="requests, flask, yaml, numpy")
    yield "SQLite, WAL, 3 writers", w.SQLITE.format(rows=300)
    yield "PostgreSQL pgbench, crash, recovery", w.POSTGRES.format(initdb="", listen="", scale=5, seconds=30)
    yield "PostgreSQL pg_regress", w.REGRESS.format(initdb="", listen="", tests="--schedule=parallel_schedule")
    yield KERNEL, w.TAR.format(archive="/mnt/linux.tar")


def unpacked(archive, folder):
    """Whether the host has in this folder what is in the archive, no more and no less; and how much that is."""
    left = {str(p.relative_to(folder)) for p in folder.rglob("*")}
    digest, files, size = hashlib.sha256(), 0, 0
    with tarfile.open(archive) as tar:
        for m in tar:
            name, at = m.name.removeprefix("./"), folder / m.name
            if name not in left:
                return False, f"not on the host: {name}\n"
            left.remove(name)
            st = at.lstat()
            there = [stat.S_IFMT(st.st_mode), st.st_uid, st.st_gid]
            want = [KINDS[m.type], m.uid, m.gid]
            if m.issym():
                there, want = [*there, os.readlink(at)], [*want, m.linkname]
            else:
                there, want = [*there, stat.S_IMODE(st.st_mode), int(st.st_mtime)], [*want, m.mode, int(m.mtime)]
            if there != want:
                return False, f"{name}: {there} on the host, {want} in the archive\n"
            if m.isreg():
                data = at.read_bytes()
                if data != tar.extractfile(m).read():
                    return False, f"{name}: other contents on the host\n"
                digest.update(data)
                files, size = files + 1, size + len(data)
    return not left, (f"on the host as in the archive: {files:,} files, {size:,} bytes, sha256 {digest.hexdigest()[:16]}; "
                      f"more there: {len(left)}\n")


def note(said):
    """What of the output goes into the table."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    return lines[-1][:100] if lines else ""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build")
    p.add_argument("--only", help="parts of names")
    p.add_argument("--cache", default="auto")
    p.add_argument("--seeds", type=int, default=20)
    p.add_argument("--calls", type=int, default=5000)
    p.add_argument("--seconds", type=int, default=8, help="of each stressor")
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    build = (TOP / args.build).resolve()
    wanted = [c for c in cases(args) if not args.only or any(o in c[0] for o in args.only.split(","))]
    image = g.image()
    g.kernel = lambda: build / "vmlinux"  # the product's
    g.SECONDS = 3600
    with tempfile.TemporaryDirectory(prefix="msb-bench-") as tmp:
        tmp, failed = pathlib.Path(tmp), 0
        (tmp / "shared").mkdir()
        if any(name == KERNEL for name, _ in wanted):
            shutil.copy(image / "linux.tar", tmp / "shared/linux.tar")
        w.fscompare(tmp / "shared/fscompare")
        guest = g.Ours(build, image / "share.erofs", tmp / "shared", memory=1536, cache=args.cache,
                       disks=[("upper", False, upper(tmp))])
        try:
            code, said = guest(f"date -s @{int(time.time())}; cp /mnt/fscompare /usr/local/bin; mkdir /ext; "
                               "mount /dev/vdb /ext; ulimit -n 65536")
            assert code == 0, said
            work = w.Work(guest)
            looks = {KERNEL: lambda folder: unpacked(image / "linux.tar", tmp / "shared" / folder / "tree")}
            print("| what | result | s | |\n|---|---|---|---|")
            for name, script in wanted:
                start = time.monotonic()
                code, said = work.run(script, look=looks.get(name))
                took = time.monotonic() - start
                result = "passed"
                if code:
                    failed += 1
                    there, theirs = work.run(script, on="/ext")
                    result = f"FAILED ({code}); on ext4 " + ("passed" if there == 0 else f"failed, too ({there})")
                    print(f"--- {name}: share\n{said[-2500:]}\n--- ext4\n{theirs[-1200:]}\n---", file=sys.stderr)
                elif args.verbose:
                    print(said[-1500:], file=sys.stderr)
                print(f"| {name} | {result} | {took:.0f} | {note(said)} |", flush=True)
        finally:
            guest.close()
    return failed != 0


def upper(tmp):
    """A file system of its own for the guest's root, and to compare with."""
    for folder in ("u", "w"):
        (tmp / "tree" / folder).mkdir(parents=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tmp / "tree", tmp / "upper", UPPER], check=True)
    return tmp / "upper"


if __name__ == "__main__":
    sys.exit(main())
