#!/usr/bin/env python3
"""The suite of sdk/conformance through one language, or the command line.

conformance.py LANGUAGE [GROUP...]

What is compared is here, once: a driver only does what it is told.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
CASES = TOP / "sdk/conformance/cases.json"
LANGUAGES = ["python", "node", "go", "rust", "ruby", "cli"]
ANSWER_SECONDS = 240  # a busy host that emulates its guest
BUILD_SECONDS = 1200  # a driver may be compiled before it starts, with all it needs


class Mismatch(Exception):
    """What came is not what a step says."""


def differs(want, got, at="result"):
    """Why `got` is not what `want` describes; None when it is."""
    if isinstance(want, dict) and len(want) == 1 and next(iter(want)).startswith("$"):
        return matcher(*next(iter(want.items())), got, at)
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return f"{at}: {got!r} is no object"
        for key, value in want.items():
            if key not in got:
                return f"{at}: no {key} in {got!r}"
            why = differs(value, got[key], f"{at}.{key}")
            if why:
                return why
        return None
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return f"{at}: {got!r}, not {want!r}"
        return next(filter(None, (differs(w, g, f"{at}[{i}]") for i, (w, g) in enumerate(zip(want, got)))), None)
    if isinstance(want, bool) != isinstance(got, bool) or want != got:
        return f"{at}: {got!r}, not {want!r}"
    return None


def matcher(name, arg, got, at):
    has = {
        "$any": lambda: True,
        "$re": lambda: isinstance(got, str) and re.search(arg, got, re.S),
        "$gt": lambda: isinstance(got, (int, float)) and got > arg,
        "$in": lambda: got in arg,
        "$len": lambda: len(got) == arg,
        "$has": lambda: all(any(differs(w, g) is None for g in got) for w in arg),
        "$hasnot": lambda: not any(differs(w, g) is None for w in arg for g in got),
    }[name]
    return None if has() else f"{at}: {got!r} does not satisfy {name} {arg!r}"


class Driver:
    """A language's driver, and its answers as they come."""

    def __init__(self, language, env):
        self.process = subprocess.Popen([TOP / f"sdk/{language}/conformance/run"], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.answers, self.lock, self.last = {}, threading.Condition(), 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.answer(self.send("version", {}), BUILD_SECONDS)

    def _read(self):
        for line in self.process.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                answer = {"id": None, "error": {"code": "driver", "message": repr(line)}}
            with self.lock:
                self.answers[answer.get("id")] = answer
                self.lock.notify_all()
        with self.lock:
            self.answers["over"] = {"error": {"code": "driver", "message": "the driver has ended"}}
            self.lock.notify_all()

    def send(self, call, args):
        self.last += 1
        line = json.dumps({"id": self.last, "call": call, "args": args})
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        return self.last

    def answer(self, number, seconds=ANSWER_SECONDS):
        with self.lock:
            self.lock.wait_for(lambda: {number, "over", None} & set(self.answers), seconds)
            for key in (number, None, "over"):
                if key in self.answers:
                    return self.answers[key]
        return {"error": {"code": "driver", "message": f"no answer in {seconds} s"}}

    def close(self):
        """Its standard input ends; so must it, with 0, whatever is open."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed: it did not end"


class Run:
    """One group of cases."""

    def __init__(self, driver, env, tmp):
        self.driver, self.env = driver, env
        self.words = {"image": env["MSB_TEST_IMAGE"], "home": env["MSB_HOME"], "tmp": str(tmp)}
        self.sent = {}

    def fill(self, value):
        if isinstance(value, str):
            whole = re.fullmatch(r"\{(\w+)\}", value)
            if whole and whole[1] in self.words:
                return self.words[whole[1]]
            return re.sub(r"\{(\w+)\}", lambda m: str(self.words.get(m[1], m[0])), value)
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        if isinstance(value, dict):
            return {k: self.fill(v) for k, v in value.items()}
        return value

    # What happens on the host beside the calls.
    def do_sleep(self, ms):
        time.sleep(ms / 1000)

    def do_write(self, path, data):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(data)

    def do_read(self, path, data):
        got = pathlib.Path(path).read_text()
        if got != data:
            raise Mismatch(f"{path} has {got!r}, not {data!r}")

    def do_kill_machine(self, name):
        """As the kernel does when memory is short: kill -9 of its msb-vmm."""
        record = json.loads(subprocess.run([pathlib.Path(self.env["MSB_BUILD"]) / "msb", "inspect", name, "--format", "json"],
                                           env=self.env, check=True, stdout=subprocess.PIPE).stdout)
        os.kill(record["pid"], signal.SIGKILL)

    def step(self, step):
        step = {k: self.fill(v) if k != "name" else v for k, v in step.items()}
        if "do" in step:
            getattr(self, f"do_{step['do']}")(**step["with"])
            return
        if "wait" in step:
            answer = self.driver.answer(self.sent.pop(step["wait"]))
        else:
            args = dict(step.get("args", {}))
            if step["call"] == "cancel":
                args["id"] = self.sent[args["id"]]
            number = self.driver.send(step["call"], args)
            if "background" in step:
                self.sent[step["background"]] = number
                return
            answer = self.driver.answer(number)
        self.judge(step, answer)

    def repeat(self, step):
        """Until it gives what it must, within_s seconds at most: something goes on meanwhile."""
        end = time.monotonic() + step.get("within_s", 0)
        while True:
            try:
                return self.step(step)
            except Mismatch:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.1)

    def judge(self, step, answer):
        if "error" in step:
            if "error" not in answer:
                raise Mismatch(f"{answer.get('result')!r}, not the error {step['error']}")
            want = step["error"] if isinstance(step["error"], dict) else {"code": step["error"]}
            if answer["error"]["code"] == "*":
                want = {}  # the command line says it in words
            why = differs(dict({"message": {"$re": "."}}, **want), answer["error"], "error")
        elif "error" in answer:
            why = f"error {answer['error']}"
        else:
            why = differs(step.get("expect", {}), answer["result"])
        if why:
            raise Mismatch(why)
        for word, path in step.get("save", {}).items():
            value = answer["result"]
            for part in path.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            self.words[word] = value


def title(step):
    if "name" in step:
        return step["name"]
    return step.get("call") or step.get("do") or f"wait {step['wait']}"


def groups():
    return json.loads(CASES.read_text())["groups"]


def sweep(env):
    """What a group that failed left running, detached."""
    msb = pathlib.Path(env["MSB_BUILD"]) / "msb"
    names = subprocess.run([msb, "list", "-q"], env=env, stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    if names:
        subprocess.run([msb, "remove", "--force", "-q", *names], env=env, check=False)


def run_group(group, language, env, tmp):
    """The failures of a group, as texts; what the command line has not."""
    if language == "cli":
        from conformance_cli import CliDriver  # pylint: disable=import-outside-toplevel
        driver = CliDriver(env)
    else:
        driver = Driver(language, env)
    run, failures, without = Run(driver, env, tmp), [], []
    for number, step in enumerate(group["steps"], 1):
        if language in step.get("not", {}):
            without.append(f"{title(step)}: {step['not'][language]}")
            continue
        try:
            run.repeat(step)
        except (Mismatch, KeyError, TypeError, AttributeError) as e:
            failures.append(f"{group['name']} {number}, {title(step)}: {e}"
                            if isinstance(e, Mismatch) else f"{group['name']} {number}, {title(step)}: {type(e).__name__} {e}")
            if step.get("as_setup") or "as" in step.get("args", {}):
                break  # what follows needs it
    code = driver.close()
    sweep(env)
    if code != 0:
        failures.append(f"{group['name']}: the driver ended with {code}")
    return failures, without


def main():
    language, only = sys.argv[1], sys.argv[2:]
    build = pathlib.Path(os.environ.get("MSB_TEST_BUILD", TOP / "build"))
    image = subprocess.run([TOP / "tests/images/build.py", "--busybox-only"], check=True, stdout=subprocess.PIPE,
                           text=True).stdout.strip() + "/busybox"
    failed = 0
    for group in groups():
        if only and group["name"] not in only:
            continue
        tmp = pathlib.Path(tempfile.mkdtemp(prefix="msb-test-"))
        env = dict(os.environ, MSB_HOME=str(tmp / "home"), XDG_CONFIG_HOME=str(tmp / "config"), MSB_RUNTIME=str(build),
                   MSB_BUILD=str(build), MICROSANDBOX_LIBRARY=str(build / "libmicrosandbox.so.0"), MSB_TEST_IMAGE=image)
        start = time.monotonic()
        try:
            failures, without = run_group(group, language, env, tmp)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
        print(f"{'FAILED' if failures else 'ok':6} {group['name']}: {len(group['steps'])} steps, "
              f"{len(without)} not offered, {time.monotonic() - start:.1f} s", flush=True)
        for text in failures:
            print(f"       {text}")
        failed += len(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    sys.exit(main())
