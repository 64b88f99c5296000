"""msb install and uninstall: a sandbox as a command of the user's."""
import concurrent.futures
import json
import os
import stat
import subprocess

import pytest

from lib.cli import Cli

IMAGE = "test/busybox:1"
MARKER = "#!/bin/sh\n# msb launcher 1: "


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    """One home for this file, with a name that a shell must be kept from reading: the image is loaded once."""
    home = tmp_path_factory.mktemp("install") / "a home's $(touch gone)"
    c = Cli(build_dir, home, MSB_BIN=str(home.parent / "bin dir"))
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture
def bin_dir(cli):
    """The folder of commands, empty again at the end."""
    path = cli.home.parent / "bin dir"
    path.mkdir(exist_ok=True)
    yield path
    for file in path.iterdir():
        file.unlink()


@pytest.fixture
def call(cli, bin_dir, tmp_path):
    """Run an installed command as a shell of the user's would, from another folder."""
    def call(name, *args, input=b"", env=None):
        environment = cli.environment({"MSB_HOME": None, **(env or {})})
        r = subprocess.run([bin_dir / name, *args], env=environment, input=input, cwd=tmp_path, timeout=90,
                           capture_output=True)
        r.out, r.err = r.stdout.decode(), r.stderr.decode()
        return r
    return call


def refused(cli, *args, code=1):
    r = cli("install", *args)
    assert r.returncode == code, (r.returncode, r.out, r.err)
    return r.err


AWKWARD = ["it's", "a  b", "", "$(id)", "`id`", "*", "\\", "\"", "-n", "--", "a\nb", "é"]


def test_a_command_gets_its_arguments_as_they_are(cli, call, bin_dir):
    cli.ok("install", "--tmp", "-n", "show", "-e", "AWK=it's $(id)\n\"", IMAGE, "--", "/bin/sh", "-c",
           'printf "%s|" "$AWK" "$@"', "sh", "first ' one")
    r = call("show", *AWKWARD)
    assert (r.returncode, r.out) == (0, "|".join(["it's $(id)\n\"", "first ' one", *AWKWARD]) + "|"), r.err
    assert json.loads(cli.ok("ls", "--format", "json")) == []
    assert not list(bin_dir.parent.glob("**/gone"))


def test_a_persisted_one_keeps_what_it_wrote_and_starts_again(cli, call):
    cli.ok("install", "-n", "box", "-m", "192M", IMAGE, "--", "/bin/sh", "-c")
    try:
        assert call("box", "echo one > /kept; read -r x; echo $x; exit 7", input=b"piped\n").returncode == 7
        assert cli.ok("ls", "-q") == "box\n"
        r = call("box", "cat /kept; cat", input=b"in\n")
        assert (r.returncode, r.out, r.err) == (0, "one\nin\n", "")
        info = json.loads(cli.ok("inspect", "box", "--format", "json"))
        info = info[0] if isinstance(info, list) else info
        assert info["config"]["memory_mib"] == 192 and info["config"]["idle_timeout_secs"] == 600
        cli.ok("stop", "-q", "box")
        assert call("box", "sync; cat /kept").out == "one\n"
        note = cli("install", "-f", "-n", "box", IMAGE, "--", "true").err
        assert "sandbox box is there already" in note
        cli.ok("uninstall", "box")
        assert cli.ok("ls", "-q") == "box\n"
    finally:
        cli("rm", "-q", "-f", "box")


def test_first_calls_at_once_make_one_sandbox(cli, call):
    cli.ok("install", "-n", "many", "--idle-timeout", "30s", IMAGE, "--", "echo")
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda i: call("many", str(i)), range(4)))
        assert [(r.returncode, r.out) for r in results] == [(0, f"{i}\n") for i in range(4)], [r.err for r in results]
        assert cli.ok("ls", "-q") == "many\n"
    finally:
        cli("rm", "-q", "-f", "many")


@pytest.mark.parametrize("mode", [["--tmp"], []])
def test_files_and_folders_hold_in_any_folder(cli, call, tmp_path, busybox_image, mode):
    here = tmp_path / "some where"
    here.mkdir()
    (here / "box.yaml").write_text(f"image: {busybox_image}\nentrypoint: [/bin/sh, -c]\n"
                                   "cmd: ['told \"$0\" \"$@\"', first]\n")
    (here / "script").write_text("echo from the file: \"$*\"")
    r = subprocess.run([cli.msb, "install", *mode, "-n", "filed", "--conf", "box.yaml", "--script-path",
                        "told:script"], cwd=here, env=cli.environment(None), capture_output=True)
    assert r.returncode == 0, r.stderr
    try:
        r = call("filed", "a b")
        assert r.out == "from the file: first a b\n", r.err
    finally:
        cli("rm", "-q", "-f", "filed")


def test_the_launcher_says_what_it_is_and_is_only_the_users(cli, bin_dir):
    no_busybox = {"PATH": "/nonexistent"}  # else it would hide the host's
    cli.ok("install", "--tmp", "-e", "SECRET=1", IMAGE, "--", "echo", "a b", env=no_busybox)
    file = bin_dir / "busybox"
    text = file.read_text()
    assert text.startswith(MARKER + "made by 'msb install', removed by 'msb uninstall busybox'\n")
    assert f"\n# image: {IMAGE}\n# mode: tmp\n# command: echo 'a b'\n" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o700
    assert [p.name for p in bin_dir.iterdir()] == ["busybox"]


def test_a_comment_stays_one_line(cli, bin_dir):
    cli.ok("install", "--tmp", "-n", "c", IMAGE, "--", "echo", "\nrm -rf x\x1b[31m", "é" * 300)
    text = (bin_dir / "c").read_text()
    comments = [line for line in text.split("\nmsb=")[0].split("\n")]
    assert all(line.startswith("#") for line in comments) and "\x1b" not in "".join(comments)
    assert len(comments) == 5 and comments[4].endswith("...")
    assert "c" in cli.ok("install", "-l")


def test_list_uninstall_and_formats(cli, bin_dir):
    assert cli("install", "-l").err == "Nothing is installed.\n"
    assert json.loads(cli.ok("install", "-l", "--format", "json")) == []
    cli.ok("install", "-q", "--tmp", "-n", "two", IMAGE, "--", "echo", "2")
    cli.ok("install", "-q", "-n", "one", IMAGE)
    (bin_dir / "other").write_text("#!/bin/sh\n")
    lines = [line.split() for line in cli.ok("install", "--list").splitlines()]
    assert lines[0] == ["NAME", "IMAGE", "MODE", "COMMAND"]
    assert lines[1] == ["one", IMAGE, "persisted", "the", "image's"]
    assert lines[2] == ["two", IMAGE, "tmp", "echo", "2"]
    assert cli.ok("install", "-lq") == "one\ntwo\n"
    assert json.loads(cli.ok("install", "-l", "--format", "json"))[1] == \
        {"name": "two", "image": IMAGE, "mode": "tmp", "command": "echo 2"}
    r = cli("uninstall", "other", "one", "missing", "../one")
    assert r.returncode == 1
    assert "other was not made by msb install" in r.err and "missing is not installed" in r.err
    assert "../one is not installed" in r.err
    assert sorted(p.name for p in bin_dir.iterdir()) == ["other", "two"]


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "-x", "a b", "a:b", "a\\b", "x" * 129])
def test_a_name_that_is_none_is_refused(cli, bin_dir, name):
    assert "cannot be a command's name" in refused(cli, "--tmp", f"--name={name}", IMAGE, code=2)
    assert not list(bin_dir.iterdir())


def test_what_is_there_is_not_replaced(cli, bin_dir, tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    (bin_dir / "mine").write_text("mine")
    (bin_dir / "link").symlink_to(target)
    (bin_dir / "folder").mkdir()
    for name in ("mine", "link", "folder"):
        assert "is there already and was not made by" in refused(cli, "--tmp", "-n", name, IMAGE)
    cli.ok("install", "--tmp", "-n", "ours", IMAGE)
    assert "ours is there already\n" in refused(cli, "--tmp", "-n", "ours", IMAGE)
    for name in ("mine", "link", "ours"):
        cli.ok("install", "-f", "--tmp", "-n", name, IMAGE)
        assert (bin_dir / name).read_text().startswith(MARKER) and not (bin_dir / name).is_symlink()
    assert target.read_text() == "mine"
    assert "cannot write the launcher folder" in refused(cli, "-f", "--tmp", "-n", "folder", IMAGE)
    (bin_dir / "folder").rmdir()
    assert sorted(p.name for p in bin_dir.iterdir()) == ["link", "mine", "ours"]


def test_other_commands_are_not_hidden(cli, bin_dir):
    assert "true is a command already: /" in refused(cli, "--tmp", "-n", "true", IMAGE)
    cli.ok("install", "-f", "--tmp", "-n", "true", IMAGE)
    for name in ("msb", "msb-vmm"):
        assert "a command of ours" in refused(cli, "-f", "--tmp", "-n", name, IMAGE, code=2)


def test_wrong_use_changes_nothing(cli, bin_dir, tmp_path):
    assert "an image is missing" in refused(cli, "--tmp", code=2)
    assert "--replace would begin anew" in refused(cli, "--replace", "-n", "x", IMAGE, code=2)
    assert "takes no image" in refused(cli, "-l", IMAGE, code=2)
    assert "No such file" in refused(cli, "--conf", tmp_path / "none.yaml", "-n", "x", IMAGE, code=2)
    assert "missing.example/x" in refused(cli, "--pull", "never", "-n", "x", "missing.example/x:1")
    assert not list(bin_dir.iterdir())
    cli.ok("install", "--no-pull", "-n", "x", "missing.example/x:1")
    r = cli("install", "-n", "y", IMAGE, env={"MSB_BIN": "relative"})
    assert r.returncode == 2 and "MSB_BIN=relative is not an absolute path" in r.err


def test_the_users_folder_is_made_and_path_is_told(cli, tmp_path):
    env = {"MSB_BIN": None, "HOME": str(tmp_path)}
    r = cli("install", "--tmp", "-n", "here", IMAGE, env=env)
    folder = tmp_path / ".local/bin"
    assert r.returncode == 0 and f'{folder} is not in PATH: export PATH="{folder}:$PATH"' in r.err
    assert (folder / "here").exists()
    r = cli("install", "--tmp", "-n", "there", IMAGE, env={**env, "PATH": f"{os.environ['PATH']}:{folder}"})
    assert r.returncode == 0 and "PATH" not in r.err
    cli.ok("uninstall", "here", "there", env=env)


def test_launch_alone_wants_a_name(cli):
    r = cli("launch", IMAGE)
    assert r.returncode == 2 and "needs a --name" in r.err
