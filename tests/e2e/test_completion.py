"""Completion scripts in the real shells, and the manual: both from the command table."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import need
from lib.cli import Cli

SHELLS = ["bash", "zsh", "fish"]
BASH = r"""
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
_msb msb
printf '%s\n' "${COMPREPLY[@]}"
"""
ZSH_SECONDS = 30  # compinit reads hundreds of files


@pytest.fixture
def cli(build_dir, tmp_path):
    return Cli(build_dir, tmp_path / "home")


class Shell:
    """Asks a shell for what it would offer at the end of a line."""

    def __init__(self, name, cli, build_dir, folder):
        self.name, self.script = name, folder / ("_msb" if name == "zsh" else f"msb.{name}")
        self.script.write_text(cli.ok("completion", name))
        self.env = {"PATH": f"{build_dir}:{os.environ['PATH']}", "HOME": str(folder), "MSB_HOME": str(cli.home),
                    "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        self.folder, self.pid = folder, 0

    def run(self, *args):
        r = subprocess.run(args, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert r.returncode == 0 and r.stderr == "", r.stderr
        return r.stdout.splitlines()

    def offers(self, line):
        if self.name == "bash":
            return set(self.run("bash", "--norc", "-c", BASH, "bash", self.script, line)) - {""}
        if self.name == "fish":
            found = self.run("fish", "--no-config", "-c", f"source {self.script}; complete -C {line!r}")
            return {row.split("\t")[0] for row in found}
        return self.zsh(line)

    def start_zsh(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], self.env)
        self.ask("unset zle_bracketed_paste; unsetopt prompt_sp list_beep beep; PS1=PROMPT; LISTMAX=9999; stty cols 300; bindkey -e\n"
                 f"fpath=({self.folder} $fpath); autoload -Uz compinit; compinit -u -D; bindkey '^D' list-choices\n")

    def zsh(self, line):
        """The list of list-choices, from a zsh with a terminal; --name and its help are in one row."""
        if not self.pid:
            self.start_zsh()
        seen = self.ask(line + "\x04\x15")
        rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "\n").replace("\a", "").replace("PROMPT", " ").split("\n")
        words = {word for row in rows for word in row.split(" -- ")[0].split()}
        return words - set(line.split()) - set(self.MARK.split())

    MARK = "echo MA''RK MARK"  # broken in the input, so that its echo is not the mark

    def ask(self, text):
        """Type @text; what the terminal shows until that is done."""
        os.write(self.fd, text.encode() + b"echo MA''RK\n")
        seen, end = b"", time.monotonic() + ZSH_SECONDS
        while b"PROMPT" not in seen.partition(b"MARK")[2]:  # only then zle has the terminal
            assert select.select([self.fd], [], [], max(0, end - time.monotonic()))[0], seen
            seen += os.read(self.fd, 65536)
        return seen.decode(errors="replace")

    def close(self):
        if self.pid:
            os.close(self.fd)
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


@pytest.fixture(params=SHELLS)
def shell(request, cli, build_dir, tmp_path):
    need(request.param)
    shell = Shell(request.param, cli, build_dir, tmp_path)
    yield shell
    shell.close()


def tree_of(cli, aliases=True):
    """[(path, [options])] of msb --tree."""
    found, path = [("msb", [])], ["msb"]
    for line in cli.ok("--tree").splitlines()[1:]:
        depth, text = len(re.match(r"[│├└─ ]*", line)[0]) // 4, re.sub(r"^[│├└─ ]*", "", line)
        text = text.split("  ")[0]  # what follows are words for people
        if text.startswith("-"):
            found[-1][1].extend(re.findall(r"(?<![\w-])--[a-z0-9-]+", text))
        else:
            names = re.match(r"(\S+)(?: \(([^)]*)\))?", text)
            path = path[:depth] + [names[1]]
            if aliases:
                found.extend((" ".join(path[:-1] + [alias]), []) for alias in (names[2] or "").split())
            found.append((" ".join(path), []))
    return found


def test_every_command_and_option_is_offered(shell, cli):
    tree = tree_of(cli)
    assert ("msb image rm", []) in tree and "--memory" in dict(tree)["msb run"] and len(tree) > 12
    for path, options in tree:
        below = {p.split()[-1] for p, _ in tree if p.rpartition(" ")[0] == path}
        if below:
            assert below <= shell.offers(path + " "), path
        if options:
            assert set(options) | {"--help", "--debug"} <= shell.offers(path + " --"), path
    assert not {"rmi", "launch"} & shell.offers("msb ") and "--times" not in shell.offers("msb run --")
    assert "--secret-violation-action" not in shell.offers("msb run --")


@pytest.mark.parametrize("line, offers", [
    ("msb run --engine ", {"auto", "kvm", "qemu"}),
    ("msb run -q --engine k", {"kvm"}),
    ("msb run --pull ", {"if-missing", "always", "never"}),
    ("msb completion ", {"bash", "zsh", "fish"}),
    ("msb image rm --f", {"--force"}),
])
def test_choices(shell, line, offers):
    found = shell.offers(line)
    if shell.name == "zsh" and len(offers) == 1:  # one match is not listed but typed
        assert found <= offers
    else:
        assert found == offers


def test_images_are_offered_and_files_where_paths_go(shell, cli, busybox_image):
    for tag in ("a", "b"):
        cli.ok("load", "-q", "-i", busybox_image, "-t", f"test/busybox:{tag}")
        (shell.folder / f"archive-{tag}.tar").touch()
    images = {"docker.io/test/busybox:a", "docker.io/test/busybox:b"}
    files = {"archive-a.tar", "archive-b.tar"}
    for line in ("msb run ", "msb run -m 1G ", "msb image inspect ", "msb rmi "):
        assert images <= shell.offers(line), line
    assert files <= shell.offers("msb run --conf arch") & shell.offers("msb create --script-conf arch")
    assert files <= shell.offers("msb load -i arch") and files <= shell.offers("msb load -q --input arch")
    assert not files & shell.offers("msb run -w arch")
    for line in ("msb run alpine -- ", "msb run alpine ls --"):
        assert not (images | {"--engine", "--input"}) & shell.offers(line), line
    assert not images & shell.offers("msb load ")  # zsh offers the options where no word fits


def test_sandboxes_are_offered_where_their_names_go(shell, cli, busybox_image):
    cli.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    names = {"first.box", "second_box"}
    for name in names:
        cli.ok("create", "-q", "--no-start", "-n", name, "test/busybox:1")
    for line in ("msb stop ", "msb rm -f ", "msb exec ", "msb logs -f ", "msb ps ", "msb mod "):
        assert names <= shell.offers(line), line
    assert shell.offers("msb shell fi") == {"first.box"}
    for line in ("msb exec first.box -- ", "msb uninstall ", "msb run "):
        assert not names & shell.offers(line), line


@pytest.mark.parametrize("line, offers", [
    ("msb run --engine=q", {"qemu"}),
    ("msb run docker.io/test/busybox:", {"a"}),
    ("msb run -qtm 1G docker.io/test/busybox:", {"a"}),
    ("msb run -qm1G docker.io/test/busybox:", {"a"}),
    ("msb run -qm ", set()),
])
def test_bash_breaks_words_at_colons_we_do_not(cli, build_dir, tmp_path, busybox_image, line, offers):
    cli.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:a")
    assert Shell("bash", cli, build_dir, tmp_path).offers(line) == offers


def pages(build_dir):
    return sorted((build_dir / "src/cli/manual").glob("*.1"))


def test_every_command_has_a_page_with_its_options(build_dir, cli):
    tree = {path.replace(" ", "-") + ".1": options for path, options in tree_of(cli, aliases=False)}
    assert {p.name for p in pages(build_dir)} == set(tree)
    for page in pages(build_dir):
        text = page.read_text().replace("\\-", "-")
        for option in tree[page.name] + ["--help"]:
            assert f"\\fB{option}\\fR" in text, (page.name, option)


@pytest.mark.parametrize("command", [["mandoc", "-Tlint", "-W", "warning"], ["groff", "-man", "-ww", "-Tutf8", "-z"]],
                         ids=lambda c: c[0])
def test_the_manual_is_well_formed(build_dir, command):
    need(command[0])
    assert pages(build_dir)
    for page in pages(build_dir):
        r = subprocess.run([*command, page], capture_output=True, text=True)
        assert (r.returncode, r.stdout, r.stderr) == (0, "", ""), page


def test_install_puts_them_where_shells_and_man_look(build_dir, tmp_path):
    need("meson")
    plan = subprocess.run(["meson", "introspect", "--install-plan", build_dir], capture_output=True, text=True,
                          check=True).stdout
    for place in ("bash-completion/completions/msb", "zsh/site-functions/_msb", "fish/vendor_completions.d/msb.fish",
                  "man1/msb-run.1"):
        assert place in plan, place
