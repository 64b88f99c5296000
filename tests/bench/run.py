#!/usr/bin/env python3
"""Measure microsandbox against its peers: one table, and build/bench.json.

Every figure with a peer is a ratio taken in the same run, the two taking turns,
so that a noisy machine slows both. Values are medians. A peer that is missing
is named with the reason; it is not skipped in silence.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/bench"), str(TOP / "tests/e2e"),
                str(TOP / "tests/images")]
import instructions  # noqa: E402
import kvm  # noqa: E402
import live  # noqa: E402
import net  # noqa: E402
import peer  # noqa: E402
import sdk  # noqa: E402
import share  # noqa: E402
import tls  # noqa: E402

PHASES = [("boot: QEMU start to init", "spawn", "init"),
          ("boot: init to agent ready", "init", "ready"),
          ("boot: ready to first output byte", "ready", "first_output"),
          ("boot: first output byte to exit", "first_output", "end")]


class Table:
    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, goal=None, peer=None, ratio=None,
            met=None):
        self.rows.append({"name": name, "value": value, "unit": unit,
                          "goal": goal, "peer": peer, "ratio": ratio,
                          "met": met})

    def print(self):
        for r in self.rows:
            value = "-" if r["value"] is None else f"{r['value']:.4g}"
            ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}x"
            met = {None: "", True: "met", False: "NOT MET"}[r["met"]]
            print(f"{r['name']:<44} {value:>8} {r['unit']:<4} {ratio:>7} "
                  f"{met:<8} {r['goal'] or '':<34} {r['peer'] or ''}")

    def save(self, path):
        path.write_text(json.dumps(self.rows, indent=1) + "\n")


class Bench:
    def __init__(self, build, rounds, tmp):
        self.build, self.rounds, self.tmp = build, rounds, tmp
        self.table = Table()
        self.env = dict(os.environ, MSB_HOME=str(tmp / "home"))

    def msb(self, *args, env=None, **kw):
        return subprocess.run([self.build / "msb", *map(str, args)],
                              env={**self.env, **(env or {})}, check=True, **kw)

    def timed_run(self, image, env=None):
        """One `msb run IMAGE -- echo x`: its times, in ms since the start."""
        out = self.tmp / "times.json"
        start = time.monotonic()
        self.msb("run", "-q", "--times", out, image, "--", "echo", "x",
                 env=env, stdout=subprocess.DEVNULL,
                 stdin=subprocess.DEVNULL)
        wall = (time.monotonic() - start) * 1e3
        t = json.loads(out.read_text())
        return {k.removesuffix("_ns"): v / 1e6 for k, v in t.items()}, wall


def median(values):
    return statistics.median(values)


def busybox(b):
    folder = subprocess.run([TOP / "tests/images/build.py", "--busybox-only"],
                            check=True, stdout=subprocess.PIPE,
                            text=True).stdout.strip()
    b.msb("load", "-q", "-i", f"{folder}/busybox", "-t", "bench/busybox:1")
    return "bench/busybox:1"


def boots(b, image):
    """(a) the phases of a boot, (b) the wall time of `msb run`."""
    try:
        env, why = peer.make(b.build, b.tmp / "peer"), None
        b.timed_run(image, env)
    except (peer.Missing, subprocess.CalledProcessError, OSError) as e:
        env, why = None, f"missing: Debian cloud kernel: {e}"
    ours, theirs, walls, their_walls = [], [], [], []
    for _ in range(b.rounds):
        t, wall = b.timed_run(image)
        ours.append(t)
        walls.append(wall)
        if env:
            t, wall = b.timed_run(image, env)
            theirs.append(t)
            their_walls.append(wall)
    name = "same QEMU, Debian's cloud kernel"
    for title, start, end in PHASES:
        value = median([t[end] - t[start] for t in ours])
        other = median([t[end] - t[start] for t in theirs]) if env else None
        goal = "at most 700 ms" if end == "init" else None
        b.table.add(title, value, "ms", goal,
                    f"{name}: {other:.0f} ms" if env else why,
                    other / value if env else None,
                    value <= 700 if goal else None)
    value = median(walls)
    ratio = median(their_walls) / value if env else None
    b.table.add("msb run of a cached image, wall", value, "ms",
                "at most 1200 ms and 1.8x faster",
                f"{name}: {median(their_walls):.0f} ms" if env else why, ratio,
                value <= 1200 and ratio is not None and ratio >= 1.8)


def children():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def measured(fn):
    cpu, wall = children(), time.monotonic()
    fn()
    return children() - cpu, time.monotonic() - wall


def pulls(b):
    """(c) pull against skopeo copy + umoci unpack: CPU seconds and wall."""
    needed = ["docker-registry", "skopeo", "umoci", "mmdebstrap"]
    gone = [p for p in needed if not shutil.which(p)]
    if gone:
        for what in ("CPU", "wall"):
            b.table.add(f"pull of the python image, {what}", None, "s",
                        peer=f"missing: {', '.join(gone)}")
        return
    from conftest import Registry
    folder = pathlib.Path(subprocess.run(
        [TOP / "tests/images/build.py"], check=True, stdout=subprocess.PIPE,
        text=True).stdout.strip())
    (b.tmp / "registry").mkdir()
    registry = Registry(b.tmp / "registry")
    try:
        ref = registry.push(folder / "python", "3.11", "python:3.11")
        ours, theirs = [], []
        for i in range(3):
            home = b.tmp / f"pull{i}"
            ours.append(measured(lambda: b.msb(
                "pull", "-q", ref, env={"MSB_HOME": str(home)})))
            shutil.rmtree(home)
            theirs.append(measured(lambda: skopeo_umoci(b, ref, i)))
            shutil.rmtree(b.tmp / f"skopeo{i}")
    finally:
        registry.close()
    for k, what in ((0, "CPU"), (1, "wall")):
        value, other = (median([x[k] for x in xs]) for xs in (ours, theirs))
        b.table.add(f"pull of the python image, {what}", value, "s", None,
                    f"skopeo copy + umoci unpack: {other:.2f} s",
                    other / value)


def skopeo_umoci(b, ref, i):
    out = b.tmp / f"skopeo{i}"
    out.mkdir()
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy",
                    "--src-tls-verify=false", f"docker://{ref}",
                    f"oci:{out}/layout:x"], check=True)
    subprocess.run(["umoci", "unpack", "--rootless", "--image",
                    f"{out}/layout:x", out / "bundle"], check=True,
                   capture_output=True)


def prepare(b, image):
    """(d) host work to prepare a root file system."""
    r = subprocess.run([b.build / "tests/bench/bench_prepare",
                        b.tmp / "home", image, "50"], check=True,
                       stdout=subprocess.PIPE, text=True)
    totals = [sum(map(int, line.split())) / 1e3
              for line in r.stdout.splitlines()]
    b.table.add("prepare a root file system", median(totals), "ms",
                "at most 5 ms", None, None, median(totals) <= 5)


def status_kib(pid):
    rows = {}
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        for line in f:
            key, _, value = line.partition(":")
            rows[key] = value.split()
    return rows


def memory(b, image):
    """(e) peak of RssAnon + RssFile of msb-vmm; guest RAM is RssShmem."""
    from lib.cli import machine_of
    process = subprocess.Popen(
        [b.build / "msb", "run", "-q", image, "--", "sh", "-c",
         "dd if=/dev/zero bs=64k count=400 2>/dev/null; find / | wc -l; "
         "dd if=/dev/zero of=/file bs=1M count=64; sleep 1"],
        env=b.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL)
    peak, vmm = 0, None
    while process.poll() is None:
        try:
            vmm = vmm or machine_of(process)[0]
            rows = status_kib(vmm)
            peak = max(peak, int(rows["RssAnon"][0]) + int(rows["RssFile"][0]))
        except (OSError, KeyError, AssertionError):
            pass  # it has just ended
        time.sleep(0.005)
    b.table.add("peak memory of msb-vmm without guest RAM", peak / 1024, "MiB")


def listing(b, image):
    """(f) `msb ls` with 1,000 sandboxes on record, each with a folder."""
    for i in range(0, 1000, 2):
        pair = [subprocess.Popen(
            [b.build / "msb", "create", "--no-start", "-q", "-n",
             f"box-{i + k:03}", "--label", "env=prod", image],
            env=b.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for k in range(2)]
        if any(p.wait() for p in pair):
            raise SystemExit("msb create failed")
    for words, goal in ((["ls"], 30), (["ls", "--format", "json"], None),
                        (["inspect", "box-500"], None)):
        walls, cpus = [], []
        for _ in range(max(b.rounds, 20)):
            before, start = children(), time.monotonic()
            b.msb(*words, stdout=subprocess.DEVNULL)
            walls.append((time.monotonic() - start) * 1e3)
            cpus.append((children() - before) * 1e3)
        name = f"msb {' '.join(words)}, 1,000 sandboxes"
        b.table.add(name, median(walls), "ms",
                    goal and f"at most {goal} ms", None, None,
                    goal and median(walls) <= goal)
        b.table.add(f"{name}: CPU", median(cpus), "ms")


# In their order; each adds its rows to the table. The image is busybox's.
PARTS = {
    "boot": boots,
    "pull": lambda b, _: pulls(b),
    "prepare": prepare,
    "memory": memory,
    "live": live.rows,
    "list": listing,
    "instructions": lambda b, _: instructions.rows(b),
    "kvm": lambda b, _: kvm.rows(b),
    "root": lambda b, _: share.root_rows(b),
    "share": lambda b, _: share.rows(b),
    "net": lambda b, _: net.add_rows(b.table, b.build),
    "tls": lambda b, _: tls.add_rows(b.table, b.build, 3),
    "sdk": sdk.rows,
}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", default="build")
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--only", action="append", choices=PARTS,
                   help="this part, and others that are named so")
    args = p.parse_args()
    build = (TOP / args.build).resolve()
    with tempfile.TemporaryDirectory(prefix="msb-bench-") as tmp:
        b = Bench(build, args.rounds, pathlib.Path(tmp))
        image = busybox(b)
        for name, part in PARTS.items():
            if not args.only or name in args.only:
                part(b, image)
    b.table.print()
    if not args.only:
        b.table.save(build / "bench.json")
    missed = [r["name"] for r in b.table.rows if r["met"] is False]
    if missed:
        print("not met: " + ", ".join(missed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
