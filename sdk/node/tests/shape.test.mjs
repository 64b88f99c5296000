// Programs in the shape of the Rust system's SDK, of which only the import was changed.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { image, msb, using } from "./lib.mjs";

const { allSandboxMetrics, Destination, GiB, Image, install, KiB, MiB, NetworkPolicy, NetworkBuilder } = msb;
const { PortRange, Rule, Sandbox, SandboxBuilder, SecretBuilder, Snapshot, Volume } = msb;

// ---- what reaches the library

const network = (make) => make(new NetworkBuilder()).native;

test("sizes are MiB", () => {
  assert.deepEqual([KiB(2048), MiB(512), GiB(2)], [2, 512, 2048]);
  assert.equal(Sandbox.builder("n").memory(GiB(1)).build().memoryMib, 1024);
});

test("a policy is rules and defaults", () => {
  const built = NetworkPolicy.builder()
    .defaultAllow()
    .egress((e) => e.denyDomain("ads.example.com").denyDomainSuffix(".evil.example"))
    .rule((r) => r.ingress().tcp().ports([80, 443]).portRange(8000, 8010).allow((d) => d.ip("2001:db8::1")))
    .any((r) => r.denyMeta().allowLocal())
    .build();
  const { rules, default_egress, default_ingress } = network((n) => n.policy(built));
  assert.deepEqual(rules, [
    "deny:egress@domain=ads.example.com",
    "deny:egress@suffix=evil.example",
    "allow:ingress@[2001:db8::1]:tcp:80",
    "allow:ingress@[2001:db8::1]:tcp:443",
    "allow:ingress@[2001:db8::1]:tcp:8000-8010",
    "deny:any@meta",
    "allow:any@loopback",
    "allow:any@link-local",
    "allow:any@host",
  ]);
  const allowed = network((n) => n.defaultEgress("allow").defaultIngress("allow"));
  assert.deepEqual([default_egress, default_ingress], [allowed.default_egress, allowed.default_ingress]);

  const plain = { defaultEgress: "deny", defaultIngress: "allow", rules: [Rule.allowDns()] };
  plain.rules.push({ ...Rule.allowEgress(Destination.cidr("10.0.0.0/8")), ports: [PortRange.single(53)] });
  assert.deepEqual(network((n) => n.policy(plain)).rules, ["allow:egress@dns", "allow:egress@10.0.0.0/8:any:53"]);
  assert.deepEqual(NetworkPolicy.fromProfiles(["public"]).rules.length, 2);
  assert.deepEqual(network((n) => n.policy(NetworkPolicy.none())).rules, []);
  assert.throws(() => NetworkPolicy.builder().rule((r) => r.allowPublic()), msb.InvalidConfigError);
  assert.throws(() => network((n) => n.policy({ rules: [{ action: "allow" }] })), msb.InvalidConfigError);
});

test("name servers, TLS and secrets of a network", () => {
  const n = new NetworkBuilder()
    .dns((d) => d.nameservers(["127.0.0.1:53"]).rebindProtection(false).queryTimeoutMs(1500))
    .tls((t) =>
      t
        .bypass("*.example.net")
        .verifyUpstream(true)
        .interceptedPorts([443, 8443])
        .upstreamCaCert("/ca.pem")
        .upstreamCaCertFor("api.internal", "/api.pem")
        .verifyUpstreamFor("*.preview.internal", false),
    )
    .onSecretViolation((v) => v.blockAndTerminate())
    .secret((s) => s.env("K").value("v").allowHostPattern("*.example.com"))
    .rateLimiter((r) => r.egress((l) => l.bandwidth(1000, 500).ops(10, 1000)));
  assert.deepEqual(n.native.egress_bytes, { per_second: 2000, burst: 1000 });
  assert.deepEqual([n.native.egress_packets.per_second, n.native.ingress_bytes], [10, undefined]);
  assert.deepEqual([n.native.nameservers, n.native.dns_timeout_ms], [["127.0.0.1:53"], 1500]);
  assert.deepEqual(n.tlsOptions, {
    intercept: true,
    bypass: ["*.example.net"],
    ports: [443, 8443],
    upstreamCas: ["/ca.pem"],
    upstreamCasFor: ["api.internal=/api.pem"],
    noVerifyFor: ["*.preview.internal"],
    onViolation: "block-and-terminate",
  });
  assert.deepEqual(n.secrets[0].native.hosts, ["*.example.com"]);
  assert.deepEqual(new SecretBuilder().env("K").allowAnyHostDangerous(true).native.hosts, ["*"]);
  assert.throws(() => new NetworkBuilder().tls((t) => t.verifyUpstreamFor("a", true)), msb.UnsupportedError);
});

test("options of the builder in other words", async () => {
  const b = new SandboxBuilder("n")
    .image("alpine")
    .rootDisk((d) => d.tmpfs().size(64))
    .rlimitRange("nofile", 1, 2)
    .init("/sbin/init", ["-x"])
    .entrypoint(["/bin/sh"])
    .vsock("/run/a.sock", 5000)
    .vsockDgram("/run/b.sock", 1);
  const { upper, diskMib, rlimits, init, network: n } = b.build();
  assert.deepEqual([upper, diskMib, rlimits.nofile], ["tmpfs", 64, [1, 2]]);
  assert.deepEqual(init, { command: "/sbin/init", args: ["-x"] });
  assert.deepEqual(n.native.vsock, ["/run/a.sock:5000", "/run/b.sock:1/dgram"]);
  const more = new SandboxBuilder("n").initWith("auto", (i) => i.arg("-x").env("A", "b")).registry((r) => r.insecure());
  assert.deepEqual(more.build().init, { command: "auto", args: ["-x"], env: { A: "b" } });
  assert.equal(more.build().insecureRegistry, true);
  assert.equal(Sandbox.builder("n").rootDisk(GiB(1)).build().diskMib, 1024);
  await assert.rejects(b.entrypoint(["/bin/sh", "-c"]).create(), msb.UnsupportedError);
  const named = await new msb.MountBuilder().namedWith("d", "ensure-exists", "disk", 64).toNative("/d");
  assert.deepEqual([named.source, named.size_bytes], ["d", 64 * 2 ** 20]);
});

// ---- machines

test("the life of a name", async () => {
  await install();
  const sandbox = await Sandbox.builder("worker").image(image).memory(MiB(128)).label("team", "a").connectOrCreate();
  const again = await Sandbox.builder("worker").image(image).memory(MiB(999)).connectOrCreate();
  assert.equal(again.id, sandbox.id);
  const page = await Sandbox.listWith((l) => l.label("team", "a").limit(1));
  assert.deepEqual([page.sandboxes.map((s) => s.name), page.nextCursor], [["worker"], undefined]);
  assert.ok((await Sandbox.list()).sandboxes.some((s) => s.name === "worker" && s.status === "running"));
  assert.equal((await Sandbox.listWith((l) => l.cursor("worker"))).sandboxes.some((s) => s.name === "worker"), false);

  const running = await (await Sandbox.get("worker")).connectOrStart();
  assert.equal((await running.shell("echo here")).stdout(), "here\n");
  assert.equal((await (await Sandbox.get("worker")).ping()).name, "worker");
  await running.requestStop();
  const stopped = await running.waitForStatus("stopped");
  assert.equal((await stopped.waitUntilStopped()).status, "stopped");
  const started = await stopped.connectOrStart();
  const next = await started.restart();
  await next.killWithTimeout(20_000);
  assert.equal((await next.waitForStatus("stopped")).status, "stopped");
  const restarted = await (await Sandbox.get("worker")).restart({ force: true });
  assert.equal((await restarted.exec("echo", ["again"])).stdout(), "again\n");
  await restarted.destroy();
  await assert.rejects(Sandbox.get("worker"), msb.SandboxNotFoundError);
  // A record means one sandbox, not whoever has its name now.
  await using(await Sandbox.create({ name: "worker", image, memoryMib: 64 }), async (other) => {
    for (const stale of ["start", "kill", "remove", "refresh", "restart"]) {
      await assert.rejects(stopped[stale](), msb.SandboxNotFoundError, stale);
    }
    assert.notEqual(other.id, sandbox.id);
    assert.deepEqual([await other.ports(), (await other.netRules()).rules.length > 0], [[], true]);
  });
  await Sandbox.remove("worker");
});

test("commands, files, logs and numbers", async () => {
  const box = await Sandbox.builder("shape-1").image(image).cpus(1).memory(MiB(128)).replace().create();
  await using(box, async (sandbox) => {
    const out = await sandbox.execWith("sh", (e) =>
      e.args(["-c", "pwd; echo $A; ulimit -n"]).cwd("/tmp").env("A", "b").rlimit("nofile", 64).timeout(30_000),
    );
    assert.deepEqual([out.stdout(), out.code], ["/tmp\nb\n64\n", 0]);

    let wrote = "";
    let ended;
    for await (const event of await sandbox.execStream("sh", ["-c", "echo out; echo err >&2; exit 3"])) {
      if (event.kind === "stdout") wrote += event.data.toString();
      if (event.kind === "exited") ended = event.code;
    }
    assert.deepEqual([wrote, ended], ["out\n", 3]);
    const handle = await sandbox.execStreamWith("cat", (e) => e.stdinPipe());
    const stdin = await handle.takeStdin();
    await stdin.write("in\n");
    await stdin.close();
    assert.equal((await handle.collect()).stdout(), "in\n");

    const fs = sandbox.fs();
    await fs.mkdir("/work");
    await fs.write("/work/config.json", '{"debug": true}');
    assert.equal(await fs.readToString("/work/config.json"), '{"debug": true}');
    assert.deepEqual((await fs.list("/work")).map((e) => [e.kind, e.size]), [["file", 15]]);
    assert.equal((await (await fs.readStream("/work/config.json")).collect()).length, 15);
    assert.ok(await (await fs.readStream("/work/config.json")).recv());

    const entries = await sandbox.logs({ sources: ["all"], since: new Date(1) });
    assert.ok(entries.some((e) => e.text() === "err\n" && e.sessionId > 0));
    const m = await sandbox.metrics();
    assert.ok(m.memoryLimitBytes === 128 * 2 ** 20 && m.uptimeMs > 0 && m.vcpuTimeNs > 0);
    for await (const sample of await sandbox.metricsStream(100)) {
      assert.ok(sample.timestamp instanceof Date);
      break;
    }
    assert.ok((await allSandboxMetrics())["shape-1"].memoryHostResidentBytes > 0);
    const plan = await sandbox.modify({ memory: 160, envRemove: ["NONE"], secrets: {}, dryRun: true });
    assert.ok(plan.some((c) => c.field.startsWith("memory")));
  });
  await Sandbox.remove("shape-1");
});

test("volumes, snapshots and patches", async () => {
  const dir = mkdtempSync(join(tmpdir(), "msb-shape-"));
  const data = await Volume.builder("shape-data").directory().quota(MiB(32)).create();
  assert.deepEqual([data.kind, data.quotaMib], ["dir", 32]);
  const creation = Sandbox.builder("shape-base")
    .image(image)
    .memory(MiB(128))
    .rootDisk(MiB(512))
    .pullPolicy("always")
    .patch((p) => p.text("/etc/greeting", "Hello\n").mkdir("/app", { mode: 0o755 }))
    .volume("/data", (m) => m.named(data.name))
    .network((n) => n.policy(NetworkPolicy.none()))
    .replace()
    .createWithPullProgress();
  const kinds = [];
  for await (const event of creation) kinds.push([event.kind, event.layerIndex]);
  assert.ok(kinds.length > 0, "the pull tells of itself");
  const base = await creation.awaitSandbox();
  assert.ok((await base.shell("cat /etc/greeting && ls -d /app && echo kept > /data/f && ls /sys/class/net/eth0")).success);
  await base.stop();
  await base.close();
  const snap = await Snapshot.builder("shape-snap").fromSandbox("shape-base").label("a", "b").recordIntegrity().create();
  assert.deepEqual([snap.sourceSandbox, snap.info.labels, snap.info.content.slice(0, 7)], ["shape-base", { a: "b" }, "sha256:"]);
  await using(await Sandbox.builder("shape-fork").fromSnapshot("shape-snap").memory(MiB(128)).create(), async (fork) => {
    assert.equal(await fork.fs().readToString("/etc/greeting"), "Hello\n");
  });
  const [here] = await Image.list();
  assert.deepEqual([here.os, here.architecture, here.layerCount > 0], ["linux", "amd64", true]);
  await Image.save(here.reference, { outputPath: join(dir, "image.tar"), format: "oci" });
  assert.ok(statSync(join(dir, "image.tar")).size > 1000);
  await Sandbox.remove("shape-fork");
  await Snapshot.remove("shape-snap");
  await (await Sandbox.get("shape-base")).destroy();
  await Volume.remove("shape-data");
  rmSync(dir, { recursive: true });
});
