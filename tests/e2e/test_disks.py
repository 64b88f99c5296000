"""Disk images in machines: raw and qcow2, locked, checked, and room given back."""
import hashlib
import shutil
import subprocess

import pytest

from conftest import need
from lib.cli import Cli

IMAGE = "test/busybox:1"
MIB = 1 << 20


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    need("qemu-img")
    c = Cli(build_dir, tmp_path_factory.mktemp("disks") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return c


def qemu_img(*args):
    r = subprocess.run(["qemu-img", *map(str, args)], capture_output=True, text=True)
    assert r.returncode == 0, (r.stdout, r.stderr)
    return r.stdout


def ext4(path, size="64M"):
    """A raw disk with an empty file system, owned by whoever runs the tests."""
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", path, size], check=True, capture_output=True)
    return path


def qcow2(path, *options):
    raw = ext4(path.with_suffix(".tmp"))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", *options, raw, path)
    raw.unlink()
    return path


def blocks(path):
    return path.stat().st_blocks * 512


def read_raw(image, tmp_path, name):
    """A file of the ext4 in a disk image, read on the host."""
    raw = tmp_path / "read.raw"
    qemu_img("convert", "-O", "raw", image, raw)
    out = tmp_path / "read.out"
    subprocess.run(["debugfs", "-R", f"dump {name} {out}", raw], check=True, capture_output=True)
    return out.read_bytes()


def test_raw_and_qcow2_are_written_and_read_again(cli, tmp_path):
    need("debugfs")
    raw, cow = ext4(tmp_path / "a.raw"), qcow2(tmp_path / "b.qcow2")
    packed = qcow2(tmp_path / "c.qcow2", "-c", "-o", "compression_type=zstd")
    where = ["--mount-disk", f"{raw}:/a", "--mount-disk", f"{cow}:/b", "--mount-disk", f"{packed}:/c"]
    out = cli.ok("run", "-q", *where, IMAGE, "--", "sh", "-c",
                 "for d in a b c; do dd if=/dev/urandom of=/$d/x bs=64k count=200 2>/dev/null; done; md5sum /a/x /b/x /c/x")
    sums = dict(reversed(line.split()) for line in out.splitlines())
    for image, name in ((raw, "/a/x"), (cow, "/b/x"), (packed, "/c/x")):
        assert hashlib.md5(read_raw(image, tmp_path, "x")).hexdigest() == sums[name]
    for image in cow, packed:
        assert "No errors" in qemu_img("check", image)
    again = cli.ok("run", "-q", "--mount-disk", f"{raw}:/a:ro", "--mount-disk", f"{cow}:/b:ro", IMAGE, "--", "sh", "-c",
                   "md5sum /a/x /b/x; echo >/b/y 2>/dev/null || echo read-only")
    assert again.splitlines() == [f"{sums['/a/x']}  /a/x", f"{sums['/b/x']}  /b/x", "read-only"]


def test_what_was_written_without_a_file_system_is_there_after_the_end(cli, tmp_path):
    """The last writes are in qcow2's tables although nobody synced them."""
    cow = qcow2(tmp_path / "b.qcow2")
    cli.ok("run", "-q", "--mount-disk", f"{cow}:/b", IMAGE, "--", "sh", "-c",
           "umount /b; yes 0123456 | dd of=/dev/vdc bs=64k count=100 seek=300 iflag=fullblock 2>/dev/null")
    raw = tmp_path / "read.raw"
    qemu_img("convert", "-O", "raw", cow, raw)
    with raw.open("rb") as f:
        f.seek(300 * 65536)
        assert f.read(100 * 65536) == b"0123456\n" * (100 * 8192)
    assert "No errors" in qemu_img("check", cow)


def test_a_raw_disk_that_the_guest_makes_look_like_qcow2_is_still_raw(cli, tmp_path):
    """CVE-2008-2004 and its children: the second start must not read /etc/passwd."""
    raw = ext4(tmp_path / "a.img")
    evil = tmp_path / "evil.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", evil, "64M")
    header = evil.read_bytes()[:65536]
    (tmp_path / "header").write_bytes(header)
    name = "raw-stays-raw"
    cli.ok("create", "-q", "-n", name, "--mount-disk", f"{raw}:/a", "-v", f"{tmp_path / 'header'}:/header:ro", IMAGE)
    try:
        cli.ok("exec", name, "--", "sh", "-c", "umount /a; cat /header >/dev/vdc; sync")
        cli.ok("stop", "-q", name)
        assert raw.read_bytes()[:4] == b"QFI\xfb"
        r = cli("start", "-q", name)  # no ext4 any more: mounting it fails, and says so
        if r.returncode == 0:
            assert cli.ok("exec", name, "--", "head", "-c", "4", "/dev/vdc").startswith("QFI")
        assert "root:" not in r.out + r.err
    finally:
        cli("rm", "-f", "-q", name)
    assert raw.read_bytes()[:65536] == header
    # by its name alone it could be meant either way
    r = cli("run", "-q", "--mount-disk", f"{raw}:/a", IMAGE, "--", "true")
    assert r.returncode == 125 and "begins like qcow2" in r.err and "format=raw" in r.err


BAD = [
    ("b.qcow2", lambda p: qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", p, "64M"), "", "/etc/passwd"),
    ("b.qcow2", lambda p: qemu_img("create", "-f", "qcow2", "-o", f"data_file={p}.data", p, "64M"), "", "in another file"),
    ("b.qcow2", lambda p: p.write_bytes(b"QFI\xfb" + bytes(1000)), "", "version 0"),
    ("b.qcow2", lambda p: p.write_bytes(bytes(65536)), "", "no qcow2"),
    ("b.disk", lambda p: p.write_bytes(bytes(65536)), "", "format=raw"),
    ("b.raw", lambda p: p.write_bytes(bytes(65537)), "", "no multiple of 512"),
    ("b.raw", lambda p: p.write_bytes(b""), "", "no multiple of 512"),
    ("b.raw", lambda p: p.mkdir(), "", "folder"),
    ("b.raw", lambda p: None, "", "does not exist"),
    ("b.img", lambda p: p.write_bytes(bytes(65536)), ",format=vmdk", "raw, qcow2"),
]


@pytest.mark.parametrize("name, make, options, says", BAD)
def test_what_cannot_be_opened_is_named_before_a_machine_starts(cli, tmp_path, name, make, options, says):
    path = tmp_path / name
    make(path)
    before = path.read_bytes() if path.is_file() else None
    r = cli("run", "-q", "--mount-disk", f"{path}:/b{':ro' + options if options else ''}", IMAGE, "--", "true")
    assert r.returncode in (2, 125) and says in r.err, r.err
    assert (path.read_bytes() if path.is_file() else None) == before


def test_one_writes_or_several_read(cli, tmp_path):
    raw = ext4(tmp_path / "a.raw")
    names = ["disk-one", "disk-two"]
    try:
        cli.ok("create", "-q", "-n", names[0], "--mount-disk", f"{raw}:/a", IMAGE)
        for more in "", ":ro":
            r = cli("run", "-q", "--mount-disk", f"{raw}:/a{more}", IMAGE, "--", "true")
            assert r.returncode == 125 and "another sandbox" in r.err and str(raw) in r.err, r.err
        cli.ok("stop", "-q", names[0])
        cli.ok("create", "-q", "-n", names[1], "--mount-disk", f"{raw}:/a:ro", IMAGE)
        assert "lost+found" in cli.ok("run", "-q", "--mount-disk", f"{raw}:/a:ro", IMAGE, "--", "ls", "/a")
        r = cli("start", "-q", names[0])
        assert r.returncode != 0 and "in use" in r.err
    finally:
        cli("rm", "-f", "-q", *names)


def test_what_is_deleted_gives_its_room_back(cli, tmp_path):
    """Through ext4's discard and virtio-blk: holes in raw, freed clusters in qcow2, and the sandbox's own upper."""
    raw, cow = ext4(tmp_path / "a.raw", "400M"), tmp_path / "b.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, cow)
    name = "room"
    cli.ok("create", "-q", "-n", name, "--mount-disk", f"{raw}:/a", "--mount-disk", f"{cow}:/b", IMAGE)
    try:
        folder, = (p for p in (cli.home / "sandboxes").iterdir() if (p / "upper.ext4").exists())
        upper = folder / "upper.ext4"
        files = raw, cow, upper
        before = [blocks(p) for p in files]
        cli.ok("exec", name, "--", "sh", "-c",
               "for d in /a /b /root; do dd if=/dev/zero of=$d/x bs=1M count=200 2>/dev/null; done; sync")
        assert all(blocks(p) > b + 190 * MIB for p, b in zip(files, before))
        cli.ok("exec", name, "--", "sh", "-c", "rm /a/x /b/x /root/x; sync")
        cli.ok("stop", "-q", name)
        for p, b in zip(files, before):
            assert blocks(p) < b + 24 * MIB, (p, b, blocks(p))  # ext4's journal is written round and round
    finally:
        cli("rm", "-f", "-q", name)
    assert "No errors" in qemu_img("check", cow)


def test_disks_a_share_and_a_network_share_qemus_slots(cli, tmp_path):
    """Three disks beside the other two; four where there is no interface."""
    disks = [ext4(tmp_path / f"{i}.raw", "8M") for i in range(4)]
    options = [w for i, d in enumerate(disks) for w in ("--mount-disk", f"{d}:/d{i}")]
    share = ["-v", f"{tmp_path}:/share:ro"]
    look = ["sh", "-c", "ls -d /d*/lost+found; ls /share | wc -l; head -c 1 /dev/random | wc -c; ls /sys/class/net"]
    out = cli.ok("run", "-q", *options[:6], *share, IMAGE, "--", *look)
    assert out.split() == [f"/d{i}/lost+found" for i in range(3)] + ["4", "1", "eth0", "lo"]
    r = cli("run", "-q", *options, *share, IMAGE, "--", "true")
    assert r.returncode == 125 and "takes 8" in r.err and "enabled: false" in r.err
    without = tmp_path / "net.yaml"
    without.write_text("enabled: false\n")
    out = cli.ok("run", "-q", *options, *share, "--net-conf", without, IMAGE, "--", *look)
    assert out.split() == [f"/d{i}/lost+found" for i in range(4)] + ["5", "1", "lo"]
    fifth = ext4(tmp_path / "4.raw", "8M")
    r = cli("run", "-q", *options, "--mount-disk", f"{fifth}:/d4", IMAGE, "--", "true")
    assert r.returncode in (2, 125) and "4 disks" in r.err


def test_a_root_that_is_a_disk_stays_as_it_is(cli, tmp_path):
    """A raw and a qcow2 root: read-only below the sandbox's own upper."""
    need("debugfs")
    tree = tmp_path / "tree"
    for d in "bin", "dev", "proc", "sys", "tmp", "etc", "run", "root":
        (tree / d).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    for applet in "sh", "cat", "echo", "ls":
        (tree / "bin" / applet).symlink_to("busybox")
    raw = tmp_path / "root.raw"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw, "32M"], check=True, capture_output=True)
    cow = tmp_path / "root.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, cow)
    for image in raw, cow:
        before = image.read_bytes()
        out = cli.ok("run", "-q", str(image), "--", "/bin/sh", "-c", "echo hello >/root/x; cat /root/x; ls /bin")
        assert out.split() == ["hello", "busybox", "cat", "echo", "ls", "sh"]
        assert image.read_bytes() == before
