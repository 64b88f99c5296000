/** What a sandbox is made with: checked, and as the library takes it. */
import { msb_accel as ACCEL, msb_engine as ENGINE, msb_sandbox_flags as FLAG, msb_upper as UPPER } from "./api.gen";
import * as check from "./check";
import { InvalidConfigError, UnsupportedError } from "./errors";
import { rlimits, type Rlimits } from "./exec";
import type { HomeOption } from "./home";
import { Image, type PullPolicy, type PullProgress } from "./image";
import { MountBuilder } from "./mount";
import {
  NetworkBuilder,
  type NetworkOptions,
  networkOf,
  type NetworkProfile,
  portOf,
  type PortOptions,
} from "./network";
import type { PatchOp } from "./patch";
import { Secret, SecretBuilder, type SecretOptions } from "./secret";
import { type TlsOptions, tlsOf } from "./tls";

export interface SandboxOptions extends HomeOption {
  /** Named ones persist until they are removed, if not `ephemeral`; unnamed ones are ephemeral. */
  name?: string;
  /** A reference, a path, or an Image; or `fromSnapshot`. */
  image?: string | Image;
  fromSnapshot?: string;
  cpus?: number;
  memoryMib?: number;
  memoryBytes?: number;
  /** How much may be written, in MiB; 8 GiB. */
  diskMib?: number;
  diskBytes?: number;
  /** Where that goes which is written: "disk", or the guest's memory. */
  upper?: "disk" | "tmpfs";
  hostname?: string;
  env?: Readonly<Record<string, string>>;
  labels?: Readonly<Record<string, string>>;
  workdir?: string;
  user?: string;
  entrypoint?: string | readonly string[];
  shell?: string;
  rlimits?: Rlimits;
  /** Files in /.msb/scripts, first in PATH. */
  scripts?: Readonly<Record<string, string>>;
  /** Another process 1: a path, or "auto". */
  init?: string | { command: string; args?: readonly string[]; env?: Readonly<Record<string, string>> };
  /** The main command, which start() runs, and with which the machine ends. */
  command?: readonly string[];
  /** {"/data": Volume.named("data")}; a string: "/host/path", or a volume's name. */
  volumes?: Readonly<Record<string, MountBuilder | string>>;
  patches?: readonly PatchOp[];
  /** {8080: 80}: 127.0.0.1:8080 here leads to port 80 inside. */
  ports?: Readonly<Record<number, number>> | readonly PortOptions[];
  network?: NetworkBuilder | NetworkOptions | NetworkProfile;
  secrets?: readonly (SecretBuilder | ({ env: string } & SecretOptions))[];
  tls?: TlsOptions;
  maxDurationSecs?: number;
  idleTimeoutSecs?: number;
  bootTimeoutMs?: number;
  engine?: "auto" | "kvm" | "qemu";
  accel?: "auto" | "kvm" | "tcg";
  /** Nothing of it is left when it has ended. */
  ephemeral?: boolean;
  /** It outlives this process. */
  detached?: boolean;
  /** One of the same name is stopped and removed before. */
  replace?: boolean;
  replaceTimeoutMs?: number;
  /** Where msb-vmm logs: a descriptor. */
  logFd?: number;
  logLevel?: "error" | "warn" | "info" | "debug" | "trace";
  pullPolicy?: PullPolicy;
  insecureRegistry?: boolean;
  registryCaCerts?: string;
  onPullProgress?: (event: PullProgress) => void;
  signal?: AbortSignal;
}

const KEYS = [
  "name",
  "image",
  "fromSnapshot",
  "cpus",
  "memoryMib",
  "memoryBytes",
  "diskMib",
  "diskBytes",
  "upper",
  "hostname",
  "env",
  "labels",
  "workdir",
  "user",
  "entrypoint",
  "shell",
  "rlimits",
  "scripts",
  "init",
  "command",
  "volumes",
  "patches",
  "ports",
  "network",
  "secrets",
  "tls",
  "maxDurationSecs",
  "idleTimeoutSecs",
  "bootTimeoutMs",
  "engine",
  "accel",
  "ephemeral",
  "detached",
  "replace",
  "replaceTimeoutMs",
  "logFd",
  "logLevel",
  "pullPolicy",
  "insecureRegistry",
  "registryCaCerts",
  "onPullProgress",
  "signal",
  "home",
] as const satisfies readonly (keyof SandboxOptions)[];

const engines = { auto: ENGINE.MSB_ENGINE_AUTO, kvm: ENGINE.MSB_ENGINE_KVM, qemu: ENGINE.MSB_ENGINE_QEMU };
const accels = { auto: ACCEL.MSB_ACCEL_AUTO, kvm: ACCEL.MSB_ACCEL_KVM, tcg: ACCEL.MSB_ACCEL_TCG };
const uppers = { disk: UPPER.MSB_UPPER_DISK, tmpfs: UPPER.MSB_UPPER_TMPFS };
const levels = { error: "error", warn: "warn", info: "info", debug: "debug", trace: "trace" };

/** "/src" and "./src" are paths of the host, a bare word is a volume. */
const mountOf = (value: unknown, target: string): MountBuilder => {
  if (value instanceof MountBuilder) return value;
  const source = check.name(value, `the volume at ${target}`);
  return /^[./]/.test(source) ? new MountBuilder().bind(source) : new MountBuilder().named(source);
};

const patchOf = (value: unknown): object => {
  const native = (value as PatchOp | null | undefined)?.native;
  if (typeof native !== "object") throw new InvalidConfigError("patches must be made by Patch");
  return native;
};

export function secretOf(value: unknown): object {
  if (value instanceof SecretBuilder) return value.native;
  const { env, ...options } = check.object(value, "a secret");
  return Secret.env(check.name(env, "the secret's env"), options as SecretOptions).native;
}

function portsOf(value: unknown): object[] {
  if (Array.isArray(value)) return value.map(portOf);
  return Object.entries(check.object(value, "ports")).map(([host, guest]) => portOf({ host: Number(host), guest }));
}

function initOf(value: unknown): object {
  if (typeof value === "string") return { init: check.name(value, "init") };
  const o = check.options(check.object(value, "init"), "init", ["command", "args", "env"]);
  return {
    init: check.name(o["command"], "init.command"),
    init_args: check.optional(o["args"], (v) => check.texts(v, "init.args")),
    init_env: check.optional(o["env"], (v) => check.pairs(v, "init.env")),
  };
}

/** One program; its arguments are the command's. */
function entrypointOf(value: unknown): string {
  if (!Array.isArray(value)) return check.text(value, "entrypoint");
  if (value.length !== 1) throw new UnsupportedError("entrypoint is one program: put its arguments into cmd()");
  return check.text(value[0], "entrypoint");
}

/** A size that may be said in MiB or in bytes. */
function sizeOf(o: Record<string, unknown>, mibKey: string, bytesKey: string): number | undefined {
  if (o[mibKey] !== undefined && o[bytesKey] !== undefined) {
    throw new InvalidConfigError(`${mibKey} and ${bytesKey} say the same: give one`);
  }
  if (o[mibKey] !== undefined) return check.integer(o[mibKey], mibKey, 1, 2 ** 20) * 2 ** 20;
  return check.optional(o[bytesKey], (v) => check.integer(v, bytesKey, 1, check.SAFE));
}

function networkAndPorts(o: Record<string, unknown>): object | undefined {
  const ports = check.optional(o["ports"], portsOf) ?? [];
  if (o["network"] === undefined && ports.length === 0) return undefined;
  const network = (o["network"] === undefined ? {} : networkOf(o["network"])) as { ports?: object[] };
  return { ...network, ports: [...(network.ports ?? []), ...ports] };
}

const builderOf = (o: Record<string, unknown>): NetworkBuilder | undefined =>
  o["network"] instanceof NetworkBuilder ? o["network"] : undefined;

function secretsOf(o: Record<string, unknown>): object[] | undefined {
  const said = check.optional(o["secrets"], (v) => check.list(v, "secrets")) ?? [];
  const all = [...said, ...(builderOf(o)?.secrets ?? [])].map(secretOf);
  return all.length > 0 ? all : undefined;
}

/** Of the options, or of their network. */
function tlsSaid(o: Record<string, unknown>): unknown {
  const inside = builderOf(o)?.tlsOptions;
  if (o["tls"] === undefined || inside === undefined) return o["tls"] ?? inside;
  return { ...inside, ...check.object(o["tls"], "tls") };
}

/** Options that were checked. */
export interface CheckedSandbox {
  native: Record<string, unknown>;
  image: string | Image | undefined;
  mounts: [string, MountBuilder][];
  detached: boolean;
  home: unknown;
  signal: AbortSignal | undefined;
  pull: Record<string, unknown>;
}

function flagsOf(o: Record<string, unknown>, start: boolean): number {
  const on = (key: string): boolean | undefined => check.optional(o[key], (v) => check.flag(v, key));
  const ephemeral = on("ephemeral") ?? o["name"] === undefined;
  return (
    (ephemeral ? 0 : FLAG.MSB_SANDBOX_KEEP) |
    (on("replace") ? FLAG.MSB_SANDBOX_REPLACE : 0) |
    (start ? 0 : FLAG.MSB_SANDBOX_NO_START)
  );
}

/** Throws InvalidConfigError before anything starts. */
export function checkSandbox(value: unknown, start: boolean): CheckedSandbox {
  const o = check.options(value, "options", KEYS);
  const word = (key: string): string | undefined => check.optional(o[key], (v) => check.name(v, key));
  const number = (key: string, min: number, max: number): number | undefined =>
    check.optional(o[key], (v) => check.integer(v, key, min, max));
  const keyed = (key: string): string[] | undefined => check.optional(o[key], (v) => check.pairs(v, key));
  const image = o["image"] instanceof Image ? o["image"] : word("image");
  if ((image === undefined) === (o["fromSnapshot"] === undefined)) {
    throw new InvalidConfigError("one of image and fromSnapshot must be given");
  }
  const native = {
    name: word("name"),
    snapshot: word("fromSnapshot"),
    hostname: word("hostname"),
    cpus: number("cpus", 1, 64),
    memory_bytes: sizeOf(o, "memoryMib", "memoryBytes"),
    upper_bytes: sizeOf(o, "diskMib", "diskBytes"),
    upper: check.optional(o["upper"], (v) => check.oneOf<number>(v, "upper", uppers)),
    boot_timeout_ms: number("bootTimeoutMs", 1, check.U32),
    log_fd: number("logFd", 1, check.I32),
    log_level: check.optional(o["logLevel"], (v) => check.oneOf(v, "logLevel", levels)),
    engine: check.optional(o["engine"], (v) => check.oneOf<number>(v, "engine", engines)),
    accel: check.optional(o["accel"], (v) => check.oneOf<number>(v, "accel", accels)),
    flags: flagsOf(o, start),
    labels: keyed("labels"),
    max_duration_s: number("maxDurationSecs", 0, check.U32),
    idle_timeout_s: number("idleTimeoutSecs", 0, check.U32),
    replace_timeout_ms: number("replaceTimeoutMs", 0, check.U32),
    env: keyed("env"),
    rlimits: check.optional(o["rlimits"], (v) => rlimits(v, "rlimits")),
    workdir: word("workdir"),
    user: word("user"),
    entrypoint: check.optional(o["entrypoint"], entrypointOf),
    shell: word("shell"),
    scripts: keyed("scripts"),
    command: check.optional(o["command"], (v) => check.texts(v, "command")),
    patches: check.optional(o["patches"], (v) => check.list(v, "patches").map(patchOf)),
    network: networkAndPorts(o),
    secrets: secretsOf(o),
    tls: check.optional(tlsSaid(o), tlsOf),
    ...check.optional(o["init"], initOf),
  };
  const volumes = check.optional(o["volumes"], (v) => check.object(v, "volumes")) ?? {};
  const pull = {
    policy: o["pullPolicy"],
    insecure: o["insecureRegistry"],
    caCerts: o["registryCaCerts"],
    onProgress: o["onPullProgress"],
    signal: check.signalOf(o["signal"]),
    home: o["home"],
  };
  return {
    native,
    image,
    mounts: Object.entries(volumes).map(([target, v]) => [check.name(target, "a mount's target"), mountOf(v, target)]),
    detached: check.optional(o["detached"], (v) => check.flag(v, "detached")) ?? false,
    home: o["home"],
    signal: pull.signal,
    pull,
  };
}
