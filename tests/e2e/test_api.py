"""The library as another program sees it: the installed header and the shared object, nothing else."""
import pathlib
import re
import subprocess

import pytest

from lib.cli import descendants, is_gone

TOP = pathlib.Path(__file__).resolve().parents[2]
API = pathlib.Path(__file__).parent / "api"


def exported(build_dir):
    out = subprocess.run(["nm", "-D", "--defined-only", build_dir / "libmicrosandbox.so"], capture_output=True,
                         text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if " T " in line}


def test_the_header_and_the_symbols_agree(build_dir):
    header = (TOP / "include/microsandbox.h").read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    declared = set(re.findall(r"MSB_API[^;(]*?(msb_\w+)\(", header))
    assert len(declared) > 30 and exported(build_dir) == declared


@pytest.mark.parametrize("compiler", [["cc", "-std=c99", "-x", "c"], ["c++", "-std=c++11", "-x", "c++"]],
                         ids=["c99", "c++11"])
def test_the_header_stands_alone(compiler, tmp_path):
    source = tmp_path / "x"
    source.write_text("#include <microsandbox.h>\nint main(void) { return MSB_OK; }\n")
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", TOP / "include", "-fsyntax-only",
                    source], check=True)


def test_a_program_with_threads(build_dir, msb, busybox_image, tmp_path):
    program = tmp_path / "two_threads"
    subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I", TOP / "include", "-o", program,
                    API / "two_threads.c", "-L", build_dir, "-lmicrosandbox", "-lpthread",
                    f"-Wl,-rpath,{build_dir}"], check=True)
    msb.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    p = subprocess.Popen([program, msb.home, "test/busybox:1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
    out, err = p.communicate(timeout=120)
    assert (p.returncode, out, err) == (0, "input one\ninput two\ndone\n", "")
    assert all(is_gone(pid) for pid in descendants(p.pid))
