/** The host: what a sandbox needs of it, and the record's repair. */
import { msb_check_status as STATUS } from "./api.gen";
import * as check from "./check";
import { InstallError, MicrosandboxError } from "./errors";
import { Home, type HomeOption } from "./home";
import { call, callSync } from "./native";

export type CheckStatus = "ok" | "info" | "warn" | "fail";
export interface HostCheck {
  readonly name: string;
  /** "fail": no sandbox can run. */
  readonly status: CheckStatus;
  readonly message: string;
  /** The one thing to do, or "". */
  readonly fix: string;
}

const statuses: Record<number, CheckStatus> = {
  [STATUS.MSB_CHECK_OK]: "ok",
  [STATUS.MSB_CHECK_INFO]: "info",
  [STATUS.MSB_CHECK_WARN]: "warn",
  [STATUS.MSB_CHECK_FAIL]: "fail",
};

/** These calls take the home's path: they work where it cannot be opened. */
const pathOf = (home: unknown): string | null =>
  home instanceof Home ? home.path : (check.optional(home, (v) => check.name(v, "home")) ?? null);

/** Look at everything that a sandbox needs. */
export async function doctor(options?: HomeOption): Promise<HostCheck[]> {
  const o = check.options(options, "options", ["home"]);
  const checks = await call<(Omit<HostCheck, "status"> & { status: number })[]>("msb_doctor", [pathOf(o["home"])]);
  return checks.map((c) => ({ ...c, status: statuses[c.status] ?? "fail" }));
}

/** Whether sandboxes can run here. */
export async function isInstalled(options?: HomeOption): Promise<boolean> {
  try {
    return (await doctor(options)).every((c) => c.status !== "fail");
  } catch (e) {
    if (e instanceof MicrosandboxError && e.codeName === "install") return false;
    throw e;
  }
}

/** Nothing has to be installed: InstallError says what this host lacks, if it lacks something. */
export async function install(options?: HomeOption): Promise<void> {
  const missing = (await doctor(options)).find((c) => c.status === "fail");
  if (missing) throw new InstallError(`${missing.name}: ${missing.message}`, { hint: missing.fix });
}

/** Bring the record of sandboxes back; what was done (with `dryRun`: would be), a sentence each. */
export async function repair(options?: HomeOption & { dryRun?: boolean }): Promise<string[]> {
  const o = check.options(options, "options", ["dryRun", "home"]);
  const dry = check.optional(o["dryRun"], (v) => check.flag(v, "dryRun")) ? 1 : 0;
  return call("msb_repair", [pathOf(o["home"]), dry]);
}

/** The library's version: "0.1.0". */
export function version(): string {
  return callSync<string>("msb_version", []);
}
