"""What the one who starts the server allows, and what a call cannot change."""
import json
import os
import signal
import subprocess
import time

import pytest

from mcp_lib.raw import META, Server


def names(server):
    return {t["name"] for t in server.ask("tools/list")["result"]["tools"]}


# ---- tools -------------------------------------------------------------------


def test_read_only(serve):
    server = serve("--read-only")
    tools = server.ask("tools/list")["result"]["tools"]
    assert len(tools) >= 20 and all(t["annotations"]["readOnlyHint"] for t in tools)
    for tool in ("sandbox_create", "sandbox_exec", "sandbox_fs_write", "sandbox_fs_copy_to_host", "volume_create"):
        assert tool not in names(server)
        answer = server.ask("tools/call", {"name": tool, "arguments": {}})
        assert answer["error"]["code"] == -32602 and "Forbidden" in answer["error"]["message"]
    assert server.call("sandbox_list") == {"sandboxes": []}
    policy = server.ask("resources/read", {"uri": "microsandbox://policy"})["result"]["contents"][0]["text"]
    assert json.loads(policy)["readOnly"] is True


def test_tools_by_pattern(serve):
    assert names(serve("--allow-tool", "sandbox_fs_*", "--allow-tool", "image_list", "--deny-tool", "*_remove")) == {
        "image_list", "sandbox_fs_read", "sandbox_fs_write", "sandbox_fs_list", "sandbox_fs_stat", "sandbox_fs_exists",
        "sandbox_fs_mkdir", "sandbox_fs_copy", "sandbox_fs_rename", "sandbox_fs_copy_from_host",
        "sandbox_fs_copy_to_host"}
    server = serve("--deny-tool", "*")
    assert names(server) == set()
    assert server.ask("tools/call", {"name": "image_list"})["error"]["code"] == -32602


# ---- paths -------------------------------------------------------------------


def every_way(server, path):
    """All tools that take a path of the host: none may get to @path."""
    image = {"image": "./image", "name": "x"}
    ways = [("sandbox_create", {"image": path}), ("sandbox_create", {"rootfs": {"disk": {"path": path + "/d.raw"}}}),
            ("sandbox_create", {**image, "mounts": [{"hostPath": path, "guestPath": "/m"}]}),
            ("sandbox_create", {**image, "volumes": [{"kind": "disk", "hostPath": path, "guestPath": "/m"}]}),
            ("sandbox_run", {**{"image": "./image"}, "mounts": [{"hostPath": path, "guestPath": "/m"}]}),
            ("sandbox_create", {**image, "patches": [{"kind": "copy_dir", "path": "/m", "hostPath": path}]}),
            ("sandbox_create", {**image, "patches": [{"kind": "copy_file", "path": "/m", "hostPath": path + "/secret"}]}),
            ("image_pull", {"reference": path}),
            ("sandbox_fs_copy_from_host", {"name": "x", "hostPath": path, "path": "/m"}),
            ("sandbox_fs_copy_to_host", {"name": "x", "hostPath": path + "/new", "path": "/m"}),
            ("snapshot_save", {"pathOrName": "x", "out": path + "/new"}),
            ("snapshot_load", {"archive": path + "/secret"})]
    for tool, args in ways:
        error = server.failed(tool, **args)
        assert error["code"] == "permission", (tool, args, error)
        assert "--allow-path" in error["hint"], (tool, error)


def test_paths(serve, outside, tmp_path):
    server = serve()
    (serve.work / "image").mkdir()
    (serve.work / "link").symlink_to(outside)
    (serve.work / "inner").symlink_to("image")
    (serve.work / "dangling").symlink_to(outside / "not-there")
    for path in (str(outside), "../outside", "link", str(serve.work / "link"), str(serve.work) + "/../outside",
                 str(serve.work) + "x", "/", "/proc/self/root", f"/proc/{os.getpid()}/cwd"):
        if not path.startswith((".", "/")):
            path = "./" + path
        every_way(server, path)
    assert server.failed("sandbox_fs_copy_to_host", name="x", hostPath="dangling", path="/m")["code"] == "permission"
    assert server.failed("sandbox_fs_copy_from_host", name="x", hostPath=str(outside / "no"), path="/m")["code"] == \
        server.failed("sandbox_fs_copy_from_host", name="x", hostPath=str(outside / "secret"), path="/m")["code"]
    # what is inside goes on to the next check
    assert server.failed("sandbox_fs_copy_from_host", name="x", hostPath="inner", path="/m")["code"] == "not_found"
    assert server.failed("sandbox_fs_copy_to_host", name="x", hostPath="new", path="/m")["code"] == "not_found"


def test_more_paths(serve, outside, tmp_path):
    server = serve("--allow-path", str(outside))
    error = server.failed("sandbox_fs_copy_from_host", name="x", hostPath=str(outside / "secret"), path="/m")
    assert error["code"] == "not_found" and "x" in error["message"]
    assert server.failed("sandbox_fs_copy_from_host", name="x", hostPath=".", path="/m")["code"] == "permission", \
        "--allow-path takes the place of the working folder"
    for env, option in (({"MICROSANDBOX_MCP_HOST_PATHS": f"/nowhere-else:{outside}".replace("/nowhere-else", "/usr")}, ()),
                        ({"MICROSANDBOX_MCP_HOST_PATH_POLICY": "unrestricted"}, ()), ({}, ("--allow-any-path",))):
        error = serve(*option, env=env).failed("sandbox_fs_copy_from_host", name="x", hostPath=str(outside), path="/m")
        assert error["code"] == "not_found", (env, option)


def test_the_root_folder_is_not_meant(build_dir, mcp_env):
    server = Server([build_dir / "msb", "mcp"], mcp_env, "/")
    error = server.failed("sandbox_fs_copy_from_host", name="x", hostPath="/etc/hostname", path="/m")
    assert error["code"] == "permission"
    assert server.end()[0] == 0


def test_a_swapped_folder_does_not_start(serve, image, outside):
    """A folder that was mounted becomes a link to elsewhere before the next start."""
    server = serve("--allow-path", ".", "--allow-path", os.path.dirname(image))
    (serve.work / "m").mkdir()
    server.call("sandbox_create", name="s", image=image, memoryMib=64, mounts=[{"hostPath": "m", "guestPath": "/m"}])
    server.call("sandbox_stop", name="s", force=True)
    (serve.work / "m").rmdir()
    (serve.work / "m").symlink_to(outside)
    assert server.failed("sandbox_start", name="s")["code"] == "permission"
    assert server.failed("sandbox_exec", name="s", command="ls", startIfStopped=True)["code"] == "permission"


# ---- images, secrets, ports, bounds -------------------------------------------


def test_images(serve):
    server = serve("--allow-image", "alpine", "--allow-image", "python:3.*", "--allow-image", "ghcr.io/acme/*")
    for reference in ("debian", "evil/alpine", "alpine.evil.com/x", "docker.io/alpine2", "python:2.7", "python",
                      "python@sha256:" + "0" * 64, "ghcr.io/acme/a/b", "ghcr.io/evil/a", "localhost:5000/library/alpine"):
        for tool, args in (("image_pull", {"reference": reference}), ("sandbox_run", {"image": reference, "command": "a"}),
                           ("sandbox_create", {"image": reference})):
            assert server.failed(tool, **args)["code"] == "permission", (tool, reference)
    for reference in ("alpine", "alpine:3.20", "docker.io/library/alpine", "python:3.12", "ghcr.io/acme/tool:1"):
        assert server.failed("image_pull", reference=reference, pullPolicy="never")["code"] == "not_found", reference


def test_secrets_by_reference_only(serve):
    server = serve("--allow-secret", "ALLOWED", env={"ALLOWED": "v-a-l-u-e", "OTHER": "x"})
    secret = {"env": "KEY", "hosts": ["api.example.com"]}
    for secrets in ([{**secret, "value": "hush"}], [secret, {**secret, "value": None}],
                    [{"envVar": "K", "value": "hush", "allowedHost": "a.example"}]):
        error = server.failed("sandbox_create", image="alpine", secrets=secrets)
        assert "never part of a call" in error["message"] and "--allow-secret" in error["hint"]
        assert "hush" not in json.dumps(error)
    for one in (secret, {**secret, "source": "OTHER"}, {**secret, "env": "OTHER"},
                {"envVar": "K", "valueEnv": "OTHER", "allowedHost": "a.example"}):
        error = server.failed("sandbox_create", image="./none", secrets=[one])
        assert error["code"] == "permission" and "--allow-secret" in error["hint"], error
    for one in ({**secret, "source": "ALLOWED"}, {**secret, "env": "ALLOWED"},
                {"envVar": "K", "valueEnv": "ALLOWED", "allowedHost": "a.example"}):
        error = server.failed("sandbox_create", image="no/such:image", pullPolicy="never", secrets=[one])
        assert error["code"] == "not_found", error
    for bad in ("${OTHER}", "A}${OTHER", "ALLOWED} x"):
        assert server.failed("sandbox_create", image="no/such:image", secrets=[{**secret, "source": bad}])["code"] in \
            ("invalid", "permission")


def test_nothing_of_the_host_gets_in_by_text(serve, image):
    server = serve("--allow-path", os.path.dirname(image), env={"OTHER": "of-the-host"})
    out = server.call("sandbox_run", image=image, memoryMib=64, env={"A": "${OTHER}", "B": "$OTHER", "C": "x: ${OTHER"},
                      scripts={"s": "echo '${OTHER}'"}, script="env; s")
    assert "of-the-host" not in out["stdout"] and "A=${OTHER}" in out["stdout"]


def test_ports_are_of_this_host_alone(serve):
    server = serve()
    for ports in (["0.0.0.0:0:80"], ["[::]:0:80"], ["192.0.2.1:0:80"]):
        for args in ({"ports": ports}, {"network": {"ports": ports}}):
            assert server.failed("sandbox_create", image="alpine", **args)["code"] == "permission"
    assert server.failed("sandbox_create", image="no/such:image", pullPolicy="never", ports=["0:80"])["code"] == "not_found"


def test_bounds(serve, image):
    server = serve("--allow-path", os.path.dirname(image), "--max-sandboxes", "1", "--max-output", "2K", "--timeout", "1s")
    made = server.call("sandbox_create", image=image, memoryMib=64)
    assert made["ephemeral"] and made["name"].startswith("msb-")
    name = made["name"]
    error = server.failed("sandbox_create", image=image)
    assert error["code"] == "busy" and "--max-sandboxes" in error["hint"]
    assert server.failed("sandbox_run", image=image, command="true")["code"] == "busy"
    out = server.call("sandbox_shell", name=name, command="yes | head -c 9000", maxBytes=5000, timeoutMs=60000)
    assert len(out["stdout"]) == 2048 and out["truncated"]
    server.call("sandbox_shell", name=name, command="head -c 9000 /dev/zero > /tmp/f; for i in $(seq 99); do >/tmp/$i; done",
                timeoutMs=60000)
    assert server.call("sandbox_fs_read", name=name, path="/tmp/f")["bytes"] == 2048
    listed = server.call("sandbox_fs_list", name=name, path="/tmp")
    assert listed["truncated"] and 0 < len(listed["entries"]) < 99
    result = server.result(server.start_call("sandbox_exec", name=name, command="sleep", args=["60"]))
    assert result["structuredContent"]["timedOut"]
    server.call("sandbox_stop", name=name, force=True)
    assert server.call("sandbox_list") == {"sandboxes": []}, "it was ephemeral"
    assert server.call("sandbox_run", image=image, memoryMib=64, command="true", timeoutMs=30000)["success"]


def test_sessions_expire(serve, image):
    server = serve("--allow-path", os.path.dirname(image), "--session-ttl", "2s")
    name = server.call("sandbox_create", image=image, memoryMib=64)["name"]
    x = server.call("sandbox_exec_start", name=name, command="sleep", args=["3333"])
    assert x["expiresInMs"] == 2000
    begin = time.monotonic()
    while time.monotonic() - begin < 2 or "3333" in server.call("sandbox_exec", name=name, command="ps")["stdout"]:  # a poll would keep it
        assert time.monotonic() - begin < 60, "it does not expire"
        time.sleep(0.2)
    assert server.failed("sandbox_exec_poll", execSessionId=x["execSessionId"])["code"] == "not_found"


def test_wrong_options(build_dir, mcp_env, tmp_path):
    for options, env in ((["--max-output", "x"], {}), (["--max-output", "5"], {}), (["--max-output", "1T"], {}),
                         (["--max-sandboxes", "100000"], {}), (["--allow-path", "/no/such"], {}), (["--bogus"], {}),
                         (["--allow-path", "/etc/passwd"], {}), (["word"], {}),
                         ([], {"MICROSANDBOX_MCP_MAX_OUTPUT_BYTES": "many"}),
                         ([], {"MICROSANDBOX_MCP_DEFAULT_TIMEOUT_MS": "-1"})):
        r = subprocess.run([build_dir / "msb", "mcp", *options], env={**mcp_env, **env}, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60)
        assert r.returncode in (1, 2) and r.stderr and not r.stdout, (options, env, r)


# ---- the end -------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it(serve, image, number):
    server = serve("--allow-path", os.path.dirname(image))
    if number == signal.SIGTERM:
        server.call("sandbox_create", image=image, memoryMib=64)
        server.start_call("sandbox_create", image=image, memoryMib=64)
        time.sleep(0.3)
    else:
        server.ask("tools/list")
    begin = time.monotonic()
    server.process.send_signal(number)
    assert server.process.wait(60) == 0
    assert time.monotonic() - begin < 10


def test_sigkill_leaves_no_machine(serve, image):
    server = serve("--allow-path", os.path.dirname(image))
    server.call("sandbox_create", image=image, memoryMib=64)
    server.process.kill()  # the fixture looks for what is left
    assert server.process.wait(10) == -9


def test_detached_lives_on(serve, image, build_dir, mcp_env):
    options = ("--allow-path", os.path.dirname(image))
    server = serve(*options)
    assert server.call("sandbox_create", name="far", image=image, memoryMib=64, detached=True)["detached"]
    assert server.end()[0] == 0
    other = serve(*options)
    assert other.call("sandbox_exec", name="far", command="echo", args=["here"])["stdout"] == "here\n"
    other.call("sandbox_remove", name="far", force=True, confirm=True)


def mute(server, work):
    """Another server of the same options, whose answers nobody reads: it, and the end to read from."""
    r, w = os.pipe()
    data = open(f"/proc/{server.pid}/environ").read().split("\0")
    p = subprocess.Popen(server.process.args, stdin=subprocess.PIPE, stdout=w, cwd=work,
                         env=dict(x.split("=", 1) for x in data if "=" in x))
    os.close(w)
    return p, r


def request(id, method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": {**params, "_meta": META}}).encode() + b"\n"


def test_a_client_that_does_not_read(serve, image):
    """Answers wait, nothing grows without bound, and the end still comes."""
    server = serve("--allow-path", os.path.dirname(image), "--max-output", "1M")
    name = server.call("sandbox_create", image=image, memoryMib=64)["name"]
    p, r = mute(server, serve.work)
    for i in range(60):
        p.stdin.write(request(i, "tools/call", name="sandbox_shell",
                              arguments={"name": name, "command": "yes | head -c 1000000"}))
    p.stdin.flush()
    time.sleep(6)
    rss = int(next(x for x in open(f"/proc/{p.pid}/status") if x.startswith("VmHWM")).split()[1])
    assert rss < 400_000, f"{rss} KiB"
    begin = time.monotonic()
    p.stdin.close()
    assert p.wait(60) == 0 and time.monotonic() - begin < 30
    os.close(r)


def test_a_client_that_is_gone(serve, image):
    """Nobody reads, so nobody asks: it ends, with its machine."""
    p, r = mute(serve("--allow-path", os.path.dirname(image)), serve.work)
    p.stdin.write(request(1, "tools/call", name="sandbox_create", arguments={"image": image, "memoryMib": 64}))
    p.stdin.flush()
    assert b"Running" in os.read(r, 65536)
    os.close(r)
    p.stdin.write(request(2, "tools/list"))
    p.stdin.flush()
    assert p.wait(60) == 0
    p.stdin.close()


# ---- what goes wrong outside ---------------------------------------------------


def test_a_machine_that_dies(serve, image):
    """kill -9 of its process, while commands run: they fail, the server goes on."""
    server = serve("--allow-path", os.path.dirname(image))
    name = server.call("sandbox_create", name="dies", image=image, memoryMib=64)["name"]
    running = server.start_call("sandbox_exec", name=name, command="sleep", args=["600"])
    waiting = server.start_call("sandbox_wait", name=name, timeoutMs=60000)
    x = server.call("sandbox_exec_start", name=name, command="echo first; sleep 600", shell=True)["execSessionId"]
    assert server.call("sandbox_exec_poll", execSessionId=x, waitMs=20000)["events"][0]["data"] == "first\n"
    os.kill(server.call("sandbox_inspect", name=name)["pid"], signal.SIGKILL)
    result = server.result(running)
    assert result["isError"] and result["_meta"]["microsandbox/error"]["code"] == "gone", result
    end = server.result(waiting)["structuredContent"]["results"][0]
    assert end["status"] == "Crashed" and end["end"]["reason"] in ("crashed", "killed"), end
    poll = server.call("sandbox_exec_poll", execSessionId=x, cursor=1, waitMs=20000)
    assert poll["status"] == "failed" and poll["error"]["code"] == "gone"
    assert server.failed("sandbox_exec", name=name, command="ls")["code"] == "gone"
    assert server.call("sandbox_start", name=name)["results"][0]["ok"]
    server.call("sandbox_remove", name=name, force=True, confirm=True)


@pytest.mark.parametrize("env, code", [({"MSB_ENGINE": "kvm"}, None), ({"MSB_RUNTIME": "/nowhere"}, "install"),
                                       ({"MSB_HOME": "/proc/none"}, None)])
def test_a_host_that_cannot(serve, image, env, code):
    from lib import engine
    if env.get("MSB_ENGINE") and engine.hardware():
        pytest.skip("this host can")
    server = serve("--allow-path", os.path.dirname(image), env=env)
    error = server.failed("sandbox_run", image=image, command="true", memoryMib=64)
    assert error["message"] and (code is None or error["code"] == code), error
    assert server.ask("tools/list")["result"]["tools"]
