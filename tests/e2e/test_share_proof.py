"""What programs make of a share: the comparer, stressors, and applications that are known to find faults in file systems.

One machine for all. tests/bench/proof.py is the same at length, with npm, which alone takes a minute of an emulated
processor; its results are in docs/shares.md.
"""
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from conftest import TOP
from lib import sharework as w
from lib.vmm import INITRAMFS, KERNEL, Vmm

SECONDS = 600
PATH = ["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


@pytest.fixture(scope="module")
def image():
    if not shutil.which("mmdebstrap") or os.getuid():
        pytest.skip("needs mmdebstrap, and root for device nodes")
    r = subprocess.run([TOP / "tests/images/shares.py"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(r.stdout.strip())


@pytest.fixture(scope="module")
def work(image, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("proof")
    for folder in ("upper-tree/u", "upper-tree/w", "shared"):
        (tmp / folder).mkdir(parents=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tmp / "upper-tree", tmp / "upper", "2G"], check=True)
    w.fscompare(tmp / "shared/fscompare")
    m = Vmm(INITRAMFS, [("root", True, image / "share.erofs"), ("upper", False, tmp / "upper")], kernel=KERNEL,
            memory_mib=1024, shares=[("shared", tmp / "shared")], mounts=["share", "shared", "/mnt", ""])
    m.ready()

    def guest(line):
        s = m.run(["/bin/bash", "-c", line], env=PATH)
        s.sock.settimeout(SECONDS)
        out = b""
        while (got := s.recv())["type"] != "EXITED":
            out += got.get("data", b"")
        s.sock.close()
        return got["code"] if not got["signo"] else 128 + got["signo"], out.decode(errors="replace")

    code, said = guest(f"date -s @{int(time.time())}; cp /mnt/fscompare /usr/local/bin; mkdir /ext; mount /dev/vdb /ext")
    assert code == 0, said
    yield w.Work(guest)
    m.close()
    assert sorted(p.name for p in (tmp / "shared").iterdir()) == ["fscompare"]


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_random_calls_give_what_they_give_on_ext4(work, seed):
    work.ok(f"fscompare -x {w.NOT_COMPARED} -s {seed} -n 1500 $E $D")


def test_the_comparer_sees_a_difference(work):
    """On tmpfs holes are elsewhere, and folders have other link counts."""
    code, said = work.run(f"mkdir /tmp/t; mount -t tmpfs none /tmp/t; fscompare -x {w.NOT_COMPARED} -s 1 -n 1500 $E /tmp/t")
    assert code == 1 and "the shortest way there" in said and "DIFFERS" in said


@pytest.mark.parametrize("name", ["dentry", "rename", "link", "lockofd", "fallocate", "xattr", "getdent"])
def test_stressors(work, name):
    work.ok(w.STRESS.format(name=name, timeout=100, seconds=1, workers=1))


@pytest.mark.parametrize("engine, more", [("psync", ""), ("mmap", ""), ("libaio", "--direct=1 --iodepth=8")])
def test_what_fio_wrote_is_what_it_reads(work, engine, more):
    work.ok(w.FIO.format(size="8m", engine=engine, more=more, fallocate="none"))


def test_dbench(work):
    assert "Throughput" in work.ok(w.DBENCH.format(seconds=4))


def test_git(work):
    work.ok(w.GIT_SMALL)


def test_pip(work):
    work.ok(w.PIP_SMALL)


def test_sqlite_with_wal_and_three_writers(work):
    work.ok(w.SQLITE.format(rows=40))


def test_postgres_survives_its_crash(work):
    work.ok(w.POSTGRES.format(initdb="-N", listen="", scale=1, seconds=3))
