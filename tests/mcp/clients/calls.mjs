// The official TypeScript clients against msb mcp.
// Usage: calls.mjs sdk|client NODE_MODULES IMAGE FOLDER -- COMMAND...
// "sdk" is @modelcontextprotocol/sdk (the handshake), "client" is
// @modelcontextprotocol/client (the current revision).
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [which, modules, image, folder] = process.argv.slice(2);
const [command, ...args] = process.argv.slice(7);
const require = createRequire(modules + "/x.js");
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

async function connect() {
  const env = Object.fromEntries(Object.entries(process.env).filter(([, v]) => v !== undefined));
  const info = { name: "test", version: "1" };
  if (which === "sdk") {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");
    const client = new Client(info);
    await client.connect(new StdioClientTransport({ command, args, env }));
    return client;
  }
  const { Client } = await load("@modelcontextprotocol/client");
  const { StdioClientTransport } = await load("@modelcontextprotocol/client/stdio");
  const client = new Client(info, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StdioClientTransport({ command, args, env }));
  return client;
}

const client = await connect();

async function call(name, args = {}, options) {
  const request = { name, arguments: args };
  return which === "sdk" ? client.callTool(request, undefined, options) : client.callTool(request, options);
}

async function fine(name, args, options) {
  const result = await call(name, args, options);
  assert.ok(!result.isError, `${name}: ${JSON.stringify(result.content)}`);
  return result.structuredContent;
}

async function lists() {
  const { tools } = await client.listTools();
  assert.equal(tools.length, 50);
  assert.ok(tools.every((t) => t.inputSchema.additionalProperties === false && t.outputSchema));
  assert.equal((await client.listResources()).resources.length, 7);
  assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 2);
  const policy = await client.readResource({ uri: "microsandbox://policy" });
  assert.ok(JSON.parse(policy.contents[0].text).hostPaths.includes(folder));
}

async function errors() {
  const result = await call("sandbox_inspect", { name: "nobody" });
  assert.ok(result.isError && result.content[0].text.includes("not_found"));
  await assert.rejects(call("no_such_tool"), (e) => e.code === -32602);
  await assert.rejects(client.readResource({ uri: "microsandbox://none" }), (e) => [-32002, -32602].includes(e.code));
}

async function calls() {
  const seen = [];
  const options = { onprogress: (p) => seen.push(p.progress), timeout: 300000 };
  await fine("sandbox_create", { name: "n", image, memoryMib: 64, bootTimeoutMs: 280000 }, options);
  assert.ok(seen.length > 0 && seen.every((p, i) => i === 0 || p > seen[i - 1]), String(seen));
  assert.equal((await fine("sandbox_shell", { name: "n", command: "echo $((6*7))" })).stdout, "42\n");
  await fine("sandbox_fs_write", { name: "n", path: "/tmp/a", content: "text ü\n" });
  assert.equal((await fine("sandbox_fs_read", { name: "n", path: "/tmp/a" })).content, "text ü\n");
  const { execSessionId } = await fine("sandbox_exec_start", { name: "n", command: "cat" });
  await fine("sandbox_exec_write_stdin", { execSessionId, data: "to cat", close: true });
  let poll = { status: "running" };
  while (poll.status === "running") poll = await fine("sandbox_exec_poll", { execSessionId, waitMs: 10000 });
  assert.equal(poll.events.map((e) => e.data).join(""), "to cat");
  await fine("sandbox_exec_close", { execSessionId });
  for (const [name, args] of [["sandbox_list"], ["sandbox_inspect", { name: "n" }], ["sandbox_metrics", { name: "n" }],
    ["sandbox_metrics_all"], ["sandbox_logs_read", { name: "n" }], ["net_rules", { name: "n" }],
    ["net_explain", { name: "n", host: "10.0.0.1" }], ["image_list"], ["volume_list"], ["snapshot_list"],
    ["runtime_check"], ["runtime_version"], ["sandbox_fs_list", { name: "n", path: "/" }],
    ["sandbox_modify", { name: "n", labels: { a: "b" } }]]) await fine(name, args);
}

async function cancellation() {
  const abort = new AbortController();
  const sleeping = call("sandbox_exec", { name: "n", command: "sleep", args: ["4321"] }, { signal: abort.signal });
  setTimeout(() => abort.abort("enough"), 1000);
  await assert.rejects(sleeping);
  for (let i = 0; ; i++) {
    assert.ok(i < 100, "the command lives on");
    if (!(await fine("sandbox_exec", { name: "n", command: "ps" })).stdout.includes("4321")) break;
    await new Promise((done) => setTimeout(done, 100));
  }
}

await lists();
await errors();
await calls();
await cancellation();
await fine("sandbox_remove", { name: "n", force: true, confirm: true });
await client.close();
console.log("ok");
