"""The driver of sdk/conformance: does what it is told, over the public surface of microsandbox."""

import asyncio
import base64
import gc
import hashlib
import json
import sys
import threading

import microsandbox as m
from microsandbox import InvalidConfigError, MicrosandboxError, Size

import options

STATES = {"running": "ready"}
SIGNALS_FROM = 128


def data_of(value):
    """Bytes of an argument."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value.encode() if isinstance(value, str) else value


def said(value):
    """Bytes of a result."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def image(i):
    return {
        "reference": i.reference,
        "id": i.id,
        "platform": i.platform,
        "size_bytes": i.size_bytes,
        "layer_count": i.layer_count,
        "entrypoint": list(i.entrypoint),
        "cmd": list(i.cmd),
        "env": [f"{k}={v}" for k, v in i.env.items()],
        "workdir": i.workdir,
        "user": i.user,
    }


def info(i):
    kinds = {"bind": "dir"}
    return {
        "name": i.name,
        "id": i.id,
        "image": i.image,
        "state": STATES.get(i.state, i.state),
        "cpus": i.cpus,
        "memory_bytes": i.memory_bytes,
        "labels": dict(i.labels),
        "env": dict(i.env),
        "workdir": i.workdir,
        "user": i.user,
        "hostname": i.hostname,
        "shell": i.shell,
        "scripts": list(i.scripts),
        "patches": list(i.patches),
        "end_reason": i.end_reason,
        "exit_code": -1 if i.exit_code is None else i.exit_code,
        "mounts": [
            {"kind": kinds.get(v.kind, v.kind), "source": v.source or "", "target": k}
            for k, v in i.mounts.items()
        ],
        "secrets": [{"env": s.env_name, "hosts": list(s.allow_hosts)} for s in i.secrets],
        "flags": [n for n, on in (("keep", i.keep), ("detached", i.detached)) if on],
    }


def volume(v):
    return {
        "name": v.name,
        "path": v.path,
        "kind": v.kind,
        "size_bytes": v.size_bytes,
        "users": list(v.users),
    }


def snapshot(s):
    return {
        "name": s.name,
        "digest": s.digest,
        "image": s.image_ref,
        "sandbox": s.source_sandbox,
        "labels": dict(s.labels),
        "size_bytes": s.size_bytes,
        "content": s.content or "",
    }


def file_entry(f):
    return {
        "path": f.path,
        "target": f.target,
        "mode": f.mode,
        "uid": f.uid,
        "gid": f.gid,
        "size_bytes": f.size,
        "mtime_s": f.modified_ns // 1_000_000_000,
        "nlink": f.nlink,
    }


def metrics(x):
    return {n: getattr(x, n) for n in type(x)._members}


def changes(plan):
    return {
        "changes": [
            {
                "field": c.field,
                "before": c.before,
                "after": c.after,
                "effect": c.effect.replace("-", "_"),
            }
            for c in plan
        ]
    }


def seconds(args, name="timeout_ms", default=None):
    ms = args.get(name, default)
    return None if ms is None else ms / 1000


class Driver:
    """The handles that have names, and what can be done with them."""

    def __init__(self):
        self.sandboxes, self.execs = {}, {}

    def box(self, args):
        name = args["sandbox"]
        if name not in self.sandboxes:
            raise InvalidConfigError(f"no sandbox is called {name!r}")
        return self.sandboxes[name]

    def command(self, args):
        name = args["exec"]
        if name not in self.execs:
            raise InvalidConfigError(f"no command is called {name!r}")
        return self.execs[name]

    def named(self, args, box):
        self.sandboxes[args["as"]] = box
        return {"name": box.name, "id": box.id, "state": STATES.get(box.state, box.state)}

    # ---- the host

    async def version(self, args):
        return {"version": m.version()}

    async def home(self, args):
        return {"path": await m.home_path()}

    async def doctor(self, args):
        names = ("name", "status", "message", "fix")
        return {"checks": [{n: getattr(c, n) for n in names} for c in await m.doctor()]}

    async def repair(self, args):
        return {"done": await m.repair(**args)}

    async def gc(self, args):
        gc.collect()
        return {}

    # ---- images

    async def image_pull(self, args):
        args = dict(args)
        if "policy" in args:
            args["policy"] = {"missing": "if-missing"}.get(args["policy"], args["policy"])
        return image(await m.Image.pull(args.pop("reference"), **args))

    async def image_open(self, args):
        return image(await m.Image.get(**args))

    async def image_list(self, args):
        return {"images": [image(i) for i in await m.Image.list()]}

    async def image_load(self, args):
        return {"references": await m.Image.load(**args)}

    async def image_save(self, args):
        await m.Image.save(**args)

    async def image_users(self, args):
        return {"names": await m.Image.users(**args)}

    async def image_remove(self, args):
        await m.Image.remove(**args)

    async def image_prune(self, args):
        r = await m.Image.prune(**args)
        return {"freed_bytes": r.bytes_reclaimed, "removed_references": r.image_refs_removed}

    async def commit(self, args):
        args = dict(args)
        return {"id": await m.Image.commit(args.pop("sandbox_name"), args.pop("reference"), **args)}

    # ---- sandboxes

    async def sandbox_create(self, args):
        args = dict(args)
        name = args.pop("as")
        started = args.pop("start", True)
        box_name, given = options.create(args)
        if not started:
            record = await m.Sandbox.prepare(box_name, **given)
            return {"name": record.name, "state": record.status}
        return self.named({"as": name}, await m.Sandbox.create(box_name, **given))

    async def sandbox_open(self, args):
        return self.named(args, await m.Sandbox.open(args["name"]))

    async def sandbox_start(self, args):
        return self.named(args, await m.Sandbox.start(args["name"]))

    async def sandbox_restart(self, args):
        grace = seconds(args, default=10_000)
        return self.named(args, await m.Sandbox.restart(args["name"], timeout=grace))

    async def sandbox_detach(self, args):
        await self.box(args).detach()

    async def sandbox_touch(self, args):
        await self.box(args).touch()

    async def sandbox_kill(self, args):
        await self.box(args).kill()

    async def sandbox_console(self, args):
        return {"console": self.box(args).console}

    async def sandbox_stop(self, args):
        await self.box(args).stop(seconds(args, default=10_000))

    async def sandbox_wait(self, args):
        await self.box(args).wait(seconds(args))

    async def sandbox_state(self, args):
        state = self.box(args).state
        return {"state": STATES.get(state, state)}

    async def sandbox_ping(self, args):
        answer = await self.box(args).ping(seconds(args, default=5_000))
        return {"ns": int(answer.latency * 1e9)}

    async def sandbox_metrics(self, args):
        return metrics(await self.box(args).metrics())

    async def sandbox_metrics_stream(self, args):
        samples = []
        async for sample in self.box(args).metrics_stream(args["interval_ms"] / 1000):
            samples.append(metrics(sample))
            if len(samples) == args["count"]:
                break
        return {"samples": samples}

    async def sandbox_close(self, args):
        await self.box(args).close()
        del self.sandboxes[args["sandbox"]]

    async def sandbox_inspect(self, args):
        return info(await m.Sandbox.inspect(**args))

    async def sandbox_list(self, args):
        return {"sandboxes": [info(s.info) for s in await m.Sandbox.list(**args)]}

    async def sandbox_remove(self, args):
        await m.Sandbox.remove(args["name"], force=args.get("force", False))

    async def sandbox_modify(self, args):
        name, given = options.modify(args)
        return changes(await (await m.Sandbox.get(name)).modify(**given))

    async def sandbox_pending(self, args):
        return changes(await m.Sandbox.pending(**args))

    # ---- commands

    async def exec(self, args):
        argv = args["argv"]
        if not argv:
            raise InvalidConfigError("argv is empty")
        box, given = self.box(args), options.execution(args, "argv")
        return self.output(await box.exec(argv[0], argv[1:], **given))

    async def shell(self, args):
        given = options.execution(args, "script")
        return self.output(await self.box(args).shell(args["script"], **given))

    @staticmethod
    def output(o):
        return {
            "exit_code": o.exit_code,
            "signal": o.signal or 0,
            "stdout": said(o.stdout_bytes),
            "stderr": said(o.stderr_bytes),
            "success": o.success,
            "truncated": o.truncated,
        }

    async def exec_start(self, args):
        given = options.execution(args, "argv", "shell", "as")
        argv, box = args["argv"], self.box(args)
        start = box.shell_stream if args.get("shell") else box.exec_stream
        self.execs[args["as"]] = await start(argv[0], argv[1:], **given)

    async def exec_next(self, args):
        e = await self.command(args).recv(seconds(args))
        if e is None:
            return {"kind": None}
        got = {"kind": e.event_type, "pid": e.pid, "signal": e.signal or 0, "message": e.message}
        if e.event_type in ("stdout", "stderr"):
            got["data"] = said(e.data)
        if e.event_type == "exited":
            got["exit_code"] = e.code
        if e.event_type == "failed":
            got.update(errno=e.errno, stage=e.stage)
        return got

    async def exec_write(self, args):
        x = self.command(args)
        if not hasattr(x, "sink"):
            x.sink = x.take_stdin()
        await x.sink.write(data_of(args["data"]))

    async def exec_close_stdin(self, args):
        x = self.command(args)
        if not hasattr(x, "sink"):
            x.sink = x.take_stdin()
        await x.sink.close()

    async def exec_detach(self, args):
        await self.command(args).detach()

    async def exec_close(self, args):
        await self.command(args).close()
        del self.execs[args["exec"]]

    async def exec_signal(self, args):
        await self.command(args).signal(args["signal"])

    async def exec_resize(self, args):
        await self.command(args).resize(args["rows"], args["cols"])

    async def exec_wait(self, args):
        return {"exit_code": await self.command(args).wait(seconds(args))}

    async def exec_session(self, args):
        return {"session": self.command(args).id}

    async def exec_attach(self, args):
        self.execs[args["as"]] = await self.box(args).attach_session(args.get("session", 0))

    # ---- files

    async def fs_read(self, args):
        return {"data": said(await self.box(args).fs.read(args["path"]))}

    async def fs_write(self, args):
        names = ("mode", "append", "exclusive")
        given = {k: args[k] for k in names if k in args}
        await self.box(args).fs.write(args["path"], data_of(args["data"]), **given)

    async def fs_list(self, args):
        return {"entries": [file_entry(f) for f in await self.box(args).fs.list(args["path"])]}

    async def fs_stat(self, args):
        follow = not args.get("no_follow", False)
        return file_entry(await self.box(args).fs.stat(args["path"], follow_symlinks=follow))

    async def fs_exists(self, args):
        return {"exists": await self.box(args).fs.exists(args["path"])}

    async def fs_mkdir(self, args):
        await self.box(args).fs.mkdir(
            args["path"], mode=args.get("mode", 0o755), parents=args.get("recursive", False)
        )

    async def fs_remove(self, args):
        await self.box(args).fs.remove(
            args["path"],
            recursive=args.get("recursive", False),
            missing_ok=args.get("force", False),
        )

    async def fs_rename(self, args):
        replace = not args.get("no_replace", False)
        await self.box(args).fs.rename(args["from"], args["to"], replace=replace)

    async def fs_copy(self, args):
        await self.box(args).fs.copy(args["from"], args["to"])

    async def fs_symlink(self, args):
        await self.box(args).fs.symlink(args["target"], args["path"])

    async def fs_chmod(self, args):
        await self.box(args).fs.chmod(args["path"], args["mode"])

    async def fs_chown(self, args):
        await self.box(args).fs.chown(args["path"], args["uid"], args["gid"])

    async def fs_copy_in(self, args):
        await self.box(args).fs.copy_from_host(args["from"], args["to"])

    async def fs_copy_out(self, args):
        await self.box(args).fs.copy_to_host(args["from"], args["to"])

    async def fs_read_stream(self, args):
        count, digest = 0, hashlib.sha256()
        async for piece in await self.box(args).fs.read_stream(args["path"]):
            count += len(piece)
            digest.update(piece)
        return {"bytes": count, "sha256": digest.hexdigest()}

    async def fs_write_stream(self, args):
        left, at, digest = args["bytes"], 0, hashlib.sha256()
        pattern = bytes(range(251)) * 1024
        async with await self.box(args).fs.write_stream(args["path"]) as sink:
            while left:
                piece = pattern[at % 251 :][: min(left, 100_000)]
                await sink.write(piece)
                digest.update(piece)
                left, at = left - len(piece), at + len(piece)
        return {"sha256": digest.hexdigest()}

    async def logs(self, args):
        given = {k: args[k] for k in ("tail", "sources", "session") if k in args}
        record = await m.Sandbox.get(args["name"])
        return {
            "entries": [
                {"source": e.source, "data": said(e.data), "session": e.session_id or 0}
                for e in await record.logs(**given)
            ]
        }

    # ---- volumes, snapshots

    async def volume_create(self, args):
        args = dict(args)
        if "size_bytes" in args:
            args["size"] = Size(args.pop("size_bytes"))
        await m.Volume.create(args.pop("name"), **args)

    async def volume_list(self, args):
        return {"volumes": [volume(v) for v in await m.Volume.list()]}

    async def volume_inspect(self, args):
        return volume(await m.Volume.get(**args))

    async def volume_remove(self, args):
        await m.Volume.remove(**args)

    async def volume_prune(self, args):
        r = await m.Volume.prune()
        return {"names": list(r.names), "freed_bytes": r.bytes_reclaimed}

    async def snapshot_create(self, args):
        args = dict(args)
        await m.Snapshot.create(args.pop("sandbox_name"), args.pop("name"), **args)

    async def snapshot_list(self, args):
        return {"snapshots": [snapshot(s) for s in await m.Snapshot.list()]}

    async def snapshot_inspect(self, args):
        return snapshot(await m.Snapshot.get(**args))

    async def snapshot_verify(self, args):
        await m.Snapshot.verify(**args)

    async def snapshot_remove(self, args):
        await m.Snapshot.remove(**args)

    async def snapshot_save(self, args):
        await m.Snapshot.save(**args)

    async def snapshot_load(self, args):
        return {"name": (await m.Snapshot.load(args["path"], name=args.get("name"))).name}

    # ---- network

    async def net(self, args):
        return (await m.Sandbox.get(args["name"])).net

    async def net_explain(self, args):
        given = {k: args[k] for k in ("port", "protocol") if k in args}
        return await (await self.net(args)).explain(args["host"], **given)

    async def net_rules(self, args):
        return await (await self.net(args)).rules()

    async def net_ports(self, args):
        return {
            "ports": [
                {
                    "bind": p.bind,
                    "host": p.host_port,
                    "guest": p.guest_port,
                    "protocol": p.protocol,
                }
                for p in await (await self.net(args)).ports()
            ]
        }


def error_of(e):
    name = type(e).__name__
    if isinstance(e, asyncio.CancelledError):
        return {"code": "cancelled", "errno": 0, "message": "cancelled", "hint": "", "type": name}
    if isinstance(e, MicrosandboxError):
        return {
            "code": e.code_name,
            "errno": e.errno or 0,
            "message": e.message,
            "hint": e.hint,
            "type": name,
        }
    wrong = isinstance(e, (TypeError, ValueError, KeyError))
    code = "invalid" if wrong else "internal"
    return {"code": code, "errno": 0, "message": str(e) or name, "hint": "", "type": name}


async def answer(driver, request, out):
    try:
        work = getattr(driver, request["call"].replace(".", "_"), None)
        if work is None or request["call"].startswith("_"):
            raise InvalidConfigError(f"no call {request['call']!r}")
        got = {"result": (await work(request.get("args", {}))) or {}}
    except BaseException as e:  # all of them are answers
        got = {"error": error_of(e)}
    out.write(json.dumps({"id": request["id"], **got}).encode() + b"\n")
    out.flush()


def read_lines(loop, queue):
    for line in sys.stdin.buffer:
        loop.call_soon_threadsafe(queue.put_nowait, line)
    loop.call_soon_threadsafe(queue.put_nowait, None)


async def main():
    driver, tasks, queue = Driver(), {}, asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=read_lines, args=(loop, queue), daemon=True).start()
    while True:
        line = await queue.get()
        if line is None:
            break
        request = json.loads(line)
        if request["call"] == "cancel":
            task = tasks.get(request["args"]["id"])
            if task:
                task.cancel()
            request = {"id": request["id"], "call": "gc"}
        task = loop.create_task(answer(driver, request, sys.stdout.buffer))
        tasks[request["id"]] = task
        task.add_done_callback(lambda _, n=request["id"]: tasks.pop(n, None))


asyncio.run(main())
