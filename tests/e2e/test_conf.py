"""Files of settings: --conf and its kin for one sandbox, config.json and config.toml for all; who goes before whom."""
import json
import os
import subprocess

import pytest

from lib.cli import Cli

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    """One home for this file: the image is loaded once."""
    c = Cli(build_dir, tmp_path_factory.mktemp("conf") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
    return write


@pytest.fixture
def made(cli):
    """Put a sandbox on record by these options and give what is there of it."""
    def made(*args, env=None, name="made"):
        cli.ok("create", "--no-start", "--pull", "never", "-n", name, *args, env=env)
        shown = json.loads(cli.ok("inspect", name, "--format", "json"))
        cli.ok("rm", "-q", name)
        return (shown[0] if isinstance(shown, list) else shown)["config"]
    return made


@pytest.fixture
def settings(cli, tmp_path):
    """Write config.json and config.toml; gone at the end."""
    places = {"json": cli.home / "config.json",
              "toml": cli.home.parent / "home-config" / "microsandbox" / "config.toml"}

    def write(kind, text):
        places[kind].parent.mkdir(parents=True, exist_ok=True)
        places[kind].write_text(text)
        return places[kind]
    yield write
    for path in places.values():
        path.unlink(missing_ok=True)


def refused(cli, *args, env=None):
    r = cli("create", "--no-start", "--pull", "never", "-n", "no", *args, env=env)
    assert r.returncode == 2, (r.returncode, r.out, r.err)
    assert r.out == ""
    return r.err


# ---- one sandbox ---------------------------------------------------------------------------------------------------

def test_a_file_makes_the_sandbox_that_it_says(cli, write):
    conf = write("sandbox.yaml", f"""
image: {IMAGE}
pull_policy: never
memory: 192M
hostname: filehost
user: "1234:5678"
workdir: ${{MSB_TEST_DIR}}/run
env:
  COLOUR: red
  VERSION: 1.10
rlimits:
  - {{resource: nofile, soft: 77, hard: 88}}
network: none
entrypoint: [/bin/sh, -c]
cmd:
  - report; echo "$COLOUR $VERSION"; id -u; id -g; pwd; hostname; ulimit -n
scripts:
  report: |
    echo "a script"
""")
    out = cli.ok("run", "--conf", conf, env={"MSB_TEST_DIR": "/var"})
    assert out.splitlines() == ["a script", "red 1.10", "1234", "5678", "/var/run", "filehost", "77"]


def test_flags_win_over_files_and_right_over_left(made, write):
    one = write("one.yaml", f"image: {IMAGE}\ncpus: 1\nmemory: 128M\nworkdir: /one\nenv: {{A: one, B: one}}\n"
                            "labels: {team: one}\nrlimits: [{resource: nofile, soft: 5}]\nshell: /bin/one\n")
    two = write("two.yaml", "cpus: 2\nmemory: 256M\nenv: {B: two, C: two}\n")
    c = made("--conf", one, "--conf", two, "-m", "384M", "-e", "C=flag", "--label", "x=y", "--rlimit", "nproc=7")
    assert (c["cpus"], c["memory_mib"], c["workdir"], c["shell"]) == (2, 384, "/one", "/bin/one")
    assert c["env"] == {"A": "one", "B": "two", "C": "flag"}
    assert c["labels"] == {"team": "one", "x": "y"}
    assert sorted(c["rlimits"]) == ["nofile=5", "nproc=7"]


def test_scoped_files_keep_their_place_in_the_order(made, write):
    conf = write("conf.yaml", f"image: {IMAGE}\ncpus: 1\nworkdir: /conf\n")
    resource = write("resource.yaml", "cpus: 3\n")
    runtime = write("runtime.yaml", "workdir: /runtime\n")
    scripts = write("scripts.yaml", "hello: echo hello\n")
    c = made("--conf", conf, "--resource-conf", resource, "--runtime-conf", runtime, "--script-conf", scripts)
    assert (c["cpus"], c["workdir"], c["scripts"]) == (3, "/runtime", ["hello"])
    c = made("--resource-conf", resource, "--runtime-conf", runtime, "--conf", conf)
    assert (c["cpus"], c["workdir"]) == (1, "/conf")


def test_host_paths_start_at_the_file(made, busybox_image, write):
    conf = write("deep/conf.yaml", "image: ./layout\n")
    os.symlink(busybox_image, conf.parent / "layout")
    assert made("--conf", conf)["image"] == "docker.io/library/busybox:latest"


def test_an_image_of_the_command_line_wins(made, write):
    conf = write("conf.yaml", "image: not/there:9\ncpus: 2\n")
    assert made("--conf", conf, IMAGE)["cpus"] == 2


def test_the_example_of_the_help_is_right(cli, made, write):
    text = cli.ok("run", "--help")
    lines = text[text.index("A file of --conf"):text.index("\nFiles go over")].splitlines()[1:]
    assert len(lines) > 15 and all(line.startswith("  ") for line in lines)
    write("src/file", "")  # what it mounts and copies
    write("app/file", "")
    c = made("--conf", write("example.yaml", "\n".join(lines)), IMAGE, env={"TOKEN": "t"})
    assert (c["cpus"], c["memory_mib"], c["env"], c["scripts"]) == (2, 1024, {"TOKEN": "t"}, ["build"])
    assert (c["max_duration_secs"], c["idle_timeout_secs"], c["rlimits"]) == (7200, 600, ["nofile=1024:4096"])


def test_the_example_of_config_toml_is_right(cli, made, settings):
    text = cli.ok("--help")
    lines = text[text.index("  [sandbox_defaults]"):text.index("\nPrograms may rather")].splitlines()
    settings("toml", "\n".join(lines))
    c = made(IMAGE, name="box")
    assert (c["cpus"], c["memory_mib"], c["env"], c["idle_timeout_secs"]) == (2, 4096, {"LANG": "C.UTF-8"}, 600)


def test_a_pipe_is_a_file(cli, write):
    read, end = os.pipe()
    os.write(end, f"image: {IMAGE}\ncpus: 2\n".encode())
    os.close(end)
    cli.ok("create", "--no-start", "-n", "piped", "--conf", f"/dev/fd/{read}", pass_fds=[read])
    os.close(read)
    cli.ok("rm", "-q", "piped")


@pytest.mark.parametrize("text, message", [
    ("image: a\nworkdirr: /x\n", "bad.yaml:2:1: unknown key workdirr"),
    ("image: a\nimage: b\n", "bad.yaml:2:1: image is given twice, first in line 1"),
    ("image: a\n---\nimage: b\n", "bad.yaml:2:1: a second document begins"),
    ("env: &x {A: b}\n", "bad.yaml:1:6: anchors are not taken"),
    ("env: *x\n", "bad.yaml:1:6: aliases are not taken"),
    ("env:\n  <<: {A: b}\n", "bad.yaml:2:3: merge keys are not taken"),
    ("cpus: !!int 2\n", "bad.yaml:1:7: tags are not taken"),
    ("env: {A: yes}\n", "bad.yaml:1:10: unquoted yes"),
    ("env:\n  A: off\n", "bad.yaml:2:6: unquoted off"),
    ("cpus: none\n", "bad.yaml:1:7: cpus is not a number from 1 to 64"),
    ("memory: -1\n", "bad.yaml:1:9: memory is not a size"),
    ("workdir: ${MSB_TEST_UNSET}\n", "bad.yaml:1:10: variable MSB_TEST_UNSET is not set"),
    ("workdir: ${A:-b}\n", "bad.yaml:1:10: only ${NAME}"),
    ("entrypoint: /bin/sh\n", "bad.yaml:1:13: entrypoint is not a list"),
    ("a: [b\n", "bad.yaml:2:1: "),
    ("mounts: {}\n", "bad.yaml:1:9: mounts is not a list"),
    ("network: pubic\n", "bad.yaml:1:10: network: 'pubic' is no policy"),
    ("network: {tls: {enable: true}}\n", "bad.yaml:1:17: unknown key enable"),
    ("ports: [80]\n", "bad.yaml:1:9: '80' is not [BIND:]HOST:GUEST"),
    ("secrets: {A: {value: hunter2, allow: [b]}}\n", "bad.yaml:1:22: a secret's value cannot stand in a file"),
    ("patches: [{mkdir: {path: a}}]\n", "bad.yaml:1:19: a is not an absolute path"),
    ("[" * 100, "bad.yaml:1:17: nested more than 16 levels"),
    ("", "bad.yaml: there is nothing in it"),
    ("a: " + "x" * 1100000, "bad.yaml: larger than 1024 KiB"),
])
def test_a_wrong_file_is_told_with_its_place(cli, write, text, message):
    err = refused(cli, "--conf", write("bad.yaml", text), IMAGE)
    assert message in err and err.startswith("error: ")


def test_other_wrong_options_of_a_sandbox(cli, write):
    assert "an image is missing" in refused(cli, "--conf", write("c.yaml", "cpus: 1\n"))
    assert "cannot read 'none.yaml': No such file" in refused(cli, "--conf", "none.yaml", IMAGE)
    assert "not a file" in refused(cli, "--conf", "/dev/zero", IMAGE)
    assert "--root-disk" in refused(cli, "--root-disk", "tmpfs:much", IMAGE)
    assert "given twice" in refused(cli, "--script", "a=b", "--script-raw", "a=c", IMAGE)


# ---- all sandboxes -------------------------------------------------------------------------------------------------

def test_each_source_goes_before_the_one_below(cli, made, settings, write):
    """built-in < config.json < config.toml < its [sandbox.NAME] < conf files < flags."""
    conf = write("conf.yaml", "cpus: 6\nenv: {D: conf}\n")
    assert made(IMAGE)["cpus"] == 1
    settings("json", json.dumps({"sandbox_defaults": {"cpus": 2, "memory_mib": 256, "shell": "/json",
                                                      "env": {"A": "json", "B": "json"}}}))
    assert made(IMAGE)["cpus"] == 2
    settings("toml", '[sandbox_defaults]\ncpus = 3\nidle_timeout = "5m"\nworkdir = "/toml"\n'
                     '[sandbox_defaults.env]\nB = "toml"\nC = "toml"\n[sandbox.made]\ncpus = 4\n'
                     '[sandbox.made.env]\nC = "made"\n')
    assert made(IMAGE, name="other")["cpus"] == 3
    c = made(IMAGE)
    assert (c["cpus"], c["memory_mib"], c["shell"], c["workdir"], c["idle_timeout_secs"]) == \
        (4, 256, "/json", "/toml", 300)
    assert c["env"] == {"A": "json", "B": "toml", "C": "made"}
    c = made("--conf", conf, IMAGE)
    assert (c["cpus"], c["env"]["D"]) == (6, "conf")
    c = made("--conf", conf, "-c", "7", "-e", "A=flag", "-w", "/flag", "--idle-timeout", "9s", IMAGE)
    assert (c["cpus"], c["workdir"], c["idle_timeout_secs"]) == (7, "/flag", 9)
    assert c["env"] == {"A": "flag", "B": "toml", "C": "made", "D": "conf"}


def test_variables_go_before_config_toml(cli, settings):
    settings("toml", '[sandbox_defaults]\nengine = "qemu"\naccel = "tcg"\n')
    r = cli("doctor", env={"MSB_ENGINE": "kvm", "MSB_ACCEL": None})
    assert "engine kvm (from MSB_ENGINE) contradicts accelerator tcg" in r.out + r.err
    assert "config.toml" in r.out + r.err
    r = cli("doctor", env={"MSB_ENGINE": "qemu", "MSB_ACCEL": None})
    assert "contradicts" not in r.out + r.err


def test_doctor_says_which_files_are_used(cli, settings):
    assert "no defaults of yours" in cli("doctor").out
    toml = settings("toml", "")
    assert f"config      {toml}" in cli("doctor").out
    settings("json", "{}")
    assert f"config.json, and over it {toml}" in cli("doctor").out


def test_a_wrong_config_toml_is_told_with_its_line(cli, settings):
    path = settings("toml", "[sandbox_defaults]\ncpus = 2\nmemmory = 1\n")
    r = cli("create", "--no-start", "-n", "no", IMAGE)
    assert r.returncode == 1
    assert f"{path}:3: unknown key sandbox_defaults.memmory" in r.err
    r = cli("doctor")
    assert r.returncode == 1 and f"{path}:3: " in r.out + r.err
    settings("toml", "[sandbox_defaults\n")
    assert f"{path}:1: a ] is missing" in cli("create", "--no-start", "-n", "no", IMAGE).err
    assert subprocess.run([cli.msb, "ls"], env=cli.environment(None), capture_output=True).returncode == 0
