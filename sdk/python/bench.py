#!/usr/bin/env python3
"""What a call costs in Python: for each line of standard input, which is a count, `true` that often
in the sandbox MSB_BENCH_SANDBOX, which runs; answered by a line {"exec_us": [...]}. With the
argument "sync" by microsandbox.sync, else by asyncio.
"""
import asyncio
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from microsandbox import Sandbox, sync


async def exec_us(sandbox: Sandbox) -> float:
    start = time.perf_counter_ns()
    await sandbox.exec("true")
    return (time.perf_counter_ns() - start) / 1000


async def main() -> None:
    sandbox = await Sandbox.open(os.environ["MSB_BENCH_SANDBOX"])
    for line in sys.stdin:
        print(
            json.dumps({"exec_us": [await exec_us(sandbox) for _ in range(int(line))]}), flush=True
        )
    await sandbox.close()


def exec_us_sync(sandbox: sync.Sandbox) -> float:
    start = time.perf_counter_ns()
    sandbox.exec("true")
    return (time.perf_counter_ns() - start) / 1000


def main_sync() -> None:
    with sync.Sandbox.open(os.environ["MSB_BENCH_SANDBOX"]) as sandbox:
        for line in sys.stdin:
            samples = [exec_us_sync(sandbox) for _ in range(int(line))]
            print(json.dumps({"exec_us": samples}), flush=True)


if "sync" in sys.argv[1:]:
    main_sync()
else:
    asyncio.run(main())
