// One machine, and what is done with it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { openSync, closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { addon, alive, image, msb, sleep, small, until, using } from "./lib.mjs";

const { Sandbox, Patch, Volume } = msb;
let box;
let dir;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "msb-node-"));
  mkdirSync(join(dir, "share"));
  writeFileSync(join(dir, "share/in"), "shared");
  writeFileSync(join(dir, "file"), "one file");
  box = await Sandbox.builder("machine")
    .image(image)
    .cpus(1)
    .memory(128)
    .env("A", "b")
    .envs({ C: "d e" })
    .label("team", "x")
    .hostname("inside")
    .workdir("/tmp")
    .script("greet", "#!/bin/sh\necho hello $1\n")
    .volume("/share", (m) => m.bind(join(dir, "share")).readonly())
    .volume("/one", (m) => m.bind(join(dir, "file")))
    .volume("/fast", Volume.tmpfs().size(1).noexec())
    .patch((p) => p.text("/etc/motd", "patched\n").mkdir("/opt/dir"))
    .network((n) => n.profile("public").rule("deny@10.0.0.0/8"))
    .port(0, 8080)
    .secret((s) => s.env("TOKEN").value("the-real-value").allowHost("api.example.com"))
    .create();
});

after(async () => {
  await box?.close();
  await Sandbox.remove("machine", { force: true }).catch(() => undefined);
  rmSync(dir, { recursive: true });
});

test("the builder's options are those of the machine", async () => {
  const out = await box.shell(
    "hostname; pwd; echo $A $C; greet you; cat /share/in /one; echo; cat /etc/motd; ls -d /opt/dir; echo $TOKEN",
  );
  assert.match(
    out.stdout(),
    /^inside\n\/tmp\nb d e\nhello you\nsharedone file\npatched\n\/opt\/dir\nMSB_[0-9a-f]{32}\n$/,
  );
  assert.deepEqual([out.code, out.success, out.signal, out.stderr()], [0, true, 0, ""]);
  assert.equal((await box.shell("touch /share/x")).success, false);
  const info = await box.inspect();
  assert.deepEqual(info.labels, { team: "x" });
  assert.deepEqual(info.env, { A: "b", C: "d e" });
  assert.equal(info.kept, true);
  assert.deepEqual(
    info.mounts.map((m) => [m.kind, m.target, m.readonly]),
    [
      ["dir", "/share", true],
      ["file", "/one", false],
      ["tmpfs", "/fast", false],
    ],
  );
  assert.deepEqual(
    info.secrets.map((s) => [s.env, s.hosts]),
    [["TOKEN", ["api.example.com"]]],
  );
  const [port] = await box.ports();
  assert.ok(port.host > 0 && port.guest === 8080);
  assert.equal((await box.netExplain("10.1.2.3", { port: 80 })).verdict, "deny");
  assert.ok((await box.netRules()).rules.length > 1);
  assert.ok(box.walls.length > 0 && ["kvm", "qemu"].includes(box.engine) && box.accel !== "");
  const times = box.times;
  assert.ok(times.createNs < times.readyNs);
  assert.equal(typeof box.warning, "string");
  assert.equal(box.console, "");
});

test("commands: forms, input, output, errors", async () => {
  assert.equal((await box.exec("echo", ["a", "b"])).stdout(), "a b\n");
  assert.equal((await box.exec("echo", { args: ["c"], env: { X: "y" } })).stdout(), "c\n");
  assert.equal((await box.execWith("pwd", (e) => e.cwd("/usr"))).stdout(), "/usr\n");
  assert.equal((await box.exec("id", ["-u"], { user: "65534" })).stdout(), "65534\n");
  assert.equal((await box.shell("ulimit -n", { rlimits: { nofile: [64, 128] } })).stdout(), "64\n");
  assert.deepEqual(
    (await box.exec("cat", { stdin: Buffer.from([0, 255, 128]) })).stdoutBytes(),
    Buffer.from([0, 255, 128]),
  );
  const killed = await box.shell("kill -9 $$");
  assert.deepEqual([killed.code, killed.signal, killed.success], [137, 9, false]);
  const cut = await box.shell("yes | head -c 100000", { maxOutputBytes: 1000 });
  assert.deepEqual([cut.stdoutBytes().length, cut.stdoutTruncated, cut.stderrTruncated], [1000, true, false]);
  await assert.rejects(
    box.exec("no-such-program"),
    (e) => e instanceof msb.ExecFailedError && e.errno === 2 && e.stage === "exec",
  );
  let begun = "";
  for (let timeoutMs = 1000; begun === "" && timeoutMs <= 64_000; timeoutMs *= 8) {
    // A busy host may need longer for the first word.
    await assert.rejects(box.shell("echo begun; sleep 100", { timeoutMs }), (e) => {
      assert.ok(e instanceof msb.ExecTimeoutError && e instanceof msb.TimeoutError);
      begun = e.output.stdout();
      return true;
    });
  }
  assert.equal(begun, "begun\n");
  for (const wrong of [
    () => box.exec(7),
    () => box.exec(""),
    () => box.exec("ls", ["a\0"]),
    () => box.exec("ls", "-l"),
    () => box.exec("ls", [], { nope: 1 }),
    () => box.exec("ls", [], { timeoutMs: -1 }),
    () => box.exec("ls", [], { stdin: 7 }),
    () => box.attach("x"),
    () => box.fs().read(7),
    () => box.fs().write("/x", 7),
    () => box.fs().chmod("/x", 2 ** 33),
    () => box.metricsStream(0).next(),
  ]) {
    await assert.rejects(async () => wrong(), msb.InvalidConfigError);
  }
});

test("streams: events in order, input, resize, signals, wait", async () => {
  const h = await box.shellStream("echo one; read x; echo got $x >&2; exit 5", { stdin: "pipe" });
  assert.equal(typeof h.session, "bigint");
  const stdin = h.takeStdin();
  assert.equal(h.takeStdin(), null);
  const seen = [];
  for await (const e of h) {
    seen.push([e.eventType, e.data?.toString() ?? e.code]);
    if (e.eventType === "stdout") await stdin.write("two\n");
  }
  assert.deepEqual(seen.slice(1), [
    ["stdout", "one\n"],
    ["stderr", "got two\n"],
    ["exited", 5],
  ]);
  assert.equal(await h.recv(), null);
  assert.deepEqual(await h.wait(), { code: 5, success: false, signal: 0 });
  await h.close();
  await assert.rejects(h.signal("TERM"), msb.GoneError);

  const failed = await box.execStream("no-such-program");
  assert.equal((await failed.recv()).eventType, "failed");
  await assert.rejects(failed.wait(), msb.ExecFailedError);

  const tty = await box.shellStream("stty size; read x; stty size", { tty: true, rows: 33, cols: 101, stdin: "pipe" });
  assert.equal(tty.tty, true);
  const keys = tty.takeStdin();
  let text = "";
  for await (const e of tty) {
    if (e.eventType !== "stdout") continue;
    text += e.data;
    if (/33 101/.test(text) && !/44 120/.test(text)) {
      await tty.resize(44, 120);
      await keys.write("\n");
    }
  }
  assert.match(text, /33 101[^]*44 120/);

  const waits = await box.execStream("sleep", ["100"]);
  await assert.rejects(waits.wait({ timeoutMs: 200 }), msb.TimeoutError);
  await waits.signal("SIGTERM");
  assert.equal((await waits.wait()).code, 143);

  const late = await box.execStream("sleep", ["100"], { timeoutMs: 500 });
  await assert.rejects(late.wait(), msb.ExecTimeoutError);
});

test("much data both ways, and nobody waits for ever", async () => {
  const data = Buffer.alloc(3_000_000, "0123456789abcdef");
  const sum = createHash("sha256").update(data).digest("hex");
  const cat = await box.execStream("cat", { stdin: "pipe" });
  const stdin = cat.takeStdin();
  const written = stdin.write(data).then(() => stdin.close());
  const out = await cat.collect();
  await written;
  assert.equal(createHash("sha256").update(out.stdoutBytes()).digest("hex"), sum);
  const given = await box.execStream("sha256sum", { stdin: data });
  assert.match((await given.collect()).stdout(), new RegExp(`^${sum} `));
  // A writer whose command ends.
  const head = await box.execStream("head", ["-c", "1"], { stdin: "pipe" });
  const pipe = head.takeStdin();
  await Promise.all([pipe.write(data), head.collect()]);
});

test("no event loop is blocked", async () => {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 10);
  const busy = box.exec("sleep", ["6"]);
  const stream = await box.shellStream("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
  let bytes = 0;
  for await (const e of stream) bytes += e.data?.length ?? 0;
  await busy;
  clearInterval(timer);
  assert.ok(bytes > 100_000);
  assert.ok(longest < 3000, `the loop stood for ${longest} ms`);
});

test("thirty commands at once", async () => {
  const outs = await Promise.all(Array.from({ length: 30 }, (_, i) => box.shell(`sleep 0.3; echo ${i}`)));
  assert.deepEqual(
    outs.map((o) => o.stdout()),
    outs.map((_, i) => `${i}\n`),
  );
  assert.ok(addon.stats().workers >= 25, "the pool did not grow");
});

test("AbortSignal ends calls, and what they did", async () => {
  const abort = new AbortController();
  const reason = new Error("not wanted any more");
  const begun = Date.now();
  setTimeout(() => abort.abort(reason), 700);
  await assert.rejects(box.shell("echo $$ > /tmp/pid; exec sleep 1000", { signal: abort.signal }), (e) => {
    assert.ok(e instanceof msb.CancelledError);
    assert.equal(e.cause, reason);
    return true;
  });
  assert.ok(Date.now() - begun < 15_000); // of 1000 s
  assert.equal((await box.shell("sleep 0.3; kill -0 $(cat /tmp/pid) 2>/dev/null && echo alive; true")).stdout(), "");
  await assert.rejects(box.exec("true", [], { signal: abort.signal }), msb.CancelledError);
  for (const wait of [
    (signal) => box.wait({ signal }),
    (signal) => box.fs().copyFromHost("/proc/version", "/tmp/v", { signal: AbortSignal.abort() }),
    async (signal) => {
      const h = await box.execStream("sleep", ["1000"], { signal });
      for await (const _ of h);
    },
    async (signal) => {
      await using(await box.execStream("sleep", ["1000"]), async (h) => {
        for (;;) await h.recv({ signal });
      });
    },
    async (signal) => {
      for await (const _ of box.metricsStream(60_000, { signal }));
    },
    async (signal) => {
      for await (const _ of await box.logStream({ tail: 1, signal }));
    },
  ]) {
    const begin = Date.now();
    await assert.rejects(wait(AbortSignal.timeout(300)), msb.CancelledError, String(wait));
    assert.ok(Date.now() - begin < 15_000, String(wait)); // of 60 s at least
  }
});

test("files", async () => {
  const fs = box.fs();
  await fs.mkdir("/tmp/d/e", { recursive: true });
  await fs.write("/tmp/d/a", "grün\n", { mode: 0o600 });
  await fs.write("/tmp/d/a", "more", { append: true });
  assert.equal(await fs.readToString("/tmp/d/a"), "grün\nmore");
  await assert.rejects(fs.write("/tmp/d/a", "x", { exclusive: true }), msb.AlreadyExistsError);
  const info = await fs.stat("/tmp/d/a");
  assert.deepEqual([info.kind, info.sizeBytes, info.mode & 0o777, info.uid], ["file", 10, 0o600, 0]);
  assert.ok(info.modified instanceof Date);
  await fs.symlink("/tmp/d/a", "/tmp/link");
  assert.equal((await fs.stat("/tmp/link", { noFollow: true })).kind, "symlink");
  await fs.chmod("/tmp/d/a", 0o644);
  await fs.chown("/tmp/d/a", 7, 8);
  await fs.copy("/tmp/d", "/tmp/d2");
  await fs.rename("/tmp/d2", "/tmp/d3");
  assert.deepEqual(
    (await fs.list("/tmp/d3")).map((e) => [e.path, e.kind]),
    [
      ["a", "file"],
      ["e", "directory"],
    ],
  );
  await assert.rejects(fs.remove("/tmp/d3"), (e) => e.errno === 39);
  await fs.removeDir("/tmp/d3");
  assert.equal(await fs.exists("/tmp/d3"), false);
  await assert.rejects(fs.read("/tmp/d3/a"), msb.PathNotFoundError);
  await assert.rejects(fs.read("/tmp/d/a", { maxBytes: 3 }), msb.NoSpaceError);
  assert.deepEqual(
    (await fs.list("/share")).map((e) => e.path),
    ["in"],
  );

  const big = Buffer.alloc(2_000_000, "x");
  const writer = await fs.writeStream("/tmp/big");
  await Promise.all([writer.write(big), writer.write("end")]);
  await writer.close();
  let read = 0;
  for await (const chunk of await fs.readStream("/tmp/big")) read += chunk.length;
  assert.equal(read, 2_000_003);
  const part = [];
  for await (const chunk of await fs.readStream("/tmp/big", { offset: 1_999_999, length: 3 })) part.push(chunk);
  assert.equal(Buffer.concat(part).toString(), "xen");
  await using(await fs.writeStream("/tmp/dropped"), (dropped) => dropped.write("half"));
  assert.equal(await fs.exists("/tmp/dropped"), false);

  await fs.copyFromHost(join(dir, "share"), "/tmp/tree", { owner: false, follow: true });
  await fs.copyToHost("/tmp/tree", join(dir, "back"));
  assert.equal(readFileSync(join(dir, "back/in"), "utf8"), "shared");
  const tar = openSync(join(dir, "x.tar"), "w+");
  await fs.createTar("/tmp/tree", tar);
  closeSync(tar);
  const again = openSync(join(dir, "x.tar"), "r");
  await fs.mkdir("/tmp/untar");
  await fs.extractTar(again, "/tmp/untar");
  closeSync(again);
  assert.equal(await fs.readToString("/tmp/untar/tree/in"), "shared");
  await fs.copyToSandbox("/tmp/tree/in", box, "/tmp/across");
  assert.equal(await fs.readToString("/tmp/across"), "shared");
  writeFileSync(join(dir, "large"), Buffer.alloc(16 << 20));
  const thrown = fs.copyFromHost(join(dir, "large"), "/tmp/large", {
    onProgress: () => {
      throw new RangeError("of the callback");
    },
  });
  await assert.rejects(thrown, RangeError);
  assert.equal(await fs.exists("/tmp/large"), false);
});

test("metrics, logs, ping, touch", async () => {
  const m = await box.metrics();
  assert.ok(m.cpus === 1 && m.memoryBytes === 128 << 20 && m.uptimeNs > 0 && m.timestamp instanceof Date);
  const samples = [];
  for await (const s of box.metricsStream(100)) {
    samples.push(s);
    if (samples.length === 3) break;
  }
  assert.ok(samples[2].timeNs - samples[0].timeNs > 150e6 && samples[2].cpuPercent >= 0);
  assert.ok((await box.ping()).ns > 0);
  await box.touch();
  const h = await box.execStream("echo", ["for the log"]);
  await h.wait();
  await until(
    "the log",
    async () => (await box.logs({ session: h.session })).map((e) => e.text()).join("") === "for the log\n",
  );
  const [last] = await box.logs({ tail: 1, sources: ["stdout"], session: h.session });
  assert.ok(last.source === "stdout" && last.session === h.session && last.timestamp instanceof Date);
  const follow = await box.logStream({ tail: 1, sources: ["stdout"] });
  const seen = (async () => {
    for await (const e of follow) if (e.text().includes("later")) return true;
  })();
  await sleep(100);
  await box.exec("echo", ["later"]);
  assert.equal(await seen, true);
});

test("a command is detached, and taken back", async () => {
  const h = await box.shellStream("echo begun; read x; echo done $x", { stdin: "pipe" });
  await h.recv();
  const session = h.session;
  await h.detach();
  const again = await box.attach(session);
  await again.takeStdin().write("with it\n");
  assert.match((await again.collect()).stdout(), /done with it\n/);
});

test("handles go in any order, by the collector too", async () => {
  const before = addon.stats().handles;
  // A function of its own: a frame that sleeps keeps what its variables held.
  async function make(i) {
    await box.execStream("sleep", ["1000"]);
    await msb.Image.list();
    const other = await Sandbox.connect("machine");
    const h = await other.execStream("sleep", ["1000"]);
    if (i % 2) await other.close();
    else await h.close();
    await other
      .fs()
      .readStream("/etc/motd")
      .catch(() => undefined);
  }
  for (let i = 0; i < 10; i++) await make(i);
  await until("what nobody has goes", async () => {
    globalThis.gc();
    await sleep(20);
    return addon.stats().handles <= before;
  });
  assert.equal((await box.exec("echo", ["still"])).stdout(), "still\n");
  let left;
  const sleepers = async () => (globalThis.gc(), (left = (await box.shell("ps | grep [s]leep")).stdout()) === "");
  await until("their commands go, too", sleepers).catch(() => assert.equal(left, ""));
});

test("close cancels what waits", async () => {
  const other = await Sandbox.connect("machine");
  assert.equal(other.ownsLifecycle, false);
  const waits = other.exec("sleep", ["1000"]);
  const rejected = assert.rejects(waits, msb.CancelledError);
  await sleep(300);
  await other.close();
  await rejected;
  await assert.rejects(other.exec("true"), msb.SandboxNotRunningError);
  assert.equal(box.state, "ready");
});

test("its machine is killed in mid-stream", async () => {
  const { pid } = await box.inspect();
  const h = await box.shellStream("while :; do echo x; sleep 0.05; done");
  const one = box.exec("sleep", ["1000"]);
  const gone = assert.rejects(one, msb.SandboxNotRunningError);
  const ended = assert.rejects(async () => {
    let count = 0;
    for await (const e of h) {
      if (e.eventType === "stdout" && ++count === 3) process.kill(pid, "SIGKILL");
    }
  }, msb.SandboxNotRunningError);
  await Promise.all([gone, ended]);
  await until("it is gone", () => !alive(pid));
  await box.wait();
  assert.notEqual(box.state, "ready");
  await assert.rejects(box.exec("true"), msb.SandboxNotRunningError);
  await assert.rejects(box.fs().read("/etc/motd"), msb.SandboxNotRunningError);
  await until("the record knows", async () => (await Sandbox.get("machine")).state === "crashed");
});
