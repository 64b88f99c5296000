"""What tests of SDKs share: those of tests/e2e, and the environment that an
SDK's own test programs get."""
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).parent))

_spec = importlib.util.spec_from_file_location("e2e_conftest", TOP / "tests/e2e/conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)

build_dir = _e2e.build_dir
busybox_image = _e2e.busybox_image
nothing_is_left_behind = _e2e.nothing_is_left_behind
no_machine_outlives_a_killed_run = _e2e.no_machine_outlives_a_killed_run


@pytest.fixture(scope="session")
def test_cache():
    """Where packages from registries and compiled SDKs are kept."""
    path = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "microsandbox"
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def sdk_env(build_dir, busybox_image, test_cache, tmp_path):
    """The environment of an SDK's program: a fresh home, the build's library."""
    drop = ("MSB_LOG", "MSB_ACCEL", "MSB_CONFIG_PATH", "PYTHONPATH", "NODE_PATH", "RUBYLIB", "GEM_HOME")
    env = {k: v for k, v in os.environ.items() if k not in drop}
    env.update(MSB_HOME=str(tmp_path / "home"), XDG_CONFIG_HOME=str(tmp_path / "config"),
               MSB_RUNTIME=str(build_dir), MICROSANDBOX_LIBRARY=str(build_dir / "libmicrosandbox.so.0"),
               MSB_BUILD=str(build_dir), MSB_TEST_IMAGE=str(busybox_image), MSB_TEST_CACHE=str(test_cache),
               MSB_EXAMPLE_IMAGE=str(busybox_image))
    return env


@pytest.fixture(scope="session")
def bundle(build_dir, tmp_path_factory):
    """The folder that packages carry: tools/bundle.py's."""
    out = tmp_path_factory.mktemp("bundle") / "runtime"
    subprocess.run([TOP / "tools/bundle.py", "--build", build_dir, out], check=True)
    return out
