#!/usr/bin/env python3
"""Shares of host folders against QEMU's virtiofsd and 9P: the same guest in the same run, row by row in turns.

    tests/bench/share.py [--build build] [--rounds 3] [--only PEER,...] [--xattr]

Each figure is the median of the rounds; the ratio is the peer's time to ours, so more than 1 is ahead. Times are taken in
the guest; the processor time is that of QEMU and the server together, which other work on the host changes less. The
files are in the host's page cache, "cold" means that the guest has dropped its caches.
"""
import argparse
import importlib.util
import io
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/bench"), str(TOP / "tests/e2e"), str(TOP / "tests/images")]
import shareguest as g  # noqa: E402

GIB = 1 << 30
DROP = "sync; echo 3 >/proc/sys/vm/drop_caches"
FIO = ("fio --name=x --directory=/mnt --filename=big --size=1g --bs=4k --ioengine=psync --direct=1 --time_based "
       "--runtime=6 --randrepeat=0 --output-format=json --rw={}")


def timed(line):
    """A line of bash that prints the seconds which `line` took."""
    return (f"s=$EPOCHREALTIME; {line} >/dev/null || echo failed; e=$EPOCHREALTIME; "
            "echo $(( (${e/./} - ${s/./}) )) | awk '{printf \"%.4f\\n\", $1 / 1e6}'")


def seconds(guest, line):
    code, said = guest(timed(line))
    assert code == 0 and "failed" not in said, said
    return float(said.split()[-1]), guest.spent


def walk(guest):
    code, said = guest("/mnt/walk /mnt/tree")
    assert code == 0, said
    count, took = said.split()
    assert int(count) > 15000, said
    return float(took), guest.spent


def walks(guest):
    guest(DROP)
    cold = walk(guest)
    return {"walk, cold": cold, "walk, warm": walk(guest)}


def read(guest):
    guest(DROP)
    return {"read of 1 GiB": seconds(guest, "dd if=/mnt/big of=/dev/null bs=1M")}


def write(guest):
    guest(DROP)
    took = seconds(guest, "dd if=/dev/zero of=/mnt/new bs=1M count=1024 status=none")
    guest("rm /mnt/new")
    return {"write of 1 GiB": took}


def fio(guest):
    rows = {}
    for how in ("read", "write"):
        code, said = guest(FIO.format("rand" + how))
        assert code == 0, said
        job = json.loads(said[said.index("{"):said.rindex("}") + 1])["jobs"][0]
        rows[f"fio random 4k {how}, one request"] = 1 / job[how]["iops"], guest.spent / job[how]["total_ios"]
    return rows


def status(guest):
    line = "git -C /mnt/repo -c safe.directory='*' -c core.checkStat=minimal status --short"
    guest(line)  # the index is as this guest sees the files
    guest(DROP)
    cold = seconds(guest, line)
    return {"git status, cold": cold, "git status, warm": seconds(guest, line)}


def unpack(guest):
    guest(DROP)
    guest("mkdir /mnt/un")
    took = seconds(guest, "tar -xf /opt/tree.tar -C /mnt/un ./fs")
    return {"tar x of 2,000 files": took, "rm -r of them": seconds(guest, "rm -r /mnt/un")}


CALLS = """
import os, time
d = "/mnt/calls"
os.mkdir(d)
open(d + "/f", "w").close()
def each(name, call):
    start = time.monotonic()
    for i in range(1000):
        call(i)
    print(name, (time.monotonic() - start) / 1000, flush=True)
each("link", lambda i: os.link(d + "/f", f"{d}/l{i}"))
each("create", lambda i: open(f"{d}/c{i}", "w").close())
each("rename", lambda i: os.rename(f"{d}/c{i}", f"{d}/d{i}"))
each("open", lambda i: open(f"{d}/d{i}").close())
each("unlink", lambda i: (os.unlink(f"{d}/l{i}"), os.unlink(f"{d}/d{i}")))
os.unlink(d + "/f")
os.rmdir(d)
"""


def calls(guest):
    code, said = guest("python3 /mnt/calls.py")
    assert code == 0, said
    took = {f"one {name}": (float(took), None) for name, took in map(str.split, said.splitlines())}
    return {"6,000 calls": (1000 * sum(t for t, _ in took.values()), guest.spent), **took}


ROWS = [walks, calls, status, read, write, fio, unpack]


def prepare(folder, image):
    """The shared folder."""
    folder.mkdir()
    with open(folder / "big", "wb") as f:
        block = os.urandom(1 << 20)
        for _ in range(GIB >> 20):
            f.write(block)
    (folder / "calls.py").write_text(CALLS)
    subprocess.run(["musl-gcc", "-static", "-O2", "-o", folder / "walk", TOP / "tests/bench/walk.c"], check=True)
    mount = folder.parent / "image"
    mount.mkdir()
    git = ["git", "-c", "safe.directory=*", "-c", "core.checkStat=minimal"]
    with opt_of(image, mount) as opt:
        (folder / "tree").mkdir()
        subprocess.run(["tar", "-xf", opt / "tree.tar", "-C", folder / "tree"], check=True)
        subprocess.run([*git, "clone", "-q", opt / "repo.git", folder / "repo"], check=True)


class opt_of:
    """/opt of the image, mounted here."""

    def __init__(self, image, at):
        self.image, self.at = image, at

    def __enter__(self):
        subprocess.run(["mount", "-t", "erofs", "-o", "loop,ro", self.image / "share.erofs", self.at], check=True)
        return self.at / "opt"

    def __exit__(self, *_):
        subprocess.run(["umount", self.at], check=True)


def measure(guests, rounds):
    """{row: {guest: (seconds, of processor time)}}"""
    took = {}
    for i in range(rounds):
        for row in ROWS:
            for guest in guests[i % len(guests):] + guests[:i % len(guests)]:
                for name, value in row(guest).items():
                    took.setdefault(name, {}).setdefault(guest.name, []).append(value)
                    print(f"{guest.name:<20} {name:<36} {value[0]:.5f} {value[1]}", file=sys.stderr, flush=True)

    def median(values):
        values = [v for v in values if v is not None]
        return statistics.median(values) if values else None
    return {row: {name: [median(x) for x in zip(*v)] for name, v in by.items()} for row, by in took.items()}


def start(build, image, shared, tmp, only):
    """(guests, why some are missing)"""
    guests, missing = [], {}
    for kind in only:
        try:
            if kind is g.Ours:
                guests.append(kind(build, image / "share.erofs", shared))
            else:
                guests.append(kind(image / "share.erofs", shared, tmp / kind.__name__))
            code, said = guests[-1](f"date -s @{int(time.time())}; ulimit -n 65536; cp /mnt/walk /tmp")
            assert code == 0, said
        except (g.Missing, OSError) as e:
            missing[kind.name] = f"missing: {e}"
    return guests, missing


def compare(build, rounds, only, tmp):
    image, shared = g.image(), tmp / "shared"
    prepare(shared, image)
    guests, missing = start(build, image, shared, tmp, only)
    try:
        return measure(guests, rounds), missing
    finally:
        for guest in guests:
            guest.close()


def rows(b):
    """For tests/bench/run.py."""
    with tempfile.TemporaryDirectory(prefix="msb-bench-", dir=b.tmp) as tmp:
        try:
            table, missing = compare(b.build, 3, [g.Ours, g.Virtiofsd, g.Plan9], pathlib.Path(tmp))
        except (g.Missing, subprocess.CalledProcessError) as e:
            b.table.add("share", None, "s", peer=f"missing: {e}")
            return
    for name, by in table.items():
        value = by[g.Ours.name][0]
        for kind in (g.Virtiofsd, g.Plan9):
            other = by[kind.name][0] if kind.name in by else None
            goal = "faster" if kind is g.Virtiofsd else None
            b.table.add(f"share: {name}", value, "s", goal, f"{kind.name}: {other:.4g} s" if other else
                        missing.get(kind.name), other and other / value, goal and bool(other and other >= value))


def layer(entries):
    """A layer of these files: [(name, bytes)]."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in entries:
            t = tarfile.TarInfo(name)
            t.mode, t.size = 0o755, len(data)
            tar.addfile(t, io.BytesIO(data))
    return out.getvalue()


def root_rows(b):
    """The same tree as the root of an image: EROFS on a disk of ours."""
    import oci
    spec = importlib.util.spec_from_file_location("demo", TOP / "tools/demo-image.py")
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    at, program = b.tmp / "root-image", b.tmp / "walk"
    at.mkdir()
    subprocess.run(["musl-gcc", "-static", "-O2", "-o", program, TOP / "tests/bench/walk.c"], check=True)
    (b.tmp / "root/tree").mkdir(parents=True)
    with opt_of(g.image(), at) as opt:
        subprocess.run(["tar", "-xf", opt / "tree.tar", "-C", b.tmp / "root/tree"], check=True)
    tree = subprocess.run(["tar", "-C", b.tmp / "root", "-c", "tree"], check=True, stdout=subprocess.PIPE).stdout
    shutil.rmtree(b.tmp / "root")
    files = layer([("walk", program.read_bytes()), ("big", os.urandom(300_000_000))])
    layout = oci.Layout(b.tmp / "root-layout")
    layout.image("tree", [demo.layer(), tree, files], {"Env": ["PATH=/bin"]}, compress=False)
    b.msb("load", "-q", "-i", layout.finish(), "-t", "bench/tree:1")
    script = f"{DROP}; /walk /tree; /walk /tree; {DROP}; time -p sh -c 'dd if=/big of=/dev/null bs=1M 2>/dev/null'"
    took = [[], [], []]
    for _ in range(3):
        r = b.msb("run", "-q", "-m", "1G", "bench/tree:1", "--", "sh", "-c", script, stdin=subprocess.DEVNULL,
                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = r.stdout.splitlines()
        for i in (0, 1):
            took[i].append(float(lines[i].split()[1]))
        took[2].append(next(float(x.split()[1]) for x in lines if x.startswith("real")))
    for name, values in zip(("walk of 15,000 files, cold", "the same, warm", "read of 300 MB"), took):
        b.table.add(f"root on EROFS: {name}", statistics.median(values), "s")


def show(table):
    """Each figure with its processor time; both with the ratio to ours."""
    def figure(who, by, i):
        value, ours = by[who][i], by.get(g.Ours.name, [None, None])[i]
        if value is None:
            return "-"
        ratio = f" ({value / ours:.2f}x)" if ours and who != g.Ours.name else ""
        return f"{value:.4g} s{ratio}"
    for name, by in table.items():
        print(f"{name:<34}" + " | ".join(f"{who}: {figure(who, by, 0)}, CPU {figure(who, by, 1)}" for who in by))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build")
    p.add_argument("--rounds", type=int, default=3)
    kinds = {"ours": g.Ours, "virtiofsd": g.Virtiofsd, "xattr": g.VirtiofsdXattr, "9p": g.Plan9}
    p.add_argument("--only", default="ours,virtiofsd,9p", help=", ".join(kinds))
    p.add_argument("--rows", help="functions of this file: " + ", ".join(r.__name__ for r in ROWS))
    p.add_argument("--json")
    args = p.parse_args()
    if args.rows:
        ROWS[:] = [r for r in ROWS if r.__name__ in args.rows.split(",")]
    with tempfile.TemporaryDirectory(prefix="msb-bench-") as tmp:
        table, missing = compare((TOP / args.build).resolve(), args.rounds, [kinds[k] for k in args.only.split(",")],
                                 pathlib.Path(tmp))
    show(table)
    for who, why in missing.items():
        print(f"{who}: {why}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
