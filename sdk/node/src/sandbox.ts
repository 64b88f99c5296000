/** Sandboxes: machines that run. */
import { setTimeout as sleep } from "node:timers/promises";
import * as check from "./check";
import { SandboxBuilder } from "./builder";
import {
  BootError,
  CancelledError,
  GoneError,
  invalid,
  MicrosandboxError,
  NotFoundError,
  SandboxAlreadyExistsError,
  SandboxNotFoundError,
  SandboxStillRunningError,
} from "./errors";
import { commandLine, ExecHandle, type ExecOptions, ExecOutput, outputOf, prepareExec } from "./exec";
import { ExecOptionsBuilder } from "./execbuilder";
import { SandboxFs } from "./fs";
import { type HomeOption, homeOf } from "./home";
import { Image } from "./image";
import {
  type Metrics,
  metricsOf,
  type SandboxInfo,
  type SandboxState,
  type SandboxStatus,
  stateOf,
  statusOf,
  type SandboxTimes,
} from "./info";
import { type LogEntry, type LogOptions, LogStream, type LogStreamOptions, readLogs } from "./logs";
import { call, callSync, camel, closeHandle, type Handle, throwIfAborted } from "./native";
import { checkSandbox, type SandboxOptions } from "./options";
import { pageOf, SandboxListBuilder, type SandboxPage } from "./page";
import { PullSession } from "./pull";
import {
  commit,
  type CommitOptions,
  inspect,
  listRecords,
  modify,
  type ModifyOptions,
  netExplain,
  type NetExplanation,
  netRules,
  type NetRules,
  pending,
  type PublishedPort,
  ports,
  remove,
  startNative,
  type StartOptions,
} from "./record";
import { Snapshot, type SnapshotOptions } from "./snapshot";
import type { Change } from "./info";

export interface SignalOptions {
  signal?: AbortSignal;
}
export interface StopOptions extends SignalOptions {
  /** What is left then is killed; 10 s. */
  timeoutMs?: number;
}
export interface WaitOptions extends SignalOptions {
  /** TimeoutError after it. */
  timeoutMs?: number;
}

const STOP_MS = 10_000;
const PING_MS = 5_000;

function waitOptions(value: unknown): [number, AbortSignal | undefined] {
  const o = check.options(value, "options", ["timeoutMs", "signal"]);
  return [check.milliseconds(o["timeoutMs"], "timeoutMs"), check.signalOf(o["signal"])];
}

/**
 * A sandbox that runs. It ends when this object goes, by close(), `await using`, or the garbage collector, if it was
 * made by this process and not detached; one that was connected to runs on.
 */
export class Sandbox implements AsyncDisposable {
  /** @internal */
  readonly handle: Handle;
  readonly name: string;
  /** 16 hex digits that no other sandbox has or had. */
  readonly id: string;
  readonly #home: HomeOption["home"];
  #owns: boolean;
  #closed = false;

  private constructor(handle: Handle, home: HomeOption["home"], owns: boolean) {
    this.handle = handle;
    this.name = callSync<string>("msb_sandbox_name", [handle]);
    this.id = callSync<string>("msb_sandbox_id", [handle]);
    this.#home = home;
    this.#owns = owns;
  }

  // ---- making and finding ------------------------------------------------

  static builder(name?: string): SandboxBuilder {
    return new SandboxBuilder(name);
  }

  /** Pull the image, make the sandbox, and wait until it is ready. */
  static async create(options: SandboxOptions): Promise<Sandbox> {
    const sandbox = await Sandbox.#make(options, true);
    return sandbox as Sandbox;
  }

  /**
   * The one of this name: connected to when it runs, started when it is on record, else created. The options are for
   * the last of these only, besides detached and home.
   */
  static async connectOrCreate(options: SandboxOptions): Promise<Sandbox> {
    const { home, detached } = checkSandbox(options, true);
    const name = check.name(options.name, "the name");
    for (;;) {
      try {
        const record = await Sandbox.get(name, { home: home as HomeOption["home"] });
        return await record.connectOrStart({ detached });
      } catch (e) {
        if (!(e instanceof SandboxNotFoundError)) throw e;
      }
      try {
        return await Sandbox.create(options);
      } catch (e) {
        if (!(e instanceof SandboxAlreadyExistsError)) throw e; // else somebody was faster
      }
    }
  }

  /** Only put it on record. */
  static async createStopped(options: SandboxOptions): Promise<SandboxHandle> {
    const checked = check.object(options, "options");
    const name = check.name(checked["name"], "the name of a sandbox that is kept");
    await Sandbox.#make(options, false);
    return Sandbox.get(name, { home: options.home });
  }

  /** create(), and what its pull does meanwhile. */
  static createWithPullProgress(options: SandboxOptions): PullSession {
    return new PullSession(
      (onPullProgress, signal) => Sandbox.create({ ...options, onPullProgress, signal }),
      options?.signal,
    );
  }

  static async #make(options: unknown, start: boolean): Promise<Sandbox | null> {
    const c = checkSandbox(options, start);
    throwIfAborted(c.signal);
    const home = await homeOf(c.home);
    const mounts = await Promise.all(c.mounts.map(([target, m]) => m.toNative(target)));
    const pulled = typeof c.image === "string" ? await Image.pull(c.image, c.pull) : undefined;
    const image = pulled ?? (c.image as Image | undefined);
    let handle: Handle | null;
    try {
      const native = { ...c.native, mounts, image: image?.handle };
      handle = await call<Handle | null>("msb_sandbox_create", [home, native], {
        signal: c.signal,
        subject: "sandbox",
      });
    } finally {
      await pulled?.close();
    }
    return handle ? Sandbox.#ready(handle, c.home as HomeOption["home"], c.detached, c.signal) : null;
  }

  /** A machine of ours that begins: ready, or gone. */
  static async #ready(
    handle: Handle,
    home: HomeOption["home"],
    detached: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Sandbox> {
    const sandbox = new Sandbox(handle, home, true);
    try {
      await call("msb_sandbox_wait_ready", [handle, -1], { signal, subject: "sandbox" });
      if (detached) await sandbox.detach();
      return sandbox;
    } catch (e) {
      if (e instanceof BootError) e.console = callSync<string>("msb_sandbox_console", [handle]);
      await sandbox.close();
      throw e;
    }
  }

  /** One on record, running or not. */
  static async get(name: string, options?: HomeOption): Promise<SandboxHandle> {
    const o = check.options(options, "options", ["home"]);
    return new SandboxHandle(await inspect(name, o["home"]), o["home"] as HomeOption["home"]);
  }

  /** All on record that have these labels ("KEY", "KEY=VALUE"), by name. */
  static async list(options?: HomeOption & { labels?: readonly string[] }): Promise<SandboxPage> {
    const o = check.options(options, "options", ["labels", "home"]);
    const all = await listRecords(o["labels"], o["home"]);
    return pageOf(all.map((info) => new SandboxHandle(info, o["home"] as HomeOption["home"])));
  }

  /** `Sandbox.listWith(l => l.label("team", "a").limit(10))`; nextCursor leads on. */
  static async listWith(make: (l: SandboxListBuilder) => unknown): Promise<SandboxPage> {
    const l = new SandboxListBuilder();
    make(l);
    const found = (await Sandbox.list({ labels: l.wanted })).filter((s) => l.after === undefined || s.name > l.after);
    const page = found.slice(0, l.most);
    return pageOf(page, found.length > page.length ? page[page.length - 1]?.name : undefined);
  }

  /** One that runs, by name or id, whoever started it. */
  static async connect(name: string, options?: HomeOption & SignalOptions): Promise<Sandbox> {
    const o = check.options(options, "options", ["home", "signal"]);
    const what = check.name(name, "name");
    const rest = { subject: "sandbox", signal: check.signalOf(o["signal"]) } as const;
    const handle = await call<Handle>("msb_sandbox_open", [await homeOf(o["home"]), what], rest);
    const sandbox = new Sandbox(handle, o["home"] as HomeOption["home"], false);
    try {
      await call("msb_sandbox_wait_ready", [handle, -1], rest);
      return sandbox;
    } catch (e) {
      await sandbox.close();
      throw e;
    }
  }

  /** Start one on record, with its main command if it has one. */
  static async start(name: string, options?: StartOptions): Promise<Sandbox> {
    const { handle, detached, signal } = await startNative(name, options);
    const sandbox = await Sandbox.#ready(handle, options?.home, false, signal);
    return sandbox.#runMain(detached, signal);
  }

  static startDetached(name: string, options?: StartOptions): Promise<Sandbox> {
    return Sandbox.start(name, { ...options, detached: true });
  }

  /** Stop it if it runs, and start it again. */
  static async restart(name: string, options?: StartOptions & { timeoutMs?: number }): Promise<Sandbox> {
    const { handle, detached, signal } = await startNative(name, options, STOP_MS);
    const sandbox = await Sandbox.#ready(handle, options?.home, false, signal);
    return sandbox.#runMain(detached, signal);
  }

  async #runMain(detached: boolean, signal: AbortSignal | undefined): Promise<this> {
    try {
      await call("msb_sandbox_run_main", [this.handle], { signal, subject: "exec" });
      if (detached) await this.detach();
      return this;
    } catch (e) {
      await this.close();
      throw e;
    }
  }

  /** With all that was written in it; images stay. `force`: kill it if it runs. */
  static remove(name: string, options?: HomeOption & { force?: boolean }): Promise<void> {
    return remove(name, options);
  }

  static async inspect(name: string, options?: HomeOption): Promise<SandboxInfo> {
    const o = check.options(options, "options", ["home"]);
    return inspect(name, o["home"]);
  }

  /** What waits for the next start of one that runs. */
  static pending(name: string, options?: HomeOption): Promise<Change[]> {
    return pending(name, options);
  }

  static modify(name: string, options: ModifyOptions): Promise<Change[]> {
    return modify(name, options);
  }

  // ---- commands ----------------------------------------------------------

  /** Run a command to its end: `exec("ls", ["-l"], {cwd: "/"})` or `exec("ls", {args: ["-l"]})`. */
  exec(command: string, args?: readonly string[] | ExecOptions, options?: ExecOptions): Promise<ExecOutput>;
  async exec(command: unknown, args?: unknown, options?: unknown): Promise<ExecOutput> {
    const [argv, o] = commandLine(command, args, options);
    return this.#run(argv, o, false);
  }

  /** `execWith("ls", e => e.args(["-l"]).cwd("/"))` */
  async execWith(command: string, make: (e: ExecOptionsBuilder) => ExecOptionsBuilder | void): Promise<ExecOutput> {
    return this.exec(command, ExecOptionsBuilder.made(make));
  }

  /** A script for the sandbox's shell. */
  async shell(script: string, options?: ExecOptions): Promise<ExecOutput> {
    return this.#run([check.text(script, "the script")], options, true);
  }

  async shellWith(script: string, make: (e: ExecOptionsBuilder) => ExecOptionsBuilder | void): Promise<ExecOutput> {
    return this.shell(script, ExecOptionsBuilder.made(make));
  }

  /** What the image says is to be run. */
  async execDefault(options?: ExecOptions): Promise<ExecOutput> {
    return this.#run(
      [],
      { ...check.options(options, "options", Object.keys(options ?? {})), imageCommand: true },
      false,
    );
  }

  execDefaultWith(make: (e: ExecOptionsBuilder) => ExecOptionsBuilder | void): Promise<ExecOutput> {
    return this.execDefault(ExecOptionsBuilder.made(make));
  }

  execDefaultStreamWith(make: (e: ExecOptionsBuilder) => ExecOptionsBuilder | void): Promise<ExecHandle> {
    return this.execDefaultStream(ExecOptionsBuilder.made(make));
  }

  async #run(argv: string[], options: unknown, script: boolean): Promise<ExecOutput> {
    const p = prepareExec(argv, options, script);
    if (p.pipe) throw invalid('stdin: "pipe" needs execStream() or shellStream()');
    return runExec(this.handle, p);
  }

  /** Start a command, and have its events as they come. */
  execStream(command: string, args?: readonly string[] | ExecOptions, options?: ExecOptions): Promise<ExecHandle>;
  async execStream(command: unknown, args?: unknown, options?: unknown): Promise<ExecHandle> {
    const [argv, o] = commandLine(command, args, options);
    return this.#stream(argv, o, false);
  }

  async execStreamWith(
    command: string,
    make: (e: ExecOptionsBuilder) => ExecOptionsBuilder | void,
  ): Promise<ExecHandle> {
    return this.execStream(command, ExecOptionsBuilder.made(make));
  }

  /** A script for the sandbox's shell; without one the shell itself. */
  async shellStream(script?: string, options?: ExecOptions): Promise<ExecHandle> {
    return this.#stream(script === undefined ? [] : [check.text(script, "the script")], options, true);
  }

  async execDefaultStream(options?: ExecOptions): Promise<ExecHandle> {
    return this.#stream(
      [],
      { ...check.options(options, "options", Object.keys(options ?? {})), imageCommand: true },
      false,
    );
  }

  async #stream(argv: string[], options: unknown, script: boolean): Promise<ExecHandle> {
    return startExec(this, prepareExec(argv, options, script));
  }

  /** Take a detached command back; without @session the main command, or the only one. */
  async attach(session?: bigint | number): Promise<ExecHandle> {
    const id =
      session === undefined || typeof session === "bigint"
        ? (session ?? 0n)
        : BigInt(check.integer(session, "session", 0, check.SAFE));
    if (id < 0n || id >= 1n << 64n) throw invalid("there is no such session");
    const handle = await call<Handle>("msb_exec_attach", [this.handle, id], { subject: "exec" });
    return new ExecHandle(handle, this, true);
  }

  // ---- files, logs, numbers ----------------------------------------------

  fs(): SandboxFs {
    return new SandboxFs(this);
  }

  async metrics(): Promise<Metrics> {
    return metricsOf(await call<object>("msb_sandbox_metrics", [this.handle], { subject: "sandbox" }));
  }

  /** One sample at once, then one each @intervalMs, until the machine has ended. */
  async *metricsStream(intervalMs = 1000, options?: SignalOptions): AsyncGenerator<Metrics, void, void> {
    check.integer(intervalMs, "intervalMs", 1, check.I32);
    const signal = check.signalOf(check.options(options, "options", ["signal"])["signal"]);
    let before: Metrics | undefined;
    for (let next = Date.now(); ; next = Math.max(next + intervalMs, Date.now())) {
      throwIfAborted(signal);
      try {
        before = metricsOf(
          await call<object>("msb_sandbox_metrics", [this.handle], { signal, subject: "sandbox" }),
          before,
        );
      } catch (e) {
        if (e instanceof GoneError && before) return;
        throw e;
      }
      yield before;
      await pause(next + intervalMs - Date.now(), signal);
    }
  }

  /** What commands wrote, as far as it is there. */
  logs(options?: LogOptions): Promise<LogEntry[]> {
    return readLogs(this.id, { ...options, home: this.#home });
  }

  /** The same, and what comes later. */
  logStream(options?: LogStreamOptions): Promise<LogStream> {
    return LogStream.open(this.id, { ...options, home: this.#home }, true);
  }

  inspect(): Promise<SandboxInfo> {
    return inspect(this.id, this.#home);
  }

  /** The published ports, with those that were picked. */
  ports(): Promise<PublishedPort[]> {
    return ports(this.id, { home: this.#home });
  }

  netExplain(host: string, options?: { port?: number; protocol?: "tcp" | "udp" | "icmp" }): Promise<NetExplanation> {
    return netExplain(this.id, host, { ...options, home: this.#home });
  }

  netRules(): Promise<NetRules> {
    return netRules(this.id, { home: this.#home });
  }

  // ---- life --------------------------------------------------------------

  /** The state now. */
  get state(): SandboxState {
    return this.#closed ? "stopped" : stateOf(callSync<number>("msb_sandbox_state", [this.handle]));
  }

  /** Whether the machine ends with this object. */
  get ownsLifecycle(): boolean {
    return this.#owns;
  }

  /** "kvm" or "qemu", and "kvm" or "tcg". */
  get engine(): string {
    return callSync<string>("msb_sandbox_engine", [this.handle]);
  }

  get accel(): string {
    return callSync<string>("msb_sandbox_accel", [this.handle]);
  }

  /** The walls of the jail around the machine's processes. */
  get walls(): string[] {
    return callSync<string[]>("msb_sandbox_walls", [this.handle]);
  }

  /** What the user should know about a machine like this, or "". */
  get warning(): string {
    return callSync<string>("msb_sandbox_warning", [this.handle]);
  }

  /** The last lines of the console of a machine that failed or crashed, or "". */
  get console(): string {
    return callSync<string>("msb_sandbox_console", [this.handle]);
  }

  /** When it began what, for who measures. */
  get times(): SandboxTimes {
    const { size: _size, ...times } = camel<SandboxTimes & { size: number }>(
      callSync("msb_sandbox_times", [this.handle]),
    );
    return times;
  }

  /** Shut the machine down: data is written; what is left after the time is killed. */
  async stop(options?: StopOptions): Promise<void> {
    const [ms, signal] = waitOptions(options);
    await call("msb_sandbox_stop", [this.handle, ms < 0 ? STOP_MS : ms], { signal, subject: "sandbox" });
  }

  stopWithTimeout(timeoutMs: number): Promise<void> {
    return this.stop({ timeoutMs });
  }

  /** As kill(), which waits for the end; TimeoutError after the time. */
  async killWithTimeout(timeoutMs: number): Promise<void> {
    await this.requestKill();
    await this.wait({ timeoutMs });
  }

  /** At once, without a word to its commands. */
  async kill(): Promise<void> {
    await call("msb_sandbox_kill", [this.handle], { subject: "sandbox" });
  }

  /** As stop(), without waiting for it. */
  async requestStop(): Promise<void> {
    void this.stop().catch(() => undefined);
  }

  /** As kill(), without waiting for it. */
  async requestKill(): Promise<void> {
    void this.kill().catch(() => undefined);
  }

  /** Stop it if it runs, and start it again. This object is closed. */
  async restart(options?: RestartOptions): Promise<Sandbox> {
    const started = await Sandbox.restart(this.id, restartOptions(options, this.#home));
    await this.close();
    return started;
  }

  /** Stop it, with `force` kill it, and remove it with all that was written in it. */
  async destroy(options?: DestroyOptions): Promise<void> {
    const o = check.options(options, "options", ["force", "timeoutMs"]);
    try {
      await (o["force"] ? this.kill() : this.stop({ timeoutMs: (o["timeoutMs"] as number) ?? STOP_MS }));
    } catch (e) {
      if (!(e instanceof GoneError)) throw e;
    }
    await this.close();
    await gone(remove(this.id, { force: true, home: this.#home }));
  }

  /** Until it is on record with this status. */
  waitForStatus(status: SandboxStatus, options?: SignalOptions): Promise<SandboxHandle> {
    return waitForStatus(this.id, this.#home, status, options);
  }

  /** As wait(); what is on record then. */
  async waitUntilStopped(): Promise<SandboxHandle> {
    await this.wait();
    return Sandbox.get(this.id, { home: this.#home });
  }

  /** Wait for the end, however it comes. */
  async wait(options?: WaitOptions): Promise<void> {
    const [ms, signal] = waitOptions(options);
    await call("msb_sandbox_wait", [this.handle, ms], { signal, subject: "sandbox" });
  }

  /** From now on it outlives this process and this object. */
  async detach(): Promise<void> {
    await call("msb_sandbox_detach", [this.handle], { subject: "sandbox" });
    this.#owns = false;
  }

  /** Ask the guest's agent for an answer. */
  async ping(options?: WaitOptions): Promise<{ name: string; latencyMs: number; ns: number }> {
    const [ms, signal] = waitOptions(options);
    const ns = await call<number>("msb_sandbox_ping", [this.handle, ms < 0 ? PING_MS : ms], {
      signal,
      subject: "sandbox",
    });
    return { name: this.name, latencyMs: ns / 1e6, ns };
  }

  /** It is still wanted: the idle time limit starts anew. */
  async touch(): Promise<void> {
    await call("msb_sandbox_touch", [this.handle], { subject: "sandbox" });
  }

  modify(options: ModifyOptions): Promise<Change[]> {
    return modify(this.id, { ...options, home: this.#home });
  }

  pending(): Promise<Change[]> {
    return pending(this.id, { home: this.#home });
  }

  /** Of one that was stopped. */
  snapshot(name: string, options?: Omit<SnapshotOptions, "home">): Promise<Snapshot> {
    return Snapshot.create(this.id, name, { ...options, home: this.#home });
  }

  /** A new image of what was written. Its id. */
  commit(reference: string, options?: Omit<CommitOptions, "home">): Promise<string> {
    return commit(this.id, reference, { ...options, home: this.#home });
  }

  /** Off the record, with all that was written in it. */
  removePersisted(options?: { force?: boolean }): Promise<void> {
    return remove(this.id, { ...options, home: this.#home });
  }

  /** Give it back: a machine that is ours ends, calls that wait for it are cancelled. */
  async close(): Promise<void> {
    this.#closed = true;
    await closeHandle(this.handle);
  }

  /** A machine that is ours is stopped, its data is written; then close(). */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    try {
      if (this.#owns) await this.stop();
    } finally {
      await this.close();
    }
  }
}

export interface DestroyOptions {
  force?: boolean;
  timeoutMs?: number;
}
export interface RestartOptions extends DestroyOptions {
  detached?: boolean;
}

function restartOptions(options: unknown, home: HomeOption["home"]): StartOptions & { timeoutMs?: number } {
  const { force, ...rest } = check.options(options, "options", ["force", "timeoutMs", "detached"]);
  return { ...rest, ...(force ? { timeoutMs: 0 } : {}), home };
}

/** Something is removed; what is not there is fine. */
async function gone(removed: Promise<void>): Promise<void> {
  try {
    await removed;
  } catch (e) {
    if (!(e instanceof NotFoundError)) throw e;
  }
}

const POLL_MS = 100;

async function waitForStatus(
  name: string,
  home: HomeOption["home"],
  status: unknown,
  options: unknown,
): Promise<SandboxHandle> {
  const signal = check.signalOf(check.options(options, "options", ["signal"])["signal"]);
  check.name(status, "status");
  for (;;) {
    const record = await Sandbox.get(name, { home });
    if (record.status === status) return record;
    await pause(POLL_MS, signal);
  }
}

/** Counters of all that run, by name; one that ends meanwhile is left out. */
export async function allSandboxMetrics(options?: HomeOption): Promise<Record<string, Metrics>> {
  const found: Record<string, Metrics> = {};
  for (const record of await Sandbox.list(options)) {
    if (record.state !== "ready") continue;
    try {
      found[record.name] = await record.metrics();
    } catch (e) {
      if (!(e instanceof MicrosandboxError)) throw e;
    }
  }
  return found;
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(Math.max(0, ms), undefined, signal ? { signal } : {});
  } catch {
    throw new CancelledError("the stream was cancelled", { cause: signal?.reason });
  }
}

async function runExec(handle: Handle, p: ReturnType<typeof prepareExec>): Promise<ExecOutput> {
  const args = [handle, p.native, p.input, p.max, p.timeoutMs];
  try {
    return outputOf(await call("msb_exec_run", args, { signal: p.signal, subject: "exec" }));
  } catch (e) {
    const late = e as { output?: Parameters<typeof outputOf>[0] | ExecOutput };
    if (late.output && !(late.output instanceof ExecOutput)) late.output = outputOf(late.output);
    throw e;
  }
}

async function startExec(owner: Sandbox, p: ReturnType<typeof prepareExec>): Promise<ExecHandle> {
  throwIfAborted(p.signal);
  const flags = p.native["flags"] as number;
  const native = { ...p.native, flags: p.input ? flags | 2 : flags };
  const handle = await call<Handle>("msb_exec_start", [owner.handle, native], { signal: p.signal, subject: "exec" });
  const exec = new ExecHandle(handle, owner, p.pipe || p.input !== null, p.signal, p.timeoutMs);
  const sink = p.input ? exec.takeStdin() : null;
  if (sink && p.input) {
    // Goes on beside the events; what fails shows there.
    sink
      .write(p.input)
      .then(() => sink.close())
      .catch(() => undefined);
  }
  return exec;
}

/** A sandbox on record: what is known of it, and what is done by its id: another that has the name by then is not meant. */
export class SandboxHandle {
  readonly info: SandboxInfo;
  readonly #home: HomeOption["home"];

  /** @internal */
  constructor(info: SandboxInfo, home: HomeOption["home"]) {
    this.info = info;
    this.#home = home;
  }

  get name(): string {
    return this.info.name;
  }

  get id(): string {
    return this.info.id;
  }

  /** When it was asked for; refresh() asks again. */
  get state(): SandboxState {
    return this.info.state;
  }

  /** The state, "running" when it is ready. */
  get status(): SandboxStatus {
    return statusOf(this.info.state);
  }

  get createdAt(): Date | undefined {
    return this.info.created;
  }

  refresh(): Promise<SandboxHandle> {
    return Sandbox.get(this.id, { home: this.#home });
  }

  connect(): Promise<Sandbox> {
    return Sandbox.connect(this.id, { home: this.#home });
  }

  start(options?: Omit<StartOptions, "home">): Promise<Sandbox> {
    return Sandbox.start(this.id, { ...options, home: this.#home });
  }

  startDetached(options?: Omit<StartOptions, "home">): Promise<Sandbox> {
    return Sandbox.startDetached(this.id, { ...options, home: this.#home });
  }

  /** connect() to it when it runs, else start() it. */
  async connectOrStart(options?: { detached?: boolean }): Promise<Sandbox> {
    for (;;) {
      try {
        return await this.connect();
      } catch (e) {
        if (!(e instanceof GoneError)) throw e;
      }
      try {
        return await this.start(options);
      } catch (e) {
        if (!(e instanceof SandboxStillRunningError)) throw e; // else somebody was faster
      }
    }
  }

  /** Stop it if it runs, and start it again. */
  restart(options?: RestartOptions): Promise<Sandbox> {
    return Sandbox.restart(this.id, restartOptions(options, this.#home));
  }

  /** Stop it if it runs, with `force` kill it, and remove it. */
  async destroy(options?: DestroyOptions): Promise<void> {
    const o = check.options(options, "options", ["force", "timeoutMs"]);
    await this.stop({ timeoutMs: o["force"] ? 0 : ((o["timeoutMs"] as number) ?? STOP_MS) });
    await gone(this.remove());
  }

  /** As stop(), without waiting for it. */
  async requestStop(): Promise<void> {
    void this.stop().catch(() => undefined);
  }

  async requestKill(): Promise<void> {
    void this.kill().catch(() => undefined);
  }

  stopWithTimeout(timeoutMs: number): Promise<void> {
    return this.stop({ timeoutMs });
  }

  waitForStatus(status: SandboxStatus, options?: SignalOptions): Promise<SandboxHandle> {
    return waitForStatus(this.id, this.#home, status, options);
  }

  async waitUntilStopped(): Promise<SandboxHandle> {
    await this.#once((s) => s.wait());
    return this.refresh();
  }

  /** Its counters now; it must run. */
  metrics(): Promise<Metrics> {
    return this.#with((s) => s.metrics());
  }

  ping(): Promise<{ name: string; latencyMs: number }> {
    return this.#with((s) => s.ping());
  }

  touch(): Promise<void> {
    return this.#with((s) => s.touch());
  }

  async #with<T>(act: (sandbox: Sandbox) => Promise<T>): Promise<T> {
    const sandbox = await this.connect();
    try {
      return await act(sandbox);
    } finally {
      await sandbox.close();
    }
  }

  async #once(act: (sandbox: Sandbox) => Promise<void>): Promise<void> {
    let sandbox: Sandbox;
    try {
      sandbox = await this.connect();
    } catch (e) {
      if (e instanceof GoneError) return; // it has ended already
      throw e;
    }
    try {
      await act(sandbox);
    } finally {
      await sandbox.close();
    }
  }

  stop(options?: StopOptions): Promise<void> {
    return this.#once((s) => s.stop(options));
  }

  kill(): Promise<void> {
    return this.#once((s) => s.kill());
  }

  remove(options?: { force?: boolean }): Promise<void> {
    return remove(this.id, { ...options, home: this.#home });
  }

  modify(options: ModifyOptions): Promise<Change[]> {
    return modify(this.id, { ...options, home: this.#home });
  }

  pending(): Promise<Change[]> {
    return pending(this.id, { home: this.#home });
  }

  snapshot(name: string, options?: Omit<SnapshotOptions, "home">): Promise<Snapshot> {
    return Snapshot.create(this.id, name, { ...options, home: this.#home });
  }

  commit(reference: string, options?: Omit<CommitOptions, "home">): Promise<string> {
    return commit(this.id, reference, { ...options, home: this.#home });
  }

  logs(options?: LogOptions): Promise<LogEntry[]> {
    return readLogs(this.id, { ...options, home: this.#home });
  }

  logStream(options?: LogStreamOptions): Promise<LogStream> {
    return LogStream.open(this.id, { ...options, home: this.#home }, true);
  }
}
