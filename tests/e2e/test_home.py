"""The home folder in trouble: read-only, full, locked, damaged, newer. What is said, what still works, what comes back."""
import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import time

import pytest

from conftest import machines, need
from lib.cli import Cli, wait_until

SMALL = ("--memory", "128M", "--root-disk", "64M")
IMAGE = "busybox:1"
BUSY_S = 10  # STATE_BUSY_MS


@pytest.fixture
def image(msb, busybox_image):
    msb.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return IMAGE


class Inside(Cli):
    def __init__(self, pid, build, home):
        super().__init__(build, home)
        self.words = ["-t", str(pid), "-m", self.msb]
        self.msb = "nsenter"

    def __call__(self, *args, **kw):
        return super().__call__(*self.words, *args, **kw)


class Mounts:
    """A mount namespace of its own, for as long as the test needs it."""

    def __init__(self):
        need("nsenter")
        if os.geteuid() != 0:
            pytest.skip("mounts need root")
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec cat"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def run(self, *argv):
        subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", *map(str, argv)], check=True)

    def cli(self, build, home):
        """An msb that sees the mounts."""
        return Inside(self.process.pid, build, home)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture
def mounts():
    m = Mounts()
    yield m
    m.close()


def says(r, *texts, code=1):
    """It failed, in words: an error and what to do about it."""
    assert r.returncode == code, (r.returncode, r.out, r.err)
    lines = r.err.splitlines()
    assert lines[0].startswith("error: ") and lines[1].startswith("  → "), r.err
    for text in texts:
        assert text in r.err, (text, r.err)


def checkpoint(home):
    """All of the database into its one file."""
    with contextlib.closing(sqlite3.connect(home / "state.db")) as db:
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def names(msb):
    return msb.ok("ls", "-q").split()


def folders(home):
    return {p.name for p in (home / "sandboxes").iterdir()}


# ---- read-only and full ----------------------------------------------------

def test_a_read_only_home_is_told_and_its_images_are_seen(msb, build_dir, home, image, mounts):
    msb.ok("create", "--no-start", *SMALL, "-n", "web", image)
    before = folders(home)
    mounts.run("mount", "--bind", home, home)
    mounts.run("mount", "-o", "remount,bind,ro", home)
    ro = mounts.cli(build_dir, home)
    for words in (["ls"], ["create", "--no-start", "-n", "new", image], ["start", "web"], ["rm", "web"],
                  ["modify", "web", "--label", "a=b"], ["inspect", "web"]):
        says(ro(*words), "MSB_HOME", str(home))
    assert ro.ok("image", "ls", "-q") == "docker.io/library/busybox:1\n"
    r = ro("run", image, "--", "true")
    says(r, "MSB_HOME", code=125)
    doctor = json.loads(ro("doctor", "--format", "json").out)
    assert [c["status"] for c in doctor["checks"] if c["name"] == "home"] == ["fail"]
    assert folders(home) == before and names(msb) == ["web"]


def test_a_full_home_is_told_and_nothing_is_half_made(build_dir, home, busybox_image, mounts):
    home.mkdir(mode=0o700)
    mounts.run("mount", "-t", "tmpfs", "-o", "size=8M,mode=0700", "tmpfs", home)
    full = mounts.cli(build_dir, home)
    # 64 MiB must stay free beside what is written: that is told too
    archive = home.parent / "busybox.tar"
    subprocess.run(["tar", "-C", busybox_image, "-cf", archive, "."], check=True)
    says(full("load", "-q", "-i", archive, "-t", IMAGE), "space", "MSB_HOME")
    mounts.run("mount", "-o", "remount,size=120M", home)
    full.ok("load", "-q", "-i", archive, "-t", IMAGE)
    full.ok("create", "--no-start", *SMALL, "-n", "first", IMAGE)
    mounts.run("sh", "-c", f"head -c 200M /dev/zero > {home}/ballast 2>/dev/null; test -s {home}/ballast")
    for words in (["create", "--no-start", *SMALL, "-n", "second", IMAGE], ["create", *SMALL, "-n", "third", IMAGE]):
        says(full(*words), "o space")  # ours and the system's
    assert full.ok("ls", "-q") == "first\n"
    assert full.ok("image", "ls", "-q") == "docker.io/library/busybox:1\n"
    # Removing works on a full disk, and gives the room back.
    full.ok("rm", "first")
    mounts.run("rm", home / "ballast")
    full.ok("create", "--no-start", *SMALL, "-n", "second", IMAGE)
    assert full.ok("ls", "-q") == "second\n"
    left = subprocess.run(["nsenter", "-t", str(mounts.process.pid), "-m", "ls", home / "sandboxes"], check=True,
                          capture_output=True, text=True).stdout.split()
    marked = [f for f in left if not json.loads(full.ok("inspect", "--format", "json", "second"))["id"] == f]
    assert marked == [], "a creation that failed left its folder"


# ---- locked ----------------------------------------------------------------

def test_a_locked_record_is_waited_for_and_told(msb, home, image):
    for name in ("web", "db"):
        msb.ok("create", "--no-start", *SMALL, "-n", name, image)
    with contextlib.closing(sqlite3.connect(home / "state.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        writers = [msb.popen("create", "--no-start", *SMALL, "-n", "new", image), msb.popen("rm", "web"),
                   msb.popen("modify", "db", "--label", "a=b")]
        assert names(msb) == ["db", "web"], "who only reads is not kept"
        assert time.monotonic() - start < BUSY_S / 2
        for p in writers:
            out, err = p.communicate(timeout=4 * BUSY_S)
            assert p.returncode == 1, (out, err)
            assert b"database is locked by another process" in err and b"fuser -v" in err
        assert time.monotonic() - start >= BUSY_S
        # Let go in time, and nobody notices but by the clock.
        p = msb.popen("modify", "web", "--label", "c=d", "-q")
        time.sleep(1)
        db.execute("ROLLBACK")
        assert p.communicate(timeout=BUSY_S) == (b"", b"") and p.returncode == 0
    assert names(msb) == ["db", "web"]
    assert len(folders(home)) == 2, "a creation that failed left its folder"
    # A removal that could not be done has not begun either.
    assert not list(home.glob("sandboxes/*/unkept"))


# ---- damaged ---------------------------------------------------------------

def damage_header(path):
    path.write_bytes(b"not a database at all\n" * 500)


def damage_pages(path):
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at:at + 64] = os.urandom(64)
    path.write_bytes(data)


def damage_length(path):
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("damage", [damage_header, damage_pages, damage_length])
def test_a_damaged_record_comes_back(msb, home, image, damage):
    msb.ok("create", "--no-start", *SMALL, "-n", "web", "--label", "team=x", "-e", "A=1", image)
    msb.ok("create", "--no-start", *SMALL, "-n", "db", image)
    msb.ok("modify", "db", "--memory", "192M", "-q")
    before = {b["name"]: b for b in map(json.loads, (msb.ok("inspect", "--format", "json", n) for n in ("web", "db")))}
    checkpoint(home)
    damage(home / "state.db")
    for words in (["ls"], ["create", "--no-start", "-n", "new", image], ["rm", "web"], ["image", "rm", image]):
        says(msb(*words), "state.db is damaged", str(home), "msb doctor --fix", "images are not lost")
    says(msb("run", image, "--", "true"), "msb doctor --fix", code=125)
    assert msb.ok("image", "ls", "-q") == "docker.io/library/busybox:1\n"
    assert "msb doctor --fix" in msb("doctor").out
    assert len(folders(home)) == 2
    assert not list(home.glob("sandboxes/*/unkept")), "a removal that failed must not be taken up by itself"
    r = msb("doctor", "--fix", "-y")
    assert r.err.count("is on record again") == 2 and "state.db.damaged-" in r.err, r.err
    assert len(list(home.glob("state.db.damaged-*[0-9]"))) == 1
    after = {b["name"]: b for b in map(json.loads, (msb.ok("inspect", "--format", "json", n) for n in ("web", "db")))}
    assert after == before
    assert msb.ok("ls", "-q", "--label", "team=x") == "web\n"
    # Again there is nothing to do, and it says so in no words.
    assert msb("doctor", "--fix", "-y").err == ""
    msb.ok("rm", "web", "db")
    assert folders(home) == set()


def test_what_runs_when_the_record_is_lost_is_reached_again(msb, home, image):
    msb.ok("create", *SMALL, "-n", "live", image)
    msb.ok("exec", "live", "--", "sh", "-c", "echo data > /kept && sync")
    checkpoint(home)
    damage_header(home / "state.db")
    r = msb("doctor", "--fix")  # no terminal: it asks nobody
    assert "sandbox live" in r.err and "which runs" in r.err, r.err
    state = json.loads(msb.ok("inspect", "--format", "json", "live"))
    assert state["status"].lower() == "running", state
    assert msb.ok("exec", "live", "--", "cat", "/kept") == "data\n"
    msb.ok("stop", "-t", "2s", "live")
    wait_until(lambda: not machines(), 10, "it still runs")
    msb.ok("start", "live")
    assert msb.ok("exec", "live", "--", "cat", "/kept") == "data\n"
    msb.ok("rm", "-f", "live")
    assert folders(home) == set()


def test_a_name_that_was_taken_meanwhile_is_not_lost_either(msb, home, image):
    msb.ok("create", "--no-start", *SMALL, "-n", "web", image)
    old, = folders(home)
    (home / "state.db").unlink()
    for log in home.glob("state.db-*"):
        log.unlink()
    msb.ok("create", "--no-start", *SMALL, "-n", "web", image)
    assert len(folders(home)) == 2, "a folder without a row is swept only when it is marked"
    r = msb("doctor", "--fix", "-y")
    assert f"web-{old[:4]} ({old})" in r.err, r.err
    assert names(msb) == ["web", f"web-{old[:4]}"]
    msb.ok("rm", *names(msb))


@pytest.mark.parametrize("text", ["", "{", "[]", "{\"id\": \"0123456789abcdef\"}", None])
def test_a_folder_that_cannot_be_read_is_left_and_named(msb, home, image, text):
    msb.ok("create", "--no-start", *SMALL, "-n", "web", image)
    msb.ok("create", "--no-start", *SMALL, "-n", "db", image)
    broken = json.loads(msb.ok("inspect", "--format", "json", "web"))["id"]
    path = home / "sandboxes" / broken / "sandbox.json"
    if text is None:  # names that cannot be, of a folder that is another's
        made = json.loads(path.read_text())
        made["name"] = "../../etc"
        text = json.dumps(made)
    path.write_text(text)
    checkpoint(home)
    damage_header(home / "state.db")
    r = msb("doctor", "--fix", "-y")
    assert f"sandboxes/{broken} is left as it is" in r.err, r.err
    assert names(msb) == ["db"]
    assert broken in folders(home)
    # It goes on being said, and not that --fix would help.
    record, = [c for c in json.loads(msb("doctor", "--format", "json").out)["checks"] if c["name"] == "record"]
    assert record["status"] == "warn" and broken in record["message"]
    assert "remove the folder" in record["fix"] and "--fix" not in record["fix"]


def test_at_a_terminal_it_asks_first(msb, home, image):
    msb.ok("create", "--no-start", *SMALL, "-n", "web", image)
    checkpoint(home)
    damage_header(home / "state.db")
    with msb.terminal("doctor", "--fix") as t:
        t.expect("can be brought back")
        t.expect("[y/N]")
        t.type("n\n")
        t.wait()
    assert not list(home.glob("state.db.damaged-*"))
    with msb.terminal("doctor", "--fix") as t:
        t.expect("[y/N]")
        t.type("y\n")
        t.expect("is on record again")
        t.wait()
    assert names(msb) == ["web"]


# ---- newer -----------------------------------------------------------------

def test_a_newer_record_is_refused_and_left_alone(msb, home, image):
    msb.ok("create", "--no-start", *SMALL, "-n", "web", image)
    with contextlib.closing(sqlite3.connect(home / "state.db")) as db:
        db.execute("PRAGMA user_version=99")
    checkpoint(home)
    before = (home / "state.db").read_bytes()
    for words in (["ls"], ["create", "--no-start", "-n", "new", image], ["rm", "web"], ["doctor", "--fix", "-y"]):
        says(msb(*words), "newer msb", "schema 99", "update msb")
    assert msb.ok("image", "ls", "-q") == "docker.io/library/busybox:1\n"
    assert (home / "state.db").read_bytes() == before
    assert len(folders(home)) == 1
    assert not list(pathlib.Path(home).glob("state.db.damaged-*"))


# ---- images that sandboxes use ---------------------------------------------

def test_an_image_in_use_is_not_removed_unless_forced(msb, home, image):
    for name in ("web", "db"):
        msb.ok("create", "--no-start", *SMALL, "-n", name, image)
    says(msb("image", "rm", image), "image busybox:1 is in use by sandboxes db, web", "-f")
    assert msb.ok("image", "ls", "-q") == "docker.io/library/busybox:1\n"
    msb.ok("rm", "db")
    says(msb("image", "rm", image), "in use by sandbox web")
    msb.ok("image", "rm", "-f", image)
    msb.ok("image", "prune", "-a", "-y")
    assert msb.ok("image", "ls", "-q") == ""
    # What it was made of is there until it goes.
    msb.ok("start", "web")
    assert msb.ok("exec", "web", "--", "echo", "alive") == "alive\n"
    msb.ok("rm", "-f", "web")
    msb.ok("image", "prune")
    assert not list((home / "store/layers").iterdir())


def test_a_folder_that_a_sandbox_was_made_of_may_go(msb, home, tmp_path, busybox_image):
    root = tmp_path / "root"
    subprocess.run(["cp", "-aL", "--", "/bin/busybox", tmp_path], check=True)
    (root / "bin").mkdir(parents=True)
    (tmp_path / "busybox").rename(root / "bin/busybox")
    for name in ("sh", "cat", "echo"):
        (root / "bin" / name).symlink_to("busybox")
    msb.ok("create", "--no-start", *SMALL, "-n", "own", root)
    subprocess.run(["rm", "-r", root], check=True)
    msb.ok("image", "prune", "-a", "-y")
    msb.ok("start", "own")
    assert msb.ok("exec", "own", "--", "/bin/echo", "alive") == "alive\n"
    msb.ok("rm", "-f", "own")
    msb.ok("image", "prune")
    assert not list((home / "store/layers").iterdir())
