// The driver of sdk/conformance: calls as lines of JSON, made through the SDK's public surface.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import * as args from "./arguments.mjs";

const msb = createRequire(import.meta.url)(process.env.MSB_NODE_PACKAGE);
const { Sandbox, Image, Volume, Snapshot } = msb;
const { take, invalid, snake, toBytes, fromBytes } = args;

const handles = new Map();
const running = new Map();

function handle(name, what) {
  const found = handles.get(name);
  if (!found) throw invalid(`there is no ${what} ${JSON.stringify(name)}`);
  return found;
}

function keep(name, value) {
  if (typeof name !== "string") throw invalid("as is missing");
  handles.set(name, value);
}

const sandboxOf = (a) => handle(a.sandbox, "sandbox");
const execOf = (a) => handle(a.exec, "command").exec;

function imageOf(image) {
  const i = image.info;
  return { ...snake(i), env: Object.entries(i.env).map(([k, v]) => `${k}=${v}`) };
}

const infoOf = (i) => ({ ...snake(i), flags: [...(i.kept ? ["keep"] : []), ...(i.detached ? ["detached"] : [])] });
const liveOf = (s) => ({ name: s.name, id: s.id, state: s.state });
const outputOf = (o) => ({
  exit_code: o.code,
  signal: o.signal,
  stdout: fromBytes(o.stdoutBytes()),
  stderr: fromBytes(o.stderrBytes()),
  success: o.success,
  truncated: o.stdoutTruncated || o.stderrTruncated,
});
const changesOf = (changes) => ({ changes });
const nothing = () => ({});

function execOptions(a, signal, more = {}) {
  const o = { ...more, signal };
  for (const [from, to] of [
    ["env", "env"],
    ["cwd", "cwd"],
    ["user", "user"],
    ["rlimits", "rlimits"],
    ["tty", "tty"],
    ["timeout_ms", "timeoutMs"],
    ["max", "maxOutputBytes"],
    ["rows", "rows"],
    ["cols", "cols"],
  ]) {
    if (a[from] !== undefined) o[to] = a[from];
  }
  return o;
}

const EXEC = ["sandbox", "env", "cwd", "user", "rlimits", "stdin", "tty", "timeout_ms", "max"];
const stdinOf = (a) => (a.stdin === undefined ? {} : { stdin: toBytes(a.stdin) });

async function pattern(fs, a, signal) {
  const hash = createHash("sha256");
  const out = await fs.writeStream(a.path, { signal });
  const block = Buffer.from(Array.from({ length: 251 * 1000 }, (_, i) => i % 251));
  for (let at = 0; at < a.bytes; at += block.length) {
    const piece = block.subarray(0, Math.min(block.length, a.bytes - at));
    hash.update(piece);
    await out.write(piece);
  }
  await out.close();
  return { sha256: hash.digest("hex") };
}

async function readAll(fs, a, signal) {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of await fs.readStream(a.path, { signal })) {
    bytes += piece.length;
    hash.update(piece);
  }
  return { bytes, sha256: hash.digest("hex") };
}

const wait = (a, signal) => ({ ...(a.timeout_ms === undefined ? {} : { timeoutMs: a.timeout_ms }), signal });
const pick = (a, names) =>
  Object.fromEntries(
    Object.entries(names)
      .filter(([k]) => a[k] !== undefined)
      .map(([k, to]) => [to, a[k]]),
  );

// name: [arguments, (arguments, signal) => result]
const calls = {
  version: [[], () => ({ version: msb.version() })],
  home: [[], async () => ({ path: (await msb.defaultHome()).path })],
  doctor: [[], async () => ({ checks: await msb.doctor() })],
  repair: [["dry_run"], async (a) => ({ done: await msb.repair(pick(a, { dry_run: "dryRun" })) })],
  gc: [[], () => (globalThis.gc?.(), {})],

  "image.pull": [
    ["reference", "policy", "force"],
    async (a, signal) =>
      imageOf(await Image.pull(a.reference, { ...pick(a, { policy: "policy", force: "force" }), signal })),
  ],
  "image.open": [["reference"], async (a) => imageOf(await Image.get(a.reference))],
  "image.list": [[], async () => ({ images: (await Image.list()).map(imageOf) })],
  "image.load": [
    ["path", "tag"],
    async (a, signal) => ({ references: await Image.load(a.path, { ...pick(a, { tag: "tag" }), signal }) }),
  ],
  "image.save": [
    ["references", "path", "format"],
    (a, signal) => Image.save(a.references, a.path, { ...pick(a, { format: "format" }), signal }).then(nothing),
  ],
  "image.users": [["reference"], async (a) => ({ names: await Image.users(a.reference) })],
  "image.remove": [["reference"], (a) => Image.remove(a.reference).then(nothing)],
  "image.prune": [["all"], async (a) => snake(await Image.prune(pick(a, { all: "all" })))],

  "sandbox.create": [
    ["as", ...args.OPTIONS],
    async (a, signal) => {
      const options = { ...args.sandboxOptions(a, msb), signal };
      if (a.start === false) {
        const record = await Sandbox.createStopped(options);
        return { name: record.name, state: record.state };
      }
      const sandbox = await Sandbox.create(options);
      keep(a.as, sandbox);
      return liveOf(sandbox);
    },
  ],
  "sandbox.open": [["as", "name"], async (a, signal) => opened(a, await Sandbox.connect(a.name, { signal }))],
  "sandbox.start": [["as", "name"], async (a, signal) => opened(a, await Sandbox.start(a.name, { signal }))],
  "sandbox.restart": [
    ["as", "name", "timeout_ms"],
    async (a, signal) => opened(a, await Sandbox.restart(a.name, wait(a, signal))),
  ],
  "sandbox.detach": [["sandbox"], (a) => sandboxOf(a).detach().then(nothing)],
  "sandbox.touch": [["sandbox"], (a) => sandboxOf(a).touch().then(nothing)],
  "sandbox.kill": [["sandbox"], (a) => sandboxOf(a).kill().then(nothing)],
  "sandbox.console": [["sandbox"], (a) => ({ console: sandboxOf(a).console })],
  "sandbox.stop": [["sandbox", "timeout_ms"], (a, signal) => sandboxOf(a).stop(wait(a, signal)).then(nothing)],
  "sandbox.wait": [["sandbox", "timeout_ms"], (a, signal) => sandboxOf(a).wait(wait(a, signal)).then(nothing)],
  "sandbox.state": [["sandbox"], (a) => ({ state: sandboxOf(a).state })],
  "sandbox.ping": [
    ["sandbox", "timeout_ms"],
    async (a, signal) => ({ ns: (await sandboxOf(a).ping(wait(a, signal))).ns }),
  ],
  "sandbox.metrics": [["sandbox"], async (a) => snake(await sandboxOf(a).metrics())],
  "sandbox.metrics_stream": [
    ["sandbox", "interval_ms", "count"],
    async (a, signal) => {
      const samples = [];
      for await (const m of sandboxOf(a).metricsStream(a.interval_ms, { signal })) {
        samples.push(snake(m));
        if (samples.length >= a.count) break;
      }
      return { samples };
    },
  ],
  "sandbox.close": [
    ["sandbox"],
    async (a) => {
      await sandboxOf(a).close();
      handles.delete(a.sandbox);
      return {};
    },
  ],
  "sandbox.inspect": [["name"], async (a) => infoOf(await Sandbox.inspect(a.name))],
  "sandbox.list": [
    ["labels"],
    async (a) => ({ sandboxes: (await Sandbox.list(pick(a, { labels: "labels" }))).map((s) => infoOf(s.info)) }),
  ],
  "sandbox.remove": [["name", "force"], (a) => Sandbox.remove(a.name, pick(a, { force: "force" })).then(nothing)],
  "sandbox.modify": [
    ["name", ...args.MODIFY],
    async (a) => changesOf(await Sandbox.modify(a.name, args.modifyOptions(a))),
  ],
  "sandbox.pending": [["name"], async (a) => changesOf(await Sandbox.pending(a.name))],

  exec: [
    [...EXEC, "argv"],
    async (a, signal) => {
      if (!Array.isArray(a.argv)) throw invalid("argv must be an array");
      return outputOf(await sandboxOf(a).exec(a.argv[0], a.argv.slice(1), execOptions(a, signal, stdinOf(a))));
    },
  ],
  shell: [
    [...EXEC, "script"],
    async (a, signal) => outputOf(await sandboxOf(a).shell(a.script, execOptions(a, signal, stdinOf(a)))),
  ],
  "exec.start": [
    ["as", "rows", "cols", "shell", ...EXEC, "argv"],
    async (a) => {
      const sandbox = sandboxOf(a);
      const options = execOptions(a, undefined, a.stdin ? { stdin: "pipe" } : {});
      const exec = a.shell
        ? await sandbox.shellStream(a.argv?.[0], { ...options, args: a.argv?.slice(1) })
        : await sandbox.execStream(a.argv?.[0], a.argv?.slice(1), options);
      keep(a.as, { exec, stdin: exec.takeStdin() });
      return {};
    },
  ],
  "exec.next": [["exec", "timeout_ms"], async (a, signal) => eventOf(await execOf(a).recv(wait(a, signal)))],
  "exec.write": [["exec", "data"], (a, signal) => stdin(a).write(toBytes(a.data), { signal }).then(nothing)],
  "exec.close_stdin": [["exec"], (a) => stdin(a).close().then(nothing)],
  "exec.detach": [["exec"], (a) => execOf(a).detach().then(nothing)],
  "exec.close": [
    ["exec"],
    async (a) => {
      await execOf(a).close();
      handles.delete(a.exec);
      return {};
    },
  ],
  "exec.signal": [["exec", "signal"], (a) => execOf(a).signal(a.signal).then(nothing)],
  "exec.resize": [["exec", "rows", "cols"], (a) => execOf(a).resize(a.rows, a.cols).then(nothing)],
  "exec.wait": [
    ["exec", "timeout_ms"],
    async (a, signal) => ({ exit_code: (await execOf(a).wait(wait(a, signal))).code }),
  ],
  "exec.session": [["exec"], (a) => ({ session: execOf(a).session })],
  "exec.attach": [
    ["as", "sandbox", "session"],
    async (a) => {
      const exec = await sandboxOf(a).attach(a.session);
      keep(a.as, { exec, stdin: exec.takeStdin() });
      return {};
    },
  ],

  "fs.read": [
    ["sandbox", "path"],
    async (a, signal) => ({ data: fromBytes(await sandboxOf(a).fs().read(a.path, { signal })) }),
  ],
  "fs.write": [
    ["sandbox", "path", "data", "mode", "append", "exclusive"],
    (a, signal) =>
      sandboxOf(a)
        .fs()
        .write(a.path, toBytes(a.data), {
          ...pick(a, { mode: "mode", append: "append", exclusive: "exclusive" }),
          signal,
        })
        .then(nothing),
  ],
  "fs.list": [
    ["sandbox", "path"],
    async (a) => ({ entries: (await sandboxOf(a).fs().list(a.path)).map((i) => snake(i)) }),
  ],
  "fs.stat": [
    ["sandbox", "path", "no_follow"],
    async (a) =>
      snake(
        await sandboxOf(a)
          .fs()
          .stat(a.path, pick(a, { no_follow: "noFollow" })),
      ),
  ],
  "fs.exists": [["sandbox", "path"], async (a) => ({ exists: await sandboxOf(a).fs().exists(a.path) })],
  "fs.mkdir": [
    ["sandbox", "path", "mode", "recursive"],
    (a) =>
      sandboxOf(a)
        .fs()
        .mkdir(a.path, pick(a, { mode: "mode", recursive: "recursive" }))
        .then(nothing),
  ],
  "fs.remove": [
    ["sandbox", "path", "recursive", "force"],
    (a) =>
      sandboxOf(a)
        .fs()
        .remove(a.path, pick(a, { recursive: "recursive", force: "force" }))
        .then(nothing),
  ],
  "fs.rename": [
    ["sandbox", "from", "to", "no_replace"],
    (a) =>
      sandboxOf(a)
        .fs()
        .rename(a.from, a.to, pick(a, { no_replace: "noReplace" }))
        .then(nothing),
  ],
  "fs.copy": [["sandbox", "from", "to"], (a, signal) => sandboxOf(a).fs().copy(a.from, a.to, { signal }).then(nothing)],
  "fs.symlink": [["sandbox", "target", "path"], (a) => sandboxOf(a).fs().symlink(a.target, a.path).then(nothing)],
  "fs.chmod": [["sandbox", "path", "mode"], (a) => sandboxOf(a).fs().chmod(a.path, a.mode).then(nothing)],
  "fs.chown": [["sandbox", "path", "uid", "gid"], (a) => sandboxOf(a).fs().chown(a.path, a.uid, a.gid).then(nothing)],
  "fs.copy_in": [
    ["sandbox", "from", "to"],
    (a, signal) => sandboxOf(a).fs().copyFromHost(a.from, a.to, { signal }).then(nothing),
  ],
  "fs.copy_out": [
    ["sandbox", "from", "to"],
    (a, signal) => sandboxOf(a).fs().copyToHost(a.from, a.to, { signal }).then(nothing),
  ],
  "fs.read_stream": [["sandbox", "path"], (a, signal) => readAll(sandboxOf(a).fs(), a, signal)],
  "fs.write_stream": [["sandbox", "path", "bytes"], (a, signal) => pattern(sandboxOf(a).fs(), a, signal)],

  logs: [
    ["name", "tail", "sources", "session"],
    async (a) => {
      const record = await Sandbox.get(a.name);
      const entries = await record.logs(pick(a, { tail: "tail", sources: "sources", session: "session" }));
      return { entries: entries.map((e) => ({ source: e.source, data: fromBytes(e.data), session: e.session })) };
    },
  ],

  "volume.create": [
    ["name", "kind", "size_bytes"],
    (a) => Volume.create(a.name, pick(a, { kind: "kind", size_bytes: "sizeBytes" })).then(nothing),
  ],
  "volume.list": [[], async () => ({ volumes: (await Volume.list()).map((v) => snake(v.info)) })],
  "volume.inspect": [["name"], async (a) => snake((await Volume.get(a.name)).info)],
  "volume.remove": [["name", "force"], (a) => Volume.remove(a.name, pick(a, { force: "force" })).then(nothing)],
  "volume.prune": [[], async () => snake(await Volume.prune())],

  "snapshot.create": [
    ["sandbox_name", "name", "labels", "replace", "integrity"],
    (a, signal) =>
      Snapshot.create(a.sandbox_name, a.name, {
        ...pick(a, { labels: "labels", replace: "replace", integrity: "integrity" }),
        signal,
      }).then(nothing),
  ],
  "snapshot.list": [[], async () => ({ snapshots: (await Snapshot.list()).map((s) => snake(s.info)) })],
  "snapshot.inspect": [["name"], async (a) => snake((await Snapshot.get(a.name)).info)],
  "snapshot.verify": [["name"], (a, signal) => Snapshot.verify(a.name, { signal }).then(nothing)],
  "snapshot.remove": [["name"], (a) => Snapshot.remove(a.name).then(nothing)],
  "snapshot.save": [
    ["name", "path", "with_image"],
    (a, signal) => Snapshot.save(a.name, a.path, { ...pick(a, { with_image: "withImage" }), signal }).then(nothing),
  ],
  "snapshot.load": [
    ["path", "name"],
    async (a, signal) => ({ name: (await Snapshot.load(a.path, { ...pick(a, { name: "name" }), signal })).name }),
  ],
  commit: [
    ["sandbox_name", "reference", "author", "message", "changes"],
    async (a, signal) => ({
      id: await msb.commit(a.sandbox_name, a.reference, {
        ...pick(a, { author: "author", message: "message", changes: "changes" }),
        signal,
      }),
    }),
  ],

  "net.explain": [
    ["name", "host", "port", "protocol"],
    (a) => msb.netExplain(a.name, a.host, pick(a, { port: "port", protocol: "protocol" })),
  ],
  "net.rules": [["name"], (a) => msb.netRules(a.name)],
  "net.ports": [["name"], async (a) => ({ ports: await msb.ports(a.name) })],
};

function opened(a, sandbox) {
  keep(a.as, sandbox);
  return liveOf(sandbox);
}

function stdin(a) {
  const sink = handle(a.exec, "command").stdin;
  if (!sink) throw invalid("the command has no pipe");
  return sink;
}

function eventOf(event) {
  if (!event) return { kind: null };
  const { eventType, data, code, ...rest } = event;
  return {
    kind: eventType,
    ...snake(rest),
    ...(data && { data: fromBytes(data) }),
    ...(code !== undefined && { exit_code: code }),
  };
}

function answer(id, value) {
  const text = JSON.stringify({ id, ...value }, (_, v) => (typeof v === "bigint" ? `@big:${v}@` : v));
  process.stdout.write(`${text.replace(/"@big:(\d+)@"/g, "$1")}\n`);
}

function errorOf(e) {
  if (e instanceof msb.MicrosandboxError) {
    return { code: e.codeName, errno: e.errno, message: e.message, hint: e.hint, type: e.name };
  }
  return { code: "internal", errno: 0, message: String(e?.stack ?? e), hint: "", type: e?.name ?? typeof e };
}

async function work({ id, call, args: given = {} }) {
  const stop = new AbortController();
  try {
    if (call === "cancel") {
      running.get(given.id)?.abort();
      return answer(id, { result: {} });
    }
    const [known, make] = Object.hasOwn(calls, call) ? calls[call] : [];
    if (!make) throw invalid(`there is no call ${call}`);
    running.set(id, stop);
    answer(id, { result: await make(take(given, known), stop.signal) });
  } catch (e) {
    answer(id, { error: errorOf(e) });
  } finally {
    running.delete(id);
  }
}

args.setErrors(msb);
const lines = createInterface({ input: process.stdin });
for await (const line of lines) {
  if (line.trim()) void work(JSON.parse(line));
}
await Promise.allSettled([...handles.values()].map((h) => (h instanceof Sandbox ? h : h.exec).close()));
