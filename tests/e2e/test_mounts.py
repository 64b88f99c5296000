"""Folders, files and memory of the host in a sandbox. One machine with many mounts for most of it."""
import json
import os
import pathlib
import stat
import time

import pytest

from lib.cli import Cli, wait_until

IMAGE = "test/busybox:1"
BOX = "box"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("mounts") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def src(tmp_path_factory):
    """What the box has of the host."""
    d = tmp_path_factory.mktemp("src")
    (d / "rw" / "sub").mkdir(parents=True)
    (d / "rw" / "hello").write_text("hello\n")
    (d / "ro").mkdir()
    (d / "ro" / "f").write_text("f\n")
    (d / "a:b c").mkdir()
    (d / "a:b c" / "odd").write_text("odd\n")
    (d / "inner").mkdir()
    (d / "inner" / "in").write_text("in\n")
    (d / "file").write_text("file\n")
    (d / "quota").mkdir()
    (d / "quota" / "before").write_bytes(b"x" * 3_000_000)
    (d / "link").symlink_to("inner")
    for name in ("rw", "ro"):
        (d / name).chmod(0o755)
    return d


@pytest.fixture(scope="module")
def box(cli, src):
    (src / "f.yaml").write_text(
        "mounts:\n- ./inner:/yaml/text:ro\n- {bind: file, target: /yaml/file, readonly: true}\n"
        "- {tmpfs: {size: 8M, mode: \"1777\"}, target: /yaml/tmp, noexec: true}\n")
    odd = str(src / "a:b c").replace(":", "\\:")
    cli.ok("create", "-q", "-n", BOX, "-m", "512M", "--fs-conf", src / "f.yaml",
           "-v", f"{src}/rw:/data", "-v", f"{src}/ro:/ro:ro", "-v", f"{src}/file:/etc/file:ro",
           "--mount-file", f"{src}/file:/deep/er/file", "-v", f"{odd}:/odd\\:one",
           "-v", f"{src}/inner:/data/sub/below", "--tmpfs", "/data/sub/below/tmp:4M",
           "-v", f"{src}/rw:/owned:uid=77,gid=78", "-v", f"{src}/link:/followed:follow",
           "-v", f"{src}/rw:/none:cache=none", "-v", f"{src}/quota:/quota:quota=2M",
           "-v", f"{src}/rw:/noexec:noexec,nosuid,nodev",
           "--tmpfs", "/scratch:16M:mode=1777,noexec", "--tmpfs", "/tmp", "--tmpfs", "/plain:ro", IMAGE)
    yield BOX
    cli.ok("rm", "-q", "-f", BOX)


def sh(cli, script, *options, **kw):
    return cli.ok("exec", *options, BOX, "--", "sh", "-c", script, **kw)


def fails(cli, script, *options):
    r = cli("exec", *options, BOX, "--", "sh", "-c", script)
    assert r.returncode not in (0, 125), (r.returncode, r.out, r.err)
    return r.err


def test_a_folder_is_the_same_on_both_sides(cli, box, src):
    assert sh(cli, "cat /data/hello") == "hello\n"
    sh(cli, "echo new > /data/new; mkdir /data/d; mv /data/new /data/d/n; ln -s d/n /data/l")
    assert (src / "rw/d/n").read_text() == "new\n"
    assert os.readlink(src / "rw/l") == "d/n"
    (src / "rw/host").write_text("from the host\n")
    assert sh(cli, "cat /data/host") == "from the host\n"
    sh(cli, "rm -r /data/d /data/l /data/host")
    assert sorted(p.name for p in (src / "rw").iterdir()) == ["hello", "sub"]


def test_read_only_is_kept_on_the_hosts_side(cli, box, src):
    assert sh(cli, "cat /ro/f") == "f\n"
    for script in ("echo x > /ro/f", "touch /ro/new", "rm /ro/f", "mkdir /ro/d", "chmod 777 /ro/f", "mv /ro/f /ro/g",
                   "ln /ro/f /ro/h", "touch -d 2000-01-01 /ro/f"):
        assert "Read-only file system" in fails(cli, script), script
    # Nor for root, who mounts it anew.
    sh(cli, "mount -o remount,rw /ro || mount -o remount,bind,rw /ro")
    assert "Read-only file system" in fails(cli, "echo x > /ro/f")
    assert (src / "ro/f").read_text() == "f\n"
    assert [p.name for p in (src / "ro").iterdir()] == ["f"]


def test_files_are_mounted_where_nothing_was(cli, box, src):
    assert sh(cli, "cat /etc/file /deep/er/file /yaml/file") == "file\n" * 3
    assert "Read-only file system" in fails(cli, "echo x > /etc/file")
    sh(cli, "echo changed > /deep/er/file")
    assert (src / "file").read_text() == "changed\n"
    wait_until(lambda: sh(cli, "cat /yaml/file") == "changed\n", 20, "a second is over")  # another mount of it: within a second
    sh(cli, "echo file > /deep/er/file")


def test_mounts_stand_in_each_other(cli, box, src):
    assert sh(cli, "cat /data/sub/below/in") == "in\n"
    sh(cli, "echo x > /data/sub/below/tmp/only-in-memory; echo y > /data/sub/below/kept")
    assert (src / "inner/kept").read_text() == "y\n"
    assert not list((src / "inner/tmp").iterdir())
    (src / "inner/kept").unlink()


def test_names_with_colons_and_blanks(cli, box):
    assert sh(cli, "cat '/odd:one/odd'") == "odd\n"


def test_a_link_is_followed_when_asked_for(cli, box):
    assert sh(cli, "cat /followed/in") == "in\n"


def test_whose_files_are(cli, box, src):
    assert sh(cli, "stat -c %u:%g /data/hello /owned/hello /owned").split() == ["0:0", "77:78", "77:78"]
    sh(cli, "touch /data/o; chown 1000:1001 /data/o; chmod 4711 /data/o")
    assert sh(cli, "stat -c %u:%g:%a /data/o").strip() == "1000:1001:4711"
    st = (src / "rw/o").stat()
    assert st.st_uid == os.geteuid() and not st.st_mode & stat.S_ISUID
    assert sh(cli, "stat -c %u:%g /owned/o").strip() == "77:78"
    sh(cli, "rm /data/o")


def test_a_quota_is_what_may_be_added(cli, box, src):
    assert "No space left on device" in fails(cli, "dd if=/dev/zero of=/quota/big bs=64k count=100 2>&1 >/dev/null "
                                                   "| tee /dev/stderr | grep -q nothing")
    taken = sum(p.stat().st_blocks * 512 for p in (src / "quota").iterdir())
    assert 3_000_000 + 1_500_000 < taken < 3_020_000 + 2 * 1024 * 1024
    sh(cli, "rm /quota/big; dd if=/dev/zero of=/quota/small bs=64k count=10 2>/dev/null; rm /quota/small")


def test_flags_of_mounts(cli, box):
    mounts = {line.split()[1].replace("\\040", " "): line.split()
              for line in sh(cli, "cat /proc/mounts").splitlines()}
    for flag in ("noexec", "nosuid", "nodev"):
        assert flag in mounts["/noexec"][3].split(",")
        assert flag not in mounts["/data"][3].split(",")
    assert "noexec" in mounts["/scratch"][3].split(",")
    assert mounts["/yaml/text"][3].split(",")[0] == "ro"
    sh(cli, "printf '#!/bin/sh\\nexit 0\\n' > /data/x; chmod 755 /data/x; /data/x")
    assert "Permission denied" in fails(cli, "/noexec/x")
    sh(cli, "rm /data/x")


def test_memory_has_its_size_and_mode(cli, box):
    assert sh(cli, "df -k /scratch | tail -1 | awk '{print $2}'").strip() == "16384"
    assert sh(cli, "df -k /yaml/tmp | tail -1 | awk '{print $2}'").strip() == "8192"
    assert sh(cli, "stat -c %a /scratch /tmp /yaml/tmp /plain").split() == ["1777", "1777", "1777", "755"]
    # Without a size: half of the memory.
    half = int(sh(cli, "df -k /tmp | tail -1 | awk '{print $2}'"))
    assert 200_000 < half < 270_000
    assert "No space left on device" in fails(cli, "dd if=/dev/zero of=/scratch/x bs=1M count=20")
    sh(cli, "rm /scratch/x")
    assert "Read-only file system" in fails(cli, "touch /plain/x")


def test_what_changes_on_the_host_is_seen(cli, box, src):
    f = src / "rw" / "seen"
    f.write_text("1\n")
    assert sh(cli, "cat /data/seen /none/seen") == "1\n1\n"
    f.write_text("22\n")
    assert sh(cli, "cat /none/seen") == "22\n"
    wait_until(lambda: sh(cli, "cat /data/seen") == "22\n", 20, "the new content is seen")
    f.unlink()
    wait_until(lambda: cli("exec", BOX, "--", "test", "-e", "/data/seen").returncode == 1, 20, "it is gone")


def test_inspect_shows_them(cli, box, src):
    text = cli.ok("inspect", BOX)
    assert f"dir {src}/rw at /data\n" in text
    assert f"file {src}/file at /etc/file (ro)" in text
    found = {m["target"]: m for m in json.loads(cli.ok("inspect", "--format", "json", BOX))["config"]["mounts"]}
    assert found["/owned"]["uid"] == 77 and found["/data"]["uid"] is None
    assert found["/quota"]["quota_bytes"] == 2 << 20
    assert found["/ro"]["readonly"] and not found["/data"]["readonly"]
    assert found["/none"]["cache"] == "none" and found["/scratch"]["kind"] == "tmpfs"


def test_they_are_there_again_after_a_restart(cli, tmp_path):
    d = tmp_path / "d"
    d.mkdir()
    cli.ok("create", "-q", "-n", "again", "-v", f"{d}:/d", "--tmpfs", "/scratch", IMAGE)
    cli.ok("exec", "again", "--", "sh", "-c", "echo x > /scratch/gone; echo y > /d/stays")
    cli.ok("restart", "-q", "again")
    assert cli.ok("exec", "again", "--", "sh", "-c", "cat /d/stays; ls /scratch") == "y\n"
    cli.ok("rm", "-q", "-f", "again")


def test_a_source_that_went_is_said_at_the_start(cli, src, tmp_path):
    d = tmp_path / "away"
    d.mkdir()
    cli.ok("create", "-q", "-n", "away", "--no-start", "-v", f"{d}:/d", IMAGE)
    d.rmdir()
    r = cli("start", "-q", "away")
    assert r.returncode == 1 and f"cannot mount {d} at /d: it does not exist" in r.err
    d.write_text("a file now")
    r = cli("start", "-q", "away")
    assert r.returncode == 1 and "it is a file, not a folder" in r.err
    cli.ok("rm", "-q", "away")


@pytest.mark.parametrize("words, says", [
    (["-v", "{t}/missing:/x"], "cannot mount {t}/missing at /x: it does not exist"),
    (["--mount-dir", "{t}/f:/x"], "it is a file, not a folder"),
    (["--mount-file", "{t}:/x"], "it is a folder, not a file"),
    (["--mount-file", "/dev/null:/x"], "it is neither a folder nor a file"),
    (["-v", "{t}/l:/x"], "it is a symbolic link"),
    (["-v", "{t}:/"], "nothing can be mounted at '/': it is the root"),
    (["-v", "{t}:/proc/x"], "nothing can be mounted at '/proc/x': that is the machine's own"),
    (["-v", "{t}:/a/../b"], "it has a .."),
    (["-v", "{t}:/x", "--tmpfs", "/x/"], "two mounts at /x"),
    (["-v", "a b:/x"], "'a b' cannot be a volume's name"),
    (["-v", "nice:/x:kind=disk"], "a disk volume needs a size"),
])
def test_what_cannot_be_mounted_leaves_nothing(cli, tmp_path, words, says):
    (tmp_path / "f").write_text("f")
    (tmp_path / "l").symlink_to("f")
    args = [w.format(t=tmp_path) for w in words]
    before = cli.ok("ls", "-q")
    for command in (["create", "-q", "-n", "bad"], ["create", "-q", "-n", "bad", "--no-start"], ["run", "-q"]):
        r = cli(*command, *args, IMAGE, *(["--", "true"] if command[0] == "run" else []))
        assert r.returncode in (1, 125) and says.format(t=tmp_path) in r.err, (command, r.err)
    assert cli.ok("ls", "-q") == before
    assert cli.ok("volume", "ls", "-q") == ""
    assert not list((cli.home / "sandboxes").glob("*")) or before


@pytest.mark.parametrize("words, says", [
    (["-v", "{t}:/bin/busybox"], "a file is there, and a folder cannot go over it"),
    (["-v", "{t}/f:/bin"], "a folder is there, and a file cannot go over it"),
    (["--mount-disk", "{t}/empty.img:/x"], "no file system of that type is on it"),
])
def test_what_the_guest_cannot_mount_has_a_reason(cli, tmp_path, words, says):
    (tmp_path / "f").write_text("f")
    with open(tmp_path / "empty.img", "wb") as f:
        f.truncate(16 << 20)
    r = cli("run", "-q", *(w.format(t=tmp_path) for w in words), IMAGE, "--", "true")
    assert r.returncode == 125 and says in r.err, r.err


def test_what_is_replaced_stays_when_a_source_is_missing(cli, tmp_path):
    cli.ok("create", "-q", "-n", "old", "--no-start", IMAGE)
    r = cli("create", "-q", "-n", "old", "--replace", "-v", f"{tmp_path}/missing:/x", IMAGE)
    assert r.returncode == 1
    cli.ok("inspect", "old")
    cli.ok("rm", "-q", "old")


def test_a_user_of_the_image_has_the_hosts_files(cli, tmp_path):
    """-u NAME is looked up in the image; files of the host's user are that user's."""
    d = tmp_path / "d"
    d.mkdir(mode=0o700)
    (d / "mine").write_text("x")
    out = cli.ok("run", "-q", "-u", "1234:567", "-v", f"{d}:/d", IMAGE, "--", "sh", "-c",
                 "stat -c %u:%g /d /d/mine; echo y > /d/new; stat -c %u:%g /d/new")
    assert out.split() == ["1234:567"] * 3
    assert (d / "new").read_text() == "y\n" and (d / "new").stat().st_uid == os.geteuid()


def test_a_user_by_name_is_looked_up_in_the_image(cli, python_image, tmp_path):
    d = tmp_path / "d"
    d.mkdir()
    cli.ok("load", "-q", "-i", python_image, "-t", "test/python:1")
    for user, want in (("www-data", "33:33"), ("nobody", "65534:65534"), ("www-data:nogroup", "33:65534"), ("33", "33:33")):
        out = cli.ok("run", "-q", "-u", user, "-v", f"{d}:/d", "test/python:1", "--", "sh", "-c",
                     "id -u; id -g; stat -c %u:%g /d; touch /d/f && rm /d/f").split()
        assert out == [*want.split(":"), want]


def test_one_volume_at_two_places(cli):
    out = cli.ok("run", "-q", "-v", "twin:/a", "-v", "twin:/b:ro", IMAGE, "--", "sh", "-c",
                 "echo x > /a/f; sleep 1.1; cat /b/f; touch /b/g || echo refused")
    assert out == "x\nrefused\n"
    cli.ok("volume", "rm", "-q", "twin")


def test_what_was_written_to_a_mapped_file_is_on_the_host(cli, tmp_path):
    """msb run without a name ends its machine by shutting it down, when something is mounted."""
    d = tmp_path / "d"
    d.mkdir()
    cli.ok("run", "-q", "-v", f"{d}:/d", IMAGE, "--", "sh", "-c", "dd if=/dev/urandom of=/d/f bs=1M count=8 2>/dev/null;"
           "md5sum /d/f | cut -d' ' -f1 > /d/sum; exit 0")
    import hashlib
    assert hashlib.md5((d / "f").read_bytes()).hexdigest() == (d / "sum").read_text().strip()


def test_an_installed_command_keeps_its_mounts(cli, tmp_path):
    d = tmp_path / "w o:r k"
    d.mkdir()
    (d / "f").write_text("by a command\n")
    env = {"MSB_BIN": str(tmp_path / "bin")}
    cli.ok("install", "--tmp", "-q", "-n", "show", "-v", ".:/w:ro", "--tmpfs", "/t:1M", IMAGE, "--", "cat", cwd=d, env=env)
    import subprocess
    r = subprocess.run([tmp_path / "bin/show", "/w/f"], env=cli.environment(env), cwd="/", stdout=subprocess.PIPE,
                       text=True, timeout=60)
    assert (r.returncode, r.stdout) == (0, "by a command\n")
