"""The Rust SDK: its own tests, its crate added as a user would, and every example of its documents."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
RUST = TOP / "sdk/rust"

pytestmark = pytest.mark.skipif(not shutil.which("cargo"), reason="no cargo")


def examples(path):
    """(name, program) of each block of Rust in a document."""
    for block in re.findall(r"^```rust\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S):
        name = re.match(r"// example: (\S+)\n", block)
        assert name, f"{path}: a block of Rust without a name:\n{block}"
        yield name.group(1), block


EXAMPLES = dict(e for p in (RUST / "README.md", TOP / "docs/rust.md") for e in examples(p))


def cargo(target, *args, env=None, cwd=RUST, timeout=1500):
    env = dict(os.environ if env is None else env, CARGO_TARGET_DIR=str(target), CARGO_TERM_COLOR="never",
               RUST_BACKTRACE="0")
    done = subprocess.run(["nice", "cargo", *args], env=env, cwd=cwd, timeout=timeout, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def target(test_cache):
    """Where it is compiled to: kept, so that the next run has less to do."""
    return test_cache / "sdk-rust"


@pytest.fixture(scope="module")
def built(target):
    """The programs of the tests, by name."""
    out = cargo(target, "test", "--locked", "--quiet", "-j2", "--workspace", "--no-run", "--message-format=json")
    made = {}
    for line in out.splitlines():
        if line.startswith("{"):
            m = json.loads(line)
            if m.get("executable"):
                made[f"{m['package_id'].split('#')[0].rsplit('/', 1)[-1]}-{m['target']['name']}"] = m["executable"]
    return made


TESTS = sorted(p.stem for p in (RUST / "tests").glob("*.rs"))


@pytest.mark.parametrize("name", ["rust-microsandbox", "sys-layout", "conformance-driver", *(f"rust-{t}" for t in TESTS)])
def test_own(name, built, sdk_env, tmp_path):
    assert name in built, sorted(built)
    done = subprocess.run([built[name], "--nocapture"], cwd=RUST, timeout=580, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env={**sdk_env, "RUST_BACKTRACE": "0", "TMPDIR": str(tmp_path)})
    print(done.stdout, file=sys.stderr)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^test result: ok\. [1-9]\d* passed; 0 failed", done.stdout, re.M), done.stdout


def test_the_table_is_that_of_the_header():
    subprocess.run([RUST / "sys/gen.py", "--check"], check=True)


def test_form(target):
    cargo(target, "fmt", "--check", "--all")


@pytest.mark.skipif(not shutil.which("cargo-clippy"), reason="no clippy")
def test_lint(target):
    cargo(target, "clippy", "--locked", "--quiet", "-j2", "--workspace", "--all-targets", "--", "-D", "warnings")


def test_documented(target):
    env = dict(os.environ, RUSTDOCFLAGS="-D warnings")
    cargo(target, "doc", "--locked", "--quiet", "-j2", "--no-deps", "--package", "microsandbox", env=env)


def test_unsafe_is_where_it_is_said_to_be():
    """And says why it is safe."""
    for path in sorted(RUST.glob("src/**/*.rs")):
        text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        if "raw" not in path.relative_to(RUST).parts:
            assert not re.search(r"\bunsafe\b(?!_code)", text), path
    for path in sorted([*RUST.glob("src/raw/*.rs"), RUST / "sys/src/library.rs"]):
        text = path.read_text(encoding="utf-8")
        for m in re.finditer(r"\bunsafe \{", re.sub(r"(?m)//.*$", lambda c: "/" * len(c[0]), text)):
            before = text[:m.start()].splitlines()[-8:]
            assert any("SAFETY" in line for line in before), f"{path}: no word on\n" + "\n".join(before)


@pytest.fixture(scope="module")
def programs(target, tmp_path_factory):
    """An empty crate of a user's that has the SDK added, and the examples for its programs."""
    crate = tmp_path_factory.mktemp("user") / "mine"
    cargo(target, "init", "--quiet", "--vcs", "none", "--name", "mine", str(crate), cwd=crate.parent)
    cargo(target, "add", "--quiet", "--path", str(RUST), cwd=crate)
    # The versions that the SDK was tested with: what the lock file says.
    shutil.copy(RUST / "Cargo.lock", crate / "Cargo.lock")
    cargo(target, "add", "--quiet", "tokio", "--features", "rt-multi-thread,macros,time,io-util", cwd=crate)
    (crate / "src/main.rs").unlink()
    (crate / "src/bin").mkdir()
    for name, text in EXAMPLES.items():
        (crate / f"src/bin/{name}.rs").write_text(text, encoding="utf-8")
    out = cargo(target, "build", "-j2", "--bins", cwd=crate)
    assert "warning" not in out, out
    return target / "debug"


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, programs, sdk_env, tmp_path):
    """As it stands, in a fresh folder and home."""
    done = subprocess.run([programs / name], env={**sdk_env, "TMPDIR": str(tmp_path)}, cwd=tmp_path, timeout=180,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.strip(), f"{name} shows nothing"


def test_beside_the_program(programs, bundle, sdk_env, tmp_path):
    """A program that carries its library, on a host that has none."""
    for key in ("MICROSANDBOX_LIBRARY", "MSB_RUNTIME", "MSB_BUILD"):
        sdk_env.pop(key, None)
    shutil.copy(programs / "readme", tmp_path / "program")
    done = subprocess.run([tmp_path / "program"], env=sdk_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60)
    if not pathlib.Path("/usr/local/lib/libmicrosandbox.so.0").exists():
        assert done.returncode == 1 and "MICROSANDBOX_LIBRARY" in done.stderr, done.stderr
    (tmp_path / "runtime").symlink_to(bundle)
    done = subprocess.run([tmp_path / "program"], env=sdk_env, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.stdout == "hello from inside\n 0\na\nb\n"


def test_bench_hook(target, sdk_env, build_dir):
    cargo(target, "build", "--locked", "--quiet", "-j2", "--release", "--package", "microsandbox-conformance")
    msb = build_dir / "msb"
    subprocess.run([msb, "create", "-q", "-n", "bench-rust", "-m", "64M", sdk_env["MSB_TEST_IMAGE"]], env=sdk_env, check=True)
    try:
        done = subprocess.run([target / "release/bench"], check=True, stdout=subprocess.PIPE, text=True, timeout=60,
                              env={**sdk_env, "MSB_BENCH_SANDBOX": "bench-rust"}, input="3\n")
        times = json.loads(done.stdout)["exec_us"]
        assert len(times) == 3 and all(t > 0 for t in times)
    finally:
        subprocess.run([msb, "rm", "-q", "-f", "bench-rust"], env=sdk_env, check=True)
