// The time of `await sb.exec("true")`, 200 times, in the sandbox MSB_BENCH_SANDBOX, which runs: {"exec_us": [...]}.
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const build = fileURLToPath(new URL("build.sh", import.meta.url));
const folder = process.env.MSB_NODE_PACKAGE ?? execFileSync(build, { encoding: "utf8" }).trim();
const { Sandbox } = createRequire(import.meta.url)(folder);
const count = Number(process.env.MSB_BENCH_COUNT ?? 200);

const sandbox = await Sandbox.connect(process.env.MSB_BENCH_SANDBOX);
for (let i = 0; i < 5; i++) await sandbox.exec("true");
const times = [];
for (let i = 0; i < count; i++) {
  const begin = process.hrtime.bigint();
  await sandbox.exec("true");
  times.push(Number(process.hrtime.bigint() - begin) / 1000);
}
await sandbox.close();
console.log(JSON.stringify({ exec_us: times }));
