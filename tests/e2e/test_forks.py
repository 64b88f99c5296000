"""Many forks of one snapshot at once. tests/bench/forks.py is the same with 100."""
import json
import threading

import pytest

from lib.cli import Cli

FORKS = 20
AT_ONCE = 10  # what two processors start within the boot's time limit


@pytest.fixture(scope="module")
def cli(build_dir, busybox_image, tmp_path_factory):
    c = Cli(build_dir, tmp_path_factory.mktemp("forks") / "home")
    c.ok("create", "-q", "--name", "base", "-m", "96", str(busybox_image))
    c.sum = c.ok("exec", "-q", "base", "--", "sh", "-c", "dd if=/dev/urandom of=/data bs=1M count=16 2>/dev/null; "
                 "mkdir /d; for i in $(seq 50); do echo $i >/d/$i; done; cat /data /d/* | md5sum").split()[0]
    c.ok("stop", "-q", "base")
    c.ok("snapshot", "create", "-q", "s", "--from", "base")
    yield c
    names = [s["name"] for s in json.loads(c.ok("ls", "--format", "json"))]
    c.ok("rm", "-q", "-f", *names)
    c.ok("snapshot", "rm", "-q", "s")
    assert not any((c.home / "disks").iterdir())


@pytest.fixture
def forks(cli):
    """Their names; they go with the test."""
    yield [f"f{i}" for i in range(FORKS)]
    names = [s["name"] for s in json.loads(cli.ok("ls", "--format", "json")) if s["name"] != "base"]
    cli.ok("rm", "-q", "-f", *names)


def each(fn, n):
    """fn(0) to fn(n - 1), AT_ONCE at a time; all must succeed."""
    wrong, gate = [], threading.Semaphore(AT_ONCE)

    def one(i):
        with gate:
            try:
                fn(i)
            except BaseException as e:  # noqa: B036 - told below, of any kind
                wrong.append((i, e))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]


def test_all_run_at_once_and_differ_only_where_they_wrote(cli, forks):
    def start(i):
        cli.ok("create", "-q", "--name", f"f{i}", "-m", "64", "--boot-timeout", "5m", "--from-snapshot", "s",
               timeout=400)

    def write(i):
        cli.ok("exec", "-q", f"f{i}", "--", "sh", "-c", f"echo {i} >/mine; echo {i} >/d/{i + 1}; sync", timeout=200)

    def check(i):
        got = cli.ok("exec", "-q", f"f{i}", "--", "sh", "-c", f"cat /mine /d/{i + 1}; echo {i + 1} >/d/{i + 1}; "
                     "rm /mine; cat /data /d/* | md5sum; ls / | md5sum", timeout=200).split()
        assert got[:3] == [str(i), str(i), cli.sum], got
        return got[4]

    each(start, FORKS)
    running = [s["name"] for s in json.loads(cli.ok("ps", "--format", "json"))]
    assert sorted(running) == sorted(forks)
    each(write, FORKS)  # all are there while each writes
    each(check, FORKS)
    layers = set()
    for p in (cli.home / "sandboxes").glob("*/disk.json"):
        layers.add(tuple(json.loads(p.read_text())["layers"]))
    assert len(layers) == 1  # one file below them all
    used = sum(f.stat().st_blocks * 512 for f in (cli.home / "sandboxes").glob("*/upper-*.qcow2"))
    assert used < (FORKS + 1) * (4 << 20)
