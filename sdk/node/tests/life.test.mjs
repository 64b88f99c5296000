// How machines end with their process, and what is cancelled on the way. Each case is a process of its own.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fork } from "node:child_process";
import { Worker } from "node:worker_threads";
import { alive, folder, image, machines, msb, program, sleep, small, until, using } from "./lib.mjs";

const { Sandbox, Image } = msb;
const make = "const s = await msb.Sandbox.create({image, memoryMib: 64}); console.log((await s.inspect()).pid);";
const pidOf = ({ out }) => Number(/^\d+/m.exec(out)?.[0]);

const ends = {
  "by having no more to do": ["", 0],
  "while a command runs that nobody waits for": ["globalThis.h = await s.execStream('sleep', ['100']);", 0],
  "by process.exit() under a call": [
    "s.exec('sleep', ['100']); setTimeout(() => process.exit(3), 200); await s.wait();",
    3,
  ],
  "by an exception nobody catches": ["setTimeout(() => { throw new Error('oops') }, 100); await s.wait();", 1],
};

for (const [how, [more, code]] of Object.entries(ends)) {
  test(`a process that ends ${how} takes its machine with it`, async () => {
    const begin = Date.now();
    const result = await program(`${make} ${more}`);
    assert.equal(result.code, code, result.err);
    assert.ok(Date.now() - begin < 60_000); // of 100 s
    await until("the machine ends", () => !alive(pidOf(result)));
  });
}

for (const signal of ["SIGKILL", "SIGTERM"]) {
  test(`so does one that ends by ${signal}`, async () => {
    const result = await program(`${make} await s.wait();`, { kill: signal });
    assert.equal(result.signal, signal);
    await until("the machine ends", () => !alive(pidOf(result)));
  });
}

test("one that was detached lives on, and is found again", async () => {
  const { code, err } = await program(
    "await msb.Sandbox.create({name: 'stays', image, memoryMib: 64, detached: true});",
  );
  assert.equal(code, 0, err);
  const record = (await Sandbox.list()).find((s) => s.name === "stays");
  assert.deepEqual([record.name, record.state, record.info.detached], ["stays", "ready", true]);
  const box = await record.connect();
  assert.equal((await box.exec("echo", ["found"])).stdout(), "found\n");
  await assert.rejects(Sandbox.create({ name: "stays", image }), msb.SandboxAlreadyExistsError);
  await assert.rejects(Sandbox.remove("stays"), msb.SandboxStillRunningError);
  const changes = await box.modify({ memoryMib: 96, labels: { a: "b" } });
  assert.ok(changes.some((c) => c.field === "memory" && c.effect === "next_start"));
  assert.equal((await box.pending())[0].field, "memory");
  await box.stop();
  await box.close();
  assert.equal((await record.refresh()).state, "stopped");
  const snap = await record.snapshot("of-stays", { integrity: true, labels: { k: "v" } });
  assert.match(snap.digest, /^sha256:/);
  await snap.verify();
  await assert.rejects(record.snapshot("of-stays"), msb.AlreadyExistsError);
  const of = await snap.image();
  assert.equal(of.reference, "docker.io/library/busybox:latest");
  const again = await record.start();
  assert.equal((await again.metrics()).memoryBytes, 96 << 20);
  assert.equal(again.ownsLifecycle, true);
  await again.close();
  await record.remove({ force: true });
  await snap.remove();
  await assert.rejects(record.refresh(), msb.SandboxNotFoundError);
});

test("await using stops, and the data is there at the next start", async () => {
  await using(await Sandbox.create({ name: "kept", ...small }), (box) => box.fs().write("/root/f", "kept"));
  assert.deepEqual(
    (await Sandbox.list()).filter((s) => s.name === "kept").map((s) => s.state),
    ["stopped"],
  );
  const box = await Sandbox.start("kept");
  assert.equal(await box.fs().readToString("/root/f"), "kept");
  await box.stop();
  await box.close();
  await Sandbox.remove("kept");
  const stopped = await Sandbox.createStopped({ name: "later", image, command: ["sh", "-c", "exit 7"] });
  assert.equal(stopped.state, "created");
  const runs = await stopped.start();
  await runs.wait();
  await runs.close();
  assert.equal((await Sandbox.inspect("later")).exitCode, 7);
  await Sandbox.remove("later");
});

test("a creation that is cancelled leaves nothing", async () => {
  const begin = Date.now();
  const one = await Sandbox.create({ ...small, ephemeral: true });
  const whole = Date.now() - begin; // of a creation on this host, now; the next one may be much quicker
  await one.close();
  let cut = 0;
  for (const part of [0, 0.02, 0.05, 0.1, 0.3, 0.6, 0.9]) {
    const signal = AbortSignal.timeout(Math.round(part * whole));
    const made = await Sandbox.create({ name: "never", ...small, ephemeral: true, signal }).catch((e) => e);
    if (made instanceof Sandbox) await made.close();
    else assert.ok(++cut && made instanceof msb.CancelledError, String(made));
    await until(
      "it is off the record",
      async () => !(await Sandbox.list()).some((s) => s.state === "ready" || s.state === "starting"),
    );
    await Sandbox.remove("never", { force: true }).catch((e) => assert.ok(e instanceof msb.NotFoundError));
  }
  assert.ok(cut >= 3, `${cut} were cut, of creations of ${whole} ms`);
  await until("no machine is left", () => machines().length === 0);
});

test("a pull is cancelled, by signal and by its callback", async () => {
  // A registry that says nothing.
  const open = new Set();
  const silent = createServer((s) => open.add(s)).listen(0, "127.0.0.1");
  await new Promise((resolve) => silent.once("listening", resolve));
  after(() => (open.forEach((s) => s.destroy()), silent.close()));
  const reference = `127.0.0.1:${silent.address().port}/a/b:c`;
  const begin = Date.now();
  await assert.rejects(Image.pull(reference, { insecure: true, signal: AbortSignal.timeout(300) }), msb.CancelledError);
  assert.ok(Date.now() - begin < 15_000); // it never answers
  const session = Sandbox.createWithPullProgress({ image: reference, insecureRegistry: true });
  setTimeout(() => session.cancel(), 200);
  await assert.rejects(session.result(), msb.CancelledError);
  const bad = Image.pull(image, {
    force: true,
    onProgress: () => {
      throw new RangeError("of the callback");
    },
  });
  await assert.rejects(bad, RangeError);
  const kinds = [];
  const pulled = await Image.pull(image, { force: true, onProgress: (e) => kinds.push(e.kind) });
  assert.ok(kinds.includes("resolving") && kinds.at(-1) === "done", kinds.join());
  assert.equal(pulled.info.platform, "linux/amd64");
  const made = Sandbox.createWithPullProgress({ ...small });
  const seen = [];
  for await (const e of made.progress) seen.push(e.kind);
  await (await made.result()).close();
  assert.ok(seen.length > 0);
});

test("in a worker thread, which may be ended at any moment", async () => {
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    const msb = require(workerData.folder);
    msb.Sandbox.create({ image: workerData.image, memoryMib: 64 }).then(async (s) => {
      const out = await s.exec("echo", ["from a worker"]);
      parentPort.postMessage([out.stdout(), (await s.inspect()).pid]);
      await s.exec("sleep", ["1000"]);
    });`;
  const workers = [1, 2].map(() => new Worker(source, { eval: true, workerData: { folder, image } }));
  const said = await Promise.all(
    workers.map((w) => new Promise((resolve, reject) => w.once("message", resolve).once("error", reject))),
  );
  for (const [text] of said) assert.equal(text, "from a worker\n");
  await Promise.all(workers.map((w) => w.terminate()));
  for (const [, pid] of said) await until("its machine ends", () => !alive(pid));
  // The main thread goes on.
  assert.ok((await msb.doctor()).length > 3);
});

test("loaded twice, and in a child by fork()", async () => {
  const copy = mkdtempSync(join(tmpdir(), "msb-copy-"));
  after(() => rmSync(copy, { recursive: true }));
  cpSync(folder, copy, { recursive: true });
  const both = await program(`
    const other = require(${JSON.stringify(copy)});
    const [a, b] = await Promise.all([msb, other].map((m) => m.Sandbox.create({image, memoryMib: 64})));
    console.log((await a.exec("echo", ["a"])).stdout() + (await b.exec("echo", ["b"])).stdout());
    try { await other.Sandbox.prototype.exec.call(a, "true"); console.log("no"); } catch (e) { console.log(e.name); }
    await a.close(); await b.exec("true"); await b.close();`);
  assert.match(both.out, /^a\nb\n\n(InvalidConfigError|TypeError)\n$/, both.err);
  const box = await Sandbox.create(small);
  const child = fork(join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "child.cjs"), {
    stdio: "inherit",
  });
  const [names] = await new Promise((resolve, reject) =>
    child.once("message", (m) => resolve([m])).once("error", reject),
  );
  assert.deepEqual(names, [box.name]);
  assert.equal((await box.exec("echo", ["mine"])).stdout(), "mine\n");
  await box.close();
});

test("images: archives, commits, users, volumes", async () => {
  const dir = mkdtempSync(join(tmpdir(), "msb-images-"));
  after(() => rmSync(dir, { recursive: true }));
  await (await Image.pull(image)).close();
  await Image.save("busybox", join(dir, "a.tar"));
  await Image.save(["busybox"], join(dir, "b.tar"), { format: "oci" });
  assert.deepEqual(await Image.load(join(dir, "a.tar"), { tag: "again:1" }), ["docker.io/library/again:1"]);
  await Sandbox.createStopped({ name: "user", image: "again:1" });
  assert.deepEqual(await Image.users("again:1"), ["user"]);
  const id = await msb.commit("user", "made:1", { changes: ["ENV MADE=yes"], author: "me", message: "why" });
  assert.match(id, /^sha256:/);
  assert.equal((await Image.inspect("made:1")).env.MADE, "yes");
  await Sandbox.remove("user");
  for (const i of ["made:1", "again:1"]) await Image.remove(i);
  assert.ok((await Image.prune()).freedBytes >= 0);
  const volume = await msb.Volume.builder("v").quota(8).create();
  assert.deepEqual([volume.info.kind, volume.info.sizeBytes, volume.info.users], ["dir", 8 << 20, []]);
  await assert.rejects(msb.Volume.create("v"), msb.VolumeAlreadyExistsError);
  await msb.Volume.create("d", { kind: "disk", sizeMib: 32 });
  assert.deepEqual(
    (await msb.Volume.list()).map((v) => v.name),
    ["d", "v"],
  );
  await volume.remove();
  assert.deepEqual((await msb.Volume.prune()).names, ["d"]);
  assert.ok(Array.isArray(await msb.repair({ dryRun: true })));
  assert.equal(await msb.isInstalled(), true);
});

test("many sandboxes from one process", async () => {
  const count = Number(process.env.MSB_TEST_MANY ?? 8);
  const begin = Date.now();
  const cpu = process.cpuUsage();
  const before = process.memoryUsage.rss();
  const boxes = await Promise.all(
    Array.from({ length: count }, () => Sandbox.create({ image, memoryMib: 64, bootTimeoutMs: 600_000 })),
  );
  const ready = Date.now() - begin;
  const outs = await Promise.all(boxes.map((b, i) => b.exec("echo", [`${i}`])));
  assert.deepEqual(
    outs.map((o) => o.stdout()),
    boxes.map((_, i) => `${i}\n`),
  );
  const rss = process.memoryUsage.rss();
  assert.equal(machines().length >= count, true);
  await Promise.all(boxes.map((b) => b.close()));
  await until("all are gone", () => machines().length === 0, 60_000);
  const used = process.cpuUsage(cpu);
  console.log(
    `# ${count} sandboxes: ready after ${ready} ms, gone after ${Date.now() - begin} ms, ` +
      `this process: ${Math.round((used.user + used.system) / 1000)} ms CPU, ${Math.round((rss - before) / 1024)} KiB more memory`,
  );
});
