"""The Ruby SDK: its own tests, its gem installed as a user would, and every example of its documents."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
RUBY = TOP / "sdk/ruby"

pytestmark = pytest.mark.skipif(not shutil.which("ruby"), reason="no ruby")


def run(args, env, timeout=600, **kwargs):
    done = subprocess.run(args, env=env, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **kwargs)
    assert done.returncode == 0, done.stdout
    return done.stdout


def examples(path):
    """(name, program) of each block of Ruby in a document."""
    for block in re.findall(r"^```ruby\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S):
        name = re.match(r"# example: (\S+)\n", block)
        assert name, f"{path}: a block of Ruby without a name:\n{block}"
        yield name.group(1), block


EXAMPLES = [(p.name, name, text) for p in (RUBY / "README.md", TOP / "docs/ruby.md") for name, text in examples(p)]


@pytest.fixture(scope="module")
def extension():
    return subprocess.run([RUBY / "tools/compile"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@pytest.mark.parametrize("name", sorted(p.stem for p in (RUBY / "test").glob("*_test.rb")))
def test_own(name, sdk_env, extension):
    out = run(["ruby", "-w", "-I", RUBY / "lib", "-I", extension, RUBY / f"test/{name}.rb"], sdk_env)
    print(out, file=sys.stderr)
    assert re.search(r"[1-9]\d* runs, \d+ assertions, 0 failures, 0 errors", out), out


def test_the_tables_are_those_of_the_header(sdk_env):
    run(["ruby", RUBY / "gen/generate.rb", "--check"], sdk_env)


@pytest.fixture(scope="module")
def gem_home(build_dir, bundle, tmp_path_factory):
    """A folder of gems that has the platform gem, installed without a compiler."""
    out, home = tmp_path_factory.mktemp("gem"), tmp_path_factory.mktemp("gems")
    subprocess.run([RUBY / "package.sh", bundle, out], check=True)
    tools = tmp_path_factory.mktemp("path")
    for name in ("ruby", "gem"):
        (tools / name).symlink_to(shutil.which(name))
    (gem,) = out.glob("microsandbox-*-x86_64-linux.gem")
    # gem itself says `#!/usr/bin/ruby`.
    subprocess.run(["gem", "install", "--local", "--no-document", gem], check=True,
                   env={"PATH": str(tools), "GEM_HOME": str(home), "HOME": str(home)}, cwd=home)
    return home


@pytest.fixture
def installed(gem_home, sdk_env):
    """The environment of a user who has nothing but the gem."""
    for key in ("MICROSANDBOX_LIBRARY", "MSB_RUNTIME", "MSB_BUILD", "RUBYLIB"):
        sdk_env.pop(key, None)
    return {**sdk_env, "GEM_HOME": str(gem_home), "GEM_PATH": str(gem_home)}


def test_the_gem_brings_its_library(installed, tmp_path):
    program = 'require "microsandbox"; puts Microsandbox.version; ' \
              'puts File.readlines("/proc/self/maps").grep(/libmicrosandbox/).first'
    out = run(["ruby", "-e", program], installed, cwd=tmp_path)
    assert re.match(r"\d+\.\d+\.\d+\n", out)
    assert installed["GEM_HOME"] in out


def test_the_source_gem_compiles(sdk_env, tmp_path):
    subprocess.run([RUBY / "package.sh", "--source", tmp_path], check=True)
    (gem,) = tmp_path.glob("*.gem")
    env = {**sdk_env, "GEM_HOME": str(tmp_path / "gems"), "GEM_PATH": str(tmp_path / "gems")}
    run(["gem", "install", "--local", "--no-document", gem], env)
    assert run(["ruby", "-e", 'require "microsandbox"; print Microsandbox.version'], env, cwd=tmp_path)


@pytest.mark.parametrize("document,name,text", EXAMPLES, ids=[f"{d}-{n}" for d, n, _ in EXAMPLES])
def test_example(document, name, text, installed, tmp_path):
    """As it stands, in a fresh folder and home, with the installed gem."""
    program = tmp_path / f"{name}.rb"
    program.write_text(text, encoding="utf-8")
    out = run(["ruby", "-w", program], installed, cwd=tmp_path, timeout=180)
    assert out.strip(), f"{document}: {name} shows nothing"


def test_bench_hook(sdk_env, extension, build_dir):
    env = {**sdk_env, "MSB_BENCH_SANDBOX": "bench-ruby"}
    load = ["-I", RUBY / "lib", "-I", extension]
    program = 'require "microsandbox"; Microsandbox::Sandbox.create("bench-ruby", memory: 64, ephemeral: true, ' \
              'image: ENV["MSB_TEST_IMAGE"]) { system(*ARGV, exception: true) }'
    out = run(["ruby", *load, "-e", program, "ruby", *map(os.fspath, load), RUBY / "bench.rb"], env, input="3\n")
    assert re.search(r'\{"exec_us":\[[\d.]+,[\d.]+,[\d.]+\]\}', out)
