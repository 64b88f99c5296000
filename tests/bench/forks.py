#!/usr/bin/env python3
"""Snapshots and forks, measured: time and bytes of each with 1 GiB on the disk,
against a sparse copy and qemu-img's overlay in the same run; and with --forks N
so many machines of one snapshot at once, each of which must see the same."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
GIB = 1 << 30
GOAL_MS = 20


def timed(argv):
    begin = time.monotonic()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - begin) * 1000


def peers(tmp, rounds):
    """The same 1 GiB: copied, and put below qemu-img's overlay."""
    disk, copied, over = tmp / "disk", [], []
    with open(disk, "wb") as f:
        block = os.urandom(1 << 20)
        f.seek(64 << 20)
        for _ in range(1024):
            f.write(block)
        f.truncate(8 * GIB)
        os.fsync(f.fileno())
    for _ in range(rounds):
        copied.append(timed(["cp", "--sparse=always", "--reflink=never", disk, tmp / "copy"]))
        (tmp / "copy").unlink()
        over.append(timed(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", tmp / "over"]))
        (tmp / "over").unlink()
    disk.unlink()
    return statistics.median(copied), statistics.median(over)


def measure(build, tmp, rounds):
    (tmp / "root").mkdir()
    (tmp / "root/file").write_text("x")
    out = subprocess.run([build / "tests/bench/bench_snapshot_times", tmp / "home", tmp / "root", str(rounds), str(GIB)],
                         check=True, stdout=subprocess.PIPE).stdout
    runs = json.loads(out)
    copy, overlay = peers(tmp, rounds)
    met = True
    for what in ("snapshot", "fork"):
        ms = [r[f"{what}_ms"] for r in runs]
        added = max(r[f"{what}_bytes"] for r in runs)
        good = statistics.median(ms) <= GOAL_MS and added < 1 << 20
        met &= good
        print(f"{what:9} {statistics.median(ms):8.2f} ms (of {rounds}: {min(ms):.2f} to {max(ms):.2f}), "
              f"{added / 1024:.0f} KiB added at most; {copy / statistics.median(ms):.0f} times as fast as cp ({copy:.0f} ms), "
              f"{overlay / statistics.median(ms):.1f} times as fast as qemu-img create -b ({overlay:.1f} ms)"
              f"{'' if good else '  NOT MET'}")
    return met


def machines(build, tmp, n, at_once):
    env = dict(os.environ, MSB_HOME=str(tmp / "forks"))
    layout = subprocess.run([TOP / "tests/images/build.py", "--busybox-only"], check=True, text=True,
                            stdout=subprocess.PIPE).stdout.strip() + "/busybox"

    def msb(*words, **kw):
        r = subprocess.run([build / "msb", *words], env=env, text=True, capture_output=True, **kw)
        assert r.returncode == 0, (words, r.stderr)
        return r.stdout

    def run(name, script):
        return msb("exec", "-q", name, "--", "sh", "-c", script).split()

    msb("create", "-q", "--name", "base", "-m", "96", layout)
    sum_, = run("base", "dd if=/dev/urandom of=/data bs=1M count=16 2>/dev/null; md5sum </data | cut -c1-32")
    msb("stop", "-q", "base")
    msb("snapshot", "create", "-q", "s", "--from", "base")
    names = [f"f{i}" for i in range(n)]
    try:
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            def each(fn):
                return list(pool.map(fn, names))
            begin = time.monotonic()
            each(lambda f: msb("create", "-q", "--name", f, "-m", "64", "--boot-timeout", "20m", "--from-snapshot", "s"))
            up = time.monotonic() - begin
            running = len(json.loads(msb("ps", "--format", "json")))
            each(lambda f: run(f, f"echo {f} >/mine; sync"))
            got = each(lambda f: run(f, "cat /mine; md5sum </data | cut -c1-32"))
        assert running == n, running
        assert got == [[f, sum_] for f in names], [g for g, f in zip(got, names) if g != [f, sum_]]
        own = sum(p.stat().st_blocks * 512 for p in (tmp / "forks/sandboxes").glob("*/upper-*.qcow2"))
        print(f"{n} forks ran at once, all up after {up:.0f} s, each with the snapshot's 16 MiB and what it wrote; "
              f"{own / n / 1024:.0f} KiB of its own for each")
    finally:
        subprocess.run([build / "msb", "rm", "-q", "-f", "base", *names], env=env)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--forks", type=int, default=0)
    p.add_argument("--at-once", type=int, default=8, help="starts in parallel")
    p.add_argument("--folder", help="where the files are, for another file system")
    a = p.parse_args()
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="msb-bench-forks-", dir=a.folder))
    try:
        met = measure(a.build, tmp, a.rounds) if a.rounds else True
        if a.forks:
            machines(a.build, tmp, a.forks, a.at_once)
    finally:
        shutil.rmtree(tmp)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
