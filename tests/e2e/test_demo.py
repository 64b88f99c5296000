"""The image that `make demo` starts from, and what it prints."""
import hashlib
import json
import os
import pathlib
import subprocess

from conftest import TOP, need

TOOL = TOP / "tools/demo-image.py"


def make(folder, **env):
    subprocess.run([TOOL, folder], check=True, env=dict(os.environ, **env))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).digest()
            for p in pathlib.Path(folder).rglob("*") if p.is_file()}


def test_the_image_is_the_same_every_time(tmp_path):
    one = make(tmp_path / "one", TZ="Asia/Tokyo", LC_ALL="C")
    assert one == make(tmp_path / "two", TZ="UTC") and len(one) == 5


def test_the_image_is_what_other_tools_expect(tmp_path):
    need("skopeo")
    make(tmp_path / "demo")
    out = subprocess.run(["skopeo", "inspect", "--config",
                          f"oci:{tmp_path}/demo:microsandbox/demo:latest"],
                         check=True, stdout=subprocess.PIPE).stdout
    config = json.loads(out)
    assert config["config"]["Cmd"] == ["/bin/sh"]
    assert len(config["rootfs"]["diff_ids"]) == 1


def test_the_demo_says_hello(build_dir, home):
    """What `make demo` runs once everything is built."""
    r = subprocess.run([TOP / "tools/demo.sh", build_dir], text=True,
                       capture_output=True, timeout=120,
                       env=dict(os.environ, MSB_HOME=str(home)))
    assert r.returncode == 0, r.stdout + r.stderr
    assert r.stdout.splitlines()[-1] == "Hello from a microVM"
