/** What is on record of a sandbox, its metrics, and plans of changes. */
import {
  msb_effect as EFFECT,
  msb_mount_flags as MOUNT_FLAG,
  msb_mount_kind as MOUNT,
  msb_sandbox_flags as FLAG,
  msb_state as STATE,
} from "./api.gen";
import { camel, dateOf, fromPairs } from "./native";

export type SandboxState = "starting" | "ready" | "failed" | "stopped" | "created" | "crashed";
const states: Record<number, SandboxState> = {
  [STATE.MSB_STATE_STARTING]: "starting",
  [STATE.MSB_STATE_READY]: "ready",
  [STATE.MSB_STATE_FAILED]: "failed",
  [STATE.MSB_STATE_STOPPED]: "stopped",
  [STATE.MSB_STATE_CREATED]: "created",
  [STATE.MSB_STATE_CRASHED]: "crashed",
};
export const stateOf = (n: number): SandboxState => states[n] ?? "crashed";

/** The state in other words: "running" is "ready". */
export type SandboxStatus = Exclude<SandboxState, "ready"> | "running";
export const statusOf = (state: SandboxState): SandboxStatus => (state === "ready" ? "running" : state);

export interface MountInfo {
  readonly kind: "dir" | "file" | "named" | "disk" | "tmpfs";
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
}

export interface SecretInfo {
  readonly env: string;
  readonly placeholder: string;
  readonly hosts: readonly string[];
}

/** All that is on record; see struct msb_sandbox_info of the C library. */
export interface SandboxInfo {
  readonly name: string;
  readonly id: string;
  readonly image: string;
  readonly imageId: string;
  readonly state: SandboxState;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly engine: string;
  readonly accel: string;
  readonly walls: readonly string[];
  readonly boundary: string;
  readonly pid: number;
  readonly ownerPid: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly rlimits: readonly string[];
  readonly workdir: string;
  readonly user: string;
  readonly entrypoint: string;
  readonly shell: string;
  readonly hostname: string;
  readonly scripts: readonly string[];
  readonly init: string;
  readonly command: readonly string[];
  readonly patches: readonly string[];
  readonly mounts: readonly MountInfo[];
  readonly secrets: readonly SecretInfo[];
  /** As struct msb_network has it, by names of JavaScript. */
  readonly network: Readonly<Record<string, unknown>> | null;
  readonly tls: Readonly<Record<string, unknown>> | null;
  readonly endReason: string;
  readonly endMessage: string;
  /** Of its main command; -1: none. */
  readonly exitCode: number;
  readonly maxDurationSecs: number;
  readonly idleTimeoutSecs: number;
  readonly upperBytes: number;
  /** What it occupies; only from inspect(). */
  readonly diskBytes: number;
  readonly created: Date | undefined;
  readonly started: Date | undefined;
  readonly ready: Date | undefined;
  readonly ended: Date | undefined;
  readonly kept: boolean;
  readonly detached: boolean;
}

const mountKinds: Record<number, MountInfo["kind"]> = {
  [MOUNT.MSB_MOUNT_DIR]: "dir",
  [MOUNT.MSB_MOUNT_FILE]: "file",
  [MOUNT.MSB_MOUNT_NAMED]: "named",
  [MOUNT.MSB_MOUNT_DISK]: "disk",
  [MOUNT.MSB_MOUNT_TMPFS]: "tmpfs",
};

interface NativeMount {
  kind: number;
  flags: number;
  source: string | null;
  target: string;
}

interface NativeInfo {
  state: number;
  flags: number;
  labels: string[];
  env: string[];
  mounts: NativeMount[];
  secrets: SecretInfo[];
  network: object | null;
  tls: object | null;
  created_ms: number;
  started_ms: number;
  ready_ms: number;
  ended_ms: number;
  max_duration_s: number;
  idle_timeout_s: number;
}

const DROPPED = new Set([
  "flags",
  "createdMs",
  "startedMs",
  "readyMs",
  "endedMs",
  "createdUnix",
  "startedUnix",
  "endedUnix",
  "maxDurationS",
  "idleTimeoutS",
]);

export function infoOf(native: object): SandboxInfo {
  const n = native as NativeInfo;
  const plain = Object.entries(camel<Record<string, unknown>>(native)).filter(([k]) => !DROPPED.has(k));
  const info = {
    ...Object.fromEntries(plain),
    state: stateOf(n.state),
    labels: fromPairs(n.labels),
    env: fromPairs(n.env),
    mounts: n.mounts.map((m) => ({
      kind: mountKinds[m.kind] ?? "dir",
      source: m.source ?? "",
      target: m.target,
      readonly: (m.flags & MOUNT_FLAG.MSB_MOUNT_READ_ONLY) !== 0,
    })),
    secrets: n.secrets.map(({ env, placeholder, hosts }) => ({ env, placeholder, hosts })),
    network: n.network && camel<Record<string, unknown>>(n.network),
    tls: n.tls && camel<Record<string, unknown>>(n.tls),
    maxDurationSecs: n.max_duration_s,
    idleTimeoutSecs: n.idle_timeout_s,
    created: dateOf(n.created_ms),
    started: dateOf(n.started_ms),
    ready: dateOf(n.ready_ms),
    ended: dateOf(n.ended_ms),
    kept: (n.flags & FLAG.MSB_SANDBOX_KEEP) !== 0,
    detached: (n.flags & FLAG.MSB_SANDBOX_DETACHED) !== 0,
  };
  return info as unknown as SandboxInfo;
}

/** Counters only grow; a rate is made of two samples. */
export interface Metrics {
  readonly timestamp: Date;
  /** CLOCK_MONOTONIC when they were taken. */
  readonly timeNs: number;
  readonly unixMs: number;
  readonly uptimeNs: number;
  readonly cpus: number;
  readonly cpuNs: number;
  /** Of one processor, since the sample before (of the first: since the machine is ready). */
  readonly cpuPercent: number;
  readonly memoryBytes: number;
  readonly memoryResidentBytes: number;
  readonly memoryReturnedBytes: number;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  readonly diskReads: number;
  readonly diskWrites: number;
  readonly netRxBytes: number;
  readonly netTxBytes: number;
  readonly netRxPackets: number;
  readonly netTxPackets: number;
  readonly netFlows: number;
  readonly netOpen: number;
  readonly netDenied: number;
  readonly netRefused: number;
  readonly netDnsQueries: number;
  readonly netDnsDenied: number;
  readonly upperBytes: number;
  readonly upperUsedBytes: number;
  readonly sessions: number;
  readonly tlsFlows: number;
  readonly tlsRefused: number;
  readonly secretsUsed: number;
  readonly secretViolations: number;
  readonly secretsMasked: number;
  /** The same as memoryBytes, memoryResidentBytes and cpuNs. */
  readonly memoryLimitBytes: number;
  readonly memoryHostResidentBytes: number;
  readonly vcpuTimeNs: number;
  readonly upperFreeBytes: number;
  readonly uptimeMs: number;
}

export function metricsOf(native: object, before?: Metrics): Metrics {
  const { size: _size, ...m } = camel<Metrics & { size: number }>(native);
  const time = before ? m.timeNs - before.timeNs : m.uptimeNs;
  const used = before ? m.cpuNs - before.cpuNs : m.cpuNs;
  return {
    ...m,
    timestamp: new Date(m.unixMs),
    cpuPercent: time > 0 ? (100 * used) / time : 0,
    memoryLimitBytes: m.memoryBytes,
    memoryHostResidentBytes: m.memoryResidentBytes,
    vcpuTimeNs: m.cpuNs,
    upperFreeBytes: Math.max(0, m.upperBytes - m.upperUsedBytes),
    uptimeMs: Math.floor(m.uptimeNs / 1e6),
  };
}

/** CLOCK_MONOTONIC in ns; 0: has not happened. */
export interface SandboxTimes {
  readonly createNs: number;
  readonly launchedNs: number;
  readonly spawnNs: number;
  readonly initNs: number;
  readonly readyNs: number;
}

export interface Change {
  /** "memory", "env.PATH" */
  readonly field: string;
  readonly before: string;
  readonly after: string;
  /** "next_start": the machine runs on as it is until then. */
  readonly effect: "now" | "next_start";
}

export function changesOf(native: object[]): Change[] {
  return (native as (Omit<Change, "effect"> & { effect: number })[]).map((c) => ({
    field: c.field,
    before: c.before,
    after: c.after,
    effect: c.effect === EFFECT.MSB_EFFECT_NEXT_START ? "next_start" : "now",
  }));
}
