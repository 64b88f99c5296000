"""The SDK for Node.js: its own tests, the package as a user installs it, and
every example of its README and of docs/node.md."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
NODE = TOP / "sdk/node"

pytestmark = pytest.mark.skipif(not shutil.which("node") or not shutil.which("npm"), reason="no node and npm here")


def run(command, env, timeout, cwd=None, input=""):
    """Its output; the test fails with it when the program does."""
    r = subprocess.run(command, env=env, cwd=cwd, timeout=timeout, input=input, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, f"{command}: {r.returncode}\n{r.stdout[-20000:]}"
    return r.stdout


@pytest.fixture(scope="module")
def built():
    """The folder of the compiled package; the compiler's warnings are errors."""
    return run([NODE / "build.sh"], os.environ, 300).strip().splitlines()[-1]


@pytest.mark.parametrize("name", sorted(p.name for p in (NODE / "tests").glob("*.test.mjs")))
def test_of_its_own(name, built, sdk_env, tmp_path):
    env = {**sdk_env, "MSB_NODE_PACKAGE": built, "TMPDIR": str(tmp_path)}
    out = run(["node", "--expose-gc", "--test", NODE / "tests" / name], env, 900)
    assert re.search(r"^# pass [1-9]", out, re.M) and re.search(r"^# fail 0$", out, re.M), out


def test_the_tables_are_those_of_the_header():
    run(["node", NODE / "native/gen.mjs", "--check"], os.environ, 60)


@pytest.fixture(scope="module")
def app(built, bundle, tmp_path_factory):
    """An empty folder in which the package was installed."""
    out = tmp_path_factory.mktemp("node")
    run([NODE / "package.sh", bundle, out], os.environ, 300)
    folder = out / "app"
    folder.mkdir()
    # No registry, no scripts: what is needed is in the package.
    run(["npm", "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", out / "microsandbox-0.1.0.tgz"],
        {**os.environ, "npm_config_cache": str(out / "cache")}, 120, cwd=folder)
    return folder


@pytest.fixture
def user_env(sdk_env):
    """That of a user, who has set nothing of ours but a home and an image."""
    drop = ("MSB_RUNTIME", "MSB_BUILD", "MICROSANDBOX_LIBRARY")
    return {k: v for k, v in sdk_env.items() if k not in drop}


def examples():
    for name in ("sdk/node/README.md", "docs/node.md"):
        text = (TOP / name).read_text(encoding="utf-8")
        for kind, code in re.findall(r"^```(js|ts|cjs)\n(.*?)^```$", text, re.M | re.S):
            title = re.match(r"// example: ([\w-]+)", code)
            assert title, f"{name}: a block without a name:\n{code}"
            yield pytest.param(kind, code, id=f"{pathlib.Path(name).parent.name}-{title[1]}")


@pytest.mark.parametrize("kind,code", examples())
def test_example(kind, code, app, user_env, built, tmp_path):
    suffix = {"js": ".mjs", "cjs": ".cjs", "ts": ".mts"}[kind]
    source = app / f"example-{os.getpid()}{suffix}"
    source.write_text(code, encoding="utf-8")
    if kind == "ts":
        compile_types(app, source)
        source = source.with_suffix(".mjs")
    out = run(["node", source], {**user_env, "TMPDIR": str(tmp_path)}, 180)
    wanted = re.findall(r"^// prints: (.*)$", code, re.M)
    for line in wanted:
        assert line in out, f"{line!r} is not in:\n{out}"


def compile_types(app, source):
    """tsc, as strict as it gets, against the package's own types."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    tools = cache / "microsandbox/sdk-node/tools-1/node_modules"
    run([tools / ".bin/tsc", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--module",
         "node16", "--target", "es2022", "--lib", "es2022,esnext.disposable", "--types", "node", "--typeRoots",
         tools / "@types", source], os.environ, 120, cwd=app)


def test_both_kinds_of_types_are_found(app, built):
    """import and require see the types, under each way of looking for modules."""
    for name, text in {"a.mts": 'import { Sandbox, type ExecEvent } from "microsandbox";\n',
                       "b.cts": 'import { Sandbox, type ExecEvent } from "microsandbox";\n'}.items():
        source = app / name
        source.write_text(text + "export async function f(): Promise<ExecEvent | null> {\n"
                          '  const s = await Sandbox.create({ image: "x", memoryMib: 64 });\n'
                          '  // @ts-expect-error: no such option\n  await Sandbox.create({ image: "x", memory: 64 });\n'
                          '  return (await s.execStream("ls", ["-l"])).recv();\n}\n', encoding="utf-8")
        compile_types(app, source)


def test_bench_hook(built, sdk_env, build_dir):
    """bench.mjs prints what it measures."""
    msb = [build_dir / "msb"]
    run(msb + ["pull", sdk_env["MSB_TEST_IMAGE"]], sdk_env, 60)
    run(msb + ["create", "-n", "bench", "-m", "128M", sdk_env["MSB_TEST_IMAGE"]], sdk_env, 120)
    try:
        env = {**sdk_env, "MSB_NODE_PACKAGE": built, "MSB_BENCH_SANDBOX": "bench"}
        out = run(["node", NODE / "bench.mjs"], env, 120, input="20\n")
        times = json.loads(out)["exec_us"]
        assert len(times) == 20 and min(times) > 0
    finally:
        run(msb + ["rm", "-f", "bench"], sdk_env, 60)
