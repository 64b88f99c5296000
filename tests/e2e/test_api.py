"""The library as another program sees it: the installed header and the shared object, nothing else."""
import pathlib
import re
import subprocess

import pytest

from lib.cli import descendants, is_gone
from lib.installed import Installed

TOP = pathlib.Path(__file__).resolve().parents[2]
API = pathlib.Path(__file__).parent / "api"


def exported(build_dir):
    """{name: version node} of all that the dynamic linker offers to others."""
    out = subprocess.run(["nm", "-D", "--defined-only", build_dir / "libmicrosandbox.so"], capture_output=True,
                         text=True, check=True).stdout
    symbols = [line.split()[1:] for line in out.splitlines()]
    assert {kind for kind, _ in symbols} <= {"T", "A"}  # A: the nodes themselves
    return dict(name.split("@@") for kind, name in symbols if kind == "T")


def declared():
    header = "".join(p.read_text() for p in sorted((TOP / "include").rglob("*.h")))
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    return set(re.findall(r"MSB_API[^;(]*?(msb_\w+)\(", header))


def test_the_header_and_the_symbols_agree(build_dir):
    assert len(declared()) > 70 and set(exported(build_dir)) == declared()


def test_each_function_has_the_version_that_brought_it(build_dir):
    text = (TOP / "src/lib/libmicrosandbox.map").read_text()
    first = set(re.findall(r"^\t\t(msb_\w+);$", text, re.M))
    nodes = exported(build_dir)
    assert len(first) == 44  # released: never more, never fewer
    assert {n for n, v in nodes.items() if v == "MICROSANDBOX_0.1"} == first
    assert set(nodes.values()) == {"MICROSANDBOX_0.1", "MICROSANDBOX_0.2"}
    assert nodes["msb_sandbox_create"].endswith("0.1") and nodes["msb_sandbox_metrics"].endswith("0.2")


def test_the_soname_is_of_the_abi(build_dir):
    out = subprocess.run(["readelf", "-d", build_dir / "libmicrosandbox.so"], capture_output=True, text=True,
                         check=True).stdout
    assert re.search(r"\(SONAME\) .*\[libmicrosandbox\.so\.0\]", out)
    assert "(TEXTREL)" not in out and not re.search(r"\((RPATH|RUNPATH)\)", out)


def test_pkg_config_knows_it(build_dir, tmp_path):
    installed = Installed(build_dir, tmp_path / "stage")
    assert installed.flags("--modversion") == ["0.1.0"]
    source = tmp_path / "x.c"
    source.write_text("#include <microsandbox.h>\n#include <stdio.h>\nint main(void) { puts(msb_version()); }\n")
    library = str(next(installed.stage.rglob("libmicrosandbox.so")).parent)
    subprocess.run(["cc", source, "-o", tmp_path / "x", *installed.flags("--cflags", "--libs")], check=True)
    out = subprocess.run([tmp_path / "x"], env={"LD_LIBRARY_PATH": library}, capture_output=True, text=True, check=True)
    assert out.stdout == "0.1.0\n"


@pytest.mark.parametrize("compiler", [["cc", "-std=c99", "-x", "c"], ["c++", "-std=c++11", "-x", "c++"]],
                         ids=["c99", "c++11"])
def test_the_header_stands_alone(compiler, tmp_path):
    source = tmp_path / "x"
    source.write_text("#include <microsandbox.h>\nint main(void) { return MSB_OK; }\n")
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", TOP / "include", "-fsyntax-only",
                    source], check=True)


def api_program(build_dir, msb, busybox_image, tmp_path, name):
    """Build a program of api/ and run it: what it printed, and that it left no process."""
    program = tmp_path / name
    subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I", TOP / "include", "-o", program,
                    API / f"{name}.c", "-L", build_dir, "-lmicrosandbox", "-lpthread",
                    f"-Wl,-rpath,{build_dir}"], check=True)
    msb.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    p = subprocess.Popen([program, msb.home, "test/busybox:1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    out, err = p.communicate(timeout=120)
    assert all(is_gone(pid) for pid in descendants(p.pid))
    return p.returncode, out, err


def test_a_program_with_threads(build_dir, msb, busybox_image, tmp_path):
    said = api_program(build_dir, msb, busybox_image, tmp_path, "two_threads")
    assert said == (0, "input one\ninput two\ndone\n", "")


def test_secrets_that_a_program_has(build_dir, msb, busybox_image, tmp_path):
    assert api_program(build_dir, msb, busybox_image, tmp_path, "secrets") == (0, "done\n", "")
    assert subprocess.run(["grep", "-rqF", "that-the-program-has", tmp_path, "--include=*.json", "--include=*.log*",
                           "--include=*.db*"], check=False).returncode == 1


def test_every_way_to_an_end_and_back(build_dir, msb, busybox_image, tmp_path):
    assert api_program(build_dir, msb, busybox_image, tmp_path, "restart") == (0, "done\n", "")
