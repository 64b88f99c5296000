"""Every tool, with real sandboxes: one server and few machines for all."""
import base64
import json
import os
import pathlib
import time

import pytest

from conftest import base_environment
from mcp_lib.raw import Server

TOOLS_SEEN = set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mcp")


@pytest.fixture(scope="module")
def box(build_dir, busybox_image, folder):
    """A server with a sandbox "box" that runs."""
    (folder / "work").mkdir()
    server = Server([build_dir / "msb", "mcp", "--allow-path", ".", "--allow-path", busybox_image.parent],
                    base_environment(build_dir, folder / "home"), folder / "work")
    call = server.start_call
    server.start_call = lambda tool, **kw: (TOOLS_SEEN.add(tool), call(tool, **kw))[1]
    server.work = folder / "work"
    server.image = str(busybox_image)
    made = server.call("sandbox_create", name="box", image=server.image, memoryMib=128, env={"A": "é 1", "B": "${HOME}"},
                       labels={"kind": "test"}, workdir="/tmp", scripts={"greet": "echo hello $1"},
                       mounts=[{"guestPath": "/mem", "kind": "tmpfs", "sizeMib": 8}, {"guestPath": "/vol", "name": "vol"},
                               {"guestPath": "/host", "hostPath": "."}],
                       patches=[{"kind": "text", "path": "/etc/motd", "content": "odd: \x7f \u0085 \U0001f40d ${X}\n"}],
                       network={"policy": "none", "allow": ["example.com:tcp:443"]})
    assert made["status"] == "Running" and not made["detached"] and not made["ephemeral"]
    yield server
    server.end()


def test_exec(box):
    out = box.call("sandbox_exec", name="box", command="sh", args=["-c", "echo $A; echo $B; pwd; echo no >&2; exit 7"])
    assert out["stdout"] == "é 1\n${HOME}\n/tmp\n" and out["stderr"] == "no\n"
    assert out["exitCode"] == 7 and not out["success"] and out["signal"] is None and not out["truncated"]
    out = box.call("sandbox_exec", name="box", command="env", cwd="/", env={"X": "y=z"}, user="0")
    assert "X=y=z\n" in out["stdout"]
    out = box.call("sandbox_exec", name="box", command="cat", stdinBase64=base64.b64encode(b"\0\xff").decode(),
                   encoding="base64")
    assert base64.b64decode(out["stdout"]) == b"\0\xff"
    assert box.call("sandbox_exec", name="box", command="cat", stdin="a\0b")["stdout"] == "a\0b"
    out = box.call("sandbox_exec", name="box", command="printf", args=["\\377ok"])
    assert out["stdout"] == "\ufffdok"
    assert box.call("sandbox_exec", name="box", command="cat", args=["/etc/motd"])["stdout"] == \
        "odd: \x7f \u0085 \U0001f40d ${X}\n"
    out = box.call("sandbox_exec", name="box", command="sh", args=["-c", "kill -9 $$"])
    assert out["exitCode"] == 137 and out["signal"] == 9
    assert box.failed("sandbox_exec", name="box", command="no-such-program")["code"] == "exec"


def test_exec_says_that_it_failed_if_asked(box):
    result = box.result(box.start_call("sandbox_exec", name="box", command="false", treatNonZeroAsError=True))
    assert result["isError"] and result["structuredContent"]["exitCode"] == 1


def test_shell(box):
    assert box.call("sandbox_shell", name="box", command="greet me | tr a-z A-Z")["stdout"] == "HELLO ME\n"
    assert box.call("sandbox_shell", name="box", command="echo $0", shell="/bin/sh")["exitCode"] == 0
    assert box.call("sandbox_shell", name="box", command="tty", tty=True)["stdout"].startswith("/dev/")
    out = box.call("sandbox_shell", name="box", command="ulimit -n", rlimits=[{"resource": "nofile", "soft": 99}])
    assert out["stdout"] == "99\n"


def test_output_is_bounded_and_cut_between_characters(box):
    out = box.call("sandbox_shell", name="box", command="for i in $(seq 500); do printf 'ü'; done", maxBytes=99)
    assert out["stdout"] == "ü" * 49 and out["truncated"] and out["stdoutBytes"] == 1000
    out = box.call("sandbox_shell", name="box", command="yes | head -c 3000000; echo e >&2")
    assert len(out["stdout"]) == 1 << 20 and out["truncated"] and out["stdoutBytes"] == 3000000
    assert out["stderr"] in ("", "e\n")  # which came first


def test_timeout(box):
    for limit in (700, 7000, 40000):  # a busy host may need longer for the first word
        begin = time.monotonic()
        result = box.result(box.start_call("sandbox_shell", name="box", command="echo begun; sleep 1000", timeoutMs=limit))
        out = result["structuredContent"]
        assert result["isError"] and out["timedOut"] and out["exitCode"] is None
        assert time.monotonic() - begin < limit / 1000 + 10
        if out["stdout"]:
            break
    assert out["stdout"] == "begun\n"
    assert box.result(box.start_call("sandbox_exec", name="box", command="sleep", args=["9"], timeout=0.5))["isError"]


def test_cancellation_kills_and_is_not_answered(box):
    id = box.start_call("sandbox_exec", name="box", command="sleep", args=["4321"])
    end = time.monotonic() + 60
    while "4321" not in box.call("sandbox_exec", name="box", command="ps")["stdout"]:
        assert time.monotonic() < end
    box.cancel(id)
    while "4321" in box.call("sandbox_exec", name="box", command="ps")["stdout"]:
        assert time.monotonic() < end
    assert box.silent(0.5, lambda m: m.get("id") == id)


def test_a_slow_call_holds_up_nobody(box):
    slow = [box.start_call("sandbox_exec", name="box", command="sleep", args=["300"]) for _ in range(10)]
    begin = time.monotonic()
    assert box.call("sandbox_exec", name="box", command="true")["success"]
    assert time.monotonic() - begin < 30
    for id in slow:
        box.cancel(id)


def test_progress(box):
    id = box.start_call("sandbox_exec", meta={"progressToken": "tok"}, name="box", command="sleep", args=["3"])
    assert box.result(id)["isError"] is False
    notes = [m["params"] for m in box.kept if m.get("method") == "notifications/progress"]
    box.kept.clear()
    assert notes and all(n["progressToken"] == "tok" for n in notes)
    values = [n["progress"] for n in notes]
    assert values == sorted(set(values)) and "running" in notes[0]["message"]
    box.call("sandbox_exec", name="box", command="sleep", args=["1.5"])
    assert not [m for m in box.kept if m.get("method") == "notifications/progress"], "only when asked for"


def collect(box, session, cursor=0, **kw):
    text = ""
    while True:
        poll = box.call("sandbox_exec_poll", execSessionId=session, cursor=cursor, waitMs=10000, **kw)
        text += "".join(e["data"] for e in poll["events"])
        cursor = poll["nextCursor"]
        if poll["status"] != "running" and not poll["more"]:
            return text, poll


def test_background(box):
    x = box.call("sandbox_exec_start", name="box", command="echo started; cat; echo bye >&2; exit 5", shell=True)["execSessionId"]
    poll = box.call("sandbox_exec_poll", execSessionId=x, waitMs=10000)
    assert poll["status"] == "running" and poll["events"][0]["data"] == "started\n"
    assert box.call("sandbox_exec_poll", execSessionId=x, cursor=poll["nextCursor"])["events"] == []
    assert x in json.dumps(box.call("runtime_version")["backgroundCommands"])
    assert box.call("sandbox_exec_write_stdin", execSessionId=x, data="ä\n")["written"] == 3
    assert box.call("sandbox_exec_write_stdin", execSessionId=x, dataBase64="AAE=", close=True)["closed"]
    text, poll = collect(box, x)
    assert text == "started\nä\n\0\1bye\n" and poll["exitCode"] == 5 and not poll["missed"]
    events = box.call("sandbox_exec_poll", execSessionId=x)["events"]
    assert [e["stream"] for e in events if e["data"] == "bye\n"] == ["stderr"]
    assert box.failed("sandbox_exec_write_stdin", execSessionId=x, data="x")["code"] == "gone"
    assert box.failed("sandbox_exec_signal", execSessionId=x, signal="term")["code"] == "gone"
    assert box.call("sandbox_exec_close", execSessionId=x)["status"] == "exited"
    assert box.failed("sandbox_exec_poll", execSessionId=x)["code"] == "not_found"
    assert box.failed("sandbox_exec_poll", execSessionId="0" * 32)["code"] == "not_found"


def test_background_signals_and_close(box):
    x = box.call("sandbox_exec_start", name="box", command="sleep", args=["500"])["execSessionId"]
    assert box.failed("sandbox_exec_signal", execSessionId=x, signal="SIGNONE")["code"] == "invalid"
    assert box.call("sandbox_exec_signal", execSessionId=x, signal="SIGTERM")["signal"] == 15
    _, poll = collect(box, x)
    assert poll["exitCode"] == 143 and poll["signal"] == 15
    y = box.call("sandbox_exec_start", name="box", command="sleep", args=["765"], closeStdin=True)["execSessionId"]
    box.call("sandbox_exec_close", execSessionId=y)
    end = time.monotonic() + 60
    while "765" in box.call("sandbox_exec", name="box", command="ps")["stdout"]:
        assert time.monotonic() < end
    z = box.call("sandbox_exec_start", name="box", command="no-such")["execSessionId"]
    _, poll = collect(box, z)
    assert poll["status"] == "failed" and poll["error"]["code"] == "exec"


def test_background_output_is_a_ring(box):
    x = box.call("sandbox_exec_start", name="box", command="seq 400000", shell=True)["execSessionId"]
    end = time.monotonic() + 240
    while box.call("sandbox_exec_poll", execSessionId=x, cursor=10**9)["status"] == "running":
        assert time.monotonic() < end
        time.sleep(0.2)
    poll = box.call("sandbox_exec_poll", execSessionId=x, limit=3)
    assert poll["missed"] and poll["droppedBytes"] > 1000000 and len(poll["events"]) == 3 and poll["more"]
    text, _ = collect(box, x, maxBytes=50000)
    assert text.endswith("399999\n400000\n") and len(text) <= 1 << 20
    lines = text.split("\n")[1:-1]
    assert [int(n) for n in lines] == list(range(int(lines[0]), 400001)), "no hole"
    box.call("sandbox_exec_close", execSessionId=x)


def test_files(box):
    box.call("sandbox_fs_mkdir", name="box", path="/tmp/d/e", mode="0700")
    assert box.call("sandbox_fs_write", name="box", path="/tmp/d/t", content="one\nzwei ü\n", mode="0640")["bytes"] == 12
    box.call("sandbox_fs_write", name="box", path="/tmp/d/t", content="dHdv", encoding="base64", append=True)
    read = box.call("sandbox_fs_read", name="box", path="/tmp/d/t")
    assert read["content"] == "one\nzwei ü\ntwo" and read["bytes"] == 15 and not read["truncated"]
    part = box.call("sandbox_fs_read", name="box", path="/tmp/d/t", offset=4, maxBytes=6)
    assert part["content"] == "zwei " and part["bytes"] == 5 and part["truncated"], "no half ü"
    assert base64.b64decode(box.call("sandbox_fs_read", name="box", path="/tmp/d/t", encoding="base64")["content"]) == \
        "one\nzwei ü\ntwo".encode()
    assert box.failed("sandbox_fs_write", name="box", path="/tmp/d/t", content="", exclusive=True)["code"] == "exists"
    assert box.failed("sandbox_fs_write", name="box", path="/tmp/d/u", content="?", encoding="base64")["code"] == "invalid"
    assert box.failed("sandbox_fs_write", name="box", path="/tmp/d/u", content="", mode="9999")["code"] == "invalid"
    stat = box.call("sandbox_fs_stat", name="box", path="/tmp/d/t")
    assert stat["type"] == "file" and stat["size"] == 15 and stat["mode"] == "0640" and stat["uid"] == 0
    box.call("sandbox_exec", name="box", command="ln", args=["-s", "t", "/tmp/d/l"])
    assert box.call("sandbox_fs_stat", name="box", path="/tmp/d/l", follow=False)["target"] == "t"
    listed = box.call("sandbox_fs_list", name="box", path="/tmp/d")
    assert [e["name"] for e in listed["entries"]] == ["e", "l", "t"] and listed["total"] == 3 and not listed["truncated"]
    page = box.call("sandbox_fs_list", name="box", path="/tmp/d", limit=1, offset=1)
    assert [e["name"] for e in page["entries"]] == ["l"] and page["truncated"]
    box.call("sandbox_fs_rename", name="box", **{"from": "/tmp/d/t", "to": "/tmp/d/u"})
    assert box.failed("sandbox_fs_rename", name="box", noReplace=True, **{"from": "/tmp/d/e", "to": "/tmp/d/u"})
    box.call("sandbox_fs_copy", name="box", **{"from": "/tmp/d", "to": "/tmp/d2"})
    assert box.call("sandbox_fs_exists", name="box", path="/tmp/d2/u") == {"exists": True, "type": "file"}
    assert box.failed("sandbox_fs_remove", name="box", path="/tmp/d2", recursive=True)["code"] == "invalid"
    box.call("sandbox_fs_remove", name="box", path="/tmp/d2", recursive=True, confirm=True)
    assert box.call("sandbox_fs_exists", name="box", path="/tmp/d2") == {"exists": False, "type": None}
    error = box.failed("sandbox_fs_read", name="box", path="/none")
    assert error["code"] == "not_found" and error["errno"] == 2
    assert box.failed("sandbox_fs_remove", name="box", path="/none")["code"] == "not_found"
    box.call("sandbox_fs_remove", name="box", path="/none", force=True)


def test_files_of_the_host(box):
    (box.work / "in").write_text("from here\n")
    box.call("sandbox_fs_copy_from_host", name="box", hostPath="in", path="/tmp/in")
    assert box.call("sandbox_fs_read", name="box", path="/tmp/in")["content"] == "from here\n"
    box.call("sandbox_fs_copy_to_host", name="box", hostPath=str(box.work / "out"), path="/tmp/in")
    assert (box.work / "out").read_text() == "from here\n"
    (box.work / "tree/sub").mkdir(parents=True)
    (box.work / "tree/sub/f").write_text("f")
    box.call("sandbox_fs_copy_from_host", name="box", hostPath="tree", path="/tmp/t1")
    box.call("sandbox_fs_copy_to_host", name="box", hostPath="back", path="/tmp/t1", contentOnly=True)
    assert (box.work / "back/sub/f").read_text() == "f"
    (box.work / "into").mkdir()
    box.call("sandbox_fs_copy_to_host", name="box", hostPath="into", path="/tmp/in")
    assert (box.work / "into/in").read_text() == "from here\n"
    assert box.call("sandbox_exec", name="box", command="cat", args=["/host/in"])["stdout"] == "from here\n"


def test_records(box):
    rows = {s["name"]: s for s in box.call("sandbox_list")["sandboxes"]}
    assert rows["box"]["status"] == "Running" and rows["box"]["labels"] == {"kind": "test"}
    assert box.call("sandbox_list", status="stopped")["sandboxes"] == []
    assert box.call("sandbox_list", labels={"kind": "other"})["sandboxes"] == []
    record = box.call("sandbox_inspect", name="box")
    assert record["config"]["env"] == {"A": "é 1", "B": "${HOME}"} and record["config"]["memory_mib"] == 128
    assert {m["target"] for m in record["config"]["mounts"]} == {"/mem", "/vol", "/host"}
    text = box.ask("resources/read", {"uri": "microsandbox://sandboxes/box"})["result"]["contents"][0]["text"]
    assert json.loads(text)["name"] == "box"
    assert box.failed("sandbox_inspect", name="nobody")["code"] == "not_found"


def test_modify(box):
    plan = box.call("sandbox_modify", name="box", memoryMib=256, env={"C": "3"}, dryRun=True)
    assert not plan["applied"] and {c["field"]: c["effect"] for c in plan["changes"]}["memory"] == "next start"
    plan = box.call("sandbox_modify", name="box", env={"C": "3"}, removeEnv=["B"], labels={"more": "1"})
    assert plan["applied"] and {c["effect"] for c in plan["changes"]} == {"now"}
    assert box.call("sandbox_shell", name="box", command="echo $C-$B")["stdout"] == "3-\n"
    error = box.failed("sandbox_modify", name="box", secrets=[{"env": "K", "hosts": "a.example", "value": "hush"}])
    assert "never part of a call" in error["message"] and "hush" not in json.dumps(error)


def test_logs(box):
    box.call("sandbox_shell", name="box", command="echo to-the-logs; echo other")
    logs = box.call("sandbox_logs_read", name="box", grep="to-the-logs", since="10m")
    assert [e["text"] for e in logs["entries"]] == ["to-the-logs\n"] and logs["entries"][0]["source"] == "stdout"
    session = logs["entries"][0]["session"]
    assert "other" in json.dumps(box.call("sandbox_logs_read", name="box", sessionIds=[session]))
    assert box.call("sandbox_logs_read", name="box", until="2020-01-01T00:00:00Z")["entries"] == []
    cut = box.call("sandbox_logs_read", name="box", maxBytes=30)
    assert cut["truncated"] and sum(len(e["text"].encode()) for e in cut["entries"]) <= 30
    assert box.call("sandbox_logs_read", name="box", sources=["system"])["entries"]
    assert box.failed("sandbox_logs_read", name="box", since="yesterday")["code"] == "invalid"
    text = box.ask("resources/read", {"uri": "microsandbox://sandboxes/box/logs"})["result"]["contents"][0]
    assert text["mimeType"] == "text/plain" and "to-the-logs\n" in text["text"]


def test_metrics(box):
    m = box.call("sandbox_metrics", name="box")
    assert m["memory_limit_bytes"] == 128 << 20 and m["cpu_percent"] >= 0 and m["uptime_secs"] >= 0
    assert "cpu_percent" not in box.call("sandbox_metrics", name="box", intervalMs=0)
    assert [x["name"] for x in box.call("sandbox_metrics_all", labels={"kind": "test"})["metrics"]] == ["box"]


def test_network(box):
    assert box.call("net_explain", name="box", host="10.1.2.3", port=80)["verdict"] == "deny"
    rules = box.call("net_rules", name="box")
    assert "example.com" in json.dumps(rules["rules"]) and rules["defaults"]["egress"] == "deny"


def test_volumes(box):
    assert box.call("volume_create", name="v2", quotaMib=32)["quota_mib"] == 32
    assert box.call("volume_create", name="d2", kind="disk", sizeMib=32)["kind"] == "disk"
    assert box.failed("volume_create", name="v2")["code"] == "exists"
    assert box.failed("volume_create", name="d3", kind="disk")["code"] == "invalid"
    assert {v["name"] for v in box.call("volume_list")["volumes"]} == {"vol", "v2", "d2"}
    assert box.call("volume_inspect", name="vol")["sandboxes"] == ["box"]
    assert box.failed("volume_remove", name="v2")["code"] == "invalid"
    assert box.failed("volume_remove", name="vol", confirm=True)["code"] == "busy"
    for name in ("v2", "d2"):
        assert box.call("volume_remove", name=name, confirm=True)["removed"] == name


def test_images(box):
    image = box.call("image_pull", reference=box.image)
    assert image["digest"].startswith("sha256:")
    assert [i["digest"] for i in box.call("image_list")["images"]] == [image["digest"]]
    assert box.call("image_inspect", reference=image["reference"])["config"]
    assert box.failed("image_remove", reference=image["reference"], confirm=True)["code"] == "busy"
    assert box.failed("image_remove", reference="no/such:1", confirm=True)["code"] == "not_found"
    assert box.failed("image_prune")["code"] == "invalid"
    assert box.call("image_prune", confirm=True)["image_refs_removed"] == 0


def test_run(box):
    id = box.start_call("sandbox_run", meta={"progressToken": 9}, image=box.image, memoryMib=64, script="cat; id -u >&2",
                        stdin="in\n", process={"env": {"Z": "1"}}, resources={"cpus": 1})
    out = box.result(id)["structuredContent"]
    assert out["stdout"] == "in\n" and out["stderr"] == "0\n" and out["exitCode"] == 0
    assert [m for m in box.kept if m.get("method") == "notifications/progress"]
    box.kept.clear()
    assert {s["name"] for s in box.call("sandbox_list")["sandboxes"]} == {"box"}, "nothing is left of it"
    assert box.failed("sandbox_run", command="ls")["message"] == "image is missing, or snapshot"
    assert box.failed("sandbox_run", image="alpine", command="a", script="b")["code"] == "invalid"
    assert "nonsense: is not known" in box.failed("sandbox_run", image=box.image, process={"nonsense": 1})["message"]


def test_life_and_snapshots(box):
    """The rest of the life of one that is kept; then of its snapshot."""
    box.call("sandbox_create", name="two", rootfs={"oci": {"reference": box.image}}, resources={"memoryMib": 64})
    box.call("sandbox_shell", name="two", command="echo kept > /root.txt")
    assert box.failed("sandbox_create", name="two", image=box.image)["code"] == "exists"
    assert box.failed("sandbox_create", name="two", image=box.image, replace=True)["code"] == "invalid"
    assert box.failed("sandbox_remove", name="two", confirm=True)["code"] == "busy"
    waiting = box.start_call("sandbox_wait", name="two", timeoutMs=60000)
    assert box.call("sandbox_stop", name="two")["results"] == [{"name": "two", "ok": True, "status": "Stopped"}]
    ended = box.result(waiting)["structuredContent"]["results"][0]
    assert ended["status"] == "Stopped" and ended["end"]["reason"] == "poweroff"
    assert box.call("sandbox_stop", name="two")["results"][0]["ok"], "twice is fine"
    assert box.failed("sandbox_exec", name="two", command="ls")["code"] == "gone"
    box.call("snapshot_create", name="snap", fromSandbox="two", labels={"a": "b"}, recordIntegrity=True)
    assert [s["name"] for s in box.call("snapshot_list")["snapshots"]] == ["snap"]
    assert box.call("snapshot_inspect", name="snap")["labels"] == {"a": "b"}
    assert box.call("snapshot_verify", pathOrName="snap")["verified"]
    box.call("snapshot_save", pathOrName="snap", out="snap.tar.zst")
    assert (box.work / "snap.tar.zst").stat().st_size > 0
    assert box.call("snapshot_load", archive="snap.tar.zst", name="again")["name"] == "again"
    out = box.call("sandbox_exec", name="two", command="cat", args=["/root.txt"], startIfStopped=True, keepRunning=False)
    assert out["stdout"] == "kept\n"
    assert box.failed("sandbox_exec", name="two", command="ls")["code"] == "gone"
    out = box.call("sandbox_run", snapshot="again", memoryMib=64, command="cat", args=["/root.txt"])
    assert out["stdout"] == "kept\n"
    assert box.call("sandbox_start", name="two")["results"][0]["status"] == "Running"
    result = box.result(box.start_call("sandbox_stop", names=["two", "nobody"], force=True))
    assert result["isError"] and [r["ok"] for r in result["structuredContent"]["results"]] == [True, False]
    assert box.failed("sandbox_remove", confirm=True)["code"] == "invalid"
    box.call("sandbox_remove", name="two", confirm=True)
    for name in ("snap", "again"):
        assert box.failed("snapshot_remove", pathOrName=name)["code"] == "invalid"
        box.call("snapshot_remove", pathOrName=name, confirm=True)
    box.call("snapshot_remove", pathOrName="snap", confirm=True, force=True)


def test_the_host(box):
    report = box.call("runtime_check")
    assert report["ok"] and {c["status"] for c in report["checks"]} <= {"ok", "info", "warn"}
    assert box.call("runtime_version")["sandboxes"] == 1


def test_every_tool_was_called(box):
    names = {t["name"] for t in box.ask("tools/list")["result"]["tools"]}
    assert names <= TOOLS_SEEN, names - TOOLS_SEEN


def test_the_end_takes_all_with_it(box, build_dir, folder):
    box.call("sandbox_exec_start", name="box", command="sleep", args=["100"])
    slow = box.start_call("sandbox_exec", name="box", command="sleep", args=["100"])
    code, seconds = box.end()
    assert code == 0 and seconds < 15, seconds
    assert not [m for m in box.kept if m.get("id") == slow]
    server = Server([build_dir / "msb", "mcp"], base_environment(build_dir, folder / "home"), folder / "work")
    assert [(s["name"], s["status"]) for s in server.call("sandbox_list")["sandboxes"]] == [("box", "Stopped")]
    assert os.path.exists(pathlib.Path(folder, "home"))
    assert server.end()[0] == 0
