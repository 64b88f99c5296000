"""What a language costs: `true` in a sandbox that runs, by each SDK, each between two runs of the C call; and how
long the import of the Python package takes. A run is 200 calls, of which the median counts; values are medians of
rounds."""
import json
import pathlib
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = 5
IMPORTS = 20
GOAL_US = 300
GOAL_IMPORT_MS = 50


def commands(bench):
    """How each language's bench is started."""
    sdk, go = TOP / "sdk", bench.tmp / "go-bench"
    extension = subprocess.run([sdk / "ruby/tools/compile"], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    if not go.exists():
        subprocess.run(["go", "build", "-o", go, "./bench"], cwd=sdk / "go", check=False)
    return {
        "c": [bench.build / "tests/bench/bench_sdkexec"],
        "python": ["/usr/bin/python3", sdk / "python/bench.py"],
        "node": ["node", sdk / "node/bench.mjs"],
        "go": [go],
        "rust": [sdk / "rust/conformance/bench"],
        "ruby": ["ruby", "-I", sdk / "ruby/lib", "-I", extension, sdk / "ruby/bench.rb"],
    }


def once(argv, env):
    r = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return json.loads(r.stdout)


def import_ms(env, words):
    """Of a fresh interpreter, in ms, by its own clock: the import alone."""
    code = f"import time; t = time.perf_counter(); {words}; print((time.perf_counter() - t) * 1e3)"
    return float(subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout)


def rows(bench):
    env = dict(bench.env, MSB_RUNTIME=str(bench.build), MSB_BUILD=str(bench.build), MSB_BENCH_SANDBOX="sdk-bench",
               MICROSANDBOX_LIBRARY=str(bench.build / "libmicrosandbox.so.0"), PYTHONPATH=str(TOP / "sdk/python"))
    image = subprocess.run([TOP / "tests/images/build.py", "--busybox-only"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.strip() + "/busybox"
    runs, missing = {}, {}
    bench.msb("create", "-q", "-n", "sdk-bench", image, stdout=subprocess.DEVNULL)
    try:
        argvs = commands(bench)
        for name, argv in argvs.items():
            try:
                once(argv, env)  # builds what must be built, and warms it up
                runs[name] = []
            except (OSError, subprocess.SubprocessError, ValueError) as e:
                missing[name] = str(e)
        for _ in range(ROUNDS):
            for name in [n for n in runs if n != "c"]:
                before, mine, after = (statistics.median(once(argvs[n], env)["exec_us"]) for n in ("c", name, "c"))
                runs["c"] += [before, after]
                runs[name].append(mine - (before + after) / 2)
    finally:
        bench.msb("rm", "-f", "-q", "sdk-bench")
    base = statistics.median(runs["c"])
    bench.table.add("exec of true, C call, p50", base, "us")
    for name in [n for n in runs if n != "c"]:
        over = statistics.median(runs[name])
        bench.table.add(f"exec over the C call: {name}, p50", over, "us", f"<= {GOAL_US} us", "the C call", (base + over) / base,
                        over <= GOAL_US)
    for name, why in missing.items():
        bench.table.add(f"exec over the C call: {name}", None, "us", None, f"not measured: {why}")
    took = statistics.median([import_ms(env, "from microsandbox import Sandbox") for _ in range(IMPORTS)])
    whole = statistics.median([import_ms(env, "import asyncio; from microsandbox import Sandbox") for _ in range(IMPORTS)])
    bench.table.add("from microsandbox import Sandbox, p50", took, "ms", f"<= {GOAL_IMPORT_MS} ms", None, None, took <= GOAL_IMPORT_MS)
    bench.table.add("... with asyncio, p50", whole, "ms")


