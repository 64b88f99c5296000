// The addon's tables, the two doors of the package, and what bad input gets. No machine runs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { addon, folder, image, msb, program } from "./lib.mjs";

const { Sandbox, Volume, Image, Snapshot, Patch, Secret, Network, InvalidConfigError } = msb;
const here = fileURLToPath(new URL(".", import.meta.url));

test("the tables are what the header says", () => {
  const api = JSON.parse(readFileSync(join(here, "../../api.json"), "utf8"));
  const layout = addon.layout();
  assert.equal(Object.keys(layout).length, api.structs.length);
  for (const s of api.structs) {
    assert.equal(layout[s.name].size, s.size, s.name);
    const members = Object.fromEntries(s.members.map((m) => [m.name, m.offset]));
    assert.deepEqual(layout[s.name].members, members, s.name);
  }
  execFileSync(process.execPath, [join(here, "../native/gen.mjs"), "--check"]);
});

test("import and require give the same things", async () => {
  const esm = await import(join(folder, "dist/entry.mjs"));
  const names = Object.keys(msb);
  assert.ok(names.length > 60);
  for (const name of names) assert.equal(esm[name], msb[name], name);
});

test("codes have their classes", async () => {
  const api = JSON.parse(readFileSync(join(here, "../../api.json"), "utf8"));
  const codes = api.enums.find((e) => e.name === "msb_code").values;
  const classes = Object.values(msb).filter(
    (c) => typeof c === "function" && c.prototype instanceof msb.MicrosandboxError,
  );
  for (const code of Object.values(codes).filter((n) => n > 0)) {
    const own = classes.map((c) => new c("x")).find((e) => e.code === code);
    assert.ok(own, `code ${code}`);
    assert.equal(own.codeName, addon.call(addon.functions.msb_code_name, [code]));
  }
  await assert.rejects(Sandbox.inspect("not-there"), (e) => {
    assert.ok(e instanceof msb.SandboxNotFoundError && e instanceof msb.NotFoundError && e instanceof Error);
    assert.deepEqual([e.name, e.code, e.codeName, e.errno], ["SandboxNotFoundError", 3, "not_found", 2]);
    assert.ok(e.hint.length > 0 && e.stack.includes("api.test"));
    return true;
  });
  await assert.rejects(Volume.get("not-there"), msb.VolumeNotFoundError);
  await assert.rejects(Image.get("not-there"), msb.ImageNotFoundError);
  await assert.rejects(Snapshot.get("not-there"), msb.SnapshotNotFoundError);
});

const made = { image, name: "bad" };
const bad = {
  "no options": () => Sandbox.create(),
  "no image": () => Sandbox.create({}),
  "image and snapshot": () => Sandbox.create({ image, fromSnapshot: "x" }),
  "image: a number": () => Sandbox.create({ image: 7 }),
  "image: empty": () => Sandbox.create({ image: "" }),
  "an option that is none": () => Sandbox.create({ ...made, memory: 512 }),
  "a NUL": () => Sandbox.create({ ...made, hostname: "a\0b" }),
  "cpus: text": () => Sandbox.create({ ...made, cpus: "1" }),
  "cpus: zero": () => Sandbox.create({ ...made, cpus: 0 }),
  "cpus: negative": () => Sandbox.create({ ...made, cpus: -1 }),
  "cpus: 2**32+1": () => Sandbox.create({ ...made, cpus: 2 ** 32 + 1 }),
  "cpus: a fraction": () => Sandbox.create({ ...made, cpus: 1.5 }),
  "cpus: NaN": () => Sandbox.create({ ...made, cpus: NaN }),
  "cpus: BigInt": () => Sandbox.create({ ...made, cpus: 1n }),
  "cpus: 65": () => Sandbox.create({ ...made, cpus: 65 }),
  "memory: too little": () => Sandbox.create({ ...made, memoryMib: 1 }),
  "memory: infinite": () => Sandbox.create({ ...made, memoryMib: Infinity }),
  "memory: twice": () => Sandbox.create({ ...made, memoryMib: 64, memoryBytes: 1 }),
  "env: a list": () => Sandbox.create({ ...made, env: ["A=b"] }),
  "env: a number": () => Sandbox.create({ ...made, env: { A: 1 } }),
  "env: = in a key": () => Sandbox.create({ ...made, env: { "A=": "b" } }),
  "env: an empty key": () => Sandbox.create({ ...made, env: { "": "b" } }),
  "env: reserved": () => Sandbox.create({ ...made, env: { MSB_X: "b" } }),
  "labels: null": () => Sandbox.create({ ...made, labels: null }),
  "detached: 1": () => Sandbox.create({ ...made, detached: 1 }),
  "patches: a text": () => Sandbox.create({ ...made, patches: ["x"] }),
  "volumes: a number": () => Sandbox.create({ ...made, volumes: { "/x": 1 } }),
  "a mount without source": () => Sandbox.create({ ...made, volumes: { "/x": new msb.MountBuilder() } }),
  "a mount with two": () => Volume.bind("/a").named("b"),
  "a relative target": () => Sandbox.create({ ...made, volumes: { x: Volume.tmpfs() } }),
  "ports: 65536": () => Sandbox.create({ ...made, ports: { 8080: 65536 } }),
  "ports: a text": () => Sandbox.create({ ...made, ports: { http: 80 } }),
  "network: a rule that is none": () => Sandbox.create({ ...made, network: { rules: ["maybe@x"] } }),
  "network: an option that is none": () => Sandbox.create({ ...made, network: { allow: [] } }),
  "network: a profile that is none": () => Sandbox.create({ ...made, network: "everything" }),
  "secret: no hosts": () => Sandbox.create({ ...made, secrets: [Secret.env("K", { value: "v-v-v" })] }),
  "secret: no place": () =>
    Sandbox.create({
      ...made,
      secrets: [Secret.env("K", { allowHosts: ["*"], injectHeaders: false, injectBasicAuth: false })],
    }),
  "secret: an action that is none": () => Secret.env("K", { onViolation: "laugh" }),
  "tls: a port": () => Sandbox.create({ ...made, tls: { ports: [0] } }),
  "signal: a number": () => Sandbox.create({ ...made, signal: 9 }),
  "engine: bochs": () => Sandbox.create({ ...made, engine: "bochs" }),
  "rlimits: text": () => Sandbox.create({ ...made, rlimits: "nofile=1" }),
  "rlimits: negative": () => Sandbox.create({ ...made, rlimits: { nofile: -1 } }),
  "init: no command": () => Sandbox.create({ ...made, init: {} }),
  "a name with a slash": () => Sandbox.create({ image, name: "../up" }),
  "builder: a name that is a number": () => Sandbox.builder(7),
  "builder: a volume of nothing": () => Sandbox.builder("bad").image(image).volume("/x", 3),
  "builder: env of a number": () => Sandbox.builder("bad").image(image).env("A", 1).create(),
  "createStopped without a name": () => Sandbox.createStopped({ image }),
  "modify: cpus": () => Sandbox.modify("x", { cpus: 0 }),
  "get: a number": () => Sandbox.get(7),
  "list: a text": () => Sandbox.list({ labels: "a" }),
  "remove: force": () => Sandbox.remove("x", { force: "yes" }),
  "home: a number": () => Sandbox.list({ home: 7 }),
  "volume: kind": () => Volume.create("v", { kind: "tape" }),
  "volume: size": () => Volume.create("v", { sizeBytes: -1 }),
  "volume: a name": () => Volume.create("../x"),
  "pull: policy": () => Image.pull(image, { policy: "sometimes" }),
  "pull: downloads": () => Image.pull(image, { downloads: 0 }),
  "pull: a callback that is none": () => Image.pull(image, { onProgress: 1 }),
  "save: format": () => Image.save(["x"], "/tmp/x", { format: "zip" }),
  "explain: port": () => msb.netExplain("x", "y", { port: 70000 }),
  "explain: protocol": () => msb.netExplain("x", "y", { protocol: "sctp" }),
  "patch: mode": () => Patch.text("/x", "y", { mode: 0o10000 }),
  "patch: data": () => Patch.text("/x", 1),
  "network only: a port": () => Network.only(["x.example"], [0]),
};

test("wrong types and values raise before anything starts", async (t) => {
  for (const [name, act] of Object.entries(bad)) {
    await t.test(name, async () => {
      await assert.rejects(
        async () => act(),
        (e) => {
          assert.ok(e instanceof InvalidConfigError, `${e?.name}: ${e?.message}`);
          assert.ok(e.message.length > 5);
          return true;
        },
      );
    });
  }
  assert.deepEqual(await Sandbox.list(), []);
  assert.deepEqual(await Volume.list(), []);
});

test("the addon itself takes nothing that is wrong", async () => {
  const f = addon.functions;
  const call = (name, args) => () => addon.call(f[name], args);
  const refused = (act, code = 2) => assert.throws(act, (e) => e.code === code);
  refused(call("msb_home_path", []));
  refused(call("msb_home_path", [{}]));
  refused(call("msb_home_path", [null]));
  refused(call("msb_code_name", [1, 2]));
  refused(call("msb_code_name", [2 ** 40]));
  refused(call("msb_code_name", ["x"]));
  refused(() => addon.call(9999, []));
  refused(() => addon.call("x", []));
  refused(() => addon.call(undefined, undefined));
  refused(() => addon.start(1, 9999, []));
  refused(() => addon.close({}));
  refused(() => addon.close(7));
  refused(() => addon.watch(-1), 8);
  addon.cancel(12345);
  addon.unwatch(12345);
  const home = await msb.defaultHome();
  refused(() => addon.start(1, f.msb_sandbox_inspect, [home.handle, "a\0b"]));
  refused(() => addon.start(1, f.msb_sandbox_create, [home.handle, { cpus: 2 ** 32 }]));
  refused(() => addon.start(1, f.msb_sandbox_create, [home.handle, { cpus: 1.5 }]));
  refused(() => addon.start(1, f.msb_sandbox_create, [home.handle, { env: ["a", 1] }]));
  refused(() => addon.start(1, f.msb_sandbox_create, [home.handle, { mounts: [null] }]));
  refused(() => addon.start(1, f.msb_sandbox_create, [home.handle, { image: home.handle }]));
  refused(() => addon.start(1, f.msb_sandbox_stop, [home.handle, 1]));
  assert.equal(addon.stats().users, 0);
});

test("a home that was closed says so", async () => {
  const home = await msb.Home.open(process.env.MSB_HOME);
  await home.close();
  await home.close();
  await assert.rejects(Sandbox.list({ home }), msb.GoneError);
});

test("a library or a kernel that is missing is an error that helps", async () => {
  const tell =
    'try { await msb.Sandbox.create({image, memoryMib: 64}); } catch (e) { console.log(e.name, "|", e.message, "|", e.hint); }';
  const none = await program(tell, { env: { MICROSANDBOX_LIBRARY: "/nowhere/libmicrosandbox.so.0" } });
  assert.match(none.out, /^LibraryNotFoundError \| .*\/nowhere\/libmicrosandbox.* \| .*MICROSANDBOX_LIBRARY/);
  const other = await program(tell, { env: { MICROSANDBOX_LIBRARY: "libz.so.1" } });
  assert.match(other.out, /^LibraryNotFoundError \| .*is not libmicrosandbox/);
  const parts = mkdtempSync(join(tmpdir(), "msb-parts-"));
  after(() => rmSync(parts, { recursive: true }));
  cpSync(join(process.env.MSB_RUNTIME, "msb-vmm"), join(parts, "msb-vmm"));
  const kernel = await program(tell, { env: { MSB_RUNTIME: parts } });
  assert.match(kernel.out, /^InstallError \| /);
});

test("an engine that cannot be used is an error, and nothing is left", async () => {
  const { out } = await program(
    `try { await msb.Sandbox.create({image, memoryMib: 64, bootTimeoutMs: 4000}); console.log("ready"); }
     catch (e) { console.log(e.name, e instanceof msb.MicrosandboxError); }
     console.log((await msb.Sandbox.list()).length)`,
    { env: { MSB_ENGINE: "kvm", MSB_BOOT_TIMEOUT: "4" } },
  );
  // On a host whose KVM is real, it runs.
  assert.match(out, /^((Boot|Unsupported|PermissionDenied|Install|Timeout)Error true\n0|ready\n1)\n$/);
});

test("whole policies mean what they are called", async () => {
  const { Network } = msb;
  const policies = {
    none: [Network.none(), {}],
    publicOnly: [Network.publicOnly(), { "1.1.1.1": "allow", "10.0.0.1": "deny", "169.254.169.254": "deny" }],
    allowAll: [Network.allowAll(), { "1.1.1.1": "allow", "10.0.0.1": "allow" }],
    profiles: [
      Network.fromProfiles("public", "private"),
      { "1.1.1.1": "allow", "10.0.0.1": "allow", "169.254.169.254": "deny" },
    ],
    only: [
      Network.only(["1.1.1.1", "api.example.com"], [443]),
      { "1.1.1.1": "allow", "1.1.1.2": "deny", "api.example.com": "allow", "example.org": "deny" },
    ],
    text: ["none", { "1.1.1.1": "deny" }],
    options: [{ rules: ["deny@1.1.1.0/24"] }, { "1.1.1.1": "deny", "9.9.9.9": "allow" }],
  };
  for (const [name, [network, verdicts]] of Object.entries(policies)) {
    const record = await Sandbox.createStopped({ name: `policy-${name}`, image, network });
    for (const [host, verdict] of Object.entries(verdicts)) {
      const said = await msb.netExplain(record.name, host, { port: 443 });
      assert.equal(said.verdict, verdict, `${name} ${host}: ${said.reason}`);
      if (/[a-z]/.test(host)) assert.equal(said.dns.verdict, verdict, `${name}: the name of ${host}`);
    }
    if (name === "none") await assert.rejects(msb.netExplain(record.name, "1.1.1.1"), msb.UnsupportedError);
    await record.remove();
  }
  const limited = await Sandbox.createStopped({
    name: "limited",
    image,
    network: {
      egressBytes: { perSecond: 1000, burst: 5000 },
      mtu: 1400,
      nameservers: ["9.9.9.9"],
      strict: true,
      logDenied: true,
    },
    tls: { intercept: true, bypass: ["*.bank.example"], ports: [443, "8443"] },
    init: { command: "auto", args: ["a"], env: { I: "i" } },
  });
  const { network, tls, init } = limited.info;
  assert.deepEqual(
    [network.egressBytes, network.mtu, network.nameservers],
    [{ perSecond: 1000, burst: 5000 }, 1400, ["9.9.9.9"]],
  );
  assert.deepEqual([tls.bypass, tls.ports, init], [["*.bank.example"], ["443", "8443"], "auto"]);
  await limited.remove();
});
