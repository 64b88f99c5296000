"""msb cp: docker's rules, trees both ways, tar streams, and guests that mean no good. One machine for most of it."""
import io
import os
import pathlib
import signal
import stat
import subprocess
import tarfile
import time

import pytest

from lib.cli import Cli, wait_until

IMAGE = "test/busybox:1"
BOX = "box"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("copy") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def box(cli):
    cli.ok("create", "-q", "-n", BOX, "-m", "512M", IMAGE)
    yield BOX
    cli.ok("rm", "-q", "-f", BOX)


@pytest.fixture(autouse=True)
def reap(cli):
    yield
    cli.reap()


@pytest.fixture
def there(cli, box, request):
    """An empty folder in the sandbox, removed at the end."""
    path = f"/tmp/{request.node.name.split('[')[0]}"
    sh(cli, f"rm -rf {path}; mkdir -p {path}")
    yield path
    sh(cli, f"rm -rf {path}")


def sh(cli, script, **kw):
    return cli.ok("exec", BOX, "--", "sh", "-c", script, **kw)


def refused(cli, *words, says=None, **kw):
    r = cli("cp", *words, **kw)
    assert r.returncode == 1 and r.err.startswith("error: "), (r.returncode, r.out, r.err)
    if says:
        assert says in r.err, r.err
    return r.err


def make_tree(top):
    """One of everything that is kept."""
    top.mkdir()
    (top / "empty").mkdir()
    (top / "deep" / "er" / "est").mkdir(parents=True)
    (top / "deep/er/est/file").write_text("deep\n")
    (top / "file").write_text("content\n")
    (top / "script").write_text("#!/bin/sh\n")
    (top / "script").chmod(0o755)
    (top / "nobody may").write_bytes(b"")
    (top / "nobody may").chmod(0)
    os.link(top / "file", top / "deep" / "second name")
    (top / "link").symlink_to("file")
    (top / "nowhere").symlink_to("/no/such/../thing")
    os.mkfifo(top / "pipe", 0o640)
    (top / os.fsdecode(b"\xff name\n\x1b[31m")).write_text("odd\n")
    with open(top / "holes", "wb") as f:
        f.seek(3 << 20)
        f.write(b"x")
        f.truncate(5 << 20)
    (top / "closed").mkdir()
    (top / "closed" / "in").write_text("in")
    (top / "sticky").mkdir()
    (top / "sticky").chmod(0o1777)
    (top / "closed").chmod(0o555)
    for i, (folder, names, files) in enumerate(os.walk(top, topdown=False)):
        for name in files:
            os.utime(f"{folder}/{name}", ns=(0, 1_600_000_000_123_456_789 + i * 10**9), follow_symlinks=False)
        os.utime(folder, ns=(0, 1_500_000_000_987_654_321 + i * 10**9))


def describe(top, with_owner=False):
    """All there is to compare: {path: (mode, content or target, mtime, other names, ...)}."""
    found, names = {}, {}
    for folder, folders, files in os.walk(top):
        for name in [".", *folders, *files] if folder == str(top) else folders + files:
            path = os.path.normpath(os.path.join(folder, name))
            st = os.lstat(path)
            what = os.readlink(path) if stat.S_ISLNK(st.st_mode) else \
                pathlib.Path(path).read_bytes() if stat.S_ISREG(st.st_mode) else None
            short = os.path.relpath(path, top)
            mode = 0 if stat.S_ISLNK(st.st_mode) else st.st_mode
            owner = (st.st_uid, st.st_gid) if with_owner else None
            first = names.setdefault((st.st_dev, st.st_ino), short) if stat.S_ISREG(st.st_mode) else short
            found[short] = (oct(mode), what, st.st_mtime_ns, first == short or sorted((first, short)), owner)
    return found


# -- where it goes: docker's table ------------------------------------------------

def test_placement_of_a_file(cli, box, there, tmp_path):
    (tmp_path / "f").write_text("new")
    put = lambda *to: cli.ok("cp", "-q", tmp_path / "f", f"{box}:{there}/" + "".join(to))  # noqa: E731
    put("absent")
    put("d")
    sh(cli, f"rm {there}/d; mkdir {there}/d; echo old >{there}/old; ln -s old {there}/l; ln -s none {there}/dangling")
    put("d")
    put("old")
    put("l")
    put("dangling")
    put("d/")
    assert sh(cli, f"cd {there}; cat absent d/f old none; readlink l") == "newnewnewnewold\n"
    refused(cli, tmp_path / "f", f"{box}:{there}/none-such/", says="there is no folder")
    refused(cli, tmp_path / "f", f"{box}:{there}/none-such/x", says="none-such")
    refused(cli, tmp_path / "f", f"{box}:{there}/old/x", says="Not a directory")
    refused(cli, f"{tmp_path}/f/", f"{box}:{there}/", says="Not a directory")
    refused(cli, f"{tmp_path}/f/.", f"{box}:{there}/", says="Not a directory")


def test_placement_of_a_folder(cli, box, there, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/a").write_text("a")
    for command in (("s", "absent"), ("s", ""), ("s/.", "content"), ("s/.", "into/"), ("s/", "slash")):
        sh(cli, f"mkdir -p {there}/into")
        cli.ok("cp", "-q", f"{tmp_path}/{command[0]}", f"{box}:{there}/{command[1]}")
    assert sh(cli, f"cd {there}; find . -type f | sort").split() == \
        ["./absent/a", "./content/a", "./into/a", "./s/a", "./slash/a"]
    sh(cli, f"echo x >{there}/file")
    refused(cli, tmp_path / "s", f"{box}:{there}/file", says="is a file: a folder cannot be copied to it")
    # within: neither replaces the other
    sh(cli, f"mkdir -p {there}/clash/a")
    refused(cli, f"{tmp_path}/s/.", f"{box}:{there}/clash", says="a is a folder: a file cannot replace it")
    (tmp_path / "s/b").mkdir()
    sh(cli, f"rm -r {there}/clash; mkdir {there}/clash; echo x >{there}/clash/b")
    refused(cli, f"{tmp_path}/s/.", f"{box}:{there}/clash", says="b is not a folder: a folder cannot replace it")


def test_placement_here(cli, box, there, tmp_path):
    sh(cli, f"cd {there}; mkdir -p s/sub; echo f >f; echo a >s/sub/a; ln -s f l; ln -s s ls")
    out = tmp_path / "out"
    out.mkdir()
    get = lambda what, to, *opts: cli.ok("cp", "-q", *opts, f"{box}:{there}/{what}", to)  # noqa: E731
    get("f", out / "absent")
    get("f", out)
    get("s", out)
    get("s", out / "named")
    get("s/.", out / "content")
    get("l", out)
    get("l", out / "followed", "-L")
    get("ls/", out / "ls-slash")
    get("ls", out / "ls")
    (out / "d").mkdir()
    (out / "tod").symlink_to("d")
    get("f", out / "tod")
    (out / "target").write_text("old")
    (out / "tofile").symlink_to("target")
    get("f", out / "tofile")
    assert {p: (os.readlink(out / p) if (out / p).is_symlink() else (out / p).read_text()) for p in sorted(
        str(q.relative_to(out)) for q in out.rglob("*") if not q.is_dir() or q.is_symlink())} == {
        "absent": "f\n", "f": "f\n", "s/sub/a": "a\n", "named/sub/a": "a\n", "content/sub/a": "a\n", "l": "f",
        "followed": "f\n", "ls-slash/sub/a": "a\n", "ls": "s", "d/f": "f\n", "tod": "d", "target": "f\n",
        "tofile": "target"}
    refused(cli, f"{box}:{there}/f", f"{out}/no/", says="there is no folder")
    refused(cli, f"{box}:{there}/s", out / "f", says="is a file")
    refused(cli, f"{box}:{there}/no", out, says="No such file")
    refused(cli, f"{box}:{there}/f", "/dev/null", says="neither a file nor a folder")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_which_side_is_a_sandbox(cli, box, there, tmp_path):
    (tmp_path / "a:b").write_text("colon")
    cli.ok("cp", "-q", "./a:b", f"{box}:{there}", cwd=tmp_path)
    assert sh(cli, f"cat {there}/a:b") == "colon"
    for words, says in ((("a", "b"), "neither side is in a sandbox"), (("box:", "x"), "needs a path"),
                        (("C:\\x", "y"), "neither side"), (("-", "-"), "neither side")):
        r = cli("cp", *words)
        assert r.returncode == 2 and says in r.err, (words, r.err)
    assert "no sandbox" in refused(cli, "nobody:/x", tmp_path)


def test_a_sandbox_that_does_not_run(cli, tmp_path):
    cli.ok("create", "-q", "-n", "off", "--no-start", IMAGE) if "--no-start" in cli.ok("create", "--help") else \
        (cli.ok("create", "-q", "-n", "off", IMAGE), cli.ok("stop", "-q", "off"))
    assert "msb start off" in refused(cli, "off:/etc", tmp_path)
    cli.ok("rm", "-q", "-f", "off")


# -- trees ------------------------------------------------------------------------

def test_a_tree_in_and_out_is_the_same(cli, box, there, tmp_path):
    make_tree(tmp_path / "tree")
    cli.ok("cp", "-q", tmp_path / "tree", f"{box}:{there}")
    cli.ok("cp", "-q", f"{box}:{there}/tree", tmp_path / "back")
    want = describe(tmp_path / "tree")
    assert describe(tmp_path / "back") == want
    assert os.stat(tmp_path / "back/holes").st_blocks < 1024
    # a second time over what is there, by its content
    cli.ok("cp", "-q", f"{box}:{there}/tree/.", tmp_path / "back")
    got = describe(tmp_path / "back")
    assert {k: v for k, v in got.items() if k != "."} == {k: v for k, v in want.items() if k != "."}


def test_owners_and_set_id_bits_only_by_archive(cli, box, there, tmp_path):
    top = tmp_path / "t"
    top.mkdir()
    (top / "f").write_text("x")
    os.chown(top / "f", 1234, 5678)
    (top / "f").chmod(0o6755)
    os.setxattr(top / "f", "user.note", b"kept\0")
    cli.ok("cp", "-q", top, f"{box}:{there}/plain")
    cli.ok("cp", "-q", "-a", top, f"{box}:{there}/archive")
    assert sh(cli, f"cd {there}; stat -c '%a %u:%g' plain/f archive/f").split("\n")[:2] == \
        ["755 0:0", "6755 1234:5678"]
    cli.ok("cp", "-q", f"{box}:{there}/archive", tmp_path / "plain")
    cli.ok("cp", "-q", "-a", f"{box}:{there}/archive", tmp_path / "archive")
    st = [os.stat(tmp_path / n / "f") for n in ("plain", "archive")]
    assert [(stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid) for s in st] == [(0o755, 0, 0), (0o6755, 1234, 5678)]
    assert os.getxattr(tmp_path / "archive/f", "user.note") == b"kept\0"


def test_from_one_sandbox_to_another(cli, box, there, tmp_path):
    cli.ok("create", "-q", "-n", "other", IMAGE)
    make_tree(tmp_path / "tree")
    cli.ok("cp", "-q", tmp_path / "tree", f"{box}:{there}")
    cli.ok("cp", "-q", f"{box}:{there}/tree", "other:/tmp/moved")
    cli.ok("cp", "-q", "other:/tmp/moved", tmp_path / "back")
    cli.ok("rm", "-q", "-f", "other")
    assert describe(tmp_path / "back") == describe(tmp_path / "tree")


def test_a_big_file_both_ways(cli, box, there, tmp_path):
    size = 300 << 20
    with open(tmp_path / "big", "wb") as f:
        for _ in range(size >> 20):
            f.write(os.urandom(1 << 20))
    begin = time.monotonic()
    cli.ok("cp", "-q", tmp_path / "big", f"{box}:{there}/big")
    middle = time.monotonic()
    cli.ok("cp", "-q", f"{box}:{there}/big", tmp_path / "back")
    end = time.monotonic()
    print(f"\n300 MiB: in {300 / (middle - begin):.0f} MiB/s, out {300 / (end - middle):.0f} MiB/s")
    subprocess.run(["cmp", tmp_path / "big", tmp_path / "back"], check=True)


def test_many_small_files(cli, box, there, tmp_path):
    (tmp_path / "many").mkdir()
    for i in range(5000):
        if i % 100 == 0:
            (tmp_path / f"many/{i // 100}").mkdir()
        (tmp_path / f"many/{i // 100}/{i}").write_text(str(i))
    begin = time.monotonic()
    cli.ok("cp", "-q", tmp_path / "many", f"{box}:{there}/many")
    middle = time.monotonic()
    cli.ok("cp", "-q", f"{box}:{there}/many", tmp_path / "back")
    print(f"\n5000 files: in {middle - begin:.2f} s, out {time.monotonic() - middle:.2f} s")
    assert describe(tmp_path / "back") == describe(tmp_path / "many")


# -- tar --------------------------------------------------------------------------

def test_tar_out_as_gnu_tar_reads_it(cli, box, there, tmp_path):
    make_tree(tmp_path / "tree")
    cli.ok("cp", "-q", tmp_path / "tree", f"{box}:{there}")
    with open(tmp_path / "out.tar", "wb") as f:
        cli.ok("cp", f"{box}:{there}/tree", "-", stdout=f)
    (tmp_path / "x").mkdir()
    subprocess.run(["tar", "xpf", tmp_path / "out.tar", "-C", tmp_path / "x"], check=True)
    assert describe(tmp_path / "x/tree") == describe(tmp_path / "tree")
    with open(tmp_path / "content.tar", "wb") as f:
        cli.ok("cp", f"{box}:{there}/tree/.", "-", stdout=f)
    names = tarfile.open(tmp_path / "content.tar").getnames()
    assert "." in names and "./deep/er/est/file" in names and not [n for n in names if n.startswith("tree")]


@pytest.mark.parametrize("how", [["--format=gnu", "--sparse"], ["--format=pax", "--sparse"], ["-z"], ["--zstd"]])
def test_tar_in_from_gnu_tar(cli, box, there, tmp_path, how):
    make_tree(tmp_path / "tree")
    tar = subprocess.run(["tar", "c", *how, "-C", tmp_path, "tree"], stdout=subprocess.PIPE, check=True).stdout
    cli.ok("cp", "-q", "-", f"{box}:{there}", input=tar)
    cli.ok("cp", "-q", f"{box}:{there}/tree", tmp_path / "back")
    want = describe(tmp_path / "tree")
    got = describe(tmp_path / "back")
    if "--format=pax" not in how:  # whole seconds
        cut = lambda d: {k: v[:2] + (v[2] // 10**9,) + v[3:] for k, v in d.items()}  # noqa: E731
        want, got = cut(want), cut(got)
    assert got == want


def archive(*entries):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, kind, value in entries:
            i = tarfile.TarInfo(name)
            i.type, i.mode = kind, 0o644
            if kind == tarfile.REGTYPE:
                i.size = len(value)
                t.addfile(i, io.BytesIO(value))
            else:
                i.linkname = value
                t.addfile(i)
    return b.getvalue()


def test_tar_in_by_parts_and_by_names_that_lead_out(cli, box, there):
    reg = tarfile.REGTYPE
    cli.ok("cp", "-q", "-", f"{box}:{there}", input=archive(("/abs/f", reg, b"1"), ("./rel//g", reg, b"2"),
                                                           ("n", tarfile.CHRTYPE, ""), ("p", tarfile.FIFOTYPE, "")))
    assert sh(cli, f"cd {there}; cat abs/f rel/g; find . | sort | tr '\\n' ' '") == "12. ./abs ./abs/f ./p ./rel ./rel/g "
    for bad in (("../x", reg, b""), ("a/../../x", reg, b""), ("h", tarfile.LNKTYPE, "../etc/passwd")):
        refused(cli, "-", f"{box}:{there}", input=archive(bad), says="leads out")
    refused(cli, "-", f"{box}:{there}/no", input=archive(("f", reg, b"")), says="No such file")
    refused(cli, "-", f"{box}:/etc/passwd", input=archive(("f", reg, b"")), says="not a folder")
    refused(cli, "-", f"{box}:{there}", input=b"no archive at all" * 100)
    refused(cli, "-", f"{box}:{there}", input=archive(("cut", reg, b"x" * 5000))[:3000])
    assert sh(cli, f"ls -A {there}") == "abs\np\nrel\n"


# -- a guest that means no good ---------------------------------------------------

def test_links_of_a_tree_lead_nowhere_here(cli, box, there, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("host")
    sh(cli, f"cd {there}; ln -s {tmp_path} out; ln -s /etc/passwd pw; mkdir d; ln -s / d/root")
    cli.ok("cp", "-q", f"{box}:{there}", tmp_path / "t")
    assert os.readlink(tmp_path / "t/out") == str(tmp_path)
    # now the same name is a folder with a file: through the link it would be ours
    sh(cli, f"cd {there}; rm out; mkdir out; echo guest >out/secret")
    refused(cli, f"{box}:{there}/.", tmp_path / "t", says="out is not a folder")
    sh(cli, f"cd {there}; rm -r out pw d; echo guest >pw")
    cli.ok("cp", "-q", f"{box}:{there}/.", tmp_path / "t")
    assert secret.read_text() == "host" and (tmp_path / "t/pw").read_text() == "guest\n"
    assert not (tmp_path / "t/pw").is_symlink()


def test_what_waits_or_acts_is_not_opened(cli, box, there, tmp_path):
    sh(cli, f"cd {there}; mkfifo fifo; mknod zero c 1 5; mknod disk b 254 0; echo f >f; ln -s fifo l")
    begin = time.monotonic()
    for name in ("zero", "disk"):
        refused(cli, f"{box}:{there}/{name}", tmp_path, says="device")
    cli.ok("cp", "-q", f"{box}:{there}/fifo", tmp_path)
    cli.ok("cp", "-q", "-L", f"{box}:{there}/l", tmp_path)
    cli.ok("cp", "-q", f"{box}:{there}", tmp_path / "all")
    assert time.monotonic() - begin < 60
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["f", "fifo", "l"]
    assert stat.S_ISFIFO(os.lstat(tmp_path / "fifo").st_mode)


def test_a_tebibyte_of_nothing(cli, box, there, tmp_path):
    sh(cli, f"truncate -s 1099511627776 {there}/huge")
    cli.ok("cp", "-q", f"{box}:{there}/huge", tmp_path / "huge", timeout=90)
    st = os.stat(tmp_path / "huge")
    assert st.st_size == 1 << 40 and st.st_blocks < 1 << 14
    refused(cli, f"{box}:{there}/huge", "-", says="holes", stdout=subprocess.DEVNULL)


def test_a_file_that_grows_while_it_is_read(cli, box, there, tmp_path):
    sh(cli, f"cd {there}; dd if=/dev/zero of=log bs=1M count=20 2>/dev/null; "
            f"(while [ -e log ]; do echo 0123456789abcdef >>log; done) >/dev/null 2>&1 &")
    for _ in range(3):
        cli.ok("cp", "-q", f"{box}:{there}/log", tmp_path / "log", timeout=60)
        data = (tmp_path / "log").read_bytes()
        assert len(data) >= 20 << 20 and not data[:20 << 20].strip(b"\0")
    with open(tmp_path / "log.tar", "wb") as f:
        cli.ok("cp", f"{box}:{there}/log", "-", stdout=f)
    assert tarfile.open(tmp_path / "log.tar").getnames() == ["log"]


def test_proc_is_read_file_by_file_only(cli, box, there, tmp_path):
    cli.ok("cp", "-q", f"{box}:/proc/version", tmp_path)
    assert (tmp_path / "version").read_text().startswith("Linux")
    cli.ok("cp", "-q", f"{box}:/", tmp_path / "all", timeout=60)
    assert not list((tmp_path / "all/proc").iterdir()) and not list((tmp_path / "all/sys").iterdir())
    assert (tmp_path / "all/etc").is_dir()


def test_names_are_shown_harmless(cli, box, there, tmp_path):
    bad = f"{there}/\x1b[2Jx\ny"
    err = refused(cli, f"{box}:{bad}", tmp_path)
    assert "\x1b" not in err and "\\x1b[2J" in err
    sh(cli, f"mkdir -p '{there}/d'; mkdir '{there}/d/\x1b[31mz'")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "\x1b[31mz").write_text("")
    err = refused(cli, f"{box}:{there}/d/.", tmp_path / "o", says="is not a folder")
    assert "\x1b" not in err


def test_an_interrupt_leaves_nothing_half(cli, box, there, tmp_path):
    sh(cli, f"dd if=/dev/urandom of={there}/big bs=1M count=150 2>/dev/null")
    p = cli.popen("cp", "-q", f"{box}:{there}/big", tmp_path / "out")
    wait_until(lambda: [f for f in tmp_path.glob(".msb-*") if f.stat().st_size > 1 << 20], 30, "nothing comes")
    p.send_signal(signal.SIGINT)
    assert p.wait(timeout=30) == 128 + signal.SIGINT
    assert not list(tmp_path.glob(".msb-*")) and not (tmp_path / "out").exists()
    with open(tmp_path / "in", "wb") as f:
        f.truncate(1)
        for _ in range(150):
            f.write(os.urandom(1 << 20))
    p = cli.popen("cp", "-q", tmp_path / "in", f"{box}:{there}/in")
    wait_until(lambda: sh(cli, f"ls -A {there} | grep -c msb- || true") == "1\n", 30, "nothing goes")
    p.send_signal(signal.SIGINT)
    assert p.wait(timeout=30) == 128 + signal.SIGINT
    wait_until(lambda: sh(cli, f"ls -A {there}") == "big\n", 30, "half a file is left")


def test_a_full_guest_says_so(cli, box, tmp_path):
    sh(cli, "mkdir -p /small; mount -t tmpfs -o size=1m tmpfs /small")
    (tmp_path / "f").write_bytes(b"x" * (3 << 20))
    refused(cli, tmp_path / "f", f"{box}:/small", says="No space left")
    assert sh(cli, "ls -A /small; umount /small") == ""


def test_what_cannot_be_read_is_named(cli, box, there, tmp_path):
    for words in ((f"{box}:/dev/null", tmp_path / "x"), ("/dev/null", f"{box}:{there}/x")):
        r = cli("cp", *words)
        assert r.returncode == 1 and "/dev/null is a device or a socket: not copied" in r.err, r.err
    assert not list(tmp_path.iterdir()) and sh(cli, f"ls {there}") == ""
