"""The command line without a machine: help, options, errors, images, doctor."""
import json
import os
import re

import pytest

from lib import engine
from lib.cli import Cli

NEEDS_QEMU = pytest.mark.skipif(engine.hardware(), reason="sandboxes run without QEMU here")

COMMANDS = [[], ["run"], ["pull"], ["load"], ["image"], ["image", "pull"], ["image", "load"], ["image", "list"],
            ["image", "ls"], ["image", "inspect"], ["image", "remove"], ["image", "rm"], ["image", "prune"],
            ["images"], ["rmi"], ["inspect"], ["doctor"], ["completion"], ["help"]]


@pytest.fixture
def cli(build_dir, tmp_path):
    return Cli(build_dir, tmp_path / "home")


@pytest.fixture
def loaded(cli, busybox_image):
    cli.ok("load", "-i", busybox_image, "-t", "test/busybox:1")
    return cli


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_tree(cli, command):
    out = cli.ok(*command, "--help")
    assert out.splitlines()[0] and "Usage: msb" in out and "--help" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\033" not in out
    assert cli.ok(*command, "-h") == out
    if command != ["help"]:
        assert cli.ok("help", *command) == out
    assert cli.ok(*command, "--tree").startswith("msb")


def test_without_a_command_the_help_is_shown(cli):
    assert cli.ok() == cli.ok("--help")
    assert cli("image").returncode == 2


def test_help_names_every_option_of_run(cli):
    out = cli.ok("run", "--help")
    for option in ("-e, --env", "-w, --workdir", "-u, --user", "-c, --cpus", "-m, --memory", "-t, --tty", "--no-tty",
                   "--timeout", "--rlimit", "-H, --hostname", "--entrypoint", "--pull", "-q, --quiet", "-n, --name",
                   "--engine", "--accel", "--debug"):
        assert option in out, option
    assert "always" in out and "if-missing" in out and "never" in out
    assert "124" in out and "125" in out and "126" in out and "127" in out and "128+n" in out


def test_tree_is_scoped_and_hides_aliases(cli):
    tree = cli.ok("--tree")
    assert "├── run [IMAGE] [-- COMMAND...]" in tree and "--memory <SIZE>" in tree and "list (ls)" in tree
    assert "── rmi" not in tree and "── images" not in tree
    assert cli.ok("image", "rm", "--tree").splitlines()[0] == "msb image remove <IMAGE>..."
    columns = {line.index(word) for word, line in zip(("Show", "Give"), (
        next(x for x in tree.splitlines() if "--version" in x), next(x for x in tree.splitlines() if "--no-tty" in x)))}
    assert len(columns) == 1


def test_version(cli):
    for option in ("--version", "-V"):
        assert re.fullmatch(r"msb \d+\.\d+\.\d+\n", cli.ok(option))


@pytest.mark.parametrize("args, message, hint", [
    (["rnu"], "unknown command 'rnu'", "did you mean 'msb run'?"),
    (["image", "lst"], "unknown command 'lst'", "did you mean 'msb image list'?"),
    (["zzzz"], "unknown command 'zzzz'", "msb --help"),
    (["run", "--memroy", "1", "x"], "unknown option '--memroy'", "did you mean '--memory'?"),
    (["run", "-Z", "x"], "unknown option '-Z'", "msb run --help"),
    (["create", "--secrets=A@x.org", "x"], "unknown option '--secrets'", "did you mean '--secret'?"),
    (["run", "-m", "lots", "x"], "--memory: 'lots'", "512M"),
    (["run", "-c", "0", "x"], "--cpus: '0'", "msb run --help"),
    (["run", "--timeout", "soon", "x"], "--timeout: 'soon'", "30s"),
    (["run", "--pull", "maybe", "x"], "--pull: 'maybe'", "always"),
    (["run", "-e", "MSB_TEST_NOT_SET", "x"], "MSB_TEST_NOT_SET", "-e MSB_TEST_NOT_SET=VALUE"),
    (["run", "-t", "--no-tty", "x"], "--tty and --no-tty", "msb run --help"),
    (["run", "--engine", "xen", "x"], "--engine: 'xen'", "one of: auto, kvm, qemu"),
    (["run", "--engine", "kvm", "--accel", "tcg", "x"], "exclude each other", "msb run --help"),
    (["run"], "image", "--conf"),
    (["inspect"], "<NAME>", "msb inspect --help"),
    (["run", "--name"], "--name needs a value", "msb run --help"),
    (["pull"], "<IMAGE>", "msb pull --help"),
    (["pull", "a", "b"], "'b'", "msb pull --help"),
    (["doctor", "--format", "xml"], "'xml'", "json"),
    (["completion"], "<bash|zsh|fish> is missing", "msb completion --help"),
    (["completion", "tcsh"], "'tcsh'", "bash, zsh, fish"),
    (["help", "nothing"], "'nothing'", "msb help"),
    (["run", "--quiet=yes", "x"], "--quiet takes no value", "msb run --help"),
])
def test_a_wrong_command_line_is_exit_2_with_a_next_step(cli, args, message, hint):
    r = cli(*args)
    assert r.returncode == 2 and r.out == ""
    assert r.err.startswith("error: ") and message in r.err and "  → " in r.err and hint in r.err


def test_a_wrong_variable_is_named(cli):
    r = cli("run", "x", env={"MSB_ACCEL": "warp"})
    assert r.returncode == 2 and "MSB_ACCEL" in r.err and "warp" in r.err
    r = cli("run", "x", env={"MSB_ENGINE": "warp"})
    assert r.returncode == 2 and "MSB_ENGINE" in r.err and "warp" in r.err
    r = cli("run", "--accel", "tcg", "x", env={"MSB_ENGINE": "kvm"})
    assert r.returncode == 2 and "MSB_ENGINE" in r.err and "--accel" in r.err


def test_the_help_tells_engine_and_accelerator_apart(cli):
    out = " ".join(cli.ok("run", "--help").split())
    assert "[auto, kvm, qemu] [env: MSB_ENGINE]" in out and "[tcg, kvm, auto] [env: MSB_ACCEL]" in out
    assert "How the qemu engine runs the processor" in out
    out = " ".join(cli.ok("--help").split())
    assert "MSB_ENGINE" in out and "MSB_CONFIG_PATH" in out and "sandbox_defaults" in out


def test_outside_text_cannot_reach_the_terminal(cli):
    r = cli("pull", "./no\033[31msuch\x07file\u202e")
    assert r.returncode == 1 and "\033" not in r.err and "\x07" not in r.err and "\u202e" not in r.err
    assert "\\x1b[31m" in r.err
    r = cli("\033]0;title\x07")
    assert r.returncode == 2 and "\033" not in r.err


def test_colour_is_for_terminals_only_and_not_with_no_color(cli):
    assert "\033" not in cli("bogus").err
    with cli.terminal("bogus") as t:
        assert t.wait() == 2
        assert b"\033[31m" in t.seen
    with cli.terminal("bogus", env={"NO_COLOR": "1"}) as t:
        assert t.wait() == 2
        assert b"\033" not in t.seen and b"error:" in t.seen


def test_doctor_on_this_machine(cli):
    r = cli("doctor")
    assert r.returncode == 0, r.out + r.err
    for name in ("runtime", "kernel", "agent", "qemu", "kvm", "engine", "memory", "home", "disk", "mke2fs",
                 "registries", "network", "ping", "namespaces", "landlock", "seccomp", "wall"):
        assert re.search(rf"^   \S+ {name} ", r.out, re.M), name
    assert "name servers: " in r.out and "Sandboxes can run here" in r.out


def test_doctor_as_json(cli):
    report = json.loads(cli.ok("doctor", "--format", "json"))
    assert report["ok"] is True
    checks = {c["name"]: c for c in report["checks"]}
    assert all(set(c) == {"name", "status", "message", "fix"} for c in report["checks"])
    assert {c["status"] for c in report["checks"]} <= {"ok", "info", "warn", "fail"}
    flags = open("/proc/cpuinfo").read().split()
    if os.path.exists("/dev/kvm") and "vmx" not in flags and "svm" not in flags:
        assert "unusable" in checks["kvm"]["message"] and "emulated" in checks["kvm"]["message"]
        assert "auto takes qemu with tcg" in checks["engine"]["message"]
        assert "tcg is no security boundary" in checks["wall"]["message"]


def test_doctor_knows_the_chosen_engine(cli):
    r = cli("doctor", env={"MSB_ENGINE": "qemu"})
    assert r.returncode == 0 and "qemu is chosen" in r.out
    r = cli("doctor", env={"MSB_ENGINE": "warp"})
    assert r.returncode == 1 and "MSB_ENGINE=warp" in r.out
    if not engine.hardware():
        assert "kvm is chosen, but cannot work here" in cli("doctor", env={"MSB_ENGINE": "kvm"}).out


@NEEDS_QEMU
@pytest.mark.parametrize("env, words", [({"PATH": "/nonexistent"}, "apt install"),
                                        ({"MSB_QEMU": "/bin/true"}, "does not say")])
def test_without_an_engine_both_causes_are_shown(cli, env, words):
    report = json.loads(cli("doctor", "--format", "json", env=env).out)
    qemu, = [c for c in report["checks"] if c["name"] == "qemu"]
    auto, = [c for c in report["checks"] if c["name"] == "engine"]
    assert qemu["status"] == "fail" and words in qemu["message"] + qemu["fix"]
    assert auto["status"] == "fail" and "KVM" in auto["message"] and "QEMU" in auto["message"]


@pytest.mark.parametrize("env, check, words", [
    pytest.param({"PATH": "/nonexistent"}, "qemu", "apt install", marks=NEEDS_QEMU),
    pytest.param({"MSB_QEMU": "/nonexistent"}, "qemu", "MSB_QEMU=/nonexistent", marks=NEEDS_QEMU),
    pytest.param({"MSB_QEMU": "/bin/true"}, "qemu", "does not say", marks=NEEDS_QEMU),
    ({"MSB_RUNTIME": "/nonexistent"}, "runtime", "MSB_RUNTIME=/nonexistent"),
    ({"MSB_HOME": "/proc/nowhere"}, "home", "MSB_HOME"),
])
def test_doctor_says_what_is_missing(cli, env, check, words):
    r = cli("doctor", "--format", "json", env=env)
    assert r.returncode == 1
    report = json.loads(r.out)
    found = [c for c in report["checks"] if c["name"] == check][0]
    assert report["ok"] is False and found["status"] == "fail"
    assert words in found["message"] + found["fix"]
    text = cli("doctor", env=env)
    assert text.returncode == 1 and "cannot run here" in text.out and "→" in text.out


def test_a_broken_docker_config_is_a_warning(cli, tmp_path):
    (tmp_path / "config.json").write_text("{ not json")
    r = cli("doctor", env={"DOCKER_CONFIG": str(tmp_path)})
    assert r.returncode == 0 and "! registries" in r.out


def test_no_images(cli):
    r = cli("image", "ls")
    assert r.returncode == 0 and r.out == "" and r.err == "No images found.\n"
    assert json.loads(cli.ok("image", "ls", "--format", "json")) == []
    assert cli.ok("image", "ls", "-q") == "" and cli.ok("images", "-q") == ""


def test_loaded_images_are_listed(loaded):
    head, row = loaded.ok("image", "ls").splitlines()
    assert head.split() == ["REFERENCE", "DIGEST", "SIZE", "CREATED"]
    assert row.startswith("docker.io/test/busybox:1   sha256:")
    assert head.index("DIGEST") == row.index("sha256:")
    assert loaded.ok("images", "-q") == "docker.io/test/busybox:1\n"
    entry, = json.loads(loaded.ok("image", "list", "--format=json"))
    assert entry["reference"] == "docker.io/test/busybox:1" and entry["os"] == "linux"
    assert entry["architecture"] == "amd64" and entry["layer_count"] >= 1 and entry["size_bytes"] > 0
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", entry["digest"])


def test_inspect(loaded):
    text = loaded.ok("image", "inspect", "test/busybox:1")
    image = json.loads(loaded.ok("image", "inspect", "--format", "json", "test/busybox:1"))
    assert image["reference"] == "docker.io/test/busybox:1" and image["digest"] in text
    assert len(image["layers"]) == image["layer_count"] and image["layers"][0]["diff_id"] in text
    assert set(image["config"]) == {"digest", "env", "cmd", "entrypoint", "working_dir", "user", "labels",
                                    "stop_signal"}
    by_id = json.loads(loaded.ok("image", "inspect", "--format", "json", image["digest"].split(":")[1][:12]))
    assert by_id == image


def test_unknown_images_are_named(cli):
    for args in (["image", "inspect", "no/such"], ["image", "rm", "no/such"], ["rmi", "no/such"]):
        r = cli(*args)
        assert r.returncode == 1 and "no/such" in r.err and r.err.startswith("error: ")
    assert cli("image", "rm", "-f", "no/such").returncode == 0


def test_remove_frees_the_store(loaded):
    r = loaded("image", "rm", "test/busybox:1")
    assert r.returncode == 0 and "Removed" in r.err and r.out == ""
    assert loaded.ok("images", "-q") == ""
    layers = loaded.home / "store" / "layers"
    assert not layers.exists() or not [p for p in layers.glob("*/*")]


def test_prune(loaded):
    kept = json.loads(loaded.ok("image", "prune", "--format", "json"))
    assert kept["image_refs_removed"] == 0
    r = loaded("image", "prune", "--all")
    assert r.returncode == 1 and "--yes" in r.err and loaded.ok("images", "-q") != ""
    gone = json.loads(loaded.ok("image", "prune", "--all", "-y", "--format", "json"))
    assert gone["image_refs_removed"] == 1 and gone["bytes_reclaimed"] > 0
    assert loaded.ok("images", "-q") == ""


def test_load_speaks_on_stderr_and_not_with_quiet(cli, busybox_image):
    r = cli("load", "-i", busybox_image, "-t", "test/a:1")
    assert r.returncode == 0 and r.out == "" and "Loaded" in r.err and "test/a:1" in r.err
    r = cli("load", "-q", "-i", busybox_image, "-t", "test/b:1")
    assert (r.returncode, r.out, r.err) == (0, "", "")


def test_progress_is_redrawn_on_a_terminal_and_gone_at_the_end(cli, busybox_image):
    with cli.terminal("load", "-i", busybox_image) as t:
        assert t.wait() == 0
        screen = t.seen.decode()
    assert "Loading" in screen and "[====" in screen and "\033[J" in screen
    assert screen.rsplit("\033[J", 1)[1].count("\n") == 1 and "Loaded" in screen.splitlines()[-1]
    with cli.terminal("load", "-q", "-i", busybox_image) as t:
        assert t.wait() == 0 and t.seen == b""


def test_progress_is_plain_lines_elsewhere(cli, busybox_image):
    r = cli("load", "-i", busybox_image)
    assert r.returncode == 0 and "\033" not in r.err and "\r" not in r.err
    assert re.match(r"Loading \S+ \(\d+ layers?\)\n  [0-9a-f]{12} \S+ \S+ (done|cached)\n", r.err)


def test_load_of_nonsense(cli, tmp_path):
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"\xff" * 4096)
    for r in (cli("load", "-i", bad), cli("load", input=b"nonsense"), cli("load", "-i", tmp_path / "none.tar")):
        assert r.returncode == 1 and r.err.startswith("error: ") and r.out == ""
    assert cli.ok("images", "-q") == ""


def test_load_from_a_terminal_is_refused(cli):
    with cli.terminal("load") as t:
        assert t.wait() == 2
        assert b"--input" in t.seen


def test_writing_to_a_full_disk_is_an_error(cli):
    with open("/dev/full", "wb") as full:
        r = cli("--help", stdout=full)
    assert r.returncode == 1 and "No space left" in r.err


def test_closed_descriptors_do_no_harm(cli):
    r = cli("images", "-q", preexec_fn=lambda: os.closerange(0, 1), stdin=None)
    assert r.returncode == 0
