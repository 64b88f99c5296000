// What a call costs: for each line of standard input, which is a count, `await sb.exec("true")` that often in the
// sandbox MSB_BENCH_SANDBOX, which runs; answered by a line {"exec_us": [...]}.
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const build = fileURLToPath(new URL("build.sh", import.meta.url));
const folder = process.env.MSB_NODE_PACKAGE ?? execFileSync(build, { encoding: "utf8" }).trim();
const { Sandbox } = createRequire(import.meta.url)(folder);

const sandbox = await Sandbox.connect(process.env.MSB_BENCH_SANDBOX);
for await (const line of createInterface({ input: process.stdin })) {
  const times = [];
  for (let i = Number(line); i > 0; i--) {
    const begin = process.hrtime.bigint();
    await sandbox.exec("true");
    times.push(Number(process.hrtime.bigint() - begin) / 1000);
  }
  console.log(JSON.stringify({ exec_us: times }));
}
await sandbox.close();
