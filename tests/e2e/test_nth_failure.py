"""The n-th allocation, open, write, sync, rename or thread fails, for each n:
msb pull and msb load end with an error or do the work all the same, and what
they leave in the store is whole."""

import json
import os
import pathlib
import random
import shutil
import subprocess

import pytest

from lib.cli import Cli
from lib.registry import FakeRegistry, Image, assert_store_clean

TOP = pathlib.Path(__file__).parents[2]
BUILD = os.environ.get("MSB_TEST_BUILD", str(TOP / "build"))
CALLS = ["malloc", "openat", "write", "fsync", "rename", "mkdirat", "thread"]
MOST = 60  # of the n of one call; of more, a sample


@pytest.fixture(scope="session")
def preload(tmp_path_factory):
    so = tmp_path_factory.mktemp("nth") / "nth.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", so,
                    TOP / "tests/e2e/lib/nth.c", "-ldl"], check=True)
    symbols = subprocess.run(["nm", f"{BUILD}/msb"], capture_output=True,
                             text=True).stdout
    if "__asan_init" in symbols:
        pytest.skip("a sanitizer's malloc cannot be replaced")
    return str(so)


def numbers(total):
    if total <= MOST:
        return range(1, total + 1)
    return sorted({*range(1, 10), *random.Random(total).sample(
        range(10, total + 1), MOST - 9)})


def run_all(tmp_path, preload, call, words):
    home = tmp_path / "home"
    msb = Cli(BUILD, home, MSB_REGISTRY_TIMEOUT="2s",
              DOCKER_CONFIG=str(tmp_path))
    counter = tmp_path / "count"
    env = {"LD_PRELOAD": preload, "NTH_CALL": call, "NTH_COUNT": str(counter)}
    assert msb(*words, env=env).returncode == 0
    total = int(counter.read_text())
    failed = 0
    for n in numbers(total):
        shutil.rmtree(home)
        r = msb(*words, env={**env, "NTH_N": str(n)}, timeout=60)
        where = f"{call} number {n} of {total}: {r.returncode} {r.err}"
        assert 0 <= r.returncode < 128, where
        failed += r.returncode != 0
        assert r.returncode == 0 or r.err or call == "malloc", where
        # What could not be swept then is swept by the next command.
        again = msb("image", "ls")
        assert again.returncode == 0, (where, again.err)
        images = 1
        if r.returncode:
            # The last steps come after the name is there: it may be, then.
            images = len(again.out.splitlines()) - 1
            assert images in (-1, 0, 1), again.out
            images = max(images, 0)
        # What is whole but has no name is for prune.
        assert msb("image", "prune", "-y").returncode == 0, where
        assert_store_clean(home, images=images)
    return total, failed


@pytest.mark.parametrize("call", CALLS)
def test_load(tmp_path, preload, call):
    Image([{"a": b"1"}, {"b": os.urandom(3000)}]).write_layout(
        tmp_path / "lay", "localhost/x:1")
    total, failed = run_all(tmp_path, preload, call,
                            ["load", "-q", "-i", tmp_path / "lay"])
    assert total and (failed or call == "thread")


@pytest.mark.parametrize("call", CALLS)
def test_pull(tmp_path, preload, call):
    with FakeRegistry() as fake:
        fake.add("app", "v1", [{"a": b"1"}, {"b": os.urandom(3000)}])
        total, failed = run_all(tmp_path, preload, call,
                                ["pull", "-q", fake.ref("app")])
    assert total and (failed or call == "thread")


def each_failure(msb, preload, call, counter, words):
    """Run @words once for each n: yields what came out, and where."""
    env = {"LD_PRELOAD": preload, "NTH_CALL": call}
    r = msb(*words, env={**env, "NTH_COUNT": str(counter)})
    assert r.returncode == 0, r.err
    total = int(counter.read_text())
    yield r, "whole"
    for n in numbers(total):
        r = msb(*words, env={**env, "NTH_N": str(n)}, timeout=60)
        where = f"{call} number {n} of {total}: {r.returncode} {r.err}"
        assert 0 <= r.returncode < 128, where
        assert r.returncode == 0 or r.err or call == "malloc", where
        yield r, where


@pytest.fixture
def prepared(tmp_path):
    """msb with an image of two layers."""
    Image([{"a": b"1"}, {"b": os.urandom(3000)}]).write_layout(tmp_path / "lay", "localhost/x:1")
    msb = Cli(BUILD, tmp_path / "home")
    msb.ok("load", "-q", "-i", tmp_path / "lay")
    return msb


@pytest.mark.parametrize("call", [c for c in CALLS if c != "thread"])
def test_save(tmp_path, prepared, preload, call):
    out = tmp_path / "out"
    out.mkdir()
    whole = None
    for r, where in each_failure(prepared, preload, call, tmp_path / "count",
                                 ["save", "-q", "--format", "oci", "-o", out / "a.tar", "localhost/x:1"]):
        names = [p.name for p in out.iterdir()]
        assert names == (["a.tar"] if r.returncode == 0 else []), where
        if r.returncode == 0:
            whole = whole or (out / "a.tar").read_bytes()
            assert (out / "a.tar").read_bytes() == whole, where
            (out / "a.tar").unlink()


@pytest.mark.parametrize("call", CALLS)
def test_patches(tmp_path, prepared, preload, call):
    """No sandbox, or one whose patches are whole."""
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/f").write_bytes(os.urandom(9000))
    (tmp_path / "c.yaml").write_text("patches:\n  - append: {path: /b, content: x}\n")
    for r, where in each_failure(prepared, preload, call, tmp_path / "count",
                                 ["create", "-q", "--no-start", "-n", "s", "--fs-conf", tmp_path / "c.yaml",
                                  "--copy", f"{tmp_path}/d:/d", "--rm", "/a", "localhost/x:1"]):
        there = prepared.ok("ls", "-q").split() if r.returncode else ["s"]
        if there:
            prepared.ok("rm", "-q", "s")
        assert r.returncode or there, where
        prepared.ok("image", "prune", "-q", "-y")
        assert_store_clean(prepared.home, images=1)
        assert prepared.ok("ls", "-q") == "", where


@pytest.mark.parametrize("call", ["malloc", "openat", "write"])
def test_secrets(tmp_path, prepared, preload, call):
    """No sandbox, or one with all that was said of its secrets; a change is whole or is none."""
    def names():
        return [s["name"] for s in json.loads(prepared.ok("inspect", "s", "--format", "json"))["config"]["secrets"]]

    (tmp_path / "s.yaml").write_text("A: {allow: [a.org], inject: [body], mask: true}\n")
    for r, where in each_failure(prepared, preload, call, tmp_path / "count",
                                 ["create", "-q", "--no-start", "-n", "s", "--secret-conf", tmp_path / "s.yaml",
                                  "--secret", "B:from=X@*.b.org", "--tls-bypass", "c.org", "localhost/x:1"]):
        if "s" in prepared.ok("ls", "-q").split():
            assert names() == ["A", "B"], where
            prepared.ok("rm", "-q", "s")
        else:
            assert r.returncode, where
    prepared.ok("create", "-q", "--no-start", "-n", "s", "--secret", "A@a.org", "localhost/x:1")
    for r, where in each_failure(prepared, preload, call, tmp_path / "count",
                                 ["modify", "-q", "s", "--secret", "B@b.org", "--secret-rm", "A"]):
        assert names() == (["A"] if r.returncode else ["B"]), where
        if not r.returncode:
            prepared.ok("modify", "-q", "s", "--secret", "A@a.org", "--secret-rm", "B")
