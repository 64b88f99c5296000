"""Snapshots of stopped sandboxes, sandboxes that begin as one, and their archives, with real machines."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib.cli import Cli

MIB = 64  # of data in the sandbox


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("snapshots") / "home")
    c.image = str(busybox_image)
    return c


def disk(cli):
    return sum(p.stat().st_blocks * 512 for p in cli.home.rglob("*") if p.is_file() and "store" not in p.parts)


def disks(cli):
    return sorted((cli.home / "disks").iterdir())


def inspect(cli, name):
    return json.loads(cli.ok("snapshot", "inspect", name, "--format", "json"))


def target(link):
    try:
        return os.readlink(link)
    except OSError:
        return ""


def sh(cli, name, script):
    return cli.ok("exec", "-q", name, "--", "sh", "-c", script).strip()


def stop(cli, *names):
    cli.ok("stop", "-q", *names)


@pytest.fixture(scope="module")
def kept(cli):
    """A stopped sandbox with data, and its snapshot."""
    cli.ok("create", "-q", "--name", "web", "-m", "128", "--env", "WHO=web", cli.image)
    cli.sum = sh(cli, "web", f"dd if=/dev/urandom of=/data bs=1M count={MIB} 2>/dev/null; echo before >/word; md5sum </data")
    stop(cli, "web")
    before = disk(cli)
    cli.ok("snapshot", "create", "base", "--from", "web", "--label", "team=a", "--integrity")
    cli.added = disk(cli) - before
    return cli


def test_no_data_is_copied(kept):
    assert kept.added < 1 << 20
    assert [p.suffix for p in disks(kept)] == [".raw"]
    assert disks(kept)[0].stat().st_mode & 0o777 == 0o444


def test_it_is_described(kept):
    i = inspect(kept, "base")
    assert i["name"] == "base" and i["sandbox"] == "web" and i["scope"] == "disk" and i["parent_digest"] is None
    assert i["image_ref"].endswith("busybox:latest") and i["image_digest"].startswith("sha256:")
    assert i["labels"] == {"team": "a"} and i["size_bytes"] == 8 << 30
    assert MIB << 20 < i["used_bytes"] < (MIB + 40) << 20
    assert kept.ok("snapshot", "ls", "-q") == i["digest"] + "\n"
    assert json.loads(kept.ok("snap", "list", "--format", "json")) == [i]
    head, row = kept.ok("snapshot", "ls").splitlines()
    assert head.split() == ["NAME", "SANDBOX", "IMAGE", "SIZE", "USED", "CREATED", "DIGEST"]
    assert row.split()[:2] == ["base", "web"]
    assert i["digest"] in kept.ok("snapshot", "inspect", i["digest"][:19], "--verify")
    kept.ok("snapshot", "verify", "base")


def test_forks_and_the_original_go_apart(kept):
    """Each sees the data and what it wrote itself, also after the snapshot is gone."""
    cli = kept
    before = disk(cli)
    script = "md5sum </data; cat /word; echo {0} >/word; echo {0} >>/data; sync; cat /word"
    try:
        for name in ("one", "two"):
            got = cli.ok("run", "-q", "-m", "128", "--name", name, "--from-snapshot", "base", "--", "sh", "-c",
                         script.format(name)).splitlines()
            assert got == [cli.sum, "before", name]
        # One that is not kept, by the other spelling; its command comes from the image's configuration as ever.
        assert cli.ok("run", "-q", "-m", "128", "--from-snap", inspect(cli, "base")["digest"], "--", "sh", "-c",
                      script.format("three")).splitlines() == [cli.sum, "before", "three"]
        assert disk(cli) - before < 48 << 20
        cli.ok("start", "-q", "web")
        assert sh(cli, "web", "md5sum </data; cat /word; echo $WHO; echo web >/word").split() == [
            *cli.sum.split(), "before", "web"]
        cli.ok("snapshot", "create", "later", "--from", "one")
        assert inspect(cli, "later")["parent_digest"] == inspect(cli, "base")["digest"]
        # With the forks there, one of them started again.
        digest = inspect(cli, "base")["digest"]
        cli.ok("snapshot", "save", "base", cli.home.parent / "base.tar.zst", "--with-image")
        cli.ok("snapshot", "rm", "base")
        assert len(disks(cli)) == 2
        cli.ok("start", "-q", "two")
        assert sh(cli, "two", "cat /word; tail -c 4 /data; dd if=/data bs=1M count=%d 2>/dev/null | md5sum" % MIB).split() == [
            "two", "two", *cli.sum.split()]
        assert cli.ok("run", "-q", "-m", "128", "--from-snapshot", "later", "--", "cat", "/word") == "one\n"
        cli.ok("snapshot", "load", cli.home.parent / "base.tar.zst")
        assert inspect(cli, "base")["digest"] == digest
    finally:
        stop(cli, "web")
        cli("snapshot", "rm", "-f", "later")
        cli("rm", "-q", "-f", "one", "two")
    assert len(disks(cli)) == 2  # web's and the loaded one


def test_a_larger_disk(kept):
    got = kept.ok("run", "-q", "-m", "128", "--root-disk", "10G", "--from-snapshot", "base", "--", "sh", "-c",
                  "md5sum </data; df -m / | tail -n 1").split()
    assert got[:2] == kept.sum.split() and int(got[3]) > 9 << 10
    r = kept("run", "-q", "--root-disk", "4G", "--from-snapshot", "base", "--", "true")
    assert r.returncode == 125 and "it can only grow" in r.err


def test_a_configuration_file_names_it(kept, tmp_path):
    conf = tmp_path / "box.yaml"
    conf.write_text("image: {snapshot: base}\nmemory: 128M\n")
    assert kept.ok("run", "-q", "--conf", conf, "--", "cat", "/word") == "before\n"


def test_to_another_home(kept, build_dir, tmp_path):
    other = Cli(build_dir, tmp_path / "home")
    archive = kept.home.parent / "base.tar.zst"
    if not archive.exists():
        kept.ok("snapshot", "save", "base", archive, "--with-image")
    listed = subprocess.run(["tar", "--zstd", "-tvf", archive], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in listed.splitlines()][0] == "snapshot.json"
    assert str(8 << 30) in listed  # with its holes
    assert archive.stat().st_size < (MIB + 8) << 20
    # Through a pipe.
    r = other("snapshot", "load", "-", "mine", stdin=open(archive, "rb"))
    assert r.returncode == 0, r.err
    assert inspect(other, "mine")["digest"] == inspect(kept, "base")["digest"]
    assert other.ok("image", "ls", "-q") == ""  # nobody's name is taken
    other.ok("image", "prune", "-y", "--all")
    assert other.ok("run", "-q", "-m", "128", "--from-snapshot", "mine", "--", "sh", "-c",
                    "md5sum </data; cat /word").split() == [*kept.sum.split(), "before"]
    other.ok("snapshot", "verify", "mine")


@pytest.mark.parametrize("where", [0.001, 0.3, 0.7, 0.999])
def test_a_damaged_archive_leaves_nothing(kept, build_dir, tmp_path, where):
    archive = kept.home.parent / "base.tar.zst"
    if not archive.exists():
        kept.ok("snapshot", "save", "base", archive, "--with-image")
    data = bytearray(archive.read_bytes())
    data[int(len(data) * where)] ^= 4
    (tmp_path / "bad").write_bytes(data)
    (tmp_path / "cut").write_bytes(archive.read_bytes()[:int(len(data) * where)])
    other = Cli(build_dir, tmp_path / "home")
    for name in ("bad", "cut"):
        r = other("snapshot", "load", tmp_path / name)
        assert r.returncode == 1 and r.err.startswith("error: "), r.err
        assert other("snapshot", "ls").err == "No snapshots found.\n"
        assert not any((other.home / "snapshots").iterdir())
        assert not (other.home / "disks").exists() or not disks(other)


@pytest.mark.parametrize("words, code, says", [
    (["create", "x"], 2, "--from is missing"),
    (["create", "x", "--from", "nobody"], 1, "there is no sandbox nobody"),
    (["create", "base", "--from", "web"], 1, "there is a snapshot base already"),
    (["create", "../x", "--from", "web"], 1, "cannot be a snapshot's name"),
    (["create", "x", "--from", "web", "--resumable"], 1, "memory snapshots are not there yet"),
    (["create", "x", "--from", "web", "--label", "=x"], 1, "is not KEY=VALUE"),
    (["inspect", "nobody"], 1, "there is no snapshot nobody"),
    (["verify", "nobody"], 1, "there is no snapshot nobody"),
    (["rm", "nobody"], 1, "there is no snapshot nobody"),
    (["rm", "../sandboxes"], 1, "there is no snapshot ../sandboxes"),
    (["save", "base", "/nowhere/x"], 1, "cannot write /nowhere/x"),
    (["load", "/nowhere/x"], 1, "cannot open /nowhere/x"),
    (["load", "/etc/passwd"], 1, ""),
])
def test_what_cannot_be(kept, words, code, says):
    r = kept("snapshot", *words)
    assert r.returncode == code and says in r.err, r.err
    assert [s["name"] for s in json.loads(kept.ok("snapshot", "ls", "--format", "json"))] == ["base"]


def test_an_interrupted_save_leaves_nothing(kept, tmp_path):
    """Ctrl-C while it writes: no half archive, no other name, and what was there stays."""
    out = tmp_path / "out" / "base.tar"
    out.parent.mkdir()
    out.write_text("before")
    gone = 0
    for _ in range(5):
        p = kept.popen("snapshot", "save", "base", out, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        fds = Path(f"/proc/{p.pid}/fd")
        while p.poll() is None and not any(str(out.parent) in target(f) for f in fds.iterdir() if f.name != "0"):
            time.sleep(0.002)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=60)
        if p.returncode != 0:
            gone += 1
            assert p.returncode == -signal.SIGINT and out.read_text() == "before"
        assert [f.name for f in out.parent.iterdir()] == ["base.tar"]
        if p.returncode == 0:
            out.write_text("before")
    assert gone


def test_a_saved_one_goes_where_a_link_leads(kept, tmp_path):
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real").write_text("before")
    kept.ok("snapshot", "save", "base", tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").stat().st_size > 1 << 20
    assert (tmp_path / "real").stat().st_mode & 0o077 == 0


def test_of_a_root_that_is_not_an_image(kept, tmp_path):
    """A disk image or live folder as the root is told as that, not as damage of the store."""
    disk = tmp_path / "root.raw"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", disk, "16M"], check=True, capture_output=True)
    (tmp_path / "live").mkdir()
    for words, kind in (([str(disk)], "disk image"), (["--live-root", str(tmp_path / "live")], "live folder")):
        kept.ok("create", "-q", "--no-start", "--name", "own", *words)
        try:
            r = kept("snapshot", "create", "x", "--from", "own")
            assert r.returncode == 1 and f"own has a {kind} of yours as its root" in r.err, r.err
        finally:
            kept.ok("rm", "-q", "own")


@pytest.mark.parametrize("words, says", [
    (["--from-snapshot", "base", "alpine"], "there is both an image, alpine, and a snapshot, base"),
    (["--from-snapshot", "base", "--root-disk", "tmpfs"], "a tmpfs cannot begin with it"),
    (["--from-snapshot", "nobody"], "there is no snapshot nobody"),
    (["--from-snapshot", "../snapshots/base"], "there is no snapshot"),
])
def test_what_a_sandbox_cannot_begin_with(kept, words, says):
    r = kept("create", "-q", "--no-start", "--name", "x", *words)
    assert r.returncode in (1, 2) and says in r.err, r.err
    assert kept("inspect", "x").returncode == 1


def test_of_one_that_runs_or_is_not_kept(kept):
    r = kept("create", "-q", "-m", "128", "--name", "busy", "--from-snapshot", "base")
    assert r.returncode == 0, r.err
    try:
        r = kept("snapshot", "create", "x", "--from", "busy")
        assert r.returncode == 1 and "busy is running" in r.err and "msb stop busy" in r.err
    finally:
        kept.ok("rm", "-q", "-f", "busy")
    p = kept.popen("run", "-q", "-m", "128", "--root-disk", "tmpfs", "--from-snapshot", "base", "--", "true")
    assert b"tmpfs" in p.communicate(timeout=60)[1]
    p = kept.popen("run", "-q", "-m", "128", "--from-snapshot", "base", "--", "sh", "-c", "echo up; cat",
                   stdin=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"up\n"
        name, = [s["name"] for s in json.loads(kept.ok("ls", "--format", "json")) if s["name"] != "web"]
        r = kept("snapshot", "create", "x", "--from", name)
        assert r.returncode == 1 and "is not kept" in r.err
    finally:
        p.communicate(timeout=60)


def test_a_kill_leaves_what_was_synced(kept):
    """It is killed while it writes, and starts again with what it synced."""
    kept.ok("create", "-q", "-m", "128", "--name", "victim", "--from-snapshot", "base")
    try:
        sh(kept, "victim", "echo synced >/mark; sync")
        p = kept.popen("exec", "-q", "victim", "--", "sh", "-c", "while :; do echo x >>/grow; sync; done")
        kept.ok("kill", "-q", "victim")
        p.communicate(timeout=60)
        kept.ok("start", "-q", "victim")
        assert sh(kept, "victim", "cat /mark; md5sum </data").split() == ["synced", *kept.sum.split()]
        stop(kept, "victim")
        r = subprocess.run(["qemu-img", "check", "-q", next((kept.home / "sandboxes").glob("*/upper-*.qcow2"))],
                           capture_output=True, text=True)
        assert r.returncode in (0, 3), r.stdout + r.stderr  # 3: clusters that a kill leaked
    finally:
        kept.ok("rm", "-q", "-f", "victim")


def test_all_is_gone_in_the_end(kept):
    kept.ok("rm", "-q", "-f", "web")
    kept.ok("snapshot", "rm", "base")
    assert disks(kept) == [] and not any((kept.home / "snapshots").iterdir())
