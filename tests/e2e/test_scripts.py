"""Scripts of a sandbox: files of /.msb/scripts in the guest, first in PATH. Driven at msb-vmm."""
import hashlib
import subprocess

import pytest

from lib import vmm
from lib.cli import Cli
from lib.vmm import Vmm

# As Debian's: it forgets the PATH that it was given.
PROFILE = """PATH=/bin
for i in /etc/profile.d/*.sh; do [ -r "$i" ] && . "$i"; done
"""
PATH = {"env": ["PATH=/.msb/scripts:/bin"]}
LARGE = "#!/bin/sh\n" + "# padding\n" * 45000  # 450 KB: many packets
SCRIPTS = {"hello": "#!/bin/sh\necho hi $0 $*\n", "ls": "#!/bin/sh\necho not the image\\'s\n",
           "plain": "echo without a first line\n", "empty": "", "name-1.x_Y": "#!/bin/sh\nexit 7\n",
           "utf8": "#!/bin/sh\necho grüße\n", "large": LARGE}


def pairs(scripts):
    return [s for pair in scripts.items() for s in pair]


def disk(folder, change=lambda tree: None):
    tree = folder / "tree"
    vmm.busybox_tree(tree)
    (tree / "etc/profile.d").mkdir()
    (tree / "etc/profile").write_text(PROFILE)
    change(tree)
    subprocess.run(["mkfs.erofs", folder / "root.erofs", tree], check=True, capture_output=True)
    return folder / "root.erofs"


def own_msb(tree):
    (tree / ".msb/scripts").mkdir(parents=True)
    (tree / ".msb/scripts/own").write_text("#!/bin/sh\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The root disk of an image that has something at /.msb itself."""
    return disk(tmp_path_factory.mktemp("root"), own_msb)


@pytest.fixture(scope="module")
def upper(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("upper")
    for d in ("u", "w"):
        (tmp / "tree" / d).mkdir(parents=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tmp / "tree", tmp / "upper", "64M"], check=True)
    return tmp / "upper"


@pytest.fixture(scope="module")
def machine(root, upper):
    m = Vmm(vmm.INITRAMFS, [("root", True, root), ("upper", False, upper)], scripts=pairs(SCRIPTS))
    m.ready()
    yield m
    m.close()


@pytest.fixture
def boot(tmp_path, root):
    """Starts a machine of this disk and with these scripts; ended after the test."""
    started = []

    def make(scripts, disk=root):
        started.append(Vmm(vmm.INITRAMFS, [("root", True, disk)], scripts=scripts))
        return started[-1]

    yield make
    for m in started:
        m.close()


def test_scripts_run_by_name_and_before_the_images_programs(machine):
    assert machine.exec(["hello", "there"], **PATH) == (0, b"hi /.msb/scripts/hello there\n", b"")
    assert machine.exec(["ls"], **PATH) == (0, b"not the image's\n", b"")
    assert machine.exec(["name-1.x_Y"], **PATH)[0] == 7
    assert machine.exec(["utf8"], **PATH)[1] == "grüße\n".encode()
    assert machine.exec(["sh", "-c", "plain; empty"], **PATH) == (0, b"without a first line\n", b"")


def test_a_large_script_arrives_whole(machine):
    code, out, _ = machine.exec(["sha256sum", "/.msb/scripts/large"])
    assert (code, out.split()[0].decode()) == (0, hashlib.sha256(LARGE.encode()).hexdigest())


def test_any_user_can_run_and_nobody_can_change_them(machine):
    assert machine.exec(["hello"], user="1000:1000", **PATH)[0] == 0
    listing = machine.exec(["sh", "-c", "cd /.msb/scripts; /bin/ls -ln | tail -n +2"])[1].decode().splitlines()
    assert len(listing) == len(SCRIPTS)
    assert {tuple(line.split()[i] for i in (0, 2, 3)) for line in listing} == {("-rwxr-xr-x", "0", "0")}
    for change in ("echo x >/.msb/scripts/hello", "echo x >/.msb/new", "rm -rf /.msb/scripts", "mv /.msb /away"):
        assert machine.exec(["sh", "-c", change])[0] != 0, change
    assert machine.exec(["hello"], **PATH)[0] == 0


def test_login_shells_find_them_too(machine):
    assert machine.exec(["sh", "-lc", "hello; echo $PATH"], **PATH)[1] == \
        b"hi /.msb/scripts/hello\n/.msb/scripts:/bin\n"


def test_the_images_own_msb_folder_is_out_of_sight(machine):
    assert machine.exec(["test", "-e", "/.msb/scripts/own"])[0] == 1


def test_their_file_system_has_their_size_only(machine):
    kib = int(machine.exec(["df", "-k", "/.msb"])[1].split(b"\n")[1].split()[1])
    assert len(LARGE) / 1024 < kib < len(LARGE) / 1024 + 4 * (len(SCRIPTS) + 1)


def test_a_duplicate_name_stops_the_start(boot):
    failed = boot(["a", "#!/bin/sh\n", "a", ""]).failed()
    assert failed["stage"] in ("boot", "config") and "a" in failed["message"]


def test_a_link_at_msb_is_not_followed(boot, tmp_path):
    link = disk(tmp_path, lambda tree: (tree / ".msb").symlink_to("/etc"))
    failed = boot(["a", ""], link).failed()
    assert failed["stage"] == "boot" and "(scripts): cannot make the folder /.msb/scripts" in failed["message"]


def test_without_scripts_the_image_is_as_it_was(boot):
    m = boot([])
    m.ready()
    assert m.exec(["sh", "-c", "ls /.msb/scripts; ls /etc/profile.d; grep -c msb /proc/mounts"])[1] == b"own\n0\n"


def test_nothing_of_them_is_in_the_upper(machine, upper):
    """The last one: it ends the machine."""
    machine.send("VMM_STOP", timeout_ms=10000)
    assert machine.expect("VMM_EXITED")["reason"] == "poweroff"
    assert machine.wait() == 0

    def names(path):
        out = subprocess.run(["/sbin/debugfs", "-R", f"ls -p {path}", upper], capture_output=True, text=True).stdout
        return {line.split("/")[5] for line in out.splitlines() if line.count("/") >= 6} - {".", ".."}
    assert names("/u/.msb") == set()
    assert names("/u/etc/profile.d") == {"msb-scripts.sh"}


# ---- by msb ----

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("scripts") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    return c


def test_msb_run_takes_scripts_in_three_ways(cli, tmp_path):
    (tmp_path / "file").write_text("#!/bin/sh\necho from a file\nexit 3\n")
    r = cli("run", "--script", r"said=echo \"by option\"\necho \$1: $1", "--script-raw", "raw=#!/bin/cat\nitself\n",
            "--script-path", f"path:{tmp_path / 'file'}", IMAGE, "--", "sh", "-c", "said x; raw; path")
    assert (r.returncode, r.out, r.err) == (
        3, "by option\n$1: x\n#!/bin/cat\nitself\nfrom a file\n", "")


def test_msb_run_runs_a_script_as_the_command_itself(cli):
    r = cli("run", "--script", "hello=echo hi $1; exit 4", "-u", "1000", IMAGE, "--", "hello", "you")
    assert (r.returncode, r.out, r.err) == (4, "hi you\n", "")


@pytest.mark.parametrize("given, words", [
    (["--script", "../x=echo"], "../x"), (["--script", ".hidden=echo"], ".hidden"), (["--script", "a/b=echo"], "a/b"),
    (["--script", "=echo"], "NAME=BODY"), (["--script", "noequals"], "NAME=BODY"),
    (["--script", "a=1", "--script-raw", "a=2"], "'a' is given twice"),
    (["--script-path", "a:/no/such/file"], "cannot read '/no/such/file': No such file"),
    ([a for i in range(5) for a in ("--script-raw", f"s{i}=" + "x" * 120000)], "512 KiB"),
], ids=["up", "hidden", "folder", "no name", "no body", "twice", "no file", "too large"])
def test_scripts_that_cannot_be_are_refused_before_anything_runs(cli, given, words):
    r = cli("run", *given, IMAGE, "--", "true")
    assert r.returncode in (2, 125) and r.err.startswith("error: ") and words in r.err, r.err
    assert cli.ok("ls", "-q") == ""


def test_the_largest_scripts_that_are_taken_arrive(cli):
    large = [a for i in range(4) for a in ("--script-raw", f"s{i}=" + "x" * 130000)]
    assert cli.ok("run", *large, IMAGE, "--", "sh", "-c", "cat /.msb/scripts/* | wc -c") == "520000\n"
