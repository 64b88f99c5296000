/** What can be done by a sandbox's name. */
import { msb_remove_flags as REMOVE } from "./api.gen";
import * as check from "./check";
import { InvalidConfigError } from "./errors";
import { type HomeOption, homeOf } from "./home";
import { type Change, changesOf, infoOf, type SandboxInfo } from "./info";
import { call, type Handle } from "./native";
import { secretOf } from "./options";
import type { SecretBuilder, SecretOptions } from "./secret";

export async function inspect(name: unknown, home: unknown): Promise<SandboxInfo> {
  const what = check.name(name, "name");
  return infoOf(await call<object>("msb_sandbox_inspect", [await homeOf(home), what], { subject: "sandbox" }));
}

export async function listRecords(labels: unknown, home: unknown): Promise<SandboxInfo[]> {
  const wanted = check.optional(labels, (v) => check.texts(v, "labels"));
  return (await call<object[]>("msb_sandbox_list", [await homeOf(home), wanted])).map(infoOf);
}

export async function remove(name: unknown, options: unknown): Promise<void> {
  const o = check.options(options, "options", ["force", "home"]);
  const what = check.name(name, "name");
  const force = check.optional(o["force"], (v) => check.flag(v, "force")) ? REMOVE.MSB_REMOVE_FORCE : 0;
  await call("msb_sandbox_remove", [await homeOf(o["home"]), what, force], { subject: "sandbox" });
}

export async function pending(name: unknown, options: unknown): Promise<Change[]> {
  const o = check.options(options, "options", ["home"]);
  const what = check.name(name, "name");
  return changesOf(
    await call<object[]>("msb_sandbox_pending", [await homeOf(o["home"]), what], { subject: "sandbox" }),
  );
}

/** Members that are left out stay as they are. */
export interface ModifyOptions extends HomeOption {
  /** Only check, and tell what would change. */
  dryRun?: boolean;
  cpus?: number;
  memoryMib?: number;
  memoryBytes?: number;
  diskMib?: number;
  diskBytes?: number;
  env?: Readonly<Record<string, string>>;
  removeEnv?: readonly string[];
  labels?: Readonly<Record<string, string>>;
  removeLabels?: readonly string[];
  /** "": as in the image. */
  workdir?: string;
  user?: string;
  hostname?: string;
  shell?: string;
  /** null: no limit any more. */
  maxDurationSecs?: number | null;
  idleTimeoutSecs?: number | null;
  secrets?: readonly (SecretBuilder | ({ env: string } & SecretOptions))[] | Readonly<Record<string, SecretModifySpec>>;
  removeSecrets?: readonly string[];
  /** The same in other words: memoryMib, diskMib, removeEnv, removeLabels, removeSecrets. */
  memory?: number;
  rootDiskSize?: number;
  envRemove?: readonly string[];
  labelsRemove?: readonly string[];
  secretsRemove?: readonly string[];
}

/** What becomes of a secret; `env`: a variable of this process. */
export interface SecretModifySpec {
  env?: string;
  value?: string;
  placeholder?: string;
  allowedHosts?: readonly string[];
}

const SAME: Readonly<Record<string, string>> = {
  memory: "memoryMib",
  rootDiskSize: "diskMib",
  envRemove: "removeEnv",
  labelsRemove: "removeLabels",
  secretsRemove: "removeSecrets",
};

/** {KEY: {value, allowedHosts}} as a list. */
function secretList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return Object.entries(check.object(value, "secrets")).map(([env, spec]) => {
    const known = ["env", "value", "placeholder", "allowedHosts"];
    const { env: source, allowedHosts: allowHosts, ...rest } = check.options(spec, `secrets.${env}`, known);
    const said = { env, source, allowHosts, ...rest };
    return Object.fromEntries(Object.entries(said).filter(([, v]) => v !== undefined));
  });
}

const MODIFY_KEYS = [
  "dryRun",
  "cpus",
  "memoryMib",
  "memoryBytes",
  "diskMib",
  "diskBytes",
  "env",
  "removeEnv",
  "labels",
  "removeLabels",
  "workdir",
  "user",
  "hostname",
  "shell",
  "maxDurationSecs",
  "idleTimeoutSecs",
  "secrets",
  "removeSecrets",
  "home",
];

/** All or nothing. What a running machine cannot change waits for its next start. */
export async function modify(name: unknown, options: unknown): Promise<Change[]> {
  const said = Object.entries(check.options(options, "options", [...MODIFY_KEYS, ...Object.keys(SAME)]));
  const o: Record<string, unknown> = Object.fromEntries(said.map(([k, v]) => [SAME[k] ?? k, v]));
  const what = check.name(name, "name");
  const word = (key: string): string | undefined => check.optional(o[key], (v) => check.text(v, key));
  const keyed = (key: string): string[] | undefined => check.optional(o[key], (v) => check.pairs(v, key));
  const words = (key: string): string[] | undefined => check.optional(o[key], (v) => check.texts(v, key));
  const limit = (key: string): number | undefined =>
    o[key] === null ? -1 : check.optional(o[key], (v) => check.integer(v, key, 1, check.I32));
  const size = (mib: string, bytes: string): number | undefined => {
    if (o[mib] !== undefined && o[bytes] !== undefined)
      throw new InvalidConfigError(`${mib} and ${bytes} say the same: give one`);
    if (o[mib] !== undefined) return check.integer(o[mib], mib, 1, 2 ** 20) * 2 ** 20;
    return check.optional(o[bytes], (v) => check.integer(v, bytes, 1, check.SAFE));
  };
  const native = {
    dry_run: check.optional(o["dryRun"], (v) => check.flag(v, "dryRun")) ? 1 : 0,
    cpus: check.optional(o["cpus"], (v) => check.integer(v, "cpus", 1, 64)),
    memory_bytes: size("memoryMib", "memoryBytes"),
    upper_bytes: size("diskMib", "diskBytes"),
    env: keyed("env"),
    env_rm: words("removeEnv"),
    labels: keyed("labels"),
    labels_rm: words("removeLabels"),
    workdir: word("workdir"),
    user: word("user"),
    hostname: word("hostname"),
    shell: word("shell"),
    max_duration_s: limit("maxDurationSecs"),
    idle_timeout_s: limit("idleTimeoutSecs"),
    secrets: check.optional(o["secrets"], (v) => secretList(v).map(secretOf)),
    secrets_rm: words("removeSecrets"),
  };
  return changesOf(
    await call<object[]>("msb_sandbox_modify", [await homeOf(o["home"]), what, native], { subject: "sandbox" }),
  );
}

export interface StartOptions extends HomeOption {
  /** Values of secrets on record, by variable; others come from this process's environment. */
  secrets?: Readonly<Record<string, string>>;
  detached?: boolean;
  logFd?: number;
  logLevel?: "error" | "warn" | "info" | "debug" | "trace";
  signal?: AbortSignal;
}

/** Start, or with @restartMs restart. */
export async function startNative(
  name: unknown,
  options: unknown,
  restartMs?: number,
): Promise<{ handle: Handle; detached: boolean; signal: AbortSignal | undefined }> {
  const keys = ["secrets", "detached", "logFd", "logLevel", "signal", "home"];
  const o = check.options(options, "options", restartMs === undefined ? keys : [...keys, "timeoutMs"]);
  const what = check.name(name, "name");
  const levels = { error: "error", warn: "warn", info: "info", debug: "debug", trace: "trace" };
  const values = check.optional(o["secrets"], (v) => check.object(v, "secrets")) ?? {};
  const native = {
    log_fd: check.optional(o["logFd"], (v) => check.integer(v, "logFd", 1, check.I32)),
    log_level: check.optional(o["logLevel"], (v) => check.oneOf(v, "logLevel", levels)),
    secrets: Object.entries(values).map(([env, value]) => ({
      env: check.name(env, "a secret's name"),
      value: check.text(value, `the value of ${env}`),
    })),
  };
  const detached = check.optional(o["detached"], (v) => check.flag(v, "detached")) ?? false;
  const signal = check.signalOf(o["signal"]);
  const home = await homeOf(o["home"]);
  const rest = { signal, subject: "sandbox" } as const;
  if (restartMs === undefined) {
    return { handle: await call<Handle>("msb_sandbox_start", [home, what, native], rest), detached, signal };
  }
  const ms = check.optional(o["timeoutMs"], (v) => check.integer(v, "timeoutMs", 0, check.U32)) ?? restartMs;
  return { handle: await call<Handle>("msb_sandbox_restart", [home, what, ms, native], rest), detached, signal };
}

export interface PublishedPort {
  readonly bind: string;
  readonly host: number;
  readonly guest: number;
  readonly protocol: "tcp" | "udp";
}

/** The published ports of one that runs. */
export async function ports(name: string, options?: HomeOption): Promise<PublishedPort[]> {
  const o = check.options(options, "options", ["home"]);
  const what = check.name(name, "name");
  return JSON.parse(
    await call<string>("msb_sandbox_ports", [await homeOf(o["home"]), what], { subject: "sandbox" }),
  ) as PublishedPort[];
}

/** What becomes of a connection, and why; docs/network.md has all its keys. */
export interface NetExplanation {
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
  readonly verdict: "allow" | "deny" | "depends";
  readonly rule: string;
  readonly number: number;
  readonly reason: string;
  readonly [key: string]: unknown;
}

export async function netExplain(
  name: string,
  host: string,
  options?: HomeOption & { port?: number; protocol?: "tcp" | "udp" | "icmp" },
): Promise<NetExplanation> {
  const o = check.options(options, "options", ["port", "protocol", "home"]);
  const args = [
    check.name(name, "name"),
    check.name(host, "host"),
    check.optional(o["port"], (v) => check.integer(v, "port", 0, check.U16)) ?? 0,
    check.optional(o["protocol"], (v) => check.oneOf(v, "protocol", { tcp: "tcp", udp: "udp", icmp: "icmp" })),
  ];
  const text = await call<string>("msb_net_explain", [await homeOf(o["home"]), ...args], { subject: "sandbox" });
  return JSON.parse(text) as NetExplanation;
}

export interface NetRules {
  readonly rules: readonly { readonly number: number; readonly rule: string }[];
  readonly defaults: { readonly egress: string; readonly ingress: string };
  readonly strict: boolean;
}

/** The rules in the order in which they are asked. */
export async function netRules(name: string, options?: HomeOption): Promise<NetRules> {
  const o = check.options(options, "options", ["home"]);
  const what = check.name(name, "name");
  return JSON.parse(
    await call<string>("msb_net_rules", [await homeOf(o["home"]), what], { subject: "sandbox" }),
  ) as NetRules;
}

export interface CommitOptions extends HomeOption {
  author?: string;
  message?: string;
  /** As in a Dockerfile: 'CMD ["sh"]', "ENV A=b", "USER x". */
  changes?: readonly string[];
  signal?: AbortSignal;
}

/** What was written in a sandbox becomes one more layer over its image. The new image's id. */
export async function commit(sandbox: string, reference: string, options?: CommitOptions): Promise<string> {
  const o = check.options(options, "options", ["author", "message", "changes", "signal", "home"]);
  const args = [check.name(sandbox, "sandbox"), check.name(reference, "reference")];
  const native = {
    author: check.optional(o["author"], (v) => check.text(v, "author")),
    message: check.optional(o["message"], (v) => check.text(v, "message")),
    changes: check.optional(o["changes"], (v) => check.texts(v, "changes")),
  };
  const signal = check.signalOf(o["signal"]);
  return call("msb_image_commit", [await homeOf(o["home"]), ...args, native], { signal, subject: "sandbox" });
}
