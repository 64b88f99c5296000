"""What a home is worth after hundreds of operations by many at once, with kill -9 at random moments.

MSB_CHAOS_SEED repeats a run (what each worker does; how they meet is up to the scheduler), MSB_CHAOS_ROUNDS makes it
longer. The plan of a failed run is in its output."""
import collections
import concurrent.futures
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import random
import re
import signal
import sqlite3
import struct
import subprocess
import threading
import time

import pytest

from conftest import machines

SEED = int(os.environ.get("MSB_CHAOS_SEED", random.SystemRandom().randrange(10 ** 6)))
ROUNDS = int(os.environ.get("MSB_CHAOS_ROUNDS", "500"))
WORKERS = 8
NAMES = [f"box{i}" for i in range(6)]
WITNESS = "witness"  # is never removed: what is in it must last
SMALL = ("--memory", "128M", "--root-disk", "64M")
HANG_S = 300  # eight start at once, beside what else this host does
YOUNG_S = 60  # so long an unfinished creation is left alone

# How often each is done; what boots a machine costs 1 to 2 CPU seconds and is rare.
OPERATIONS = [
    (20, ("create", "--no-start", *SMALL, "-n", "NAME", "IMAGE")),
    (4, ("create", "--no-start", "--replace", *SMALL, "-n", "NAME", "IMAGE")),
    (8, ("rm", "-f", "NAME")),
    (4, ("rm", "NAME")),
    (9, ("ls", "--format", "json")),
    (3, ("ps", "-a")),
    (10, ("inspect", "--format", "json", "NAME")),
    (8, ("modify", "NAME", "--label", "k=RANDOM")),
    (4, ("modify", "NAME", "--memory", "RANDOMM")),
    (5, ("touch", "LIVE")),
    (3, ("stop", "-t", "1s", "ANY")),
    (3, ("kill", "ANY")),
    (12, ("exec", "LIVE", "--", "true")),
    (3, ("exec", "-d", "LIVE", "--", "sleep", "1")),
    (3, ("logs", "ANY")),
    (2, ("ping", "LIVE")),
    (2, ("metrics", "--format", "json", "LIVE")),
    (2, ("restart", "ANY")),
    (2, ("image", "prune")),
    (2, ("image", "rm", "-f", "none:1")),
    (10, ("start", "LIVE")),
    (3, ("create", *SMALL, "-n", "NAME", "IMAGE")),
    (4, ("run", "-d", *SMALL, "-n", "NAME", "IMAGE", "--", "sleep", "600")),
    (2, ("run", "-d", *SMALL, "IMAGE", "--", "sleep", "2")),
    (4, ("run", *SMALL, "IMAGE", "--", "true")),
]
KILLED_CLIENTS = 0.15  # of the operations: their own msb, at a random moment
KILLED_MACHINES = 0.06  # after so many of them: one process of a machine

# All that may be said; anything else is a fault.
SAYINGS = [re.compile(p) for p in (
    r"there is no sandbox (box\d|witness|[0-9a-f]{16})",
    r"there is a sandbox box\d already",
    r"another msb is busy with (box\d|witness)",
    r"(box\d|witness) is running",
    r"(box\d|witness) is not running",
    r"(it|box\d|witness) (is|was) (running|removed|being removed)",
    r"cannot reach (box\d|witness): Connection (refused|reset)",
    r"there is no image none:1",
    # the machine's process was killed under the call
    r"msb-vmm was killed by signal 9",
    r"msb-vmm died unexpectedly",
    r"stopped before it was ready",
    r"(box\d|witness) does not answer",  # to a ping
    r"the machine (has )?(ended|was killed|stopped)",
    r"QEMU .*(signal 9|killed|Killed)",
    r"the guest .*(went away|closed|gone)",
)]


class Chaos:
    def __init__(self, msb, image, seed):
        self.msb, self.image, self.seed = msb, image, seed
        self.log, self.lock = [], threading.Lock()
        self.done, self.worked = collections.Counter(), collections.Counter()
        self.faults = []

    def note(self, text):
        with self.lock:
            self.log.append(f"{time.monotonic():.2f} {text}")

    def words(self, rng):
        pattern = rng.choices([o[1] for o in OPERATIONS], [o[0] for o in OPERATIONS])[0]
        fill = {"NAME": rng.choice(NAMES), "ANY": rng.choice([*NAMES, WITNESS]),
                "LIVE": rng.choice([WITNESS, WITNESS, *NAMES[:2]]), "IMAGE": self.image,
                "RANDOM": str(rng.randrange(1000)), "RANDOMM": f"{rng.randrange(128, 256)}M"}
        return [re.sub("RANDOMM|RANDOM|NAME|ANY|LIVE|IMAGE", lambda m: fill[m[0]], w) for w in pattern]

    def judge(self, words, code, err, killed):
        if killed and code == -signal.SIGKILL:
            return
        lines = [line for line in err.splitlines() if line.startswith(("error:", "warn"))]
        if code < 0 or code in (134, 139):
            self.faults.append(f"{words}: exit code {code}: {err}")
        elif any(not any(s.search(line) for s in SAYINGS) for line in lines):
            self.faults.append(f"{words}: exit code {code}: {err}")
        elif code and not lines and words[0] not in ("run", "exec"):
            self.faults.append(f"{words}: exit code {code}, and nothing was said")

    def one(self, worker, rng):
        words = self.words(rng)
        killed = rng.random() < KILLED_CLIENTS
        after = rng.random() ** 3 * 1.5
        p = self.msb.popen(*words, stdin=subprocess.DEVNULL)
        start = time.monotonic()
        if killed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(after)
            p.kill()
        try:
            out, err = p.communicate(timeout=HANG_S)
        except subprocess.TimeoutExpired:
            self.faults.append(f"{words} hangs")
            p.kill()
            out, err = p.communicate()
        err = err.decode(errors="replace")
        self.note(f"{worker} {' '.join(words)}{' KILLED' if killed else ''} -> {p.returncode} "
                  f"in {time.monotonic() - start:.2f} s: {err.strip()[:300]}")
        with self.lock:
            self.done[words[0]] += 1
            self.worked[words[0]] += p.returncode == 0
            self.judge(words, p.returncode, err, killed)

    def worker(self, number):
        rng = random.Random(self.seed * 100 + number)
        for _ in range(ROUNDS // WORKERS + (number < ROUNDS % WORKERS)):
            if len(self.faults) > 5:
                return
            self.one(number, rng)
            if rng.random() < KILLED_MACHINES:
                self.kill_one(rng)

    def kill_one(self, rng):
        """kill -9 of an msb-vmm or a QEMU, whoever's it is."""
        found = sorted((pid, name) for pid, name in machines().items() if name != "msb")
        if not found:
            return
        pid, name = rng.choice(found)
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        self.note(f"killed {name} {pid}")
        with self.lock:
            self.done[f"kill -9 {name}"] += 1

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(self.worker, range(WORKERS)))


def reap_orphans():
    """Ours by subreaping: killed msb's children; nobody else waits for them."""
    for pid in list(machines()):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def wait_for(what, seconds=15):
    end = time.monotonic() + seconds
    while not what():
        reap_orphans()
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def is_locked(path):
    """F_OFD_GETLK, as the library looks."""
    with open(path, "rb") as f:
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(f, 36, asked)
    return struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK


def records(home):
    with contextlib.closing(sqlite3.connect(f"file:{home}/state.db?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.row_factory = sqlite3.Row
        return {row["id"]: dict(row) for row in db.execute("SELECT * FROM sandboxes")}


def age_folders(home):
    """So that what creations left unfinished may be swept."""
    past = time.time() - 2 * YOUNG_S
    for folder in (home / "sandboxes").iterdir():
        os.utime(folder, (past, past))


def folders(home):
    return {p.name for p in (home / "sandboxes").iterdir()}


def open_files(pid):
    with contextlib.suppress(OSError):
        return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    return 0


def is_live(row):
    return bool(row["started_ms"]) and not row["ended_ms"]


def story(msb, home):
    """What is on record, and what of it is not so."""
    age_folders(home)
    listed = json.loads(msb.ok("ls", "--format", "json"))
    rows, wrong = records(home), []
    if folders(home) != set(rows):
        wrong.append(f"folders {folders(home)}, on record {set(rows)}")
    if {b["name"] for b in listed} != {b["name"] for b in rows.values()}:
        wrong.append(f"listed {listed}")
    for b in rows.values():
        folder = home / "sandboxes" / b["id"]
        with contextlib.suppress(FileNotFoundError):  # which is said above
            if is_locked(folder / "lock") != is_live(b):
                wrong.append(f"its lock says otherwise: {b}")
            if b["ephemeral"] and not is_live(b):
                wrong.append(f"an ephemeral one that is over: {b}")
            if not b["ephemeral"] and (folder / "upper.ext4").stat().st_size != 64 << 20:
                wrong.append(f"its disk has another size: {b}")
    return rows, wrong


def check_home(msb, home):
    """The database, the folders and the locks tell one story, soon: a machine may be about to end, or ends just then."""
    told = []

    def is_settled():
        told[:] = story(msb, home)
        return not told[1]
    wait_for(is_settled, 60)
    assert not told[1], told[1]
    return told[0]


def check_files(msb, home, rows):
    """Nothing in the store but what is meant to be there."""
    msb.ok("image", "prune")
    kept = {b["id"] for b in rows.values() if not b["ephemeral"]}
    assert {p.name for p in (home / "store/pins").iterdir()} == kept
    assert list((home / "store/tmp").iterdir()) == []
    strange = {"lock", "agent.sock", "end.json", "vm.log.0", "vm.log.1", "exec.log", "exec.log.1", "upper.ext4",
               "sandbox.json", "sandbox.json.new", "ports.json", "ports.json.new", "unkept", "modify"}
    for folder in (home / "sandboxes").iterdir():
        assert {p.name for p in folder.iterdir()} <= strange


def end_all(msb, rows):
    for b in rows.values():
        if is_live(b):
            msb("kill", b["name"])
    assert wait_for(lambda: not machines(), 60), machines()


@pytest.fixture
def image(msb, busybox_image):
    msb.ok("load", "-q", "-i", busybox_image, "-t", "busybox:1")
    return "busybox:1"


def test_500_rounds_of_anything(msb, home, image):
    print(f"MSB_CHAOS_SEED={SEED}")
    chaos = Chaos(msb, image, SEED)
    msb.ok("create", *SMALL, "-n", WITNESS, image)
    msb.ok("exec", WITNESS, "--", "sh", "-c", "echo data > /kept && sync")
    files = max(open_files(pid) for pid in machines())
    start = time.monotonic()
    try:
        chaos.run()
        took = time.monotonic() - start
        assert not chaos.faults, "\n".join(chaos.faults)
        # A storm in which all is refused would show nothing.
        assert all(chaos.worked[w] for w in ("create", "start", "exec", "modify", "stop", "rm")), chaos.worked
        for pid, name in machines().items():
            assert open_files(pid) <= files + 16, f"{name} has many files open"
        rows = check_home(msb, home)
        end_all(msb, rows)
        rows = check_home(msb, home)
        assert all(b["ended_ms"] or not b["started_ms"] for b in rows.values())
        check_files(msb, home, rows)
        names = {b["name"] for b in rows.values()}
        assert WITNESS in names
        # What was named starts again, with what is in it.
        for name in [WITNESS, *sorted(names - {WITNESS})[:2]]:
            msb.ok("start", name)
            assert msb.ok("exec", name, "--", "echo", "alive") == "alive\n"
        assert msb.ok("exec", WITNESS, "--", "cat", "/kept") == "data\n"
        msb.ok("rm", "-f", *names)
        assert wait_for(lambda: not machines()), machines()
        check_files(msb, home, check_home(msb, home))
        assert folders(home) == set()
    except BaseException:
        print("\n".join(chaos.log))
        for name in NAMES + [WITNESS]:
            msb("rm", "-f", name)
        raise
    print(f"{sum(chaos.done.values())} in {took:.0f} s: {dict(chaos.done)}; of which worked: {dict(chaos.worked)}")


def together(msb, commands):
    """All at once; each must succeed. Gives their outputs."""
    running = [msb.popen(*c, stdin=subprocess.DEVNULL) for c in commands]
    outs = []
    for command, p in zip(commands, running):
        out, err = p.communicate(timeout=HANG_S)
        assert p.returncode == 0, (command, p.returncode, out, err)
        outs.append(out.decode())
    return outs


def test_50_processes_share_a_home_that_nobody_has_used(msb, home):
    for out in together(msb, [("ls", "--format", "json")] * 50):
        assert json.loads(out) == []


def test_50_processes_use_one_home_at_once(msb, home, image):
    names = [f"n{i:02}" for i in range(50)]
    start = time.monotonic()
    together(msb, [("create", "--no-start", *SMALL, "-n", n, image) for n in names])
    made = time.monotonic()
    outs = together(msb, [("ls", "-q"), ("inspect", "n07"), ("image", "prune"), ("ps", "-a", "-q"), ("image", "ls")] * 10)
    assert all(outs[i].split() == names for i in range(0, 50, 5))
    together(msb, [("modify", n, "--label", f"n={n}") for n in names])
    assert msb.ok("ls", "-q", "--label", "n=n33").split() == ["n33"]
    # One of all who want the same name gets it.
    racers = [msb.popen("create", "--no-start", *SMALL, "-n", "one", image, stdin=subprocess.DEVNULL) for _ in range(50)]
    ends = [(p.communicate(timeout=HANG_S)[1], p.returncode) for p in racers]
    assert sorted(code for _, code in ends) == [0] + [1] * 49
    assert all(b"there is a sandbox one already" in err for err, code in ends if code)
    check_files(msb, home, check_home(msb, home))
    together(msb, [("rm", n) for n in [*names, "one"]])
    assert check_home(msb, home) == {}
    print(f"50 creations at once {made - start:.2f} s, all {time.monotonic() - start:.2f} s")
