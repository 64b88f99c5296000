"""Sandboxes that live: exec against ssh, streaming, memory and processor time of idle ones."""
import json
import pathlib
import statistics
import subprocess
import time

import sshguest

SERIAL, CROWD = 1, 16
STREAM_BYTES = 48 << 20
IDLE, IDLE_SECONDS = 20, 20


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))]


def round_trips(b, threads, calls, commands):
    """Milliseconds of each call; the callers take the commands in turn."""
    words = [str(w) for c in commands for w in (*c, "::")][:-1]
    out = subprocess.run([b.build / "tests/bench/bench_roundtrip", str(threads), str(calls), *words], env=b.env,
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return [int(line) / 1e6 for line in out.split()]


def exec_rows(b, guest, why):
    """(h) a command in a machine that runs, one after the other and 16 at once. The ways take turns."""
    ways = {"msb exec": [[b.build / "msb", "exec", "-q", "bench", "--", "true"]],
            "library": [["--exec", b.tmp / "home", "bench", "true"]]}
    if guest:
        ways["ssh"] = [[*c, "true"] for c in guest.ssh()]
    for threads, calls in ((SERIAL, 16), (CROWD, 64)):
        if guest:
            ways["ssh, kept connection"] = [[*c, "true"] for c in guest.shared(threads)]
        took = {name: [] for name in ways}
        for _ in range(max(3, b.rounds // 2)):
            for name, commands in ways.items():
                took[name] += round_trips(b, threads, calls, commands)
        at = "" if threads == SERIAL else f", {threads} at once"
        for mine, theirs, goal in (("msb exec", "ssh", 3), ("library", "ssh, kept connection", None)):
            for p in (50, 99):
                value = percentile(took[mine], p)
                other = percentile(took[theirs], p) if guest else None
                b.table.add(f"exec of true{at}: {mine}, p{p}", value, "ms", goal and f"{goal}x faster",
                            f"{theirs}: {other:.1f} ms" if guest else why, other / value if guest else None,
                            bool(guest and other / value >= goal) if goal else None)


def stream_rate(words, env=None):
    start = time.monotonic()
    subprocess.run([*map(str, words)], env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return STREAM_BYTES / 1e6 / (time.monotonic() - start)


def stream_rows(b, guest, why):
    """(i) standard output of a command, to /dev/null here."""
    script = f"exec dd if=/dev/zero bs=64k count={STREAM_BYTES >> 16} 2>/dev/null"
    ours, theirs = [], []
    for _ in range(max(3, b.rounds // 3)):
        ours.append(stream_rate([b.build / "msb", "exec", "-q", "bench", "--", "sh", "-c", script], b.env))
        if guest:
            theirs.append(stream_rate([*guest.ssh()[0], script]))
    value, other = statistics.median(ours), statistics.median(theirs) if theirs else None
    b.table.add("exec: standard output", value, "MB/s", None, f"ssh: {other:.0f} MB/s" if other else why,
                value / other if other else None)


def start(b, image, name, *more):
    b.msb("create", "-q", "-n", name, *more, image, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    out = b.msb("inspect", name, "--format", "json", stdout=subprocess.PIPE).stdout
    return json.loads(out)["pid"]


def kib(pid, *keys):
    rows = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(rows[k].split()[0]) for k in keys)


def below(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *below(child)]
    return found


def seconds(pid):
    """Of processor time, to the nanosecond where the kernel tells."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in
               pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def memory_rows(b, vmm):
    """(j) guest memory is shared, so what is not is the rest."""
    b.table.add("idle detached sandbox: memory of msb-vmm", kib(vmm, "RssAnon", "RssFile") / 1024, "MiB")
    engines = below(vmm)
    if engines:
        b.table.add("idle detached sandbox: QEMU beside guest RAM",
                    sum(kib(p, "RssAnon", "RssFile") for p in engines) / 1024, "MiB")


def idle_rows(b, image):
    """(k) what 20 that nobody uses cost."""
    names = [f"idle-{i}" for i in range(IDLE)]
    vmms = [start(b, image, name, "-m", "128M") for name in names]
    try:
        time.sleep(5)  # what a boot leaves to do is done

        def spent():
            return sum(map(seconds, vmms)), sum(seconds(p) for v in vmms for p in below(v))
        (ours, engines), begin = spent(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        (more, engines_more), took = spent(), time.monotonic() - begin
    finally:
        b.msb("rm", "-q", "-f", *names)
    value = (more - ours) / took * 100
    b.table.add(f"{IDLE} idle detached sandboxes: msb-vmm, of a core", value, "%", "under 1 %", None, None, value < 1)
    b.table.add(f"{IDLE} idle detached sandboxes: QEMU, of a core", (engines_more - engines) / took * 100, "%")


def rows(b, image):
    guest = why = None
    try:
        guest = sshguest.Guest(b.build, b.tmp / "ssh")
    except (sshguest.Missing, subprocess.CalledProcessError, OSError) as e:
        why = f"missing: ssh to a guest: {e}"
    try:
        vmm = start(b, image, "bench")
        exec_rows(b, guest, why)
        stream_rows(b, guest, why)
        time.sleep(2)
        memory_rows(b, vmm)
        b.msb("rm", "-q", "-f", "bench")
        idle_rows(b, image)
    finally:
        if guest:
            guest.close()
