"""A shell in a real terminal emulator (tmux, with a server of its own)."""
import os
import re
import subprocess
import time

PROMPT = "HOST$ "


class Screen:
    def __init__(self, cli, folder, columns=100, rows=30):
        self.socket = str(folder / "tmux")
        env = dict(cli.environment(None), PATH=f"{os.path.dirname(cli.msb)}:{os.environ['PATH']}")
        subprocess.run(["tmux", "-f", "/dev/null", "-S", self.socket, "new-session", "-d", "-x", str(columns), "-y",
                        str(rows), "bash", "--norc", "--noprofile", "--noediting"], env=env, check=True, timeout=20)
        self.tmux("set", "-g", "status", "off")
        self.tmux("set", "-g", "escape-time", "0")
        self.type(f"PS1='{PROMPT}'; clear")
        self.expect(f"^{re.escape(PROMPT.strip())}")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, *args], stdout=subprocess.PIPE, encoding="utf-8",
                              check=True, timeout=20).stdout

    def text(self, colours=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def type(self, line):
        """A line, with Enter."""
        self.tmux("send-keys", "-l", line)
        self.key("Enter")

    def key(self, *names):
        self.tmux("send-keys", *names)

    def expect(self, pattern, seconds=40):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text(), re.M):
            assert time.monotonic() < end, (pattern, self.text())
            time.sleep(0.05)
        return self.text()

    def clear(self):
        """And wait: what is typed meanwhile would be wiped off, too."""
        self.type("clear")
        self.expect(rf"\A{re.escape(PROMPT.strip())}\s*\Z")

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def ask(self, what):
        return self.tmux("display-message", "-p", what).strip()

    def pid(self):
        """Of the shell."""
        return int(self.ask("#{pane_pid}"))

    def is_canonical(self):
        """As a program finds a terminal, not raw. From outside, so that no shell changes it first."""
        out = subprocess.run(["stty", "-a", "-F", self.ask("#{pane_tty}")], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.split()
        return not {"-icanon", "-isig", "-opost"} & {w.strip(";") for w in out}

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], stderr=subprocess.DEVNULL, timeout=20)
