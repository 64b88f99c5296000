"""msb commit: what was written in a sandbox as one more layer. The image that comes out shows the same tree."""
import json
import shutil
import subprocess
import tarfile

import pytest

from lib.cli import Cli

IMAGE = "test/busybox:1"

# Every kind of change that overlayfs notes in a way of its own.
CHANGES = r"""
set -e
mkdir -p /new/dir; echo one >/new/dir/file; ln /new/dir/file /new/second; ln -s dir/file /new/link
chmod 4755 /new/dir/file; touch -d @1500000000 /new/dir; chown 12:34 /new/second
mkfifo /new/pipe; mknod /new/null c 1 3
rm -rf /work/gone /work/gone-file
rm -r /work/again; mkdir /work/again; echo fresh >/work/again/only
mv /work/old-name /work/new-name; echo more >/work/new-name/added; rm /work/new-name/sub/b
chmod 600 /work/attr-only; chown 7:8 /work/attr-only
echo appended >>/work/changed
printf '\0\377' >"/new/$(printf 'odd\n\033name')"
truncate -s 3000000 /new/holes
"""
LIST = r"""
cd /
for top in work new; do
  find $top | sort | while IFS= read -r f; do
    stat -c '%n %A %u:%g %h %s %Y' "$f" | cat -v
    if [ -f "$f" ]; then md5sum <"$f"; fi
    if [ -L "$f" ]; then readlink "$f"; fi
  done
done
"""


def listing(cli, name):
    """All there is to compare. Folders' link counts and sizes are those of their file system."""
    lines = cli.ok("exec", name, "--", "sh", "-c", LIST, timeout=120).splitlines()
    return [" ".join(w for i, w in enumerate(line.split(" ")) if " d" not in line or i not in (3, 4)) for line in lines]


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("commit") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(autouse=True)
def reap(cli):
    yield
    cli.reap()


@pytest.fixture(scope="module")
def base(cli):
    """An image with a /work in it to change: made by commit, too."""
    cli.ok("create", "-q", "-n", "b", IMAGE)
    cli.ok("exec", "b", "--", "sh", "-c", """set -e; mkdir -p /work/gone/x /work/again /work/old-name/sub
        for f in gone/x/f gone-file again/before old-name/a old-name/sub/b old-name/sub/c attr-only changed; do
            echo $f >/work/$f; done; head -c 300000 /dev/urandom >/work/attr-only""")
    cli.ok("commit", "-q", "b", "test/base:1")
    cli.ok("rm", "-q", "-f", "b")
    return "test/base:1"


def test_the_new_image_shows_the_same_tree(cli, base, tmp_path):
    cli.ok("create", "-q", "-n", "one", base)
    cli.ok("exec", "one", "--", "sh", "-c", CHANGES)
    want = listing(cli, "one")
    out = cli.ok("commit", "-m", "a message", "-a", "Ada <ada@example.org>", "-c", 'CMD ["cat", "/new/link"]',
                 "-c", "ENV GREETING='hello there' B=2", "-c", "WORKDIR /work", "-c", "LABEL some=label", "one", "test/new:1")
    assert out.startswith("sha256:") and len(out) == 72
    # it stopped: the same again, started for it
    cli.ok("stop", "-q", "one")
    cli.ok("commit", "-q", "one", "test/stopped:1")
    assert json.loads(cli.ok("inspect", "one", "--format", "json"))["status"].lower() != "running"
    cli.ok("rm", "-q", "-f", "one")
    for ref in ("test/new:1", "test/stopped:1"):
        cli.ok("create", "-q", "-n", "two", ref)
        assert listing(cli, "two") == want
        assert cli.ok("exec", "two", "--", "sh", "-c", "echo /.msb* /work/g*") == "/.msb* /work/g*\n"
        cli.ok("rm", "-q", "-f", "two")
    assert cli.ok("run", "test/new:1") == "one\n"
    assert cli.ok("run", "test/new:1", "--", "sh", "-c", "echo $GREETING $B; pwd") == "hello there 2\n/work\n"


def test_the_layer_as_other_tools_read_it(cli, base, tmp_path):
    cli.ok("create", "-q", "-n", "one", base)
    cli.ok("exec", "one", "--", "sh", "-c", CHANGES)
    find = "find work new -print0 | sort -z | tr '\\0' '|'; echo; cd work; find . -type f | sort | xargs md5sum"
    want = cli.ok("exec", "one", "--", "sh", "-c", f"cd /; {find}")
    cli.ok("commit", "-q", "one", "test/tools:1")
    cli.ok("rm", "-q", "-f", "one")
    cli.ok("image", "save", "--format", "oci", "-o", tmp_path / "out.tar", "test/tools:1")
    subprocess.run(["tar", "xf", tmp_path / "out.tar", "-C", tmp_path], check=True)
    def blob(digest):
        return tmp_path / "blobs" / digest.replace(":", "/")
    index = json.loads((tmp_path / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    config = json.loads(blob(manifest["config"]["digest"]).read_text())
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"]) == 3
    assert config["history"][-1]["created_by"] == "msb commit"
    names = tarfile.open(blob(manifest["layers"][-1]["digest"])).getnames()
    assert {"work/.wh.gone", "work/.wh.gone-file", "work/.wh.old-name", "work/again/.wh..wh..opq",
            "work/new-name/.wh..wh..opq", "work/new-name/sub/c", "work/new-name/a"} <= set(names), names
    assert not [n for n in names if n.startswith((".msb", "etc/host", "proc/", "sys/", "dev/"))]
    if not (shutil.which("skopeo") and shutil.which("umoci")):
        return
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", f"oci-archive:{tmp_path}/out.tar",
                    f"oci:{tmp_path}/layout:new"], check=True)
    subprocess.run(["umoci", "unpack", "--image", f"{tmp_path}/layout:new", tmp_path / "bundle"], check=True,
                   capture_output=True)
    got = subprocess.run(["sh", "-c", f"export LC_ALL=C; {find}"], cwd=tmp_path / "bundle/rootfs", check=True,
                         capture_output=True).stdout.decode(errors="replace")
    assert got == want


def test_what_cannot_be_committed(cli, base, tmp_path):
    cli.ok("create", "-q", "-n", "one", base)
    for change, says in (("FROM x", "no such change"), ("ENV x", "KEY=VALUE"), ("ENV A='x", "quote"), ("CMD", "no value")):
        r = cli("commit", "-c", change, "one", "test/no:1")
        assert r.returncode == 1 and says in r.err, r.err
    assert "no sandbox" in cli("commit", "nobody", "test/no:1").err
    assert cli("commit", "one", "Not A Name").returncode == 1
    cli.ok("exec", "one", "--", "sh", "-c", "echo >/tmp/.wh.passwd")
    assert ".wh." in cli("commit", "one", "test/no:1").err
    cli.ok("exec", "one", "--", "sh", "-c", "rm /tmp/.wh.passwd; truncate -s 1099511627776 /huge")
    assert "holes" in cli("commit", "one", "test/no:1").err
    assert "test/no" not in cli.ok("image", "ls")
    cli.ok("rm", "-q", "-f", "one")
