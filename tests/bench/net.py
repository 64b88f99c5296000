"""The network against its peers, in one run: passt (pasta) and slirp4netns from Debian, a veth pair as the limit.

The guest's side is a network namespace in each case (tests/net/netns.py), so that only what is between it and the
host's sockets differs; the server listens on the host's loopback, which every stack reaches by its gateway's
address. All stacks take turns, round by round; values are medians. Of ours the guest's kernel leaves checksums and
segmentation to the other side, as a virtio device does; the TAPs of the peers cannot (they do not offer it).
"""
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/net"))

import netns  # noqa: E402

PORT, IPERF = 7000, 5201
SECONDS = 2
CELLS = [("g2h1", "guest to host, 1 flow"), ("g2h8", "guest to host, 8 flows"), ("h2g1", "host to guest, 1 flow"),
         ("h2g8", "host to guest, 8 flows"), ("cps1", "connections/s, 1 open"), ("cps32", "connections/s, 32 open"),
         ("p50", "ping-pong p50 (us)"), ("p99", "ping-pong p99 (us)")]


def cpu_of(pids):
    return sum(sum(map(int, pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
               for p in pids) / 100


class Stack:
    """What lies between guest and host. address: where the guest finds the host's loopback."""

    why_not = None

    def __init__(self, build, spaces):
        self.build, self.spaces = build, spaces

    def pids(self):
        return []

    def run(self, *words, timeout=60):
        r = self.spaces.run(self.spaces.guest, *words, timeout=timeout, text=True)
        if r.returncode:
            raise RuntimeError(f"{self.name}: {words}: {r.stderr[-300:]}")
        return r.stdout


class Ours(Stack):
    name, address = "microsandbox", netns.GATEWAY4

    def __enter__(self):
        netns.NETTAP = self.build / "tests/net/nettap"
        self.stack = netns.Stack(self.spaces, "--profile", "all", "--max-connections", 10000)
        self.stack.__enter__()
        return self

    def __exit__(self, *args):
        self.stack.__exit__(*args)

    def pids(self):
        return [self.stack.pid()]


class Program(Stack):
    """A peer that makes the guest's interface itself."""

    def __enter__(self):
        path = f"/run/netns/{self.spaces.guest}"
        self.p = self.spaces.start(self.spaces.host, *[w.format(ns=path) for w in self.words])
        netns.wait_until(lambda: "tap0" in self.spaces.run(self.spaces.guest, "ip", "-4", "addr", text=True).stdout,
                         10, f"{self.name} does not start")
        self.spaces.run(self.spaces.guest, "ip", "link", "set", "tap0", "txqueuelen", "10000")
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        subprocess.run(["ip", "-n", self.spaces.guest, "link", "del", "tap0"], stderr=subprocess.DEVNULL)

    def pids(self):
        return [self.p.pid]


class Pasta(Program):
    name, address = "pasta", netns.WORLD4
    words = ("pasta -f -q --config-net -I tap0 -t none -u none -T none -U none --mtu 1500 --runas 0 --netns-only "
             "--netns {ns}").split()


class Slirp(Program):
    name, address = "slirp4netns", "10.0.2.2"
    words = "slirp4netns --configure --mtu=1500 --netns-type=path {ns} tap0".split()


class Veth(Stack):
    name, address = "veth", "10.98.0.1"

    def __enter__(self):
        s = self.spaces
        netns.ip("-n", s.host, "link", "add", "g0", "type", "veth", "peer", "name", "tap0", "netns", s.guest)
        netns.ip("-n", s.host, "addr", "add", "10.98.0.1/24", "dev", "g0")
        netns.ip("-n", s.guest, "addr", "add", "10.98.0.2/24", "dev", "tap0")
        netns.ip("-n", s.host, "link", "set", "g0", "up")
        netns.ip("-n", s.guest, "link", "set", "tap0", "up")
        return self

    def __exit__(self, *_):
        netns.ip("-n", self.spaces.host, "link", "del", "g0")


STACKS = [Ours, Veth, Pasta, Slirp]


def iperf(stack, flows, back):
    """Gbit/s and processor seconds of the stack for each GB."""
    before = cpu_of(stack.pids())
    out = json.loads(stack.run("iperf3", "-J", "-c", stack.address, "-p", IPERF, "-t", SECONDS, "-P", flows,
                               *(["-R"] if back else [])))
    used = cpu_of(stack.pids()) - before
    got = out["end"]["sum_received"]
    return got["bits_per_second"] / 1e9, used / (got["bytes"] / 1e9)


def one_round(stack, load):
    values = {}
    for way, back in (("g2h", False), ("h2g", True)):
        for flows in (1, 8):
            values[f"{way}{flows}"], values[f"cpu {way}{flows}"] = iperf(stack, flows, back)
    for n in (1, 32):
        r = json.loads(stack.run(load, "cps", stack.address, PORT, n, SECONDS))
        values[f"cps{n}"] = r["done"] / r["seconds"]
    r = json.loads(stack.run(load, "pingpong", stack.address, PORT, SECONDS))
    values["p50"], values["p99"] = r["p50_us"], r["p99_us"]
    return values


def medians(rounds):
    return {k: statistics.median(r[k] for r in rounds) for k in rounds[0]}


def held(build, spaces, load):
    """Bytes that an idle flow costs, and what 10,000 open ones do."""
    with Ours(build, spaces) as ours:
        before = ours.stack.rss()
        stay = []
        sizes = {}
        for n, upto in ((1000, 1000), (8900, 9900)):
            p = spaces.start(spaces.guest, load, "hold", ours.address, PORT, n, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
            p.stdout.readline()
            stay.append(p)
            sizes[upto] = ours.stack.rss() - before
        for p in stay:
            p.stdin.close()
            p.wait()
        r = json.loads(ours.run(load, "count", ours.address, PORT, 32, 20000, timeout=120))
        return sizes, r


def bench(build, rounds=6, say=print):
    """{stack: medians}, {flows: bytes}, the short connections' count."""
    reason = netns.why_not()
    if reason:
        say(f"network: not measured: {reason}")
        return None
    load = build / "tests/bench/bench_netload"
    got = {c.name: [] for c in STACKS if c is Ours or c is Veth or shutil.which(c.words[0])}
    spaces = netns.Namespaces("bench").up()
    try:
        spaces.start(spaces.host, load, "serve", PORT)
        spaces.start(spaces.host, "iperf3", "-s", "-p", IPERF)
        spaces.listening(spaces.host, PORT)
        spaces.listening(spaces.host, IPERF)
        for i in range(rounds):
            for kind in STACKS[i % 2 * 3::1 - i % 2 * 2]:
                if kind.name not in got:
                    continue
                with kind(build, spaces) as stack:
                    got[kind.name].append(one_round(stack, load))
            say(f"network: round {i + 1} of {rounds}")
        sizes, short = held(build, spaces, load)
    finally:
        spaces.down()
    return {name: medians(r) for name, r in got.items()}, sizes, short


def add_rows(table, build, rounds=6):
    """Into the table of run.py."""
    got = bench(build, rounds)
    if not got:
        return
    values, sizes, short = got
    ours, veth, pasta = values["microsandbox"], values["veth"], values.get("pasta")
    for key, title in CELLS:
        for name, v in values.items():
            if name == "microsandbox":
                continue
            ratio = ours[key] / v[key]
            met, goal = None, None
            if name == "veth" and key in ("g2h1", "h2g1", "g2h8", "h2g8"):
                goal, met = "at least 0.7 of veth", ratio >= 0.7
            if name == "veth" and key == "cps32":
                goal, met = "at least 0.5 of veth", ratio >= 0.5
            if name == "pasta" and key == "cps32":
                goal, met = "at least 1.2 of passt", ratio >= 1.2
            if name == "veth" and key == "p99":
                goal, met = "at most 2 x veth", ratio <= 2
            table.add(f"net: {title}", ours[key], "", goal, f"{name} {v[key]:.4g}", ratio, met)
    for key in ("g2h1", "g2h8", "h2g1", "h2g8"):
        cpu = ours[f"cpu {key}"]
        table.add(f"net: CPU s/GB, {key}", cpu, "s", "at most 0.4", f"pasta {pasta[f'cpu {key}']:.3g}" if pasta else None,
                  None, cpu <= 0.4)
    for n, size in sizes.items():
        table.add(f"net: memory of {n} idle flows, each", size / n, "B", "at most 1024", None, None, size / n <= 1024)
    table.add("net: short connections, server closes first", short["done"], "", "all of 20,000", None, None,
              short["done"] == 20000 and not short["failed"])


class Lines:
    """A table for running this alone."""

    def add(self, name, value, unit, goal=None, peer=None, ratio=None, met=None):
        word = {None: "", True: "met", False: "NOT MET"}[met]
        print(f"{name:<46} {value:>9.4g} {unit:<3} {'' if ratio is None else f'{ratio:6.2f}x'} {word:<8} "
              f"{goal or '':<24} {peer or ''}")


if __name__ == "__main__":
    add_rows(Lines(), pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else TOP / "build").resolve(),
             int(sys.argv[2]) if len(sys.argv) > 2 else 6)
