#!/usr/bin/env python3
"""Run every stage of `make check`, go on after a failure, add up the results.

The last line printed is `N passed, N failed, N skipped`; the exit code is 0
only when nothing failed and every stage ran.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Result:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped


def run(cmd, **kw):
    return subprocess.run(cmd, cwd=TOP, **kw)


def junit(path, returncode):
    """Counts of a JUnit file. A crash that it does not show counts as one."""
    res = Result()
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as e:
        print(f"no results in {path}: {e}")
        return Result(failed=1)
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            res.failed += 1
        elif "skipped" in kinds:
            res.skipped += 1
        else:
            res.passed += 1
    if returncode != 0 and res.failed == 0:
        res.failed = 1
    return res


def lint(_):
    res = Result()
    sources = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h", ":!kernel"],
        cwd=TOP, capture_output=True, text=True).stdout.split()
    steps = [
        ("layers", ["/usr/bin/python3", "tools/layers.py"]),
        ("layers can fail", ["/usr/bin/python3", "tools/layers.py",
                             "--self-test"]),
        ("sizes", ["/usr/bin/python3", "tools/sizes.py"]),
        ("sizes can fail", ["/usr/bin/python3", "tools/sizes.py",
                            "--self-test"]),
        ("the header is what SDKs know", ["/usr/bin/python3", "tools/api.py",
                                          "--check"]),
        ("SDKs bind all of it", ["/usr/bin/python3", "tools/api.py",
                                 "--bound"]),
        ("Go has the header as it is", ["/usr/bin/python3",
                                        "sdk/go/generate.py", "--check"]),
        ("format", ["clang-format", "-n", "-Werror"] + sources),
    ]
    # Another clang-format lays tables out differently: only 14 is binding.
    version = subprocess.run(["clang-format", "--version"],
                             capture_output=True, text=True).stdout
    if "version 14." not in version:
        print(f"format: skipped, {version.strip()} is not version 14")
        steps.pop()
        res.skipped += 1
    for name, cmd in steps:
        ok = run(cmd).returncode == 0
        print(f"  {'ok' if ok else 'FAILED'}: {name}")
        res.passed += ok
        res.failed += not ok
    return res


def meson_test(build, *suites):
    r = run(["meson", "test", "-C", build, "--print-errorlogs",
             *[w for s in suites for w in ("--suite", s)]])
    return junit(os.path.join(TOP, build, "meson-logs", "testlog.junit.xml"),
                 r.returncode)


def unit(args):
    # qemu: a real Linux' drivers; kvm: guests of our own in the kvm engine
    return meson_test(args.build, "unit", "qemu", "kvm")


def asan(args):
    ninja = os.path.join(TOP, args.asan, "build.ninja")
    if not os.path.exists(ninja):
        run(["meson", "setup", args.asan, ".", "-Dbuildtype=debug",
             "-Db_sanitize=address,undefined", "-Db_lundef=false",
             f"-Dwerror={'true' if os.environ.get('CI') else 'false'}"],
            stdout=subprocess.DEVNULL, check=True)
    if run(["ninja", "-C", args.asan, "--quiet"]).returncode != 0:
        return Result(failed=1)
    return meson_test(args.asan, "unit", "kvm")


def tsan(args):
    """The library alone, in a program with many threads and real machines."""
    if not os.path.exists(os.path.join(TOP, args.tsan, "build.ninja")):
        run(["meson", "setup", args.tsan, ".", "-Db_sanitize=thread",
             "-Db_lundef=false"], stdout=subprocess.DEVNULL, check=True)
    if run(["ninja", "-C", args.tsan, "--quiet",
            "tests/tsan/tsan_threads"]).returncode != 0:
        return Result(failed=1)
    images = run(["tests/images/build.py", "--busybox-only"], check=True,
                 stdout=subprocess.PIPE, text=True).stdout.strip()
    program = os.path.join(TOP, args.tsan, "tests/tsan/tsan_threads")
    # Its shadow memory has fixed places: no random ones for the rest.
    program = ["setarch", os.uname().machine, "-R", program]
    env = dict(os.environ, MSB_RUNTIME=os.path.join(TOP, args.build))
    with tempfile.TemporaryDirectory(prefix="msb-test") as folder:
        fine = run(["timeout", "180", *program, f"{folder}/home",
                    f"{images}/busybox"], env=env).returncode == 0
    race = run([*program, "--race"], stderr=subprocess.DEVNULL)
    finds = race.returncode == 66
    print(f"  {'ok' if fine else 'FAILED'}: the thread rules hold")
    print(f"  {'ok' if finds else 'FAILED'}: a race is found")
    return Result(fine + finds, 2 - fine - finds)


def fuzz(args):
    r = run(["tests/fuzz/run.sh", str(args.fuzz_seconds)],
            stdout=subprocess.PIPE, text=True)
    print(r.stdout, end="")
    m = re.findall(r"^(\d+) passed, (\d+) failed", r.stdout, re.M)
    if not m:
        return Result(failed=1)
    res = Result(int(m[-1][0]), int(m[-1][1]))
    if r.returncode != 0 and res.failed == 0:
        res.failed = 1
    return res


# Files that take longest, in that order: they begin first, so that none is
# left for the end. A file that is not named here is a short one.
E2E_LONG = ["conformance", "share_proof", "rust", "secret_clients", "node",
            "go", "ruby", "python", "snapshots", "life", "run", "hostile",
            "vmm", "init", "kvm_linux", "exec", "jail", "detached", "scripts",
            "skills", "clients", "tools", "chaos", "pull", "keep", "logs",
            "metrics", "terminal", "kvm", "forks", "mounts", "disks", "copy"]
E2E_JOBS = min(2, os.cpu_count() or 1)


def e2e_rank(path):
    name = os.path.basename(path)[len("test_"):-len(".py")]
    return E2E_LONG.index(name) if name in E2E_LONG else len(E2E_LONG)


def e2e_file(args, path):
    """One file in a pytest of its own; what it printed comes as a whole."""
    xml = os.path.join(TOP, args.build, "e2e",
                       path[len("tests/"):-3].replace("/", "-") + ".xml")
    env = dict(os.environ, MSB_TEST_BUILD=os.path.join(TOP, args.build))
    start = time.monotonic()
    r = run(["/usr/bin/python3", "-m", "pytest", "-q", "-rs",
             "-p", "no:cacheprovider", f"--junitxml={xml}", path],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
    res = junit(xml, r.returncode)
    if res.failed or res.skipped:
        print(r.stdout)
    print(f"  {res.passed:4} passed {res.failed:3} failed {res.skipped:3} "
          f"skipped {time.monotonic() - start:7.1f} s  {path}", flush=True)
    return res


def e2e(args):
    """Two files at a time: most of them wait for one guest's processor."""
    folder = os.path.join(TOP, args.build, "e2e")
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.unlink(os.path.join(folder, old))
    files = sorted(glob.glob("tests/e2e/test_*.py", root_dir=TOP) +
                   glob.glob("tests/net/test_*.py", root_dir=TOP) +
                   glob.glob("tests/tls/test_*.py", root_dir=TOP) +
                   glob.glob("tests/sdk/test_*.py", root_dir=TOP) +
                   glob.glob("tests/mcp/test_*.py", root_dir=TOP))
    total = Result()
    with concurrent.futures.ThreadPoolExecutor(E2E_JOBS) as pool:
        for res in pool.map(lambda path: e2e_file(args, path),
                            sorted(files, key=e2e_rank)):
            total.passed += res.passed
            total.failed += res.failed
            total.skipped += res.skipped
    return total


STAGES = [("lint", lint), ("unit", unit), ("asan", asan), ("tsan", tsan),
          ("fuzz", fuzz), ("e2e", e2e)]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", default="build")
    p.add_argument("--asan", default="build-asan")
    p.add_argument("--tsan", default="build-tsan")
    p.add_argument("--fuzz-seconds", type=int, default=10)
    p.add_argument("--only", choices=[name for name, _ in STAGES])
    args = p.parse_args()
    total, rows = Result(), []
    for name, stage in STAGES:
        if args.only and name != args.only:
            continue
        print(f"== {name}", flush=True)
        start = time.monotonic()
        try:
            res = stage(args)
        except (OSError, subprocess.CalledProcessError) as e:
            print(f"{name}: {e}")
            res = Result(failed=1)
        rows.append((name, res, time.monotonic() - start))
        total.passed += res.passed
        total.failed += res.failed
        total.skipped += res.skipped
    print()
    for name, res, seconds in rows:
        print(f"{name:6} {res.passed:5} passed {res.failed:3} failed "
              f"{res.skipped:3} skipped {seconds:7.1f} s")
    print(f"{total.passed} passed, {total.failed} failed, "
          f"{total.skipped} skipped", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
