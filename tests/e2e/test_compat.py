"""docs/compat.md says of every command and option of the Rust msb what is here: kept true by writing it anew."""
import subprocess

from conftest import TOP

TOOL = TOP / "tools" / "compat.py"


def test_the_page_is_what_the_command_tree_says(build_dir):
    r = subprocess.run([TOOL, build_dir / "msb", "--check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 0, r.stderr


def test_an_option_that_went_is_noticed(build_dir, tmp_path):
    """The check can fail: a tree without --memory is told from ours."""
    fake = tmp_path / "msb"
    fake.write_text(f"#!/bin/sh\n{build_dir}/msb \"$@\" | grep -v -- --memory\n")
    fake.chmod(0o755)
    r = subprocess.run([TOOL, fake, "--check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 1 and "--memory is not here" in r.stderr
