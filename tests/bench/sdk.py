"""What a language costs: `true` in a sandbox that runs, by each SDK and by the C call; and how long the import of the
Python package takes. All programs live at once and take turns, so that whatever the host and the guest do, they do it to
all; a turn is TURN calls, of which the first wakes the program up and does not count; the order changes each round. What
counts is the median, over the rounds, of what a turn's median is above that of the C calls in the same round."""
import json
import pathlib
import random
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = 250
TURN = 5
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
        "python, asyncio": ["/usr/bin/python3", sdk / "python/bench.py"],
        "python, sync": ["/usr/bin/python3", sdk / "python/bench.py", "sync"],
        "node": ["node", sdk / "node/bench.mjs"],
        "go": [go],
        "rust": [sdk / "rust/conformance/bench"],
        "ruby": ["ruby", "-I", sdk / "ruby/lib", "-I", extension, sdk / "ruby/bench.rb"],
    }


class Runner:
    """A program that lives, and does n calls when it is told n."""

    def __init__(self, argv, env):
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.medians = []

    def turn(self, n):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["exec_us"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)


def error_of_median(samples):
    """Its standard error, by the medians of ten parts."""
    return statistics.stdev(statistics.median(samples[i::10]) for i in range(10)) / 10 ** 0.5


def import_ms(env, words):
    """Of a fresh interpreter, in ms, by its own clock: the import alone."""
    code = f"import time; t = time.perf_counter(); {words}; print((time.perf_counter() - t) * 1e3)"
    return float(subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True).stdout)


def rows(bench, image):
    env = dict(bench.env, MSB_RUNTIME=str(bench.build), MSB_BUILD=str(bench.build), MSB_BENCH_SANDBOX="sdk-bench",
               MICROSANDBOX_LIBRARY=str(bench.build / "libmicrosandbox.so.0"), PYTHONPATH=str(TOP / "sdk/python"))
    runners, missing = {}, {}
    bench.msb("create", "-q", "-n", "sdk-bench", image, stdout=subprocess.DEVNULL)
    try:
        for name, argv in commands(bench).items():
            try:
                runners[name] = Runner(argv, env)
                runners[name].turn(20)  # builds what must be built, and warms it up
            except (OSError, ValueError) as e:
                missing[name] = str(e)
                runners.pop(name, None)
        names = list(runners)
        for _ in range(ROUNDS):
            random.shuffle(names)
            for name in names:
                runners[name].medians.append(statistics.median(runners[name].turn(TURN)[1:]))
        for runner in runners.values():
            runner.end()
    finally:
        bench.msb("rm", "-f", "-q", "sdk-bench")
    base = statistics.median(runners["c"].medians)
    bench.table.add("exec of true, C call, p50", base, "us")
    for name in sorted(set(runners) - {"c"}):
        overs = [mine - c for mine, c in zip(runners[name].medians, runners["c"].medians)]
        over, error = statistics.median(overs), error_of_median(overs)
        bench.table.add(f"exec over the C call: {name}, p50", over, "us", f"<= {GOAL_US} us, error +-{error:.0f}", "the C call",
                        (base + over) / base, over <= GOAL_US)
    for name, why in missing.items():
        bench.table.add(f"exec over the C call: {name}", None, "us", None, f"not measured: {why}")
    # As it is when pip has installed it: compiled.
    env = {k: v for k, v in env.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": str(bench.tmp / "pyc")}
    import_ms(env, "import asyncio; from microsandbox import Sandbox")
    took = statistics.median([import_ms(env, "from microsandbox import Sandbox") for _ in range(IMPORTS)])
    whole = statistics.median([import_ms(env, "import asyncio; from microsandbox import Sandbox") for _ in range(IMPORTS)])
    bench.table.add("from microsandbox import Sandbox, p50", took, "ms", f"<= {GOAL_IMPORT_MS} ms", None, None, took <= GOAL_IMPORT_MS)
    bench.table.add("... with asyncio, p50", whole, "ms")


