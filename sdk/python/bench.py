#!/usr/bin/env python3
"""What Python costs: `true` in a sandbox that runs, 200 times, and imports of the package.

The sandbox is MSB_BENCH_SANDBOX in MSB_HOME. Prints {"exec_us": [...], "import_ms": [...]}.
"""
import asyncio
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
CALLS = 200
IMPORTS = 20
WHAT = "from microsandbox import Image, Network, Sandbox, Secret, Volume"


async def exec_us():
    from microsandbox import Sandbox

    sandbox = await Sandbox.open(os.environ["MSB_BENCH_SANDBOX"])
    await sandbox.exec("true")
    samples = []
    for _ in range(CALLS):
        start = time.perf_counter_ns()
        await sandbox.exec("true")
        samples.append((time.perf_counter_ns() - start) / 1000)
    await sandbox.close()
    return samples


def import_ms():
    """Of fresh interpreters, by their own clock."""
    code = f"import time; t = time.perf_counter(); {WHAT}; print((time.perf_counter() - t) * 1e3)"
    env = dict(os.environ, PYTHONPATH=HERE)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    run = [sys.executable, "-c", code]
    return [
        float(subprocess.run(run, env=env, check=True, capture_output=True).stdout)
        for _ in range(IMPORTS + 1)
    ][1:]


print(json.dumps({"exec_us": asyncio.run(exec_us()), "import_ms": import_ms()}))
