"""The command line as a driver of the suite: calls become msb commands."""
import base64
import concurrent.futures
import json
import pathlib
import re
import subprocess
import time

ANY_CODE = "*"  # msb says what is wrong in words; judge() takes it for any code
STATES = {"Created": "created", "Starting": "starting", "Running": "ready", "Stopped": "stopped", "Crashed": "crashed",
          "Failed": "failed"}
KINDS = {"dir": "mount-dir", "file": "mount-file", "named": "mount-named", "disk": "mount-disk"}


class Failed(Exception):
    """msb ended with an error."""


def as_bytes(data):
    if isinstance(data, dict):
        return base64.b64decode(data["base64"])
    return data.encode()


def as_text(data):
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    return {"base64": base64.b64encode(data).decode()} if text is None or "\0" in text else text


class CliDriver:
    """Same interface as conformance.Driver."""

    def __init__(self, env):
        self.env, self.names, self.owned, self.last = env, {}, set(), 0
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.running = {}

    # ---- the harness' side ----

    def send(self, call, args):
        self.last += 1
        self.running[self.last] = self.pool.submit(self.work, call, args)
        return self.last

    def answer(self, number):
        return self.running.pop(number).result()

    def close(self):
        for name in self.owned:
            self.run("remove", "--force", name, check=False)
        self.pool.shutdown()
        return 0

    def work(self, call, args):
        try:
            args = {"as_" if k == "as" else k: v for k, v in args.items()}
            return {"result": getattr(self, call.replace(".", "_"))(**args) or {}}
        except Failed as e:
            return {"error": {"code": ANY_CODE, "errno": ANY_CODE, "message": str(e)}}
        except TypeError as e:
            return {"error": {"code": "invalid", "message": f"{call}: {e}"}}

    # ---- msb ----

    def run(self, *argv, check=True, stdin=b"", text=True):
        r = subprocess.run([pathlib.Path(self.env["MSB_BUILD"]) / "msb", *map(str, argv)], env=self.env, input=stdin,
                           capture_output=True, timeout=240, check=False)
        if check and r.returncode != 0:
            error = r.stderr.decode(errors="replace")
            assert error.startswith("error: ") or "error: " in error, (argv, r)
            raise Failed(error)
        return r if not text else r.stdout.decode()

    def json(self, *argv):
        return json.loads(self.run(*argv, "--format", "json"))

    def version(self):
        return {"version": self.run("--version").split()[-1]}

    def doctor(self):
        return json.loads(self.run("doctor", "--format", "json", check=False, text=False).stdout)

    # ---- images ----

    @staticmethod
    def image(record):
        out = dict(record, id=record["digest"], platform=f"{record['os']}/{record['architecture']}")
        out.update((k, v) for k, v in record.get("config", {}).items() if k in ("env", "cmd", "entrypoint"))
        return out

    def image_open(self, reference):
        return self.image(self.json("image", "inspect", reference))

    def image_pull(self, reference, policy="missing", force=False):
        if policy == "never":
            return self.image_open(reference)
        self.run("pull", *(["--force"] if force or policy == "always" else []), reference)
        if reference.startswith("/"):  # it has a name of its own
            reference = self.json("image", "list")[0]["reference"]
        return self.image_open(reference)

    def image_list(self):
        return {"images": [self.image(i) for i in self.json("image", "list")]}

    def image_load(self, path, tag=None):
        out = self.run("load", "-i", path, *(["--tag", tag] if tag else []), text=False)
        return {"references": re.findall(r"\S+/\S+:\S+", (out.stdout + out.stderr).decode())[:1]}

    def image_save(self, references, path, format="docker"):
        self.run("save", *references, "-o", path, "--format", format)

    def image_remove(self, reference):
        self.run("image", "remove", reference)

    def image_prune(self, all=False):
        record = self.json("image", "prune", "--yes", *(["--all"] if all else []))
        return {"freed_bytes": record["bytes_reclaimed"], "removed_references": record["image_refs_removed"]}

    def commit(self, sandbox_name, reference, author=None, message=None, changes=()):
        extra = [w for c in changes for w in ("--change", c)]
        extra += ["--author", author] if author else []
        extra += ["--message", message] if message else []
        return {"id": self.run("commit", "--quiet", *extra, sandbox_name, reference).strip()}

    # ---- sandboxes ----

    def options(self, mounts=(), patches=(), network=None, secrets=(), env=None, labels=None, scripts=None, rlimits=(), cpus=None,
                memory_bytes=None, upper_bytes=None, max_duration_s=None, idle_timeout_s=None, workdir=None, user=None, hostname=None,
                shell=None, replace=False, snapshot=None):
        words = []
        for flag, value in (("cpus", cpus), ("workdir", workdir), ("user", user), ("hostname", hostname), ("shell", shell),
                            ("from-snapshot", snapshot), ("max-duration", max_duration_s), ("idle-timeout", idle_timeout_s)):
            words += [f"--{flag}={value}"] if value is not None else []
        words += [f"--memory={memory_bytes}B"] if memory_bytes is not None else []
        words += [f"--root-disk={upper_bytes}B"] if upper_bytes is not None else []
        words += ["--replace"] if replace else []
        for flag, pairs in (("env", env), ("label", labels), ("script-raw", scripts)):
            words += [f"--{flag}={k}={v}" for k, v in (pairs or {}).items()]
        words += [f"--rlimit={r}" for r in rlimits]
        words += [self.mount(**m) for m in mounts]
        if patches:
            file = pathlib.Path(self.env["MSB_HOME"]).parent / "patches.yaml"
            file.write_text(json.dumps({"patches": [self.patch(**p) for p in patches]}))
            words += ["--fs-conf", str(file)]
        words += self.network(**(network or {}))
        return words + [self.secret(**s) for s in secrets]

    @staticmethod
    def mount(kind, target, source=None, read_only=False, noexec=False, size_bytes=None):
        flags = [w for w, on in (("ro", read_only), ("noexec", noexec)) if on]
        if kind == "tmpfs":
            return f"--tmpfs={target}" + (f":{size_bytes}B" if size_bytes else "") + (":" + ",".join(flags) if flags else "")
        return f"--{KINDS[kind]}={source}:{target}" + (":" + ",".join(flags) if flags else "")

    @staticmethod
    def patch(kind, path, data=None, source=None, mode=None):
        key = {"text": "text", "append": "append", "mkdir": "mkdir", "remove": "remove", "symlink": "symlink", "copy": "copy_file"}[kind]
        body = {"dst" if kind == "copy" else "path": path}
        body.update({"content": data} if data is not None else {})
        body.update({"src" if kind == "copy" else "target": source} if source is not None else {})
        body.update({"mode": f"{mode:04o}"} if mode is not None else {})
        if kind == "symlink":
            body = {"link": path, "target": source}
        return {key: body}

    @staticmethod
    def network(profile=None, rules=(), ports=(), max_connections=None):
        words = [f"--net={profile}"] if profile else []
        words += [f"--net-rule={r}" for r in rules]
        words += [f"--port={p['host']}:{p['guest']}" for p in ports]
        return words + ([f"--max-connections={max_connections}"] if max_connections else [])

    def secret(self, env, hosts, value=None, query=False, violation=None):
        self.env[env] = value
        words = [w for w, on in (("query", query), (f"violation={(violation or '').replace('_', '-')}".replace("block-log", "block-and-log"), violation)) if on]
        return f"--secret={env}" + (":" + ",".join(words) if words else "") + "@" + ",".join(hosts)

    def handle(self, name):
        record = self.sandbox_inspect(name)
        return {"name": name, "id": record["id"], "state": record["state"]}

    def sandbox_create(self, as_=None, image=None, name=None, start=True, keep=True, detached=False, **options):
        words = self.options(**options) + ([] if start else ["--no-start"])
        words += [f"--name={name}"] if name is not None else []
        name = self.run("create", "--quiet", *words, *([image] if image else [])).strip() or name
        self.names[as_] = name
        if not detached and start:
            self.owned.add(name)
        return self.handle(name)

    def sandbox_open(self, as_, name):
        record = self.handle(name)
        if record["state"] != "ready":
            raise Failed(f"error: {name} does not run")
        self.names[as_] = name
        return record

    def sandbox_start(self, as_, name):
        self.run("start", "--quiet", name)
        self.names[as_] = name
        return self.handle(name)

    def sandbox_restart(self, as_, name, timeout_ms=10000):
        self.run("restart", "--quiet", f"--timeout={timeout_ms}ms", name)
        self.names[as_] = name
        return self.handle(name)

    def sandbox_stop(self, sandbox, timeout_ms=10000):
        self.run("stop", "--quiet", f"--timeout={timeout_ms}ms", self.names[sandbox])

    def sandbox_kill(self, sandbox):
        self.run("kill", "--quiet", self.names[sandbox])

    def sandbox_touch(self, sandbox):
        self.run("touch", "--quiet", self.names[sandbox])

    def sandbox_ping(self, sandbox):
        start = time.monotonic_ns()
        self.run("ping", "--quiet", self.names[sandbox])
        return {"ns": time.monotonic_ns() - start}

    def sandbox_state(self, sandbox):
        return {"state": self.sandbox_inspect(self.names[sandbox])["state"]}

    def sandbox_close(self, sandbox):
        name = self.names.pop(sandbox)
        if name in self.owned:
            self.owned.discard(name)
            self.run("remove", "--force", name, check=False)

    def sandbox_metrics(self, sandbox):
        m = self.json("metrics", self.names[sandbox])
        return dict(m, memory_bytes=m["memory_limit_bytes"], cpu_ns=m["vcpu_time_ns"], uptime_ns=m["uptime_secs"] * 10**9 + 1)

    def sandbox_metrics_stream(self, sandbox, interval_ms, count):
        return {"samples": [self.sandbox_metrics(sandbox) for _ in range(count) if time.sleep(interval_ms / 1000) is None]}

    @staticmethod
    def record(r):
        c = r["config"]
        return dict(c, name=r["name"], id=r["id"], state=STATES[r["status"]], memory_bytes=c["memory_mib"] << 20,
                    end_reason=(r["end"] or {}).get("reason", ""), exit_code=(r["end"] or {}).get("exit_code"),
                    flags=[w for w, on in (("keep", r["persistent"]), ("detached", r["detached"])) if on],
                    mounts=[dict(m, kind=m.get("kind", m.get("type"))) for m in c["mounts"]],
                    secrets=[dict(s, env=s.get("env", s.get("name")), hosts=s.get("hosts", s.get("allow"))) for s in c["secrets"]],
                    pending=r["pending_changes"], ports=r["ports"])

    def sandbox_inspect(self, name):
        record = self.json("inspect", name)
        return self.record(record[0] if isinstance(record, list) else record)

    def sandbox_list(self, labels=()):
        rows = self.json("list", *[f"--label={label}" for label in labels])
        return {"sandboxes": [self.sandbox_inspect(r["name"]) for r in rows]}

    def sandbox_remove(self, name, force=False):
        self.run("remove", "--quiet", *(["--force"] if force else []), name)
        self.owned.discard(name)

    def sandbox_modify(self, name, dry_run=False, env=None, env_rm=(), labels=None, labels_rm=(), cpus=None, memory_bytes=None):
        words = ["--dry-run"] if dry_run else ["--next-start"]
        words += [f"--cpus={cpus}"] if cpus is not None else []
        words += [f"--memory={memory_bytes}B"] if memory_bytes is not None else []
        words += [f"--env={k}={v}" for k, v in (env or {}).items()] + [f"--env-rm={k}" for k in env_rm]
        words += [f"--label={k}={v}" for k, v in (labels or {}).items()] + [f"--label-rm={k}" for k in labels_rm]
        changes = self.json("modify", *words, name)["changes"]
        return {"changes": [dict(c, effect="now" if "now" in c["effect"] or "next command" in c["effect"] else "next_start") for c in changes]}

    def sandbox_pending(self, name):
        return {"changes": self.sandbox_inspect(name)["pending"]}

    # ---- commands and files ----

    def exec(self, sandbox, argv, env=None, cwd=None, user=None, rlimits=(), stdin=None, tty=False):
        words = [f"--env={k}={v}" for k, v in (env or {}).items()] + [f"--rlimit={r}" for r in rlimits]
        words += [f"--workdir={cwd}"] if cwd else []
        words += [f"--user={user}"] if user else []
        words += ["--tty"] if tty else []
        r = self.run("exec", *words, self.names[sandbox], "--", *argv, check=False, text=False,
                     stdin=as_bytes(stdin) if stdin is not None else b"")
        if r.returncode == 125:
            raise Failed(r.stderr.decode())
        return {"exit_code": r.returncode, "signal": 0, "success": r.returncode == 0, "stdout": as_text(r.stdout),
                "stderr": as_text(r.stderr)}

    def shell(self, sandbox, script):
        return self.exec(sandbox, ["sh", "-c", script])

    def fs_copy_in(self, sandbox, **paths):
        self.run("copy", "--quiet", paths["from"], f"{self.names[sandbox]}:{paths['to']}")

    def fs_copy_out(self, sandbox, **paths):
        self.run("copy", "--quiet", f"{self.names[sandbox]}:{paths['from']}", paths["to"])

    def logs(self, name, tail=0, sources=("stdout",)):
        out = self.run("logs", *(["--tail", tail] if tail else []), "--source", ",".join(sources), "--json", name)
        names = {"stdout": "stdout", "stderr": "stderr"}
        return {"entries": [{"source": names.get(e["s"], e["s"]), "data": e["d"]} for e in map(json.loads, out.splitlines())]}

    # ---- volumes, snapshots, network ----

    def volume_create(self, name, kind="dir", size_bytes=None):
        self.run("volume", "create", "--quiet", "--kind", kind, *(["--size", f"{size_bytes}B"] if size_bytes else []), name)

    @staticmethod
    def volume(v):
        return dict(v, size_bytes=v["capacity_bytes"] or (v["quota_mib"] or 0) << 20, users=v["sandboxes"])

    def volume_list(self):
        return {"volumes": [self.volume(v) for v in self.json("volume", "list")]}

    def volume_inspect(self, name):
        return self.volume(self.json("volume", "inspect", name))

    def volume_remove(self, name, force=False):
        self.run("volume", "remove", "--quiet", *(["--force"] if force else []), name)

    def volume_prune(self):
        record = self.json("volume", "prune", "--yes")
        return {"names": record["volumes_removed"], "freed_bytes": record["bytes_reclaimed"]}

    def snapshot_create(self, sandbox_name, name, labels=None, replace=False, integrity=False):
        words = [f"--label={k}={v}" for k, v in (labels or {}).items()]
        words += [w for w, on in (("--force", replace), ("--integrity", integrity)) if on]
        self.run("snapshot", "create", "--quiet", "--from", sandbox_name, *words, name)

    @staticmethod
    def snapshot(s):
        return dict(s, image=s["image_ref"], content=s["content_digest"] or "")

    def snapshot_list(self):
        return {"snapshots": [self.snapshot(s) for s in self.json("snapshot", "list")]}

    def snapshot_inspect(self, name):
        return self.snapshot(self.json("snapshot", "inspect", name))

    def snapshot_verify(self, name):
        self.run("snapshot", "verify", name)

    def snapshot_remove(self, name):
        self.run("snapshot", "remove", "--quiet", name)

    def snapshot_save(self, name, path):
        self.run("snapshot", "save", name, path)

    def snapshot_load(self, path, name=None):
        self.run("snapshot", "load", path, *([name] if name else []))
        return {"name": name}

    def net_explain(self, name, host, port=0):
        return self.json("net", "explain", name, f"{host}:{port}" if port else host)

    def net_rules(self, name):
        return self.json("net", "rules", name)

    def net_ports(self, name):
        return {"ports": self.sandbox_inspect(name)["ports"]}

    def gc(self):
        pass
