"""The Go SDK: its own tests, a module that uses it as a user would, and every example of its documents."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
GO_SDK = TOP / "sdk/go"
MODULE = "github.com/microsandbox/microsandbox-c/sdk/go"


def find_go():
    """A Go of 1.22 at least: Debian 12 has an older one."""
    for path in (shutil.which("go"), "/usr/local/go/bin/go", *sorted(map(str, pathlib.Path("/usr/lib").glob("go-1.*/bin/go")))):
        if path and os.access(path, os.X_OK):
            said = subprocess.run([path, "version"], stdout=subprocess.PIPE, text=True, check=True).stdout
            if tuple(map(int, re.search(r"go(\d+)\.(\d+)", said).groups())) >= (1, 22):
                return path
    return None


GO = find_go()
pytestmark = pytest.mark.skipif(not GO, reason="no Go 1.22")


def examples(path):
    """(name, program) of each block of Go in a document."""
    for block in re.findall(r"^```go\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S):
        name = re.match(r"// example: (\S+)\n", block)
        assert name, f"{path}: a block of Go without a name:\n{block}"
        yield name.group(1), block


EXAMPLES = dict(e for p in (GO_SDK / "README.md", TOP / "docs/go.md") for e in examples(p))


def go(*args, env, cwd=GO_SDK, timeout=580):
    """Its output; nothing is fetched, for there is nothing to fetch."""
    env = {**env, "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    done = subprocess.run(["nice", GO, *map(str, args)], env=env, cwd=cwd, timeout=timeout, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def programs(test_cache, tmp_path_factory):
    """Every example, compiled in a module of its own: an empty folder, `go get` with a replace."""
    user = tmp_path_factory.mktemp("user")
    env = dict(os.environ)
    go("mod", "init", "example.com/user", env=env, cwd=user)
    go("mod", "edit", f"-replace={MODULE}={GO_SDK}", env=env, cwd=user)
    go("get", MODULE, env=env, cwd=user)
    for name, text in EXAMPLES.items():
        (user / name).mkdir()
        (user / name / "main.go").write_text(text)
    go("vet", "./...", env=env, cwd=user)
    (user / "bin").mkdir()
    go("build", "-p", "2", "-o", user / "bin/", "./...", env=env, cwd=user)
    # Without the folder: what `go mod vendor` copies is enough to build.
    go("mod", "vendor", env=env, cwd=user)
    go("mod", "edit", f"-dropreplace={MODULE}", f"-replace={MODULE}=/nowhere", env=env, cwd=user)
    sums = user / "vendor/modules.txt"
    sums.write_text(sums.read_text().replace(str(GO_SDK), "/nowhere"))
    go("build", "-mod=vendor", "-o", user / "vendored", "./readme", env=env, cwd=user)
    return user


SAYS = {
    "readme": r"^Hello from a microVM\nLinux\n$",
    "check": r"ready, version 0\.1\.0\n$",
    "run": r'^"hello\\nnobody\\n", exit code 3\n3\n$',
    "stream": r"^(?=.*stdout: working)(?=.*stderr: careful)(?=.*exit code 2).*answered: one\nanswered: two\n$",
    "files": r"^config file 8\nno such file\ncopied 500000 bytes\n$",
    "keep": r'^go-guide running\n(?=.*memory "256.0 MiB" -> "320.0 MiB" next_start)(?=.*env.A).*still here\n$',
    "volumes": r"^read-only\nfrom the host\nof the volume go-guide-data in .*\n$",
    "network": r"^10\.1\.2\.3 5432 allow allow@10\.1\.2\.3:tcp:5432\n10\.1\.2\.3 22 deny .*\nhello from port 8000\n$",
    "secrets": r"^a placeholder: true\nused 0 times\n$",
    "snapshots": r"^pulled\nlinux/\w+ true\nprepared\ntrue\n$",
    "limits": r"^cancelled: true\nexec exec 2\ntrue true\ntrue true\nstdout: to the log\n$",
}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_example(name, programs, sdk_env, tmp_path):
    done = subprocess.run([programs / "bin" / name], env=sdk_env, cwd=tmp_path, timeout=120, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and re.search(SAYS[name], done.stdout, re.S), done.stdout


def test_beside_a_bundle(programs, bundle, sdk_env, tmp_path):
    """A program with the bundle beside it, and nothing said or installed."""
    shutil.copy(programs / "vendored", tmp_path / "program")
    shutil.copytree(bundle, tmp_path / "runtime", symlinks=True)
    env = {k: v for k, v in sdk_env.items() if k not in ("MICROSANDBOX_LIBRARY", "MSB_RUNTIME", "MSB_BUILD")}
    done = subprocess.run([tmp_path / "program"], env=env, cwd="/", timeout=120, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and re.search(SAYS["readme"], done.stdout), done.stdout


def test_without_the_library(programs, sdk_env, tmp_path):
    env = dict(sdk_env, MICROSANDBOX_LIBRARY=str(tmp_path / "nothing.so"))
    done = subprocess.run([programs / "bin/check"], env=env, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 1 and "install it first" in done.stdout and "nothing.so" in done.stdout


def test_form(sdk_env):
    unformatted = subprocess.run([pathlib.Path(GO).with_name("gofmt"), "-l", GO_SDK], check=True, stdout=subprocess.PIPE, text=True)
    assert unformatted.stdout == ""
    go("vet", "./...", env=sdk_env)
    subprocess.run([sys.executable, GO_SDK / "generate.py", "--check"], check=True)


def own(sdk_env, tmp_path, binary, *flags, pattern=".", pointer_checks=None, timeout=580):
    """The package's own tests, built with these flags."""
    env = dict(sdk_env, TMPDIR=str(tmp_path))
    build = dict(env, GOEXPERIMENT=pointer_checks) if pointer_checks else env
    go("test", "-c", "-o", binary, *flags, ".", env=build)
    done = subprocess.run([binary, "-test.v", f"-test.run={pattern}", f"-test.timeout={timeout - 20}s"], cwd=GO_SDK, env=env,
                          timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, file=sys.stderr)
    assert done.returncode == 0 and re.search(r"^PASS$", done.stdout, re.M), done.stdout
    return done.stdout


def test_own(sdk_env, test_cache, tmp_path):
    said = own(sdk_env, tmp_path, test_cache / "sdk-go.test")
    skipped = set(re.findall(r"^--- SKIP: (\w+)", said, re.M))
    assert skipped <= {"TestNoKernelAndNoEngine"}, skipped


# What threads do to each other, and what C is given: fewer machines.
@pytest.mark.parametrize("flags", ["race", "cgocheck2"])
def test_own_watched(flags, sdk_env, test_cache, tmp_path):
    own(sdk_env, tmp_path, test_cache / f"sdk-go-{flags}.test", *(["-race"] if flags == "race" else []),
        pattern="Exec|Many|Events|Pipes|Collect|Cancelled|Files|Copies|Logs|Images|AnyOrder",
        pointer_checks="cgocheck2" if flags == "cgocheck2" else None)


def test_bench_hook(sdk_env, build_dir, busybox_image, tmp_path):
    msb = build_dir / "msb"
    subprocess.run([msb, "create", "-q", "-n", "bench", "-m", "128M", busybox_image], env=sdk_env, check=True, timeout=60)
    try:
        go("build", "-o", tmp_path / "bench", "./bench", env=sdk_env)
        out = subprocess.run([tmp_path / "bench"], env=dict(sdk_env, MSB_BENCH_SANDBOX="bench"), timeout=60,
                             check=True, input=b"5\n", stdout=subprocess.PIPE).stdout
        times = json.loads(out)["exec_us"]
        assert len(times) == 5 and all(t > 0 for t in times)
    finally:
        subprocess.run([msb, "rm", "-q", "-f", "bench"], env=sdk_env, check=True, timeout=60)
