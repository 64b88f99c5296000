"""msb self: an installation and its data go, and nothing else."""
import json
import os
import pathlib
import shutil
import tempfile

import pytest

from lib.cli import Cli
from lib.installed import Installed


def tree(folder):
    return {str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*")}


@pytest.fixture(scope="module")
def pristine(build_dir, tmp_path_factory):
    return Installed(build_dir, tmp_path_factory.mktemp("pristine") / "stage")


@pytest.fixture
def prefix(pristine, tmp_path):
    """A copy to take apart, with a neighbour's files in the same folders."""
    prefix = tmp_path / "prefix"
    shutil.copytree(pristine.prefix, prefix, symlinks=True)
    (prefix / "bin/other").write_text("not ours")
    (prefix / "share/man/man1/other.1").write_text("not ours")
    return prefix


@pytest.fixture
def own(prefix, home):
    """msb of that copy."""
    cli = Cli(prefix / "bin", home)
    yield cli
    cli.reap()


def left_files(prefix):
    return {p for p in tree(prefix) if not (prefix / p).is_dir()}


NEIGHBOUR = {"bin/other", "share/man/man1/other.1"}


def test_everything_of_an_installation_goes_and_nothing_else(own, prefix, home, busybox_image):
    own.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    own.ok("create", "-q", "--no-start", "--name", "box", "test/busybox:1")
    (home / "config.json").write_text("{}")
    r = own("self", "uninstall", "-y")
    assert (r.returncode, r.out) == (0, ""), r.err
    assert left_files(prefix) == NEIGHBOUR and not (prefix / "libexec/microsandbox").exists()
    assert not home.exists()


def test_the_list_is_whole(pristine):
    listed = json.loads((pristine.prefix / "libexec/microsandbox/installed.json").read_text())["files"]
    assert {f["path"] for f in listed} | {"libexec/microsandbox/installed.json"} == left_files(pristine.prefix)


def test_dry_run_lists_and_touches_nothing(own, prefix, home, busybox_image):
    own.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    own.ok("ls")
    before = tree(prefix), tree(home)
    listed = own.ok("self", "uninstall", "--dry-run").splitlines()
    assert (tree(prefix), tree(home)) == before
    assert f"{prefix}/bin/msb" in listed and f"{home}/store" in listed
    assert not any("other" in line for line in listed)
    assert all(os.path.lexists(line) for line in listed)


def test_keep_data_keeps_it(own, prefix, home, busybox_image):
    own.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    own.ok("self", "uninstall", "-y", "--keep-data")
    assert left_files(prefix) == NEIGHBOUR and (home / "store").is_dir()


def test_a_home_that_is_not_there_is_not_made(own, home, prefix):
    own.ok("self", "uninstall", "-y")
    assert not home.exists() and left_files(prefix) == NEIGHBOUR


def test_strange_files_in_the_home_stay_and_it_says_so(own, home):
    own.ok("image", "ls")
    (home / "letters.txt").write_text("dear")
    (home / "link").symlink_to("/etc")
    r = own("self", "uninstall", "-y")
    assert r.returncode == 0 and "stays" in r.err
    assert tree(home) == {"letters.txt", "link"}


def test_a_file_that_somebody_changed_stays(own, prefix):
    (prefix / "include/microsandbox.h").write_text("// mine now\n")
    link = prefix / "lib"
    so = next(link.rglob("libmicrosandbox.so"))
    so.unlink()
    so.symlink_to("/etc/passwd")
    man = prefix / "share/man/man1/msb.1"
    man.unlink()
    man.mkdir()
    r = own("self", "uninstall", "-y")
    assert r.returncode == 0 and r.err.count("not as it was installed") == 3
    assert left_files(prefix) == NEIGHBOUR | {"include/microsandbox.h", str(so.relative_to(prefix))}
    assert man.is_dir()


@pytest.mark.parametrize("path", ["../victim", "/tmp/victim", "bin/../../victim", "", "bin/", "./bin/msb"])
def test_a_list_that_points_elsewhere_is_refused(own, prefix, tmp_path, path):
    victim = tmp_path / "victim"
    victim.write_text("")
    listed = prefix / "libexec/microsandbox/installed.json"
    content = json.loads(listed.read_text())
    content["files"].append({"path": path, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})
    listed.write_text(json.dumps(content))
    before = tree(prefix)
    r = own("self", "uninstall", "-y")
    assert r.returncode == 1 and "damaged" in r.err
    assert victim.exists() and tree(prefix) == before


def test_commands_of_msb_install_stay_and_are_named(own, tmp_path, busybox_image):
    own.env["MSB_BIN"] = str(tmp_path / "commands")
    own.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    own.ok("install", "-n", "greet", "test/busybox:1", "--", "echo", "hello")
    r = own("self", "uninstall", "-y")
    assert r.returncode == 0 and "greet" in r.err and (tmp_path / "commands/greet").exists()


def test_without_the_list_nothing_goes(own, prefix, msb):
    (prefix / "libexec/microsandbox/installed.json").unlink()
    before = tree(prefix)
    r = own("self", "uninstall", "-y")
    assert r.returncode == 1 and "make install" in r.err and tree(prefix) == before
    r = msb("self", "uninstall", "-y")  # of the build folder
    assert r.returncode == 1 and "make install" in r.err


def test_it_asks_and_no_is_the_default(own, prefix, home):
    own.ok("image", "ls")
    before = tree(prefix)
    r = own("self", "uninstall")
    assert r.returncode == 1 and "-y" in r.err and tree(prefix) == before
    for answer in ("\r", "n\r", "yesterday\r"):
        with own.terminal("self", "uninstall") as t:
            assert str(home) in t.expect("[y/N]")
            t.type(answer)
            assert t.wait() == 1
    assert tree(prefix) == before and home.exists()
    with own.terminal("self", "uninstall") as t:
        t.expect("[y/N]")
        t.type("y\r")
        assert t.wait() == 0
    assert left_files(prefix) == NEIGHBOUR and not home.exists()


def test_not_while_a_sandbox_runs_unless_forced(own, prefix, home, busybox_image):
    own.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    own.ok("create", "-q", "--name", "living", "test/busybox:1")
    own.ok("create", "-q", "--no-start", "--name", "sleeping", "test/busybox:1")
    before = tree(prefix)
    for more in ((), ("--keep-data",)):
        r = own("self", "uninstall", "-y", *more)
        assert r.returncode == 1 and "living" in r.err and "sleeping" not in r.err
    assert tree(prefix) == before
    r = own("self", "uninstall", "-y", "--force")  # the machine's end is checked by conftest
    assert r.returncode == 0, r.err
    assert left_files(prefix) == NEIGHBOUR and not home.exists()


def test_what_may_not_be_removed_is_said_before_anything_goes(pristine, build_dir):
    nobody = 65534 if os.geteuid() == 0 else os.geteuid()
    with tempfile.TemporaryDirectory(prefix="msb-test") as folder:
        os.chmod(folder, 0o755)
        prefix, home = pathlib.Path(folder) / "prefix", pathlib.Path(folder) / "home"
        shutil.copytree(pristine.prefix, prefix, symlinks=True)
        for d, _, _ in os.walk(prefix):
            os.chmod(d, 0o555)
        home.mkdir(mode=0o700)
        os.chown(home, nobody, -1)
        own, before = Cli(prefix / "bin", home), tree(prefix)
        own.ok("ls", user=nobody)
        r = own("self", "uninstall", "-y", user=nobody)
        assert r.returncode == 1 and "cannot remove" in r.err and "the user who installed it" in r.err
        assert tree(prefix) == before and (home / "store").exists()
        for d, _, _ in os.walk(prefix):
            os.chmod(d, 0o755)


def test_doctor_is_there_too(msb):
    assert json.loads(msb("self", "doctor", "--format", "json").out) == json.loads(msb("doctor", "--format",
                                                                                      "json").out)
    assert msb("self", "check").out == msb("doctor").out
