"""A shell in a real terminal emulator (tmux, with a server of its own)."""
import os
import re
import subprocess
import time

from .cli import wait_until

PROMPT = "HOST$ "  # of the shell around msb


class Screen:
    """`shell`: of bash it is known that it has jobs, of dash that it leaves the terminal's settings alone."""

    def __init__(self, cli, folder, columns=100, rows=30, shell=("bash", "--norc", "--noprofile", "--noediting")):
        self.socket = str(folder / "tmux")
        env = dict(cli.environment(None), PATH=f"{os.path.dirname(cli.msb)}:{os.environ['PATH']}", ENV="",
                   TERM="xterm-256color")
        subprocess.run(["tmux", "-f", "/dev/null", "-S", self.socket, "new-session", "-d", "-x", str(columns), "-y",
                        str(rows), *shell], env=env, check=True, timeout=20)
        self.tmux("set", "-g", "status", "off")
        self.tmux("set", "-g", "escape-time", "0")
        self.columns, self.rows = columns, rows
        self.shell = self.pid()
        self.type(f"PS1='{PROMPT}'; clear")
        self.expect(f"^{re.escape(PROMPT.strip())}")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, *args], stdout=subprocess.PIPE, encoding="utf-8",
                              check=True, timeout=20).stdout

    def text(self, colours=False):
        return self.tmux("capture-pane", "-p", "-J", *(["-e"] if colours else []))

    def type(self, line):
        """A line, with Enter."""
        self.tmux("send-keys", "-l", line)
        self.key("Enter")

    def key(self, *names):
        self.tmux("send-keys", *names)

    def expect(self, pattern, seconds=90):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text(), re.M):
            assert time.monotonic() < end, (pattern, self.text())
            time.sleep(0.05)
        return self.text()

    def clear(self):
        """In a shell that waits for a command, ours or the guest's. What was typed before it is done would go, too."""
        self.type("clear; echo clean")
        self.expect("\\A(.*# )?clean$")

    def resize(self, columns, rows):
        """tmux tells the terminal a moment later."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))
        wait_until(lambda: f"rows {rows}; columns {columns};" in self.settings(), 10, "the size stays")

    def ask(self, what):
        return self.tmux("display-message", "-p", what).strip()

    def pid(self):
        """Of the shell."""
        return int(self.ask("#{pane_pid}"))

    def settings(self):
        """Of the terminal, as stty says them; from outside, so that no shell changes them first."""
        return subprocess.run(["stty", "-a", "-F", self.ask("#{pane_tty}")], stdout=subprocess.PIPE, text=True,
                              check=True).stdout

    def is_canonical(self):
        """As a program finds a terminal, not raw."""
        return not {"-icanon", "-isig", "-opost"} & {w.strip(";") for w in self.settings().split()}

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], stderr=subprocess.DEVNULL, timeout=20)
