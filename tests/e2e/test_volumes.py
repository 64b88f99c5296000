"""Volumes: what stays when sandboxes go, shared by several at once or of one alone. Few machines, many checks."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from lib.cli import Cli, is_gone, wait_until

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("volumes") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def two(cli):
    """Two machines that share a folder volume with a quota; the first has a disk volume, too."""
    cli.ok("volume", "create", "-q", "shared", "--size", "8M")
    cli.ok("volume", "create", "-q", "disk", "--kind", "disk", "--size", "64M")
    cli.ok("create", "-q", "-n", "one", "-v", "shared:/s", "-v", "disk:/d", "-v", "auto:/a:quota=4M", IMAGE)
    cli.ok("create", "-q", "-n", "two", "-v", "shared:/s", "-v", "auto:/a", IMAGE)
    yield "one", "two"
    cli.ok("rm", "-q", "-f", "one", "two")


def sh(cli, box, script, **kw):
    return cli.ok("exec", box, "--", "sh", "-c", script, **kw)


def fails(cli, box, script):
    r = cli("exec", box, "--", "sh", "-c", script)
    assert r.returncode not in (0, 125), (r.returncode, r.out, r.err)
    return r.err


def volumes(cli):
    return {v["name"]: v for v in json.loads(cli.ok("volume", "ls", "--format", "json"))}


def test_two_sandboxes_see_each_others_files(cli, two):
    one, other = two
    sh(cli, one, "echo a > /s/a; mkdir /s/d; chown 5:6 /s/a; chmod 640 /s/a")
    assert sh(cli, other, "cat /s/a; stat -c %u:%g:%a /s/a; ls -d /s/d").split() == ["a", "5:6:640", "/s/d"]
    sh(cli, other, "mv /s/a /s/d/b; echo more >> /s/d/b")
    wait_until(lambda: cli("exec", one, "--", "cat", "/s/d/b").out == "a\nmore\n", 20, "the other's change is seen")
    wait_until(lambda: cli("exec", one, "--", "test", "-e", "/s/a").returncode == 1, 20, "the old name is gone")
    sh(cli, one, "rm -r /s/d")


def test_a_quota_holds_for_both_together(cli, two):
    one, other = two
    sh(cli, one, "dd if=/dev/zero of=/s/one bs=64k count=64 2>/dev/null")
    assert "No space left on device" in fails(cli, other, "dd if=/dev/zero of=/s/two bs=64k count=100")
    path = pathlib.Path(volumes(cli)["shared"]["path"])
    taken = sum(p.stat().st_blocks * 512 for p in path.rglob("*"))
    assert 7 << 20 < taken <= 8 << 20
    assert 7 << 20 < volumes(cli)["shared"]["used_bytes"] <= 8 << 20
    size, total, free = map(int, sh(cli, one, "stat -f -c '%S %b %f' /s").split())
    assert size * total == 8 << 20 and size * free < 1 << 20
    sh(cli, other, "rm /s/two")
    sh(cli, one, "dd if=/dev/zero of=/s/more bs=64k count=40 2>/dev/null; rm /s/one /s/more")
    assert volumes(cli)["shared"]["used_bytes"] < 100_000


def test_a_list_says_what_there_is(cli, two):
    rows = [line.split() for line in cli.ok("volume", "ls").splitlines()]
    assert rows[0] == ["NAME", "KIND", "SIZE", "USED", "IN", "USE", "CREATED"]
    assert [r[:2] for r in rows[1:]] == [["auto", "dir"], ["disk", "disk"], ["shared", "dir"]]
    assert cli.ok("vol", "list", "-q").split() == ["auto", "disk", "shared"]
    found = volumes(cli)
    assert found["auto"]["quota_mib"] == 4 and found["auto"]["capacity_bytes"] is None
    assert found["disk"]["capacity_bytes"] == 64 << 20 and found["disk"]["disk_fstype"] == "ext4"
    assert found["shared"]["sandboxes"] == ["one", "two"] and found["shared"]["in_use"] is True
    text = cli.ok("volume", "inspect", "disk")
    assert "Capacity     64.0 MiB\n" in text and "In use       yes\n" in text and "Sandboxes    one\n" in text


def test_a_disk_is_of_one_machine_at_a_time(cli, two):
    r = cli("run", "-q", "-v", "disk:/d", IMAGE, "--", "true")
    assert r.returncode == 125 and "volume disk is a disk, and one has it mounted" in r.err
    cli.ok("create", "-q", "-n", "waits", "--no-start", "-v", "disk:/d", IMAGE)
    r = cli("start", "-q", "waits")
    assert r.returncode == 1 and "one has it mounted" in r.err
    cli.ok("rm", "-q", "waits")


def test_a_disk_has_its_own_file_system(cli, two):
    out = sh(cli, "one", "grep ' /d ' /proc/mounts; mknod /d/null c 1 3; echo x > /d/null; ls -A /d; chown 7:8 /d/null;"
             "stat -c %u:%g /d/null; rm /d/null")
    assert " ext4 " in out and out.split()[-2:] == ["null", "7:8"]
    assert "No space left on device" in fails(cli, "one", "dd if=/dev/zero of=/d/x bs=1M count=70; rm /d/x; "
                                              "dd if=/dev/zero of=/d/x bs=1M count=70")
    sh(cli, "one", "rm /d/x; sync")


def test_what_is_in_use_is_not_removed(cli, two):
    for force in ([], ["-f"]):
        r = cli("volume", "rm", *force, "shared", "disk")
        assert r.returncode == 1 and "volume shared is in use by sandboxes one, two" in r.err
        assert "volume disk is in use by sandbox one" in r.err and "msb stop one first" in r.err
    r = cli("volume", "prune", "-y", "--format", "json")
    assert json.loads(r.out) == {"volumes_removed": [], "bytes_reclaimed": 0}
    assert sorted(volumes(cli)) == ["auto", "disk", "shared"]


def test_what_is_there_is_not_changed_by_a_mount(cli, two):
    for words, says in ((["-v", "auto:/x:quota=5M"], "volume auto is there with 4.0 MiB, not 5.0 MiB"),
                        (["-v", "shared:/x:kind=disk,size=64M"], "volume shared is a folder, not a disk"),
                        (["-v", "disk:/x:uid=1,gid=1"], "volume disk is a disk")):
        r = cli("run", "-q", *words, IMAGE, "--", "true")
        assert r.returncode == 125 and says in r.err, r.err
        assert "--replace" not in r.err  # that is about sandboxes
    assert volumes(cli)["auto"]["quota_mib"] == 4


def test_files_stay_when_sandboxes_go(cli):
    cli.ok("run", "-q", "-v", "stay:/v", "-v", "stayd:/d:kind=disk,size=32M", IMAGE, "--", "sh", "-c",
           "echo dir > /v/f; echo disk > /d/f")
    cli.ok("create", "-q", "-n", "box", "-v", "stay:/v", "-v", "stayd:/d", IMAGE)
    assert sh(cli, "box", "cat /v/f /d/f; echo 2 > /v/2; echo 2 > /d/2") == "dir\ndisk\n"
    cli.ok("rm", "-q", "-f", "box")
    assert cli.ok("run", "-q", "-v", "stay:/v:ro", "-v", "stayd:/d:ro", IMAGE, "--", "sh", "-c",
                  "cat /v/2 /d/2; touch /v/x /d/x 2>&1 | grep -c 'Read-only file system'") == "2\n2\n2\n"
    assert cli("volume", "rm", "-q", "stay", "stayd").returncode == 0
    assert "stay" not in volumes(cli)


def test_a_record_that_mounts_it_holds_it(cli):
    cli.ok("create", "-q", "-n", "box", "--no-start", "-v", "held:/v", IMAGE)
    assert "held" not in volumes(cli)  # it is made by the first start
    cli.ok("volume", "create", "-q", "held")
    assert volumes(cli)["held"]["sandboxes"] == ["box"]
    r = cli("volume", "rm", "held")
    assert r.returncode == 1 and "volume held is mounted by sandbox box" in r.err and "--force" in r.err
    assert "held" not in json.loads(cli.ok("volume", "prune", "-y", "--format", "json"))["volumes_removed"]
    cli.ok("volume", "rm", "-q", "-f", "held")
    cli.ok("rm", "-q", "box")


def test_a_volume_that_is_gone_is_not_made_again(cli):
    """Only the first start makes one: later an empty one would hide that what was in it is lost."""
    cli.ok("create", "-q", "-n", "box", "-v", "gone:/v", IMAGE)
    cli.ok("stop", "-q", "box")
    cli.ok("volume", "rm", "-q", "-f", "gone")
    r = cli("start", "box")
    assert r.returncode == 1 and "gone" in r.err and "msb volume create" in r.err, r.err
    assert "gone" not in volumes(cli)
    cli.ok("volume", "create", "-q", "gone")
    cli.ok("start", "-q", "box")
    cli.ok("rm", "-q", "-f", "box")
    cli.ok("volume", "rm", "-q", "gone")


def test_a_lost_database_costs_no_volume(cli):
    cli.ok("create", "-q", "-n", "kept", "--no-start", "-v", "lost:/v", IMAGE)
    cli.ok("volume", "create", "-q", "lost")
    data = pathlib.Path(volumes(cli)["lost"]["path"])
    (data / "f").write_text("here\n")
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (cli.home / name).unlink(missing_ok=True)
    assert "lost" in volumes(cli)
    cli("doctor", "--fix", "-y")
    assert volumes(cli)["lost"]["sandboxes"] == ["kept"]
    cli.ok("start", "-q", "kept")
    assert sh(cli, "kept", "cat /v/f") == "here\n"
    cli.ok("rm", "-q", "-f", "kept")
    cli.ok("volume", "rm", "-q", "lost")


def test_a_killed_machine_leaves_its_volumes_usable(cli):
    """kill -9 of msb-vmm: locks go with it, and the next start counts anew."""
    cli.ok("create", "-q", "-n", "box", "-v", "hurt:/v:quota=4M", "-v", "hurtd:/d:kind=disk,size=32M", IMAGE)
    sh(cli, "box", "dd if=/dev/zero of=/v/f bs=64k count=16 2>/dev/null; echo x > /d/f; sync")
    pid = json.loads(cli.ok("inspect", "--format", "json", "box"))["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not volumes(cli)["hurtd"]["in_use"], 30, "its locks are free")
    usage = cli.home / "volumes/hurt/usage"
    usage.write_bytes(b"\xff" * 7 + b"\x7f")  # whatever it says now
    cli.ok("start", "-q", "box")
    assert 1 << 20 <= volumes(cli)["hurt"]["used_bytes"] < 2 << 20
    assert sh(cli, "box", "cat /d/f; echo more > /v/g; cat /v/g") == "x\nmore\n"
    cli.ok("rm", "-q", "-f", "box")
    cli.ok("volume", "rm", "-q", "hurt", "hurtd")


def test_an_empty_volume_is_of_the_first_user(cli):
    script = "stat -c %u:%g /v; echo x > /v/f; stat -c %u:%g /v/f"
    assert cli.ok("run", "-q", "-u", "1000:50", "-v", "users:/v", IMAGE, "--", "sh", "-c", script).split() == \
        ["1000:50", "1000:50"]
    # Files have the same owner for everybody else.
    assert cli.ok("run", "-q", "-u", "7", "-v", "users:/v", IMAGE, "--", "sh", "-c",
                  "stat -c %u:%g /v /v/f; echo y > /v/f || echo refused").split()[:3] == ["1000:50", "1000:50", "refused"]
    cli.ok("volume", "rm", "-q", "users")


@pytest.mark.parametrize("words, code, says", [
    ([], 2, "a name is missing"),
    (["a/b"], 1, "'a/b' cannot be a volume's name"),
    ([".x"], 1, "'.x' cannot be a volume's name"),
    (["x", "--name", "y"], 2, "two names are given"),
    (["x", "--kind", "disk"], 2, "--kind disk needs a --size"),
    (["x", "--kind", "disk", "--size", "1M"], 1, "a disk volume cannot have 1.0 MiB"),
    (["x", "--kind", "tape"], 2, "'tape' is not known"),
    (["x", "--size", "lots"], 2, "'lots' is not a size"),
])
def test_what_cannot_be_created(cli, words, code, says):
    r = cli("volume", "create", *words)
    assert r.returncode == code and says in r.err
    assert "x" not in volumes(cli)


def test_commands_about_none(cli):
    for words in (["inspect", "none"], ["rm", "none"]):
        r = cli("volume", *words)
        assert r.returncode == 1 and "there is no volume none" in r.err
    assert cli("volume", "rm", "-f", "none").returncode == 0
    cli.ok("volume", "create", "-q", "twice")
    r = cli("volume", "create", "twice")
    assert r.returncode == 1 and "there is a volume twice already" in r.err
    r = cli("volume", "prune")
    assert r.returncode == 1 and "nothing was removed" in r.err
    assert "twice" in volumes(cli)
    out = cli("volume", "prune", "-y")
    assert "twice" in out.err and "twice" not in volumes(cli)


def test_volumes_of_a_lost_record_stay(cli):
    """state.db is gone, the sandbox's folder is not: what it mounts is no orphan."""
    cli.ok("create", "-q", "--no-start", "-n", "lost", "-v", "kept:/v", IMAGE)
    cli.ok("volume", "create", "-q", "kept") if "kept" not in volumes(cli) else None
    for f in cli.home.glob("state.db*"):
        f.unlink()
    for words in (("rm", "kept"), ("prune", "-y")):
        r = cli("volume", *words)
        assert r.returncode == 1 and "not on record" in r.err and "msb doctor --fix" in r.err, r.err
    assert "kept" in volumes(cli)
    cli.ok("doctor", "--fix", "-y")
    r = cli("volume", "rm", "kept")
    assert r.returncode == 1 and "volume kept is mounted by sandbox lost" in r.err
    cli.ok("rm", "-q", "lost")
    cli.ok("volume", "rm", "-q", "kept")
