// What the tests share. They run by tests/sdk/test_node.py, which sets MSB_NODE_PACKAGE, MSB_TEST_IMAGE, MSB_HOME ...
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

export const folder = process.env.MSB_NODE_PACKAGE;
export const image = process.env.MSB_TEST_IMAGE;
export const msb = createRequire(import.meta.url)(folder);
/** The addon itself, for what only tests look at. */
export const addon = createRequire(import.meta.url)(`${folder}/prebuilt/linux-x64/microsandbox.node`);
msb.version(); // loads the library
export { sleep };

export const small = { image, memoryMib: 128 };

/** Pids of the msb-vmm processes that this process started. */
export function machines() {
  const ours = new RegExp(`^PPid:\\s+${process.pid}$`, "m");
  return readdirSync("/proc")
    .filter((p) => /^\d+$/.test(p))
    .filter((p) => {
      try {
        return (
          readFileSync(`/proc/${p}/cmdline`, "utf8").includes("msb-vmm") &&
          ours.test(readFileSync(`/proc/${p}/status`, "utf8"))
        );
      } catch {
        return false;
      }
    })
    .map(Number)
    .filter(alive);
}

export async function until(what, test, ms = 60_000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(50)) {
    if (await test()) return;
  }
  throw new Error(`it never came: ${what}`);
}

export const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** Run a program of JavaScript in another process; its output, exit code, signal. */
export function program(source, { env = {}, args = [], kill } = {}) {
  const head = `const msb = require(${JSON.stringify(folder)}); const image = ${JSON.stringify(image)};`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--expose-gc", ...args, "-e", `${head}\n(async () => {${source}\n})()`], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), 240_000);
    let out = "";
    let err = "";
    child.stdout.on("data", (d) => {
      out += d;
      if (kill && out.includes("\n")) child.kill(kill);
    });
    child.stderr.on("data", (d) => (err += d));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ out, err, code, signal });
    });
  });
}

/** What `await using` does; Node.js 20 cannot read it. */
export async function using(resource, act) {
  try {
    return await act(resource);
  } finally {
    await resource[Symbol.asyncDispose]();
  }
}
