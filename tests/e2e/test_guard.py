"""A test run that is killed leaves no machine."""
import json
import os
import subprocess
import sys

from conftest import TOP
from lib.cli import Cli, wait_until

RUN = """
import time

from lib.cli import Cli


def test_that_is_killed(build_dir, busybox_image, tmp_path):
    cli = Cli(build_dir, tmp_path / "home")
    cli.ok("load", "-q", "-i", busybox_image, "-t", "test/busybox:1")
    cli.ok("create", "-q", "-n", "detached", "test/busybox:1")
    cli.popen("run", "-q", "-n", "attached", "test/busybox:1", "--", "sleep", "1000")
    time.sleep(1000)
"""


def test_machines_of_a_killed_run_end(build_dir, tmp_path):
    (tmp_path / "test_killed.py").write_text(RUN)
    base = tmp_path / "base"
    env = dict(os.environ, PYTHONPATH=str(TOP / "tests/e2e"), MSB_TEST_BUILD=str(build_dir))
    p = subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider",
                          f"--basetemp={base}", tmp_path / "test_killed.py"], env=env, cwd=tmp_path)

    def states():
        homes = list(base.glob("*/home"))
        if not homes:
            return {}
        said = Cli(build_dir, homes[0]).ok("ls", "--format", "json")
        return {s["name"]: s["status"] for s in json.loads(said)}
    try:
        wait_until(lambda: states() == {"detached": "Running", "attached": "Running"}, 120, "they do not run")
    finally:
        p.kill()
        p.wait()
    wait_until(lambda: states() == {"detached": "Stopped", "attached": "Stopped"}, 60, "they live on")
