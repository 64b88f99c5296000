"""Patches before the start: what the guest sees of them, and that the image stays as it is."""
import base64
import json
import os
import pathlib
import time

import pytest

from conftest import machines
from lib.cli import Cli, wait_until

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("patches") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return c


@pytest.fixture(autouse=True)
def nothing_is_left(cli):
    yield
    cli.reap()
    for name in cli.ok("ls", "-q").split():
        cli("rm", "-f", "-q", name)
    wait_until(lambda: not machines(), 10, "a process is left")


def layers(cli):
    return {p.name for p in (cli.home / "store/layers").glob("*/*")}


def chains(cli):
    return {p.name for p in (cli.home / "store/chains").glob("*/*")}


@pytest.fixture
def source(tmp_path):
    """A folder to copy, with all that may be in one."""
    d = tmp_path / "src"
    (d / "sub").mkdir(parents=True)
    (d / "a").write_text("one\n")
    (d / "big").write_bytes(bytes(range(256)) * 20000)
    os.link(d / "a", d / "sub/b")
    os.symlink("../a", d / "sub/link")
    os.chmod(d / "sub", 0o750)
    os.utime(d / "a", (1, 1111111111))
    os.chmod(d / "a", 0o640)
    return d


EVERYTHING = """
image: test/busybox:1
patches:
  - text: {path: /etc/app/conf, content: "a = 1\\n", mode: "0600"}
  - file: {path: /opt/data, content_base64: "AAEC/w==", uid: 12, gid: 34}
  - append: {path: /etc/passwd, content: "extra:x:77:77::/:/bin/sh\\n"}
  - append: {path: /etc/passwd, content: "other:x:78:78::/:/bin/sh\\n"}
  - mkdir: {path: /srv/deep/er, mode: "0711"}
  - mkdir: {path: /bin}
  - symlink: {target: /opt/data, link: /srv/link}
  - copy_dir: {src: src, dst: /copied}
  - copy_file: {src: src/a, dst: /etc/app/a, mode: "4755"}
  - remove: {path: /etc/group}
  - remove: {path: /not/there}
  - text: {path: /etc/group, content: "root:x:0:\\n"}
  - chmod: {path: /etc/passwd, mode: "0400"}
  - chown: {path: /etc/app, uid: 5, gid: 6}
"""

LOOK = """
cat /etc/app/conf; stat -c '%a %u:%g' /etc/app/conf
od -An -tx1 /opt/data; stat -c '%a %u:%g' /opt/data
tail -n 2 /etc/passwd; stat -c %a /etc/passwd; id -u other
stat -c '%a %u:%g' /srv /srv/deep/er; readlink /srv/link
cat /copied/a; stat -c '%a %u:%g %h %Y' /copied/a; stat -c '%i' /copied/a /copied/sub/b | uniq | wc -l
cat /copied/sub/link; stat -c '%a' /copied/sub; md5sum < /copied/big
stat -c %a /etc/app/a; cat /etc/group; stat -c '%u:%g' /etc/app
"""


def test_every_kind_by_file(cli, source, tmp_path):
    conf = tmp_path / "sandbox.yaml"
    conf.write_text(EVERYTHING)
    before = layers(cli)
    got = cli.ok("run", "-q", "--conf", conf, "--", "sh", "-c", LOOK).splitlines()
    digest = os.popen(f"md5sum < {source}/big").read().strip()
    assert got == ["a = 1", "600 0:0", " 00 01 02 ff", "644 12:34",
                   "extra:x:77:77::/:/bin/sh", "other:x:78:78::/:/bin/sh", "400", "78",
                   "755 0:0", "711 0:0", "/opt/data",
                   "one", "640 0:0 2 1111111111", "1", "one", "750", digest,
                   "4755", "root:x:0:", "5:6"]
    assert len(layers(cli) - before) == 1
    # The same again makes nothing; the image itself has nothing of it.
    after = layers(cli), chains(cli)
    cli.ok("create", "-q", "--conf", conf, "-n", "again", "--no-start")
    assert (layers(cli), chains(cli)) == after
    shown = cli.ok("inspect", "again", "--format", "json")
    assert json.loads(shown)["config"]["patches"][:3] == ["file /etc/app/conf", "file /opt/data", "append /etc/passwd"]
    assert "Patches      file /etc/app/conf\n" in cli.ok("inspect", "again")
    assert cli.ok("run", "-q", IMAGE, "--", "sh", "-c", "ls -d /copied /opt /srv 2>/dev/null; wc -l < /etc/group") \
        .split()[-1] != "1"


def test_options_and_that_a_kept_one_keeps_them(cli, source):
    cli.ok("create", "-q", "-n", "kept", "--mkdir", "/made/here", "--copy", f"{source}/a:/made/here/a:mode=0700,uid=9,gid=8",
           "--rm", "/etc/passwd", "--copy-dir", f"{source}/sub:/made/sub", "--copy-file", f"{source}/a:/etc/group:replace",
           "--no-start", IMAGE)
    image = layers(cli)
    # All that it is made of stays, whatever is pruned and removed meanwhile.
    cli.ok("image", "rm", "-f", "-q", IMAGE)
    cli.ok("image", "prune", "-q")
    (source / "a").write_text("later\n")
    assert layers(cli) <= image and len(layers(cli)) >= 2
    cli.ok("start", "-q", "kept")
    got = cli.ok("exec", "kept", "--", "sh", "-c",
                 "stat -c '%a %u:%g' /made /made/here/a; cat /made/here/a /etc/group; ls /made/sub; ls /etc/passwd 2>&1; true")
    assert got.splitlines() == ["755 0:0", "700 9:8", "one", "one", "b", "link",
                                "ls: /etc/passwd: No such file or directory"]
    cli.ok("exec", "kept", "--", "sh", "-c", "echo mine > /made/here/a; sync")
    cli.ok("restart", "-q", "kept")
    assert cli.ok("exec", "kept", "--", "cat", "/made/here/a") == "mine\n"
    cli.ok("rm", "-f", "-q", "kept")
    cli.ok("image", "prune", "-q")
    assert layers(cli) == chains(cli) == set()


@pytest.fixture
def image(cli, busybox_image):
    cli.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)


BAD = [
    (["--copy", "SRC/a:/etc/passwd"], 1, "patch of /etc/passwd: it exists already"),
    (["--copy", "SRC/a:/bin/busybox/x"], 1, "patch of /bin/busybox/x: it lies below something that is no folder"),
    (["--rm", "/"], 1, "patch of /: that is the root itself"),
    (["--mkdir", "/a/../b"], 1, "patch of /a/../b: not a plain path"),
    (["--mkdir", "/a/.wh.b"], 1, "names that begin with .wh."),
    (["--mkdir", "/" + "x" * 256], 1, "not a plain path"),
    (["--copy", "/dev/null:/x"], 1, "cannot copy /dev/null: a device, pipe or socket"),
    (["--copy", "SRC:/x:mode=0700"], 1, "a folder keeps its modes"),
    (["--copy", "SRC/none:/x"], 2, "--copy: cannot read"),
    (["--copy", "SRC/a"], 2, "is not SRC:/DST"),
    (["--copy", "SRC/a:x"], 2, "is not SRC:/DST"),
    (["--copy", ":/x"], 2, "is not SRC:/DST"),
    (["--copy", "SRC/a:/x:ro"], 2, "'ro' is no option"),
    (["--copy", "SRC/a:/x:mode=7777777"], 2, "is no option"),
    (["--copy", "SRC/a:/x:uid=4294967295"], 2, "is no option"),
    (["--copy-file", "SRC:/x"], 2, "is not a file"),
    (["--copy-dir", "SRC/a:/x"], 2, "is not a folder"),
    (["--mkdir", "x"], 2, "--mkdir: 'x' is not an absolute path"),
    (["--rm", "../x"], 2, "--rm: '../x' is not an absolute path"),
]


@pytest.mark.parametrize("args, code, message", BAD, ids=range(len(BAD)))
def test_what_cannot_be_is_an_error_and_leaves_nothing(cli, image, source, args, code, message):
    before = layers(cli), chains(cli)
    r = cli("create", "-q", "-n", "bad", "--no-start", *[a.replace("SRC", str(source)) for a in args], IMAGE)
    assert r.returncode == code and message in r.err, (r.returncode, r.err)
    assert cli.ok("ls", "-q") == "" and (layers(cli), chains(cli)) == before


def test_a_refused_patch_leaves_the_one_that_is_to_be_replaced(cli, image, source):
    cli.ok("create", "-q", "-n", "old", "--no-start", IMAGE)
    was = json.loads(cli.ok("inspect", "old", "--format", "json"))["id"]
    r = cli("create", "-q", "-n", "old", "--replace", "--no-start", "--copy", f"{source}/a:/etc/passwd", IMAGE)
    assert r.returncode == 1 and "exists already" in r.err and "replace" in r.err
    assert json.loads(cli.ok("inspect", "old", "--format", "json"))["id"] == was


BAD_FILES = [
    ("patches: {}", "patches is not a list"),
    ("patches: [text]", "is not a map"),
    ("patches: [{}]", "a patch has one key"),
    ("patches: [{text: {path: /a, content: x}, mkdir: {path: /b}}]", "a patch has one key"),
    ("patches: [{touch: {path: /a}}]", "there is no patch touch"),
    ("patches: [{text: {path: /a}}]", "text needs content"),
    ("patches: [{text: {content: a}}]", "text needs path"),
    ("patches: [{copy_file: {src: a}}]", "copy_file needs dst"),
    ("patches: [{text: {path: a, content: x}}]", "a is not an absolute path"),
    ("patches: [{text: {path: /a, content: x, mode: 0644}}]", "four octal digits in quotes"),
    ('patches: [{text: {path: /a, content: x, mode: "644"}}]', "four octal digits in quotes"),
    ('patches: [{mkdir: {path: /a, replace: true}}]', "unknown key replace"),
    ('patches: [{text: {path: /a, content: x, replace: "true"}}]', "neither true nor false"),
    ('patches: [{file: {path: /a, content_base64: "a*"}}]', "not base64"),
    ('patches: [{file: {path: /a, content_base64: "abcde"}}]', "not base64"),
    ('patches: [{chmod: {path: /a}}]', "chmod needs mode"),
    ('patches: [{chown: {path: /a, uid: 1}}]', "chown needs uid and gid"),
    ('patches: [{chown: {path: /a, uid: -1, gid: 0}}]', "uid is not a number"),
    ('patch_files: [none.yaml]', "cannot read"),
    ('patch_files: [self.yaml]', "unknown key patch_files"),
]


@pytest.mark.parametrize("text, message", BAD_FILES, ids=range(len(BAD_FILES)))
def test_files_are_read_strictly(cli, tmp_path, text, message):
    conf = tmp_path / "self.yaml"
    conf.write_text(text + "\n")
    r = cli("create", "-q", "-n", "bad", "--no-start", "--fs-conf", conf, IMAGE)
    assert r.returncode == 2 and message in r.err and "self.yaml:1:" in r.err.replace("none.yaml", ""), r.err


def test_order_of_files_and_options(cli, image, tmp_path, source):
    (tmp_path / "first.yaml").write_text('patches:\n  - text: {path: /t, content: "1"}\n')
    (tmp_path / "low.yaml").write_text('patches:\n  - text: {path: /lost, content: "0"}\n')
    conf = tmp_path / "top.yaml"
    conf.write_text('patch_files: [first.yaml]\npatches:\n  - append: {path: /t, content: "2"}\n'
                    "  - file: {path: /b, content_base64: " + base64.b64encode(b"x" * 500).decode() + "}\n")
    cli.ok("create", "-q", "-n", "one", "--no-start", "--fs-conf", tmp_path / "low.yaml", "--fs-conf", conf,
           "--rm", "/t", "--copy", f"{source}/a:/t", IMAGE)
    assert json.loads(cli.ok("inspect", "one", "--format", "json"))["config"]["patches"] == [
        "file /t", "append /t", "file /b", "remove /t", "copy /t"]


def test_a_packed_folder(cli, tmp_path, busybox_image):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/busybox").write_bytes(pathlib.Path("/bin/busybox").read_bytes())
    os.chmod(root / "bin/busybox", 0o755)
    os.symlink("busybox", root / "bin/sh")
    (tmp_path / "f").write_text("patched\n")
    assert cli.ok("run", "-q", "--copy", f"{tmp_path}/f:/etc/f", root, "--", "/bin/sh", "-c", "busybox cat /etc/f") == "patched\n"
    cli.ok("create", "-q", "-n", "folder", "--no-start", "--copy", f"{tmp_path}/f:/etc/f", root)
    cli.ok("image", "prune", "-q")
    cli.ok("start", "-q", "folder")
    assert cli.ok("exec", "folder", "--", "/bin/busybox", "cat", "/etc/f") == "patched\n"


def test_a_live_folder_is_refused(cli, tmp_path):
    (tmp_path / "root/bin").mkdir(parents=True)
    r = cli("create", "-q", "-n", "live", "--no-start", "--live-root", "--mkdir", "/x", tmp_path / "root")
    assert r.returncode == 1 and "cannot be patched" in r.err, r.err


def test_a_changing_source_is_whole_or_refused(cli, image, tmp_path):
    f = tmp_path / "f"
    f.write_bytes(b"a" * (32 << 20))
    pid = os.fork()
    if pid == 0:
        fd = os.open(f, os.O_WRONLY)
        end = time.monotonic() + 60
        i = 0
        while time.monotonic() < end:
            os.pwrite(fd, b"b", i % (32 << 20))
            i += 4096
        os._exit(0)
    try:
        r = cli("create", "-q", "-n", "c", "--no-start", "--copy", f"{f}:/f", IMAGE)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert r.returncode == 1 and "changed while it was copied" in r.err, r.err
