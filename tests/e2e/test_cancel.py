"""Each call of the library that waits is ended by a token, at once, and leaves nothing half done."""
import pathlib
import subprocess

from lib.cli import descendants, is_gone
from lib.registry import FakeRegistry, silence

TOP = pathlib.Path(__file__).resolve().parents[2]


def test_what_waits_is_ended_and_leaves_nothing(build_dir, msb, busybox_image, tmp_path):
    program, folder = tmp_path / "cancel", tmp_path / "files"
    folder.mkdir()
    subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I", TOP / "include", "-o", program,
                    TOP / "tests/e2e/api/cancel.c", "-L", build_dir, "-lmicrosandbox", "-lpthread",
                    f"-Wl,-rpath,{build_dir}"], check=True)
    msb.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    with FakeRegistry() as fake:
        fake.add("app", "v1", [{"bin/x": b"1" * 100000}])
        fake.fault = lambda rq: silence(20) if rq.is_blob else None
        p = subprocess.Popen([program, msb.home, "test/busybox:1", f"{fake.host}/app:v1", folder],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = p.communicate(timeout=300)
    print(err)
    assert (p.returncode, out) == (0, "done\n"), err
    assert all(is_gone(pid) for pid in descendants(p.pid))
    assert sorted(x.name for x in folder.iterdir()) == ["big", "out", "shot.msb"]
    assert not list((folder / "out").iterdir())
