"""The C examples: each built as its first lines say, against an installation, and run with a real machine."""
import pathlib
import re
import shlex
import signal
import subprocess

import pytest

from lib.cli import Cli, Terminal
from lib.installed import Installed

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/c"
NAMES = sorted(p.stem for p in EXAMPLES.glob("*.c"))
IMAGE = "test/busybox:1"
LINES_MAX = 120


@pytest.fixture(scope="module")
def installed(build_dir, tmp_path_factory):
    return Installed(build_dir, tmp_path_factory.mktemp("installed") / "stage")


@pytest.fixture(scope="module")
def cli(installed, busybox_image, tmp_path_factory):
    """msb of the installation, with an image in its home."""
    c = Cli(installed.msb.parent, tmp_path_factory.mktemp("examples") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture(scope="module")
def box(cli):
    cli.ok("create", "-q", "-n", "box", "-m", "128M", IMAGE)
    yield "box"
    cli.ok("rm", "-q", "-f", "box")


@pytest.fixture(scope="module")
def programs(installed, tmp_path_factory):
    """{name: path}, each compiled by the command in its own comment; only the pkg-config of the staged tree differs."""
    folder = tmp_path_factory.mktemp("programs")
    flags = installed.flags("--cflags", "--libs")
    for name in NAMES:
        command = re.search(rf"^ \*\t(cc {name}\.c .*)$", (EXAMPLES / f"{name}.c").read_text(), re.M).group(1)
        before, after = command.split("$(pkg-config --cflags --libs microsandbox)")
        words = shlex.split(before) + flags + shlex.split(after)
        assert words[2:4] == ["-o", name]
        words[1], words[3] = str(EXAMPLES / words[1]), str(folder / name)
        subprocess.run([*words, "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-std=gnu11"], check=True)
    return {name: str(folder / name) for name in NAMES}


@pytest.fixture
def call(programs, cli, installed):
    library = str(next(installed.stage.rglob("libmicrosandbox.so")).parent)

    def run(name, *args, **kw):
        kw.setdefault("stdin", None if "input" in kw else subprocess.DEVNULL)
        return subprocess.run([programs[name], *args], env=dict(cli.environment(None), LD_LIBRARY_PATH=library),
                              capture_output=True, timeout=90, text=True, **kw)
    run.env = dict(cli.environment(None), LD_LIBRARY_PATH=library)
    run.path = programs
    return run


def test_there_is_one_for_each_area():
    assert NAMES == ["files", "images", "life", "logs", "many", "metrics", "run", "secret", "stream", "terminal", "volumes"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_short_and_uses_the_public_header_only(name):
    text = (EXAMPLES / f"{name}.c").read_text()
    assert text.count("\n") < LINES_MAX
    assert re.findall(r'#include "', text) == [] and "#include <microsandbox.h>" in text


@pytest.mark.parametrize("name", NAMES)
def test_without_arguments_it_says_how(call, name):
    r = call(name)
    assert r.returncode == 2 and r.stdout == "" and r.stderr.startswith(f"usage: {name} ")


def test_volumes(call, cli, tmp_path):
    (tmp_path / "source").write_text("")
    for n in (1, 2):  # the volume outlives its sandboxes
        r = call("volumes", IMAGE, "sh", "-c", "echo line >> /data/log; cat /data/log; ls /src; df /scratch >&2", cwd=tmp_path)
        assert r.returncode == 0, r.stderr
        lines = r.stdout.splitlines()
        assert lines[:-1] == ["line"] * n + ["source"]
        assert re.fullmatch(r"example: \d+ of 67108864 bytes used, in /.*/volumes/example/data", lines[-1])
    cli.ok("volume", "rm", "-q", "example")


def test_run(call):
    r = call("run", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.returncode, r.stdout, r.stderr) == (7, "out\n", "err\n")
    r = call("run", "no/such:image", "true")
    assert r.returncode == 1 and r.stderr.startswith("error: ")


def test_stream(call, box):
    data = "line\n" * 200000  # more than any window
    r = call("stream", box, "wc", "-l", input=data)
    assert (r.returncode, r.stdout, r.stderr) == (0, "200000\n", "")
    r = call("stream", box, "cat", input=data)
    assert r.returncode == 0 and r.stdout == data
    assert call("stream", box, "sh", "-c", "kill -9 $$").returncode == 137
    assert call("stream", box, "/no/such").returncode == 127
    r = call("stream", "nobody", "true")
    assert r.returncode == 1 and "nobody" in r.stderr


def test_files(call, box, tmp_path):
    (tmp_path / "mine").write_text("12345")
    r = call("files", box, str(tmp_path / "mine"))
    assert r.returncode == 0, r.stderr
    assert r.stdout == "100644        5 mine\n100644       14 note\nfrom the host\n"
    r = call("files", box, str(tmp_path / "none"))
    assert r.returncode == 1 and "none" in r.stderr


def test_terminal(call, box):
    t = Terminal([call.path["terminal"], box], call.env, 30, 90)
    try:
        t.expect("/ # ")
        assert t.is_raw()
        t.type("stty size\r")
        t.expect("30 90")
        t.resize(20, 70)
        t.process.send_signal(signal.SIGWINCH)
        t.type("until stty size | grep '20.70'; do sleep 0.1; done\r")
        t.expect("20 70")
        t.type("exit 5\r")
        assert t.wait() == 5 and t.is_restored()
    finally:
        t.close()


def test_secret(call):
    """The guest has the same placeholder before and after the key is rotated; nothing was sent."""
    r = call("secret", IMAGE, "api.example.com", "sh", "-c", "echo $API_KEY")
    assert r.returncode == 0, r.stderr
    first, again, counts = r.stdout.splitlines()
    assert re.fullmatch("MSB_[0-9a-f]{32}", first) and again == first and counts == "0 values put in, 0 violations"


def test_life(call, cli):
    r = call("life", IMAGE, "example")
    assert (r.returncode, r.stdout, r.stderr) == (0, "written\nremember me\n", "")
    assert "example" not in cli.ok("ls", "-q")
    cli.ok("create", "-q", "--no-start", "-n", "taken", IMAGE)
    r = call("life", IMAGE, "taken")
    assert r.returncode == 1 and "(exists)" in r.stderr
    cli.ok("rm", "-q", "taken")


def test_logs(call, cli):
    cli.ok("run", "-q", "-d", "-n", "talker", IMAGE, "--", "sh", "-c",
           "i=0; while [ $i -lt 5 ]; do echo line $i; sleep 0.3; i=$((i+1)); done; echo last >&2; sleep 1")
    r = call("logs", "talker")
    assert r.returncode == 0, r.stderr
    said = [line.split(" ", 2)[1:] for line in r.stdout.splitlines()]
    assert [s for s in said if s[0] != "msb"] == [["out", f"line {i}"] for i in range(5)] + [["err", "last"]]
    assert re.match(r"\d\d:\d\d:\d\d ", r.stdout)
    cli.ok("rm", "-q", "-f", "talker")
    assert call("logs", "talker").returncode == 1


def test_metrics(call, box):
    r = call("metrics", box, "2")
    assert r.returncode == 0 and r.stdout.count("\n") == 2
    assert re.match(r"cpu +\d+\.\d%  memory \d+\.\d of 128\.0 MiB  disk \d+\.\d \+ \d+\.\d KiB/s  up \d+ s\n", r.stdout)
    assert call("metrics", "nobody").returncode == 1


def test_images(call, cli, busybox_image):
    r = call("images", IMAGE)
    assert r.returncode == 0 and r.stdout.startswith(f"docker.io/{IMAGE}\n  sha256:")
    assert "linux/amd64" in r.stdout
    r = call("images", str(busybox_image))  # a path: its layers are looked at
    assert r.returncode == 0 and "layer 0: " in r.stderr


def test_many(call):
    r = call("many", IMAGE, "3")
    assert r.returncode == 0, r.stderr
    assert re.fullmatch(r"job 0 on Linux \S+\njob 1 on Linux \S+\njob 2 on Linux \S+\n", r.stdout)
