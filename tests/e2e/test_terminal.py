"""What a person sees: msb in a real terminal emulator (tmux)."""
import os
import re
import signal
import time

import pytest

from conftest import need
from lib.cli import Cli, descendants, is_gone, wait_until
from lib.tmux import Screen

IMAGE = "test/busybox:1"
BOX = "box"


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("term") / "home")
    c.ok("load", "-q", "-i", busybox_image, "-t", IMAGE)
    yield c
    c("rm", "-q", "-f", *c.ok("ls", "-q").split())  # of tests that failed


@pytest.fixture(scope="module")
def box(cli):
    cli.ok("create", "-q", "-n", BOX, IMAGE)
    yield BOX
    cli.ok("rm", "-q", "-f", BOX)


def mode(settings):
    """All but the size, which resizing changes."""
    return re.sub(r"rows \d+; columns \d+;", "", settings)


@pytest.fixture
def new_screen(cli, tmp_path):
    """A function that opens one; all are closed at the end."""
    need("tmux")
    opened = []

    def new():
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        opened.append(Screen(cli, folder, shell=("dash",)))
        opened[-1].before = mode(opened[-1].settings())
        return opened[-1]
    yield new
    for s in opened:
        s.close()
    wait_until(lambda: all(is_gone(s.shell) for s in opened), 10, "a shell lives on")


@pytest.fixture
def screen(new_screen):
    return new_screen()


def is_restored(screen):
    return mode(screen.settings()) == screen.before


def is_raw(screen):
    return "-icanon" in screen.settings() and "-isig" in screen.settings()


def msb_below(screen):
    """The msb that the shell runs."""
    return [p for p in descendants(screen.pid())
            if not is_gone(p) and open(f"/proc/{p}/comm").read().strip() == "msb"][0]


def open_shell(screen, box, *options):
    screen.type(f"msb exec {' '.join(options)} {box}")
    screen.expect(r"^/ # ")
    assert is_raw(screen)


def end_shell(screen, code=0):
    screen.type(f"exit {code}")
    back_in_our_shell(screen, code)


def back_in_our_shell(screen, code):
    """Nothing is typed before: it would be the command's."""
    wait_until(lambda: is_restored(screen), 40, "still raw")
    screen.type("echo code=$?")
    screen.expect(f"^(HOST[$] )?code={code}$")  # what was typed early has no prompt before it
    assert is_restored(screen)


# -- a shell in a sandbox -------------------------------------------------------------

def test_colours_keys_and_size(screen, box):
    open_shell(screen, box)
    screen.type("stty size; echo $TERM; tty")
    screen.expect("^30 100$")
    screen.expect("^xterm-256color$|^tmux-256color$|^screen")
    screen.expect("^/dev/pts/0$")
    screen.type(r"printf '\033[31mred\033[0m \033[1;44mblue\033[0m\n'")
    screen.expect("^red blue$")
    seen = screen.text(colours=True)
    assert "\x1b[31mred" in seen and re.search(r"\x1b\[1;?m?\x1b?\[?44mblue|\x1b\[1;44mblue|44mblue", seen)
    screen.type("echo ABC")  # line editing is the guest's
    screen.expect("^ABC$")
    screen.key("Up")
    screen.key("BSpace")
    screen.type("D")
    screen.expect("^ABD$")
    end_shell(screen, 3)


def test_the_size_follows_ours(screen, box):
    open_shell(screen, box)
    screen.type("trap 'echo changed' WINCH; stty size")
    screen.expect("^30 100$")
    for columns, rows in ((132, 50), (60, 20)):
        screen.resize(columns, rows)
        screen.clear()
        screen.type(f"until stty size | grep '{rows}.{columns}'; do sleep 0.1; done")
        screen.expect(f"^{rows} {columns}$")
    end_shell(screen)


def test_ctrl_c_reaches_the_command(screen, box):
    open_shell(screen, box)
    screen.type("echo go''ing; sleep 500")
    screen.expect("^going$")
    time.sleep(0.5)
    screen.key("C-c")
    screen.type("echo rc=$?")
    screen.expect("^rc=130$")
    end_shell(screen)


def test_ctrl_z_and_ctrl_d_are_the_guests(screen, box):
    open_shell(screen, box)
    screen.type("echo go''ing; sleep 500")
    screen.expect("^going$")
    time.sleep(0.5)
    screen.key("C-z")
    screen.expect("Stopped")
    screen.type("kill %1; wait; echo rest=$?")
    screen.expect("^rest=")
    screen.key("C-d")
    wait_until(lambda: is_restored(screen) or "stopped jobs" in screen.text(), 40, "it does not end")
    if not is_restored(screen):
        screen.key("C-d")  # busybox asks once about stopped jobs
    back_in_our_shell(screen, 0)


def test_a_stopped_msb_gives_the_terminal_back(screen, box):
    open_shell(screen, box)
    screen.type("marker=still")
    os.kill(msb_below(screen), signal.SIGTSTP)
    wait_until(lambda: is_restored(screen), 30, "still raw")
    screen.type("fg")
    wait_until(lambda: is_raw(screen), 30, "not raw again")
    screen.type("echo $marker $((40 + 2))")
    screen.expect("^still 42$")
    end_shell(screen)


# -- letting go and coming back -------------------------------------------------------------

def detach(screen, *keys):
    screen.key(*(keys or ("C-]",)))
    screen.expect("^detached; msb attach")
    wait_until(lambda: is_restored(screen), 30, "still raw")
    return re.search(r"^detached; (msb attach.*) takes it back", screen.text(), re.M).group(1)


def test_exec_lets_go_and_attach_comes_back_to_the_same_shell(screen, box):
    open_shell(screen, box)
    screen.type("marker=same; echo pid=$$")
    pid = re.search(r"^pid=(\d+)$", screen.expect(r"^pid=\d+$"), re.M).group(1)
    for _ in range(3):
        command = detach(screen)
        assert "--session" in command and box in command
        screen.clear()
        screen.type(command)
        wait_until(lambda: is_raw(screen), 30, "not raw")
        screen.type("echo $marker pid=$$")
        screen.expect(f"^same pid={pid}$")
    screen.resize(90, 25)
    command = detach(screen)
    screen.resize(77, 22)
    screen.clear()
    screen.type(command)
    wait_until(lambda: is_raw(screen), 30, "not raw")
    screen.type("stty size")  # as large as the terminal is now
    screen.expect("^22 77$")
    end_shell(screen, 4)


def test_a_program_that_fills_the_screen_draws_when_it_is_attached_to(screen, cli, box):
    number = cli.ok("exec", "-d", "-t", box, "--", "sh", "-c",
                    "trap 'echo drawn anew' WINCH; touch /hears; while :; do sleep 0.2; done").strip()
    wait_until(lambda: cli("exec", box, "--", "test", "-e", "/hears").returncode == 0, 20, "it does not begin")
    screen.type(f"msb attach --session {number} {box}")
    screen.expect("^drawn anew")
    screen.key("C-c")
    back_in_our_shell(screen, 130)


def test_what_has_no_input_is_attached_to_and_let_go(screen, cli, box):
    number = cli.ok("exec", "-d", box, "--", "sh", "-c", "while :; do echo tick; sleep 0.2; done").strip()
    screen.type(f"msb attach --session {number} {box}")
    screen.expect("^tick$(.|\n)*^tick$")
    screen.type("typed for nobody")
    time.sleep(0.5)
    screen.key("C-c")
    screen.expect("^detached; msb attach")
    assert "tick" in cli.ok("exec", box, "--", "ps")


def test_what_is_written_meanwhile_is_not_waited_for(screen, box):
    open_shell(screen, box)
    screen.type("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo line $i; done; echo finish=$i")
    screen.expect("^line ")
    command = detach(screen)
    screen.clear()
    screen.type(command)
    screen.expect("^finish=30000$", 600)
    end_shell(screen)


def test_other_keys(screen, box):
    open_shell(screen, box, "--detach-keys", "ctrl-p,ctrl-q")
    screen.type("echo one")
    screen.expect("^one$")
    screen.key("C-p")  # held back, then passed on: the line editor's "up"
    screen.key("Enter")
    screen.expect("^one$(.|\n)*^one$")
    screen.key("C-]")
    screen.type("")
    screen.type("echo here=$((1 + 1))")
    screen.expect("here=2")
    command = detach(screen, "C-p", "C-q")
    screen.clear()
    screen.type(command + " --detach-keys ''")
    wait_until(lambda: is_raw(screen), 30, "not raw")
    screen.key("C-c")
    screen.type("echo again=$((1 + 2))")
    screen.expect("again=3")
    end_shell(screen)


def test_run_lets_go_of_its_machine(screen, cli):
    screen.type(f"msb run -n held {IMAGE} -- sh")
    screen.expect("^/ # ")
    screen.type("marker=kept; echo $$ > /shell-pid")
    assert detach(screen) == "msb attach held"
    assert "Running" in cli.ok("ps", "held")
    wait_until(lambda: cli("exec", "held", "--", "test", "-s", "/shell-pid").returncode == 0, 60, "it was not written")
    assert cli.ok("exec", "held", "--", "sh", "-c", "kill -0 $(cat /shell-pid) && echo runs") == "runs\n"
    screen.clear()
    screen.type("msb attach held")
    wait_until(lambda: is_raw(screen), 30, "not raw")
    screen.type("echo marker=$marker")
    screen.expect("^marker=kept$")
    end_shell(screen, 9)
    wait_until(lambda: "Stopped" in cli.ok("ps", "-a", "held"), 20, "still runs")
    cli.ok("rm", "-q", "held")


def test_keys_typed_while_it_boots(screen, cli):
    screen.type(f"msb run -n early {IMAGE} -- sh")
    wait_until(lambda: is_raw(screen), 20, "not raw")
    assert detach(screen) == "msb attach early"
    assert "Running" in cli.ok("ps", "early")
    cli.ok("rm", "-q", "-f", "early")


def test_a_terminal_that_goes_away(cli, box, new_screen):
    """The shell of exec ends with its terminal; what was attached to is let go of."""
    s = new_screen()
    open_shell(s, box)
    s.type("exec sleep 4321")
    time.sleep(0.3)
    s.close()
    wait_until(lambda: "4321" not in cli.ok("exec", box, "--", "ps"), 20, "it lives on")
    number = cli.ok("exec", "-d", "-t", box, "--", "sh").strip()
    s = new_screen()
    s.type(f"msb attach --session {number} {box}")
    wait_until(lambda: is_raw(s), 30, "not raw")
    s.type("marker=1234; echo se''t")
    s.expect("^set$")
    msb = msb_below(s)
    s.close()
    wait_until(lambda: is_gone(msb), 20, "it does not let go")
    s = new_screen()
    s.type(f"msb attach --session {number} {box}")
    wait_until(lambda: is_raw(s), 30, "not raw")
    s.type("echo marker=$marker")
    s.expect("^marker=1234$")
    s.type("exit")
    wait_until(lambda: is_restored(s), 30, "still raw")


# -- the terminal comes back whatever happens ---------------------------------------------------

def test_killing_msb_vmm_restores_the_terminal(screen, cli):
    screen.type(f"msb run {IMAGE} -- sh")
    screen.expect("^/ # ")
    vmm = [p for p in descendants(msb_below(screen)) if open(f"/proc/{p}/comm").read().strip() == "msb-vmm"]
    os.kill(vmm[0], signal.SIGKILL)
    screen.expect("^error: ")
    back_in_our_shell(screen, 125)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGSEGV"])
def test_the_end_of_msb_restores_the_terminal(screen, box, name):
    open_shell(screen, box)
    os.kill(msb_below(screen), getattr(signal, name))
    wait_until(lambda: is_restored(screen), 30, "still raw")
    screen.type("echo usable")
    screen.expect("^usable$")
